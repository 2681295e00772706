# -*- test-case-name: relaymail.test.schedule.test_sites -*-
"""
Tests for L{relaymail.schedule.sites}.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.schedule import sites as sitesModule
from relaymail.schedule.goals import LimitedLane, goalOf
from relaymail.schedule.rates import Limit, Rate, Side
from relaymail.schedule.sites import Known, MXSite, Sites, siteOfHosts

Hosts = list[tuple[str, int | None]]

BIG = MXSite(("mx1.big.example", "mx2.big.example"))
OTHER = MXSite(("mx.other.example",))
LIMITED = LimitedLane("a.example", (Limit(Side.SENDER, "x", Rate(1, 1)),))


class MXSiteTests(SynchronousTestCase):
    """
    Tests for L{MXSite} and L{siteOfHosts}.
    """

    def test_sameHosts(self) -> None:
        """
        Hosts are one site in whatever order and way they are written, and only with
        the same ports.
        """
        same: list[Hosts] = [
            [("mx1.big.example", None), ("mx2.big.example", None)],
            [("MX2.big.example.", None), ("mx1.BIG.example", None)],
            [("mx2.big.example", None), ("mx1.big.example", None)] * 2,
        ]
        others: list[Hosts] = [
            [("mx1.big.example", None)],
            [("mx1.big.example", 26), ("mx2.big.example", None)],
            [("mx1.big.example", None), ("mx3.big.example", None)],
        ]
        for hosts in same:
            self.assertEqual(siteOfHosts(hosts), BIG)
        for hosts in others:
            self.assertNotEqual(siteOfHosts(hosts), BIG)

    def test_noHosts(self) -> None:
        """
        Without hosts there is no site.
        """
        self.assertIsNone(siteOfHosts([]))

    def test_str(self) -> None:
        """
        People are told the first few hosts.
        """
        self.assertEqual(str(BIG), "mx1.big.example, mx2.big.example")
        self.assertEqual(str(MXSite(tuple("abcde"))), "a, b, c and 2 more")
        self.assertEqual(
            str(siteOfHosts([("a.example", 26), ("b.example", None)])),
            "a.example:26, b.example",
        )


class SitesTests(SynchronousTestCase):
    """
    Tests for L{Sites}.
    """

    def setUp(self) -> None:
        self.sites = Sites()

    def test_unknown(self) -> None:
        """
        A goal of which nothing is known is a site by itself, however its lane is
        limited.
        """
        self.assertEqual(self.sites.siteOf("a.example"), "a.example")
        self.assertEqual(self.sites.siteOf(LIMITED), "a.example")
        self.assertFalse(self.sites.isRouteOf("a.example", "route", 0))

    def test_learnt(self) -> None:
        """
        What was learnt is known for all lanes of the goal, and for no other goal.
        """
        moved = self.sites.learn("a.example", Known(BIG, "route", 10))
        self.assertEqual(moved, [("a.example", "a.example")])
        self.assertEqual(self.sites.siteOf("a.example"), BIG)
        self.assertEqual(self.sites.siteOf(LIMITED), BIG)
        self.assertEqual(self.sites.siteOf("b.example"), "b.example")

    def test_learntAgain(self) -> None:
        """
        Only another site is news; no site is one, too.
        """
        for known, moved in (
            (Known(BIG, "route", 10), [("a.example", "a.example")]),
            (Known(BIG, "other", 20), []),
            (Known(OTHER, "other", 20), [("a.example", BIG)]),
            (None, [("a.example", OTHER)]),
            (None, []),
        ):
            self.assertEqual(self.sites.learn("a.example", known), moved)

    def test_route(self) -> None:
        """
        A route is one's own as long as it holds, and no other ever is.
        """
        self.sites.learn("a.example", Known(BIG, "route", 10))
        for lane, route, now, expected in (
            ("a.example", "route", 9.9, True),
            (LIMITED, "route", 9.9, True),
            ("a.example", "route", 10, False),
            ("a.example", "other", 0, False),
            ("b.example", "route", 0, False),
        ):
            self.assertIs(self.sites.isRouteOf(lane, route, now), expected)

    def test_places(self) -> None:
        """
        Mail needs its site to serve, and its goal, which may need more than others.
        """
        self.assertEqual(self.sites.placesOf("a.example"), ("a.example",))
        self.sites.learn("a.example", Known(BIG, "route", 10))
        self.assertEqual(self.sites.placesOf("a.example"), (BIG, "a.example"))
        self.assertEqual(self.sites.placesOf(LIMITED), (BIG, "a.example"))

    def test_outdate(self) -> None:
        """
        What is outdated is no route any more, and the same site.
        """
        self.sites.learn("a.example", Known(BIG, "route", 10))
        self.sites.outdate()
        self.assertFalse(self.sites.isRouteOf("a.example", "route", 0))
        self.assertEqual(self.sites.siteOf("a.example"), BIG)

    def test_connectionsMove(self) -> None:
        """
        Connections that were begun before it was known where to count for the site
        that it turned out to be.
        """
        self.sites.began("a.example")
        self.sites.began(LIMITED)
        self.sites.began("b.example")
        self.sites.learn("b.example", Known(BIG, "route", 10))
        self.assertEqual(self.sites.busy, {"a.example": 2, BIG: 1})
        self.sites.learn("a.example", Known(BIG, "route", 10))
        self.assertEqual(self.sites.busy, {BIG: 3})
        self.sites.ended(LIMITED)
        self.sites.learn("a.example", None)
        self.assertEqual(self.sites.busy, {"a.example": 1, BIG: 1})
        self.sites.ended("a.example")
        self.sites.ended("b.example")
        self.assertEqual(self.sites.busy, {})

    def test_bounded(self) -> None:
        """
        What was looked up the longest ago is forgotten, and moves back.
        """
        self.patch(sitesModule, "MAX_GOALS", 2)
        self.sites.began("a")
        for goal in "abab":
            self.sites.learn(goal, Known(BIG, goal, 10))
        self.assertEqual(self.sites.learn("c", Known(BIG, "c", 10))[0], ("a", BIG))
        self.assertEqual(len(self.sites), 2)
        self.assertEqual(self.sites.busy, {"a": 1})
        self.assertEqual([self.sites.siteOf(goal) for goal in "abc"], ["a", BIG, BIG])

    def test_A05_weight(self) -> None:
        """
        What is much to remember leaves room for less of it; what was found last is
        known all the same.
        """
        self.patch(sitesModule, "MAX_WEIGHT", 10)
        for number in range(20):
            self.sites.began(number)
            known = Known(MXSite((f"{number}",)), (number,), 10, weight=4)
            self.sites.learn(number, known)
            self.assertLessEqual(len(self.sites), 2)
            self.assertLessEqual(len(self.sites._shared), 6)
        self.assertEqual(self.sites.siteOf(0), 0)
        self.assertEqual(sum(self.sites.busy.values()), 20)
        self.sites.learn("x", Known(BIG, "x", 10, weight=11))
        self.assertEqual((self.sites.siteOf("x"), len(self.sites)), (BIG, 1))
        self.sites.learn("x", None)
        for goal in "abcdefghij":
            self.sites.learn(goal, Known(BIG, goal, 10))
        self.assertEqual(len(self.sites), 10)

    def test_keptOnce(self) -> None:
        """
        What many goals have in common is kept once, and not for ever.
        """
        self.patch(sitesModule, "MAX_ROUTES", 4)
        for number in range(20):
            self.sites.learn(number, Known(MXSite((f"{number % 2}",)), (number,), 10))
            self.assertLessEqual(len(self.sites._shared), 4)
        self.sites.learn("x", Known(MXSite(("0",)), tuple("route"), 10))
        self.sites.learn("y", Known(MXSite(("0",)), tuple("route"), 10))
        self.assertIs(self.sites.siteOf("x"), self.sites.siteOf("y"))

    @settings(deadline=None, max_examples=50)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(("begin", "end", "big", "other", "forget")),
                st.sampled_from(("a.example", "b.example", "c.example", LIMITED)),
            ),
            max_size=60,
        )
    )
    def test_countsAreRight(self, steps: list[tuple[str, Hashable]]) -> None:
        """
        Whatever happens in which order, each site has the connections that were
        begun for its goals and have not ended.
        """
        self.patch(sitesModule, "MAX_GOALS", 2)
        sites, begun = Sites(), list[Hashable]()
        places = {"big": BIG, "other": OTHER}
        for step, lane in steps:
            if step == "begin":
                sites.began(lane)
                begun.append(lane)
            elif step == "end":
                if lane in begun:
                    sites.ended(lane)
                    begun.remove(lane)
            elif step == "forget":
                sites.learn(goalOf(lane), None)
            else:
                sites.learn(goalOf(lane), Known(places[step], "route", 1))
            self.assertEqual(sites.busy, Counter(map(sites.siteOf, begun)))
