# -*- test-case-name: relaymail.test.queue.spool.test_spool -*-
"""
Reading back what rests in a spool, when it is due and there is room for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaymail.queue.spool.backlog import SHARE, Backlog, Wish
from relaymail.queue.spool.changes import Change
from relaymail.queue.spool.loading import STRETCH, Load, Old
from relaymail.queue.spool.recipients import Row
from relaymail.queue.spool.rows import Stand
from relaymail.queue.spool.upkeep import Revival, Sweep

#: How long to wait before what could not be read is read again, in seconds.
TRY_AGAIN = 60.0


class Reading:
    """
    Fills the window of a spool.

    @ivar isStopped: Whether nothing more is read.
    """

    log = Logger()

    def __init__(
        self,
        backlog: Backlog,
        clock: IReactorTime,
        submit: Callable[[Change], Deferred[None]],
        admit: Callable[[Sequence[Row]], None],
        tell: Callable[[], None],
        standOf: Callable[[int], Stand | None],
    ) -> None:
        """
        @param backlog: What rests.
        @param clock: Tells the time.
        @param submit: Has something read, after all that is being written.
        @param admit: Takes rows into the window.
        @param tell: Called when names wait, or are due at another time than
            before.
        @param standOf: Gives what is known of one that is in the window; it is
            asked by whoever writes.
        """
        self.isStopped = False
        self._backlog = backlog
        self._clock = clock
        self._submit = submit
        self._admit = admit
        self._tell = tell
        self._standOf = standOf
        self._isFilling = False
        self._isWaking = False
        self._lastOld = 0
        self._again: IDelayedCall | None = None

    def fill(self) -> None:
        """
        Read what is due, as far as there is room for it.
        """
        if self._isFilling or self.isStopped:
            return
        # What is read at once says in the loop that there is more.
        self._isFilling = True
        try:
            while wishes := self._backlog.wishes(self._clock.seconds()):
                for wish in wishes:
                    self._load(wish)
        finally:
            self._isFilling = False

    def _load(self, wish: Wish) -> None:
        load = Load(wish.destination, wish.after, wish.limit)
        # What cannot be taken in is asked for again as what cannot be read is.
        read = self._submit(load).addCallback(self._loaded, load)
        read.addErrback(self._notLoaded, load)

    def _loaded(self, _: None, load: Load) -> None:
        now = self._clock.seconds()
        rows = [row for row in load.found[: load.limit] if row.due <= now]
        later = load.found[len(rows) :]
        self._admit(rows)
        last = (rows[-1].due, rows[-1].id) if rows else None
        self._backlog.loaded(load.destination, last, later[0].due if later else None)
        self.fill()
        self._tell()

    def _notLoaded(self, failure: Failure, load: Load) -> None:
        self._complain(failure, f"what rests for {load.destination}")
        self._backlog.failed(load.destination, self._clock.seconds() + TRY_AGAIN)
        self._tell()

    def wakeOld(self, before: float) -> None:
        """
        Read, a stretch at a time, what is due and was accepted before a time:
        what is suspended rests beyond its time.

        @param before: The time, in seconds.
        """
        room = min(self._backlog.room - self._backlog.held.total(), SHARE)
        if self.isStopped or self._isWaking or room <= 0:
            return
        self._isWaking = True
        old = Old(self._lastOld, self._clock.seconds(), before, room)
        read = self._submit(old).addCallback(self._oldRead, old)
        read.addErrback(self._complain, "mail that is old").addBoth(self._oldDone)

    def _oldRead(self, _: None, old: Old) -> None:
        self._lastOld = old.last
        self._admit(old.found)
        if old.found:
            self._tell()

    def _oldDone(self, _: None) -> None:
        self._isWaking = False

    def revive(self, end: int, start: int = 0) -> None:
        """
        Let rest what was claimed when the relay went down, stretch by stretch,
        and then remove the files that are nobody's.

        @param end: The number after the last it may be.
        @param start: The number before the first.
        """
        if self.isStopped:
            return
        change = Revival(start, end, STRETCH, self._standOf)
        revived = self._submit(change).addCallback(self._revived, change, end)
        revived.addErrback(self._notRevived, end, start)

    def _revived(self, _: None, change: Revival, end: int) -> None:
        for destination, due, number in change.found:
            self._backlog.rests(destination, due, number)
        self.fill()
        self._tell()
        if change.end is not None:
            self.revive(end, change.end)
        else:
            swept = self._submit(Sweep(end))
            swept.addErrback(self._complain, "files that are nobody's")

    def _notRevived(self, failure: Failure, end: int, start: int) -> None:
        self._complain(failure, "what was claimed when the relay went down")
        if not self.isStopped:
            self._again = self._clock.callLater(TRY_AGAIN, self.revive, end, start)

    def stop(self) -> None:
        """
        Read nothing more.
        """
        self.isStopped = True
        if self._again is not None and self._again.active():
            self._again.cancel()

    def _complain(self, failure: Failure, what: str) -> None:
        # On a damaged database nothing is looked for any more, which was said.
        if not self.isStopped:
            self.log.failure("Cannot look for {what}", failure, what=what)
