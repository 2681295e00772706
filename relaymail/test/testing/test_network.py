# -*- test-case-name: relaymail.test.testing.test_network -*-
"""
Tests for L{relaymail.testing.network} and what it is made of.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import (
    CannotListenError,
    ConnectBindError,
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    NoRouteError,
    TimeoutError,
)
from twisted.internet.interfaces import (
    IReactorSSL,
    IReactorTCP,
    IReactorTime,
    IReactorUDP,
    ITCPTransport,
    ITLSTransport,
)
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from relaymail.testing.crashes import Crash
from relaymail.testing.links import RETRANSMISSION, Link
from relaymail.testing.network import Fate, Network
from relaymail.testing.streams import GIVE_UP, WINDOW

SERVER, CLIENT = "192.0.2.1", "198.51.100.1"


class Ear(Protocol):
    """
    Remembers what it hears, piece by piece, and how it ended.
    """

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.reason: Any = None
        self.at: list[float] = []

    def dataReceived(self, data: bytes) -> None:
        """
        Remember it.
        """
        self.pieces.append(data)
        self.at.append(self.transport.machine.seconds())  # type: ignore[union-attr]

    def connectionLost(self, reason: Any = None) -> None:
        """
        Remember it.
        """
        self.reason = reason

    @property
    def heard(self) -> bytes:
        """
        All of it.
        """
        return b"".join(self.pieces)


class Producer:
    """
    Writes as much as it is asked for.
    """

    def __init__(self, transport: Any, count: int) -> None:
        self.transport = transport
        self.left = count
        self.paused = 0

    def resumeProducing(self) -> None:
        """
        Write a piece.
        """
        self.isPaused = False
        while self.left and not self.isPaused:
            self.left -= 1
            self.transport.write(b"x" * 1000)
        if not self.left:
            self.transport.unregisterProducer()

    def pauseProducing(self) -> None:
        """
        Write no more.
        """
        self.isPaused = True
        self.paused += 1

    def stopProducing(self) -> None:
        """
        Never again.
        """
        self.left = 0


class NetworkTestCase(SynchronousTestCase):
    """
    Two machines.
    """

    def setUp(self) -> None:
        self.network = Network(seed=1)
        self.there = self.network.machine(SERVER, name="there")
        self.here = self.network.machine(CLIENT, name="here")
        self.servers: list[Ear] = []
        factory = Factory()
        factory.protocol = self.makeServer  # type: ignore[assignment]
        self.port = self.there.listenTCP(25, factory, interface=SERVER)

    def makeServer(self) -> Ear:
        """
        Make a server's protocol.
        """
        self.servers.append(Ear())
        return self.servers[-1]

    def dial(self, host: str = SERVER, timeout: float = 5) -> Any:
        """
        Begin to connect.
        """
        kind = TCP6ClientEndpoint if ":" in host else TCP4ClientEndpoint
        endpoint = kind(self.here, host, 25, timeout)
        return endpoint.connect(Factory.forProtocol(Ear))

    def connected(self) -> tuple[Any, Any]:
        """
        Connect.

        @return: The protocols of both ends.
        """
        client = self.dial()
        self.network.run(1)
        return self.successResultOf(client), self.servers[-1]


class ConnectTests(NetworkTestCase):
    """
    Connections come about, or do not.
    """

    def test_interfaces(self) -> None:
        """
        Machines and transports are what Twisted's are.
        """
        for reactor in (IReactorTime, IReactorTCP, IReactorSSL, IReactorUDP):
            verifyObject(reactor, self.here)
        client, _ = self.connected()
        for transport in (ITCPTransport, ITLSTransport):
            verifyObject(transport, client.transport)

    def test_connected(self) -> None:
        """
        Both ends know each other's address.
        """
        client, server = self.connected()
        self.assertEqual(client.transport.getPeer().host, SERVER)
        self.assertEqual(client.transport.getPeer().port, 25)
        self.assertEqual(server.transport.getPeer(), client.transport.getHost())
        self.assertEqual(client.transport.getHost().host, CLIENT)

    def test_fates(self) -> None:
        """
        Nobody refuses; silence lasts as long as the client waits.
        """
        self.network.fates["192.0.2.3"] = Fate.SILENT
        refused, silent = self.dial("192.0.2.2"), self.dial("192.0.2.3")
        self.network.run(4)
        self.failureResultOf(refused, ConnectionRefusedError)
        self.assertNoResult(silent)
        self.network.run(1)
        self.failureResultOf(silent, TimeoutError)
        self.assertEqual(self.network.tried, [("192.0.2.2", 25), ("192.0.2.3", 25)])

    def test_fateOfAMachine(self) -> None:
        """
        A fate goes before the machine that is there.
        """
        self.network.fates[SERVER] = Fate.REFUSED
        refused = self.dial()
        self.network.run()
        self.failureResultOf(refused, ConnectionRefusedError)

    def test_noRoute(self) -> None:
        """
        Where there is no way the client knows it at once.
        """
        self.network.fates[SERVER] = Fate.UNREACHABLE
        failed = self.dial()
        self.network.run()
        self.failureResultOf(failed, NoRouteError)

    def test_source(self) -> None:
        """
        A connection comes from the address that was asked for, and fails where the
        machine has not that address, or it is of another family.
        """
        here = self.network.machine("192.0.2.81", "192.0.2.82", "2001:db8::82")
        for source in ("192.0.2.82", "192.0.2.83", "2001:db8::82"):
            endpoint = TCP4ClientEndpoint(here, SERVER, 25, bindAddress=(source, 0))
            d: Any = endpoint.connect(Factory.forProtocol(Protocol))
            self.network.run()
            if source == "192.0.2.82":
                transport = self.successResultOf(d).transport
                self.assertEqual(transport.getHost().host, source)
            else:
                self.failureResultOf(d, ConnectBindError)
        self.assertEqual(self.network.tried, [(SERVER, 25)])

    def test_cancelledInTheMomentOfTheAnswer(self) -> None:
        """
        One that is given up by what happens in the moment of its answer builds
        nothing.
        """
        first, second = self.dial(), self.dial()
        first.addCallback(lambda _: second.cancel())
        self.network.run()
        self.failureResultOf(second)
        self.assertEqual([s.reason is None for s in self.servers], [True, False])

    def test_cancel(self) -> None:
        """
        A connection that is being made can be given up.
        """
        self.network.fates["2001:db8::1"] = Fate.SILENT
        d = self.dial("2001:db8::1")
        self.network.run(1)
        d.cancel()
        self.failureResultOf(d)
        self.network.run()
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_cancelledOnTheWay(self) -> None:
        """
        One that is given up while the answer is under way is cut.
        """
        self.network.setLink(Link(latency=1))
        d = self.dial()
        self.network.run(1.5)
        d.cancel()
        self.failureResultOf(d)
        self.network.run(5)
        self.assertIsNotNone(self.servers[0].reason)

    def test_nobodyListens(self) -> None:
        """
        A port that is closed refuses.
        """
        self.port.stopListening()
        d = self.dial()
        self.network.run()
        self.failureResultOf(d, ConnectionRefusedError)

    def test_latency(self) -> None:
        """
        A connection is there when the way there and back is gone.
        """
        self.network.setLink(Link(latency=1), self.here, self.there)
        d = self.dial()
        self.network.run(1.9)
        self.assertNoResult(d)
        self.network.run(0.2)
        self.successResultOf(d)

    def test_portIsTaken(self) -> None:
        """
        One port is listened on once.
        """
        self.assertRaises(
            CannotListenError, self.there.listenTCP, 25, Factory(), interface=SERVER
        )

    def test_freePorts(self) -> None:
        """
        Who asks for any port is told which.
        """
        one, other = (self.there.listenTCP(0, Factory()) for _ in range(2))
        self.assertNotEqual(one.getHost().port, other.getHost().port)
        self.assertNotEqual(one.getHost().port, 0)


class StreamTests(NetworkTestCase):
    """
    What is written arrives.
    """

    def test_bytes(self) -> None:
        """
        Both ways, in order.
        """
        client, server = self.connected()
        client.transport.write(b"one ")
        client.transport.writeSequence([b"two ", b"three"])
        server.transport.write(b"four")
        self.network.run()
        self.assertEqual((server.heard, client.heard), (b"one two three", b"four"))

    def test_segments(self) -> None:
        """
        What is written in one turn comes whole, or in as many pieces as the
        link makes.
        """
        client, server = self.connected()
        client.transport.write(b"ab")
        client.transport.write(b"cd")
        self.network.run()
        self.network.setLink(Link(segment=1))
        client.transport.write(b"ef")
        self.network.run()
        self.assertEqual(server.pieces, [b"abcd", b"e", b"f"])

    def test_lossKeepsTheOrder(self) -> None:
        """
        A lost segment comes late, and what is behind it after it.
        """
        self.network.setLink(Link(latency=0.1, loss=0.5, segment=1))
        client = self.dial(timeout=60)
        self.network.run(30)
        text = bytes(range(200))
        self.successResultOf(client).transport.write(text)
        self.network.run(600)
        server = self.servers[0]
        self.assertEqual(server.heard, text)
        self.assertEqual(server.at, sorted(server.at))
        self.assertGreater(server.at[-1] - server.at[0], RETRANSMISSION)

    def test_close(self) -> None:
        """
        What was written before comes before the end.
        """
        client, server = self.connected()
        client.transport.write(b"bye")
        client.transport.loseConnection()
        self.network.run()
        self.assertEqual(server.heard, b"bye")
        server.reason.trap(ConnectionDone)
        client.reason.trap(ConnectionDone)
        self.assertEqual((self.here.ends, self.there.ends), ({}, {}))

    def test_abort(self) -> None:
        """
        What was written before an abort in the same turn does not come.
        """
        client, server = self.connected()
        client.transport.write(b"bye")
        client.transport.abortConnection()
        self.network.run()
        self.assertEqual(server.heard, b"")
        server.reason.trap(ConnectionLost)
        client.reason.trap(ConnectionAborted)

    def test_pausedReader(self) -> None:
        """
        Who does not read is given nothing, neither bytes nor the end, until
        he does.
        """
        client, server = self.connected()
        server.transport.pauseProducing()
        client.transport.write(b"bye")
        client.transport.loseConnection()
        self.network.run(10)
        self.assertEqual((server.heard, server.reason), (b"", None))
        server.transport.resumeProducing()
        self.network.run()
        self.assertEqual(server.heard, b"bye")
        server.reason.trap(ConnectionDone)

    def test_window(self) -> None:
        """
        No more is under way to who does not read than a window, and a
        producer is told to wait.
        """
        client, server = self.connected()
        server.transport.pauseProducing()
        producer = Producer(client.transport, 1000)
        client.transport.registerProducer(producer, True)
        producer.resumeProducing()
        self.network.run(10)
        self.assertGreater(producer.paused, 0)
        self.assertGreater(producer.left, 0)
        self.assertLessEqual(client.transport.underWay, WINDOW)
        server.transport.resumeProducing()
        self.network.run(10)
        self.assertEqual((producer.left, len(server.heard)), (0, 1_000_000))

    def test_pullProducer(self) -> None:
        """
        One that is asked each time is asked until it has no more.
        """
        client, server = self.connected()

        class Pull(Producer):
            def resumeProducing(self) -> None:
                self.left -= 1
                self.transport.write(b"x")
                if not self.left:
                    self.transport.unregisterProducer()

        client.transport.registerProducer(Pull(client.transport, 3), False)
        self.network.run()
        self.assertEqual(server.heard, b"xxx")

    def test_cut(self) -> None:
        """
        A connection can be cut after any number of bytes, either way.
        """
        for limits in ({"received": 3}, {"sent": 3}):
            self.network.cutNext(SERVER, **limits)
            client, server = self.connected()
            for end in (client, server):
                end.transport.write(b"12345")
            self.network.run()
            cut = server if "received" in limits else client
            self.assertEqual(cut.heard, b"123")
            for end in (client, server):
                end.reason.trap(ConnectionLost)
        self.connected()[0].transport.write(b"12345")
        self.network.run()
        self.assertEqual(self.servers[-1].heard, b"12345")

    def test_cutAtOnce(self) -> None:
        """
        Or before the first.
        """
        self.network.cutNext(SERVER, received=0)
        client, server = self.connected()
        self.assertIsNotNone(client.reason)
        self.assertIsNotNone(server.reason)

    def test_parted(self) -> None:
        """
        What is sent while two machines are parted comes when they are joined.
        """
        client, server = self.connected()
        self.network.part(self.here, self.there)
        client.transport.write(b"one ")
        self.network.run(60)
        self.assertEqual(server.heard, b"")
        client.transport.write(b"two")
        self.network.join(self.here, self.there)
        self.network.run()
        self.assertEqual(server.heard, b"one two")

    def test_partedForTooLong(self) -> None:
        """
        Who sends gives up at some time; who does not knows nothing.
        """
        client, server = self.connected()
        self.network.part(self.here, self.there)
        client.transport.write(b"one")
        self.network.run(GIVE_UP - 1)
        self.assertIsNone(client.reason)
        self.network.run(2)
        client.reason.trap(ConnectionLost)
        self.assertIsNone(server.reason)

    def test_partedBeforeTheConnection(self) -> None:
        """
        A connection is made when two machines are joined in time.
        """
        self.network.part(self.here, self.there)
        d, silent = self.dial(), self.dial(timeout=2)
        self.network.run(3)
        self.failureResultOf(silent, TimeoutError)
        self.network.join(self.here, self.there)
        self.network.run(2)
        self.successResultOf(d)

    def test_mend(self) -> None:
        """
        All that was broken can be mended at once.
        """
        client, server = self.connected()
        self.network.part(self.here, self.there)
        self.network.fates[SERVER] = Fate.REFUSED
        self.network.cutNext(SERVER, received=1)
        client.transport.write(b"hello")
        self.network.run(1)
        self.network.mend()
        other, _ = self.connected()
        other.transport.write(b"hello")
        self.network.run()
        self.assertEqual([s.heard for s in self.servers], [b"hello", b"hello"])
        self.assertEqual(server.heard, b"hello")

    def test_sameSeedSameCourse(self) -> None:
        """
        With one seed the same happens at the same times.
        """
        seen = []
        for _ in range(2):
            self.setUp()
            link = Link(latency=0.1, loss=0.2, segment=5, ragged=True)
            self.network.setLink(link)
            client = self.dial(timeout=60)
            self.network.run(30)
            self.successResultOf(client).transport.write(bytes(100))
            self.network.run(60)
            seen.append((self.servers[0].pieces, self.servers[0].at))
        self.assertEqual(seen[0], seen[1])


class DownTests(NetworkTestCase):
    """
    Machines go down.
    """

    def test_killed(self) -> None:
        """
        The end of a program: what it wrote comes, it is told nothing, its
        calls are not made, its ports are closed.
        """
        client, server = self.connected()
        called: list[str] = []
        self.there.callLater(1, called.append, "late")
        server.transport.write(b"last words")
        self.there.kill()
        self.network.run(5)
        self.assertEqual(client.heard, b"last words")
        client.reason.trap(ConnectionDone)
        self.assertEqual((server.reason, called), (None, []))
        d = self.dial()
        self.network.run()
        self.failureResultOf(d, ConnectionRefusedError)

    def test_powerCut(self) -> None:
        """
        A machine without power is silent; when it is back it knows nothing.
        """
        client, server = self.connected()
        self.there.cutPower()
        silent = self.dial()
        self.network.run(6)
        self.failureResultOf(silent, TimeoutError)
        self.assertEqual((client.reason, server.reason), (None, None))
        self.there.boot()
        client.transport.write(b"hello?")
        self.network.run()
        client.reason.trap(ConnectionLost)
        self.assertEqual(server.heard, b"")

    def test_neverBack(self) -> None:
        """
        Who sends to one that is not back gives up at some time.
        """
        client, _ = self.connected()
        self.there.cutPower()
        client.transport.write(b"hello?")
        self.network.run(GIVE_UP - 1)
        self.assertIsNone(client.reason)
        self.network.run(2)
        client.reason.trap(ConnectionLost)

    def test_crashBeforeAWrite(self) -> None:
        """
        Each write is two moments to crash at: before it nothing is sent.
        """
        client, server = self.connected()
        self.here.points.crashAfter(0)
        self.assertRaises(Crash, client.transport.write, b"one")
        self.here.kill()
        self.network.run()
        self.assertEqual(server.heard, b"")

    def test_crashAfterAWrite(self) -> None:
        """
        After it all is.
        """
        client, server = self.connected()
        self.here.points.crashAfter(1)
        self.assertRaises(Crash, client.transport.write, b"one")
        self.assertRaises(Crash, client.transport.write, b"two")
        self.here.kill()
        self.network.run()
        self.assertEqual(server.heard, b"one")

    def test_nothingRunsOnADeadMachine(self) -> None:
        """
        Between the crash and what is made of it no call of its is made.
        """
        called: list[str] = []
        self.here.callLater(0, called.append, "late")
        self.here.points.crashAfter(0)
        self.assertRaises(Crash, self.here.points.point, "now")
        self.network.run()
        self.assertEqual(called, [])

    def test_whoWaitsForAConnection(self) -> None:
        """
        A connection that was asked for before the end is no more wanted.
        """
        self.network.setLink(Link(latency=1))
        d = self.dial()
        self.network.run(1.5)
        self.here.kill()
        self.network.run(10)
        self.assertNoResult(d)
        self.assertEqual(self.here.ends, {})
        self.servers[0].reason.trap(ConnectionLost)

    def test_startedAgain(self) -> None:
        """
        A machine that was killed is as good as new.
        """
        self.there.kill()
        factory = Factory()
        factory.protocol = self.makeServer  # type: ignore[assignment]
        self.there.listenTCP(25, factory, interface=SERVER)
        client, server = self.connected()
        client.transport.write(b"hello")
        self.network.run()
        self.assertEqual(server.heard, b"hello")

    def test_callsThatArePending(self) -> None:
        """
        A machine knows its own calls only.
        """
        self.there.callLater(1, lambda: None)
        call = self.here.callLater(1, lambda: None)
        self.assertEqual(self.here.getDelayedCalls(), [call])
        self.network.run(2)
        self.assertEqual(self.here.getDelayedCalls(), [])


class DatagramTests(NetworkTestCase):
    """
    Datagrams come, or do not.
    """

    def setUp(self) -> None:
        super().setUp()
        self.heard: list[tuple[bytes, Any]] = []

        class Listener(DatagramProtocol):
            def datagramReceived(_, datagram: bytes, addr: Any) -> None:
                self.heard.append((datagram, addr))

        self.listener = Listener()
        self.there.listenUDP(53, self.listener, SERVER)
        self.sender = DatagramProtocol()
        self.here.listenUDP(0, self.sender)

    def send(self, datagram: bytes) -> None:
        """
        Send one.
        """
        assert self.sender.transport is not None
        self.sender.transport.write(datagram, (SERVER, 53))

    def test_come(self) -> None:
        """
        With where they are from.
        """
        self.send(b"hello")
        self.network.run()
        ((datagram, (host, _)),) = self.heard
        self.assertEqual((datagram, host), (b"hello", CLIENT))

    def test_lost(self) -> None:
        """
        Some are lost where the link loses.
        """
        self.network.setLink(Link(loss=0.5))
        for _ in range(100):
            self.send(b"hello")
        self.network.run()
        self.assertTrue(20 < len(self.heard) < 80)

    def test_notTaken(self) -> None:
        """
        None comes to who is parted, has no power, or does not listen.
        """
        self.network.part(self.here, self.there)
        self.send(b"hello")
        self.network.run()
        self.network.join(self.here, self.there)
        self.there.cutPower()
        self.send(b"hello")
        self.network.run()
        self.there.boot()
        self.send(b"hello")
        self.network.run()
        self.assertEqual(self.heard, [])
