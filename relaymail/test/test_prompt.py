"""
Tests for L{relaymail.prompt}.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionLost
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.internet.tcp import Server
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.test.iosim import FakeTransport
from twisted.trial.unittest import SynchronousTestCase

from relaymail.prompt import writeNow
from relaymail.test.sockets import Pair

#: More than the sockets of a pair hold.
LARGE = b"".join(b"%07d\n" % number for number in range(1 << 18))


class Told(Protocol):
    """
    Notes what it is told, as a protocol and as a producer.
    """

    def __init__(self) -> None:
        self.told: list[str] = []

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Note it.
        """
        self.told.append("lost")

    def pauseProducing(self) -> None:
        """
        Note it.
        """
        self.told.append("pause")

    def resumeProducing(self) -> None:
        """
        Note it.
        """
        self.told.append("resume")

    def stopProducing(self) -> None:
        """
        Note it.
        """
        self.told.append("stop")


class OtherTwisted(Server):
    """
    A connection that keeps what waits elsewhere.

    @ivar written: What was written.
    """

    connected = True

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        """
        Note it.
        """
        self.written += data


class WriteNowTests(SynchronousTestCase):
    """
    Tests for L{writeNow}.
    """

    def setUp(self) -> None:
        """
        Connect.
        """
        self.protocol = Told()
        self.pair = Pair(self.protocol)
        self.addCleanup(self.pair.close)
        self.transport = self.pair.transport

    def test_atOnce(self) -> None:
        """
        What the socket takes is sent at once; the reactor is asked for nothing.
        """
        writeNow(self.transport, b"250 yes\r\n")
        self.assertEqual(self.pair.received(), b"250 yes\r\n")
        self.assertEqual(self.pair.reactor.writers, set())

    def test_behindWhatWaits(self) -> None:
        """
        What was given to the transport before is sent before.
        """
        self.transport.write(b"one ")
        writeNow(self.transport, b"two ")
        self.transport.write(b"three")
        self.assertEqual(self.pair.received(), b"")
        self.assertEqual(self.pair.turns(), b"one two three")

    def test_fullSocket(self) -> None:
        """
        What a full socket does not take is sent later, nothing overtakes it, and
        once all is sent it is at once again.
        """
        writeNow(self.transport, LARGE)
        writeNow(self.transport, b"two ")
        self.transport.write(b"three ")
        self.transport.doWrite()
        writeNow(self.transport, b"four")
        self.assertEqual(self.pair.turns(), LARGE + b"two three four")
        writeNow(self.transport, b"five")
        self.assertEqual(self.pair.received(), b"five")

    def test_fullBeforehand(self) -> None:
        """
        Where the socket takes nothing at all, all is sent later.
        """
        filled = self.transport.socket.send(b"x" * len(LARGE))
        writeNow(self.transport, b"y" * 10)
        self.assertEqual(self.pair.turns(), b"x" * filled + b"y" * 10)

    def test_partOfWhatWaits(self) -> None:
        """
        Nothing overtakes what was sent in part.
        """
        self.transport.write(LARGE)
        self.transport.doWrite()
        writeNow(self.transport, b"end")
        self.assertEqual(self.pair.turns(), LARGE + b"end")

    def test_producer(self) -> None:
        """
        A producer is paused when much waits, and resumed when it is sent.
        """
        self.transport.registerProducer(self.protocol, True)
        writeNow(self.transport, b"little")
        self.assertEqual(self.protocol.told, [])
        writeNow(self.transport, LARGE)
        self.assertEqual(self.protocol.told, ["pause"])
        self.assertEqual(self.pair.turns(), b"little" + LARGE)
        self.assertEqual(self.protocol.told, ["pause", "resume"])

    def test_thenClosed(self) -> None:
        """
        A connection that is closed behind a write is closed when all is sent.
        """
        writeNow(self.transport, LARGE)
        self.transport.loseConnection()
        pieces = [self.pair.received()]
        while (why := self.transport.doWrite()) is None:
            pieces.append(self.pair.received())
        self.assertIs(why, CONNECTION_DONE)
        self.assertEqual(b"".join([*pieces, self.pair.received()]), LARGE)

    def test_closing(self) -> None:
        """
        On a connection that is being closed it is the transport's to decide.
        """
        self.transport.loseConnection()
        writeNow(self.transport, b"late")
        self.assertEqual(self.pair.received(), b"")

    def test_aborted(self) -> None:
        """
        Nothing is sent once the connection is cut.
        """
        self.transport.abortConnection()
        writeNow(self.transport, b"late")
        self.assertEqual(self.pair.received(), b"")
        self.pair.reactor.advance(0)
        self.assertEqual(self.protocol.told, ["lost"])

    def test_lost(self) -> None:
        """
        Once the connection is lost, what is written is let go.
        """
        self.transport.connectionLost(Failure(ConnectionLost()))
        writeNow(self.transport, b"late")
        self.assertEqual(self.pair.received(), b"")
        self.assertEqual(self.protocol.told, ["lost"])

    def test_halfClosed(self) -> None:
        """
        Once our half of the connection is closed, what is written is let go.
        """
        self.transport.loseWriteConnection()
        self.pair.turns()
        writeNow(self.transport, b"late")
        self.assertEqual(self.transport.dataBuffer, b"")
        self.assertEqual(self.pair.reactor.writers, set())
        self.assertEqual(self.protocol.told, [])

    def test_peerIsGone(self) -> None:
        """
        That the peer is gone is left for the reactor to find.
        """
        self.pair.peer.close()
        writeNow(self.transport, b"to nobody")
        self.assertEqual(self.protocol.told, [])
        self.assertEqual(self.pair.reactor.writers, {self.transport})
        self.assertIs(self.transport.doWrite(), CONNECTION_LOST)

    def test_startTLS(self) -> None:
        """
        Once TLS was begun, nothing is sent that is not under it.
        """
        writeNow(self.transport, b"220 go ahead\r\n")
        self.transport.startTLS(CertificateOptions(), False)
        writeNow(self.transport, b"secret")
        got = self.pair.turns()
        self.assertEqual(got[:15], b"220 go ahead\r\n\x16")
        self.assertNotIn(b"secret", got)

    def test_otherTransports(self) -> None:
        """
        On any other transport it is a write.
        """
        plain = StringTransport()
        writeNow(plain, b"plain")
        self.assertEqual(plain.value(), b"plain")
        other = FakeTransport(self.protocol, isServer=False)
        writeNow(other, b"other")
        self.assertEqual(other.getOutBuffer(), b"other")

    def test_otherTwisted(self) -> None:
        """
        On a connection that keeps what waits where it is not looked for, it is
        a write.
        """
        other = OtherTwisted()
        writeNow(other, b"later")
        self.assertEqual(other.written, b"later")
