"""
Tests for L{relaymail.route.sts.ages}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.route.sts.ages import (
    DAY,
    FIRST_WAIT,
    LONGEST_WAIT,
    SHORTEST,
    SOONEST,
    UNUSED_AFTER,
    isOver,
    isUsed,
    refreshAfter,
    refreshAgainAfter,
    waitAfter,
)
from relaymail.route.sts.policy import MAX_AGE

CHANCES = st.floats(0, 1, exclude_max=True)
AGES = st.integers(0, MAX_AGE)


class AgesTests(SynchronousTestCase):
    """
    How long policies hold, and when they are had anew.
    """

    def test_5_1_over(self) -> None:
        """
        One holds for its max_age since it was had, and not a second more.
        """
        self.assertFalse(isOver(1000, 86400, 87399))
        self.assertTrue(isOver(1000, 86400, 87400))

    def test_5_1_short(self) -> None:
        """
        One that would hold for no time does for a minute: else each message would
        fetch it.
        """
        self.assertFalse(isOver(1000, 0, 1000 + SHORTEST - 1))
        self.assertTrue(isOver(1000, 0, 1000 + SHORTEST))

    def test_P8_future(self) -> None:
        """
        One of the future holds.
        """
        self.assertFalse(isOver(10_000_000, 86400, 1000))

    def test_3_3_daily(self) -> None:
        """
        One is had anew once a day.
        """
        self.assertEqual(refreshAfter(30 * DAY, 0), DAY)
        self.assertLess(refreshAfter(30 * DAY, 0.5), DAY)

    @settings(deadline=None, max_examples=50)
    @given(AGES, CHANCES)
    def test_noGap(self, maxAge: int, chance: float) -> None:
        """
        Whatever the chance, one is had anew before it ends, if it holds for long
        enough, and so is it tried again.
        """
        first = refreshAfter(maxAge, chance)
        self.assertGreaterEqual(first, SOONEST)
        self.assertLessEqual(first, max(DAY, SOONEST))
        if maxAge > 2 * SOONEST:
            self.assertLess(first, maxAge)
            again = refreshAgainAfter(maxAge - first, chance)
            self.assertGreaterEqual(again, SOONEST)
            self.assertLessEqual(again, max(DAY / 4, SOONEST))

    @settings(deadline=None, max_examples=50)
    @given(st.integers(1, 10_000), CHANCES)
    def test_3_3_wait(self, failures: int, chance: float) -> None:
        """
        After a failure it is waited for five minutes at the least, then longer, up to
        a bound.
        """
        wait = waitAfter(failures, chance)
        self.assertGreaterEqual(wait, FIRST_WAIT)
        self.assertLessEqual(wait, LONGEST_WAIT * 1.25)
        self.assertLessEqual(wait, waitAfter(failures + 1, chance))

    def test_used(self) -> None:
        """
        One that nobody asks for is not had anew for ever.
        """
        self.assertTrue(isUsed(0, UNUSED_AFTER - 1))
        self.assertFalse(isUsed(0, UNUSED_AFTER))
