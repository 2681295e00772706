# -*- test-case-name: relaymail.test.deliver.test_work -*-
"""
From what waits in a queue to batches for attempts.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaymail.envelopes import Outline
from relaymail.errors import UnreadableEntry
from relaymail.inspection import IInspectable
from relaymail.interfaces import IQueue
from relaymail.replies import printable
from relaymail.route.router import Holding
from relaymail.schedule.goals import goalOf
from relaymail.schedule.scheduler import Scheduler

#: How many names are let rest in one turn of the reactor: some tens of
#: milliseconds of work.
PORTION = 200

LaneOf = Callable[[Outline], Hashable]
IsOld = Callable[[Outline], bool]
HeldUntil = Callable[[Outline], float | None]


@dataclass(frozen=True, slots=True)
class Claim:
    """
    Names that were claimed.

    @ivar names: The names, without those that were no longer to be had.
    @ivar writes: Fire when the claims are on the disk; none fails.
    """

    names: list[str]
    writes: list[Deferred[None]]


class Work:
    """
    What waits in a queue, sorted into lanes.

    What is for a site that is suspended rests until that is over, but for what
    is so old that its time is over: that is tried, to be able to give it up.

    @ivar scheduler: Has the names that were looked at and not taken.
    @ivar isStale: Whether there may be names that were not looked at.
    """

    _log = Logger()

    def __init__(
        self,
        queue: Any,
        laneOf: LaneOf,
        isOld: IsOld = lambda outline: False,
        clock: Callable[[], float] = lambda: 0.0,
        heldUntil: HeldUntil = lambda outline: None,
        longestRest: Callable[[Hashable], float] = lambda goal: inf,
    ) -> None:
        """
        @param queue: The queue.
        @param laneOf: Gives the lane for what is known of a name.
        @param isOld: Tells whether the time of a name is over.
        @param clock: Gives the time, in seconds.
        @param heldUntil: Says until when a name is to rest by wish of an operator,
            or gives L{None}.
        @param longestRest: Says how long a name rests at a time because the site of
            its goal fails, in seconds.
        """
        self.scheduler = Scheduler(1, 1)
        self.isStale = True
        self._queue = queue
        self._laneOf = laneOf
        self._isOld = isOld
        self._clock = clock
        self._heldUntil = heldUntil
        self._longestRest = longestRest
        self._takesPart = IQueue.providedBy(queue)
        self._isInspectable = IInspectable.providedBy(queue)
        #: What is about to rest, and in no lane.
        self._toRest: set[str] = set()
        if self._isInspectable:
            # What waits again would be taken for what waited all the time.
            queue.onWithdrawn = self.scheduler.lanes.forget

    @property
    def mayHold(self) -> bool:
        """
        Whether the queue can hold what a rule holds.
        """
        return self._isInspectable

    def placeNew(self) -> None:
        """
        Place what has begun to wait since this was last asked.
        """
        if not self.isStale:
            return
        # Whoever announces new names lets them wait behind the others.
        self.isStale = getattr(self._queue, "onWaiting", None) is None
        new = []
        for name in self._newest():
            if self.scheduler.lanes.has(name) or name in self._toRest:
                break
            new.append(name)
        self._place(reversed(new))

    def placeAll(self) -> None:
        """
        Place everything that waits.
        """
        self._place(list(self._queue.getWaiting()))

    def placeAgain(self) -> None:
        """
        Place once more what was placed: what decides about lanes has changed.
        """
        lanes = self.scheduler.lanes
        placed = [name for lane in lanes for name in lanes.names(lane)]
        for name in placed:
            lanes.forget(name)
        self._place(placed)

    def take(self, lane: Hashable, limit: int) -> Claim:
        """
        Claim the next names of a lane.  Where the queue does not let itself be
        asked, such as one that another process has locked, what was claimed
        before goes on, and the others wait until L{placeAll} finds them.

        @param limit: How many at most.
        """
        names: list[str] = []
        writes: list[Deferred[None]] = []
        for name in self.scheduler.take(lane, limit, self._clock()):
            try:
                written = self._queue.setRelaying(name)
            except KeyError:
                # Somebody else took it, or took it out, since it was placed.
                continue
            except Exception:
                self._log.failure("{name} cannot be claimed now; it waits", name=name)
                self._letGo(name)
                break
            names.append(name)
            if isinstance(written, Deferred):
                writes.append(written.addErrback(self._notWritten, name))
        return Claim(names, writes)

    def rest(self, *places: Hashable) -> Iterator[None]:
        """
        Let rest what waits for sites that were suspended, or for goals, L{PORTION}
        names at a time: there may be tens of thousands, which takes seconds.

        @param places: The sites, and the goals.

        @return: Each step does some; the last one ends it.
        """
        lanes, siteOf = self.scheduler.lanes, self.scheduler.sites.siteOf
        every = list(lanes) if self._takesPart else []
        of = [x for x in every if siteOf(x) in places or goalOf(x) in places]
        waiting = [name for lane in of for name in lanes.names(lane)]
        for name in waiting:
            lanes.forget(name)
        self._toRest.update(waiting)
        try:
            for start in range(0, len(waiting), PORTION):
                if start:
                    yield
                # What has gone meanwhile is not placed, nor what was placed.
                some = waiting[start : start + PORTION]
                self._toRest.difference_update(some)
                self._place(some)
        finally:
            # Also where this is not gone through to its end.
            self._toRest.difference_update(waiting)

    def _letGo(self, name: str) -> None:
        """
        See that a name whose claim went wrong is not taken for claimed.
        """
        try:
            written = self._queue.setWaiting(name)
        except KeyError:
            # It waits as it did before.
            return
        except Exception:
            self._log.failure("{name} cannot be given back", name=name)
            return
        if isinstance(written, Deferred):
            written.addErrback(self._notWritten, name)

    def _newest(self) -> Iterable[str]:
        if self._takesPart:
            newest: Iterable[str] = self._queue.newestWaiting()
        else:
            newest = reversed(list(self._queue.getWaiting()))
        return newest

    def _place(self, names: Iterable[str]) -> None:
        for name in names:
            if self.scheduler.lanes.has(name) or name in self._toRest:
                continue
            try:
                outline = self._outlineOf(name)
            except UnreadableEntry as e:
                self._log.failure("{name} cannot be read", name=name)
                self._queue.setAside(name, str(e))
                continue
            except KeyError:
                # It went since it was listed.
                continue
            except Exception:
                # Such as a want of descriptors, which passes.
                self._log.failure("{name} cannot be read now", name=name)
                continue
            self._placeOne(name, outline)

    def _outlineOf(self, name: str) -> Outline:
        if self._takesPart:
            outline: Outline = self._queue.outline(name)
            return outline
        sender, recipient = self._queue.getEnvelope(name)[:2]
        return Outline(str(sender), str(recipient), name)

    def _placeOne(self, name: str, outline: Outline) -> None:
        lane = self._laneOf(outline)
        goal = goalOf(lane)
        if isinstance(goal, Holding) and self._isInspectable:
            self._hold(name, lane, goal, outline)
            return
        until = self.restsUntil(lane, outline)
        if until is None:
            self._await(name, lane, outline)
            return
        try:
            written = self._queue.postpone(name, until)
        except KeyError:
            # Somebody else took it, or took it out.
            return
        if isinstance(written, Deferred):
            written.addErrback(self._notPostponed, name)

    def _await(self, name: str, lane: Hashable, outline: Outline) -> None:
        isAgain = outline.attempts > 0
        priority = outline.parameters.priority
        self.scheduler.lanes.place(name, lane, outline.key, isAgain, priority)

    def _hold(self, name: str, lane: Hashable, goal: Holding, outline: Outline) -> None:
        """
        Keep a name back that a rule holds.
        """
        self._log.info(
            "{name} from <{sender}> to <{recipient}> is held {why}",
            name=name,
            sender=printable(outline.sender),
            recipient=printable(outline.recipient),
            why=goal.why,
        )
        held: Deferred[None] = maybeDeferred(self._queue.hold, name, goal.why)
        held.addErrback(self._notHeld, name, lane, outline)

    def _notHeld(
        self, failure: Failure, name: str, lane: Hashable, outline: Outline
    ) -> None:
        if failure.check(KeyError):
            # Somebody else took it, or took it out.
            return
        self._log.error(
            "{name} could not be held: {why}; it is not sent, and this is tried again",
            name=name,
            why=failure.getErrorMessage(),
        )
        if not self.scheduler.lanes.has(name):
            # Its lane leads nowhere: an attempt lets it rest.
            self._await(name, lane, outline)

    def restsUntil(
        self, lane: Hashable, outline: Outline, site: Hashable = None
    ) -> float | None:
        """
        Say until when a name rests instead of waiting for its turn, because its
        destination or its site is suspended; L{None}: it waits.

        @param lane: Its lane.
        @param outline: What is known of it.
        @param site: Its site; L{None}: as it is known.
        """
        if not self._takesPart:
            return None
        held = self._heldUntil(outline)
        if held is not None:
            return held
        paces, sites = self.scheduler.paces, self.scheduler.sites
        places = sites.placesOf(lane, site)
        site = places[0]
        until = paces.restsUntil(places, self._clock())
        if until is not None and not paces.isHeld(site) and self._isOld(outline):
            return None
        by = outline.parameters.deliverBy
        if until is not None and by is not None and by.returns:
            # Its sender is to be told in time.
            until = min(until, by.at)
        return until and min(until, self._clock() + self._longestRest(goalOf(lane)))

    def _notWritten(self, failure: Failure, name: str) -> None:
        # It is claimed all the same as long as this process lives, and a full
        # disk is no reason not to empty the queue.
        self._log.failure("The claim of {name} was not written", failure, name=name)

    def _notPostponed(self, failure: Failure, name: str) -> None:
        # It rests all the same as long as this process lives.
        self._log.failure("That {name} rests was not written", failure, name=name)
