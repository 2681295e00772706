"""
Tests for L{relaymail.queue.spool.leaving}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import QueueError, QueueFull
from relaymail.queue.spool.changes import Change, Departure
from relaymail.queue.spool.leaving import LONGEST, PORTION, SOONEST, Leaving
from relaymail.queue.spool.schema import QueueDamaged
from relaymail.test.queue.contract import NOW


class LeavingTests(SynchronousTestCase):
    """
    Names that go from a database of which all that is known is how it answers.

    @ivar error: What it says; L{None}: it writes.
    @ivar tried: What was to be written, and when.
    """

    def setUp(self) -> None:
        """
        Begin with one that is full.
        """
        self.clock = Clock()
        self.clock.advance(NOW)
        self.error: Exception | None = QueueFull("there is no room")
        self.tried: list[tuple[float, Change]] = []
        self.room = PORTION
        self.leaving = Leaving(self.write, self.clock)

    def tearDown(self) -> None:
        """
        What failed was logged.
        """
        self.flushLoggedErrors(QueueError)

    def write(self, change: Change) -> Deferred[None]:
        """
        Write, or fail to.
        """
        self.tried.append((self.clock.seconds() - NOW, change))
        return succeed(None) if self.error is None else fail(self.error)

    def go(self, number: int) -> None:
        """
        Let a name go.
        """
        change = Departure(number, number, 1, "b.example", "delivered")
        self.leaving.submit(str(number), change).addErrback(lambda _: None)

    def times(self) -> list[float]:
        """
        Give the times at which something was to be written.
        """
        return [when for when, _ in self.tried]

    def pass_(self, seconds: float) -> None:
        """
        Let time pass as it does.
        """
        self.clock.pump([0.25] * int(4 * seconds))

    def test_P6_soonThenSeldom(self) -> None:
        """
        What could not be written is tried again soon, and then ever later, up
        to a minute.
        """
        self.go(1)
        self.pass_(4 * LONGEST)
        self.assertEqual(self.times(), [0, 1, 3, 7, 15, 31, 63, 123, 183])
        self.assertEqual(self.leaving.names, {"1"})
        self.error = None
        self.pass_(LONGEST)
        self.assertEqual(self.leaving.names, set())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_P6_atOnceWhereSomethingWasWritten(self) -> None:
        """
        Another write that succeeded shows that there is room.
        """
        self.go(1)
        self.pass_(100)
        self.error, self.tried = None, []
        self.assertTrue(self.leaving.isStuck)
        self.leaving.wrote()
        self.pass_(0.25)
        self.assertEqual(self.leaving.names, set())
        self.assertFalse(self.leaving.isStuck)

    def test_P6_notForEachWrite(self) -> None:
        """
        Where only that cannot be written, writes that succeed do not have it
        tried each time.
        """
        self.go(1)
        for _ in range(40):
            self.leaving.wrote()
            self.pass_(0.25)
        self.assertLess(len(self.tried), 2 + 10 / SOONEST)
        self.assertGreater(len(self.tried), 8 / SOONEST)

    def test_P8_clockThatIsSetBack(self) -> None:
        """
        A clock that is set back puts nothing off.
        """
        self.go(1)
        self.pass_(100)
        self.error, self.tried = None, []
        self.clock.rightNow -= 10_000
        self.leaving._call.reset(LONGEST)  # type: ignore[union-attr]
        self.leaving.wrote()
        self.pass_(SOONEST)
        self.assertEqual(self.leaving.names, set())

    def test_P6_notAllAtOnce(self) -> None:
        """
        A disk that is nearly full is not asked for all at once; what has been
        written makes room for the next.
        """
        many = 3 * PORTION
        for number in range(many):
            self.go(number)
        self.tried = []
        self.clock.advance(SOONEST)
        self.assertEqual(len(self.tried), PORTION)
        self.error, self.tried = None, []
        self.clock.advance(2 * SOONEST)
        for _ in range(3):
            self.assertLessEqual(len(self.tried), many)
            self.clock.advance(0)
        self.assertEqual(self.leaving.names, set())
        self.assertEqual(len({id(change) for _, change in self.tried}), many)

    def test_P6_nextSoonAgain(self) -> None:
        """
        After all has been written, what fails next is tried again soon.
        """
        self.go(1)
        self.pass_(100)
        self.error = None
        self.pass_(LONGEST)
        self.error, self.tried = QueueFull("again"), []
        start = self.clock.seconds() - NOW
        self.go(2)
        self.pass_(2 * SOONEST)
        self.assertEqual(self.times(), [start, start + SOONEST])

    def test_P7_damaged(self) -> None:
        """
        Nothing is tried again on a database that is damaged; what is gone is
        gone all the same.
        """
        self.error = QueueDamaged("it is broken")
        self.go(1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.leaving.names, {"1"})
        self.leaving.stop()
        self.assertEqual(len(self.tried), 1)

    def test_P10_onceMoreAtTheEnd(self) -> None:
        """
        Before it stops all that is left is tried, once.
        """
        for number in range(2 * PORTION):
            self.go(number)
        self.tried = []
        self.leaving.stop()
        self.assertEqual(len(self.tried), 2 * PORTION)
        self.assertEqual(self.clock.getDelayedCalls(), [])
