"""
Tests for L{relaymail.prompt}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReactorTime
from twisted.internet.main import CONNECTION_LOST
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from relaymail.prompt import promptly
from relaymail.test.sockets import Pair

#: More than the sockets of a pair hold.
LARGE = b"".join(b"%07d\n" % number for number in range(1 << 18))


class Told(Protocol):
    """
    Notes what it is told, as a protocol and as a producer.

    @ivar told: What it was told.
    @ivar trouble: What it raises then, if anything.
    """

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.trouble: Exception | None = None

    def _note(self, what: Any) -> None:
        self.told.append(what)
        if self.trouble is not None:
            raise self.trouble

    def connectionMade(self) -> None:
        """
        Write at the end of each turn from now on.
        """
        promptly(self.transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Note it.
        """
        self._note(reason.type)

    def pauseProducing(self) -> None:
        """
        Note it.
        """
        self._note("pause")

    def resumeProducing(self) -> None:
        """
        Note it.
        """
        self._note("resume")

    def stopProducing(self) -> None:
        """
        Do nothing.
        """


class PromptTests(SynchronousTestCase):
    """
    Tests for L{promptly}.
    """

    def setUp(self) -> None:
        """
        Connect.
        """
        self.protocol = Told()
        self.pair = Pair(self.protocol)
        self.addCleanup(self.pair.close)
        self.transport = self.pair.transport
        self.reactor = self.pair.reactor

    def another(self) -> Pair:
        """
        Connect once more, by the same reactor.
        """
        pair = Pair(Told(), self.reactor)
        self.addCleanup(pair.close)
        return pair

    def test_endOfTurn(self) -> None:
        """
        What is written is sent at the end of the turn, together; the operating
        system is asked for nothing.
        """
        self.transport.write(b"one ")
        self.transport.write(b"two")
        self.assertEqual(self.pair.received(), b"")
        self.reactor.advance(0)
        self.assertEqual(self.pair.peer.recv(100), b"one two")
        self.assertEqual(self.reactor.writers, set())
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_oneEndForAll(self) -> None:
        """
        All connections of a reactor write then, in the order in which they were
        written to.
        """
        other = self.another()
        self.transport.write(b"one")
        other.transport.write(b"two")
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
        self.assertEqual(self.pair.endTurn(), b"one")
        self.assertEqual(other.received(), b"two")

    def test_P8_clockIsSetBack(self) -> None:
        """
        A clock that is set back before the turn ends does not keep what is written
        afterwards from being sent, nor what was written before.
        """
        self.transport.write(b"one ")
        self.reactor.rightNow -= 3600
        self.transport.write(b"two")
        self.reactor.advance(0)
        self.assertEqual(self.pair.peer.recv(100), b"one two")
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_fullSocket(self) -> None:
        """
        A socket that does not take all is watched until it has; what is written
        meanwhile is sent behind, and then it is as before.
        """
        self.transport.write(LARGE)
        first = self.pair.endTurn()
        self.assertEqual(self.reactor.writers, {self.transport})
        self.transport.write(b"two")
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(first + self.pair.turns(), LARGE + b"two")
        self.assertEqual(self.reactor.writers, set())
        self.transport.write(b"three")
        self.assertEqual(self.pair.endTurn(), b"three")

    def test_writtenBefore(self) -> None:
        """
        What is already watched for stays so until it has written.
        """
        self.transport.reactor = self.reactor
        self.transport.write(b"one ")
        promptly(self.transport)
        self.transport.write(b"two")
        self.assertEqual(self.pair.turns(), b"one two")
        self.assertEqual(self.reactor.writers, set())

    def test_producer(self) -> None:
        """
        A producer is paused when much waits, and resumed when it is sent.
        """
        self.transport.registerProducer(self.protocol, True)
        self.transport.write(LARGE)
        self.assertEqual(self.protocol.told, ["pause"])
        self.assertEqual(self.pair.turns(), LARGE)
        self.assertEqual(self.protocol.told, ["pause", "resume"])

    def test_pullProducer(self) -> None:
        """
        One that writes whenever the transport asks gets one turn at a time.
        """

        class Three(Told):
            def resumeProducing(three) -> None:
                three.told.append(self.transport.write(b"x"))

        three = Three()
        self.transport.registerProducer(three, False)
        for count in (1, 2, 3):
            self.assertEqual((len(three.told), self.pair.endTurn()), (count, b"x"))

    def test_thenClosed(self) -> None:
        """
        A connection that is closed is closed behind what was written.
        """
        self.transport.write(b"bye")
        self.transport.loseConnection()
        self.assertEqual(self.protocol.told, [])
        self.assertEqual(self.pair.endTurn(), b"bye")
        self.assertEqual(self.protocol.told, [ConnectionDone])
        self.assertEqual((self.reactor.readers, self.reactor.writers), (set(), set()))

    def test_thenClosedWhenFull(self) -> None:
        """
        It is closed when all is sent.
        """
        self.transport.write(LARGE)
        self.transport.loseConnection()
        self.assertEqual(self.pair.turns(), LARGE)
        self.assertEqual(self.protocol.told, [ConnectionDone])

    def test_halfClosed(self) -> None:
        """
        Our half of the connection is closed behind what was written.
        """
        self.transport.write(b"all")
        self.transport.loseWriteConnection()
        self.assertEqual(self.pair.endTurn(), b"all")
        self.assertEqual(self.protocol.told, [])
        self.assertEqual(self.reactor.readers, {self.transport})

    def test_aborted(self) -> None:
        """
        Nothing is sent once the connection is cut.
        """
        self.transport.write(b"late")
        self.transport.abortConnection()
        self.assertEqual(self.pair.endTurn(), b"")
        self.assertEqual(len(self.protocol.told), 1)

    def test_lostMeanwhile(self) -> None:
        """
        Once the connection is lost, what was written is let go.
        """
        self.transport.write(b"late")
        self.transport.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.pair.endTurn(), b"")
        self.assertEqual(self.protocol.told, [ConnectionLost])

    def test_lostByAnother(self) -> None:
        """
        A connection that another one ends at the end of the turn does not write.
        """
        other = self.another()

        class Ending(Told):
            def connectionLost(self, reason: Failure = connectionDone) -> None:
                other.transport.abortConnection()

        self.transport.protocol = Ending()
        self.transport.loseConnection()
        other.transport.write(b"late")
        self.pair.endTurn()
        self.assertEqual(other.received(), b"")

    def test_peerIsGone(self) -> None:
        """
        That the peer is gone is left for the reactor to find.
        """
        self.pair.peer.close()
        self.transport.write(b"to nobody")
        self.reactor.advance(0)
        self.assertEqual(self.protocol.told, [])
        self.assertEqual(self.reactor.writers, {self.transport})
        self.assertIs(self.transport.doWrite(), CONNECTION_LOST)

    def test_brokenProducer(self) -> None:
        """
        A connection whose producer raises is lost, and the others write.
        """
        other = self.another()
        self.protocol.trouble = RuntimeError("broken")
        self.transport.registerProducer(self.protocol, True)
        self.transport.producerPaused = True
        self.transport.write(b"one")
        other.transport.write(b"two")
        self.assertEqual(self.pair.endTurn(), b"one")
        self.assertEqual(other.received(), b"two")
        self.assertEqual(self.protocol.told, ["resume", RuntimeError])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)

    def test_brokenProtocol(self) -> None:
        """
        A protocol that raises when its connection is lost harms no other.
        """
        other = self.another()
        self.protocol.trouble = RuntimeError("broken")
        self.transport.loseConnection()
        other.transport.write(b"two")
        self.reactor.advance(0)
        self.assertEqual(other.received(), b"two")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_startTLS(self) -> None:
        """
        What was written before TLS was begun is sent in clear, and nothing else.
        """
        self.transport.write(b"220 go ahead\r\n")
        self.transport.startTLS(CertificateOptions(), False)
        self.transport.write(b"secret")
        got = self.pair.endTurn()
        self.assertEqual(got[:15], b"220 go ahead\r\n\x16")
        self.assertNotIn(b"secret", got)

    def test_otherTransports(self) -> None:
        """
        Other transports are left alone.
        """
        plain = StringTransport()
        promptly(plain)
        plain.write(b"plain")
        self.assertEqual(plain.value(), b"plain")

    def test_reactor(self) -> None:
        """
        A connection finds all else of its reactor, and asking twice is asking
        once.
        """
        seen = self.transport.reactor
        self.assertEqual(seen.seconds(), self.reactor.seconds())
        self.assertTrue(IReactorTime.providedBy(seen))
        promptly(self.transport)
        self.assertIs(self.transport.reactor, seen)
