# -*- test-case-name: relaymail.test.queue.test_inspecting -*-
"""
What people ask of a queue whose names are all in memory, and tell it.

What they ask is answered in the reactor, and so for as long only as nobody notices.
What is counted since the queue was made is counted nowhere.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeVar

from twisted.internet.defer import Deferred, execute, fail, succeed

from relaymail.errors import NameBusy, NotSupported
from relaymail.inspection import (
    AGE_GROUPS,
    AgeRow,
    DestinationCount,
    Listed,
    NameState,
    Page,
    Selection,
    Shape,
    groupOf,
)
from relaymail.queue.matching import matches
from relaymail.queue.said import heldUntil, shown
from relaymail.queue.window import Entry, Window

#: How long the reactor is kept, in seconds.
BLINK = 0.02

T = TypeVar("T")


class WindowInspection(Window):
    """
    What L{IInspectable<relaymail.inspection.IInspectable>} asks about names that
    are all in memory, and tells them.

    @cvar timer: Tells how long something takes, in seconds.
    """

    timer: Callable[[], float] = staticmethod(time.monotonic)

    _suspensions: dict[str, str]

    def look(
        self, selection: Selection, limit: int = 100, after: str | None = None
    ) -> Deferred[Page]:
        """
        See L{IInspectable.look<relaymail.inspection.IInspectable.look>}.
        """
        return execute(self._look, selection, max(limit, 1), after)

    def entry(self, name: str) -> Deferred[Listed | None]:
        """
        See L{IInspectable.entry<relaymail.inspection.IInspectable.entry>}.
        """
        entry = self._entries.get(name)
        return succeed(None if entry is None else self._listed(name, entry))

    def destinations(
        self, limit: int = 100
    ) -> Deferred[tuple[list[DestinationCount], int]]:
        """
        See L{IInspectable.destinations
        <relaymail.inspection.IInspectable.destinations>}.  What nobody has looked
        at yet is counted as far as there is time.
        """
        return execute(self._destinations, limit)

    def shape(self, limit: int = 20) -> Deferred[Shape]:
        """
        See L{IInspectable.shape<relaymail.inspection.IInspectable.shape>}.  What
        nobody has looked at yet is counted as far as there is time.
        """
        return execute(self._shape, limit)

    def totals(self) -> Deferred[dict[str, int]]:
        """
        See L{IInspectable.totals<relaymail.inspection.IInspectable.totals>}: they
        are not counted here.
        """
        return succeed({})

    # What it is told.

    def hasten(self, name: str) -> Deferred[None]:
        """
        See L{IInspectable.hasten<relaymail.inspection.IInspectable.hasten>}.
        After a restart it is due when it was.
        """
        return execute(self._hasten, name)

    def hastenAll(self, destination: str) -> Deferred[int]:
        """
        See L{IInspectable.hastenAll
        <relaymail.inspection.IInspectable.hastenAll>}.
        """
        now = self.clock.seconds()
        names = [
            name
            for name in self._resting.due
            if heldUntil(self._entries[name].parameters, now) is None
            and self._listed(name, self._entries[name]).destination == destination
        ]
        for name in names:
            self._wait(name)
        self._tell()
        return succeed(len(names))

    def hold(self, name: str, why: str) -> Deferred[None]:
        """
        See L{IInspectable.hold<relaymail.inspection.IInspectable.hold>}.
        """
        return fail(
            NotSupported(
                "a directory queue cannot keep mail back, and nothing was changed; "
                "suspend its destination, or use a spool"
            )
        )

    def release(self, name: str) -> Deferred[None]:
        """
        See L{IInspectable.release<relaymail.inspection.IInspectable.release>}.
        """
        return fail(
            NotSupported(
                "a directory queue keeps no mail back; there is none to release"
            )
        )

    def requeue(self, name: str) -> Deferred[None]:
        """
        See L{IInspectable.requeue<relaymail.inspection.IInspectable.requeue>}.
        What was set aside is no name any more here.
        """
        try:
            written = self._requeue(name)
        except Exception:
            return fail()
        return succeed(None) if written is None else written

    def claim(self, name: str) -> Deferred[None] | None:
        """
        See L{IInspectable.claim<relaymail.inspection.IInspectable.claim>}.
        """
        self._free(name)
        self._withdraw(name)
        self.relayed[name] = 1
        return None

    def suspensions(self) -> dict[str, str]:
        """
        See L{IInspectable.suspensions
        <relaymail.inspection.IInspectable.suspensions>}.
        """
        return dict(self._suspensions)

    def suspend(self, destination: str, why: str) -> Deferred[None] | None:
        """
        See L{IInspectable.suspend<relaymail.inspection.IInspectable.suspend>}.
        A restart forgets it.
        """
        self._suspensions[destination] = why
        return None

    def resume(self, destination: str) -> Deferred[None] | None:
        """
        See L{IInspectable.resume<relaymail.inspection.IInspectable.resume>}.
        """
        self._suspensions.pop(destination, None)
        return None

    # How it is done.

    def _reset(self) -> None:
        super()._reset()
        self._suspensions = {}

    def _look(self, selection: Selection, limit: int, after: str | None) -> Page:
        now, ends = self.clock.seconds(), self.timer() + BLINK
        found: list[Listed] = []
        place = None
        for when, _, name in self._inOrder(after):
            if self.timer() > ends:
                return Page(tuple(found), place or after, len(found) == limit)
            entry = self._entries[name]
            one = self._listed(name, entry)
            if matches(selection, one, now):
                if len(found) == limit:
                    return Page(tuple(found), place)
                found.append(one)
            place = f"{when!r}:{name}"
        return Page(tuple(found))

    def _inOrder(self, after: str | None) -> list[tuple[float, int, str]]:
        """
        Give the names in the order of their arrival, behind a place.
        """
        names = [
            (entry.arrived, len(name), name) for name, entry in self._entries.items()
        ]
        if after is not None:
            when, _, last = after.partition(":")
            place = (float(when), len(last), last)
            names = [each for each in names if each > place]
        return sorted(names)

    def _listed(self, name: str, entry: Entry) -> Listed:
        try:
            sender, recipient = map(str, self.getEnvelope(name)[:2])
            size = self._sizeOf(name)
        except Exception:
            # It cannot be read, which whoever relays it will find.
            sender, recipient, size = "", "", 0
        state, due = NameState.WAITING, entry.arrived
        if name in self.relayed:
            state = NameState.RELAYING
        elif name in self._resting.due:
            state, due = NameState.RESTING, self._resting.due[name]
        return Listed(
            name,
            str(self._messageOf(name)),
            sender,
            recipient,
            recipient.rpartition("@")[2].lower(),
            size,
            entry.arrived,
            entry.attempts,
            due,
            state,
            entry.status,
            entry.text,
            parameters=shown(entry.parameters, entry.recipientParameters, entry.isTold),
            origin=entry.origin,
            isReleased=entry.isReleased,
        )

    def _sizeOf(self, name: str) -> int:
        """
        Give the size of a content, in octets.
        """
        content = self._entries[name].content
        return 0 if content is None else content.size

    def _messageOf(self, name: str) -> object:
        """
        Give what the names of a message have in common, as far as it is known.
        """
        content = self._entries[name].content
        return name if content is None else content.key

    def _counted(self) -> Iterator[Listed]:
        ends = self.timer() + BLINK
        for name, entry in self._entries.items():
            if entry.envelope is not None or self.timer() < ends:
                yield self._listed(name, entry)

    def _destinations(self, limit: int) -> tuple[list[DestinationCount], int]:
        queued: Counter[str] = Counter()
        states: Counter[tuple[str, NameState]] = Counter()
        for one in self._counted():
            queued[one.destination] += 1
            states[one.destination, one.state] += 1
        biggest = sorted(queued, key=lambda name: (-queued[name], name))
        counts = [
            DestinationCount(
                name,
                queued[name],
                states[name, NameState.RESTING],
                states[name, NameState.HELD],
            )
            for name in biggest[:limit]
        ]
        return counts, len(queued)

    def _shape(self, limit: int) -> Shape:
        now = self.clock.seconds()
        ages: dict[str, list[int]] = {}
        total = [0] * AGE_GROUPS
        for one in self._counted():
            group = groupOf(now - one.arrived)
            ages.setdefault(one.destination, [0] * AGE_GROUPS)[group] += 1
            total[group] += 1
        rows = [AgeRow(name, sum(row), tuple(row)) for name, row in ages.items()]
        rows.sort(key=lambda row: (-row.total, row.name))
        isPart = sum(total) < len(self._entries)
        return Shape(tuple(rows[:limit]), AgeRow("", sum(total), tuple(total)), isPart)

    def _free(self, name: str) -> Entry:
        """
        See that something may be told a name.
        """
        entry = self._entries[name]
        if name in self.relayed:
            raise NameBusy(f"{name} is being sent; try again when that is over")
        return entry

    def _hasten(self, name: str) -> None:
        self._free(name)
        if name in self._resting.due:
            self._wait(name)
            self._tell()

    def _requeue(self, name: str) -> Deferred[None] | None:
        entry = self._free(name)
        self._withdraw(name)
        entry.arrived, entry.attempts = self.clock.seconds(), 0
        entry.status = entry.text = ""
        entry.isTold = entry.isReleased = False
        self._wait(name)
        self._tell()
        return self._renewed(name, entry)

    def _renewed(self, name: str, entry: Entry) -> Deferred[None] | None:
        """
        Write that a name begins anew.
        """
        return None
