# -*- test-case-name: relaymail.test.schedule.test_scheduler -*-
"""
Who may start.

L{Scheduler} answers one question: which lanes may start how big a batch now.  The
rules of the answer:

  - Never more connections than the asker says are free.
  - A site has as many connections as it has shown that it can bear
    (L{relaymail.schedule.paces}).
  - While another site waits or is busy, a site holds at most half of
    C{maxConnections}, and no more than an equal share among the sites that
    wait; but always one.
  - The last tenth of C{maxConnections} is for sites that hold none, as soon as
    there is more than one with work.
  - A lane with a rate starts no more than the rate leaves
    (L{relaymail.schedule.rates}), and pauses until it leaves something.
  - Lanes with urgent mail (RFC 6710) are asked first, but after every few of
    those the others are.
  - What there is goes round the lanes one connection at a time, and the next
    answer begins with those that got nothing: nobody starves.

A question costs as much as its answer and the number of busy sites, however
many names and lanes wait, also where many lanes lead to one site.
L{Scheduler.standing} says why a lane does not start.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from itertools import islice

from relaymail.schedule.goals import goalOf, limitsOf
from relaymail.schedule.lanes import Lanes
from relaymail.schedule.paces import LARGEST_PACE, Paces, Standing, State
from relaymail.schedule.rates import Rates
from relaymail.schedule.sites import Known, Sites
from relaymail.schedule.turns import SiteOf

#: Which part of the connections is for sites that hold none: one in ten.
RESERVE_PART = 10
#: How many lanes are looked at for one answer; the next one looks further.
MAX_LOOK = 1_000
#: How many lanes that cannot start may stand before the others.
MAX_IDLE = 100
#: How many lanes are looked at for others whose mail can go over a connection.
MAX_MATES = 100


class Scheduler:
    """
    Says which lanes may start how big a batch.

    @ivar maxConnections: How many connections all sites may hold together;
        what one may hold is reckoned from it, read whenever it is needed.
    @ivar batch: How many names a connection is given at most; read whenever
        it is needed.
    @ivar sites: Of which site each goal of mail is.
    @ivar lanes: What waits.
    @ivar paces: How many connections each site may have.
    @ivar rates: What is left of each limit.
    """

    def __init__(
        self, maxConnections: int, batch: int, largestPace: int = LARGEST_PACE
    ) -> None:
        """
        @param maxConnections: How many connections all sites may hold.
        @param batch: How many names a connection is given at most.
        @param largestPace: How many connections a site may come to have.
        """
        self.maxConnections = maxConnections
        self.batch = batch
        self.sites = Sites()
        self.lanes = Lanes(self.sites.siteOf)
        self.paces = Paces(largestPace)
        self.rates = Rates()

    def whoMayStart(
        self, busy: Mapping[Hashable, int], free: int, now: float
    ) -> list[tuple[Hashable, int]]:
        """
        Say which lanes may start how big a batch now.  Nothing is taken.

        @param busy: How many connections each site holds.
        @param free: How many connections may be opened.
        @param now: The time, in seconds.

        @return: Lanes with the number of names for L{take}, in the order in
            which to start them; a lane that may start several is in it several
            times.
        """
        self.lanes.resumeDue(now)
        if free <= 0:
            return []
        turns = self._turns(busy, free, now)
        counts: dict[Hashable, int] = {}
        for lane in turns:
            counts[lane] = counts.get(lane, 0) + 1
        batches = {
            lane: iter(self.lanes.batches(lane, count, self._limit(lane, now)))
            for lane, count in counts.items()
        }
        self.lanes.hadTurns(counts)
        return [(lane, next(batches[lane])) for lane in turns]

    def learn(
        self, goal: Hashable, known: Known | None
    ) -> list[tuple[Hashable, Hashable]]:
        """
        Take into account what was found out about a goal.

        @return: See L{Sites.learn}.
        """
        moved = self.sites.learn(goal, known)
        for each, _ in moved:
            self.lanes.moved(each)
        return moved

    def isCrowded(self, site: Hashable) -> bool:
        """
        Tell whether a site has more connections than it may have.
        """
        busy = self.sites.busy
        share, _ = self._bounds(busy)
        return busy[site] > min(share, self.paces.allowed(site))

    def mates(
        self, lane: Hashable, route: Hashable, limit: int, now: float
    ) -> list[Hashable]:
        """
        Give other lanes whose mail can go over a connection that was made for a
        lane, because it is known to go over the same route, in the order of their
        turns.

        @param route: What connections over its route may be shared within.
        @param limit: How many at most.
        @param now: The time, in seconds of the reactor's clock.
        """
        sites = self.sites
        others = islice(self.lanes.lanesOf(sites.siteOf(lane)), MAX_MATES)
        found = (
            other
            for other in others
            if other != lane and sites.isRouteOf(other, route, now)
        )
        return list(islice(found, limit))

    def take(self, lane: Hashable, limit: int, now: float) -> list[str]:
        """
        Take the next names of a lane, as far as its rate allows; they wait no
        longer.

        @param limit: How many at most.
        @param now: The time, in seconds.
        """
        limits = limitsOf(lane)
        if not limits:
            return self.lanes.take(lane, limit)
        left = self.rates.left(limits, now)
        names = self.lanes.take(lane, limit if left is None else min(limit, left))
        self.rates.take(limits, len(names), now)
        when, usedUp = self.rates.when(limits, now)
        if usedUp is not None and self.lanes.waiting(lane):
            self.lanes.pause(lane, when)
        return names

    def nextTime(self) -> float | None:
        """
        Say when a lane that pauses may go on, in seconds, or L{None}.
        """
        return self.lanes.nextEnd()

    def standing(
        self,
        lane: Hashable,
        busy: Mapping[Hashable, int],
        free: int,
        now: float,
        site: Hashable = None,
    ) -> Standing:
        """
        Say how a lane stands, and why it does not start if it does not.

        @param busy: How many connections each site holds.
        @param free: How many connections may be opened.
        @param now: The time, in seconds.
        @param site: Its site; L{None}: as it is known.
        """
        places = self.sites.placesOf(lane, site)
        site = places[0]
        for place in reversed(places):
            standing = self.paces.standing(place, now)
            if standing.state is State.SUSPENDED:
                return standing
        when, limit = self.rates.when(limitsOf(lane), now)
        if limit is not None:
            why = f"the rate of {limit} is used up"
            return Standing(State.THROTTLED, why, when, standing.allowed)
        held = busy.get(site, 0)
        share, reserve = self._bounds(busy)
        if held >= standing.allowed:
            if standing.state is State.THROTTLED:
                return standing
            why = _told(lane, site, f"the {held} connections that {{they}} may have")
        elif held >= share:
            shown = f"{held} connections, {{their}} share of {self.maxConnections}"
            why = _told(lane, site, shown)
        elif free <= (reserve if held else 0):
            why = f"the {self.maxConnections} connections are in use, or reserved"
        else:
            return replace(standing, state=State.READY)
        return Standing(State.BUSY, why, None, standing.allowed)

    # How it is reckoned.

    def _turns(
        self, busy: Mapping[Hashable, int], free: int, now: float
    ) -> list[Hashable]:
        """
        Give the lanes whose turn it is, and let those pause that may not start
        before some time.
        """
        share, reserve = self._bounds(busy)
        given = _Turns(self.sites.siteOf, self.paces.allowed, busy, share)
        paused: list[tuple[Hashable, float]] = []
        for lane in islice(self.lanes.turns(given.wants), MAX_LOOK):
            if len(given.turns) >= free:
                break
            when, limit = self.rates.when(limitsOf(lane), now)
            if limit is None:
                given.consider(lane, self._more(lane, now))
            else:
                paused.append((lane, when))
        for lane, when in paused:
            self.lanes.pause(lane, when)
        if len(given.idle) > MAX_IDLE:
            self.lanes.standBehind(given.idle)
        return given.andOthers(free - reserve)

    def _more(self, lane: Hashable, now: float) -> int:
        """
        Say how many batches a lane has, at most: of one with a rate no more than
        are full, but for the last.
        """
        groups, left = self.lanes.groups(lane), self.rates.left(limitsOf(lane), now)
        if left is None:
            return groups
        return min(groups, -(-left // self._limit(lane, now)))

    def _limit(self, lane: Hashable, now: float) -> int:
        bounds = (
            self.batch,
            self.paces.probe(self.sites.siteOf(lane)),
            self.rates.left(limitsOf(lane), now),
        )
        return max(1, min(bound for bound in bounds if bound is not None))

    def _bounds(self, busy: Mapping[Hashable, int]) -> tuple[int, int]:
        """
        Say how many connections a site may hold beside the others, and how many
        are kept for sites that hold none, so that sites whose hosts are silent
        do not hold up the others.
        """
        if not self._isShared(busy):
            return self.maxConnections, 0
        share = self.maxConnections // max(2, self.lanes.countSites())
        return max(1, share), self.maxConnections // RESERVE_PART

    def _isShared(self, busy: Mapping[Hashable, int]) -> bool:
        """
        Tell whether there is more than one site with work.
        """
        lanes = self.lanes
        others = [s for s, count in busy.items() if count > 0 and not lanes.hasSite(s)]
        return lanes.countSites() + len(others) > 1


def _told(lane: Hashable, site: Hashable, what: str) -> str:
    """
    Say what the site of a lane has.
    """
    if site == goalOf(lane):
        return "it has " + what.format(they="it", their="its")
    return f"its hosts ({site}) have " + what.format(they="they", their="their")


class _Turns:
    """
    The turns of one answer.

    @ivar turns: A lane for each.
    @ivar idle: The lanes that have no room.
    """

    def __init__(
        self,
        siteOf: SiteOf,
        allowed: Callable[[Hashable], int],
        busy: Mapping[Hashable, int],
        share: int,
    ) -> None:
        self.turns: list[Hashable] = []
        self.idle: list[Hashable] = []
        self._siteOf = siteOf
        self._allowed = allowed
        self._busy = busy
        self._share = share
        self._held: dict[Hashable, int] = {}
        # How many lanes of each site have a turn, or room for one.
        self._lanes: dict[Hashable, int] = {}
        # How many batches are left of each lane that has room.
        self._left: dict[Hashable, int] = {}

    def consider(self, lane: Hashable, batches: int) -> None:
        """
        Give a lane a turn if its site holds nothing.
        """
        if not self._hasRoom(lane):
            self.idle.append(lane)
            return
        site = self._siteOf(lane)
        self._lanes[site] = self._lanes.get(site, 0) + 1
        if self._holds(lane) == 0:
            self._give(lane)
            batches -= 1
        if batches > 0 and self._hasRoom(lane):
            self._left[lane] = batches

    def wants(self, site: Hashable) -> bool:
        """
        Tell whether more lanes of a site may find room than were considered.
        """
        room = min(self._share, self._allowed(site)) - self._busy.get(site, 0)
        return self._lanes.get(site, 0) < room

    def andOthers(self, end: int) -> list[Hashable]:
        """
        Give turns to the lanes that have room, round after round.

        @param end: How many turns there are to be.

        @return: All turns.
        """
        while self._left and len(self.turns) < end:
            for lane in list(self._left)[: end - len(self.turns)]:
                if self._left[lane] and self._hasRoom(lane):
                    self._give(lane)
                    self._left[lane] -= 1
                else:
                    del self._left[lane]
        return self.turns

    def _give(self, lane: Hashable) -> None:
        self.turns.append(lane)
        self._held[self._siteOf(lane)] = self._holds(lane) + 1

    def _holds(self, lane: Hashable) -> int:
        site = self._siteOf(lane)
        return self._held.get(site, self._busy.get(site, 0))

    def _hasRoom(self, lane: Hashable) -> bool:
        site = self._siteOf(lane)
        return self._holds(lane) < min(self._share, self._allowed(site))
