# -*- test-case-name: relaymail.test.intake.test_deadlines -*-
"""
Tests for L{relaymail.intake.deadlines}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaymail.intake.deadlines import STEP, Deadline


class DeadlineTests(SynchronousTestCase):
    """
    A deadline calls at its time, and at no other.
    """

    def setUp(self) -> None:
        """
        Make a deadline that notes when it called.
        """
        self.clock = Clock()
        self.called: list[float] = []
        self.deadline = Deadline(
            self.clock, lambda: self.called.append(self.clock.seconds())
        )

    def test_once(self) -> None:
        """
        It calls once, at its time.
        """
        self.deadline.set(10)
        self.clock.pump([1] * 30)
        self.assertEqual(self.called, [10])

    def test_setAnew(self) -> None:
        """
        Set anew it calls at the new time, later or sooner, with one timer.
        """
        self.deadline.set(10)
        self.clock.advance(9)
        self.deadline.set(10)
        self.clock.advance(3)
        self.deadline.set(20)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.pump([1] * 30)
        self.assertEqual(self.called, [32])
        self.deadline.set(50)
        self.deadline.set(5)
        self.clock.pump([1] * 60)
        self.assertEqual(self.called, [32, 47])

    def test_longSpan(self) -> None:
        """
        However long the span is, its timer is never far ahead, so that what is
        sooner needs no other.
        """
        self.deadline.set(STEP * 3.5)
        moved: list[object] = []
        for _ in range(3):
            (timer,) = self.clock.getDelayedCalls()
            self.assertLessEqual(timer.getTime(), self.clock.seconds() + STEP)
            timer.reset = moved.append  # type: ignore[method-assign,assignment]
            self.deadline.set(STEP)
            self.deadline.set(STEP * 2)
            self.clock.advance(STEP)
        self.assertEqual(self.called, [])
        self.clock.pump([1] * 30)
        self.assertEqual(self.called, [STEP * 4])
        self.assertEqual(moved, [])

    def test_lateTimer(self) -> None:
        """
        What a timer is late by is not waited twice.
        """
        self.deadline.set(10)
        self.clock.advance(5)
        self.deadline.set(10)
        self.clock.advance(15)
        self.assertEqual(self.called, [20])

    def test_clear(self) -> None:
        """
        Cleared it does not call; it can be set again.
        """
        self.deadline.set(10)
        self.deadline.clear()
        self.clock.advance(5)
        self.deadline.set(10)
        self.clock.pump([1] * 8)
        self.assertEqual(self.called, [])
        self.clock.pump([1] * 8)
        self.assertEqual(self.called, [15])

    def test_clearedForGood(self) -> None:
        """
        Cleared, its timer passes without a call.
        """
        self.deadline.set(10)
        self.deadline.clear()
        self.clock.advance(20)
        self.assertEqual(self.called, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop(self) -> None:
        """
        Stopped it leaves nothing behind, as often as it is told.
        """
        self.deadline.set(10)
        self.deadline.stop()
        self.deadline.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_steppedClock(self) -> None:
        """
        When the clock is stepped and its calls are moved with it, the span
        stays what it was.
        """
        self.deadline.set(10)
        self.clock.advance(5)
        self.deadline.set(10)
        self.clock.rightNow -= 3600
        for call in self.clock.getDelayedCalls():
            call.delay(-3600)
        self.clock.pump([1] * 9)
        self.assertEqual(self.called, [])
        self.clock.pump([1])
        self.assertEqual(len(self.called), 1)
