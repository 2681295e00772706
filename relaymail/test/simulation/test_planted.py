# -*- test-case-name: relaymail.test.simulation.test_planted -*-
"""
Each bug that is planted is found, by the test that C{docs/proof.rst} names.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from unittest import TestResult

from twisted.python.reflect import namedAny

import relaymail
from relaymail.test.simulation import planted
from relaymail.testing.cases import WorldTestCase

_CRASHES = "relaymail.test.simulation.test_crashes.CrashTests"
_DIRECTORY = "relaymail.test.simulation.test_crashes.DirectoryCrashTests"
_TOLD = "relaymail.test.simulation.test_crashes.DirectoryToldTests"
_WORLDS = "relaymail.test.simulation.test_worlds.WorldTests"

#: The test that finds each bug.
FOUND_BY: dict[Callable[[planted.Patch], None], str] = {
    planted.yesBeforeTheDisk: f"{_DIRECTORY}.test_P1_powerCut",
    planted.yesBeforeTheCommit: f"{_CRASHES}.test_P3_killed",
    planted.removedBeforeTheReply: f"{_WORLDS}.test_worlds_090",
    planted.noClaim: f"{_CRASHES}.test_P3_killed",
    planted.stuffingPerChunk: f"{_CRASHES}.test_P3_killed",
    planted.noticeToNobody: f"{_WORLDS}.test_worlds_090",
    planted.laterIsNever: f"{_CRASHES}.test_P3_killed",
    planted.lostWakeUp: f"{_WORLDS}.test_worlds_080",
    planted.retriesInMemory: f"{_WORLDS}.test_worlds_080",
    planted.oneVerdict: f"{_CRASHES}.test_P3_killed",
    planted.anyReplyWillDo: f"{_CRASHES}.test_P3_killed",
    planted.neverGoodAgain: f"{_WORLDS}.test_worlds_090",
    planted.sharedConnection: f"{_WORLDS}.test_worlds_090",
    planted.nobodyIsTold: f"{_WORLDS}.test_worlds_080",
    planted.toldBehindTheNotice: f"{_TOLD}.test_P3_killed",
}

#: The page that says so.
PROOF = Path(relaymail.__file__).parents[1] / "docs" / "proof.rst"


class PlantedTests(WorldTestCase):
    """
    A bug is planted, and found.
    """

    def find(self, plant: Callable[[planted.Patch], None]) -> None:
        """
        Plant a bug, and run the test that is to find it.
        """
        plant(self.patch)
        case, _, method = FOUND_BY[plant].rpartition(".")
        result = TestResult()
        namedAny(case)(method).run(result)
        self.assertEqual(result.testsRun, 1)
        self.assertFalse(result.wasSuccessful(), "it was not found")
        told = "".join(text for _, text in result.errors + result.failures)
        self.assertIn("the same seed gives the same again", told)

    def test_eachIsThere(self) -> None:
        """
        Every bug that is written down is planted.
        """
        bugs = {
            function
            for _, function in inspect.getmembers(planted, inspect.isfunction)
            if function.__module__ == planted.__name__
        }
        self.assertEqual(bugs, set(FOUND_BY))

    def test_page(self) -> None:
        """
        The page on proof names each bug, and the test that finds it.
        """
        page = " ".join(PROOF.read_text("utf-8").split())
        for plant, test in FOUND_BY.items():
            bug = " ".join((plant.__doc__ or "").split())
            self.assertIn(bug.replace("C{", "``").replace("}", "``").rstrip("."), page)
            self.assertIn(test.removeprefix("relaymail.test."), page)


def _finding(plant: Callable[[planted.Patch], None]) -> Callable[[PlantedTests], None]:
    def test(self: PlantedTests) -> None:
        self.find(plant)

    test.__doc__ = plant.__doc__
    return test


for _plant in FOUND_BY:
    setattr(PlantedTests, f"test_{_plant.__name__}", _finding(_plant))
