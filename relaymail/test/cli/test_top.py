# -*- test-case-name: relaymail.test.cli.test_top -*-
"""
Tests for L{relaymail.cli.top}.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from relaymail.cli import top
from relaymail.cli.reading import reader
from relaymail.inspection import AGE_BOUNDS, AGE_GROUPS
from relaymail.test.cli.commands import HOSTILE, CommandTestCase


def row(name: str, *ages: int, **known: Any) -> dict[str, Any]:
    """
    Make a row as the API gives it.
    """
    all_ = [*ages, *[0] * (AGE_GROUPS - len(ages))]
    return {"name": name, "total": sum(all_), "ages": all_, **known}


def shape(*rows: dict[str, Any], **known: Any) -> dict[str, Any]:
    """
    Make a document as the API gives it.
    """
    return {
        "time": 1_000_000_000.0,
        "bounds": list(AGE_BOUNDS),
        "sampled": False,
        "rows": list(rows),
        "total": row("", 5, 4),
        **known,
    }


BUSY = shape(
    row("example.org", 5, 3, connections=2, state="ready", lastReply="250 ok"),
    row("example.net", 0, 1, connections=0, state="throttled", lastReply="421 no"),
    connections={"in": 3, "out": 2, "max": 100},
    rates={"accepted": 1.25, "delivered": 0.0},
    sampled=True,
)


class TopTests(CommandTestCase):
    """
    Tests for C{relaymail top}.
    """

    def test_once(self) -> None:
        """
        Where there is no terminal, it is shown once.
        """
        self.answers["GET top"] = BUSY
        lines = self.run_("top").stdout.splitlines()
        self.assertIn("9 queued   connections 3 in, 2/100 out", lines[0])
        self.assertIn("1.2 accepted, 0.0 delivered", lines[1])
        titles = lines[3].split()
        self.assertEqual(titles[:4], ["DESTINATION", "TOTAL", "5m", "10m"])
        self.assertEqual(titles[10:13], ["1280m", "more", "CONN"])
        self.assertEqual(lines[4].split()[:4], ["TOTAL", "9", "5", "4"])
        self.assertEqual(lines[5].split()[:5], ["example.org", "8", "5", "3", "."])
        self.assertTrue(lines[6].endswith("421 no"))
        self.assertIn("reckoned", lines[7])
        self.assertEqual(self.client.asked, [("GET top", {"limit": "20"})])

    def test_offline(self) -> None:
        """
        What a spool alone tells is enough.
        """
        self.answers["GET top"] = shape(row("example.org", 9))
        lines = self.run_("top", "--once").stdout.splitlines()
        self.assertEqual(len(lines), 5)
        self.assertTrue(lines[2].endswith("more"))

    def test_json(self) -> None:
        """
        The document is the API's.
        """
        self.answers["GET top"] = BUSY
        self.assertEqual(self.runJSON("top", "--limit", "5"), BUSY)
        self.assertEqual(self.client.asked, [("GET top", {"limit": "5"})])

    def test_hostile(self) -> None:
        """
        What others said is safe to see.
        """
        odd = row(HOSTILE, 1, connections=1, state=HOSTILE, lastReply=HOSTILE)
        self.answers["GET top"] = shape(
            odd, rates={HOSTILE: 1.0}, connections={"in": 0, "out": 0, "max": 1}
        )
        self.assertEqual(len(self.run_("top").stdout.splitlines()), 6)

    def test_live(self) -> None:
        """
        It is shown anew until somebody has seen enough.
        """
        self.answers["GET top"] = shape(row("example.org", 9, lastReply=HOSTILE))
        keys = iter([False, False, True])
        entered: list[str] = []

        @contextmanager
        def screen() -> Iterator[None]:
            entered.append("in")
            yield
            entered.append("out")

        out = io.StringIO()
        self.patch(sys, "stdout", out)
        self.patch(top, "_screen", screen)
        self.patch(top, "_pressed", lambda seconds: next(keys))
        top.watch(reader(), None)
        told = out.getvalue()
        self.assertEqual(told.count("example.org"), 3)
        self.assertEqual(told.count("\x1b"), 2 * 3)
        self.assertEqual(entered, ["in", "out"])

    def test_isLive(self) -> None:
        """
        A pipe and a simple terminal are not written again and again.
        """
        self.patch(sys, "stdout", io.StringIO())
        self.assertFalse(top.isLive())
