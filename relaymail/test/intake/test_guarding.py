"""
Tests for L{relaymail.intake.guarding}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaymail.intake.guarding import FailureGuard


class GuardTests(SynchronousTestCase):
    """
    Tests for L{FailureGuard}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.guard = FailureGuard(self.clock, most=3, within=60, pause=100, sources=4)

    def fail_(self, source: str, times: int) -> list[bool]:
        """
        Fail some times.
        """
        return [self.guard.failed(source) for _ in range(times)]

    def test_A05_tooMany(self) -> None:
        """
        Who fails too often is out, for a while; nobody else is.
        """
        self.assertEqual(self.fail_("192.0.2.1", 3), [False, False, True])
        self.assertTrue(self.guard.isOut("192.0.2.1"))
        self.assertFalse(self.guard.isOut("192.0.2.2"))
        self.clock.advance(99)
        self.assertTrue(self.guard.isOut("192.0.2.1"))
        self.clock.advance(1)
        self.assertFalse(self.guard.isOut("192.0.2.1"))

    def test_again(self) -> None:
        """
        After that it begins anew.
        """
        self.fail_("192.0.2.1", 3)
        self.clock.advance(100)
        self.assertEqual(self.fail_("192.0.2.1", 3), [False, False, True])

    def test_slowly(self) -> None:
        """
        Who fails now and then is not.
        """
        for _ in range(10):
            self.assertEqual(self.fail_("192.0.2.1", 2), [False, False])
            self.clock.advance(61)
        self.assertFalse(self.guard.isOut("192.0.2.1"))

    def test_A05_rightInTheEnd(self) -> None:
        """
        Who fails, and then succeeds, may fail as often again; what was tried as
        others counts nevertheless.
        """
        for _ in range(10):
            self.assertFalse(self.guard.failed("192.0.2.1", "tim"))
            self.guard.succeeded("192.0.2.1", "tim")
        self.guard.failed("192.0.2.1", "ann")
        self.guard.failed("192.0.2.1", "bea")
        self.guard.succeeded("192.0.2.1", "tim")
        self.guard.succeeded("192.0.2.2", "ann")
        self.assertTrue(self.guard.failed("192.0.2.1", "cleo"))

    def test_A05_bounded(self) -> None:
        """
        Those are forgotten that failed longest ago.
        """
        self.fail_("192.0.2.1", 2)
        for last in range(2, 5):
            self.fail_(f"192.0.2.{last}", 1)
        self.fail_("192.0.2.1", 1)
        self.assertTrue(self.guard.isOut("192.0.2.1"))
        for last in range(5, 100):
            self.fail_(f"192.0.2.{last}", 1)
        self.assertEqual(len(self.guard._records), 4)
        self.assertFalse(self.guard.isOut("192.0.2.1"))
