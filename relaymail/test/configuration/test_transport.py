# -*- test-case-name: relaymail.test.configuration.test_transport -*-
"""
Tests for L{relaymail.configuration.transport}, and of the options that say how mail
goes.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaymail.configuration import configure
from relaymail.configuration.delivery import Delivery
from relaymail.configuration.tables import BY_PATH
from relaymail.errors import ConfigurationError
from relaymail.route.levels import TLSLevel


class OptionsTests(SynchronousTestCase):
    """
    Tests for options of L{Delivery}.
    """

    def told(self, **said: Any) -> Delivery:
        """
        Give what was told.
        """
        return configure(queue="s", hostname="a.example", **said).delivery

    def refused(self, **said: Any) -> str:
        """
        Give why it cannot be used.
        """
        return str(self.assertRaises(ConfigurationError, self.told, **said))

    def test_usual(self) -> None:
        """
        Mail goes over TLS where that is offered, and policies are kept to.
        """
        told = self.told()
        self.assertIs(told.tls, TLSLevel.OPPORTUNISTIC)
        self.assertTrue(told.mtaSts)
        self.assertTrue(told.tlsReports)
        self.assertEqual((told.source, told.helo, told.fallbackHosts), ((), "", ()))
        self.assertEqual(told.trustedResolvers, ())

    def test_said(self) -> None:
        """
        Each is read from words, or is as a program has it.
        """
        told = self.told(
            tls="Dane-Only",
            source="192.0.2.1, 2001:DB8::1",
            helo="out.example.com",
            fallbackHosts="smtps://backup.example",
            trustedResolvers="192.0.2.53",
            mtaSts="no",
            tlsReports="off",
            tlsReportContact="tls@example.com",
            clientCert=__file__,
            clientKey=__file__,
        )
        self.assertIs(told.tls, TLSLevel.DANE_ONLY)
        self.assertEqual(told.source, ("192.0.2.1", "2001:db8::1"))
        self.assertEqual(told.helo, "out.example.com")
        self.assertEqual([h.name for h in told.fallbackHosts], ["backup.example"])
        self.assertEqual([str(n) for n in told.trustedResolvers], ["192.0.2.53/32"])
        self.assertEqual((told.mtaSts, told.tlsReports), (False, False))
        self.assertEqual(told.tlsReportContact, "tls@example.com")
        self.assertEqual(self.told(tls=TLSLevel.NONE, mtaSts=True).tls, TLSLevel.NONE)

    def test_everyHost(self) -> None:
        """
        Those of routes and the last ones are smart hosts, too.
        """
        told = self.told(
            smartHosts="a.example",
            senderHosts={"@x.example": "b.example"},
            routes=["via=c.example fallback=d.example"],
            fallbackHosts="e.example",
        )
        names = [host.name[0] for host in told.everySmartHost]
        self.assertEqual("".join(names), "abcde")

    def test_wrong(self) -> None:
        """
        What cannot be is told of in one line.
        """
        for said, words in (
            (
                {"tls": "strong"},
                "tls: 'strong' is no level of TLS: write one of none, ",
            ),
            ({"tls": True}, "true is not a level of TLS: write one of none, "),
            ({"source": "here"}, "source: 'here' is not a list of network addresses"),
            ({"source": "224.0.0.1"}, "224.0.0.1 is no address that a connection"),
            ({"source": "::1,::2"}, "two addresses of one family stand there"),
            ({"helo": "a b"}, "helo: the hostname 'a b' is no domain"),
            ({"mtaSts": "perhaps"}, "'perhaps' is not true or false: write true or"),
            ({"tlsReportContact": "me"}, "is not local-part@domain"),
            ({"clientCert": __file__}, "name both delivery.client-cert and"),
            ({"trustedResolvers": "here"}, "is not a network"),
        ):
            found = self.refused(**said)
            self.assertIn(words, found)
            self.assertNotIn("\n", found)

    def test_ofPrograms(self) -> None:
        """
        The same holds where the table is made by itself.
        """
        for name, value in (
            ("tls", "dane"),
            ("source", "192.0.2.1"),
            ("helo", "a b"),
            ("mtaSts", "no"),
        ):
            self.assertRaises(ConfigurationError, Delivery, **{name: value})

    def test_shown(self) -> None:
        """
        Each is shown as it is written.
        """
        for path, value, shown in (
            ("delivery.tls", TLSLevel.DANE_ONLY, "dane-only"),
            ("delivery.source", ("192.0.2.1",), ["192.0.2.1"]),
            ("delivery.mta-sts", False, False),
        ):
            self.assertEqual(BY_PATH[path].kind.show(value), shown)
