"""
Tests for L{relaymail.deliver.turns}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaymail.deliver.turns import Call


class CallTests(SynchronousTestCase):
    """
    A call that is asked for often and made once.
    """

    def setUp(self) -> None:
        """
        Count the calls.
        """
        self.clock = Clock()
        self.made: list[float] = []
        self.call = Call(lambda: self.clock, self.make)

    def make(self) -> None:
        """
        Note that the call was made.
        """
        self.made.append(self.clock.seconds())

    def test_soonIsOncePerTurn(self) -> None:
        """
        However often it is asked for in one turn, it is made once, and not in
        that turn.
        """
        self.call.soon()
        self.call.soon()
        self.assertEqual(self.made, [])
        self.clock.advance(0)
        self.assertEqual(self.made, [0.0])
        self.call.soon()
        self.clock.advance(0)
        self.assertEqual(self.made, [0.0, 0.0])

    def test_askingFromWithin(self) -> None:
        """
        The function may ask for the next call.
        """
        turns = iter([True, False])

        def askOnce() -> None:
            if next(turns):
                again.soon()

        again = Call(lambda: self.clock, askOnce)
        again.soon()
        self.clock.advance(0)
        self.assertEqual(list(turns), [])

    def test_afterTakesTheLastTime(self) -> None:
        """
        A time replaces the one before; one that has passed is now, and
        L{None} is never.
        """
        self.call.after(5)
        self.call.after(2)
        self.clock.advance(10)
        self.assertEqual(self.made, [10.0])
        self.call.after(-3)
        self.clock.advance(0)
        self.assertEqual(self.made, [10.0, 10.0])
        self.call.after(1)
        self.call.after(None)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nowIsInsteadOfSoon(self) -> None:
        """
        Made at once, it is not made once more.
        """
        self.call.soon()
        self.call.now()
        self.clock.advance(1)
        self.assertEqual(self.made, [0.0])
