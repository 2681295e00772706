# -*- test-case-name: relaymail.test.schedule.test_backoff -*-
"""
Tests for L{relaymail.schedule.backoff}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import ConfigurationError
from relaymail.schedule.backoff import (
    DEFAULT_EXPIRY,
    DEFAULT_RETRY,
    nextAttempt,
    parseDuration,
)

#: The chance at which a delay is neither longer nor shorter.
EVEN = 0.5


class NextAttemptTests(SynchronousTestCase):
    """
    When mail is tried again.
    """

    def test_delaysGrowAndTheLastRepeats(self) -> None:
        """
        The delays come one after the other, then the last for ever.
        """
        got = [nextAttempt(n, 1000.0, 1000.0, EVEN) for n in range(1, 8)]
        delays = [60, 300, 900, 1800, 3600, 3600, 3600]
        self.assertEqual(got, [1000.0 + d for d in delays])

    def test_jitter(self) -> None:
        """
        Chance moves a delay by a fifth at most, either way.
        """
        self.assertEqual(nextAttempt(1, 0.0, 0.0, 0.0, (100.0,)), 80.0)
        self.assertEqual(nextAttempt(1, 0.0, 0.0, 0.75, (1000.0,)), 1100.0)

    def test_D31_expiresAfterAnAttemptAtItsTime(self) -> None:
        """
        An attempt that failed at the expiry time or later was the last.
        """
        self.assertIsNone(nextAttempt(9, 50.0, 150.0, EVEN, (10.0,), 100.0))
        self.assertIsNone(nextAttempt(9, 50.0, 151.0, EVEN, (10.0,), 100.0))
        self.assertIsNotNone(nextAttempt(9, 50.0, 149.0, EVEN, (10.0,), 100.0))

    def test_D31_lastAttemptIsAtTheExpiryTime(self) -> None:
        """
        A time beyond the expiry is pulled back to just it.
        """
        self.assertEqual(nextAttempt(9, 50.0, 145.0, EVEN, (10.0,), 100.0), 150.0)

    def test_P8_clockBeforeTheArrivalKeepsTheMail(self) -> None:
        """
        A clock that stands before the arrival does not expire anything.
        """
        self.assertEqual(nextAttempt(1, 5000.0, 10.0, EVEN), 70.0)

    @settings(deadline=None, max_examples=50)
    @given(
        st.integers(min_value=1, max_value=10_000),
        st.floats(min_value=0, max_value=2e9),
        st.floats(min_value=0, max_value=DEFAULT_EXPIRY * 2),
        st.floats(min_value=0, max_value=1, exclude_max=True),
    )
    def test_timesAreInBounds(
        self, attempts: int, arrived: float, age: float, chance: float
    ) -> None:
        """
        The time is later than now, no later than the expiry, and within the
        jitter of the last delay.
        """
        now = arrived + age
        when = nextAttempt(attempts, arrived, now, chance)
        self.assertEqual(when is None, now >= arrived + DEFAULT_EXPIRY)
        if when is not None:
            self.assertTrue(now < when <= arrived + DEFAULT_EXPIRY)
            self.assertLessEqual(when - now, DEFAULT_RETRY[-1] * 1.2 + 1e-3)


class DurationTests(SynchronousTestCase):
    """
    Reading durations.
    """

    def test_units(self) -> None:
        """
        A whole number with a unit, or in seconds.
        """
        cases = {
            "5d": 432000,
            "1m": 60,
            "30s": 30,
            "2h": 7200,
            "90": 90,
            " 1W ": 604800,
        }
        for text, seconds in cases.items():
            self.assertEqual(parseDuration(text), seconds)

    def test_refused(self) -> None:
        """
        Anything else is refused in one sentence that shows it.
        """
        for text in ("", "m", "1.5h", "-1", "1y", "5 d x", "٣", "9" * 500):
            e = self.assertRaises(ConfigurationError, parseDuration, text)
            self.assertIn(repr(text[:40]), str(e))
            self.assertLess(len(str(e)), 200)
        self.assertRaises(ConfigurationError, parseDuration, "366d")
