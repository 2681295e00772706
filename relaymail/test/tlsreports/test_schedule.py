"""
Tests for L{relaymail.tlsreports.schedule}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.tlsreports.schedule import AGAIN, GIVE_UP, SPREAD, firstTime, nextTime


class ScheduleTests(SynchronousTestCase):
    """
    When reports go.
    """

    def test_spread(self) -> None:
        """
        They go after the day, each at a time of its own (RFC 8460 4.1).
        """
        self.assertEqual(firstTime(1000, 0), 1000)
        self.assertEqual(firstTime(1000, 0.5), 1000 + SPREAD / 2)

    def test_again(self) -> None:
        """
        What failed is tried again, less and less often, until a day is over.
        """
        self.assertEqual(nextTime(1000, 1, 2000), 2000 + AGAIN[0])
        self.assertEqual(nextTime(1000, 2, 3000), 3000 + AGAIN[1])
        self.assertEqual(nextTime(1000, 99, 3000), 3000 + AGAIN[-1])
        self.assertIsNone(nextTime(1000, 3, 1000 + GIVE_UP))
