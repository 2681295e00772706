# -*- test-case-name: relaymail.test.admin.test_views -*-
"""
Tests for L{relaymail.admin.views}: what is known, as documents.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.admin.views import (
    MAX_HEADER_LINE,
    MAX_HEADER_LINES,
    ageView,
    destinationView,
    entryView,
    headerView,
    standingView,
)
from relaymail.envelopes import Origin
from relaymail.inspection import AgeRow, DestinationCount, Listed, NameState
from relaymail.schedule.paces import Standing, State

#: What somebody sends who wants to be seen.
EVIL = (
    "\x1b[31mred\x1b[0m\r\nX-Injected: yes\n<script>alert(1)</script>"
    "\x07\x00\u2028\u202egnp.exe\x9b31m\ud800"
)


def texts(document: Any) -> Iterator[str]:
    """
    Give all text in a document.
    """
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        for each in document.values():
            yield from texts(each)
    elif isinstance(document, list):
        for each in document:
            yield from texts(each)


class ViewTests(SynchronousTestCase):
    """
    The documents.
    """

    def assertPrintable(self, document: Any) -> None:
        """
        Assert that a document can be shown anywhere.
        """
        for text in texts(document):
            self.assertTrue(text.isprintable(), repr(text))
        json.dumps(document).encode("ascii")

    def test_A03_everyText(self) -> None:
        """
        Text from outside is one printable line, wherever it stands.
        """
        texts_ = EVIL, EVIL, EVIL, EVIL
        entry = Listed(
            EVIL, *texts_, 1, 0.0, 0, 0.0, NameState.HELD, *texts_, Origin(EVIL, EVIL)
        )
        standing = Standing(State.SUSPENDED, EVIL)
        for document in (
            entryView(entry),
            standingView(standing),
            destinationView(DestinationCount(EVIL, 1, 0), standing, 0),
            ageView(AgeRow(EVIL, 1, (1,))),
        ):
            self.assertPrintable(document)
            self.assertIn("red", " ".join(texts(document)))

    @given(st.binary(max_size=300))
    @settings(deadline=None, max_examples=50)
    def test_A03_header(self, start: bytes) -> None:
        """
        The lines of a header are printable, whatever they are.
        """
        shown = headerView(start)
        self.assertPrintable(shown.split("\n"))

    def test_header(self) -> None:
        """
        A header ends where the body begins, and lines that go on are seen to.
        """
        for end in (b"\r\n", b"\n"):
            start = end.join((b"Subject: a", b"\t b\x1b[2J", b"To: c", b"", b"Body: d"))
            self.assertEqual(headerView(start), "Subject: a\n b [2J\nTo: c")
        self.assertEqual(headerView(b""), "")
        self.assertEqual(headerView(b"\r\nBody"), "")

    def test_A05_longHeader(self) -> None:
        """
        A header is shown up to a bound.
        """
        self.assertEqual(len(headerView(b"x" * 100_000)), MAX_HEADER_LINE)
        many = headerView(b"a: b\r\n" * 10_000)
        self.assertEqual(len(many.split("\n")), MAX_HEADER_LINES)
