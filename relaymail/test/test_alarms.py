"""
Tests for L{relaymail.alarms}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.alarms import MAX_ALARMS, Alarm, Alarms


class AlarmsTests(SynchronousTestCase):
    """
    What sounds.
    """

    def test_sound(self) -> None:
        """
        What is new, or another trouble than before, is told; since when stays.
        """
        alarms = Alarms()
        self.assertTrue(alarms.sound("a", "one", 1.0))
        self.assertFalse(alarms.sound("a", "one", 2.0))
        self.assertTrue(alarms.sound("a", "two", 3.0))
        self.assertEqual(list(alarms), [Alarm("a", "two", 1.0)])

    def test_sign(self) -> None:
        """
        What has a number of its own each time is not new each time.
        """
        alarms = Alarms()
        self.assertTrue(alarms.sound("a", "535 no (1)", 1.0, "535"))
        self.assertFalse(alarms.sound("a", "535 no (2)", 2.0, "535"))
        self.assertEqual(next(iter(alarms)).text, "535 no (2)")
        self.assertTrue(alarms.sound("a", "454 no (3)", 2.0, "454"))

    def test_calm(self) -> None:
        """
        What is over can sound again.
        """
        alarms = Alarms()
        self.assertFalse(alarms.calm("a"))
        alarms.sound("a", "one", 1.0)
        self.assertTrue(alarms.calm("a"))
        self.assertFalse(alarms.calm("a"))
        self.assertEqual(len(alarms), 0)
        self.assertTrue(alarms.sound("a", "one", 5.0))

    def test_order(self) -> None:
        """
        They are given in the order in which they began, and may be calmed meanwhile.
        """
        alarms = Alarms()
        for key in "cab":
            alarms.sound(key, "x", 1.0)
        alarms.sound("c", "y", 2.0)
        found = []
        for alarm in alarms:
            found.append(alarm.key)
            alarms.calm(alarm.key)
        self.assertEqual(found, ["c", "a", "b"])

    def test_bounded(self) -> None:
        """
        There are not more than people read.
        """
        alarms = Alarms()
        told = [alarms.sound(str(n), "x", 1.0) for n in range(MAX_ALARMS + 5)]
        self.assertEqual(len(alarms), MAX_ALARMS)
        self.assertEqual(told.count(True), MAX_ALARMS)
        self.assertTrue(alarms.sound("0", "y", 1.0))
