# -*- test-case-name: relaymail.test.queue.spool.test_inspecting -*-
"""
What people ask of a spool that is open.

It is read by a connection of its own, in a thread of its own where there is one;
what is known in memory and not in the database is said by the window.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredLock, maybeDeferred
from twisted.python.failure import Failure

from relaymail.errors import QueueUnusable
from relaymail.inspection import (
    DestinationCount,
    Listed,
    NameState,
    Page,
    Selection,
    Shape,
)
from relaymail.queue.disk import DirectoryLock
from relaymail.queue.spool.narrowing import domainMeant
from relaymail.queue.spool.survey import Survey
from relaymail.queue.spool.window import SpoolWindow

T = TypeVar("T")

#: Runs a function in a thread and gives a Deferred for what it returns.
ReadRun = Callable[[Callable[[], Any]], Deferred[Any]]

#: Of how many names in the window it is looked which are a destination's: in about a
#: millisecond.
MAX_CLAIMED = 10_000

#: Where the window may know better than a row.
_MOVING = frozenset((NameState.WAITING, NameState.RESTING, NameState.RELAYING))


class SpoolInspection(SpoolWindow):
    """
    What L{IInspectable<relaymail.inspection.IInspectable>} asks of a spool,
    without what it tells it.
    """

    _survey: Survey
    _asking: DeferredLock
    _readRun: ReadRun | None
    path: str
    _lock: DirectoryLock | None
    _isStopping = False

    def look(
        self, selection: Selection, limit: int = 100, after: str | None = None
    ) -> Deferred[Page]:
        """
        See L{IInspectable.look<relaymail.inspection.IInspectable.look>}.
        """
        if selection.state is NameState.RELAYING:
            names = set(self.relayed)
            if selection.names:
                names &= set(selection.names)
            if not names:
                return self._ask(lambda: Page(()))
            selection = replace(selection, names=tuple(names))
        correct = self._correction(selection.state)
        claimed = self._claimedOf(domainMeant(selection))
        read = partial(self._survey.look, selection, limit, after, correct, claimed)
        return self._ask(read).addCallback(self._corrected, selection.state)

    def entry(self, name: str) -> Deferred[Listed | None]:
        """
        See L{IInspectable.entry<relaymail.inspection.IInspectable.entry>}.
        """
        found = self._ask(partial(self._survey.entry, name))
        return found.addCallback(
            lambda one: None if one is None else self._correct(one)
        )

    def destinations(
        self, limit: int = 100
    ) -> Deferred[tuple[list[DestinationCount], int]]:
        """
        See L{IInspectable.destinations
        <relaymail.inspection.IInspectable.destinations>}.
        """
        return self._ask(partial(self._survey.destinations, limit))

    def shape(self, limit: int = 20) -> Deferred[Shape]:
        """
        See L{IInspectable.shape<relaymail.inspection.IInspectable.shape>}.
        """
        return self._ask(partial(self._survey.shape, limit))

    def totals(self) -> Deferred[dict[str, int]]:
        """
        See L{IInspectable.totals<relaymail.inspection.IInspectable.totals>}.
        """
        return self._ask(self._survey.totals)

    def _ask(self, read: Callable[[], T]) -> Deferred[T]:
        """
        Have something read, one after the other.
        """
        run = self._readRun

        def begin() -> Any:
            # It may have been closed while others were answered.
            self._checkOpen()
            return read() if run is None else run(read)

        asked: Deferred[T] = self._asking.run(maybeDeferred, begin)
        return asked.addErrback(self._noteTrouble)

    def _checkOpen(self) -> None:
        if self._lock is None or self._isStopping:
            raise QueueUnusable(f"{self.path} is not open; nothing was read")

    def _noteTrouble(self, failure: Failure) -> Failure:
        raise NotImplementedError

    # What the window knows.

    def _claimedOf(self, destination: str | None) -> list[int]:
        """
        Give the numbers of what is claimed of a destination in the database, where
        the window is not so large that it takes long to look.
        """
        if destination is None or len(self._entries) > MAX_CLAIMED:
            return []
        return [
            entry.id
            for entry in map(self._holding, self._entries.values())
            if entry.destination == destination and not entry.stand.rests
        ]

    def _correction(self, state: NameState | None) -> Callable[[Listed], Listed | None]:
        """
        Give what corrects rows while they are read, in another thread: where
        all are found, that is done afterwards.
        """
        if state not in _MOVING:
            return lambda found: found
        relayed = frozenset(self.relayed)
        waiting = frozenset(self.waiting)
        resting = dict(self._resting.due)

        def correct(found: Listed) -> Listed:
            return _moved(found, relayed, waiting, resting)

        return correct

    def _corrected(self, page: Page, state: NameState | None) -> Page:
        entries = (self._correct(found) for found in page.entries)
        return replace(
            page,
            entries=tuple(
                one for one in entries if one is not None and state in (None, one.state)
            ),
        )

    def _correct(self, found: Listed) -> Listed | None:
        name = found.name
        if name in self._leaving.names and found.state is not NameState.ASIDE:
            return None
        entry = self._entries.get(name)
        if entry is None:
            return found
        known = replace(
            found, attempts=entry.attempts, status=entry.status, reply=entry.text
        )
        return _moved(known, self.relayed, self.waiting, self._resting.due)


def _moved(found: Listed, relayed: Any, waiting: Any, resting: Any) -> Listed:
    """
    Say where a name stands in the window.

    @param relayed: The names that are claimed.
    @param waiting: Those that wait.
    @param resting: When each that rests is due.
    """
    name = found.name
    if name in relayed:
        return replace(found, state=NameState.RELAYING)
    if name in waiting:
        return replace(found, state=NameState.WAITING)
    if name in resting:
        return replace(found, state=NameState.RESTING, due=resting[name])
    return found
