# -*- test-case-name: relaymail.test.queue.test_writer -*-
"""
When the changes of a queue are written: at once, or those of a turn
of the reactor together and behind its back.

What a batch costs does not depend much on how many changes it has.  So where one
follows the other, the next waits while the reactor has other things to do: that
costs nobody time, for who would go on is not served before.  A reactor that has
nothing else to do never waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from relaymail.errors import QueueUnusable

#: A batch takes no further turn once it has this many changes: whoever waits
#: for the first of them should not wait for thousands.
MAX_BATCH = 200

#: How long after a batch was begun the next one may be put off, in seconds: no
#: client notices that, and nearly all that ten of them ask for comes together.
GATHERING = 0.01
#: How long a turn of the reactor takes at most when it has nothing to do, in
#: seconds: some ten times what it does take, and as much less than one message.
IDLE_TURN = 0.0001

#: What became of each change: its failure, or nothing.
Results = list[Exception | None]
#: Runs a batch, in a worker thread or at once.
Run = Callable[[Callable[[], Results]], Deferred[Results]]

_C = TypeVar("_C")
_Contra = TypeVar("_Contra", contravariant=True)
_Asked = list[tuple[_C, "Deferred[None]"]]


class Writer(Protocol[_Contra]):
    """
    What a queue gives its changes to.
    """

    def submit(self, change: _Contra) -> Deferred[None]:
        """
        Have a change made.

        @return: Fires when it would survive a power cut, or fails as it did.
        """

    def flush(self) -> Deferred[None]:
        """
        Wait until all that was submitted is written.
        """


class InlineWriter(Generic[_C]):
    """
    Each change is a batch of its own, written before C{submit} returns.
    """

    def __init__(self, commit: Callable[[list[list[_C]]], Results]) -> None:
        """
        @param commit: Writes the changes of some turns.
        """
        self._commit = commit

    def submit(self, change: _C) -> Deferred[None]:
        """
        See L{Writer.submit}.
        """
        (error,) = self._commit([[change]])
        return succeed(None) if error is None else fail(error)

    def flush(self) -> Deferred[None]:
        """
        See L{Writer.flush}.
        """
        return succeed(None)


class _State(Enum):
    RESTING = 1
    #: The next batch waits for as long as the reactor is busy.
    GATHERING = 2
    WRITING = 3


class TurnWriter(Generic[_C]):
    """
    What is submitted in one turn is one transaction; turns that wait while a
    batch is being written, or while the reactor is busy, share the next.
    """

    def __init__(
        self,
        begin: Callable[[list[list[_C]]], Callable[[], Results]],
        clock: IReactorTime,
        run: Run,
    ) -> None:
        """
        @param begin: Begins to write the changes of some turns, and gives what
            does the rest.
        @param clock: Tells the end of a turn.
        @param run: Does the rest of a batch; it is never given two at a time.
        """
        self._begin = begin
        self._clock = clock
        self._run = run
        self._turn: _Asked[_C] = []
        self._turns: deque[_Asked[_C]] = deque()
        self._state = _State.RESTING
        self._began = 0.0
        self._size = 0
        self._flushes: list[Deferred[None]] = []

    def submit(self, change: _C) -> Deferred[None]:
        """
        See L{Writer.submit}.
        """
        if not self._turn:
            self._clock.callLater(0, self._endTurn)
        done: Deferred[None] = Deferred()
        self._turn.append((change, done))
        return done

    def flush(self) -> Deferred[None]:
        """
        See L{Writer.flush}.
        """
        if not self._turn and not self._turns and self._state is _State.RESTING:
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._flushes.append(done)
        return done

    def _endTurn(self) -> None:
        self._turns.append(self._turn)
        self._turn = []
        self._writeNext()

    def _writeNext(self) -> None:
        if self._state is not _State.RESTING:
            return
        if self._turns and self._mayWait():
            self._gather()
        elif self._turns:
            self._write(self._nextBatch())
        elif not self._turn:
            flushes, self._flushes = self._flushes, []
            for done in flushes:
                done.callback(None)

    def _mayWait(self) -> bool:
        # Where one change comes at a time, nobody would share its batch.  And a
        # clock that was set back says nothing.
        return self._size > 1 and 0 <= self._clock.seconds() - self._began < GATHERING

    def _gather(self) -> None:
        self._state = _State.GATHERING
        self._clock.callLater(0, self._look, self._clock.seconds())

    def _look(self, since: float) -> None:
        isFull = len(self._turns) >= MAX_BATCH
        isBusy = self._clock.seconds() - since > IDLE_TURN and not isFull
        if isBusy and self._mayWait():
            self._gather()
        else:
            self._write(self._nextBatch())

    def _nextBatch(self) -> list[_Asked[_C]]:
        batch: list[_Asked[_C]] = []
        size = 0
        while self._turns and size < MAX_BATCH:
            batch.append(self._turns.popleft())
            size += len(batch[-1])
        return batch

    def _write(self, batch: list[_Asked[_C]]) -> None:
        self._state = _State.WRITING
        self._began = self._clock.seconds()
        changes = [[change for change, _ in turn] for turn in batch]
        waiting = [done for turn in batch for _, done in turn]
        self._size = len(waiting)
        # A worker that is closed raises instead of failing.
        written = maybeDeferred(lambda: self._run(self._begin(changes)))
        written.addBoth(self._written, waiting)

    def _written(
        self, results: Results | Failure, waiting: list[Deferred[None]]
    ) -> None:
        self._state = _State.RESTING
        if isinstance(results, Failure):
            error = QueueUnusable(f"the queue's writer failed: {results.value}")
            results = [error] * len(waiting)
        for result, done in zip(results, waiting, strict=True):
            if result is None:
                done.callback(None)
            else:
                done.errback(result)
        self._writeNext()
