# -*- test-case-name: relaymail.test.configuration.test_remarks -*-
"""
Tests for L{relaymail.configuration.remarks}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaymail.configuration import configure, reaching, remarks
from relaymail.configuration.reaching import reachOf
from relaymail.configuration.remarks import deliveryRemarks
from relaymail.errors import ConfigurationError
from relaymail.route.hosts import Host
from relaymail.route.levels import TLSLevel
from relaymail.route.rules import Rule
from relaymail.route.terms import Terms


class DeliveryRemarksTests(SynchronousTestCase):
    """
    Tests for L{deliveryRemarks}.
    """

    def setUp(self) -> None:
        self.patch(remarks, "machineAddresses", lambda: frozenset({"192.0.2.1"}))
        self.patch(reaching, "machineAddresses", lambda: frozenset({"192.0.2.1"}))

    def told(self, *routes: Any, hasPortal: bool = False, **said: Any) -> list[str]:
        """
        Give what is told of routes.
        """
        usual = {"queue": "s", "hostname": "relay.example.com", "smtp": "tcp:25"}
        configuration = configure(**{**usual, "routes": routes, **said})
        return list(deliveryRemarks(configuration, hasPortal=hasPortal))

    def assertTold(self, words: str, *routes: Any, **said: Any) -> None:
        """
        There is one remark, that begins so.
        """
        found = self.told(*routes, **said)
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith(words), found[0])

    def test_nothing(self) -> None:
        """
        Of what is right nothing is told.
        """
        self.assertEqual(self.told(), [])
        self.assertEqual(
            self.told(
                "to=a.example user=ann via=hold",
                "to=a.example tls=verify names=.mx.example source=192.0.2.1",
                "to=[192.0.2.9] tls=verify",
                "via=smtp://mail.example.com fallback=backup.example.com",
                hasPortal=True,
                tls="dane",
                dns="127.0.0.1:53",
                source="127.0.0.2",
            ),
            [],
        )

    def test_unused(self) -> None:
        """
        A route that no mail takes is told of, with the one before it.
        """
        self.assertTold(
            "delivery.routes: the rule routes[1] is never used: all mail that it is "
            "for goes by the rule first, before it",
            "name=first to=.example via=mx",
            "to=a.example via=refuse",
        )

    def test_manyUnused(self) -> None:
        """
        Of very many there is a count.
        """
        found = self.told(*["to=a.example via=mx"] * 25)
        self.assertEqual(len(found), 21)
        self.assertEqual(found[-1], "delivery.routes: 4 more rules are never used")

    def test_allTaken(self) -> None:
        """
        A route that takes all mail leaves none for smart hosts.
        """
        first, second = self.told(
            "name=all to=* via=mx",
            smartHosts="mail.example.com",
            senderHosts={"@a.example": "mail.example.com"},
        )
        told = "they get no mail: the rule all takes all"
        self.assertEqual(first, f"delivery.sender-hosts: {told}")
        self.assertEqual(second, f"delivery.smart-hosts: {told}")
        self.assertEqual(self.told("via=hold", smartHosts="mail.example.com"), [])

    def test_loops(self) -> None:
        """
        A route, or a last way out, that leads back is told of.
        """
        own = Rule(hosts=(Host("192.0.2.1"),))
        for routes, said, path in (
            (["to=a.example via=relay.example.com"], {}, "routes[0]"),
            (["to=a.example fallback=192.0.2.1"], {}, "routes[0]"),
            (
                ["to=a.example via=mx", own],
                {},
                "routes[1]",
            ),
            ([], {"fallbackHosts": "localhost"}, "fallback-hosts"),
        ):
            self.assertTold(f"delivery.{path}: the smart host ", *routes, **said)

    def test_users(self) -> None:
        """
        A route of users is told of where nobody can be one.
        """
        self.assertTold(
            "delivery.routes[0].user: nobody can say who they are", "user=ann via=mx"
        )
        self.assertEqual(self.told("user=ann via=mx", xclient="127.0.0.1"), [])

    def test_names(self) -> None:
        """
        Names are told of where they count for little.
        """
        self.assertTold(
            'delivery.routes[0].names: with tls = "encrypt" they count only for mail',
            "to=a.example names=mx.example",
            tls="encrypt",
        )
        terms = Terms(names=("mx.example",))
        self.assertTold("delivery.routes[0].names: with", Rule(terms=terms))

    def test_namesAndTLSA(self) -> None:
        """
        Where only TLSA records say who a host is names count for nothing.
        """
        self.assertTold(
            'delivery.routes[0].names: with tls = "dane-only" they count for nothing',
            "to=a.example names=mx.example tls=dane-only",
        )

    def test_notOfSmartHosts(self) -> None:
        """
        What smart hosts do not go by is told of where all mail goes by them.
        """
        said: dict[str, Any] = {
            "smartHosts": "mail.example.com",
            "tls": "encrypt",
            "fallbackHosts": "smtps://backup.example.com",
        }
        first, second = self.told(**said)
        self.assertIn("delivery.tls: it is for the hosts of destinations", first)
        self.assertIn("delivery.fallback-hosts: they get no mail", second)
        self.assertEqual(self.told("to=a.example via=mx", **said), [])
        self.assertEqual(self.told(smartHosts="mail.example.com"), [])

    def test_A02_fallbackInClear(self) -> None:
        """
        Fallback hosts that get mail in clear are told of where it needs more, once.
        """
        clear, sure = "smtp://b.example.net", "smtp+starttls://b.example.net"
        words = "delivery.fallback-hosts: mail that needs tls"
        for level in ("encrypt", "verify", "dane", "dane-only"):
            self.assertTold(words, fallbackHosts=clear, tls=level)
            self.assertEqual(self.told(fallbackHosts=sure, tls=level), [])
        self.assertTold(
            words, "to=a.example tls=verify", fallbackHosts=clear, tls="dane"
        )
        for level in ("none", "opportunistic"):
            self.assertEqual(self.told(fallbackHosts=clear, tls=level), [])
        self.assertTold(
            "delivery.routes[0].fallback: mail that needs tls",
            f"to=a.example tls=verify fallback={clear}",
        )
        self.assertEqual(self.told(f"to=a.example tls=verify fallback={sure}"), [])

    def test_signed(self) -> None:
        """
        DANE is told of where the name server's word does not count, or where there can
        be none.
        """
        self.assertTold(
            'delivery.dns: tls = "dane" needs a name server whose word counts, and '
            "192.0.2.53 is neither on this machine nor in delivery.trusted-resolvers: "
            "with it there is no DANE",
            tls="dane",
            dns="192.0.2.53:53",
        )
        only = Rule(terms=Terms(TLSLevel.DANE_ONLY))
        (text,) = self.told(only, dns="192.0.2.53:53")
        self.assertTrue(text.endswith("with it no mail goes"))
        trusted: dict[str, Any] = {
            "dns": "192.0.2.53:53",
            "trustedResolvers": "192.0.2.0/24",
        }
        self.assertEqual(self.told(only, **trusted), [])
        self.assertTold(
            "delivery.routes[0].tls: there are no TLSA records of the address ",
            "to=[192.0.2.9] tls=dane-only",
        )

    def test_sources(self) -> None:
        """
        A source that is no address of this machine is told of, once.
        """
        self.assertTold(
            "delivery.source: this machine has no address 192.0.2.2 now",
            "to=a.example tls=none",
            source="192.0.2.2",
        )
        self.assertTold(
            "delivery.routes[0].source: this machine has no address 192.0.2.2 now",
            "to=a.example source=192.0.2.2",
        )

    def test_unreadable(self) -> None:
        """
        What needs a queue that can hold mail is refused where it cannot.
        """
        error = self.assertRaises(
            ConfigurationError,
            self.told,
            "to=a.example via=mx",
            "to=b.example via=hold",
            queue="directory:mail",
        )
        self.assertIn("delivery.routes[1]: a directory queue cannot hold", str(error))


class ReachTests(SynchronousTestCase):
    """
    Which destinations have a route by rules.
    """

    def test_routes(self) -> None:
        """
        What is refused or thrown away has none; what hosts are named for has one; the
        others are as if there were no rules.
        """
        reach = reachOf(
            configure(
                queue="s",
                hostname="relay.example.com",
                routes=[
                    "to=ann@no.example via=mx",
                    "to=no.example via=refuse",
                    "name=junk to=junk.example via=discard",
                    "to=relay.example.com via=mail.example",
                    "to=localhost via=mx",
                ],
                smartHosts="mail.example",
            )
        )
        for name, words in (
            ("no.example", "the rule routes[1] refuses it"),
            ("junk.example", "the rule junk throws it away"),
            ("localhost", "127.0.0.1"),
        ):
            self.assertIn(words, reach.trouble(name) or "")
        for name in ("relay.example.com", "a.localhost", "other.example"):
            self.assertIsNone(reach.trouble(name))
