# -*- test-case-name: relaymail.test.schedule.test_lanes -*-
"""
What waits, by lane.

A lane is what connections may be shared within: mail for the same hosts under
the same conditions.  L{Lanes} keeps the waiting names of each lane
(L{relaymail.schedule.waiting}).

It keeps the order of the lanes' turns too (L{relaymail.schedule.turns}).  A lane that
may not start anything until some time is paused: it is passed over until then.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from heapq import heappop, heappush
from itertools import islice, repeat

from relaymail.schedule.goals import goalOf
from relaymail.schedule.turns import SiteOf, Turns
from relaymail.schedule.waiting import Group, Waiting


class Lanes:
    """
    The waiting names by lane.
    """

    def __init__(self, siteOf: SiteOf = goalOf) -> None:
        """
        @param siteOf: Gives the site that a lane leads to; whoever knows that it has
            changed says so by L{moved}.
        """
        self._lanes: dict[Hashable, Waiting] = {}
        self._names: dict[str, Group] = {}
        # The lanes that are not paused.
        self._turns = Turns(siteOf)
        self._paused: dict[Hashable, float] = {}
        self._ends: list[tuple[float, int, Hashable]] = []
        self._pauses = 0
        self._placed = 0

    def __len__(self) -> int:
        """
        Give the number of waiting names.
        """
        return len(self._names)

    def __iter__(self) -> Iterator[Hashable]:
        """
        Give the lanes of which something waits; they must not change
        meanwhile.
        """
        return iter(self._lanes)

    def place(
        self,
        name: str,
        lane: Hashable,
        group: Hashable,
        isAgain: bool = False,
        priority: int = 0,
    ) -> None:
        """
        Let a name wait, behind the others of its lane.  A name that waits
        already stays where it is.

        @param name: The name.
        @param lane: Its lane.
        @param group: What is equal for the names of one message.
        @param isAgain: Whether it was tried before.
        @param priority: How urgent it is (RFC 6710).
        """
        if name in self._names:
            return
        waiting = self._lanes.get(lane)
        if waiting is None:
            waiting = self._lanes[lane] = Waiting()
            if lane not in self._paused:
                self._turns.give(lane, False)
        rank = waiting.rank(priority) if priority else waiting
        groups = rank.groups[isAgain]
        last = next(reversed(groups.values()), None)
        if last is None or last.key != group:
            self._placed += 1
            last = Group(group, lane, isAgain, priority, self._placed)
            groups[id(last)] = last
            if priority > 0:
                self._turns.nowUrgent(lane)
        last.names[name] = None
        waiting.count += 1
        self._names[name] = last

    def forget(self, name: str) -> None:
        """
        Let a name wait no longer.  One that does not wait is no error.

        @param name: The name.
        """
        group = self._names.get(name)
        if group is not None:
            self._remove(group, [name])

    def has(self, name: str) -> bool:
        """
        Tell whether a name waits.

        @param name: The name.
        """
        return name in self._names

    def waiting(self, lane: Hashable) -> int:
        """
        Count what waits in a lane.

        @param lane: The lane.
        """
        found = self._lanes.get(lane)
        return 0 if found is None else found.count

    def groups(self, lane: Hashable) -> int:
        """
        Count the messages of which something waits in a lane.

        @param lane: The lane.
        """
        found = self._lanes.get(lane)
        return 0 if found is None else len(found)

    def names(self, lane: Hashable) -> list[str]:
        """
        Give what waits in a lane.

        @param lane: The lane.
        """
        found = self._lanes.get(lane)
        return [] if found is None else [n for g in found.inOrder() for n in g.names]

    def take(self, lane: Hashable, limit: int) -> list[str]:
        """
        Take the names whose turn it is in a lane; they wait no longer.

        The names of one message are taken together or not at all, unless they
        alone are more than C{limit}.

        @param lane: The lane.
        @param limit: The largest number of names to take.

        @return: The names, in the order in which they are to be sent.
        """
        taken: list[str] = []
        found = self._lanes.get(lane)
        while found is not None and found.count and len(taken) < limit:
            group = found.first()
            if taken and len(taken) + len(group.names) > limit:
                break
            names = list(islice(group.names, limit))
            self._remove(group, names)
            if not group.names:
                if found.ranks or group.priority:
                    found.had(group)
                else:
                    found.isAgainNext = not group.isAgain
            taken += names
        return taken

    # Turns.

    def turns(
        self, wants: Callable[[Hashable], bool] | None = None
    ) -> Iterable[Hashable]:
        """
        Give the lanes that wait and are not paused, in the order of their
        turns; they must not change meanwhile.

        @param wants: Tells whether more lanes of a site are wanted, once one of them
            was given; L{None}: all are.
        """
        return self._turns.inOrder(wants)

    def count(self) -> int:
        """
        Give the number of lanes that wait and are not paused.
        """
        return len(self._turns)

    def hasTurn(self, lane: Hashable) -> bool:
        """
        Tell whether a lane waits and is not paused.
        """
        return lane in self._turns

    def countSites(self) -> int:
        """
        Give the number of sites that such lanes lead to.
        """
        return self._turns.countSites()

    def hasSite(self, site: Hashable) -> bool:
        """
        Tell whether one of them leads to a site.
        """
        return self._turns.hasSite(site)

    def lanesOf(self, site: Hashable) -> Iterable[Hashable]:
        """
        Give such lanes of a site of several goals, in the order of their turns; they
        must not change meanwhile.
        """
        return self._turns.lanesOf(site)

    def moved(self, goal: Hashable) -> None:
        """
        Note that a goal is of another site than before.
        """
        self._turns.moved(goal)

    def hadTurns(self, lanes: Collection[Hashable]) -> None:
        """
        Let lanes stand behind all others, because they had their turns.
        """
        self._turns.had(lanes)

    def standBehind(self, lanes: Iterable[Hashable]) -> None:
        """
        Let lanes stand behind all others.
        """
        self._turns.standBehind(lanes)

    def pause(self, lane: Hashable, until: float) -> None:
        """
        Pass over a lane.

        @param until: Until when, in seconds.
        """
        if self._paused.get(lane) == until:
            return
        self._turns.take(lane)
        self._paused[lane] = until
        # The number keeps lanes, which have no order, from being compared.
        self._pauses += 1
        heappush(self._ends, (until, self._pauses, lane))

    def resumeDue(self, now: float) -> None:
        """
        Pass over no longer the lanes whose time has come.

        @param now: The time, in seconds.
        """
        while self._ends and self._ends[0][0] <= now:
            until, _, lane = heappop(self._ends)
            if self._paused.get(lane) == until:
                self.resume(lane)

    def resume(self, lane: Hashable) -> None:
        """
        Pass over a lane no longer.
        """
        self._paused.pop(lane, None)
        waiting = self._lanes.get(lane)
        if waiting is not None:
            self._turns.give(lane, waiting.isUrgent)

    def nextEnd(self) -> float | None:
        """
        Say when the next lane is not paused any more, in seconds, or L{None}
        where none is paused.
        """
        while self._ends and self._paused.get(self._ends[0][2]) != self._ends[0][0]:
            heappop(self._ends)
        return self._ends[0][0] if self._ends else None

    # Batches.

    def batches(self, lane: Hashable, count: int, limit: int) -> list[int]:
        """
        Cut the front of a lane into batches of whole groups, about equal in
        size.

        @param count: How many batches: at most as many as there are groups.
        @param limit: The largest size.
        """
        waiting = self._lanes[lane]
        limit = max(1, limit)
        sizes = list(islice(_pieces(waiting, limit), count * limit))
        names, position = waiting.count, 0
        batches: list[int] = []
        for left in range(count, 0, -1):
            aim = min(limit, -(-names // left))
            size, position = sizes[position], position + 1
            while len(sizes) - position >= left and size + sizes[position] <= aim:
                size, position = size + sizes[position], position + 1
            batches.append(size)
            names -= size
        return batches

    def _remove(self, group: Group, names: list[str]) -> None:
        waiting = self._lanes[group.lane]
        for name in names:
            del group.names[name]
            del self._names[name]
        waiting.count -= len(names)
        if not group.names:
            rank = waiting.rank(group.priority) if group.priority else waiting
            del rank.groups[group.isAgain][id(group)]
            if group.priority:
                self._emptied(waiting, group)
        if not waiting.count:
            del self._lanes[group.lane]
            self._turns.take(group.lane)

    def _emptied(self, waiting: Waiting, group: Group) -> None:
        waiting.tidy(group.priority)
        if not waiting.isUrgent:
            self._turns.notUrgent(group.lane)


def _pieces(waiting: Waiting, limit: int) -> Iterator[int]:
    """
    Give the sizes of what L{Lanes.take} takes together: whole groups, and the
    pieces of those that are more than one batch.
    """
    for group in waiting.inOrder():
        whole, rest = divmod(len(group.names), limit)
        yield from repeat(limit, whole)
        if rest:
            yield rest
