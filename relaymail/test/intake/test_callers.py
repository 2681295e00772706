# -*- test-case-name: relaymail.test.intake.test_callers -*-
"""
Tests for L{relaymail.intake.callers}.
"""

from __future__ import annotations

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.server import Offer, ServerDialogue
from relaymail.envelopes import NO_ORIGIN, Client, Entrance, Origin
from relaymail.identities import Authenticated
from relaymail.intake.acceptance import NetworkAcceptance
from relaymail.intake.callers import Caller
from relaymail.test.intake.harness import (
    CONTENT,
    LOCAL,
    MAIL,
    RCPT,
    STRANGER,
    Intake,
    Wire,
)


class CallerTests(SynchronousTestCase):
    """
    Who is talking is asked of the transport.
    """

    def setUp(self) -> None:
        """
        Make a client and what it said.
        """
        self.intake = Intake()
        self.session = ServerDialogue(Offer("h"))
        self.session.heard(b"EHLO c.example")

    def caller(self, wire: Wire, entrance: Entrance = Entrance.RELAY) -> Caller:
        """
        Give the client of a transport.
        """
        caller = Caller(self.intake.factory, entrance)
        caller.connected(wire)
        return caller

    def test_client(self) -> None:
        """
        Everything that is known of it is told.
        """
        caller = self.caller(Wire(LOCAL), Entrance.SUBMISSION)
        self.assertEqual(
            caller.clientOf(self.session),
            Client(
                "127.0.0.1",
                40000,
                "c.example",
                True,
                trusted=True,
                entrance=Entrance.SUBMISSION,
            ),
        )

    def test_reused(self) -> None:
        """
        While nothing changes it is the same, also where the transport makes a new
        address each time.
        """
        wire = Wire(LOCAL)
        caller = self.caller(wire)
        first = caller.clientOf(self.session)
        wire.peerAddr = IPv4Address("TCP", "127.0.0.1", 40000)
        self.assertIs(caller.clientOf(self.session), first)
        self.session.heard(b"HELO other.example")
        self.assertEqual(caller.clientOf(self.session).helo, "other.example")

    def test_A04_proxied(self) -> None:
        """
        An address that is told later decides from then on, at MAIL and at RCPT.
        """
        wire = Wire(LOCAL)
        caller = self.caller(wire)
        self.assertTrue(caller.isTrusted())
        wire.peerAddr = STRANGER
        self.assertFalse(caller.isTrusted())
        self.assertEqual(caller.clientOf(self.session).host, "192.0.2.9")
        peer = self.intake.connect()
        self.assertEqual(peer.codes(b"EHLO c\r\n" + MAIL), ["250", "250"])
        peer.wire.peerAddr = STRANGER
        self.assertEqual(peer.codes(RCPT), ["550"])

    def test_local(self) -> None:
        """
        Only who comes by a UNIX socket is a program of this host.
        """
        self.assertTrue(self.caller(Wire(UNIXAddress(None))).isLocal())
        self.assertFalse(self.caller(Wire(LOCAL)).isLocal())

    def test_origin(self) -> None:
        """
        Mail comes from the client that was judged, and who it said it is; while
        nothing changes that is the same.
        """
        wire = Wire(STRANGER)
        caller = self.caller(wire)
        caller.clientOf(self.session)
        self.assertEqual(caller.origin(), Origin("192.0.2.9"))
        self.assertIs(caller.origin(), caller.origin())
        caller.authenticated(Authenticated("alice", NetworkAcceptance(())))
        caller.clientOf(self.session)
        self.assertEqual(caller.origin(), Origin("192.0.2.9", "alice"))
        caller.forget()
        caller.clientOf(self.session)
        self.assertEqual(caller.origin(), Origin("192.0.2.9"))
        wire.peerAddr = LOCAL
        caller.clientOf(self.session)
        self.assertEqual(caller.origin(), Origin("127.0.0.1"))

    def test_originOfThisHost(self) -> None:
        """
        What comes by a UNIX socket comes from no network.
        """
        caller = self.caller(Wire(UNIXAddress(None)))
        caller.clientOf(self.session)
        self.assertIs(caller.origin(), NO_ORIGIN)
        caller.authenticated(Authenticated("alice", NetworkAcceptance(())))
        self.assertEqual(caller.origin(), Origin("", "alice"))

    def test_A04_originOfEachMessage(self) -> None:
        """
        What comes over one connection comes from whom it was at that time.
        """
        peer = self.intake.connect()
        transaction = MAIL + RCPT + b"DATA\r\n" + CONTENT + b".\r\n"
        peer.say(b"EHLO c\r\n" + transaction)
        peer.wire.peerAddr = IPv4Address("TCP", "127.0.0.2", 1)
        peer.say(transaction)
        origins = [envelope.origin for envelope, _ in self.intake.queue.added]
        self.assertEqual(origins, [Origin("127.0.0.1"), Origin("127.0.0.2")])

    def test_now(self) -> None:
        """
        The time is that of the queue's clock, where it has one.
        """
        caller = self.caller(Wire(LOCAL))
        self.assertEqual(caller.now(), 1_000_000_000)
        self.intake.queue.clock = Intake().clock  # type: ignore[attr-defined]
        self.intake.clock.advance(5)
        self.assertEqual(caller.now(), 1_000_000_000)
