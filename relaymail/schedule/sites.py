# -*- test-case-name: relaymail.test.schedule.test_sites -*-
"""
Which goals of mail are one site: they lead to the same hosts, whatever they are
called.

A goal is where a lane leads to: a destination, the smart hosts that get its mail, or
one of these on terms of its own.  Of which site it is turns out when its hosts are
looked up; before that, and where nobody says how long what was found holds, it is a
site by itself.  L{Sites} remembers that, and counts how many connections each site
has, also while what is known of a goal changes.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field, replace
from math import inf

from relaymail.schedule.goals import goalOf

#: How many goals are remembered: most are some hundred bytes; the one that was looked
#: up the longest ago is the first to be forgotten, and then is a site by itself.
MAX_GOALS = 20_000
#: How much all that is remembered may weigh, see L{Known.weight}: some ten megabytes.
#: Strangers choose how many hosts they have, and what their records are.
MAX_WEIGHT = 60_000
#: How many different routes are kept once for all goals that have them.
MAX_ROUTES = 10_000
#: How many hosts of a site people are told by name.
SHOWN = 3


@dataclass(frozen=True, slots=True)
class MXSite:
    """
    The mail exchange hosts of some domains.

    @ivar names: Their names, with the port where one is named, in order.
    """

    names: tuple[str, ...]
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # It is the key of what is asked for each name.
        object.__setattr__(self, "_hash", hash(self.names))

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        """
        Give it as people read it.
        """
        more = len(self.names) - SHOWN
        shown = ", ".join(self.names[:SHOWN])
        return f"{shown} and {more} more" if more > 0 else shown


def siteOfHosts(hosts: Iterable[tuple[str, int | None]]) -> MXSite | None:
    """
    Give the site of hosts, in whatever order they are named and however they are
    written; L{None} where there are none.

    @param hosts: The name of each, and its port, or L{None} for the usual one.
    """
    names = {
        name.rstrip(".").lower() + ("" if port is None else f":{port}")
        for name, port in hosts
    }
    return MXSite(tuple(sorted(names))) if names else None


@dataclass(frozen=True, slots=True)
class Known:
    """
    What was found out about a goal.

    @ivar site: Of which site it is.
    @ivar route: What connections to it may be shared within.
    @ivar until: Until when that may be taken for its route, in seconds of the
        reactor's clock.
    @ivar weight: How much it is to remember, in hosts of the usual kind.
    """

    site: Hashable
    route: Hashable
    until: float
    weight: int = field(default=1, compare=False)


class Sites:
    """
    Of which site each goal is, and how many connections each site has.

    @ivar busy: How many connections each site has, those being made included; sites
        that have none left out.
    """

    def __init__(self) -> None:
        self.busy: Counter[Hashable] = Counter()
        #: How many of them were begun for each goal.
        self._begun: Counter[Hashable] = Counter()
        # Ordered, because taking the first of a plain one costs as much as all that
        # were taken before it.
        self._known: OrderedDict[Hashable, Known] = OrderedDict()
        self._shared: dict[Hashable, Hashable] = {}
        #: What all goals weigh, and what is kept once for all of them.
        self._weight = self._sharedWeight = 0

    def __len__(self) -> int:
        """
        Give the number of goals that are remembered.
        """
        return len(self._known)

    def siteOf(self, lane: Hashable) -> Hashable:
        """
        Give the site that a lane, or a goal, leads to.  It is asked for each name.
        """
        goal = goalOf(lane)
        known = self._known.get(goal)
        return goal if known is None else known.site

    def placesOf(self, lane: Hashable, site: Hashable = None) -> tuple[Hashable, ...]:
        """
        Give what must serve for the mail of a lane to go: its site, and its goal
        where that is another, for what other mail of the site does not need.

        @param site: Its site; L{None}: as it is known.
        """
        goal = goalOf(lane)
        if site is not None:
            return (goal,) if site == goal else (site, goal)
        known = self._known.get(goal)
        return (goal,) if known is None else (known.site, goal)

    def goalsOf(self, site: Hashable) -> list[Hashable]:
        """
        Give the goals that are known to be of a site.  It looks at all of them.
        """
        return [goal for goal, known in self._known.items() if known.site == site]

    def isRouteOf(self, lane: Hashable, route: Hashable, now: float) -> bool:
        """
        Tell whether a route is known to be the one of a lane.

        @param route: What connections over it may be shared within.
        @param now: The time, in seconds of the reactor's clock.
        """
        known = self._known.get(goalOf(lane))
        return known is not None and known.until > now and known.route == route

    def learn(
        self, goal: Hashable, known: Known | None
    ) -> list[tuple[Hashable, Hashable]]:
        """
        Remember what was found out about a goal.

        @param known: It; L{None}: nothing, it is a site by itself.

        @return: The goals that are of another site now, each with the one it was of
            before: this one, and others that had to be forgotten for it.
        """
        before = self.siteOf(goal)
        self._forget(goal)
        moved = []
        if known is not None:
            self._keep(goal, known)
            while self._isFull():
                oldest = next(iter(self._known))
                moved.append((oldest, self.siteOf(oldest)))
                self._forget(oldest)
        moved.append((goal, before))
        moved = [(each, was) for each, was in moved if was != self.siteOf(each)]
        for each, was in moved:
            self._count(was, -self._begun[each])
            self._count(self.siteOf(each), self._begun[each])
        return moved

    def _isFull(self) -> bool:
        # What was found last is known, whatever it weighs.
        count = len(self._known)
        return count > MAX_GOALS or (count > 1 and self._weight > MAX_WEIGHT)

    def _keep(self, goal: Hashable, known: Known) -> None:
        self._weight += known.weight
        self._sharedWeight += known.weight
        if len(self._shared) >= MAX_ROUTES or self._sharedWeight > MAX_WEIGHT:
            self._shared.clear()
            self._sharedWeight = known.weight
        site, route = self._once(known.site), self._once(known.route)
        self._known[goal] = replace(known, site=site, route=route)

    def _forget(self, goal: Hashable) -> None:
        known = self._known.pop(goal, None)
        if known is not None:
            self._weight -= known.weight

    def outdate(self) -> None:
        """
        Take no remembered route for one that still is: of which site each goal is
        need not be wrong for that.
        """
        for each, found in self._known.items():
            self._known[each] = replace(found, until=-inf)

    # How many connections there are.

    def began(self, lane: Hashable) -> None:
        """
        Note that a connection for a lane is begun.
        """
        self._begun[goalOf(lane)] += 1
        self._count(self.siteOf(lane), 1)

    def ended(self, lane: Hashable) -> None:
        """
        Note that a connection that was begun for a lane is no more.
        """
        goal = goalOf(lane)
        self._begun[goal] -= 1
        if not self._begun[goal]:
            del self._begun[goal]
        self._count(self.siteOf(goal), -1)

    def _count(self, site: Hashable, change: int) -> None:
        count = self.busy[site] + change
        if count:
            self.busy[site] = count
        else:
            del self.busy[site]

    def _once(self, value: Hashable) -> Hashable:
        """
        Give the one that is kept of all that are equal.
        """
        return self._shared.setdefault(value, value)
