# -*- test-case-name: relaymail.test.test_service -*-
"""
Tests for L{relaymail.service}.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any, ClassVar

from twisted.application.service import IService, Service
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from relaymail import assembly, relaymanager, service
from relaymail.configuration import configure
from relaymail.dropping import files
from relaymail.errors import (
    ConfigurationError,
    MalformedAddress,
    QueueLocked,
    QueueUnusable,
)
from relaymail.intake.server import IntakeFactory
from relaymail.queue.spool import spool
from relaymail.queue.spool.schema import QueueDamaged
from relaymail.schedule.rates import Rate
from relaymail.service import Relay
from relaymail.stopping import STOP_PATIENCE
from relaymail.test.certificates import writeCertificate
from relaymail.test.stories.harness import Logged

CLIENT = IPv4Address("TCP", "127.0.0.1", 4321)


class InlineWorker:
    """
    Runs what the queue writes at once.
    """

    def __init__(self, reactor: object) -> None:
        self.stopped = False

    def run(self, function: Callable[[], Any]) -> Deferred[Any]:
        """
        Run it.
        """
        return succeed(function())

    def stop(self) -> None:
        """
        Nothing runs.
        """
        self.stopped = True


class Guard(Service):
    """
    A clock guard without a thread.
    """

    def __init__(self, reactor: object) -> None:
        self.reactor = reactor


class TestRelay(Relay):
    """
    A relay without threads.
    """

    workerFactory: ClassVar[Any] = InlineWorker
    guardFactory: ClassVar[Any] = Guard


class RelayTestCase(SynchronousTestCase):
    """
    Makes relays on a reactor in memory.
    """

    def setUp(self) -> None:
        """
        Begin with an empty place for a queue.
        """
        self.reactor = MemoryReactorClock()
        self.reactor.rightNow = 1_700_000_000.0
        self.directory = os.path.abspath(self.mktemp())

    def make(self, **settings: Any) -> TestRelay:
        """
        Make a relay, which is stopped when the test ends.
        """
        told = {"hostname": "relay.example.com", "queue": self.directory, **settings}
        relay = TestRelay(reactor=self.reactor, **told)
        self.addCleanup(self.stop, relay)
        return relay

    def start(self, **settings: Any) -> TestRelay:
        """
        Make a relay and start it.
        """
        relay = self.make(**settings)
        relay.privilegedStartService()
        relay.startService()
        return relay

    def stop(self, relay: Relay) -> None:
        """
        Stop a relay within its bounds.
        """
        d = relay.stopService()
        for _ in range(10):
            self.reactor.advance(STOP_PATIENCE / 4)
        self.successResultOf(d)


class StartTests(RelayTestCase):
    """
    Tests for how a relay starts.
    """

    def test_service(self) -> None:
        """
        A relay is a service.
        """
        self.assertTrue(IService.providedBy(self.make()))

    def test_toldWhere(self) -> None:
        """
        The log says to whom mail is given, senders with hosts of their own included.
        """
        shop = {"@shop.example": ["a.example"]}
        for senders, told in (
            ({}, "gives it to mx.example"),
            (shop, "mx.example, and that of @shop.example to hosts of their own"),
            ({**shop, "b@x.example": ["a.example"]}, "and that of 2 senders or"),
        ):
            with Logged() as logged:
                relay = self.start(smartHosts=["mx.example"], senderHosts=senders)
            self.assertIn(told, "\n".join(logged.texts))
            self.stop(relay)

    def test_nothingIsOpenedBeforeTheStart(self) -> None:
        """
        A relay that was made has opened nothing; with privileges it opens its
        ports, and only after that its queue, for itself alone.
        """
        relay = self.make(smtp="tcp:2525")
        self.assertEqual(self.reactor.tcpServers, [])
        relay.privilegedStartService()
        self.assertEqual([s[0] for s in self.reactor.tcpServers], [2525])
        self.assertFalse(os.path.exists(self.directory))
        relay.startService()
        mode = stat.S_IMODE(os.stat(self.directory).st_mode)
        self.assertEqual(mode, 0o700)
        self.assertEqual(len(self.reactor.tcpServers), 1)

    def test_startWithoutPrivileges(self) -> None:
        """
        The start opens the ports where nobody did before.
        """
        relay = self.make(smtp=["tcp:2525", "tcp:2526"])
        relay.startService()
        self.assertEqual([a.port for a in relay.addresses], [2525, 2526])

    def test_noPortUnlessAsked(self) -> None:
        """
        A relay in a program listens nowhere unless it is told to.
        """
        relay = self.start()
        self.assertEqual(relay.addresses, [])
        self.assertEqual(self.reactor.tcpServers, [])

    def test_configuration(self) -> None:
        """
        A relay takes a configuration or settings, not both.
        """
        told = configure(queue=self.directory, hostname="a.example.com")
        self.assertIs(Relay(told).configuration, told)
        self.assertRaises(TypeError, Relay, told, queue="spool")

    def test_manager(self) -> None:
        """
        The relaying manager is told everything that was configured, and the
        queue wakes it.
        """
        relay = self.start(
            smtp="tcp:2525:interface=127.0.0.1",
            smartHosts="mail.example.com",
            mxPort=26,
            retry="1m,2m",
            expire="1d",
            maxConnections=7,
            maxMessagesPerConnection=8,
            maxConnectionsPerDestination=9,
            destinationRates=("a.example=5/s",),
            senderRates=("*=7/m",),
            maxMessageSize="1M",
            allowDestinations="10.0.0.0/8",
        )
        manager = relay.manager
        self.assertIsInstance(manager, relaymanager.SmartHostESMTPRelayingManager)
        self.assertIs(manager.queue, relay.queue)
        self.assertEqual(manager.maxConnections, 7)
        self.assertEqual(manager.maxMessagesPerConnection, 8)
        self.assertEqual(manager.maxConnectionsPerSite, 9)
        self.assertEqual(relay.intake.offer.messageSize, 1024 * 1024)
        self.assertEqual(manager.destinationRates, {"a.example": Rate(5, 1)})
        self.assertEqual(manager.senderRates, {"*": Rate(7, 60)})
        self.assertEqual(manager.fArgs, (None, None, b"relay.example.com"))
        self.assertIs(manager.reactor, self.reactor)
        self.assertEqual(manager.PORT, 26)
        self.assertEqual(manager.ownNames, ("relay.example.com",))
        self.assertEqual([h.name for h in manager.smartHosts], ["mail.example.com"])
        self.assertEqual(manager.retrySchedule, (60, 120))
        self.assertEqual(manager.expireAfter, 86400)
        self.assertEqual(manager.destinations.allowed, (ip_network("10.0.0.0/8"),))
        self.assertEqual(manager.destinations.ownPorts, {2525})
        self.assertEqual(relay.queue.onWaiting, manager.wake)
        self.assertEqual(relay.queue.suspendedUntil, manager.suspendedUntil)

    def test_ownAddresses(self) -> None:
        """
        A relay that listens on every address of the machine knows them.
        """
        self.patch(assembly, "machineAddresses", lambda: frozenset({"192.0.2.7"}))
        relay = self.start(smtp="tcp:2525")
        self.assertIn("192.0.2.7", relay.manager.destinations.ownAddresses)

    def test_classesAreLookedUpAtTheStart(self) -> None:
        """
        A program may put another manager in place before the start.
        """

        class Other(relaymanager.SmartHostESMTPRelayingManager):
            """
            Another manager.
            """

        self.patch(relaymanager, "SmartHostESMTPRelayingManager", Other)
        self.assertIsInstance(self.start().manager, Other)

    def test_portInUse(self) -> None:
        """
        A port that cannot be had is told of in one sentence, and the ports
        that were had are given back; the queue is not touched.
        """
        listen = self.reactor.listenTCP

        def listenTCP(port: int, *args: Any, **kwargs: Any) -> Any:
            if port == 2526:
                raise CannotListenError("", 2526, OSError(98, "Address already in use"))
            return listen(port, *args, **kwargs)

        self.patch(self.reactor, "listenTCP", listenTCP)
        relay = self.make(smtp=["tcp:2525", "tcp:2526"])
        error = self.assertRaises(ConfigurationError, relay.privilegedStartService)
        self.assertIn("'tcp:2526': Address already in use", str(error))
        self.assertEqual(relay.ports, [])
        self.assertFalse(os.path.exists(self.directory))

    def test_queueLocked(self) -> None:
        """
        A second relay does not start on the same queue, keeps no port, and
        the first goes on.
        """
        first = self.start()
        second = self.make(smtp="tcp:2525")
        second.privilegedStartService()
        self.assertRaises(QueueLocked, second.startService)
        self.assertEqual(second.ports, [])
        d = first.send("a@example.com", "b@example.com", "text")
        self.reactor.advance(0)
        self.assertEqual(len(self.successResultOf(d)), 1)

    def test_startFailsBehindTheLock(self) -> None:
        """
        A relay that fails to start once it has the queue gives it up: another
        one can have it.
        """
        relay = self.make()
        self.patch(service, "IntakeFactory", None)
        self.assertRaises(TypeError, relay.startService)
        self.flushLoggedErrors()
        self.patch(service, "IntakeFactory", IntakeFactory)
        self.reactor.advance(0)
        self.start()

    def test_A08_queueOpenToOthers(self) -> None:
        """
        A queue that others can write in is not used.
        """
        os.mkdir(self.directory)
        os.chmod(self.directory, 0o777)
        relay = self.make()
        error = self.assertRaises(QueueUnusable, relay.startService)
        self.assertIn("written by others", str(error))

    def test_tls(self) -> None:
        """
        With a key and a certificate STARTTLS is offered; without it is not.
        """
        key, cert = writeCertificate(Path(self.mktemp()))
        relay = self.start(smtp="tcp:2525", tlsKey=key, tlsCert=cert)
        self.assertIn(b"STARTTLS", ehlo(relay))
        self.stop(relay)
        relay = self.start(smtp="tcp:2525")
        self.assertNotIn(b"STARTTLS", ehlo(relay))


def ehlo(relay: TestRelay) -> bytes:
    """
    Give what a client of the relay is told after its EHLO.
    """
    protocol = relay.intake.buildProtocol(CLIENT)
    transport = StringTransport(peerAddress=CLIENT)
    protocol.makeConnection(transport)
    protocol.dataReceived(b"EHLO client.example.com\r\n")
    protocol.connectionLost(Failure(ConnectionDone()))
    told: bytes = transport.value()
    return told


class IntakeTests(RelayTestCase):
    """
    Tests for what comes in through a port.
    """

    def connect(self) -> tuple[Any, StringTransport]:
        """
        Connect to the first port.
        """
        factory = self.reactor.tcpServers[0][1]
        protocol = factory.buildProtocol(CLIENT)
        transport = StringTransport(peerAddress=CLIENT)
        if protocol is not None:
            protocol.makeConnection(transport)
            lost = Failure(ConnectionDone())
            self.addCleanup(protocol.connectionLost, lost)
        return protocol, transport

    def test_closedBeforeTheStart(self) -> None:
        """
        Nobody is let in between opening the ports and opening the queue.
        """
        relay = self.make(smtp="tcp:2525")
        relay.privilegedStartService()
        self.assertIsNone(self.connect()[0])

    def test_P1_mailThroughThePort(self) -> None:
        """
        Mail that is answered 250 is in the queue, and was not before.
        """
        relay = self.start(smtp="tcp:2525", smartHosts="192.0.2.25")
        protocol, transport = self.connect()
        protocol.dataReceived(
            b"EHLO client.example.com\r\nMAIL FROM:<a@example.com>\r\n"
            b"RCPT TO:<b@example.net>\r\nDATA\r\n"
        )
        transport.clear()
        protocol.dataReceived(b"Subject: x\r\n\r\ntext\r\n.\r\n")
        self.assertEqual(transport.value(), b"")
        self.assertEqual(relay.queue.getWaiting() + relay.queue.getRelayed(), [])
        self.reactor.advance(0)
        self.assertTrue(transport.value().startswith(b"250 "), transport.value())
        self.assertEqual(len(relay.queue.getWaiting() + relay.queue.getRelayed()), 1)

    def test_P7_damagedSpool(self) -> None:
        """
        The database is looked through after the start; where it is damaged
        clients and programs are told to try again later.
        """
        self.patch(spool, "check", lambda path, connect: "row 7 is missing")
        relay = self.start(smtp="tcp:2525")
        self.assertIn("row 7 is missing", relay.queue.trouble)
        self.failureResultOf(relay.send("", "b@example.com", "x"), QueueDamaged)
        protocol, transport = self.connect()
        protocol.dataReceived(b"EHLO client.example.com\r\n")
        transport.clear()
        protocol.dataReceived(b"MAIL FROM:<a@example.com>\r\n")
        self.assertTrue(transport.value().startswith(b"451 4.3.0"), transport.value())


class EngineTests(RelayTestCase):
    """
    Tests that the service runs the seed's classes.
    """

    def test_attemptManagerIsReplaced(self) -> None:
        """
        A program that puts its own attempt manager in the place of the seed's
        before the service is made is told of each success, as the seed tells.
        """
        told: list[tuple[Any, str, bool]] = []

        class Recording(relaymanager._AttemptManager):
            """
            Notes what it is told.
            """

            def notifySuccess(self, relay: Any, message: str) -> None:
                """
                Note it.
                """
                told.append((relay, message, relay in self.manager.managed))
                super().notifySuccess(relay, message)

        self.patch(relaymanager, "_AttemptManager", Recording)
        relay = self.start(smartHosts="192.0.2.25")
        d = relay.send("a@example.com", "b@example.net", "text")
        self.reactor.advance(0)
        (name,) = self.successResultOf(d)
        path = relay.queue.getPath(name)
        self.reactor.advance(0)
        self.deliver()
        ((factory, message, managed),) = told
        self.assertIsInstance(factory, relaymanager.ESMTPManagedRelayerFactory)
        self.assertEqual(message, path)
        self.assertTrue(managed)

    def deliver(self) -> None:
        """
        Be the host that the relay connects to, and take one message.
        """
        host, port, factory, *_ = self.reactor.tcpClients[-1]
        self.assertEqual((host, port), ("192.0.2.25", 25))
        address = IPv4Address("TCP", host, port)
        protocol: Any = factory.buildProtocol(address)
        transport: Any = StringTransport(peerAddress=address)
        transport.abortConnection = transport.loseConnection
        protocol.makeConnection(transport)
        for reply in (b"220 hello", b"250 you", b"250 from", b"250 to", b"354 go"):
            protocol.dataReceived(reply + b"\r\n")
        while transport.producer is not None:
            transport.producer.resumeProducing()
        self.assertTrue(transport.value().endswith(b"\r\ntext\r\n.\r\n"))
        protocol.dataReceived(b"250 taken\r\n")
        self.reactor.advance(0)
        protocol.connectionLost(Failure(ConnectionDone()))


class SendTests(RelayTestCase):
    """
    Tests for L{Relay.send}.
    """

    def test_send(self) -> None:
        """
        A message is taken: the names are told when it is on the disk.
        """
        relay = self.start()
        d = relay.send("a@example.com", ["b@example.net", "c@example.net"], "x\ny")
        self.assertNoResult(d)
        self.reactor.advance(0)
        names = self.successResultOf(d)
        self.assertEqual(len(names), 2)
        letter = relay.queue.letter(names[1])
        self.assertEqual(letter[:2], ["a@example.com", "c@example.net"])
        header, _, body = letter.file.read().partition(b"\r\n\r\n")
        self.assertEqual(body, b"x\r\ny\r\n")
        # What is missing is put in, as for other programs of this machine.
        self.assertIn(b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n", header)
        self.assertIn(b"@relay.example.com>", header)

    def test_fromMachines(self) -> None:
        """
        Names without a domain get that of the machine, and those that stand for
        others are the others.
        """
        relay = self.start(origin="example.com", aliases={"root": "ops@example.net"})
        d = relay.send("cron", ["root", "b"], "Subject: x\n\ny\n")
        self.reactor.advance(0)
        letters = [relay.queue.letter(name)[:2] for name in self.successResultOf(d)]
        self.assertEqual(
            letters,
            [
                ["cron@example.com", "ops@example.net"],
                ["cron@example.com", "b@example.com"],
            ],
        )

    def test_dropDirectory(self) -> None:
        """
        What programs have left in the drop directory while the relay was down is
        taken when it starts.
        """
        drop = os.path.abspath(self.mktemp())
        files.prepare(drop)
        content = b"Subject: x\r\n\r\n"
        files.write(drop, "a@example.com", ("b@example.net",), content, "ab" * 16)
        relay = self.start(drop=drop)
        for _ in range(5):
            self.reactor.advance(0)
        self.assertEqual([n for n in os.listdir(drop) if files.isMessage(n)], [])
        (name,) = relay.queue.getResting()
        self.assertEqual(
            relay.queue.getEnvelope(name), ["a@example.com", "b@example.net"]
        )

    def test_A03_badAddress(self) -> None:
        """
        An address that could carry a command is refused, and nothing is
        queued.
        """
        relay = self.start()
        bad = "b@example.net\r\nRCPT TO:<c@example.net>"
        self.failureResultOf(relay.send("a@example.com", bad, "x"), MalformedAddress)
        self.reactor.advance(0)
        self.assertEqual(relay.queue.getWaiting() + relay.queue.getRelayed(), [])

    def test_notRunning(self) -> None:
        """
        A relay that does not run takes nothing, and says so.
        """
        relay = self.make()
        d = relay.send("a@example.com", "b@example.net", "x")
        self.failureResultOf(d, QueueUnusable)
        relay.startService()
        self.stop(relay)
        d = relay.send("a@example.com", "b@example.net", "x")
        self.failureResultOf(d, QueueUnusable)


class StopTests(RelayTestCase):
    """
    Tests for how a relay stops.
    """

    def test_suspensionOutlivesIt(self) -> None:
        """
        What an operator has suspended is suspended at the next start, too.
        """
        relay = self.start()
        relay.manager.suspend("example.org", "they asked")
        self.reactor.advance(0)
        self.stop(relay)
        again = self.start()
        standing = again.manager.standingOf("example.org")
        self.assertEqual(
            (standing.state.value, standing.why), ("suspended", "they asked")
        )

    def test_P10_stopsInOrder(self) -> None:
        """
        The intake and what is being delivered end before the queue is
        written and given up.
        """
        relay = self.start(smtp="tcp:2525")
        steps: list[str] = []
        waits: dict[str, Deferred[None]] = {}
        for part in ("intake", "manager", "queue"):

            def stop(part: str = part) -> Deferred[None]:
                steps.append(part)
                return waits.setdefault(part, Deferred())

            self.patch(getattr(relay, part), "stop", stop)
        d = relay.stopService()
        self.assertEqual(relay.ports, [])
        self.assertEqual(sorted(steps), ["intake", "manager"])
        waits["intake"].callback(None)
        self.assertEqual(len(steps), 2)
        waits["manager"].callback(None)
        self.assertEqual(steps[2:], ["queue"])
        self.assertNoResult(d)
        waits["queue"].callback(None)
        self.successResultOf(d)

    def test_P10_stopsWithinABound(self) -> None:
        """
        A part that never ends, or that fails, keeps nothing from being
        written.
        """
        relay = self.start()
        flushed: list[bool] = []
        self.patch(relay.manager, "stop", Deferred)
        self.patch(relay.intake, "stop", lambda: 1 / 0)
        self.patch(relay.queue, "stop", lambda: flushed.append(True))
        d = relay.stopService()
        self.assertNoResult(d)
        self.reactor.advance(STOP_PATIENCE)
        self.successResultOf(d)
        self.assertEqual(flushed, [True])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_P10_aDiskThatHangsIsNotWaitedFor(self) -> None:
        """
        When the queue cannot be written in time, its thread is left alone: to
        end it is to wait for what hangs in it.
        """
        relay = self.start()
        ended: list[bool] = []
        self.patch(relay._worker, "stop", lambda: ended.append(True))
        self.patch(relay.queue, "stop", Deferred)
        d = relay.stopService()
        self.reactor.advance(STOP_PATIENCE)
        self.successResultOf(d)
        self.assertEqual(ended, [])
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_P10_companionsAreNotWaitedFor(self) -> None:
        """
        Neither is what runs beside the relay, such as a drop directory whose mail
        the queue does not take.
        """
        relay = self.start()
        hanging = Service()
        self.patch(hanging, "stopService", Deferred)
        hanging.setServiceParent(relay)
        d = relay.stopService()
        for _ in range(10):
            self.reactor.advance(STOP_PATIENCE / 4)
        self.successResultOf(d)
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_P10_startAgain(self) -> None:
        """
        What was in the queue is there again after a stop and a start.
        """
        relay = self.start()
        d = relay.send("a@example.com", "b@example.net", "x")
        self.reactor.advance(0)
        names = self.successResultOf(d)
        self.stop(relay)
        relay.startService()
        self.assertEqual(
            relay.queue.letter(names[0])[:2], ["a@example.com", "b@example.net"]
        )

    def test_stopWithoutStart(self) -> None:
        """
        A relay that never started can be stopped.
        """
        self.stop(self.make())
