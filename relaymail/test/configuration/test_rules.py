# -*- test-case-name: relaymail.test.configuration.test_rules -*-
"""
Tests for L{relaymail.configuration.rules}, and of how all routes are read.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaymail.configuration import configure, readRoutes
from relaymail.configuration.rules import onTerms
from relaymail.errors import ConfigurationError
from relaymail.route.hosts import Host
from relaymail.route.levels import TLSLevel
from relaymail.route.rules import Action, Rule
from relaymail.route.senderhosts import SmartRoutes
from relaymail.route.terms import Terms


def read(**said: Any) -> SmartRoutes:
    """
    Give where mail goes.
    """
    return readRoutes(configure(queue="s", hostname="a.example", **said))


class ReadRoutesTests(SynchronousTestCase):
    """
    Tests for L{readRoutes}, of what is beyond smart hosts.
    """

    def test_usual(self) -> None:
        """
        Nothing said is nothing.
        """
        self.assertEqual(read(), SmartRoutes())

    def test_terms(self) -> None:
        """
        The terms of all mail are what is said, and the named hosts keep to them where
        nothing is said with them.
        """
        found = read(
            tls="dane",
            source="192.0.2.1",
            helo="out.example",
            smartHosts=["one.example", "lmtp+unix:///run/lmtp"],
            senderHosts={"@b.example": "two.example"},
            fallbackHosts="three.example",
        )
        self.assertEqual(
            (found.terms.level, found.terms.source, found.terms.helo),
            (TLSLevel.DANE, ("192.0.2.1",), "out.example"),
        )
        one, socket = found.smartHosts
        (two,) = found.senderHosts["@b.example"]
        (three,) = found.terms.fallback
        for host in (one, two, three):
            self.assertEqual((host.source, host.helo), (("192.0.2.1",), "out.example"))
            self.assertTrue(host.named)
        self.assertEqual((socket.source, socket.helo), ((), "out.example"))
        self.assertEqual(found.everyHost, (one, socket, two, three))

    def test_rules(self) -> None:
        """
        A route becomes a rule, with its own terms over those of all mail, or hosts
        that keep to them.
        """
        os.environ["RELAYMAIL_TEST_PW"] = "hush"
        self.addCleanup(os.environ.pop, "RELAYMAIL_TEST_PW")
        found = read(
            helo="out.example",
            routes=[
                "to=b.example tls=verify names=.mx.example",
                "to=c.example via=smtps://me@s.example?password-env=RELAYMAIL_TEST_PW "
                "source=192.0.2.7 fallback=t.example",
                "to=d.example via=refuse text=Never.",
                "name=all fallback=u.example",
            ],
        )
        verified, named, refused, last = found.routing.rules
        self.assertEqual(
            verified,
            Rule(
                "routes[0]",
                ("b.example",),
                terms=Terms(
                    TLSLevel.VERIFY, names=(".mx.example",), helo="out.example"
                ),
            ),
        )
        self.assertEqual([h.name for h in named.hosts], ["s.example", "t.example"])
        first, second = named.hosts
        self.assertEqual(getattr(first.credentials, "password", b""), b"hush")
        for host in named.hosts:
            self.assertEqual((host.source, host.helo), (("192.0.2.7",), "out.example"))
        self.assertIsNone(named.terms)
        wanted = Rule("routes[2]", ("d.example",), action=Action.REFUSE, text="Never.")
        self.assertEqual(refused, wanted)
        assert last.terms is not None
        (third,) = last.terms.fallback
        self.assertEqual((last.name, third.name), ("all", "u.example"))
        self.assertEqual(found.everyHost, (first, second, third))

    def test_ofPrograms(self) -> None:
        """
        A program gives rules, with hosts as they are.
        """
        host = Host("s.example", named=True)
        rule = Rule("mine", hosts=(host,))
        told = Rule("other", terms=Terms(fallback=(host,)))
        found = read(routes=(rule, told))
        self.assertEqual(found.routing.rules, (rule, told))
        self.assertEqual(found.everyHost, (host,))

    def test_files(self) -> None:
        """
        Whom to trust, and what to show, is looked at when it is read.
        """
        path = Path(self.mktemp())
        path.write_text("no certificate")
        for said in (
            {"caFile": str(path)},
            {"routes": [f"to=a.example ca-file={path}"]},
            {"clientCert": str(path), "clientKey": str(path)},
            {"routes": [f"client-cert={path} client-key={path}"]},
        ):
            error = self.assertRaises(ConfigurationError, read, **said)
            self.assertIn(str(path), str(error))


class OnTermsTests(SynchronousTestCase):
    """
    Tests for L{onTerms}.
    """

    def test_own(self) -> None:
        """
        What is said with a host holds.
        """
        host = Host("a.example", source=("::1",), certFile="c", keyFile="k")
        terms = Terms(source=("192.0.2.1",), certFile="d", keyFile="e")
        self.assertIs(onTerms(host, terms), host)
        other = onTerms(Host("a.example"), terms)
        self.assertEqual((other.certFile, other.keyFile), ("d", "e"))
