"""
Tests for L{relaymail.testing.crashes}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.testing.crashes import Crash, CrashPoints


class CrashPointsTests(SynchronousTestCase):
    """
    Tests for L{CrashPoints}.
    """

    def setUp(self) -> None:
        self.points = CrashPoints()

    def test_nothingAsked(self) -> None:
        """
        Points are passed and counted.
        """
        self.points.point("one")
        self.points.point("two")
        self.assertEqual(self.points.passed, 2)

    def test_crash(self) -> None:
        """
        The machine crashes at the point that was asked for, says at which,
        and stays down.
        """
        died: list[str] = []
        self.points.onCrash = died.append
        self.points.point("one")
        self.points.crashAfter(1)
        self.points.point("two")
        self.assertRaises(Crash, self.points.point, "three")
        self.assertRaises(Crash, self.points.point, "four")
        self.assertEqual((died, self.points.isDown), (["three"], True))

    def test_heal(self) -> None:
        """
        Started again, it does not crash by itself.
        """
        self.points.crashAfter(0)
        self.assertRaises(Crash, self.points.point, "one")
        self.points.heal()
        self.points.point("two")
        self.assertFalse(self.points.isDown)

    def test_noException(self) -> None:
        """
        What handles exceptions does not handle a crash.
        """
        self.assertFalse(issubclass(Crash, Exception))
