# -*- test-case-name: relaymail.test.queue.test_writer -*-
"""
When the changes of a queue are written: at once, or those of a turn
of the reactor together and behind its back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from relaymail.errors import QueueUnusable

#: A batch takes no further turn once it has this many changes: whoever waits
#: for the first of them should not wait for thousands.
MAX_BATCH = 200

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


class TurnWriter(Generic[_C]):
    """
    What is submitted in one turn is one transaction; turns that wait while a
    batch is being written share the next.
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
        self._writing = False
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
        if not self._turn and not self._turns and not self._writing:
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._flushes.append(done)
        return done

    def _endTurn(self) -> None:
        self._turns.append(self._turn)
        self._turn = []
        self._writeNext()

    def _writeNext(self) -> None:
        if self._writing:
            return
        if self._turns:
            self._write(self._nextBatch())
        elif not self._turn:
            flushes, self._flushes = self._flushes, []
            for done in flushes:
                done.callback(None)

    def _nextBatch(self) -> list[_Asked[_C]]:
        batch: list[_Asked[_C]] = []
        size = 0
        while self._turns and size < MAX_BATCH:
            batch.append(self._turns.popleft())
            size += len(batch[-1])
        return batch

    def _write(self, batch: list[_Asked[_C]]) -> None:
        self._writing = True
        changes = [[change for change, _ in turn] for turn in batch]
        waiting = [done for turn in batch for _, done in turn]
        # A pool that is closed raises instead of failing.
        written = maybeDeferred(self._run, self._begin(changes))
        written.addBoth(self._written, waiting)

    def _written(
        self, results: Results | Failure, waiting: list[Deferred[None]]
    ) -> None:
        self._writing = False
        if isinstance(results, Failure):
            error = QueueUnusable(f"the queue's writer failed: {results.value}")
            results = [error] * len(waiting)
        for result, done in zip(results, waiting, strict=True):
            if result is None:
                done.callback(None)
            else:
                done.errback(result)
        self._writeNext()
