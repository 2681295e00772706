# -*- test-case-name: relaymail.test.schedule.test_scheduler -*-
"""
Tests for L{relaymail.schedule.scheduler}.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.schedule import scheduler as schedulerModule
from relaymail.schedule.goals import LimitedLane
from relaymail.schedule.paces import (
    FIRST_PACE,
    LARGEST_PACE,
    MANY_FAILURES,
    PROBE,
    State,
)
from relaymail.schedule.rates import Limit, Rate, Side
from relaymail.schedule.scheduler import Scheduler
from relaymail.schedule.sites import Known, MXSite
from relaymail.test.schedule.test_lanes import fill

SITE = MXSite(("mx.big.example",))


class MayStartTests(SynchronousTestCase):
    """
    Who may start.
    """

    def test_oneLaneMayHaveEverything(self) -> None:
        """
        Alone, a lane that delivers comes to hold every connection.
        """
        scheduler = Scheduler(12, 10, 100)
        fill(scheduler.lanes, "a", [1] * 500)
        for _ in range(100):
            scheduler.paces.noteDelivered("a", 0)
        self.assertEqual(len(scheduler.whoMayStart({}, 12, 0)), 12)

    def test_halfWhileAnotherWaits(self) -> None:
        """
        With another lane waiting, a lane holds at most half.
        """
        scheduler = Scheduler(12, 10, 100)
        for lane in ("a", "b"):
            fill(scheduler.lanes, lane, [1] * 500)
            for _ in range(100):
                scheduler.paces.noteDelivered(lane, 0)
        # One of the twelve is kept for lanes that hold none.
        self.assertEqual(
            Counter(lane for lane, _ in scheduler.whoMayStart({"a": 4}, 8, 0)),
            {"a": 2, "b": 5},
        )

    def test_A06_someAreKeptForLanesThatHoldNone(self) -> None:
        """
        Silent lanes with much mail each leave room for one that comes later.
        """
        scheduler = Scheduler(100, 10, 100)
        for number in range(50):
            fill(scheduler.lanes, f"silent{number}", [1] * 500)
        busy = Counter(lane for lane, _ in scheduler.whoMayStart({}, 100, 0))
        self.assertEqual((len(busy), busy.total()), (50, 90))
        fill(scheduler.lanes, "good", [1] * 500)
        self.assertEqual(scheduler.whoMayStart(busy, 10, 0), [("good", 10)])
        self.assertEqual(scheduler.whoMayStart(busy + Counter(good=1), 9, 0), [])

    def test_halfWhileAnotherIsBusy(self) -> None:
        """
        A lane whose last mail is under way counts as one with work.
        """
        scheduler = Scheduler(8, 10, 100)
        fill(scheduler.lanes, "a", [1] * 500)
        self.assertEqual(len(scheduler.whoMayStart({"b": 1}, 7, 0)), 4)
        self.assertEqual(len(scheduler.whoMayStart({"b": 0}, 7, 0)), 5)

    def test_oneConnectionAtLeast(self) -> None:
        """
        Where half or a share would be none, it is one.
        """
        scheduler = Scheduler(1, 10, 100)
        fill(scheduler.lanes, "a", [1])
        fill(scheduler.lanes, "b", [1])
        fill(scheduler.lanes, "c", [1])
        self.assertEqual(scheduler.whoMayStart({}, 1, 0), [("a", 1)])

    def test_nobodyStarves(self) -> None:
        """
        With one free connection at a time, the lanes take turns.
        """
        scheduler = Scheduler(2, 1, 100)
        for lane in "abc":
            fill(scheduler.lanes, lane, [1] * 10)
        turns: list[Hashable] = []
        for _ in range(6):
            ((turn, size),) = scheduler.whoMayStart({}, 1, 0)
            scheduler.lanes.take(turn, size)
            turns.append(turn)
        self.assertEqual(turns, ["a", "b", "c"] * 2)

    def test_urgentFirst(self) -> None:
        """
        With one free connection at a time, lanes with urgent mail have it four times
        of five, though there is always more of that, and the others in turn.
        """
        scheduler = Scheduler(2, 1, 100)
        for lane in "ab":
            fill(scheduler.lanes, lane, [1] * 10)
        turns: list[Hashable] = []
        for number in range(20):
            for lane in "xy":
                name = f"{lane}{number}"
                scheduler.lanes.place(name, lane, name, priority=1)
            ((turn, size),) = scheduler.whoMayStart({}, 1, 0)
            scheduler.lanes.take(turn, size)
            turns.append(turn)
        self.assertEqual("".join(map(str, turns)), "xyxyaxyxybxyxyaxyxyb")

    def test_urgentMailHasNoMoreThanItsShare(self) -> None:
        """
        However urgent its mail is, a site holds no more than its share, and none
        where it may hold none.
        """
        scheduler = Scheduler(12, 10, 100)
        for lane in "ab":
            fill(scheduler.lanes, lane, [1] * 500)
            scheduler.lanes.place(f"{lane}!", lane, "!", priority=9)
            for _ in range(100):
                scheduler.paces.noteDelivered(lane, 0)
        fill(scheduler.lanes, "c", [1])
        starts = Counter(lane for lane, _ in scheduler.whoMayStart({}, 12, 0))
        self.assertEqual(starts, {"a": 4, "b": 4, "c": 1})
        self.assertEqual(scheduler.whoMayStart({"a": 4, "b": 4}, 4, 0), [("c", 1)])

    def test_batchesAreEven(self) -> None:
        """
        What waits is cut into batches of about the same size.
        """
        scheduler = Scheduler(100, 10, 100)
        fill(scheduler.lanes, "a", [1] * 12)
        self.assertEqual(
            [size for _, size in scheduler.whoMayStart({}, 3, 0)],
            [4, 4, 4],
        )
        self.assertEqual(
            [size for _, size in scheduler.whoMayStart({}, 100, 0)],
            [3, 3, 2, 2, 2],
        )

    def test_batchesAreWholeGroups(self) -> None:
        """
        The names of one message start on one connection.
        """
        scheduler = Scheduler(100, 10, 100)
        fill(scheduler.lanes, "a", [4, 1, 1, 9])
        sizes = [size for _, size in scheduler.whoMayStart({}, 100, 0)]
        self.assertEqual(sizes, [4, 1, 1, 9])
        fill(scheduler.lanes, "b", [25])
        self.assertIn(("b", 10), scheduler.whoMayStart({}, 100, 0))

    def test_attributesAreReadWhenAsked(self) -> None:
        """
        An app may change the limits of a running relay.
        """
        scheduler = Scheduler(100, 10, 100)
        fill(scheduler.lanes, "a", [1] * 200)
        scheduler.maxConnections = 3
        scheduler.batch = 7
        self.assertEqual(scheduler.whoMayStart({}, 100, 0), [("a", 7)] * 3)

    def test_A06_silentLanesLeaveRoomForAGoodOne(self) -> None:
        """
        Fifty destinations that hold connections do not keep a new one from
        starting.
        """
        scheduler = Scheduler(100, 10, 100)
        busy: Counter[Hashable] = Counter()
        for n in range(50):
            fill(scheduler.lanes, n, [1] * 100)
        for lane, size in scheduler.whoMayStart(busy, 100, 0):
            busy[lane] += 1
            scheduler.lanes.take(lane, size)
        for n in range(50):
            busy[n] = 1
            scheduler.paces.noteTrouble(n, 0, "x")
        fill(scheduler.lanes, "good", [1])
        started = scheduler.whoMayStart(busy, 100 - busy.total(), 0)
        self.assertEqual(started, [("good", 1)])


class PaceTests(SynchronousTestCase):
    """
    What a site may bear.
    """

    def setUp(self) -> None:
        self.scheduler = Scheduler(100, 10)
        fill(self.scheduler.lanes, "a", [1] * 500)

    def count(self) -> int:
        """
        Tell how many connections may be opened.
        """
        return len(self.scheduler.whoMayStart({}, 100, 0))

    def test_slowStart(self) -> None:
        """
        A new site begins with a few connections, comes to have more by
        delivering, up to a limit, and has half of them after trouble.
        """
        self.assertEqual(self.count(), FIRST_PACE)
        for _ in range(FIRST_PACE):
            self.scheduler.paces.noteDelivered("a", 0)
        self.assertEqual(self.count(), FIRST_PACE + 1)
        for _ in range(1000):
            self.scheduler.paces.noteDelivered("a", 0)
        self.assertEqual(self.count(), LARGEST_PACE)
        self.scheduler.paces.noteTrouble("a", 0, "slower")
        self.assertEqual(self.count(), LARGEST_PACE // 2)

    def test_oneLimitForAllLanesOfASite(self) -> None:
        """
        Lanes that lead to the same hosts share what these bear.
        """
        for name in "xyz":
            lane = LimitedLane("a", (Limit(Side.SENDER, name, Rate(1000, 1)),))
            fill(self.scheduler.lanes, lane, [1] * 500)
        self.assertEqual(self.count(), FIRST_PACE)
        self.assertEqual(self.scheduler.whoMayStart({"a": FIRST_PACE}, 95, 0), [])

    def test_probe(self) -> None:
        """
        Where it is not known whether a site serves, little is tried.
        """
        scheduler = Scheduler(10, 100)
        fill(scheduler.lanes, "a", [1] * 500)
        for _ in range(MANY_FAILURES):
            scheduler.paces.noteFailure("a", 0, "refused", 0.5)
        self.assertEqual(scheduler.whoMayStart({}, 10, 100), [("a", PROBE)])

    def test_held(self) -> None:
        """
        What an operator suspended gets nothing.
        """
        self.scheduler.paces.hold("a", "he said so")
        self.assertEqual(self.count(), 0)


class RateTests(SynchronousTestCase):
    """
    What a rate allows.
    """

    def setUp(self) -> None:
        self.scheduler = Scheduler(100, 10)
        self.limit = Limit(Side.DESTINATION, "a", Rate(4, 60))
        self.lane = LimitedLane("a", (self.limit,))
        fill(self.scheduler.lanes, self.lane, [1] * 50)

    def start(self, now: float) -> int:
        """
        Start what may be started, and tell how much that was.
        """
        count = 0
        for lane, size in self.scheduler.whoMayStart({}, 100, now):
            count += len(self.scheduler.take(lane, size, now))
        return count

    def test_asMuchAsItLeaves(self) -> None:
        """
        A lane starts what its rate allows, and then pauses until it allows
        more.
        """
        self.assertEqual(self.start(0), 4)
        self.assertEqual(self.start(0), 0)
        nextTime = self.scheduler.nextTime()
        assert nextTime is not None
        self.assertAlmostEqual(nextTime, 15, 3)
        self.assertEqual(self.start(14.9), 0)
        self.assertEqual(self.start(nextTime), 1)
        self.assertEqual(self.start(300), 4)

    def test_othersGoOn(self) -> None:
        """
        A lane that pauses is in nobody's way, and does not count as one that
        waits.
        """
        self.start(0)
        self.start(0)
        fill(self.scheduler.lanes, "b", [1] * 50)
        self.assertEqual(len(self.scheduler.whoMayStart({}, 100, 0)), FIRST_PACE)

    def test_twoLanesOneSender(self) -> None:
        """
        What is from one sender is limited wherever it goes.
        """
        sender = Limit(Side.SENDER, "a@example.com", Rate(6, 60))
        scheduler = Scheduler(100, 10)
        for site in "xy":
            fill(scheduler.lanes, LimitedLane(site, (sender,)), [1] * 50)
        taken = [
            len(scheduler.take(lane, size, 0))
            for lane, size in scheduler.whoMayStart({}, 100, 0)
        ]
        self.assertEqual(sum(taken), 6)

    def test_moreForAConnection(self) -> None:
        """
        A connection that asks for more gets what the rate leaves.
        """
        self.assertEqual(len(self.scheduler.take(self.lane, 3, 0)), 3)
        self.assertEqual(len(self.scheduler.take(self.lane, 3, 0)), 1)
        self.assertEqual(self.scheduler.take(self.lane, 3, 0), [])


class SharedSiteTests(SynchronousTestCase):
    """
    Many lanes that lead to one site.
    """

    def test_manySendersOneSite(self) -> None:
        """
        Lanes of several senders to the same hosts share these with nobody but
        themselves.
        """
        scheduler = Scheduler(100, 10, 50)
        for _ in range(2000):
            scheduler.paces.noteDelivered("host", 0)
        for number in range(100):
            limit = Limit(Side.SENDER, f"s{number}", Rate(1000, 1))
            fill(scheduler.lanes, LimitedLane("host", (limit,)), [1])
        self.assertEqual(len(scheduler.whoMayStart({}, 100, 0)), 50)
        self.assertEqual(len(scheduler.whoMayStart({"host": 30}, 70, 0)), 20)

    def test_generousRate(self) -> None:
        """
        A lane with a rate that leaves much starts as many connections as one
        without.
        """
        scheduler = Scheduler(100, 10, 20)
        for _ in range(2000):
            scheduler.paces.noteDelivered("a", 0)
        lane = LimitedLane("a", (Limit(Side.DESTINATION, "a", Rate(10_000, 60)),))
        fill(scheduler.lanes, lane, [1] * 400)
        starts = scheduler.whoMayStart({}, 100, 0)
        self.assertEqual(len(starts), 20)
        taken = [len(scheduler.take(lane, size, 0)) for lane, size in starts]
        self.assertEqual(sum(taken), 200)


class SharedHostsTests(SynchronousTestCase):
    """
    Domains that share their hosts.
    """

    def setUp(self) -> None:
        self.scheduler = Scheduler(100, 10)

    def learn(self, goal: str, site: Hashable = SITE, route: str = "route") -> None:
        """
        Find out of which site a domain is.
        """
        self.scheduler.learn(goal, Known(site, route, 10))

    def test_oneSite(self) -> None:
        """
        Together they may have what a site may have, and it goes round.
        """
        goals = [f"d{number}" for number in range(30)]
        for goal in goals:
            self.learn(goal)
            fill(self.scheduler.lanes, goal, [1])
        started = [lane for lane, _ in self.scheduler.whoMayStart({}, 100, 0)]
        self.assertEqual(started, goals[:FIRST_PACE])
        started = [lane for lane, _ in self.scheduler.whoMayStart({SITE: 3}, 100, 0)]
        self.assertEqual(started, goals[FIRST_PACE : FIRST_PACE + 2])

    def test_theyHideNobody(self) -> None:
        """
        However many of them cannot start, others are looked at.
        """
        self.patch(schedulerModule, "MAX_LOOK", 10)
        for number in range(500):
            self.learn(f"d{number}")
            fill(self.scheduler.lanes, f"d{number}", [1])
        fill(self.scheduler.lanes, "good", [1])
        busy: dict[Hashable, int] = {SITE: FIRST_PACE}
        self.assertEqual(self.scheduler.whoMayStart(busy, 95, 0), [("good", 1)])

    def test_crowded(self) -> None:
        """
        A site is crowded when more connections than it may have turn out to lead to
        it: those it may bear, or its share.
        """
        for number in range(FIRST_PACE):
            self.scheduler.sites.began(f"d{number}")
            self.learn(f"d{number}")
        self.assertFalse(self.scheduler.isCrowded(SITE))
        self.scheduler.sites.began("more")
        self.assertFalse(self.scheduler.isCrowded(SITE))
        self.learn("more")
        self.assertTrue(self.scheduler.isCrowded(SITE))
        self.scheduler.sites.ended("d0")
        self.assertFalse(self.scheduler.isCrowded(SITE))
        for number in range(50):
            fill(self.scheduler.lanes, f"other{number}", [1])
        self.assertTrue(self.scheduler.isCrowded(SITE))

    def test_mates(self) -> None:
        """
        The mail of others goes over a connection only where it is known to go by the
        same route, by turn.
        """
        for goal in "abcde":
            fill(self.scheduler.lanes, goal, [1])
        self.learn("a")
        for goal in "bcd":
            self.learn(goal, route="route" if goal != "c" else "other")
        self.learn("e", MXSite(("mx.other.example",)))
        self.assertEqual(self.scheduler.mates("a", "route", 9, 0), ["b", "d"])
        self.assertEqual(self.scheduler.mates("a", "route", 1, 0), ["b"])
        self.scheduler.lanes.standBehind(["b"])
        self.assertEqual(self.scheduler.mates("a", "route", 9, 0), ["d", "b"])
        self.assertEqual(self.scheduler.mates("a", "route", 9, 10), [])
        self.assertEqual(self.scheduler.mates("unknown", "route", 9, 0), [])

    def test_standing(self) -> None:
        """
        Why it waits says that the hosts have the connections.
        """
        self.learn("a")
        standing = self.scheduler.standing("a", {SITE: FIRST_PACE}, 90, 0)
        self.assertEqual(
            (standing.state, standing.why),
            (
                State.BUSY,
                "its hosts (mx.big.example) have the 5 connections that they may have",
            ),
        )


class LookTests(SynchronousTestCase):
    """
    How much is looked at.
    """

    def test_laneBehindManyThatCannotStart(self) -> None:
        """
        Lanes that cannot start do not hide one that can, however many there
        are.
        """
        self.patch(schedulerModule, "MAX_LOOK", 10)
        self.patch(schedulerModule, "MAX_IDLE", 3)
        scheduler = Scheduler(100, 10)
        busy: dict[Hashable, int] = dict.fromkeys(range(30), FIRST_PACE)
        for number in range(30):
            fill(scheduler.lanes, number, [1, 1])
        fill(scheduler.lanes, "good", [1])
        turns = [scheduler.whoMayStart(busy, 5, 0) for _ in range(4)]
        self.assertIn([("good", 1)], turns)


class StandingTests(SynchronousTestCase):
    """
    Why a lane does not start.
    """

    def setUp(self) -> None:
        self.scheduler = Scheduler(20, 10)

    def standing(
        self, lane: Hashable = "a", busy: int = 0, free: int = 20, now: float = 0
    ) -> tuple[State, str]:
        """
        Give a standing and its reason.
        """
        found = self.scheduler.standing(lane, {"a": busy}, free, now)
        return found.state, found.why

    def test_ready(self) -> None:
        """
        What is not known of may start.
        """
        self.assertEqual(self.standing(), (State.READY, ""))

    def test_busy(self) -> None:
        """
        A site has its connections, its share, or nothing is free.
        """
        self.assertEqual(
            self.standing(busy=5),
            (State.BUSY, "it has the 5 connections that it may have"),
        )
        self.assertEqual(
            self.standing(free=0),
            (State.BUSY, "the 20 connections are in use, or reserved"),
        )
        for lane in "abcdefgh":
            fill(self.scheduler.lanes, lane, [1])
        self.assertEqual(
            self.standing(busy=2),
            (State.BUSY, "it has 2 connections, its share of 20"),
        )

    def test_throttled(self) -> None:
        """
        A site that wants less is told with what it said.
        """
        self.scheduler.paces.noteTrouble("a", 0, "421 too many")
        self.assertEqual(self.standing(busy=2), (State.THROTTLED, "421 too many"))

    def test_rate(self) -> None:
        """
        A rate that is used up is named.
        """
        limit = Limit(Side.DESTINATION, "example.org", Rate(1, 60.0))
        lane = LimitedLane("a", (limit,))
        self.scheduler.rates.take([limit], 1, 0)
        self.assertEqual(
            self.standing(lane),
            (
                State.THROTTLED,
                "the rate of 1/m for the destination example.org is used up",
            ),
        )

    def test_suspended(self) -> None:
        """
        A site that failed too often is told with how often, and the last
        failure.
        """
        for _ in range(MANY_FAILURES):
            self.scheduler.paces.noteFailure("a", 0, "connection refused", 0.5)
        self.assertEqual(
            self.standing(),
            (State.SUSPENDED, "failed 5 times in a row, last: connection refused"),
        )
        self.assertEqual(self.scheduler.standing("a", {}, 20, 0).until, 60)

    def test_asItIsAnswered(self) -> None:
        """
        A lane that is said to be ready may start, and one that is not may
        not.
        """
        for busy in range(7):
            for free in (0, 1, 3):
                scheduler = Scheduler(20, 10)
                fill(scheduler.lanes, "a", [1] * 100)
                fill(scheduler.lanes, "b", [1])
                scheduler.lanes.take("b", 1)
                held: dict[Hashable, int] = {"a": busy, "b": 1}
                isReady = scheduler.standing("a", held, free, 0).state is State.READY
                starts = scheduler.whoMayStart(held, free, 0)
                self.assertEqual(isReady, bool(starts), (busy, free))


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
        scheduler = Scheduler(maxConnections, batch, 100)
        lanes, paces = scheduler.lanes, scheduler.paces
        placed = {lane: fill(lanes, lane, groups) for lane, groups in enumerate(sizes)}
        given_: dict[Hashable, list[str]] = {lane: [] for lane in placed}
        busy: Counter[Hashable] = Counter()
        for _ in range(sum(map(sum, sizes)) * 2 + 2):
            waiting = [lane for lane in placed if scheduler.lanes.waiting(lane)]
            free = maxConnections - busy.total()
            started = scheduler.whoMayStart(busy, free, 0)
            self.assertLessEqual(len(started), free)
            self.assertTrue(started or not waiting or busy.total())
            for lane, size in started:
                taken = scheduler.lanes.take(lane, size)
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
                notes: list[Callable[[Hashable], object]] = [
                    lambda site: paces.noteDelivered(site, 0),
                    lambda site: paces.noteTrouble(site, 0, "slowly"),
                    lambda site: paces.noteFailure(site, 0, "refused", 0.5),
                    id,
                ]
                choose(notes)(ended)
        self.assertEqual(given_, placed)
        self.assertEqual(len(scheduler.lanes), 0)
