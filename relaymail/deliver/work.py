# -*- test-case-name: relaymail.test.deliver.test_work -*-
"""
From what waits in a queue to batches for attempts.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaymail.errors import UnreadableEntry
from relaymail.interfaces import IQueue
from relaymail.schedule.lanes import Lanes

LaneOf = Callable[[str], Hashable]


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

    @ivar lanes: The names that were looked at and not taken.
    @ivar isStale: Whether there may be names that were not looked at.
    """

    _log = Logger()

    def __init__(self, queue: Any, laneOf: LaneOf) -> None:
        """
        @param queue: The queue.
        @param laneOf: Gives the lane for a recipient.
        """
        self.lanes = Lanes(1, 1)
        self.isStale = True
        self._queue = queue
        self._laneOf = laneOf
        self._knowsContents = IQueue.providedBy(queue)

    def placeNew(self) -> None:
        """
        Place what has begun to wait since this was last asked.
        """
        if not self.isStale:
            return
        # Whoever announces new names lets them wait behind the others.
        self.isStale = getattr(self._queue, "onWaiting", None) is None
        new = []
        for name in reversed(list(self._queue.getWaiting())):
            if self.lanes.has(name):
                break
            new.append(name)
        self._place(reversed(new))

    def placeAll(self) -> None:
        """
        Place everything that waits.
        """
        self._place(list(self._queue.getWaiting()))

    def take(self, lane: Hashable, limit: int) -> Claim:
        """
        Claim the next names of a lane.

        @param limit: How many at most.
        """
        names: list[str] = []
        writes: list[Deferred[None]] = []
        for name in self.lanes.take(lane, limit):
            try:
                written = self._queue.setRelaying(name)
            except KeyError:
                # Somebody else took it, or took it out, since it was placed.
                continue
            names.append(name)
            if isinstance(written, Deferred):
                writes.append(written.addErrback(self._notWritten, name))
        return Claim(names, writes)

    def _place(self, names: Iterable[str]) -> None:
        for name in names:
            if self.lanes.has(name):
                continue
            try:
                recipient = str(self._queue.getEnvelope(name)[1])
                key = self._queue.contentKey(name) if self._knowsContents else name
            except UnreadableEntry as e:
                self._log.failure("{name} cannot be read", name=name)
                self._queue.setAside(name, str(e))
                continue
            except Exception:
                # Such as a want of descriptors, which passes.
                self._log.failure("{name} cannot be read now", name=name)
                continue
            self.lanes.place(name, self._laneOf(recipient), key)

    def _notWritten(self, failure: Failure, name: str) -> None:
        # It is claimed all the same as long as this process lives, and a full
        # disk is no reason not to empty the queue.
        self._log.failure("The claim of {name} was not written", failure, name=name)
