# -*- test-case-name: relaymail.test.route.test_tlssessions -*-
"""
Tests for L{relaymail.route.tlssessions}.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaymail.route.hosts import Credentials, Host, TLSNeed
from relaymail.route.tlsa import TLSA
from relaymail.route.tlssessions import LONGEST, MAX_EACH, MAX_HOSTS, TLSSessions

HOST = Host("mx.example.org", 25, TLSNeed.VERIFIED)
ADDRESS = "192.0.2.1"
CONTEXT = object()


class TLSSessionsTests(SynchronousTestCase):
    """
    Tests for L{TLSSessions}.
    """

    def setUp(self) -> None:
        self.sessions = TLSSessions()

    def keep(self, session: str, host: Host = HOST, **kw: Any) -> None:
        """
        Keep what stands for a session.
        """
        given = {"address": ADDRESS, "context": CONTEXT, "now": 0.0, **kw}
        self.sessions.keep(host, session=session, **given)

    def take(self, host: Host = HOST, **kw: Any) -> Any:
        """
        Take one.
        """
        return self.sessions.take(
            host, **{"address": ADDRESS, "context": CONTEXT, "now": 0.0, **kw}
        )

    def test_once(self) -> None:
        """
        What was kept is given once, the newest first.
        """
        self.assertIsNone(self.take())
        self.keep("one")
        self.keep("two")
        self.assertEqual([self.take(), self.take(), self.take()], ["two", "one", None])
        self.assertEqual(len(self.sessions), 0)

    def test_A02_onlyWhereAllIsTheSame(self) -> None:
        """
        It is given for an equal host only, at the same address, with the same
        context: need, records, names, who is trusted, who we are there.
        """
        self.keep("one")
        record = TLSA(3, 1, 1, b"x" * 32)
        for other in (
            replace(HOST, name="mx2.example.org"),
            replace(HOST, port=587),
            replace(HOST, tls=TLSNeed.OFFERED),
            replace(HOST, tls=TLSNeed.DANE, tlsa=(record,)),
            replace(HOST, names=("mx.example.org",)),
            replace(HOST, caFile="/ca.pem"),
            replace(HOST, certFile="/a.pem", keyFile="/b.pem"),
            replace(HOST, credentials=Credentials("u", b"p")),
            replace(HOST, requireTLS=True),
            replace(HOST, source=("192.0.2.9",)),
            replace(HOST, helo="x.example"),
            replace(HOST, implicitTLS=True),
        ):
            self.assertIsNone(self.take(other), other)
        self.assertIsNone(self.take(address="192.0.2.2"))
        self.assertEqual(self.take(replace(HOST, why="for people")), "one")
        self.keep("one")
        self.assertIsNone(self.take(context=object()))

    def test_forgotten(self) -> None:
        """
        After a time it is not given any more.
        """
        self.keep("one")
        self.keep("two")
        self.assertEqual(self.take(now=LONGEST - 1), "two")
        self.assertIsNone(self.take(now=LONGEST))
        self.assertEqual(len(self.sessions), 0)

    def test_bounded(self) -> None:
        """
        A few are kept of each address, and of so many hosts, those that were used
        last.
        """
        for number in range(MAX_EACH + 3):
            self.keep(str(number))
        self.assertEqual(len(self.sessions), MAX_EACH)
        self.assertEqual(self.take(), str(MAX_EACH + 2))
        for number in range(MAX_HOSTS):
            self.keep("x", Host(f"{number}.example"))
        self.assertEqual(len(self.sessions), MAX_HOSTS)
        self.assertIsNone(self.take())
        self.assertEqual(self.take(Host("0.example")), "x")
