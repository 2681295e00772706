# -*- test-case-name: relaymail.test.deliver.test_steering -*-
"""
Where a relaying manager is steered: how fast mail goes to whom, what is suspended,
and why mail waits.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from math import inf
from types import MappingProxyType

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaymail.addresses import domainOf, normalDomain
from relaymail.deliver.routing import outlineFor, withTLS
from relaymail.deliver.sharing import SharingMixin
from relaymail.deliver.times import isOver
from relaymail.envelopes import NO_ORIGIN, Origin, Outline
from relaymail.errors import MalformedAddress
from relaymail.inspection import IInspectable
from relaymail.interfaces import IQueue
from relaymail.outcome.news import DEFAULT_DELAY_NOTICE
from relaymail.outcome.verdicts import LaneState
from relaymail.route.router import Unroutable, shownSite
from relaymail.route.terms import Way
from relaymail.schedule.goals import LimitedLane, goalOf
from relaymail.schedule.paces import HELD, LARGEST_PACE, Standing
from relaymail.schedule.rates import Rate, limitsFor
from relaymail.schedule.scheduler import Scheduler

#: How often mail is looked for whose time is over although it is suspended, in
#: seconds.
LOOK_FOR_OLD = 60.0
#: How long mail rests at a time because its hosts fail, in seconds, where other mail
#: for the same destination goes by other hosts: the queue reads both together, or
#: neither.
LONGEST_REST = 120.0


class SteeringMixin(SharingMixin):
    """
    How fast mail goes to whom, for a relaying manager.

    @cvar maxConnectionsPerSite: How many connections there may be to one site:
        the hosts of a domain, or the smart hosts.
    @cvar destinationRates: How much may go to a domain, by domain; C{"*"} is
        each that is not named (L{relaymail.schedule.rates}).
    @cvar delayNotice: How long mail is tried before its sender is told that it is
        late, in seconds; 0: only who asked for it is told.
    @cvar senderRates: How much may come from a sender, by address or domain;
        C{"*"} is each address of which nothing is said.
    """

    _log = Logger()

    maxConnectionsPerSite = LARGEST_PACE
    delayNotice: float = DEFAULT_DELAY_NOTICE
    destinationRates: Mapping[str, Rate] = MappingProxyType({})
    senderRates: Mapping[str, Rate] = MappingProxyType({})

    maxConnections: int
    maxMessagesPerConnection: int
    expireAfter: float
    retrySchedule: Sequence[float]
    chance: Callable[[], float]
    _lookedForOld = -inf

    def wake(self) -> None:
        """
        Start relaying what waits, before long.
        """
        raise NotImplementedError

    def noteLane(self, lane: Hashable, state: LaneState, why: str = "") -> None:
        """
        Remember whether a lane takes mail.

        @param why: What was said, or what was wrong.
        """
        site, goal = self._theSite(lane), goalOf(lane)
        paces = self._theScheduler().paces
        if state in (LaneState.FAILING, LaneState.UNFIT):
            # Hosts that show no certificate, say, are well for other mail.
            place = site if state is LaneState.FAILING else goal
            until = paces.noteFailure(place, self._now(), why, self.chance())
            if until is not None:
                self._suspended(place, until - self._now(), why)
        elif state is not LaneState.UNKNOWN:
            isFine = state is LaneState.FINE
            if isFine and paces.noteDelivered(site, self._now()):
                self._serves(site)
            for place in {site: None, goal: None}:
                if paces.noteAnswer(place):
                    self._serves(place)
            if state is LaneState.THROTTLE:
                paces.noteTrouble(site, self._now(), why)

    # What is suspended.

    def suspend(self, destination: str, why: str = "by the operator") -> None:
        """
        Send nothing to a destination until L{resume}; its mail rests, and does
        not expire.  Other destinations are none the worse, also where all mail
        goes to the same smart hosts.

        @param destination: The domain.
        @param why: Why, in words.

        @raise MalformedAddress: When it is no domain.
        """
        domain = normalDomain(destination)
        self._keepFrom(domain, why)
        if IInspectable.providedBy(self.queue):
            self._remember(self.queue.suspend(domain, why))

    def resume(self, destination: str) -> None:
        """
        Send to a destination again, that was suspended by L{suspend} or because
        it failed.  What rests because of that is tried at once, what was put off
        by an attempt when its time comes.

        @param destination: The domain.

        @raise MalformedAddress: When it is no domain.
        """
        domain = normalDomain(destination)
        for site in dict.fromkeys((domain, *self._everyPlace(domain))):
            if self._work.scheduler.paces.resume(site):
                self._log.info("{site} is suspended no longer", site=shownSite(site))
        queue = self.queue
        if IInspectable.providedBy(queue) and domain in queue.suspensions():
            self._remember(queue.resume(domain))
        self._lookAgain()

    def forgive(self, destination: str, before: set[Hashable] | None = None) -> None:
        """
        Try a destination at once that is suspended because it failed, but not one
        that was suspended by L{suspend}.

        @param destination: The domain.
        @param before: What was forgiven before by the same order, and is not
            again: it has failed since.  This is added.
        """
        try:
            sites = self._everyPlace(normalDomain(destination))
        except MalformedAddress:
            return
        asked = set() if before is None else before
        paces, now = self._work.scheduler.paces, self._now()
        failing = [
            site
            for site in sites
            if site not in asked
            and not paces.isHeld(site)
            and paces.suspendedUntil(site, now) is not None
        ]
        asked.update(sites)
        for site in failing:
            paces.resume(site)
            self._log.info("{site} is to be tried at once", site=shownSite(site))
        if failing:
            self._lookAgain()

    def settingsChanged(self) -> None:
        """
        Take what was changed here into account for what waits already: where it
        goes, and what limits it.  What is being sent goes on as it was begun.
        """
        for kept in self._kept:
            self._kept.letGo(kept.relay)
        self._era += 1
        self._work.scheduler.sites.outdate()
        self._work.placeAgain()
        self._lookAgain()

    def restoreSuspensions(self) -> None:
        """
        Suspend what an operator had suspended when the queue was last open.
        """
        if IInspectable.providedBy(self.queue):
            for destination, why in self.queue.suspensions().items():
                self._keepFrom(destination, why)

    def _keepFrom(self, domain: str, why: str) -> None:
        self._work.scheduler.paces.hold(domain, why)
        self._log.info("{domain} is suspended: {why}", domain=domain, why=why)
        self._byAndBy(self._work.rest(*withTLS(self.sitesOf(domain))))

    def _remember(self, written: Deferred[None] | None) -> None:
        if written is not None:
            written.addErrback(self._notRemembered)

    def _notRemembered(self, failure: Failure) -> None:
        self._log.failure(
            "It was done as the operator wished, but could not be written: it is as "
            "before when the relay is started again",
            failure,
        )

    def suspendedUntil(self, destination: str) -> float | None:
        """
        Say until when what rests for a destination need not be looked at: where
        senders have smart hosts of their own, as long as none of those serve that
        its mail may go to.

        @param destination: The domain.

        @return: When, in seconds of the queue's clock, or L{None}.
        """
        try:
            domain = normalDomain(destination)
        except MalformedAddress:
            return None
        paces, now = self._work.scheduler.paces, self._now()
        if paces.isHeld(domain):
            return paces.suspendedUntil(domain, now)
        first: float | None = None
        for goal in self.sitesOf(domain):
            until = paces.restsUntil(self._work.scheduler.sites.placesOf(goal), now)
            if until is None:
                return None
            first = until if first is None else min(first, until)
        return first

    def standingOf(
        self,
        destination: str,
        sender: str = "",
        recipient: str = "",
        origin: Origin = NO_ORIGIN,
    ) -> Standing:
        """
        Say how mail for a destination stands: whether it may be sent, and why
        not if not.

        @param destination: The domain.
        @param sender: The address it is from, which a rate or a rule may depend on.
        @param recipient: The address it is for; empty: one of which nothing is said.
        @param origin: Where it came in from.
        """
        return self.standingFor(outlineFor(destination, sender, recipient, origin))

    def standingFor(self, outline: Outline, site: Hashable = None) -> Standing:
        """
        Say how a name would stand that waits.

        @param outline: What is known of it.
        @param site: The site that it goes to; L{None}: as it is known.
        """
        if self._heldUntil(outline) is not None:
            paces = self._work.scheduler.paces
            return paces.standing(domainOf(outline.recipient), self._now())
        lane, scheduler = self._laneOf(outline), self._theScheduler()
        free = self.maxConnections - len(self.managed)
        busy = scheduler.sites.busy
        return scheduler.standing(lane, busy, free, self._now(), site)

    def laneFor(self, outline: Outline) -> Hashable:
        """
        Say in which lane a name would wait, that is, where it goes and what limits it.

        @param outline: What is known of it.
        """
        return self._laneOf(outline)

    def connectionsTo(self, destination: str) -> int:
        """
        Say how many connections there are that mail for a destination may go over,
        those being made included: to its hosts, whatever destination they were made
        for, or with smart hosts to those.

        @param destination: The domain.
        """
        busy = self._work.scheduler.sites.busy
        try:
            return sum(busy[x] for x in self._everySite(normalDomain(destination)))
        except MalformedAddress:
            return 0

    def _theSite(self, lane: Hashable) -> Hashable:
        return self._work.scheduler.sites.siteOf(lane)

    def _everyPlace(self, domain: str) -> tuple[Hashable, ...]:
        """
        Give what must serve for mail for a destination to go, each once: its sites,
        and its goals.
        """
        goals = withTLS(self.sitesOf(domain))
        places = map(self._work.scheduler.sites.placesOf, goals)
        return tuple(dict.fromkeys(place for each in places for place in each))

    def _everySite(self, domain: str) -> tuple[Hashable, ...]:
        """
        Give the sites that mail for a destination may go to, each once.
        """
        goals = withTLS(self.sitesOf(domain))
        return tuple(dict.fromkeys(map(self._theSite, goals)))

    def _serves(self, site: Hashable) -> None:
        self._log.info("{site} serves again", site=shownSite(site))
        self._lookAgain()

    def _lookAgain(self) -> None:
        if IQueue.providedBy(self.queue):
            self.queue.lookAgain()
        self.wake()

    def _suspended(self, site: Hashable, seconds: float, why: str) -> None:
        if not IQueue.providedBy(self.queue):
            # It waits as the seed's way is.
            return
        self._log.info(
            "{site} fails and is tried again in {seconds:.0f} s: {why}",
            site=shownSite(site),
            seconds=seconds,
            why=why,
        )
        self._byAndBy(self._work.rest(site))

    def _byAndBy(self, steps: Iterator[None]) -> None:
        """
        Let rest what waits, so much in a turn as keeps nobody waiting.  Nothing of
        it is begun meanwhile; what need not rest after all may be begun then.
        """
        for _ in steps:
            if not self.isStopping:
                self._theReactor().callLater(0, self._byAndBy, steps)
            return
        self.wake()

    def _lookForOld(self) -> None:
        """
        Wake mail whose time is over, where it rests because it is suspended.
        """
        now = self._now()
        isTime = now >= self._lookedForOld + LOOK_FOR_OLD
        if not isTime or not IQueue.providedBy(self.queue):
            return
        self._lookedForOld = now
        paces = self._work.scheduler.paces
        failing = (site for site in paces if not paces.isHeld(site))
        if any(paces.suspendedUntil(site, now) for site in failing):
            self.queue.wakeOld(now - self.expireAfter)

    # What the lanes are.

    def _theScheduler(self) -> Scheduler:
        scheduler = self._work.scheduler
        scheduler.maxConnections = self.maxConnections
        scheduler.batch = self.maxMessagesPerConnection
        scheduler.paces.largest = self.maxConnectionsPerSite
        scheduler.paces.retry = self.retrySchedule
        return scheduler

    def _laneOf(self, outline: Outline) -> Hashable:
        try:
            destination = domainOf(outline.recipient)
        except MalformedAddress:
            self._log.error("Illegal message destination: {to}", to=outline.recipient)
            return Unroutable(outline.recipient)
        site = self._siteOf(destination, outline)
        if not self.destinationRates and not self.senderRates:
            return site
        limits = limitsFor(
            destination, outline.sender, self.destinationRates, self.senderRates
        )
        return LimitedLane(site, limits) if limits else site

    def _heldUntil(self, outline: Outline) -> float | None:
        """
        Say until when what an operator has suspended is to rest, or L{None} where
        it need not.
        """
        paces = self._work.scheduler.paces
        if not paces.holds:
            return None
        try:
            domain = domainOf(outline.recipient)
        except MalformedAddress:
            return None
        return self._now() + HELD if paces.isHeld(domain) else None

    def _longestRest(self, site: Hashable) -> float:
        isAlone = not self.senderHosts and not isinstance(site, Way)
        return inf if isAlone and not self.routing else LONGEST_REST

    def _isOld(self, outline: Outline) -> bool:
        parameters = outline.parameters
        return isOver(outline.arrived, parameters, self.expireAfter, self._now())

    def _now(self) -> float:
        clock = getattr(self.queue, "clock", None) or self._theReactor()
        now: float = clock.seconds()
        return now
