# -*- test-case-name: relaymail.test.queue.spool.test_backlog -*-
"""
What rests on the disk and not in memory, destination by destination: when each
has something that is due, and how much of it may be in memory now.

The memory is shared so that nobody starves: a destination has L{SHARE} names in
it at most, and all together have L{ROOM}; whoever comes when that is full still
gets L{LEAST} of his own.  A destination whose share is used up waits until half
of it has gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

#: How many names a destination has in memory at most: what its connections can
#: be given before the next are read.
SHARE = 1_000
#: How many names there are in memory; each takes about a kilobyte.
ROOM = 20_000
#: How many a destination may have when there are so many.
LEAST = 10
#: How many times as many there are at most: with more destinations than that they
#: take turns.
CROWD = 2

#: Before everything.
START = (-1.0, 0)


@dataclass(frozen=True, slots=True)
class Wish:
    """
    What should be read.

    @ivar destination: Of which destination.
    @ivar after: When the last that was read was due, and its number.
    @ivar limit: How many names.
    """

    destination: str
    after: tuple[float, int]
    limit: int


@dataclass(slots=True)
class Backlog:
    """
    What rests on the disk, by destination.

    @ivar suspendedUntil: Says until when a destination need not be read, in
        seconds, or L{None}.
    @ivar held: How many names of each destination are in memory.
    @ivar share: How many a destination has in memory at most.
    @ivar room: How many there are in memory.
    @ivar least: How many a destination may have when there are so many.
    """

    share: int = SHARE
    room: int = ROOM
    least: int = LEAST
    suspendedUntil: Callable[[str], float | None] = lambda destination: None
    held: Counter[str] = field(default_factory=Counter)
    _total: int = 0
    #: When something of a destination is due; not later than it really is.
    _due: dict[str, float] = field(default_factory=dict)
    _heap: list[tuple[float, str]] = field(default_factory=list)
    _after: dict[str, tuple[float, int]] = field(default_factory=dict)
    #: How many names were asked for of each that is being read, and of all.
    _loading: dict[str, int] = field(default_factory=dict)
    _asked: int = 0
    #: Those where something came from before what is being read.
    _goesBack: set[str] = field(default_factory=set)
    #: Those that need not be read, and until when.
    _suspended: dict[str, float] = field(default_factory=dict)
    #: The destinations that have something due and no room.
    _full: dict[str, None] = field(default_factory=dict)
    #: Those that have nothing in memory because there is too much of others, the
    #: longest waiting first.
    _crowd: dict[str, None] = field(default_factory=dict)

    def roomFor(self, destination: str) -> int:
        """
        Say how many more names of a destination may be in memory.
        """
        taken = self._total + self._asked
        if taken >= CROWD * self.room:
            return 0
        limit = self.share if taken < self.room else self.least
        return max(limit - self.held[destination], 0)

    def hold(self, destination: str) -> None:
        """
        Note that one more is in memory.
        """
        self.held[destination] += 1
        self._total += 1

    def release(self, destination: str) -> None:
        """
        Note that one fewer is.
        """
        left = self.held[destination] - 1
        self._total -= 1
        if left > 0:
            self.held[destination] = left
        else:
            del self.held[destination]
            if destination not in self._due and destination not in self._loading:
                self._after.pop(destination, None)
        if destination in self._full and left <= self.share // 2:
            del self._full[destination]
            self._push(destination)

    def rests(
        self, destination: str, due: float, number: int = 0, until: float = 0.0
    ) -> None:
        """
        Note that something of a destination rests on the disk.

        @param due: Until when, in seconds.
        @param number: Its number.
        @param until: Until when nothing of the destination is read all the
            same, in seconds, where that is later.
        """
        if until > max(due, self._suspended.get(destination, 0.0)):
            self._suspended[destination] = until
            self._putBack(destination)
        if (due, number) <= self._after.get(destination, START):
            # What is read goes on in order of time; this is from before that: a
            # claim of a dead process, or the clock was set back.
            self._after[destination] = (due, number - 1)
            self._goesBack.add(destination)
        if due < self._due.get(destination, due + 1):
            self._due[destination] = due
            self._putBack(destination)

    def nextDue(self) -> float | None:
        """
        Say when something could be read next, or L{None} for never.
        """
        while self._heap:
            due, destination = self._heap[0]
            if self._isCurrent(due, destination):
                return due
            heappop(self._heap)
        return None

    def wishes(self, now: float) -> list[Wish]:
        """
        Say what should be read now; it is to be answered by L{loaded}.
        """
        wishes: list[Wish] = []
        while self._isDue(now) or self._letIn(now):
            destination = heappop(self._heap)[1]
            if self._isSuspended(destination, now):
                continue
            room = self.roomFor(destination)
            if room <= 0:
                isCrowded = self.held[destination] < self.least
                (self._crowd if isCrowded else self._full)[destination] = None
                continue
            self._loading[destination] = room
            self._asked += room
            self._goesBack.discard(destination)
            del self._due[destination]
            after = self._after.get(destination, START)
            wishes.append(Wish(destination, after, room))
        return wishes

    def _isSuspended(self, destination: str, now: float) -> bool:
        until = self.suspendedUntil(destination)
        if until is None or until <= now:
            self._suspended.pop(destination, None)
            return False
        self._suspended[destination] = until
        self._push(destination)
        return True

    def _isDue(self, now: float) -> bool:
        due = self.nextDue()
        return due is not None and due <= now

    def _letIn(self, now: float) -> bool:
        """
        Let the next of the crowd in, when there is room for all it may have.

        @return: Whether one is in now that is due.
        """
        room = CROWD * self.room - self._total - self._asked
        while self._crowd and room >= self.least:
            destination = next(iter(self._crowd))
            del self._crowd[destination]
            self._putBack(destination)
            if self._isDue(now):
                return True
        return False

    def lookAgain(self) -> None:
        """
        Suspend nothing before that is asked for again.
        """
        suspended, self._suspended = self._suspended, {}
        for destination in suspended:
            self._putBack(destination)

    def loaded(
        self, destination: str, last: tuple[float, int] | None, due: float | None
    ) -> None:
        """
        Note what was read.

        @param last: When the last that was read was due, and its number;
            L{None}: there was none.
        @param due: When the next one is due; L{None}: there is none.
        """
        self._asked -= self._loading.pop(destination, 0)
        if last is not None and destination not in self._goesBack:
            self._after[destination] = last
        self._goesBack.discard(destination)
        if due is not None:
            due = min(due, self._due.get(destination, due))
            self._due[destination] = due
        if destination in self._due:
            self._push(destination)
        elif not self.held[destination]:
            self._after.pop(destination, None)
            del self.held[destination]

    def failed(self, destination: str, when: float) -> None:
        """
        Note that it could not be read.

        @param when: When to try again, in seconds.
        """
        self.loaded(destination, None, when)

    def _putBack(self, destination: str) -> None:
        """
        Let a destination be read when its time comes, unless something else sees
        to that.
        """
        if destination in self._due and not self._isElsewhere(destination):
            self._push(destination)

    def _push(self, destination: str) -> None:
        heappush(self._heap, (self._wanted(destination), destination))
        # What is not current any more must not become the most of it.
        if len(self._heap) > 2 * len(self._due) + 64:
            self._heap = [
                (self._wanted(name), name)
                for name in self._due
                if not self._isElsewhere(name)
            ]
            heapify(self._heap)

    def _wanted(self, destination: str) -> float:
        return max(self._due[destination], self._suspended.get(destination, 0.0))

    def _isCurrent(self, due: float, destination: str) -> bool:
        return (
            destination in self._due
            and self._wanted(destination) == due
            and not self._isElsewhere(destination)
        )

    def _isElsewhere(self, destination: str) -> bool:
        """
        Tell whether something else puts a destination back.
        """
        return (
            destination in self._loading
            or destination in self._full
            or destination in self._crowd
        )
