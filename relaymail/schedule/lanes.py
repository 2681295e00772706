# -*- test-case-name: relaymail.test.schedule.test_lanes -*-
"""
What waits, by lane, and who may start.

A lane is what connections may be shared within: mail for the same hosts under
the same conditions.  L{Lanes} keeps the waiting names of each lane in the order
in which they came, and answers one question: which lanes may start how big a
batch now.

The rules of the answer:

  - Never more connections than the asker says are free.
  - While another lane waits or is busy, a lane holds at most half of
    C{maxConnections}, and no more than an equal share among the lanes that
    wait; but always one.
  - The last tenth of C{maxConnections} is for lanes that hold none, as soon as
    there is more than one lane.
  - A lane starts slowly: with L{FIRST_PACE} connections at most, one more for
    each delivery, and one only after trouble.
  - What there is goes round the lanes one connection at a time, and the next
    answer begins with those that got nothing: nobody starves.

A question costs as much as its answer and the number of lanes, however many
names wait.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice, repeat

#: How many connections a lane may have before anything was delivered: enough
#: to keep an ordinary destination busy, few enough not to frighten a small one.
FIRST_PACE = 5
#: Which part of the connections is for lanes that hold none: one in ten.
RESERVE_PART = 10
#: How many connections a lane may have after trouble.
TROUBLED_PACE = 1
#: The largest number of lanes whose pace is remembered: each is a few hundred
#: bytes; the longest untouched goes first, and starts as a new lane does.
MAX_PACES = 10_000


@dataclass(eq=False, slots=True)
class _Group:
    """
    Names that were placed one after the other with one group, in order.
    """

    key: Hashable
    lane: Hashable
    names: OrderedDict[str, None] = field(default_factory=OrderedDict)


@dataclass(eq=False, slots=True)
class _Waiting:
    """
    The waiting names of one lane.
    """

    # Ordered dictionaries, because taking the first of a plain one costs as
    # much as all that were taken before it.
    groups: OrderedDict[int, _Group] = field(default_factory=OrderedDict)
    count: int = 0


class Lanes:
    """
    The waiting names by lane.

    @ivar maxConnections: How many connections all lanes may hold together;
        what a lane may hold is reckoned from it, read whenever it is needed.
    @ivar batch: How many names a connection is given at most; read whenever
        it is needed.
    """

    def __init__(self, maxConnections: int, batch: int) -> None:
        """
        @param maxConnections: How many connections all lanes may hold.
        @param batch: How many names a connection is given at most.
        """
        self.maxConnections = maxConnections
        self.batch = batch
        # Only lanes with waiting names, in the order of their turns.
        self._lanes: OrderedDict[Hashable, _Waiting] = OrderedDict()
        self._names: dict[str, _Group] = {}
        # Only lanes whose pace is not the first one.
        self._paces: OrderedDict[Hashable, int] = OrderedDict()

    def __len__(self) -> int:
        """
        Give the number of waiting names.
        """
        return len(self._names)

    def place(self, name: str, lane: Hashable, group: Hashable) -> None:
        """
        Let a name wait, behind the others of its lane.  A name that waits
        already stays where it is.

        @param name: The name.
        @param lane: Its lane.
        @param group: What is equal for the names of one message.
        """
        if name in self._names:
            return
        waiting = self._lanes.setdefault(lane, _Waiting())
        last = next(reversed(waiting.groups.values()), None)
        if last is None or last.key != group:
            last = _Group(group, lane)
            waiting.groups[id(last)] = last
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

        @return: Whether it waits.
        """
        return name in self._names

    def waiting(self, lane: Hashable) -> int:
        """
        Count what waits in a lane.

        @param lane: The lane.

        @return: The number of names.
        """
        found = self._lanes.get(lane)
        return 0 if found is None else found.count

    def take(self, lane: Hashable, limit: int) -> list[str]:
        """
        Take the names that have waited longest in a lane; they wait no longer.

        The names of one message are taken together or not at all, unless they
        alone are more than C{limit}.

        @param lane: The lane.
        @param limit: The largest number of names to take.

        @return: The names, in the order in which they were placed.
        """
        taken: list[str] = []
        found = self._lanes.get(lane)
        while found is not None and found.groups and len(taken) < limit:
            group = next(iter(found.groups.values()))
            if taken and len(taken) + len(group.names) > limit:
                break
            names = list(islice(group.names, limit))
            self._remove(group, names)
            taken += names
        return taken

    def whoMayStart(
        self, busy: Mapping[Hashable, int], free: int
    ) -> list[tuple[Hashable, int]]:
        """
        Say which lanes may start how big a batch now.  Nothing is taken.

        @param busy: How many connections each lane holds.
        @param free: How many connections may be opened.

        @return: Lanes with the number of names for L{take}, in the order in
            which to start them; a lane that may start several is in it several
            times.
        """
        self._forgetPaces(busy)
        turns = self._share(self._room(busy), busy, free)
        counts: dict[Hashable, int] = {}
        for lane in turns:
            counts[lane] = counts.get(lane, 0) + 1
        batches = {
            lane: iter(self._batches(self._lanes[lane], count))
            for lane, count in counts.items()
        }
        for lane in counts:
            self._lanes.move_to_end(lane)
        return [(lane, next(batches[lane])) for lane in turns]

    def noteDelivered(self, lane: Hashable) -> None:
        """
        Note that a lane has taken a message: it may have one connection more.

        @param lane: The lane.
        """
        pace = self._paces.get(lane, FIRST_PACE) + 1
        self._setPace(lane, min(pace, max(self.maxConnections, FIRST_PACE)))

    def noteTrouble(self, lane: Hashable) -> None:
        """
        Note that a lane wants less: it may have one connection until it has
        taken a message.

        @param lane: The lane.
        """
        self._setPace(lane, TROUBLED_PACE)

    def _remove(self, group: _Group, names: list[str]) -> None:
        waiting = self._lanes[group.lane]
        for name in names:
            del group.names[name]
            del self._names[name]
        waiting.count -= len(names)
        if not group.names:
            del waiting.groups[id(group)]
        if not waiting.groups:
            del self._lanes[group.lane]

    def _setPace(self, lane: Hashable, pace: int) -> None:
        self._paces[lane] = pace
        self._paces.move_to_end(lane)
        if len(self._paces) > MAX_PACES:
            self._paces.popitem(last=False)

    def _forgetPaces(self, busy: Mapping[Hashable, int]) -> None:
        for lane in list(self._paces):
            if lane not in self._lanes and not busy.get(lane, 0):
                del self._paces[lane]

    def _room(self, busy: Mapping[Hashable, int]) -> dict[Hashable, int]:
        """
        Say how many batches each waiting lane may start, by its own bounds.
        """
        working = {lane for lane, count in busy.items() if count > 0}
        active = len(working.union(self._lanes))
        allowance = self.maxConnections
        if active > 1:
            sharers = max(2, len(self._lanes))
            allowance = max(1, self.maxConnections // sharers)
        room: dict[Hashable, int] = {}
        for lane, waiting in self._lanes.items():
            bound = min(allowance, self._paces.get(lane, FIRST_PACE))
            room[lane] = min(bound - busy.get(lane, 0), len(waiting.groups))
        return room

    def _share(
        self, room: dict[Hashable, int], busy: Mapping[Hashable, int], free: int
    ) -> list[Hashable]:
        """
        Give one turn to each lane that holds nothing, and then one after the
        other to the lanes that have room, round after round, until nothing is
        free but what is kept for lanes to come.
        """
        ready = [lane for lane, count in room.items() if count > 0]
        turns = [lane for lane in ready if not busy.get(lane, 0)][: max(free, 0)]
        for lane in turns:
            room[lane] -= 1
        end = max(free - self._reserve(busy), len(turns))
        while len(turns) < end:
            ready = [lane for lane in ready if room[lane] > 0]
            if not ready:
                break
            turns += ready[: end - len(turns)]
            for lane in ready:
                room[lane] -= 1
        return turns

    def _reserve(self, busy: Mapping[Hashable, int]) -> int:
        """
        Say how many connections are kept for lanes that hold none, so that
        lanes whose hosts are silent do not hold up the others.
        """
        lanes = {lane for lane, count in busy.items() if count > 0}.union(self._lanes)
        return self.maxConnections // RESERVE_PART if len(lanes) > 1 else 0

    def _batches(self, waiting: _Waiting, count: int) -> list[int]:
        """
        Cut the front of a lane into C{count} batches of whole groups, about
        equal in size.  There are at least C{count} groups.
        """
        limit = self._limit
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

    @property
    def _limit(self) -> int:
        return max(1, self.batch)


def _pieces(waiting: _Waiting, limit: int) -> Iterator[int]:
    """
    Give the sizes of what L{Lanes.take} takes together: whole groups, and the
    pieces of those that are more than one batch.
    """
    for group in waiting.groups.values():
        whole, rest = divmod(len(group.names), limit)
        yield from repeat(limit, whole)
        if rest:
            yield rest
