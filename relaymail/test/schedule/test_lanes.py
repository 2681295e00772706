# -*- test-case-name: relaymail.test.schedule.test_lanes -*-
"""
Tests for L{relaymail.schedule.lanes}.
"""

from __future__ import annotations

from collections.abc import Hashable

from twisted.trial.unittest import SynchronousTestCase

from relaymail.schedule.goals import LimitedLane, goalOf, limitsOf
from relaymail.schedule.lanes import Lanes
from relaymail.schedule.rates import Limit, Rate, Side
from relaymail.schedule.waiting import HEAD_START


def fill(lanes: Lanes, lane: Hashable, groups: list[int]) -> list[str]:
    """
    Place groups of the given sizes in a lane, and give their names.
    """
    names: list[str] = []
    for number, size in enumerate(groups):
        for k in range(size):
            name = f"{lane}.{number}.{k}"
            lanes.place(name, lane, (lane, number))
            names.append(name)
    return names


class WaitingTests(SynchronousTestCase):
    """
    What waits.
    """

    def setUp(self) -> None:
        self.lanes = Lanes()

    def test_placeIsIdempotent(self) -> None:
        """
        A name that waits stays where it is.
        """
        self.lanes.place("1", "a", 1)
        self.lanes.place("2", "a", 2)
        self.lanes.place("1", "b", 3)
        self.assertEqual(len(self.lanes), 2)
        self.assertEqual(self.lanes.waiting("b"), 0)
        self.assertEqual(self.lanes.take("a", 9), ["1", "2"])

    def test_forget(self) -> None:
        """
        A forgotten name is not given; forgetting twice is no error.
        """
        fill(self.lanes, "a", [2, 1])
        self.assertTrue(self.lanes.has("a.0.0"))
        self.lanes.forget("a.0.0")
        self.lanes.forget("a.0.0")
        self.assertFalse(self.lanes.has("a.0.0"))
        self.assertEqual(self.lanes.waiting("a"), 2)
        self.assertEqual(self.lanes.take("a", 9), ["a.0.1", "a.1.0"])
        self.assertEqual((len(self.lanes), self.lanes.waiting("a")), (0, 0))

    def test_takeKeepsGroupsTogether(self) -> None:
        """
        A group that does not fit any more waits for the next batch.
        """
        names = fill(self.lanes, "a", [2, 3, 1])
        self.assertEqual(self.lanes.take("a", 4), names[:2])
        self.assertEqual(self.lanes.take("a", 4), names[2:])

    def test_takeSplitsOnlyWhatNeverFits(self) -> None:
        """
        A group that alone is more than the limit is taken in pieces.
        """
        names = fill(self.lanes, "a", [1, 5, 1])
        self.assertEqual(self.lanes.take("a", 3), names[:1])
        self.assertEqual(self.lanes.take("a", 3), names[1:4])
        self.assertEqual(self.lanes.take("a", 3), names[4:])

    def test_takeNothing(self) -> None:
        """
        An unknown lane and a limit of 0 give nothing.
        """
        fill(self.lanes, "a", [1])
        self.assertEqual(self.lanes.take("b", 5), [])
        self.assertEqual(self.lanes.take("a", 0), [])

    def test_newAndOldInTurn(self) -> None:
        """
        A batch has new mail and what was tried before in turn; what there is
        alone is not held up.
        """
        for number in range(6):
            self.lanes.place(f"old{number}", "a", number, isAgain=True)
        for number in range(2):
            self.lanes.place(f"new{number}", "a", -number, isAgain=False)
        self.assertEqual(
            self.lanes.take("a", 3) + self.lanes.take("a", 3),
            ["new0", "old0", "new1", "old1", "old2", "old3"],
        )
        self.assertEqual(self.lanes.names("a"), ["old4", "old5"])

    def test_turnPassesOnOnlyWithTheWholeGroup(self) -> None:
        """
        The rest of a message that was cut goes before the other side's next.
        """
        for number in range(4):
            self.lanes.place(f"new{number}", "a", "one", isAgain=False)
        self.lanes.place("old", "a", "two", isAgain=True)
        self.assertEqual(self.lanes.take("a", 3), ["new0", "new1", "new2"])
        self.assertEqual(self.lanes.take("a", 3), ["new3", "old"])


