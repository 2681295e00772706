# -*- test-case-name: relaymail.test.queue.test_directory -*-
"""
The names of a queue in memory: which wait, which are claimed, and which rest
until their time comes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from os import PathLike, fsdecode
from os.path import basename
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python import log

from relaymail.envelopes import (
    NO_ORIGIN,
    NO_PARAMETERS,
    NOTHING_SAID,
    Letter,
    Origin,
    Outline,
    Parameters,
    RecipientParameters,
)
from relaymail.outcomes import Outcome
from relaymail.queue.contents import IKeyedContent
from relaymail.queue.said import heldUntil

#: How long a claim holds, in seconds: longer than any attempt takes (RFC 5321
#: 4.5.3.2 adds up to under an hour), so that a lease that ended means that
#: whoever took it has gone.
LEASE = 3600.0

#: A path or a name as an app may give it.
AnyPath = str | bytes | PathLike[str] | PathLike[bytes]


@dataclass(slots=True)
class Entry:
    """
    What is known of a name.

    @ivar arrived: When its message was accepted, in seconds.
    @ivar attempts: How many attempts were begun.
    @ivar status: The enhanced status of the last outcome, or empty.
    @ivar text: What was said last, or empty.
    @ivar parameters: What MAIL said beyond the sender.
    @ivar bornClaimed: Whether its first claim was written with it.
    @ivar stated: Whether where it stands is written somewhere.
    @ivar envelope: Its sender and recipient, once known.
    @ivar content: Its content, once known.
    @ivar recipientParameters: What RCPT said beyond the recipient.
    @ivar isTold: Whether its sender was told that it is late.
    @ivar origin: Where its message came in from.
    @ivar isReleased: Whether an operator released it after it was held.
    """

    arrived: float
    attempts: int = 0
    status: str = ""
    text: str = ""
    parameters: Parameters = NO_PARAMETERS
    bornClaimed: bool = False
    stated: bool = False
    envelope: Sequence[str | int] | None = None
    content: IKeyedContent | None = None
    recipientParameters: RecipientParameters = NOTHING_SAID
    isTold: bool = False
    origin: Origin = NO_ORIGIN
    isReleased: bool = False

    def letter(self, items: list[Any], content: IKeyedContent) -> Letter:
        """
        Give a view of its message that knows where it stands.

        @param items: The sender, the recipient and the opened content.
        @param content: The content.
        """
        return Letter(
            items,
            content,
            self.parameters,
            self.attempts,
            self.arrived,
            self.recipientParameters,
            self.isTold,
        )


@dataclass(slots=True)
class Resting:
    """
    Names whose time is to come.  What has not come due costs nothing.

    @ivar due: When each is due, in seconds.
    """

    due: dict[str, float] = field(default_factory=dict)
    _heap: list[tuple[float, str]] = field(default_factory=list)

    def add(self, name: str, when: float) -> None:
        """
        Let a name rest until C{when}.
        """
        self.due[name] = when
        heappush(self._heap, (when, name))
        # What was discarded stays in the heap until it is its turn; it must
        # not become the most of it.
        if len(self._heap) > 2 * len(self.due) + 64:
            self._heap = [(when, name) for name, when in self.due.items()]
            heapify(self._heap)

    def discard(self, name: str) -> None:
        """
        Forget a name, if it rests.
        """
        self.due.pop(name, None)

    def next(self) -> float | None:
        """
        Give the earliest time, or L{None} where nothing rests.
        """
        while self._heap:
            when, name = self._heap[0]
            if self.due.get(name) == when:
                return when
            heappop(self._heap)
        return None

    def takeDue(self, now: float) -> list[str]:
        """
        Take out the names that are due, the earliest first.
        """
        taken: list[str] = []
        while (when := self.next()) is not None and when <= now:
            name = heappop(self._heap)[1]
            del self.due[name]
            taken.append(name)
        return taken


class Window:
    """
    What L{IQueue<relaymail.interfaces.IQueue>} asks about names, without the
    storing.

    @cvar noisy: Whether informational messages are logged.
    @cvar isBinarySafe: Whether contents come out as they went in, whatever bytes
        they have.
    @ivar waiting: The names that are due and unclaimed, as keys.
    @ivar relayed: The names that are claimed, as keys.
    @ivar onWaiting: Called with nothing when names became waiting, but for
        those that L{setWaiting} puts back; L{None}: nobody wants to know.
    @ivar suspendedUntil: Says until when what rests for a destination need not
        be looked at; L{None}: nothing is suspended.
    @ivar onWithdrawn: Called with a name that waits no longer although nobody
        claimed it, and may wait again; L{None}: nobody wants to know.
    """

    noisy = True
    isBinarySafe = True
    onWaiting: Callable[[], None] | None = None
    suspendedUntil: Callable[[str], float | None] | None = None
    onWithdrawn: Callable[[str], None] | None = None

    waiting: dict[str, int]
    relayed: dict[str, int]
    _clock: IReactorTime | None = None

    @property
    def clock(self) -> IReactorTime:
        """
        What tells the queue's time, in seconds of the epoch.
        """
        if self._clock is None:
            from twisted.internet import reactor

            self._clock = IReactorTime(reactor)
        return self._clock

    def getWaiting(self) -> list[str]:
        """
        Give a new list of the waiting names, the longest waiting first.
        """
        return list(self.waiting)

    def newestWaiting(self) -> Iterator[str]:
        """
        Give the waiting names, newest first.
        """
        return reversed(self.waiting)

    def hasWaiting(self) -> bool:
        """
        Tell whether any name is waiting.
        """
        return bool(self.waiting)

    def getRelayed(self) -> list[str]:
        """
        Give a new list of the claimed names.
        """
        return list(self.relayed)

    def getResting(self) -> dict[str, float]:
        """
        Give the names whose time is to come, and when it comes, in seconds.
        """
        return dict(self._resting.due)

    def getRefused(self) -> list[str]:
        """
        Give the names of refused mail that could not be taken away yet.
        """
        return []

    def nextDue(self) -> float | None:
        """
        Give the time at which the next resting name comes due, or L{None}
        where none rests.
        """
        return self._resting.next()

    def outline(self, message: AnyPath) -> Outline:
        """
        See L{IQueue.outline<relaymail.interfaces.IQueue.outline>}.
        """
        name = nameOf(message)
        sender, recipient = map(str, self.getEnvelope(name)[:2])
        entry = self._entries[name]
        key = self.contentKey(name)
        return Outline(
            sender,
            recipient,
            key,
            entry.attempts,
            entry.arrived,
            entry.parameters,
            entry.origin,
            entry.isReleased,
        )

    def postpone(self, message: AnyPath, when: float) -> Deferred[None] | None:
        """
        See L{IQueue.postpone<relaymail.interfaces.IQueue.postpone>}.  After a
        restart the name is due.
        """
        self._postpone(nameOf(message), when)
        return None

    def unclaim(self, message: AnyPath) -> None:
        """
        Give a claimed name back whose attempt came to nothing before it had begun: it
        waits, and the attempt does not count.

        @param message: The name.

        @raise KeyError: When the name is not claimed.
        """
        name = nameOf(message)
        entry = self._entries[name]
        self.setWaiting(name)
        # After a restart it may count all the same.
        entry.attempts -= 1

    def setWaiting(
        self,
        message: AnyPath,
        when: float | None = None,
        outcome: Outcome | None = None,
    ) -> Deferred[None] | None:
        """
        See L{IQueue.setWaiting<relaymail.interfaces.IQueue.setWaiting>}.
        """
        raise NotImplementedError

    def wakeOld(self, before: float) -> None:
        """
        See L{IQueue.wakeOld<relaymail.interfaces.IQueue.wakeOld>}.  All that
        rests is in memory, and wakes by itself.
        """

    def lookAgain(self) -> None:
        """
        See L{IQueue.lookAgain<relaymail.interfaces.IQueue.lookAgain>}.
        """
        postponed = list(self._postponed)
        for name in postponed:
            self._wait(name)
        if postponed:
            self._tell()

    def getEnvelope(self, message: AnyPath) -> list[Any]:
        """
        See L{IQueue.getEnvelope<relaymail.interfaces.IQueue.getEnvelope>}.
        """
        raise NotImplementedError

    def contentKey(self, message: AnyPath) -> Hashable:
        """
        See L{IQueue.contentKey<relaymail.interfaces.IQueue.contentKey>}.
        """
        raise NotImplementedError

    def addMessage(self, message: AnyPath) -> None:
        """
        Make a stored name waiting unless it is claimed; one that rests rests
        no longer.

        @param message: The name.
        """
        name = nameOf(message)
        if name not in self.relayed:
            if name not in self._entries:
                self._entries[name] = self._meet(name)
            self._wait(name)
            self._tell()

    def _meet(self, name: str) -> Entry:
        """
        Learn of a name that somebody else stored.
        """
        return Entry(self.clock.seconds())

    def _reset(self) -> None:
        self.waiting = {}
        self.relayed = {}
        self._resting = Resting()
        self._postponed: dict[str, None] = {}
        self._entries: dict[str, Entry] = {}

    def _arrive(self, name: str, entry: Entry) -> None:
        """
        Take a name that has come.
        """
        self._entries[name] = entry
        until = heldUntil(entry.parameters, self.clock.seconds())
        if until is None:
            self._wait(name)
        else:
            self._resting.add(name, until)

    def _wait(self, name: str) -> None:
        self._resting.discard(name)
        self._postponed.pop(name, None)
        self.waiting[name] = 1
        if self.noisy:
            log.msg("Set " + name + " waiting")

    def _wakeDue(self, now: float) -> bool:
        due = self._resting.takeDue(now)
        for name in due:
            self._wait(name)
        return bool(due)

    def _claim(self, name: str) -> Entry:
        del self.waiting[name]
        self.relayed[name] = 1
        entry = self._entries[name]
        entry.attempts += 1
        return entry

    def _postpone(self, name: str, when: float) -> Entry:
        del self.waiting[name]
        self._resting.add(name, when)
        self._postponed[name] = None
        return self._entries[name]

    def _giveBack(
        self, name: str, when: float | None, outcome: Outcome | None
    ) -> Entry:
        del self.relayed[name]
        entry = self._entries[name]
        if outcome is not None:
            entry.status, entry.text = outcome.status, outcome.text
        if when is None or when <= self.clock.seconds():
            self._wait(name)
        else:
            self._resting.add(name, when)
        return entry

    def _forget(self, name: str) -> Entry:
        entry = self._entries.pop(name)
        self.waiting.pop(name, None)
        self.relayed.pop(name, None)
        self._resting.discard(name)
        self._postponed.pop(name, None)
        return entry

    def _withdraw(self, name: str) -> None:
        """
        Let a name neither wait nor rest.
        """
        if self.waiting.pop(name, None) is not None and self.onWithdrawn is not None:
            self.onWithdrawn(name)
        self._resting.discard(name)
        self._postponed.pop(name, None)

    def _tell(self) -> None:
        if self.onWaiting is not None:
            self.onWaiting()


def nameOf(message: AnyPath) -> str:
    """
    Give the name in a name or a path.
    """
    return basename(fsdecode(message))
