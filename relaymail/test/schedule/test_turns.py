# -*- test-case-name: relaymail.test.schedule.test_turns -*-
"""
Tests for L{relaymail.schedule.turns}; those of lanes that are sites by themselves are
in L{relaymail.test.schedule.test_lanes}.
"""

from __future__ import annotations

from collections.abc import Hashable

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.schedule.goals import LimitedLane
from relaymail.schedule.lanes import Lanes
from relaymail.schedule.rates import Limit, Rate, Side
from relaymail.schedule.sites import Known, MXSite, Sites
from relaymail.schedule.turns import Turns

BIG, OTHER = MXSite(("big",)), MXSite(("other",))


def limited(goal: str, sender: str) -> LimitedLane:
    """
    Give a lane of the mail of one sender.
    """
    return LimitedLane(goal, (Limit(Side.SENDER, sender, Rate(1, 1)),))


class SharedTests(SynchronousTestCase):
    """
    Lanes of several goals that lead to one site.
    """

    def setUp(self) -> None:
        self.sites = Sites()
        self.turns = Turns(self.sites.siteOf)

    def learn(self, goal: str, site: Hashable) -> None:
        """
        Find out of which site a goal is.
        """
        for each, _ in self.sites.learn(goal, Known(site, "route", 1)):
            self.turns.moved(each)

    def test_onePlace(self) -> None:
        """
        Of the lanes of a site one is given in their place, as long as no more are
        wanted.
        """
        for lane in "abc":
            self.learn(lane, BIG)
        for lane in "xabyc":
            self.turns.give(lane, False)
        asked: list[Hashable] = []

        def wants(site: Hashable) -> bool:
            asked.append(site)
            return len(asked) < 2

        self.assertEqual(list(self.turns.inOrder(lambda site: False)), list("xay"))
        self.assertEqual(list(self.turns.inOrder()), list("xabcy"))
        self.assertEqual(list(self.turns.inOrder(wants)), list("xaby"))
        self.assertEqual(asked, [BIG, BIG])
        self.assertEqual((len(self.turns), self.turns.countSites()), (5, 3))

    def test_byTurn(self) -> None:
        """
        A lane that had its turn stands behind the others of its site, and the site
        behind other sites.
        """
        for lane in "abx":
            self.turns.give(lane, False)
        for lane in "ab":
            self.learn(lane, BIG)
        firsts = []
        for _ in range(5):
            first = next(iter(self.turns.inOrder()))
            firsts.append(first)
            self.turns.had([first])
        self.assertEqual("".join(map(str, firsts)), "xaxbx")

    def test_moved(self) -> None:
        """
        All lanes of a goal move with it, urgent ones too, and none of another goal.
        """
        lanes = ["a", limited("a", "1"), limited("a", "2"), limited("b", "1")]
        for lane in lanes:
            self.turns.give(lane, lane == limited("a", "2"))
        self.learn("a", BIG)
        self.assertEqual(list(self.turns.lanesOf(BIG)), lanes[:3])
        self.assertEqual(next(iter(self.turns.inOrder())), limited("a", "2"))
        self.assertTrue(self.turns.hasSite("b") and not self.turns.hasSite("a"))
        self.learn("a", OTHER)
        self.assertFalse(self.turns.hasSite(BIG))
        self.assertEqual(set(self.turns.lanesOf(OTHER)), set(lanes[:3]))
        for each, _ in self.sites.learn("a", None):
            self.turns.moved(each)
        self.assertEqual(list(self.turns.lanesOf(OTHER)), [])
        self.assertEqual(self.turns.countSites(), 2)

    def test_urgentOnlyOnce(self) -> None:
        """
        An urgent lane of a site is not given again in the place of the site.
        """
        for lane in "ab":
            self.learn(lane, BIG)
            self.turns.give(lane, lane == "b")
        self.assertEqual(list(self.turns.inOrder()), ["b", "a"])

    def test_nothingLeft(self) -> None:
        """
        With the last of its lanes a site is gone.
        """
        self.learn("a", BIG)
        self.turns.give("a", True)
        self.turns.take("a")
        self.turns.take("a")
        self.assertEqual((list(self.turns.inOrder()), len(self.turns)), ([], 0))
        self.assertFalse(self.turns.hasSite(BIG))


ALL_LANES = ("a", "b", "c", limited("a", "1"), limited("a", "2"), limited("b", "1"))
WAITS = ("place", "urgent", "take", "pause", "resume", "behind")
STEPS = st.lists(
    st.tuples(
        st.sampled_from((*WAITS, "big", "other", "unknown")),
        st.sampled_from(ALL_LANES),
    ),
    max_size=60,
)


class RecountTests(SynchronousTestCase):
    """
    What is counted on the way is what a count at the end gives.
    """

    @settings(deadline=None, max_examples=100)
    @given(STEPS)
    def test_recount(self, steps: list[tuple[str, Hashable]]) -> None:
        """
        However lanes come and go, and goals move: each lane that waits and is not
        paused has its turn once, and each site of one is counted.
        """
        sites = Sites()
        lanes = Lanes(sites.siteOf)
        paused: set[Hashable] = set()
        for number, (step, lane) in enumerate(steps):
            goal = lane.goal if isinstance(lane, LimitedLane) else lane
            if step in ("place", "urgent"):
                lanes.place(str(number), lane, number, priority=int(step == "urgent"))
            elif step == "take":
                lanes.take(lane, 1)
            elif step == "pause":
                lanes.pause(lane, 10)
                paused.add(lane)
            elif step == "resume":
                lanes.resume(lane)
                paused.discard(lane)
            elif step == "behind":
                lanes.hadTurns([lane] if lanes.hasTurn(lane) else [])
            else:
                places = {"big": BIG, "other": OTHER}
                known = Known(places[step], "r", 1) if step in places else None
                for each, _ in sites.learn(goal, known):
                    lanes.moved(each)
            self.check(sites, lanes, paused)

    def check(self, sites: Sites, lanes: Lanes, paused: set[Hashable]) -> None:
        """
        Count again.
        """
        expected = {x for x in ALL_LANES if lanes.waiting(x)} - paused
        turns = list(lanes.turns())
        self.assertEqual((len(turns), set(turns)), (len(expected), expected))
        self.assertEqual(lanes.count(), len(expected))
        atSites = {sites.siteOf(lane) for lane in expected}
        self.assertEqual(lanes.countSites(), len(atSites))
        for site in (BIG, OTHER):
            there = {lane for lane in expected if sites.siteOf(lane) == site}
            self.assertEqual(set(lanes.lanesOf(site)), there)
            self.assertEqual(lanes.hasSite(site), bool(there))
