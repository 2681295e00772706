# -*- test-case-name: relaymail.test.queue.spool.test_spool -*-
"""
The names of a spool that are in memory, and what is known of all of them.
"""

from __future__ import annotations

import io
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from relaymail.envelopes import Letter, Outline
from relaymail.errors import UnreadableEntry
from relaymail.queue.pickles import dumpEnvelope
from relaymail.queue.spool.backlog import Backlog
from relaymail.queue.spool.bodies import Kept, SpoolContent
from relaymail.queue.spool.catalogue import Catalogue, Holding
from relaymail.queue.spool.leaving import Leaving
from relaymail.queue.spool.reading import Reading
from relaymail.queue.spool.recipients import Row
from relaymail.queue.spool.rows import Stand
from relaymail.queue.spool.schema import QueueDamaged
from relaymail.queue.window import AnyPath, Entry, Window, nameOf


@dataclass(slots=True)
class Moving:
    """
    A name that was taken out of the window, until it is written where it stands
    by order of an operator.

    @ivar entry: What was known of it; L{None}: it was not there.
    @ivar due: Until when it rested there, in seconds; L{None}: it waited.
    @ivar isPostponed: Whether it rested because of its destination.
    @ivar missed: The row of one that would have come into the window meanwhile.
    """

    entry: Holding | None = None
    due: float | None = None
    isPostponed: bool = False
    missed: Row | None = None


