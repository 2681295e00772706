# -*- test-case-name: relaymail.test.test_faults -*-
"""
Tests that every row of the list of faults is tested.

The rows are numbered: ten promises (P), the faults of delivery (D) and the
attacks (A).  A test for a row carries its number in its name, as in
C{test_D14_mailRefusedBounces}.
"""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

TESTS = Path(__file__).resolve().parent

#: All rows.
ROWS = frozenset(
    [f"P{n}" for n in range(1, 11)]
    + [f"D{n:02}" for n in range(1, 33)]
    + [f"A{n:02}" for n in range(1, 10)]
)

_IDS = re.compile(r"(?<=_)(P(?:10|[1-9])|[DA]\d\d)(?=_|$)")
_SHARED_IDS = re.compile(r"^(?:\| )?(?:\*\*)?(P\d+|[DA]\d\d)\b", re.MULTILINE)


def idsIn(name: str) -> set[str]:
    """
    Give the numbers that a test's name carries.
    """
    return set(_IDS.findall(name)) if name.startswith("test_") else set()


@functools.cache
def testedRows() -> dict[str, list[str]]:
    """
    Give for each row the tests that carry its number.
    """
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for row in idsIn(node.name):
                    found.setdefault(row, []).append(f"{path.stem}.{node.name}")
    return found


class FaultTests(SynchronousTestCase):
    """
    The list of rows and the tests agree.
    """

    def test_everyRowIsTested(self) -> None:
        """
        Each row has a test.
        """
        self.assertEqual(
            sorted(ROWS - set(testedRows())),
            [],
            "no test carries these numbers: write one, named like "
            "test_D14_mailRefusedBounces",
        )

    def test_everyNumberIsARow(self) -> None:
        """
        A test's name carries no number that is not in the list.
        """
        unknown = {r: names for r, names in testedRows().items() if r not in ROWS}
        self.assertEqual(unknown, {})

    def test_sharedListHasTheSameRows(self) -> None:
        """
        Where the list of faults stands beside the checkout, its rows are ours.
        """
        page = TESTS.parents[2] / "shared" / "FAULTS.md"
        if not page.exists():
            raise SkipTest("no ../shared/FAULTS.md beside this checkout")
        self.assertEqual(set(_SHARED_IDS.findall(page.read_text("utf-8"))), ROWS)

    def test_idsIn(self) -> None:
        """
        The numbers are found wherever they stand between underscores.
        """
        self.assertEqual(idsIn("test_D14_D15_refused"), {"D14", "D15"})
        self.assertEqual(idsIn("test_refused_P10"), {"P10"})
        self.assertEqual(idsIn("test_AD14refused"), set())
        self.assertEqual(idsIn("help_D14_refused"), set())
