"""
Tests for L{relaymail.queue.writer}.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import QueueFull, QueueUnusable
from relaymail.queue.batch import Turn
from relaymail.queue.changes import BaseChange
from relaymail.queue.disk import Disk
from relaymail.queue.writer import (
    GATHERING,
    IDLE_TURN,
    MAX_BATCH,
    InlineWriter,
    Results,
    TurnWriter,
)
from relaymail.test.turns import Turns


class NamedChange(BaseChange):
    """
    A change that does nothing.
    """

    def __init__(self, name: str) -> None:
        super().__init__(Disk(), "")
        self.name = name

    def apply(self) -> None:
        """
        Do nothing.
        """


class WriterTests(SynchronousTestCase):
    """
    L{TurnWriter} writes turn by turn, L{InlineWriter} at once.
    """

    def setUp(self) -> None:
        """
        Begin with a writer whose worker waits to be told.
        """
        self.clock = Turns()
        self.jobs: list[tuple[Callable[[], Results], Deferred[Results]]] = []
        self.batches: list[list[str]] = []
        self.broken: set[str] = set()
        self.writer = TurnWriter(partial(partial, self.commit), self.clock, self.run_)

    def run_(self, job: Callable[[], Results]) -> Deferred[Results]:
        """
        Take a batch for later.
        """
        done: Deferred[Results] = Deferred()
        self.jobs.append((job, done))
        return done

    def work(self) -> None:
        """
        Write the oldest batch.
        """
        job, done = self.jobs.pop(0)
        done.callback(job())

    def commit(self, turns: Sequence[Turn]) -> Results:
        """
        Note what was written.
        """
        names = [change.name for turn in turns for change in turn]  # type: ignore
        self.batches.append(names)
        return [QueueFull(name) if name in self.broken else None for name in names]

    def submit(self, *names: str) -> list[Deferred[Any]]:
        """
        Submit changes in one turn.
        """
        return [self.writer.submit(NamedChange(name)) for name in names]

    def test_oneTurnOneBatch(self) -> None:
        """
        Nothing is begun before the turn ends; then all of it together.
        """
        done = self.submit("a", "b")
        self.assertEqual(self.jobs, [])
        self.clock.advance(0)
        self.assertNoResult(done[0])
        self.work()
        self.assertEqual(self.batches, [["a", "b"]])
        for each in done:
            self.successResultOf(each)

    def test_turnsThatWaitShareTheNext(self) -> None:
        """
        One batch is written at a time; what comes meanwhile shares the next.
        """
        for name in "abc":
            self.submit(name)
            self.clock.advance(0)
        self.assertEqual(len(self.jobs), 1)
        self.work()
        self.work()
        self.assertEqual((self.batches, self.jobs), ([["a"], ["b", "c"]], []))

    def test_batchesAreBounded(self) -> None:
        """
        A batch takes no further turn once it is large; a turn is not split.
        """
        self.submit("first")
        self.clock.advance(0)
        for _ in range(3):
            self.submit(*["x"] * (MAX_BATCH // 2 + 1))
            self.clock.advance(0)
        while self.jobs:
            self.work()
            self.clock.advance(0)
        half = MAX_BATCH // 2 + 1
        self.assertEqual([len(batch) for batch in self.batches], [1, 2 * half, half])

    def busyTurn(self, *names: str) -> None:
        """
        Let a turn pass that takes some time, and in which changes come.
        """
        self.submit(*names)
        self.clock.advance(IDLE_TURN * 2)

    def test_waitsWhileBusy(self) -> None:
        """
        Where batches follow each other, the next waits until the reactor has
        nothing else to do.
        """
        self.submit("a", "b")
        self.clock.advance(0)
        self.busyTurn("c")
        self.work()
        for name in ("d", "e", ""):
            self.busyTurn(*name)
            self.assertEqual(self.jobs, [])
        self.clock.advance(0)
        self.work()
        self.assertEqual(self.batches, [["a", "b"], ["c", "d", "e"]])

    def test_waitIsBounded(self) -> None:
        """
        It does not wait long after the one before was begun.
        """
        self.submit("a", "b")
        self.clock.advance(0)
        self.work()
        self.busyTurn("c")
        turns = 0
        while not self.jobs:
            self.busyTurn("d")
            turns += 1
        self.assertApproximates(turns, GATHERING / IDLE_TURN / 2, 1)

    def test_slowDisk(self) -> None:
        """
        It does not wait where writing the one before took that long.
        """
        self.submit("a", "b")
        self.clock.advance(0)
        self.clock.advance(GATHERING)
        self.busyTurn("c")
        self.work()
        self.assertEqual(len(self.jobs), 1)

    def test_oneAtATime(self) -> None:
        """
        It does not wait where nobody would share it.
        """
        for name in "ab":
            self.busyTurn(name)
            self.assertEqual(len(self.jobs), 1)
            self.work()

    def test_clockIsSetBack(self) -> None:
        """
        It does not wait until a clock is where it was.
        """
        self.submit("a", "b")
        self.clock.advance(0)
        self.work()
        self.clock.rightNow -= 3600
        self.busyTurn("c")
        self.assertEqual(len(self.jobs), 1)

    def test_flushWaitsForTheWaiting(self) -> None:
        """
        L{TurnWriter.flush} waits for what waits.
        """
        self.submit("a", "b")
        self.clock.advance(0)
        self.work()
        self.busyTurn("c")
        flushed = self.writer.flush()
        self.assertNoResult(flushed)
        self.clock.advance(0)
        self.work()
        self.successResultOf(flushed)

    def test_failureIsItsOwn(self) -> None:
        """
        A change that fails fails alone.
        """
        self.broken = {"b"}
        a, b, c = self.submit("a", "b", "c")
        self.clock.advance(0)
        self.work()
        self.successResultOf(a)
        self.failureResultOf(b, QueueFull)
        self.successResultOf(c)

    def test_workerThatFails(self) -> None:
        """
        When the worker itself fails, or cannot be had, every change does, and
        the next batch is tried.
        """

        def closed(job: Callable[[], Results]) -> Deferred[Results]:
            raise RuntimeError("the pool is closed")

        for run in (closed, lambda job: fail(RuntimeError("no thread"))):
            self.writer = TurnWriter(partial(partial, self.commit), self.clock, run)
            for _ in range(2):
                (done,) = self.submit("a")
                self.clock.advance(0)
                self.failureResultOf(done, QueueUnusable)
            self.successResultOf(self.writer.flush())

    def test_flush(self) -> None:
        """
        L{TurnWriter.flush} waits for all, and for nothing where there is
        nothing.
        """
        self.successResultOf(self.writer.flush())
        self.submit("a")
        flushed = self.writer.flush()
        self.clock.advance(0)
        self.submit("b")
        self.work()
        self.assertNoResult(flushed)
        self.clock.advance(0)
        self.work()
        self.successResultOf(flushed)

    def test_inline(self) -> None:
        """
        L{InlineWriter} has written when it returns.
        """
        self.broken = {"b"}
        writer = InlineWriter(self.commit)
        self.successResultOf(writer.submit(NamedChange("a")))
        self.failureResultOf(writer.submit(NamedChange("b")), QueueFull)
        self.successResultOf(writer.flush())
        self.assertEqual(self.batches, [["a"], ["b"]])
