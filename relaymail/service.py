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
from functools import partial
from tempfile import TemporaryFile
from typing import Any, ClassVar

from twisted.application.service import IService, MultiService
from twisted.internet.defer import (
    Deferred,
    DeferredLock,
    maybeDeferred,
    succeed,
)
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaymail import __version__, relaymanager
from relaymail.assembly import (
    Users,
    intakeRules,
    makeCalculator,
    makeManager,
    shownHosts,
)
from relaymail.certificates import loadTLS
from relaymail.clocks import ClockGuard, QueueClock
from relaymail.configuration import (
    Configuration,
    configure,
    readFile,
    readRoutes,
)
from relaymail.configuration.entering import checkEntering
from relaymail.configuration.places import reportsBeside, stsBeside, tokensBeside
from relaymail.dropping.files import prepare
from relaymail.dropping.service import DropDirectory
from relaymail.errors import ConfigurationError, QueueUnusable
from relaymail.intake.entrances import Opening
from relaymail.intake.server import IntakeFactory
from relaymail.keeping import PrivateDirectory
from relaymail.oauth2.accounts import Accounts
from relaymail.policies import PolicyKeeper
from relaymail.ports import Ports
from relaymail.queue.disk import Disk
from relaymail.queue.opening import openQueue
from relaymail.queue.spool.bodies import LARGEST_ROW
from relaymail.queue.spool.schema import connect
from relaymail.reloading import ReloadMixin
from relaymail.route.mx import MXCalculator
from relaymail.route.resolver import makeResolver
from relaymail.route.sts.storing import PolicyStore
from relaymail.siren import Siren
from relaymail.stopping import StopMixin
from relaymail.submission import Content, compose
from relaymail.tlsreports.service import Reports
from relaymail.vouching import Watch
from relaymail.worker import Worker

#: How often the relaying manager is asked to look, in seconds.  New mail and
#: mail that comes due wake it; this is only the backstop.
TICK = 5.0


