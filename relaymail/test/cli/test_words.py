# -*- test-case-name: relaymail.test.cli.test_words -*-
"""
Tests for L{relaymail.cli.words}.
"""

from __future__ import annotations

from datetime import datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.cli.words import age, clean, count, cut, moment, pad, size, width
from relaymail.test.cli.commands import HOSTILE


class WordsTests(SynchronousTestCase):
    """
    Tests for how things are written.
    """

    def test_age(self) -> None:
        """
        One unit is enough.
        """
        told = [age(s) for s in (-5, 0, 59.9, 60, 3599, 3600, 172799, 172800, 9e6)]
        self.assertEqual(
            told, ["0s", "0s", "59s", "1m", "59m", "1h", "47h", "2d", "104d"]
        )

    def test_size(self) -> None:
        """
        Small ones are exact, larger ones have two digits or more.
        """
        told = [size(n) for n in (0, 1023, 1024, 10240, 5 << 20, 3 << 30)]
        self.assertEqual(told, ["0", "1023", "1.0K", "10K", "5.0M", "3.0G"])

    def test_moment(self) -> None:
        """
        A time is ISO 8601 with its zone; what is none is told so.
        """
        told = moment(1_000_000_000.5)
        self.assertEqual(datetime.fromisoformat(told).timestamp(), 1_000_000_000)
        for odd in (1e300, float("nan"), float("inf")):
            self.assertEqual(moment(odd), "at no time")

    def test_count(self) -> None:
        """
        One is one.
        """
        self.assertEqual(count(1, "recipient"), "1 recipient")
        self.assertEqual(count(12345, "recipient"), "12,345 recipients")

    def test_clean(self) -> None:
        """
        What a terminal obeys is gone.
        """
        self.assertTrue(clean(HOSTILE).isprintable())

    def test_wide(self) -> None:
        """
        Wide characters take two columns, those above others none.
        """
        self.assertEqual([width(text) for text in ("ab", "日本", "e\u0301")], [2, 4, 1])
        self.assertEqual(cut("日本語", 4), "日…")
        self.assertEqual(pad("日", 4), "日  ")
        self.assertEqual(pad("7", 3, right=True), "  7")

    @settings(deadline=None, max_examples=50)
    @given(st.text(max_size=30), st.integers(1, 20))
    def test_fits(self, text: str, columns: int) -> None:
        """
        What was cut fits.
        """
        self.assertLessEqual(width(cut(text, columns)), columns)
