# -*- test-case-name: relaymail.test.intake.test_server -*-
"""
Tests for L{relaymail.intake.server}: what all connections share.
"""

from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Protocol
from twisted.test import iosim
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import MalformedAddress
from relaymail.intake.acceptance import NetworkAcceptance
from relaymail.intake.limits import Limits
from relaymail.intake.server import IntakeFactory, IntakeProtocol
from relaymail.test.intake.harness import (
    CONTENT,
    MAIL,
    STRANGER,
    TO_DATA,
    FakeQueue,
    Intake,
)


class ConnectionCountTests(SynchronousTestCase):
    """
    Connections are bounded.
    """

    def test_A05_perAddress(self) -> None:
        """
        One address has so many connections; others are not touched by it, and
        a place that is left is free.
        """
        intake = Intake(Limits(perAddress=2))
        peers = [intake.connect(STRANGER) for _ in range(2)]
        refused = intake.connect(STRANGER, greet=False)
        self.assertTrue(refused.heard().startswith("421 4.7.0"))
        self.assertTrue(refused.wire.disconnecting)
        intake.connect(IPv4Address("TCP", "192.0.2.10", 1))
        intake.clock.advance(10)
        self.assertTrue(refused.wire.aborting)
        peers[0].vanish()
        intake.connect(STRANGER)

    def test_A05_inAll(self) -> None:
        """
        There are so many connections in all.
        """
        intake = Intake(Limits(connections=5))
        for number in range(5):
            intake.connect(IPv4Address("TCP", f"192.0.2.{number}", 1))
        refused = intake.connect(STRANGER, greet=False)
        self.assertTrue(refused.heard().startswith("421 4.7.0"))

    def test_A05_trustedNetworks(self) -> None:
        """
        Trusted networks are not counted.
        """
        intake = Intake(Limits(connections=1, perAddress=1))
        intake.connect(STRANGER)
        for _ in range(10):
            intake.connect()

    def test_A05_idleConnectionsLeaveNothing(self) -> None:
        """
        Idle connections are ended in time, and nothing of them stays.
        """
        intake = Intake()
        peers = [intake.connect() for _ in range(200)]
        intake.clock.advance(300)
        for peer in peers:
            self.assertTrue(peer.heard().startswith("421 4.4.2"))
            peer.vanish()
        self.assertEqual(intake.clock.getDelayedCalls(), [])
        self.successResultOf(intake.factory.stop())

    def test_hostname(self) -> None:
        """
        A host name that is none is refused at once.
        """
        self.assertRaises(
            MalformedAddress,
            IntakeFactory,
            FakeQueue(),
            NetworkAcceptance(),
            "two words",
        )


