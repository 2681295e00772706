# -*- test-case-name: relaymail.test.schedule.test_lanes -*-
"""
Tests for L{relaymail.schedule.lanes}.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.schedule import lanes as lanesModule
from relaymail.schedule.lanes import FIRST_PACE, Lanes


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
        self.lanes = Lanes(100, 10)

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


class MayStartTests(SynchronousTestCase):
    """
    Who may start.
    """

    def test_oneLaneMayHaveEverything(self) -> None:
        """
        Alone, a lane that delivers comes to hold every connection.
        """
        lanes = Lanes(12, 10)
        fill(lanes, "a", [1] * 500)
        for _ in range(50):
            lanes.noteDelivered("a")
        self.assertEqual(len(lanes.whoMayStart({}, 12)), 12)

    def test_halfWhileAnotherWaits(self) -> None:
        """
        With another lane waiting, a lane holds at most half.
        """
        lanes = Lanes(12, 10)
        for lane in ("a", "b"):
            fill(lanes, lane, [1] * 500)
            for _ in range(50):
                lanes.noteDelivered(lane)
        # One of the twelve is kept for lanes that hold none.
        self.assertEqual(
            Counter(lane for lane, _ in lanes.whoMayStart({"a": 4}, 8)),
            {"a": 2, "b": 5},
        )

    def test_A06_someAreKeptForLanesThatHoldNone(self) -> None:
        """
        Silent lanes with much mail each leave room for one that comes later.
        """
        lanes = Lanes(100, 10)
        for number in range(50):
            fill(lanes, f"silent{number}", [1] * 500)
        busy = Counter(lane for lane, _ in lanes.whoMayStart({}, 100))
        self.assertEqual((len(busy), busy.total()), (50, 90))
        fill(lanes, "good", [1] * 500)
        self.assertEqual(lanes.whoMayStart(busy, 10), [("good", 10)])
        self.assertEqual(lanes.whoMayStart(busy + Counter(good=1), 9), [])

    def test_halfWhileAnotherIsBusy(self) -> None:
        """
        A lane whose last mail is under way counts as one with work.
        """
        lanes = Lanes(8, 10)
        fill(lanes, "a", [1] * 500)
        self.assertEqual(len(lanes.whoMayStart({"b": 1}, 7)), 4)
        self.assertEqual(len(lanes.whoMayStart({"b": 0}, 7)), 5)

    def test_oneConnectionAtLeast(self) -> None:
        """
        Where half or a share would be none, it is one.
        """
        lanes = Lanes(1, 10)
        fill(lanes, "a", [1])
        fill(lanes, "b", [1])
        fill(lanes, "c", [1])
        self.assertEqual(lanes.whoMayStart({}, 1), [("a", 1)])

    def test_nobodyStarves(self) -> None:
        """
        With one free connection at a time, the lanes take turns.
        """
        lanes = Lanes(2, 1)
        for lane in "abc":
            fill(lanes, lane, [1] * 10)
        turns: list[Hashable] = []
        for _ in range(6):
            ((turn, size),) = lanes.whoMayStart({}, 1)
            lanes.take(turn, size)
            turns.append(turn)
        self.assertEqual(turns, ["a", "b", "c"] * 2)

    def test_slowStart(self) -> None:
        """
        A new lane begins with a few connections, gains one for each
        delivery, and falls to one by trouble.
        """
        lanes = Lanes(100, 1)
        fill(lanes, "a", [1] * 500)
        self.assertEqual(len(lanes.whoMayStart({}, 100)), FIRST_PACE)
        lanes.noteDelivered("a")
        self.assertEqual(len(lanes.whoMayStart({}, 100)), FIRST_PACE + 1)
        lanes.noteTrouble("a")
        self.assertEqual(len(lanes.whoMayStart({}, 100)), 1)
        self.assertEqual(lanes.whoMayStart({"a": 1}, 100), [])
        lanes.noteDelivered("a")
        self.assertEqual(len(lanes.whoMayStart({}, 100)), 2)

    def test_paceIsForgottenWithoutWork(self) -> None:
        """
        A lane that neither waits nor is busy begins anew; a busy one does
        not.
        """
        lanes = Lanes(100, 1)
        lanes.noteTrouble("a")
        lanes.noteTrouble("b")
        lanes.whoMayStart({"b": 1}, 0)
        fill(lanes, "a", [1] * 20)
        fill(lanes, "b", [1] * 20)
        counts = Counter(lane for lane, _ in lanes.whoMayStart({}, 100))
        self.assertEqual(counts, {"a": FIRST_PACE, "b": 1})

    def test_A06_pacesAreBounded(self) -> None:
        """
        The pace of a bounded number of lanes is remembered, the newest.
        """
        self.patch(lanesModule, "MAX_PACES", 3)
        lanes = Lanes(100, 1)
        for lane in range(5):
            lanes.noteTrouble(lane)
        for lane in range(5):
            fill(lanes, lane, [1] * 10)
        counts = Counter(lane for lane, _ in lanes.whoMayStart({}, 100))
        self.assertEqual(counts, {0: 5, 1: 5, 2: 1, 3: 1, 4: 1})

    def test_batchesAreEven(self) -> None:
        """
        What waits is cut into batches of about the same size.
        """
        lanes = Lanes(100, 10)
        fill(lanes, "a", [1] * 12)
        self.assertEqual(
            [size for _, size in lanes.whoMayStart({}, 3)],
            [4, 4, 4],
        )
        self.assertEqual(
            [size for _, size in lanes.whoMayStart({}, 100)],
            [3, 3, 2, 2, 2],
        )

    def test_batchesAreWholeGroups(self) -> None:
        """
        The names of one message start on one connection.
        """
        lanes = Lanes(100, 10)
        fill(lanes, "a", [4, 1, 1, 9])
        sizes = [size for _, size in lanes.whoMayStart({}, 100)]
        self.assertEqual(sizes, [4, 1, 1, 9])
        fill(lanes, "b", [25])
        self.assertIn(("b", 10), lanes.whoMayStart({}, 100))

    def test_attributesAreReadWhenAsked(self) -> None:
        """
        An app may change the limits of a running relay.
        """
        lanes = Lanes(100, 10)
        fill(lanes, "a", [1] * 200)
        lanes.maxConnections = 3
        lanes.batch = 7
        self.assertEqual(lanes.whoMayStart({}, 100), [("a", 7)] * 3)

    def test_A06_silentLanesLeaveRoomForAGoodOne(self) -> None:
        """
        Fifty destinations that hold connections do not keep a new one from
        starting.
        """
        lanes = Lanes(100, 10)
        busy: Counter[Hashable] = Counter()
        for n in range(50):
            fill(lanes, n, [1] * 100)
        for lane, size in lanes.whoMayStart(busy, 100):
            busy[lane] += 1
            lanes.take(lane, size)
        for n in range(50):
            busy[n] = 1
            lanes.noteTrouble(n)
        fill(lanes, "good", [1])
        started = lanes.whoMayStart(busy, 100 - busy.total())
        self.assertEqual(started, [("good", 1)])


class InvariantTests(SynchronousTestCase):
    """
    What holds whatever happens.
    """

    @settings(deadline=None, max_examples=50)
    @given(
        st.integers(min_value=1, max_value=12),
        st.integers(min_value=1, max_value=6),
        st.lists(
            st.lists(st.integers(min_value=1, max_value=9), min_size=1, max_size=8),
            min_size=1,
            max_size=5,
        ),
        st.randoms(use_true_random=False),
    )
    def test_everyNameOnceInOrderWithinBounds(
        self,
        maxConnections: int,
        batch: int,
        sizes: list[list[int]],
        random: Random,
    ) -> None:
        """
        However connections end and fare: no more than what is free starts, no
        lane holds more than half while another waits, a batch is taken as it
        was promised, and every name is given once, in its lane's order.
        """
        choose = random.choice
        lanes = Lanes(maxConnections, batch)
        placed = {lane: fill(lanes, lane, groups) for lane, groups in enumerate(sizes)}
        given_: dict[Hashable, list[str]] = {lane: [] for lane in placed}
        busy: Counter[Hashable] = Counter()
        for _ in range(sum(map(sum, sizes)) * 2 + 2):
            waiting = [lane for lane in placed if lanes.waiting(lane)]
            free = maxConnections - busy.total()
            started = lanes.whoMayStart(busy, free)
            self.assertLessEqual(len(started), free)
            self.assertTrue(started or not waiting or busy.total())
            for lane, size in started:
                taken = lanes.take(lane, size)
                self.assertEqual(len(taken), size)
                self.assertTrue(0 < size <= batch)
                given_[lane] += taken
                busy[lane] += 1
            if len(waiting) > 1:
                for lane, _ in started:
                    self.assertLessEqual(busy[lane], max(1, maxConnections // 2))
            if busy.total():
                ended = choose(sorted(busy.elements(), key=str))
                busy[ended] -= 1
                notes: list[Callable[[Hashable], object]]
                notes = [lanes.noteDelivered, lanes.noteTrouble, id]
                choose(notes)(ended)
        self.assertEqual(given_, placed)
        self.assertEqual(len(lanes), 0)
