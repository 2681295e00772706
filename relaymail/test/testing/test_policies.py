"""
Tests for L{relaymail.testing.policies}; the server over HTTPS is in
L{relaymail.test.endtoend.test_sts}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from relaymail.route.sts.policy import MAX_SIZE, STSMode, parsePolicy
from relaymail.test.route.sts.samples import makeKept
from relaymail.testing.policies import (
    PAUSE,
    MemoryPolicies,
    PolicyServer,
    PolicyTrouble,
)

PATH = "/.well-known/mta-sts.txt"


class Transport(StringTransport):
    """
    A transport that may be broken.
    """

    isAborted = False

    def abortConnection(self) -> None:
        """
        Break it.
        """
        self.isAborted = True


class PolicyServerTests(SynchronousTestCase):
    """
    A server of policies.
    """

    def setUp(self) -> None:
        """
        Start it, with a policy.
        """
        self.reactor: Any = MemoryReactorClock()
        self.server = PolicyServer(contextFactory=object()).start(self.reactor, 8443)
        self.addCleanup(self.server.stop)
        self.first = self.server.publish(
            "one.example", "mx.one.example", "*.two.example"
        )

    def ask(self, name: str = "mta-sts.one.example", path: str = PATH) -> Transport:
        """
        Ask for a page.
        """
        site = self.reactor.sslServers[0][1]
        protocol = site.buildProtocol(None)
        transport = Transport()
        protocol.makeConnection(transport)
        protocol.dataReceived(f"GET {path} HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
        self.protocol = protocol
        return transport

    def said(self, **where: str) -> tuple[int, dict[bytes, bytes], bytes]:
        """
        Ask for a page, and give the status, the header and the body.
        """
        head, _, body = self.ask(**where).value().partition(b"\r\n\r\n")
        first, *lines = head.lower().split(b"\r\n")
        pairs = (line.split(b": ", 1) for line in lines)
        return int(first.split()[1]), dict((k, v) for k, v in pairs), body

    def test_given(self) -> None:
        """
        The policy is given, where it should be, and what was asked is known.
        """
        status, header, body = self.said()
        self.assertEqual((status, header[b"content-type"]), (200, b"text/plain"))
        policy = parsePolicy(self.server.policies["one.example"])
        self.assertIn(self.server.policies["one.example"], body)
        self.assertIs(policy.mode, STSMode.ENFORCE)
        self.assertEqual(policy.patterns, ("mx.one.example", "*.two.example"))
        self.assertEqual(self.server.asked, [("mta-sts.one.example", PATH)])
        self.assertEqual(self.server.headers, {"host": "mta-sts.one.example"})

    def test_nothingElse(self) -> None:
        """
        There is nothing else.
        """
        self.assertEqual(self.said(path="/")[0], 404)
        self.assertEqual(self.said(name="mta-sts.two.example")[0], 404)

    def test_published(self) -> None:
        """
        Another policy has another id, unless it is to be forgotten.
        """
        before = self.server.records()
        self.assertEqual(
            before,
            {
                "_mta-sts.one.example": {
                    "TXT": [f"v=STSv1; id={self.first};".encode()]
                },
                "mta-sts.one.example": {"A": ["127.0.0.1"]},
            },
        )
        id = self.server.publish("one.example", mode="none", maxAge=1, sameId=True)
        self.assertEqual((id, self.server.records()), (self.first, before))
        self.assertIs(
            parsePolicy(self.server.policies["one.example"]).mode, STSMode.NONE
        )
        self.assertNotEqual(self.server.publish("one.example", "a.example"), self.first)

    def test_troubles(self) -> None:
        """
        It fails as it is told to.
        """
        expected: dict[PolicyTrouble, tuple[int, bytes | None]] = {
            PolicyTrouble.MISSING: (404, b"text/plain"),
            PolicyTrouble.DOWN: (503, b"text/plain"),
            PolicyTrouble.ELSEWHERE: (302, b"text/plain"),
            PolicyTrouble.HTML: (200, b"text/html"),
            PolicyTrouble.UNNAMED: (200, None),
            PolicyTrouble.GARBAGE: (200, b"text/plain"),
        }
        for trouble, (status, kind) in expected.items():
            self.server.trouble = trouble
            found, header, _ = self.said()
            self.assertEqual((found, header.get(b"content-type")), (status, kind))
        self.server.trouble = PolicyTrouble.ELSEWHERE
        _, header, _ = self.said()
        self.assertEqual(header[b"location"], b"/elsewhere.txt")
        status, _, body = self.said(path="/elsewhere.txt")
        self.assertEqual(status, 200)
        self.assertIn(b"mode: enforce", body)

    def test_long(self) -> None:
        """
        It gives more than is read, or more and more, until nobody listens.
        """
        self.server.trouble = PolicyTrouble.LONG
        self.assertGreater(len(self.said()[2]), MAX_SIZE)
        self.server.trouble = PolicyTrouble.ENDLESS
        transport = self.ask()
        before = len(transport.value())
        self.reactor.advance(PAUSE)
        self.assertGreater(len(transport.value()), before)
        self.protocol.connectionLost(Failure(ConnectionDone()))
        self.reactor.advance(PAUSE)
        self.assertEqual(
            [c for c in self.reactor.getDelayedCalls() if c.getTime() < 1], []
        )

    def test_cut(self) -> None:
        """
        It breaks off within.
        """
        self.server.trouble = PolicyTrouble.CUT
        transport = self.ask()
        self.reactor.advance(PAUSE)
        self.assertTrue(transport.isAborted)
        head, _, body = transport.value().partition(b"\r\n\r\n")
        self.assertIn(b"%d" % (len(body) + 9), head)

    def test_stopped(self) -> None:
        """
        What is under way ends with it.
        """
        self.server.trouble = PolicyTrouble.SILENT
        transport = self.ask()
        self.assertEqual(transport.value(), b"")
        self.successResultOf(self.server.stop())
        self.assertTrue(transport.isAborted)
        self.successResultOf(self.server.stop())


class MemoryPoliciesTests(SynchronousTestCase):
    """
    A place for policies.
    """

    def test_kept(self) -> None:
        """
        What is kept comes back, until it is forgotten.
        """
        store, kept = MemoryPolicies(), makeKept()
        store.save(kept)
        self.assertEqual(store.names(), ["one.example"])
        self.assertEqual(store.load(["one.example", "two.example"]), [kept])
        store.forget("one.example")
        store.forget("one.example")
        self.assertEqual(store.names(), [])
