"""
Tests for L{relaymail.route.sts.telling}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.protections import TLSResult
from relaymail.route.sts.policy import NOTHING, Found
from relaymail.route.sts.telling import foundOf, timeText
from relaymail.test.route.sts.samples import makeKept


class FoundTests(SynchronousTestCase):
    """
    What is known, in words.
    """

    def test_nothing(self) -> None:
        """
        Where nothing is known nothing is said.
        """
        self.assertEqual(foundOf(None), NOTHING)

    def test_5_enforceAndTesting(self) -> None:
        """
        A policy is given with until when it holds.
        """
        for mode in ("enforce", "testing"):
            kept = makeKept(mode=mode, fetched=1_700_000_000)
            found = foundOf(kept)
            self.assertEqual((found.policy, found.problem), (kept.policy, None))
            self.assertEqual(
                found.why,
                f"the policy of one.example (mode {mode}, id 1) was had on 2023-11-14 "
                "22:13 UTC and holds until 2023-11-21 22:13 UTC",
            )

    def test_5_none(self) -> None:
        """
        One of the mode none is as none (RFC 8461 5), but it is said.
        """
        found = foundOf(makeKept(mode="none"))
        self.assertIsNone(found.policy)
        self.assertIn("mode none", found.why)

    def test_problem(self) -> None:
        """
        What is wrong with a newer one is said beside what is used.
        """
        result = TLSResult.STS_FETCH
        self.assertEqual(
            foundOf(None, result, "HTTP\n404"), Found(None, result, "HTTP 404")
        )
        found = foundOf(makeKept(), result, "HTTP 404")
        self.assertIsNotNone(found.policy)
        self.assertIs(found.problem, result)
        self.assertTrue(found.why.endswith("; HTTP 404"))

    def test_times(self) -> None:
        """
        Any number is a time.
        """
        self.assertEqual(timeText(0), "1970-01-01 00:00 UTC")
        self.assertEqual(timeText(1e30), "a time that no clock shows")
