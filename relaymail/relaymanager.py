# -*- test-case-name: relaymail.test.test_relaymanager -*-
"""
Relaying: from the queue to the hosts that take the mail on.

A relaying manager (L{SmartHostSMTPRelayingManager}) asks its queue what waits
and starts I{attempts}: an L{_AttemptManager} for a batch of names over one route,
with a factory that builds a managed relayer whenever a host of the route is
reached.  The relayer sends, and reports to the attempt manager, which settles
each name: done, again later, or done and its sender told.

What waits is sorted into lanes by L{relaymail.schedule.lanes}, what a reply means
is said by L{relaymail.outcome.verdicts}, where mail goes by
L{relaymail.deliver.routing};
here they are put together.  The relaying manager looks all of it up in this
module when it is needed, so that a program may put others in their place.

A queue that is no L{IQueue <relaymail.interfaces.IQueue>}, and an attempt manager
that is no L{IAttempt <relaymail.interfaces.IAttempt>}, are used as Twisted
documents them; C{takesPart} is where that is asked.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any

from twisted.application.internet import TimerService
from twisted.internet import defer
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaymail.deliver.attempts import BACK_OFF, _AttemptManager, setAllWaiting
from relaymail.deliver.bounces import Bounces
from relaymail.deliver.connections import Connections, KeptConnections
from relaymail.deliver.operating import OperatingMixin
from relaymail.deliver.relayers import (
    ESMTPManagedRelayer,
    ESMTPManagedRelayerFactory,
    ManagedRelayerMixin,
    SMTPManagedRelayer,
    SMTPManagedRelayerFactory,
    takesPart,
)
from relaymail.deliver.settlement import OnOutcome
from relaymail.deliver.times import beganAt, inTime
from relaymail.deliver.turns import Call
from relaymail.deliver.work import Claim, Work
from relaymail.dialogue.patience import PATIENCE
from relaymail.envelopes import Letter
from relaymail.outcomes import Outcome
from relaymail.queue.directory import Queue
from relaymail.replies import Phase
from relaymail.route.clearhosts import ClearHosts, InClear
from relaymail.route.connector import Connector
from relaymail.route.destinations import DestinationPolicy
from relaymail.route.hosts import Host, Route
from relaymail.route.memory import AddressMemory, NamedHosts
from relaymail.route.mx import (
    CanonicalNameChainTooLong,
    CanonicalNameLoop,
    MXCalculator,
)
from relaymail.route.resolver import makeResolver
from relaymail.route.router import NoWay, Refusing
from relaymail.route.tlssessions import TLSSessions
from relaymail.schedule.backoff import DEFAULT_EXPIRY, DEFAULT_RETRY, nextAttempt
from relaymail.schedule.goals import goalOf

__all__ = [
    "CanonicalNameChainTooLong",
    "CanonicalNameLoop",
    "ESMTPManagedRelayer",
    "ESMTPManagedRelayerFactory",
    "MXCalculator",
    "ManagedRelayerMixin",
    "Queue",
    "RelayStateHelper",
    "SMTPManagedRelayer",
    "SMTPManagedRelayerFactory",
    "SmartHostESMTPRelayingManager",
    "SmartHostSMTPRelayingManager",
    "_AttemptManager",
    "_checkState",
]

#: How long L{SmartHostSMTPRelayingManager.stop} waits for sessions to end, in
#: seconds, before it closes them.
STOP_PATIENCE = 10.0
#: How long to wait before a queue that could not be looked at is looked at
#: again, in seconds.
_LOOK_AGAIN = 5.0
#: What is remembered of hosts, and not for longer than the process lives.
_MEMORIES = ("tlsSessions", "clearHosts")
#: Who is told what happens.
_LISTENERS = ("onOutcome", "onAuthentication", "onTLSSession")


_log = Logger()


class SmartHostSMTPRelayingManager(OperatingMixin):
    """
    Relays what is in a queue.

    L{checkState} is to be called now and then (L{RelayStateHelper}); between
    two calls L{wake} does the same for what has just come in.

    @cvar factory: What builds the factory for an attempt; called with the
        paths, the attempt manager, C{fArgs} and C{fKwArgs}.
    @cvar PORT: The port of the hosts.
    @cvar mxcalc: Names the hosts of a domain; made when it is first needed.
    @cvar reactor: Where to connect and schedule calls; L{None} for the global
        one.
    @cvar destinations: Which addresses, found in the DNS, are connected to;
        L{None} for all.
    @cvar hostname: The name of this relay in notices.
    @cvar retrySchedule: The waits after each attempt, in seconds.
    @cvar expireAfter: How long a message is tried, in seconds.
    @cvar idleTimeout: How long a connection is kept for mail to come, in
        seconds; 0 for not at all.
    @cvar recipientsPerTransaction: How many recipients of a message are sent
        it at once.
    @cvar connectTimeout: How long to wait for each address, in seconds.
    @cvar phaseTimeouts: How long to wait in each phase of a session.
    @cvar chance: Gives a random number from 0 up to, but not including, 1.
    @cvar onOutcome: Is told what becomes of each attempt for a name; see
        L{OnOutcome <relaymail.deliver.settlement.OnOutcome>}.

    @ivar queue: The queue.
    @ivar maxConnections: How many connections there are at most.
    @ivar maxMessagesPerConnection: How many names one connection is given.
    @ivar fArgs: Positional arguments for C{factory}.
    @ivar fKwArgs: Keyword arguments for C{factory}.
    @ivar managed: The factory of each attempt, to the names it has.
    @ivar isStopping: Whether nothing new is begun.
    """

    _log = Logger()

    factory: Callable[..., Any] = SMTPManagedRelayerFactory
    PORT = 25
    mxcalc: Any = None
    reactor: Any = None
    destinations: DestinationPolicy | None = None
    hostname = ""
    retrySchedule: Sequence[float] = DEFAULT_RETRY
    expireAfter: float = DEFAULT_EXPIRY
    idleTimeout: float = 0
    recipientsPerTransaction = 1
    connectTimeout: float = PATIENCE[Phase.CONNECT]
    phaseTimeouts: Mapping[Phase, float] | None = PATIENCE
    chance: Callable[[], float] = staticmethod(random.random)
    onOutcome: OnOutcome | None = None

    def __init__(
        self,
        queue: Any,
        maxConnections: int = 2,
        maxMessagesPerConnection: int = 10,
    ) -> None:
        """
        @param queue: The queue.
        @param maxConnections: How many connections there are at most.
        @param maxMessagesPerConnection: How many names one connection is
            given.
        """
        self.maxConnections = maxConnections
        self.maxMessagesPerConnection = maxMessagesPerConnection
        self.queue = queue
        self.fArgs: tuple[Any, ...] = ()
        self.fKwArgs: dict[str, Any] = {}
        self._begin()

    def _begin(self) -> None:
        self.managed: dict[Any, list[str]] = {}
        self.isStopping = False
        self.bounces = Bounces(self.queue)
        self._work = Work(
            self.queue,
            self._laneOf,
            self._isOld,
            self._now,
            self._heldUntil,
            self._longestRest,
        )
        self._kept = KeptConnections()
        self._looked = -inf
        self._connections = Connections()
        self._named = NamedHosts()
        self._addresses = AddressMemory()
        self.tlsSessions = TLSSessions()
        self.clearHosts = ClearHosts()
        self._resolver: Any = None
        self._wakeUp = Call(self._theReactor, self._woken)
        self._due = Call(self._theReactor, self._cameDue)
        self._tellSenders = Call(self._theReactor, self._flush)

    def __getstate__(self) -> dict[str, Any]:
        """
        Give what outlives the process.
        """
        volatile = ("managed", "isStopping", "bounces", *_MEMORIES, *_LISTENERS)
        return {
            key: value
            for key, value in self.__dict__.items()
            if not key.startswith("_") and key not in volatile
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """
        Begin anew with what outlived a process.
        """
        self.__dict__.update(state)
        self._begin()

    # What waits.

    def checkState(self) -> Deferred[Any] | None:
        """
        Look at the queue, and start relaying what waits.

        @return: L{None} where nothing was started; else fires, with a list of
            C{(success, result)}, when the attempts that were started are over.
        """
        self.queue.readDirectory()
        self._work.isStale = True
        self._lookForOld()
        if len(self.managed) >= self.maxConnections and not self._kept:
            return None
        if not self.queue.hasWaiting():
            return None
        return self._checkStateMX()

    def _checkStateMX(self) -> Deferred[Any] | None:
        """
        Start relaying what waits.
        """
        self._work.placeAll()
        attempts = self._startWaiting()
        return DeferredList(attempts) if attempts else None

    def wake(self) -> None:
        """
        Start relaying what waits, before long: several calls in one turn of
        the reactor come to one.  Nothing happens but for a queue whose
        C{onWaiting} is set.
        """
        self._work.isStale = True
        if self._isAwake():
            self._wakeUp.soon()

    def _woken(self) -> None:
        try:
            self._startWaiting()
            times = (self.queue.nextDue(), self._work.scheduler.nextTime())
            due = min((when for when in times if when is not None), default=None)
            self._due.after(None if due is None else self._until(due))
        except Exception:
            self._log.failure("What waits could not be started; the timer tries again")

    def _until(self, due: float) -> float:
        """
        Say how long to wait for what is due at a time.  What was due already at
        the last look has something else to wait for.
        """
        wait = due - self._now()
        return wait if due > self._looked else max(wait, _LOOK_AGAIN)

    def _cameDue(self) -> None:
        self._looked = self._now()
        try:
            self.queue.readDirectory()
        except Exception:
            self._log.failure("The queue could not be looked at; it is tried again")
            self._due.after(_LOOK_AGAIN)
        else:
            self.wake()

    def _isAwake(self) -> bool:
        return (
            not self.isStopping and getattr(self.queue, "onWaiting", None) is not None
        )

    def _startWaiting(self) -> list[Deferred[Any]]:
        """
        Give what waits to the connections that wait for it, and start
        attempts for the rest, as far as they may be started.
        """
        scheduler, now = self._theScheduler(), self._now()
        scheduler.lanes.resumeDue(now)
        free = self.maxConnections - len(self.managed)
        if self.isStopping or (free <= 0 and not self._kept):
            return []
        self._work.placeNew()
        for kept in self._kept:
            if not scheduler.lanes.count():
                break
            if self._hasMoreFor(kept.attempt):
                self._kept.resume(kept)
        if not scheduler.lanes.count():
            return []
        if free <= 0:
            self._kept.letOldestGo()
            return []
        starts = scheduler.whoMayStart(scheduler.sites.busy, free, now)
        claims = [(lane, self._work.take(lane, size)) for lane, size in starts]
        started = [self._start(lane, claim) for lane, claim in claims if claim.names]
        return [attempt for attempt in started if attempt is not None]

    # Attempts.

    def _start(self, lane: Hashable, claim: Claim) -> Deferred[None] | None:
        try:
            return self._begun(lane, claim)
        except Exception:
            # Such as a factory that does not take its arguments.
            self._log.failure("An attempt could not be begun; its mail waits")
            self._theReactor().callLater(
                BACK_OFF, setAllWaiting, self.queue, claim.names
            )
            return None

    def _begun(self, lane: Hashable, claim: Claim) -> Deferred[None]:
        attempt = _AttemptManager(self, self.queue.noisy, self.reactor)
        attempt.lane, attempt.era = lane, self._era
        paths = [self.queue.getPath(name) for name in claim.names]
        arguments = self.fArgs or self._usualArguments()
        factory = self.factory(paths, attempt, *arguments, **self.fKwArgs)
        self.managed[factory] = claim.names
        sites = self._work.scheduler.sites
        sites.began(lane)
        done = attempt.getCompletionDeferred()
        done.addBoth(self._attemptEnded, lane, factory)
        goal = goalOf(lane)
        if claim.writes:
            route = DeferredList(claim.writes).addCallback(
                lambda _: self._routeTo(goal)
            )
        else:
            route = defer.maybeDeferred(self._routeTo, goal)
        route.addCallback(self._hostsFound, attempt, factory, sites.siteOf(lane))
        route.addErrback(self._ebExchange, factory, str(goal))
        return done

    def _usualArguments(self) -> tuple[Any, ...]:
        """
        Give what stands for C{fArgs} where a program has set none.
        """
        return (self._theHostname(),)

    def _attemptEnded(self, result: Any, lane: Hashable, factory: Any) -> Any:
        self._connections.ended(factory)
        self._kept.forget(factory)
        self._work.scheduler.sites.ended(lane)
        self.wake()
        return result

    def _hostsFound(
        self, route: Route, attempt: Any, factory: Any, begun: Hashable
    ) -> None:
        self._learn(goalOf(attempt.lane), route)
        if self._standsBack(attempt, begun, route):
            attempt.standBack(factory)
        elif takesPart(attempt) or hasattr(attempt, "begin"):
            attempt.begin(factory, route)
        else:
            host = route.hosts[0]
            self._cbExchange(host.name, host.port or self.PORT, factory)

    def _cbExchange(self, address: str, port: int, factory: Any) -> None:
        """
        Connect to a host.  What is overridden here decides how.

        @param address: The host's name or address.
        @param port: The port.
        @param factory: The factory of the attempt.
        """
        host: Host = getattr(factory.manager, "host", None) or Host(
            address, tls=self.tls
        )
        if host.name != address:
            host = replace(host, name=address, named=True)
        if host.named:
            self._named.noteTried(host, self._theReactor().seconds())
        connecting = self._theConnector().connect(host, port, factory)
        self._connections.making(connecting)
        connecting.addErrback(partial(factory.clientConnectionFailed, None))
        connecting.addErrback(self._notReported)

    def hostsInClear(self) -> list[InClear]:
        """
        Give the hosts that offer TLS, and get mail in clear because it fails.
        """
        return self.clearHosts.known(self._theReactor().seconds())

    def _notReported(self, failure: Failure) -> None:
        self._log.failure("An attempt could not be settled", failure)

    def _ebExchange(self, failure: Failure, factory: Any, domain: str) -> None:
        """
        Settle an attempt for which no host could be named.

        @param failure: Why.
        @param factory: The factory of the attempt.
        @param domain: The destination.
        """
        goal = goalOf(factory.manager.lane)
        if isinstance(goal, Refusing):
            # What is returned does not say which rule it was.
            self._log.info("Mail is {goal}", goal=goal)
        elif not isinstance(goal, NoWay):
            self._log.info(
                "Error setting up managed relay factory for {domain}: {why}",
                domain=domain,
                why=failure.getErrorMessage(),
            )
        self._learn(goal, None)
        if takesPart(factory.manager):
            factory.manager.failRoute(factory, failure)
            return
        names = self.managed.pop(factory)
        self._theReactor().callLater(BACK_OFF, setAllWaiting, self.queue, names)
        factory.manager.notifyDone(factory)

    # What attempt managers ask, and tell.

    def retryAt(self, letter: Letter, outcome: Outcome) -> float | None:
        """
        Say when a letter is tried again, or looked at because its sender is to be
        told that it is late.

        @param letter: The letter, after the attempt.
        @param outcome: What became of that.

        @return: When, in seconds of the queue's clock; L{None} if it has
            expired, or is of no use any more.
        """
        parameters, now = letter.parameters, self.queue.clock.seconds()
        when = nextAttempt(
            letter.attempts,
            beganAt(letter.arrived, parameters),
            now,
            self.chance(),
            self.retrySchedule,
            self.expireAfter,
        )
        return None if when is None else inTime(when, parameters, now)

    def keep(self, attempt: Any, relay: Any, relayer: Any) -> bool:
        """
        Keep a connection for mail to come.

        @param attempt: The attempt manager.
        @param relay: Its factory.
        @param relayer: The relayer, which is told to resume or to leave.

        @return: Whether it is kept.
        """
        if self.idleTimeout <= 0 or not self._isAwake():
            return False
        if self._work.scheduler.lanes.count():
            # It may be what the others wait for.
            return False
        reactor = self._theReactor()
        self._kept.keep(attempt, relay, relayer, reactor, self.idleTimeout)
        return True

    def noteRelayer(self, relay: Any, relayer: Any) -> None:
        """
        Remember who sends for an attempt.

        @param relay: The factory.
        @param relayer: What it built.
        """
        self._connections.made(relay, relayer)

    def ownAddress(self, relay: Any) -> str:
        """
        Give the address of this machine that the connection of an attempt comes
        from; empty where there is none.

        @param relay: The factory.
        """
        return self._connections.ownAddress(relay)

    def tlsOf(self, relay: Any) -> Any:
        """
        Give the TLS connection (pyOpenSSL) of an attempt that is in a session over
        TLS.

        @param relay: The factory.
        """
        return self._connections.tlsOf(relay)

    def flushSoon(self) -> None:
        """
        Tell the senders of what failed, at the end of this turn.
        """
        self._tellSenders.soon()

    def _flush(self) -> None:
        self.bounces.flush(self._theHostname())
        # What rests since may be due before anything else is.
        self.wake()

    # The end.

    def stop(self) -> Deferred[None]:
        """
        Begin nothing new, let what is being sent end, within L{STOP_PATIENCE}
        seconds, and put back the rest.

        @return: Fires when there is no connection left.
        """
        self.isStopping = True
        self._wakeUp.cancel()
        self._due.cancel()
        for kept in self._kept:
            self._kept.letGo(kept.relay)
        self._connections.giveUpMaking()
        self._connections.abortUnbegun()
        for factory in list(self.managed):
            if not getattr(factory.manager, "address", ""):
                # Its hosts are still being looked up.
                factory.manager.notifyDone(factory)
        ended = DeferredList(
            [factory.manager.getCompletionDeferred() for factory in self.managed]
        )
        reactor = self._theReactor()
        patience = reactor.callLater(STOP_PATIENCE, self._abort)
        return ended.addCallback(self._stopped, patience)

    def _abort(self) -> None:
        for factory in list(self.managed):
            self._connections.abort(factory)

    def _stopped(self, _: Any, patience: Any) -> None:
        if patience.active():
            patience.cancel()
        self._tellSenders.now()

    # What is made late.

    def _theReactor(self) -> Any:
        if self.reactor is None:
            from twisted.internet import reactor

            return reactor
        return self.reactor

    def _theMXCalculator(self) -> Any:
        if self.mxcalc is None:
            self.mxcalc = MXCalculator(clock=self.reactor)
            if self.destinations is None:
                self.destinations = DestinationPolicy()
        return self.mxcalc

    def _theResolver(self) -> Any:
        resolver = getattr(self._theMXCalculator(), "resolver", None)
        if resolver is None:
            # A calculator of a program's own that has none.
            if self._resolver is None:
                self._resolver = makeResolver(reactor=self.reactor)
            resolver = self._resolver
        return resolver

    def _theConnector(self) -> Connector:
        return Connector(
            self._theReactor(),
            self._theResolver(),
            self.destinations,
            self.connectTimeout,
            self._addresses,
            self.tlsSessions,
        )

    def _theHostname(self) -> str:
        return self.hostname or socket.gethostname()


class SmartHostESMTPRelayingManager(SmartHostSMTPRelayingManager):
    """
    Relays what is in a queue, over ESMTP.
    """

    factory = ESMTPManagedRelayerFactory

    def _usualArguments(self) -> tuple[Any, ...]:
        return (None, None, self._theHostname())


def _checkState(manager: SmartHostSMTPRelayingManager) -> None:
    """
    Have a relaying manager look at its queue.  It never raises, for a timer
    stops for ever when what it calls does.

    @param manager: The relaying manager.
    """
    try:
        started = manager.checkState()
    except Exception:
        _log.failure("The queue could not be looked at; the timer tries again")
        return
    if isinstance(started, Deferred):
        started.addErrback(lambda f: _log.failure("An attempt was not settled", f))


def RelayStateHelper(
    manager: SmartHostSMTPRelayingManager, delay: float
) -> TimerService:
    """
    Make a service that has a relaying manager look at its queue now and then.

    @param manager: The relaying manager.
    @param delay: The seconds between two looks.
    """
    return TimerService(delay, _checkState, manager)