class UrgentTests(SynchronousTestCase):
    """
    Mail that is more or less urgent (RFC 6710).
    """

    def setUp(self) -> None:
        self.lanes = Lanes()

    def place(
        self, lane: str, priority: int, count: int, isAgain: bool = False
    ) -> None:
        """
        Place messages of one recipient, named by their priority and number.
        """
        for number in range(count):
            name = f"{lane}{priority:+}.{number}"
            self.lanes.place(name, lane, name, isAgain, priority)

    def takeAll(self, lane: str, size: int) -> list[str]:
        """
        Take all of a lane, batch after batch; each time what is said to be the order
        is the order.
        """
        taken: list[str] = []
        while self.lanes.waiting(lane):
            expected = self.lanes.names(lane)
            groups = self.lanes.groups(lane)
            batch = self.lanes.take(lane, size)
            self.assertEqual(batch, expected[: len(batch)])
            self.assertEqual(self.lanes.groups(lane), groups - len(batch))
            taken += batch
        return taken

    def test_moreUrgentFirst(self) -> None:
        """
        What is more urgent goes first, whenever it came.
        """
        for priority in (0, -4, 9, 3):
            self.place("a", priority, 1)
        self.assertEqual(self.takeAll("a", 2), ["a+9.0", "a+3.0", "a+0.0", "a-4.0"])

    def test_nobodyStarves(self) -> None:
        """
        After each few of the most urgent goes the one of the others that has waited
        longest, though more urgent ones come all the time.
        """
        self.place("a", -1, 1)
        self.place("a", 0, 2)
        taken: list[str] = []
        for number in range(12):
            self.lanes.place(f"new{number}", "a", number, False, 5)
            self.lanes.place(f"more{number}", "a", -number - 1, False, 5)
            taken += self.lanes.take("a", 1)
        others = [n for n, name in enumerate(taken) if name.startswith("a")]
        self.assertEqual(others, [4, 9])
        self.assertEqual([taken[n] for n in others], ["a-1.0", "a+0.0"])

    def test_orderInAnySize(self) -> None:
        """
        However it is cut, all of it goes, in one order.
        """
        orders = set()
        for size in (1, 3, 7, 100):
            self.setUp()
            for priority in (0, 2, -3, 9):
                self.place("a", priority, 7)
                self.place("a", priority, 5, isAgain=True)
            for number in range(7, 12):
                self.lanes.place(f"again{number}", "a", number, True, number % 3)
            order = self.takeAll("a", size)
            self.assertEqual(len(set(order)), len(order))
            orders.add(tuple(order))
        self.assertEqual(len(orders), 1)

    def test_batches(self) -> None:
        """
        Batches are cut from what is in its order.
        """
        self.lanes.place("plain", "a", 1)
        for name in "xyz":
            self.lanes.place(name, "a", 2, priority=1)
        self.assertEqual(self.lanes.batches("a", 2, 3), [3, 1])
        self.assertEqual(self.lanes.take("a", 3), ["x", "y", "z"])
        self.assertEqual(self.lanes.take("a", 1), ["plain"])

    def test_forget(self) -> None:
        """
        What is forgotten leaves nothing.
        """
        self.place("a", 3, 2)
        self.place("a", 0, 1)
        for name in ("a+3.0", "a+3.1"):
            self.lanes.forget(name)
        self.assertEqual(self.lanes.names("a"), ["a+0.0"])
        self.lanes.forget("a+0.0")
        self.assertEqual((len(self.lanes), list(self.lanes.turns())), (0, []))

    def test_lanesWithUrgentMailFirst(self) -> None:
        """
        A lane with urgent mail has its turn before others, as long as it has some.
        """
        for lane in "abc":
            self.place(lane, 0, 1)
        self.place("b", 1, 1)
        self.assertEqual(list(self.lanes.turns()), ["b", "a", "c"])
        self.lanes.take("b", 1)
        self.assertEqual(list(self.lanes.turns()), ["a", "b", "c"])

    def test_lanesDoNotStarve(self) -> None:
        """
        After a few turns of such lanes the others come first, until one of them
        had a turn.
        """
        for lane in "abcd":
            self.place(lane, 0, 1)
        self.place("a", 1, 1)
        self.place("b", 1, 1)
        firsts = []
        for _ in range(2 * HEAD_START + 2):
            first = next(iter(self.lanes.turns()))
            firsts.append(first)
            self.lanes.hadTurns([first])
        self.assertEqual("".join(map(str, firsts)), "ababcababd")

    def test_urgentLanesPause(self) -> None:
        """
        A lane that is paused has no turn, however urgent its mail is, and is
        first when it has one again.
        """
        self.place("a", 0, 1)
        self.place("b", 2, 1)
        self.lanes.pause("b", 10)
        self.place("b", 3, 1)
        self.assertEqual(list(self.lanes.turns()), ["a"])
        self.lanes.resumeDue(10)
        self.assertEqual(list(self.lanes.turns()), ["b", "a"])


