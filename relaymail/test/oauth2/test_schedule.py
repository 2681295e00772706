"""
Tests for L{relaymail.oauth2.schedule}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.oauth2.schedule import (
    LASTING_WAIT,
    LONGEST_WAIT,
    goodFor,
    refreshAfter,
    waitAfter,
    waitAfterRefused,
)


class ScheduleTests(SynchronousTestCase):
    """
    When a token server is asked.
    """

    def test_refresh(self) -> None:
        """
        Early enough to try again, but not all the time.
        """
        for lifetime, after in (
            (3600.0, 2880.0),
            (86400.0, 69120.0),
            (1000.0, 700.0),
            (600.0, 300.0),
            (60.0, 30.0),
        ):
            self.assertEqual(refreshAfter(lifetime), after)

    @given(st.floats(0.001, 86400))
    def test_order(self, lifetime: float) -> None:
        """
        The next is asked for before the last is given to nobody any more, which is
        before its end.
        """
        self.assertTrue(0 < refreshAfter(lifetime) <= goodFor(lifetime) < lifetime)

    def test_backOff(self) -> None:
        """
        Each wait is twice the one before, up to a bound, and varies by chance.
        """
        waits = [waitAfter(n, False, 0.0, 0.5) for n in range(1, 12)]
        self.assertEqual(waits[:4], [5.0, 10.0, 20.0, 40.0])
        self.assertEqual(waits[-1], LONGEST_WAIT)
        self.assertEqual(waitAfter(10**9, False, 0.0, 0.5), LONGEST_WAIT)
        self.assertEqual(waitAfter(1, False, 0.0, 0.0), 3.75)
        self.assertLess(waitAfter(1, False, 0.0, 0.999), 6.25)

    def test_lasting(self) -> None:
        """
        What lasts is asked again rarely.
        """
        self.assertEqual(waitAfter(1, True, 0.0, 0.5), LASTING_WAIT)

    def test_asked(self) -> None:
        """
        What the server wants is obeyed.
        """
        self.assertEqual(waitAfter(1, False, 100.0, 0.5), 100.0)
        self.assertEqual(waitAfter(9, False, 100.0, 0.5), LONGEST_WAIT)

    def test_refused(self) -> None:
        """
        A host that refuses everything does not make the token server be asked
        without end.
        """
        waits = [waitAfterRefused(n) for n in range(1, 8)]
        self.assertEqual(waits[:4], [60.0, 120.0, 240.0, 480.0])
        self.assertEqual(waits[-1], 900.0)