class Relay(StopMixin, ReloadMixin, MultiService):
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
    @cvar resolverFactory: Makes the resolver, for the name server, the reactor and
        the networks whose name servers are believed.
    @cvar loadTLS: Gives what STARTTLS begins with, for a key and a
        certificate.
    @cvar policyStore: Makes what keeps policies of MTA-STS, for its path.
    @cvar reportStore: Makes what keeps the counts of reports, for its path.
    @cvar openContent: Opens a file for a message that is coming in.
    @cvar tick: How often the relaying manager is asked to look, in seconds.

    @ivar configuration: What it was told.
    @ivar portal: Who knows its users, where a program does.
    @ivar queue: The queue, once it is started: an L{IQueue
        <relaymail.interfaces.IQueue>}.
    @ivar manager: The relaying manager, once it is started.
    @ivar intake: What takes mail by SMTP, once it is started.
    @ivar siren: Sounds its alarms.
    @ivar started: When that was, in seconds of the epoch.
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
    policyStore: ClassVar[Any] = PolicyStore
    reportStore: ClassVar[Any] = PrivateDirectory
    openContent: ClassVar[Any] = staticmethod(TemporaryFile)
    tick: ClassVar[float] = TICK

    queue: Any
    manager: Any
    intake: IntakeFactory
    started: float = 0.0

    def __init__(
        self,
        configuration: Configuration | None = None,
        *,
        reactor: Any = None,
        portal: Any = None,
        **settings: Any,
    ) -> None:
        """
        @param configuration: What it is told; L{None} to take the settings.
        @param reactor: The reactor, L{None} for the global one.
        @param portal: Who knows the users that may give mail, a
            L{Portal<twisted.cred.portal.Portal>}; L{None}: the file of users.
        @param settings: As L{configure} takes them: C{queue} must be there.
            Without C{smtp} it listens on no port, and takes mail by L{send}.

        @raise ConfigurationError: When the settings cannot be used.
        """
        super().__init__()
        if configuration is None:
            configuration = configure(**{"smtp": (), **settings})
        elif settings:
            raise TypeError("give a configuration or settings, not both")
        checkEntering(configuration.intake, hasPortal=portal is not None)
        self.configuration = configuration
        self.portal = portal
        if configuration.file is not None:
            self.reread = partial(readFile, configuration.file)
        self.siren = Siren()
        self._accounts = Accounts(tokensBeside(configuration.queue))
        self.tokensFor = self._accounts.tokensFor
        # While this may be read: the service may give up its rights later.
        self._routes = readRoutes(configuration, self.tokensFor)
        self._reactor = reactor
        self._reloads = DeferredLock()
        self._drop: DropDirectory | None = None
        self._ports: Ports | None = None
        self._worker: Any = None
        self._reader: Any = None
        self._open = False
        self._hasQueue = False

    @property
    def ports(self) -> list[IListeningPort]:
        """
        The ports it listens on, in the order of the endpoints.
        """
        return [] if self._ports is None else self._ports.listening

    @property
    def addresses(self) -> list[Any]:
        """
        The addresses it listens on, in the order of the endpoints.
        """
        return [] if self._ports is None else self._ports.addresses

    @property
    def openings(self) -> list[Opening]:
        """
        Of which kinds these are, in the same order.
        """
        return [] if self._ports is None else self._ports.openings

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
            CRLF, and a Date and a Message-ID are put in where they are missing.

        @return: Fires with a name for each different recipient, in their order,
            where an alias stands for those that it names, when
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
        envelope, data = compose(
            sender,
            recipients,
            content,
            self.intake.machines,
            self._reactor.seconds(),
            self.intake.token(),
        )
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
        if self._ports is None:
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
        self.started = self.queue.clock.seconds()
        self.log.info(
            "relaymail {version} is {hostname}, takes mail on {ports}, "
            "keeps it in {queue}, and gives it to {hosts}",
            version=__version__,
            hostname=self.configuration.hostname,
            ports="no port" if self._ports is None else str(self._ports),
            queue=self.configuration.queue,
            hosts=shownHosts(self.configuration.delivery),
        )
        self._remark(self.configuration)

    def _start(self) -> None:
        reactor = self._reactor = _reactorOr(self._reactor)
        self._worker = worker = self.workerFactory(reactor)
        self._reader = self.workerFactory(reactor)
        self.queue = openQueue(
            self.configuration.queue,
            self.clockFactory(reactor),
            worker.run,
            self.diskFactory(),
            self.openDatabase,
            self.largestRow,
            self._reader.run,
        )
        # One line for each outcome is enough.
        self.queue.noisy = False
        self.queue.lock()
        self._hasQueue = True
        self.siren.start(reactor)
        self._accounts.start(reactor, worker.run, self.siren.tell)
        self.manager = self._makeManager(self.queue)
        self._users = Users(self.portal, reactor)
        self.intake = self._makeIntake(self.queue)
        self.manager.restoreSuspensions()
        self.queue.onWaiting = self.manager.wake
        self.queue.suspendedUntil = self.manager.suspendedUntil
        self.manager.wake()
        if self._ports is not None:
            self._ports.letIn(
                self.intake.buildProtocol, self._tls, self.configuration.intake.proxies
            )
        # It takes seconds for each gigabyte, in a thread of its own.
        examiner = self.workerFactory(reactor)
        self.queue.examine(examiner.run).addBoth(lambda _: examiner.stop())
        for child in list(self):
            child.disownServiceParent()
        for companion in self._companions():
            companion.setServiceParent(self)

    def _companions(self) -> list[IService]:
        """
        Make what runs beside the relay for as long as it does.
        """
        told, reactor = self.configuration, self._reactor
        timer = relaymanager.RelayStateHelper(self.manager, self.tick)
        timer.clock = reactor
        self.watch = Watch(self.manager, self.siren, reactor)
        self.watch.settingsChanged(told.delivery)
        self.reports = Reports(self, self.reportStore(reportsBeside(told.queue)))
        store = self.policyStore(stsBeside(told.queue))
        keeper = PolicyKeeper(
            self.manager, told, store, self._worker.run, self.siren.tell
        )
        # Mail goes nowhere before it is known which policies there are.
        companions = [keeper, self.guardFactory(reactor), timer]
        companions += [self.watch, self.reports]
        if told.machines.drop:
            # What cannot be used is to be known while all can still be given up.
            prepare(told.machines.drop)
            limit = told.intake.maxMessageSize
            self._drop = DropDirectory(
                told.machines.drop, self.send, reactor, told.hostname, limit
            )
            companions.append(self._drop)
        return companions

    def runInWorker(self, function: Callable[[], Any]) -> Deferred[Any]:
        """
        Run what reads or writes small files, in the thread that writes the queue.

        @return: Fires with what it returned, or fails with what it raised.
        """
        return maybeDeferred(lambda: self._worker.run(function))

    def _giveUpQueue(self) -> None:
        """
        Let others have the queue, for this relay does not start.
        """
        had, self._hasQueue = self._hasQueue, False
        stopped = maybeDeferred(self.queue.stop if had else lambda: None)
        stopped.addBoth(lambda _: self._stopWorkers())

    def _makeManager(self, queue: Any) -> Any:
        told, reactor = self.configuration, self._reactor
        calculator = self._makeCalculator(told)
        manager = makeManager(
            queue, told, self._routes, self.addresses, calculator, reactor
        )
        manager.onAuthentication = self.siren.authentication
        return manager

    def _makeCalculator(self, told: Configuration) -> MXCalculator:
        return makeCalculator(told, self._reactor, self.resolverFactory)

    def _makeIntake(self, queue: Any) -> IntakeFactory:
        told, routing = self.configuration, self._routes.routing
        return IntakeFactory(
            queue,
            **intakeRules(told, self._tls, self._users.read(told), routing),
            clock=self._reactor,
            openContent=self.openContent,
        )

    # Listening.

    def _listen(self) -> None:
        reactor = self._reactor = _reactorOr(self._reactor)
        intake = self.configuration.intake
        self._tls = self.loadTLS(intake.tlsKey, intake.tlsCert)
        self._ports = Ports(reactor)
        try:
            self._ports.listen(intake.openings)
        except ConfigurationError as e:
            self._ports = None
            self.log.critical("The relay does not start: {why}", why=str(e))
            raise ConfigurationError(f"{e}; the relay does not start") from e

    def _stopListening(self) -> Deferred[None]:
        ports, self._ports = self._ports, None
        return succeed(None) if ports is None else ports.close()


def _reactorOr(reactor: Any) -> Any:
    if reactor is None:
        from twisted.internet import reactor
    return reactor


def _lastWords() -> str:
    return str(Failure().value)
