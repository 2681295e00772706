# -*- test-case-name: relaymail.test.test_service -*-
"""
The relay as a service: the one place that knows all the rooms and puts them
together.

Nothing is opened before the service starts, because C{twistd} forks and gives
up its privileges in between: ports when it starts with privileges, the queue
and the threads after it gave them up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from tempfile import TemporaryFile
from typing import Any, ClassVar

from twisted.application.service import MultiService
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaymail import __version__, relaymanager
from relaymail.certificates import loadTLS
from relaymail.clocks import ClockGuard, QueueClock
from relaymail.configuration import Configuration, configure, readHosts
from relaymail.errors import ConfigurationError, QueueUnusable
from relaymail.intake.acceptance import NetworkAcceptance
from relaymail.intake.limits import DEFAULT_LIMITS
from relaymail.intake.server import IntakeFactory
from relaymail.machine import machineAddresses
from relaymail.queue.disk import Disk
from relaymail.queue.opening import openQueue
from relaymail.queue.spool.bodies import LARGEST_ROW
from relaymail.queue.spool.schema import connect
from relaymail.route.destinations import DestinationPolicy
from relaymail.route.hosts import TLSNeed
from relaymail.route.mx import MXCalculator
from relaymail.route.resolver import makeResolver
from relaymail.submission import Content, compose
from relaymail.worker import Worker

#: How often the relaying manager is asked to look, in seconds.  New mail and
#: mail that comes due wake it; this is only the backstop.
TICK = 5.0
#: How long a connection is kept for the next message of its lane, in seconds:
#: less than any server waits (RFC 5321 4.5.3.2.7), enough for a burst.
IDLE_TIMEOUT = 5.0
#: How many recipients share a transaction: what every server must take
#: (RFC 5321 4.5.3.1.8).
RECIPIENTS_PER_TRANSACTION = 100
#: How long each of the two steps of stopping that wait may take, in seconds:
#: more than the intake gives its clients, and service managers kill after 60
#: to 90.
STOP_PATIENCE = 15.0


class Door(ServerFactory):
    """
    Listens before there is anything to talk to: ports are opened with
    privileges, the queue without.

    @ivar intake: Makes the protocols, or L{None} while the relay is closed.
    """

    noisy = False
    intake: IntakeFactory | None = None

    def buildProtocol(self, addr: Any) -> Protocol | None:
        """
        Let a client in.
        """
        return None if self.intake is None else self.intake.buildProtocol(addr)


class Relay(MultiService):
    """
    A mail relay: C{await relay.send(...)} gives it a message, and so does
    every client of its ports.

    @cvar workerFactory: Makes, for the reactor, what writes the queue.
    @cvar guardFactory: Makes, for the reactor, the service that watches the
        wall clock.
    @cvar clockFactory: Makes, for the reactor, the clock of the queue.
    @cvar diskFactory: Makes what touches the files of the queue.
    @cvar openDatabase: Opens the file of a spool, for its path.
    @cvar largestRow: Up to which size a spool has contents in its database, in
        bytes.
    @cvar resolverFactory: Makes the resolver, for the name server and the
        reactor.
    @cvar loadTLS: Gives what STARTTLS begins with, for a key and a
        certificate.
    @cvar openContent: Opens a file for a message that is coming in.
    @cvar tick: How often the relaying manager is asked to look, in seconds.

    @ivar configuration: What it was told.
    @ivar queue: The queue, once it is started: an L{IQueue
        <relaymail.interfaces.IQueue>}.
    @ivar manager: The relaying manager, once it is started.
    @ivar intake: What takes mail by SMTP, once it is started.
    @ivar ports: The ports it listens on, in the order of the endpoints.
    """

    log: ClassVar[Logger] = Logger()
    workerFactory: ClassVar[Any] = Worker
    guardFactory: ClassVar[Any] = ClockGuard
    clockFactory: ClassVar[Any] = QueueClock
    diskFactory: ClassVar[Any] = Disk
    openDatabase: ClassVar[Any] = staticmethod(connect)
    largestRow: ClassVar[int] = LARGEST_ROW
    resolverFactory: ClassVar[Any] = staticmethod(makeResolver)
    loadTLS: ClassVar[Any] = staticmethod(loadTLS)
    openContent: ClassVar[Any] = staticmethod(TemporaryFile)
    tick: ClassVar[float] = TICK

    queue: Any
    manager: Any
    intake: IntakeFactory

    def __init__(
        self,
        configuration: Configuration | None = None,
        *,
        reactor: Any = None,
        **settings: Any,
    ) -> None:
        """
        @param configuration: What it is told; L{None} to take the settings.
        @param reactor: The reactor, L{None} for the global one.
        @param settings: As L{configure} takes them: C{queue} must be there.
            Without C{smtp} it listens on no port, and takes mail by L{send}.

        @raise ConfigurationError: When the settings cannot be used.
        """
        super().__init__()
        if configuration is None:
            configuration = configure(**{"smtp": (), **settings})
        elif settings:
            raise TypeError("give a configuration or settings, not both")
        self.configuration = configuration
        # While this may be read: the service may give up its rights later.
        self._smartHosts = readHosts(configuration)
        self.ports: list[IListeningPort] = []
        self._reactor = reactor
        self._door: Door | None = None
        self._worker: Any = None
        self._open = False
        self._hasQueue = False

    @property
    def addresses(self) -> list[Any]:
        """
        The addresses it listens on, in the order of the endpoints.
        """
        return [port.getHost() for port in self.ports]

    def send(
        self, sender: str | bytes | None, recipients: Any, content: Content
    ) -> Deferred[list[str]]:
        """
        Take a message for delivery.

        @param sender: The reverse-path; empty or L{None} for a message that
            must not bounce.
        @param recipients: One address or several.
        @param content: The message with its header, as bytes, text (sent as
            UTF-8) or an L{email.message.EmailMessage}; its line ends are made
            CRLF.

        @return: Fires with a name for each recipient, in their order, when
            the message would survive a power cut.  Fails with
            L{MalformedAddress <relaymail.errors.MalformedAddress>},
            L{MalformedMessage <relaymail.errors.MalformedMessage>},
            L{QueueFull <relaymail.errors.QueueFull>} or L{QueueUnusable
            <relaymail.errors.QueueUnusable>}, and then nothing was taken.
        """
        return maybeDeferred(self._send, sender, recipients, content)

    def _send(
        self, sender: str | bytes | None, recipients: Any, content: Content
    ) -> Deferred[list[str]]:
        if not self._open:
            raise QueueUnusable("The relay is not running; nothing was queued")
        envelope, data = compose(sender, recipients, content)
        names: Deferred[list[str]] = self.queue.add(envelope, data)
        return names

    # Starting.

    def privilegedStartService(self) -> None:
        """
        Listen.

        @raise ConfigurationError: When one of the ports cannot be had; then
            none is kept.
        """
        super().privilegedStartService()
        self._listen()

    def startService(self) -> None:
        """
        Open the queue, and begin to take and deliver mail.

        @raise QueueLocked: When another process relays from the queue.
        @raise QueueUnusable: When the queue's directory cannot be used.
        @raise ConfigurationError: When one of the ports cannot be had.
        """
        if self._door is None:
            self._listen()
        try:
            self._start()
        except Exception:
            self.log.critical("The relay does not start: {why}", why=_lastWords())
            self._stopListening()
            self._giveUpQueue()
            raise
        super().startService()
        self._open = True
        self.log.info(
            "relaymail {version} is {hostname}, takes mail on {ports}, "
            "keeps it in {queue}, and gives it to {hosts}",
            version=__version__,
            hostname=self.configuration.hostname,
            ports=", ".join(map(_shown, self.addresses)) or "no port",
            queue=self.configuration.queue,
            hosts=", ".join(h.name for h in self.configuration.delivery.smartHosts)
            or "the mail exchange hosts",
        )

    def _start(self) -> None:
        reactor = self._reactor = _reactorOr(self._reactor)
        self._worker = worker = self.workerFactory(reactor)
        self.queue = openQueue(
            self.configuration.queue,
            self.clockFactory(reactor),
            worker.run,
            self.diskFactory(),
            self.openDatabase,
            self.largestRow,
        )
        # One line for each outcome is enough.
        self.queue.noisy = False
        self.queue.lock()
        self._hasQueue = True
        self.manager = self._makeManager(self.queue)
        self.intake = self._makeIntake(self.queue)
        self.queue.onWaiting = self.manager.wake
        self.queue.suspendedUntil = self.manager.suspendedUntil
        self.manager.wake()
        if self._door is not None:
            self._door.intake = self.intake
        # It takes seconds for each gigabyte, in a thread of its own.
        examiner = self.workerFactory(reactor)
        self.queue.examine(examiner.run).addBoth(lambda _: examiner.stop())
        for child in list(self):
            child.disownServiceParent()
        self.guardFactory(reactor).setServiceParent(self)
        timer = relaymanager.RelayStateHelper(self.manager, self.tick)
        timer.clock = reactor
        timer.setServiceParent(self)

    def _giveUpQueue(self) -> None:
        """
        Let others have the queue, for this relay does not start.
        """
        had, self._hasQueue = self._hasQueue, False
        stopped = maybeDeferred(self.queue.stop if had else lambda: None)
        stopped.addBoth(lambda _: self._stopWorker())

    def _makeManager(self, queue: Any) -> Any:
        told, reactor = self.configuration, self._reactor
        delivery = told.delivery
        manager: Any = relaymanager.SmartHostESMTPRelayingManager(
            queue, delivery.maxConnections, delivery.maxMessagesPerConnection
        )
        manager.fArgs = (None, None, told.hostname.encode("ascii"))
        manager.reactor = reactor
        resolver = self.resolverFactory(delivery.dns, reactor)
        manager.mxcalc = MXCalculator(resolver, reactor)
        manager.PORT = delivery.mxPort
        manager.hostname = told.hostname
        manager.ownNames = (told.hostname,)
        manager.tls = TLSNeed.OFFERED
        manager.smartHosts = self._smartHosts
        manager.destinations = self._policy()
        manager.retrySchedule = delivery.retry
        manager.expireAfter = delivery.expire
        manager.maxConnectionsPerSite = delivery.maxConnectionsPerDestination
        manager.destinationRates = dict(delivery.destinationRates)
        manager.senderRates = dict(delivery.senderRates)
        manager.idleTimeout = IDLE_TIMEOUT
        manager.recipientsPerTransaction = RECIPIENTS_PER_TRANSACTION
        return manager

    def _policy(self) -> DestinationPolicy:
        found = [a for a in self.addresses if hasattr(a, "port")]
        hosts = frozenset(a.host for a in found)
        if hosts & {"0.0.0.0", "::"}:
            hosts |= machineAddresses()
        return DestinationPolicy(
            allowed=self.configuration.delivery.allowDestinations,
            ownAddresses=hosts,
            ownPorts=frozenset(a.port for a in found),
        )

    def _makeIntake(self, queue: Any) -> IntakeFactory:
        told = self.configuration
        return IntakeFactory(
            queue,
            NetworkAcceptance(told.intake.networks),
            told.hostname,
            replace(DEFAULT_LIMITS, messageSize=told.intake.maxMessageSize),
            contextFactory=self._tls,
            clock=self._reactor,
            openContent=self.openContent,
        )

    # Listening.

    def _listen(self) -> None:
        reactor = self._reactor = _reactorOr(self._reactor)
        intake = self.configuration.intake
        self._tls = self.loadTLS(intake.tlsKey, intake.tlsCert)
        self._door = Door()
        failed: list[str] = []
        for endpoint in intake.smtp:
            d = checkEndpoint(endpoint, reactor).listen(self._door)
            d.addCallback(self.ports.append)
            d.addErrback(_noteFailure, endpoint, failed)
        if failed:
            self._stopListening()
            self.log.critical("The relay does not start: {why}", why=failed[0])
            raise ConfigurationError(f"{failed[0]}; the relay does not start")

    def _stopListening(self) -> Deferred[None]:
        ports, self.ports, self._door = self.ports, [], None
        return Deferred.fromCoroutine(_stopAll(ports))

    # Stopping.

    def stopService(self) -> Deferred[None]:
        """
        Take no more mail, let what is under way end or put it back, write
        what is to be written, and give up the queue: all within a bound.
        """
        stopped = super().stopService()
        return Deferred.fromCoroutine(self._stop(stopped))

    async def _stop(self, children: Any) -> None:
        if not self._open:
            return
        self._open = self._hasQueue = False
        await self._within("closing the ports", self._stopListening)
        await gatherResults(
            [
                self._within("ending the sessions of clients", self.intake.stop),
                self._within("ending what is being delivered", self.manager.stop),
            ]
        )
        if await self._within("writing the queue", self.queue.stop):
            self._stopWorker()
        else:
            # To end the thread is to wait for what hangs in it; as a daemon it
            # does not keep the process.
            self._worker = None
        await children
        self.log.info("The relay has stopped")

    def _within(self, what: str, step: Callable[[], Any]) -> Deferred[bool]:
        """
        Do one step of stopping; one that fails or hangs does not keep the
        next ones from being done.

        @return: Fires with whether it was done.
        """

        def failed(failure: Failure) -> bool:
            self.log.failure(
                "While stopping, {what} failed; going on", failure, what=what
            )
            return False

        d = maybeDeferred(step).addTimeout(STOP_PATIENCE, self._reactor)
        return d.addCallbacks(lambda _: True, failed)

    def _stopWorker(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()


def checkEndpoint(description: str, reactor: Any = None) -> Any:
    """
    Read the description of an endpoint; nothing is opened.

    @param reactor: The reactor it will listen with.

    @return: An L{IStreamServerEndpoint
        <twisted.internet.interfaces.IStreamServerEndpoint>}.

    @raise ConfigurationError: When it is not one.
    """
    try:
        return serverFromString(reactor, description)
    except Exception as e:
        # Each kind of endpoint has its own parser, which raises what it likes.
        raise ConfigurationError(
            f"{description!r} is not an endpoint to listen on ({e}): "
            "write such as tcp:25 or tcp:2525:interface=127.0.0.1"
        ) from e


def _reactorOr(reactor: Any) -> Any:
    if reactor is None:
        from twisted.internet import reactor
    return reactor


def _noteFailure(failure: Failure, endpoint: str, failed: list[str]) -> None:
    why = failure.value
    if isinstance(why, CannotListenError):
        why = why.socketError
    failed.append(
        f"cannot listen on {endpoint!r}: {getattr(why, 'strerror', None) or why}"
    )


def _shown(address: Any) -> str:
    """
    Give an address as people write it.
    """
    if isinstance(address, IPv6Address):
        return f"[{address.host}]:{address.port}"
    if isinstance(address, IPv4Address):
        return f"{address.host}:{address.port}"
    return str(address)


async def _stopAll(ports: list[IListeningPort]) -> None:
    for port in ports:
        await maybeDeferred(port.stopListening)


def _lastWords() -> str:
    return str(Failure().value)
