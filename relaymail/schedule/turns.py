# -*- test-case-name: relaymail.test.schedule.test_turns -*-
"""
The order of the lanes' turns.

Lanes with urgent mail go before the others, but after a few of those one of the
others is first.  Lanes of different goals that lead to one site share a place among
the others: however many there are, they hide nobody, and where their site has no room
they are passed over together.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from itertools import chain

from relaymail.schedule.goals import LimitedLane, goalOf
from relaymail.schedule.waiting import HEAD_START

SiteOf = Callable[[Hashable], Hashable]


class Turns:
    """
    The lanes that have turns, in their order.
    """

    def __init__(self, siteOf: SiteOf = goalOf) -> None:
        """
        @param siteOf: Gives the site that a lane leads to; whoever knows that it has
            changed says so by L{moved}.
        """
        self._siteOf = siteOf
        #: The lanes, each with the site that it stands with.
        self._at: dict[Hashable, Hashable] = {}
        #: The lanes of a site by itself, and the sites of others, in their order.
        self._order: OrderedDict[Hashable, None] = OrderedDict()
        #: The lanes of each of those sites, in their order.
        self._shared: dict[Hashable, OrderedDict[Hashable, None]] = {}
        self._sites: Counter[Hashable] = Counter()
        #: Those that have urgent mail.
        self._urgent: OrderedDict[Hashable, None] = OrderedDict()
        #: The limited lanes by their goal.
        self._limited: dict[Hashable, dict[Hashable, None]] = {}
        #: How many urgent ones had turns since another lane had one.
        self._inARow = 0

    def __len__(self) -> int:
        """
        Give the number of lanes.
        """
        return len(self._at)

    def __contains__(self, lane: Hashable) -> bool:
        """
        Tell whether a lane has turns.
        """
        return lane in self._at

    def inOrder(
        self, wants: Callable[[Hashable], bool] | None = None
    ) -> Iterable[Hashable]:
        """
        Give the lanes in the order of their turns; they must not change meanwhile.

        @param wants: Tells whether more lanes of a site are wanted, once one of them
            was given; L{None}: all are.
        """
        others = self._others(wants)
        if not self._urgent:
            return others
        if self._inARow < HEAD_START:
            return chain(self._urgent, others)
        return chain(others, self._urgent)

    def countSites(self) -> int:
        """
        Give the number of sites that the lanes lead to.
        """
        return len(self._sites)

    def hasSite(self, site: Hashable) -> bool:
        """
        Tell whether one of them leads to a site.
        """
        return site in self._sites

    def lanesOf(self, site: Hashable) -> Iterable[Hashable]:
        """
        Give the lanes of a site of several goals, in the order of their turns; they
        must not change meanwhile.
        """
        return self._shared.get(site, ())

    def give(self, lane: Hashable, isUrgent: bool) -> None:
        """
        Give a lane turns, behind all others.

        @param isUrgent: Whether it has urgent mail.
        """
        if lane in self._at:
            return
        if isUrgent:
            self._urgent[lane] = None
        if isinstance(lane, LimitedLane):
            self._limited.setdefault(lane.goal, {})[lane] = None
        self._stand(lane)

    def take(self, lane: Hashable) -> None:
        """
        Give a lane no more turns.
        """
        if lane not in self._at:
            return
        self._urgent.pop(lane, None)
        if isinstance(lane, LimitedLane):
            others = self._limited[lane.goal]
            del others[lane]
            if not others:
                del self._limited[lane.goal]
        self._go(lane)

    def nowUrgent(self, lane: Hashable) -> None:
        """
        Note that a lane has urgent mail now.
        """
        if lane in self._at:
            self._urgent[lane] = None

    def notUrgent(self, lane: Hashable) -> None:
        """
        Note that a lane has no urgent mail any more.
        """
        self._urgent.pop(lane, None)

    def moved(self, goal: Hashable) -> None:
        """
        Let the lanes of a goal stand where they belong now that it is of another
        site.
        """
        for lane in (goal, *self._limited.get(goal, ())):
            if lane in self._at:
                self._go(lane)
                self._stand(lane)

    def had(self, lanes: Collection[Hashable]) -> None:
        """
        Let lanes stand behind all others, because they had their turns.
        """
        if self._urgent and lanes:
            isAlone = all(lane in self._urgent for lane in lanes)
            self._inARow = self._inARow + len(lanes) if isAlone else 0
        self.standBehind(lanes)

    def standBehind(self, lanes: Iterable[Hashable]) -> None:
        """
        Let lanes stand behind all others.
        """
        for lane in lanes:
            if lane in self._urgent:
                self._urgent.move_to_end(lane)
            if lane not in self._at:
                continue
            site = self._at[lane]
            if site in self._shared:
                self._shared[site].move_to_end(lane)
                self._order.move_to_end(site)
            else:
                self._order.move_to_end(lane)

    def _others(self, wants: Callable[[Hashable], bool] | None) -> Iterator[Hashable]:
        for place in self._order:
            lanes = self._shared.get(place)
            if lanes is None:
                if place not in self._urgent:
                    yield place
                continue
            for lane in lanes:
                if lane in self._urgent:
                    continue
                yield lane
                if wants is not None and not wants(place):
                    break

    def _stand(self, lane: Hashable) -> None:
        site = self._at[lane] = self._siteOf(lane)
        self._sites[site] += 1
        if site == goalOf(lane):
            self._order[lane] = None
        else:
            self._shared.setdefault(site, OrderedDict())[lane] = None
            self._order[site] = None

    def _go(self, lane: Hashable) -> None:
        site = self._at.pop(lane)
        self._sites[site] -= 1
        if not self._sites[site]:
            del self._sites[site]
        shared = self._shared.get(site)
        if shared is None:
            del self._order[lane]
            return
        del shared[lane]
        if not shared:
            del self._shared[site], self._order[site]