class PauseTests(SynchronousTestCase):
    """
    Lanes that are passed over.
    """

    def setUp(self) -> None:
        self.lanes = Lanes()
        for lane in "abc":
            fill(self.lanes, lane, [1])

    def test_untilItsTime(self) -> None:
        """
        A lane that pauses has no turn until its time has come, and then is the
        last.
        """
        self.lanes.pause("a", 10)
        self.assertEqual(
            (list(self.lanes.turns()), self.lanes.count()), (["b", "c"], 2)
        )
        self.lanes.resumeDue(9.9)
        self.assertEqual(self.lanes.nextEnd(), 10)
        self.lanes.resumeDue(10)
        self.assertEqual(list(self.lanes.turns()), ["b", "c", "a"])
        self.assertEqual(self.lanes.nextEnd(), None)

    def test_lastPauseCounts(self) -> None:
        """
        A lane that pauses again does so until the later time.
        """
        self.lanes.pause("a", 10)
        self.lanes.pause("a", 20)
        self.lanes.resumeDue(10)
        self.assertEqual((self.lanes.count(), self.lanes.nextEnd()), (2, 20))

    def test_pausedAgainAndAgain(self) -> None:
        """
        A lane that pauses until the same time costs nothing more.
        """
        for _ in range(100):
            self.lanes.pause("a", 10)
        self.assertEqual(len(self.lanes._ends), 1)

    def test_sites(self) -> None:
        """
        The sites of lanes with a turn are counted, each once.
        """
        limit = Limit(Side.SENDER, "x", Rate(1, 1))
        fill(self.lanes, LimitedLane("a", (limit,)), [1])
        self.assertEqual(self.lanes.countSites(), 3)
        self.lanes.take("a", 1)
        self.assertTrue(self.lanes.hasSite("a"))
        self.lanes.pause(LimitedLane("a", (limit,)), 10)
        self.assertEqual((self.lanes.hasSite("a"), self.lanes.countSites()), (False, 2))
        self.lanes.resumeDue(10)
        self.assertEqual((self.lanes.hasSite("a"), self.lanes.countSites()), (True, 3))

    def test_pauseOutlivesWhatWaited(self) -> None:
        """
        What comes into a lane that pauses waits too.
        """
        self.lanes.pause("a", 10)
        self.lanes.take("a", 10)
        fill(self.lanes, "a", [2])
        self.assertEqual(list(self.lanes.turns()), ["b", "c"])
        self.lanes.resumeDue(10)
        self.assertEqual(list(self.lanes.turns()), ["b", "c", "a"])

    def test_nothingLeft(self) -> None:
        """
        A lane of which nothing waits any more has no turn after its pause.
        """
        self.lanes.pause("a", 10)
        self.lanes.take("a", 10)
        self.lanes.resumeDue(10)
        self.assertEqual(list(self.lanes.turns()), ["b", "c"])


class LimitedLaneTests(SynchronousTestCase):
    """
    Tests for L{LimitedLane}.
    """

    def test_goalAndLimits(self) -> None:
        """
        A lane leads to a goal; one that is limited says so.
        """
        limit = Limit(Side.SENDER, "a@example.com", Rate(100, 60.0))
        lane = LimitedLane("example.org", (limit,))
        self.assertEqual((goalOf(lane), limitsOf(lane)), ("example.org", (limit,)))
        self.assertEqual(str(lane), "example.org (100/m for the sender a@example.com)")
        self.assertEqual((goalOf("example.org"), limitsOf("a")), ("example.org", ()))
