# -*- test-case-name: relaymail.test.schedule.test_paces -*-
"""
Tests for L{relaymail.schedule.paces}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.schedule import paces as pacesModule
from relaymail.schedule.backoff import DEFAULT_RETRY, JITTER
from relaymail.schedule.paces import (
    FIRST_PACE,
    HELD,
    LARGEST_PACE,
    LONGEST_SUSPENSION,
    MANY_FAILURES,
    MEMORY,
    PROBE,
    Paces,
    State,
)


class PacesTests(SynchronousTestCase):
    """
    Tests for L{Paces}.
    """

    def setUp(self) -> None:
        self.paces = Paces()

    def failOften(self, times: int = MANY_FAILURES, now: float = 0) -> float | None:
        """
        Let a site fail so often.
        """
        until = None
        for _ in range(times):
            until = self.paces.noteFailure("a", now, "refused", 0.5)
        return until

    def test_restsUntilAllServe(self) -> None:
        """
        What needs several to be served rests until the last of them is to be tried.
        """
        paces = Paces()
        ends = {}
        for place, now in (("a", 0.0), ("b", 30.0)):
            for _ in range(MANY_FAILURES):
                ends[place] = paces.noteFailure(place, now, "refused", 0.5)
        self.assertEqual(paces.restsUntil(("a", "b", "c"), 31), ends["b"])
        self.assertEqual(paces.restsUntil(("a", "c"), 31), ends["a"])
        self.assertIsNone(paces.restsUntil(("c",), 31))
        self.assertIsNone(paces.restsUntil(("a", "b"), 1000))
        self.assertTrue(paces.isSuspended("a", 31) and not paces.isSuspended("c", 31))

    def test_growsByTheRound(self) -> None:
        """
        Each round of deliveries gives one connection, up to the limit.
        """
        self.assertEqual(self.paces.allowed("a"), FIRST_PACE)
        rounds = [5, 6, 7]
        for pace in rounds:
            for _ in range(pace - 1):
                self.paces.noteDelivered("a", 0)
            self.assertEqual(self.paces.allowed("a"), pace)
            self.paces.noteDelivered("a", 0)
        self.assertEqual(self.paces.allowed("a"), 8)
        for _ in range(500):
            self.paces.noteDelivered("a", 0)
        self.assertEqual(self.paces.allowed("a"), LARGEST_PACE)

    def test_limitIsReadWhenAsked(self) -> None:
        """
        The limit may be changed, and is never less than one.
        """
        self.paces.largest = 3
        self.assertEqual(self.paces.allowed("a"), 3)
        self.paces.largest = 0
        self.assertEqual(self.paces.allowed("a"), 1)

    def test_halvesByTrouble(self) -> None:
        """
        Each trouble takes half of the connections away, but the last, and
        suspends nothing.
        """
        seen = []
        for _ in range(2 * MANY_FAILURES):
            self.paces.noteTrouble("a", 0, "450 4.7.1 too much")
            seen.append(self.paces.allowed("a"))
        self.assertEqual(seen[:4], [2, 1, 1, 1])
        self.assertIsNone(self.paces.suspendedUntil("a", 0))

    def test_manyFailuresSuspend(self) -> None:
        """
        What fails often enough in a row is suspended, for as long as the delays
        between attempts say, up to a limit, and is told once.
        """
        self.paces.retry = (60.0, 300.0, 600.0, 1800.0)
        self.assertIsNone(self.failOften(MANY_FAILURES - 1))
        lengths, now = [], 0.0
        for _ in range(8):
            until = self.failOften(1, now)
            assert until is not None
            self.assertIsNone(self.failOften(1, now + 1))
            self.assertEqual(self.paces.suspendedUntil("a", now), until)
            self.assertIsNone(self.paces.suspendedUntil("a", until))
            lengths.append(until - now)
            now = until
        self.assertEqual(lengths[:3], [60, 300, 600])
        self.assertEqual(lengths[3:], [LONGEST_SUSPENSION] * 5)

    def test_chanceSpreadsThem(self) -> None:
        """
        A suspension is a bit longer or shorter by chance.
        """
        untils = []
        for site, chance in (("a", 0.0), ("b", 1.0)):
            for _ in range(MANY_FAILURES):
                until = self.paces.noteFailure(site, 0, "x", chance)
            untils.append(until)
        first = DEFAULT_RETRY[0]
        self.assertEqual(untils, [first * (1 - JITTER), first * (1 + JITTER)])

    def test_moreFailuresAtOnce(self) -> None:
        """
        That many connections fail at one moment is one reason to wait, not
        several.
        """
        self.paces.retry = (60.0, 300.0)
        self.failOften(4 * MANY_FAILURES)
        self.assertEqual(self.paces.suspendedUntil("a", 0), 60)
        self.assertEqual(self.failOften(1, 60), 360)

    def test_longestIsTheLongest(self) -> None:
        """
        Chance does not make a suspension longer than the longest.
        """
        self.paces.retry = (LONGEST_SUSPENSION,)
        for _ in range(MANY_FAILURES):
            until = self.paces.noteFailure("a", 0, "x", 0.999)
        self.assertEqual(until, LONGEST_SUSPENSION)

    def test_oneConnectionWhileItFails(self) -> None:
        """
        However many connections a site had, one that fails has one.
        """
        self.paces.largest = 1000
        for _ in range(20_000):
            self.paces.noteDelivered("a", 0)
        self.assertGreater(self.paces.allowed("a"), 100)
        self.failOften()
        self.assertEqual(self.paces.allowed("a"), 1)

    def test_deliveryAndAnswerEndARow(self) -> None:
        """
        A site that takes a message, or says no to one, serves.
        """
        self.failOften(MANY_FAILURES - 1)
        self.paces.noteDelivered("a", 0)
        self.assertIsNone(self.failOften(MANY_FAILURES - 1))
        self.paces.noteAnswer("a")
        self.assertIsNone(self.failOften(MANY_FAILURES - 1))
        self.assertIsNotNone(self.failOften(1))
        self.assertEqual(self.paces.probe("a"), PROBE)
        self.assertTrue(self.paces.noteAnswer("a"))
        self.assertFalse(self.paces.noteDelivered("a", 0))
        self.assertIsNone(self.paces.probe("a"))
        self.assertIsNone(self.paces.suspendedUntil("a", 0))

    def test_answerOfAStranger(self) -> None:
        """
        That a site serves of which nothing is known is no news.
        """
        self.paces.noteAnswer("a")
        self.assertEqual(list(self.paces), [])

    def test_hold(self) -> None:
        """
        What an operator suspends has no connection until he resumes it, and
        then is new.
        """
        self.failOften()
        self.paces.hold("a", "maintenance")
        standing = self.paces.standing("a", 0)
        self.assertEqual(
            (standing.state, standing.why, standing.until, standing.allowed),
            (State.SUSPENDED, "maintenance", None, 0),
        )
        self.assertEqual(self.paces.suspendedUntil("a", 5), 5 + HELD)
        self.assertTrue(self.paces.isHeld("a"))
        self.assertEqual(list(self.paces), ["a"])
        self.assertTrue(self.paces.resume("a"))
        self.assertFalse(self.paces.resume("a"))
        self.assertEqual(self.paces.standing("a", 0).state, State.READY)
        self.assertEqual(self.paces.allowed("a"), FIRST_PACE)

    def test_oldNewsIsForgotten(self) -> None:
        """
        Failures of long ago are not in a row with those of today.
        """
        self.failOften(MANY_FAILURES - 1)
        self.assertIsNone(self.failOften(1, MEMORY + 1))

    def test_A06_sitesAreBounded(self) -> None:
        """
        A bounded number of sites is remembered, the newest.
        """
        self.patch(pacesModule, "MAX_SITES", 3)
        for site in range(5):
            self.paces.noteTrouble(site, 0, "x")
        self.assertEqual(list(self.paces), [2, 3, 4])

    def test_A06_whatWasSaidIsBounded(self) -> None:
        """
        A long reply is kept in part.
        """
        self.paces.noteTrouble("a", 0, "x" * 10_000)
        self.assertEqual(len(self.paces.standing("a", 0).why), 200)
