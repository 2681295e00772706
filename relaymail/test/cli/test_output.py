# -*- test-case-name: relaymail.test.cli.test_output -*-
"""
Tests for L{relaymail.cli.output}.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.cli import output
from relaymail.cli.output import (
    GAP,
    NARROWEST,
    Column,
    Table,
    fitted,
    isColourful,
    show,
    showJSON,
    showPairs,
)
from relaymail.test.cli.commands import HOSTILE

COLUMNS = (Column("N", isNumber=True), Column("WHAT", canShrink=True), Column("STATE"))


class Terminal(io.StringIO):
    """
    A terminal that remembers.
    """

    def isatty(self) -> bool:
        """
        It is one.
        """
        return True


class OutputTests(SynchronousTestCase):
    """
    Tests for what is printed.
    """

    def setUp(self) -> None:
        """
        Begin in a pipe.
        """
        self.out: io.StringIO = io.StringIO()
        self.patch(sys, "stdout", self.out)

    def lookAt(self, **environment: str) -> None:
        """
        Let a person look, at a terminal of some kind.
        """
        self.out = Terminal()
        self.patch(sys, "stdout", self.out)
        usual = {"TERM": "xterm", "COLUMNS": "30", "LINES": "24"}
        self.patch(os, "environ", {**usual, **environment})

    def show(self, *rows: list[object]) -> list[str]:
        """
        Give the lines of a table.
        """
        show(COLUMNS, rows)
        return self.out.getvalue().splitlines()

    def test_aligned(self) -> None:
        """
        Numbers stand at the right, and in a pipe nothing is cut.
        """
        long = "x" * 300
        self.assertEqual(
            self.show([5, long, "held"], [123, "y", "waiting"])[2],
            f"123{GAP}y{' ' * 299}{GAP}waiting",
        )

    def test_fits(self) -> None:
        """
        On a terminal what can be cut is cut.
        """
        self.lookAt(NO_COLOR="1")
        lines = self.show([5, "x" * 300, "held"])
        self.assertEqual([len(line) for line in lines], [30, 29])
        self.assertIn("…", lines[1])

    def test_plain(self) -> None:
        """
        No colours are shown in a pipe, to a simple terminal, or to who wants none.
        """
        self.assertFalse(isColourful())
        for said in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            self.lookAt(**said)
            self.assertFalse(isColourful())
            self.show([1, HOSTILE, "held"])
            self.assertTrue(self.out.getvalue().replace("\n", "").isprintable())

    def test_colours(self) -> None:
        """
        On a terminal there are colours; text from outside has no say in them.
        """
        try:
            import rich
        except ImportError as e:
            raise self.skipTest(str(e)) from e
        self.assertTrue(rich)
        self.lookAt(COLUMNS="90")
        self.show([1, HOSTILE, "held"])
        told = self.out.getvalue()
        self.assertIn("\x1b[", told)
        self.assertIn("[red]", told)
        self.assertNotIn("\x1b[31m<b>", told)

    def test_coloursFit(self) -> None:
        """
        In colours the columns are as wide as without them: what cannot be cut is
        there, and pieces have their titles once.
        """
        try:
            import rich
        except ImportError as e:
            raise self.skipTest(str(e)) from e
        self.assertTrue(rich)
        pieces = ([[12345678, "x" * 300, "held"]], [[2, "y", "held"]])
        told = []
        for more in ({"NO_COLOR": "1"}, {}):
            self.lookAt(**more)
            table = Table(COLUMNS)
            for rows in pieces:
                table.show(rows)
            text = re.sub(r"\x1b\[[0-9;]*m", "", self.out.getvalue())
            told.append([line.split() for line in text.splitlines()])
        self.assertEqual(told[0], told[1])
        self.assertEqual(told[1][1][0], "12345678")

    def test_withoutRich(self) -> None:
        """
        Without the package a terminal has plain text.
        """
        self.patch(output, "_richly", lambda: None)
        self.lookAt()
        self.assertNotIn("\x1b", "".join(self.show([1, "x", "held"])))

    def test_pieces(self) -> None:
        """
        A table in several pieces has its titles once.
        """
        table = Table(COLUMNS)
        table.show([[1, "x", "held"]])
        table.show([[2, "y", "held"]])
        self.assertEqual(self.out.getvalue().count("WHAT"), 1)

    def test_pairs(self) -> None:
        """
        What is known of one thing is a line each; what is empty is not.
        """
        showPairs([("a", 0), ("long name", HOSTILE), ("no", ""), ("none", None)])
        lines = self.out.getvalue().splitlines()
        self.assertEqual(len(lines), 2)
        self.assertEqual(lines[0], "a:         0")

    @settings(deadline=None, max_examples=50)
    @given(st.dictionaries(st.text(max_size=20), st.text(max_size=40)))
    def test_json(self, value: dict[str, Any]) -> None:
        """
        A document can be read again, and a terminal obeys nothing in it.
        """
        self.out.truncate(self.out.seek(0))
        showJSON(value)
        told = self.out.getvalue()
        self.assertEqual(json.loads(told), value)
        self.assertTrue(told.replace("\n", "").isascii())

    @settings(deadline=None, max_examples=50)
    @given(
        st.lists(st.tuples(st.integers(1, 5000), st.booleans()), min_size=1),
        st.integers(10, 300),
    )
    def test_fitted(self, given_: list[tuple[int, bool]], room: int) -> None:
        """
        Columns have room, or nothing more can be cut.
        """
        widths = [width for width, _ in given_]
        columns = [Column("", canShrink=can) for _, can in given_]
        found = fitted(widths, columns, room)
        total = sum(found) + len(GAP) * (len(found) - 1)
        least = all(
            f == w or f <= NARROWEST
            for f, w, c in zip(found, widths, columns, strict=True)
            if c.canShrink
        )
        self.assertTrue(total <= room or least)
        for after, before, column in zip(found, widths, columns, strict=True):
            self.assertLessEqual(after, before)
            self.assertTrue(column.canShrink or after == before)
