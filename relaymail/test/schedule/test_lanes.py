# -*- test-case-name: relaymail.test.schedule.test_lanes -*-
"""
Tests for L{relaymail.schedule.lanes}.
"""

from __future__ import annotations

from collections.abc import Hashable

from twisted.trial.unittest import SynchronousTestCase

from relaymail.schedule.lanes import Lanes, LimitedLane, limitsOf, siteOf
from relaymail.schedule.rates import Limit, Rate, Side


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

    def test_siteAndLimits(self) -> None:
        """
        A lane leads to a site; one that is limited says so.
        """
        limit = Limit(Side.SENDER, "a@example.com", Rate(100, 60.0))
        lane = LimitedLane("example.org", (limit,))
        self.assertEqual((siteOf(lane), limitsOf(lane)), ("example.org", (limit,)))
        self.assertEqual(str(lane), "example.org (100/m for the sender a@example.com)")
        self.assertEqual((siteOf("example.org"), limitsOf("a")), ("example.org", ()))