class SlowQueueTests(SynchronousTestCase):
    """
    What the queue has not written is bounded.
    """

    def test_A05_oneEach(self) -> None:
        """
        However much a client sends, the queue has one message of it at a time,
        and soon nothing more is read.
        """
        intake = Intake(Limits(readAhead=10_000))
        intake.queue.slow = True
        peer = intake.connect()
        message = MAIL + b"RCPT TO:<c@d.example>\r\nDATA\r\n" + CONTENT + b".\r\n"
        peer.say(b"HELO c\r\n" + message * 200)
        self.assertEqual(len(intake.queue.added), 1)
        self.assertEqual(peer.wire.producerState, "paused")
        intake.queue.waits[0].callback(["1"])
        self.assertEqual(len(intake.queue.added), 2)

    def test_A05_whoHangsUp(self) -> None:
        """
        Clients that do not wait for the reply do not fill memory with what the
        queue is writing: MAIL is answered 452 until it has written some.
        """
        intake = Intake(Limits(storing=2))
        intake.queue.slow = True
        for _ in range(2):
            peer = intake.connect()
            peer.say(TO_DATA + CONTENT + b".\r\n")
            peer.vanish()
        peer = intake.connect()
        self.assertEqual(peer.codes(b"HELO c\r\n" + MAIL), ["250", "452"])
        intake.queue.waits[0].callback(["1"])
        self.assertEqual(peer.codes(MAIL), ["250"])

    def test_A05_whatFailed(self) -> None:
        """
        A message that could not be written does not count any more.
        """
        intake = Intake(Limits(storing=1))
        intake.queue.trouble = RuntimeError("no")
        peer = intake.connect()
        peer.say(TO_DATA)
        self.assertEqual(peer.codes(CONTENT + b".\r\n" + MAIL), ["451", "250"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class StopTests(SynchronousTestCase):
    """
    The service stops.
    """

    def test_P10_idleSessions(self) -> None:
        """
        Idle sessions are told and closed; new ones are turned away.
        """
        intake = Intake()
        peer = intake.connect()
        gone = intake.factory.stop()
        self.assertTrue(peer.heard().startswith("421 4.3.2"))
        self.assertTrue(peer.wire.disconnecting)
        self.assertNoResult(gone)
        late = intake.connect(greet=False)
        self.assertTrue(late.heard().startswith("421 4.3.2"))
        self.assertTrue(late.wire.disconnecting)
        peer.vanish()
        self.successResultOf(gone)
        late.vanish()
        self.assertEqual(intake.clock.getDelayedCalls(), [])

    def test_P10_nothingToWaitFor(self) -> None:
        """
        Without sessions it has stopped at once, as often as it is told.
        """
        intake = Intake()
        self.successResultOf(intake.factory.stop())
        self.successResultOf(intake.factory.stop())
        self.assertEqual(intake.clock.getDelayedCalls(), [])

    def test_P10_whatIsBeingWritten(self) -> None:
        """
        A message that is being written gets its answer, then the session ends
        and what was pipelined behind it is not begun.
        """
        intake = Intake()
        intake.queue.slow = True
        peer = intake.connect()
        peer.say(TO_DATA + CONTENT + b".\r\n" + MAIL)
        peer.heard()
        gone = intake.factory.stop()
        self.assertEqual(peer.heard(), "")
        intake.queue.waits[0].callback(["1"])
        self.assertEqual(peer.codes(), ["250", "421"])
        peer.vanish()
        self.successResultOf(gone)

    def test_P10_messageComingIn(self) -> None:
        """
        A message that is coming in may end.
        """
        intake = Intake()
        peer = intake.connect()
        peer.say(TO_DATA)
        gone = intake.factory.stop()
        self.assertEqual(peer.codes(CONTENT + b".\r\n"), ["250", "421"])
        self.assertEqual(len(intake.queue.added), 1)
        peer.vanish()
        self.successResultOf(gone)

    def test_P10_bound(self) -> None:
        """
        What does not end in time is cut, and its message is not taken.
        """
        intake = Intake(Limits(stopSeconds=10))
        peer = intake.connect()
        peer.say(TO_DATA + CONTENT)
        gone = intake.factory.stop()
        intake.clock.advance(9)
        self.assertFalse(peer.wire.closed)
        intake.clock.advance(1)
        self.assertTrue(peer.wire.aborting)
        peer.vanish()
        self.successResultOf(gone)
        self.assertEqual(intake.queue.added, [])


class Talker(Protocol):
    """
    A client that notes what it hears.
    """

    def __init__(self) -> None:
        self.heard = b""

    def dataReceived(self, data: bytes) -> None:
        """
        Note it.
        """
        self.heard += data


class SimulatedTests(SynchronousTestCase):
    """
    Hands against hands, over a simulated network.
    """

    def test_session(self) -> None:
        """
        A whole session goes through, and both sides are closed at its end.
        """
        intake = Intake(acceptance=NetworkAcceptance("0.0.0.0/0"))
        intake.factory.isTrusted = lambda address: True  # type: ignore[method-assign]
        server = intake.factory.buildProtocol(STRANGER)
        assert isinstance(server, IntakeProtocol)
        client = Talker()
        pump = iosim.connect(
            server,
            iosim.FakeTransport(server, isServer=True),
            client,
            iosim.FakeTransport(client, isServer=False),
        )
        assert client.transport is not None
        client.transport.write(TO_DATA + CONTENT + b".\r\nQUIT\r\n")
        pump.flush()
        self.assertEqual(
            [line[:3] for line in client.heard.splitlines() if line[3:4] == b" "],
            [b"220", b"250", b"250", b"250", b"354", b"250", b"221"],
        )
        self.assertEqual(len(intake.queue.added), 1)
        self.assertTrue(pump.serverIO.disconnected)
        self.assertEqual(intake.clock.getDelayedCalls(), [])
