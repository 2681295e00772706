# -*- test-case-name: relaymail.test.testing.test_clock -*-
"""
Tests for L{relaymail.testing.clock}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.testing import clock
from relaymail.testing.clock import BEGINNING, EventClock
from relaymail.testing.crashes import Crash


class EventClockTests(SynchronousTestCase):
    """
    Tests for L{EventClock}.
    """

    def setUp(self) -> None:
        self.clock = EventClock(0)
        self.seen: list[object] = []

    def test_beginning(self) -> None:
        """
        It begins at a date.
        """
        self.assertEqual(EventClock().seconds(), BEGINNING)

    def test_eachAtItsTime(self) -> None:
        """
        Calls are made in their order, each at its time, within the time given.
        """
        for wait in (3, 1, 5):
            self.clock.callLater(wait, lambda: self.seen.append(self.clock.seconds()))
        self.clock.run(4)
        self.assertEqual((self.seen, self.clock.seconds()), ([1, 3], 4))

    def test_atOneTimeAsAsked(self) -> None:
        """
        What is due at one time happens in the order it was asked for, what is
        asked for meanwhile after it.
        """
        self.clock.callLater(0, self.seen.append, "a")
        self.clock.callLater(0, self.clock.callLater, 0, self.seen.append, "c")
        self.clock.callLater(0, self.seen.append, "b")
        self.clock.run()
        self.assertEqual(self.seen, ["a", "b", "c"])

    def test_cancelled(self) -> None:
        """
        A call that was cancelled is not made, and is not pending.
        """
        self.clock.callLater(1, self.seen.append, "a").cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIsNone(self.clock.nextEvent())
        self.clock.run(2)
        self.assertEqual(self.seen, [])

    def test_putOffAndBroughtForward(self) -> None:
        """
        A call can be moved either way, and is made once.
        """
        late = self.clock.callLater(1, self.seen.append, "late")
        late.delay(4)
        early = self.clock.callLater(9, self.seen.append, "early")
        early.reset(2)
        self.clock.run(4)
        self.assertEqual(self.seen, ["early"])
        self.clock.run(20)
        self.assertEqual(self.seen, ["early", "late"])

    def test_pendingOnce(self) -> None:
        """
        A call that was brought forward is listed once.
        """
        call = self.clock.callLater(9, self.seen.append, 1)
        call.reset(2)
        self.assertEqual(self.clock.getDelayedCalls(), [call])
        self.assertEqual(self.clock.nextEvent(), 2)

    def test_failureIsLogged(self) -> None:
        """
        A call that fails does not keep the next from being made.
        """
        self.clock.callLater(0, lambda: 1 / 0)
        self.clock.callLater(0, self.seen.append, "next")
        self.clock.run()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.seen, ["next"])

    def test_crashIsNot(self) -> None:
        """
        A crash ends the call, and nothing is said.
        """

        def crash() -> None:
            raise Crash("here")

        self.clock.callLater(0, crash)
        self.clock.afterEach = lambda: self.seen.append("after")
        self.clock.run()
        self.assertEqual(self.seen, ["after"])

    def test_bound(self) -> None:
        """
        What never ends is noticed.
        """
        self.patch(clock, "MAX_AT_ONCE", 100)

        def again() -> None:
            self.clock.callLater(0, again)

        again()
        self.assertRaises(AssertionError, self.clock.run)

    def test_noWayBack(self) -> None:
        """
        Nothing can be called in the past.
        """
        self.assertRaises(ValueError, self.clock.callLater, -1, self.seen.append)