class SpoolWindow(Window):
    """
    What L{IQueue<relaymail.interfaces.IQueue>} asks about the names of a spool,
    without the writing.
    """

    log: ClassVar[Logger]
    trouble: str
    _reading: Reading
    _catalogue: Catalogue
    _backlog: Backlog
    _kept: Kept
    _leaving: Leaving
    _moving: dict[str, Moving]

    def getWaiting(self) -> list[str]:
        """
        See L{IQueue.getWaiting<relaymail.interfaces.IQueue.getWaiting>}.
        Nothing waits where what becomes of it could not be written.
        """
        return [] if self.trouble else list(self.waiting)

    def newestWaiting(self) -> Iterator[str]:
        """
        See L{IQueue.newestWaiting<relaymail.interfaces.IQueue.newestWaiting>}.
        """
        return iter(()) if self.trouble else super().newestWaiting()

    def hasWaiting(self) -> bool:
        """
        See L{IQueue.hasWaiting<relaymail.interfaces.IQueue.hasWaiting>}.
        """
        return bool(self.waiting) and not self.trouble

    def getResting(self) -> dict[str, float]:
        """
        Give the names whose time is to come, and when it comes, in seconds.
        This reads all of them.
        """
        found = self._catalogue.resting()
        for name in self._leaving.names | self._entries.keys():
            found.pop(name, None)
        return {**found, **self._resting.due}

    def getLeaving(self) -> list[str]:
        """
        Give the names that are gone, and of which that is not written yet.
        """
        return list(self._leaving.names)

    def nextDue(self) -> float | None:
        """
        See L{IQueue.nextDue<relaymail.interfaces.IQueue.nextDue>}.
        """
        if self.trouble:
            return None
        times = (self._resting.next(), self._backlog.nextDue())
        return min((when for when in times if when is not None), default=None)

    def postpone(self, message: AnyPath, when: float) -> Deferred[None]:
        """
        See L{IQueue.postpone<relaymail.interfaces.IQueue.postpone>}.  In the
        database it is due.
        """
        name = nameOf(message)
        return self._rest(name, self._holding(self._postpone(name, when)), when)

    def wakeOld(self, before: float) -> None:
        """
        See L{IQueue.wakeOld<relaymail.interfaces.IQueue.wakeOld>}.
        """
        self._reading.wakeOld(before)

    def lookAgain(self) -> None:
        """
        See L{IQueue.lookAgain<relaymail.interfaces.IQueue.lookAgain>}.
        """
        super().lookAgain()
        self._backlog.lookAgain()
        self._reading.fill()

    def _rest(self, name: str, entry: Holding, due: float) -> Deferred[None]:
        raise NotImplementedError

    def _checkTrouble(self) -> None:
        if self.trouble:
            raise QueueDamaged(self.trouble)

    def _untilSuspended(self, destination: str) -> float | None:
        try:
            return self.suspendedUntil(destination) if self.suspendedUntil else None
        except Exception:
            self.log.failure("It cannot be said whether {name} rests", name=destination)
            return None

    # What is known of a name.

    def getPath(self, message: AnyPath) -> str:
        """
        Give the path that stands for a name, which is the name.
        """
        return nameOf(message)

    def getEnvelope(self, message: AnyPath) -> list[Any]:
        """
        See L{IQueue.getEnvelope<relaymail.interfaces.IQueue.getEnvelope>}.
        """
        return list(self._known(nameOf(message)).envelope or ())

    def getEnvelopeFile(self, message: AnyPath) -> IO[bytes]:
        """
        See L{IQueue.getEnvelopeFile
        <relaymail.interfaces.IQueue.getEnvelopeFile>}.
        """
        return io.BytesIO(dumpEnvelope(self.getEnvelope(message)))

    def letter(self, message: AnyPath) -> Letter:
        """
        See L{IQueue.letter<relaymail.interfaces.IQueue.letter>}.
        """
        name = nameOf(message)
        entry = self._known(name)
        self._catalogue.check(entry)
        content: Any = entry.content
        items = [*(entry.envelope or ()), content.open()]
        return entry.letter(items, content)

    def outline(self, message: AnyPath) -> Outline:
        """
        See L{IQueue.outline<relaymail.interfaces.IQueue.outline>}.
        """
        entry = self._known(nameOf(message))
        sender, recipient = entry.envelope or ("", "")
        return Outline(
            str(sender),
            str(recipient),
            entry.message,
            entry.attempts,
            entry.arrived,
            entry.parameters,
            entry.origin,
            entry.isReleased,
        )

    def contentKey(self, message: AnyPath) -> Hashable:
        """
        See L{IQueue.contentKey<relaymail.interfaces.IQueue.contentKey>}.
        """
        return self._known(nameOf(message)).message

    def _known(self, name: str) -> Holding:
        """
        Give what is known of a name, in the window or not.

        @raise KeyError: When there is no such name.
        """
        entry = self._entries.get(name)
        return self._meet(name) if entry is None else self._holding(entry)

    def _meet(self, name: str) -> Holding:
        if name in self._leaving.names:
            raise KeyError(name)
        return self._catalogue.find(name)

    @staticmethod
    def _holding(entry: Entry) -> Holding:
        assert isinstance(entry, Holding)
        return entry

    # What comes into the window, and goes.

    def _forget(self, name: str) -> Holding:
        entry = self._holding(super()._forget(name))
        self._backlog.release(entry.destination)
        content = entry.content
        # What was read again is not kept.
        if isinstance(content, SpoolContent) and content.data is not None:
            self._kept.release(entry.message)
        return entry

    def _admitAll(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._admit(row)

    def _reset(self) -> None:
        super()._reset()
        self._moving = {}

    def _standOf(self, number: int) -> Stand | None:
        entry = self._entries.get(str(number))
        return None if entry is None else self._holding(entry).stand

    def _admit(self, row: Row) -> None:
        name = str(row.id)
        if name in self._entries or name in self._leaving.names:
            return
        if name in self._moving:
            self._moving[name].missed = row
        elif self._meetRow(row):
            self._wait(name)

    def _meetRow(self, row: Row) -> bool:
        """
        Take a name into the window.

        @return: Whether it can be used; else it is set aside.
        """
        name = str(row.id)
        try:
            entry = self._catalogue.entry(row)
        except UnreadableEntry as e:
            self._hold(name, self._catalogue.remains(row))
            self.setAside(name, str(e))
            return False
        self._hold(name, entry)
        return True

    def _hold(self, name: str, entry: Holding) -> None:
        self._entries[name] = entry
        self._backlog.hold(entry.destination)

    def addMessage(self, message: AnyPath) -> None:
        """
        See L{IQueue.addMessage<relaymail.interfaces.IQueue.addMessage>}.  One
        that an operator keeps back stays there.
        """
        name = nameOf(message)
        if name in self._moving:
            # It is about to stand where an operator wants it.
            return
        if name not in self._entries:
            entry = self._meet(name)
            if entry.held is not None:
                return
            self._hold(name, entry)
        super().addMessage(name)

    def setAside(self, message: AnyPath, why: str) -> None:
        """
        See L{IQueue.setAside<relaymail.interfaces.IQueue.setAside>}.
        """
        raise NotImplementedError
