# -*- test-case-name: relaymail.test.test_headers -*-
"""
Tests for L{relaymail.headers}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.headers import (
    MAX_HEADER,
    MAX_TLS_REQUIRED,
    dateText,
    fieldNames,
    headerOf,
    isTLSOptional,
    messageId,
    splitHeader,
)


class HeaderTests(SynchronousTestCase):
    """
    A header is found, and what is in it.
    """

    def test_split(self) -> None:
        """
        The header has the line end of its last field, the rest the empty line.
        """
        self.assertEqual(splitHeader(b"A: b\r\n\r\nx"), (b"A: b\r\n", b"\r\nx"))
        self.assertEqual(splitHeader(b"A: b\r\n"), (b"A: b\r\n", b""))
        self.assertEqual(splitHeader(b"\r\nx"), (b"", b"\r\nx"))
        self.assertEqual(splitHeader(b"Hi there\r\n"), (b"", b"Hi there\r\n"))

    @given(st.binary(max_size=60), st.sampled_from([b"", b"A: b\r\n"]))
    @settings(deadline=None, max_examples=50)
    def test_nothingIsLost(self, content: bytes, top: bytes) -> None:
        """
        Both parts are the whole.
        """
        self.assertEqual(b"".join(splitHeader(top + content)), top + content)

    def test_names(self) -> None:
        """
        Fields are found in any case, with space before the colon; what is
        folded is none.
        """
        header = b"DATE: x\r\nTo : a\r\n Cc: b\r\nX-y:\r\n"
        self.assertEqual(fieldNames(header), frozenset({b"date", b"to", b"x-y"}))

    def test_texts(self) -> None:
        """
        Dates and names of messages are as RFC 5322 says.
        """
        self.assertEqual(dateText(1_000_000_000), "Sun, 09 Sep 2001 01:46:40 +0000")
        self.assertEqual(messageId(12.7, "ab1", "h.example"), "<12.ab1@h.example>")

    def test_headerOf(self) -> None:
        """
        It is what is before the empty line, where there are fields, and not too much.
        """
        self.assertEqual(headerOf(b"A: b\r\nC: d\r\n\r\nE: f"), b"A: b\r\nC: d")
        self.assertEqual(headerOf(b"A: b\r\n"), b"A: b\r\n")
        for content in (
            b"\r\nA: b",
            b"Hi there\r\nA: b",
            b"",
            b"A: " + b"x" * MAX_HEADER,
        ):
            self.assertEqual(headerOf(content), b"")


class TLSRequiredTests(SynchronousTestCase):
    """
    The field TLS-Required (RFC 8689 3).
    """

    def test_no(self) -> None:
        """
        No in any case, folded, with comments, wherever it stands.
        """
        for field in (
            b"TLS-Required: No",
            b"tls-REQUIRED:nO",
            b"TLS-Required :  NO  ",
            b"TLS-Required:\r\n\tNo\r\n ",
            b"TLS-Required: (why (it (is)) broken) No (really)",
            b"TLS-Required: No (a \\) in\r\n a comment \\( )",
        ):
            for before, behind in ((b"", b""), (b"A: b\r\n", b"\r\nC: d\r\n")):
                self.assertTrue(isTLSOptional(before + field + behind), field)

    def test_nothing(self) -> None:
        """
        What says something else, twice, or what is no such field says nothing.
        """
        for header in (
            b"A: b",
            b"TLS-Required: Yes",
            b"TLS-Required:",
            b"TLS-Required: No No",
            b"TLS-Required: No; maybe",
            b"TLS-Required: (No)",
            b"TLS-Required: N(o)o",
            b"TLS-Required: (No",
            b"TLS-Required: No)",
            b"TLS-Required: No\rthing",
            b"TLS-Required: No\nthing: x",
            b"TLS-Required: No\r\nTLS-Required: No",
            b"TLS-Required: No\r\nA: b\r\ntls-required : Yes",
            b"TLS-Required: No\r\nTLS-Required: No\rthing",
            b"A: b\nTLS-Required: No",
            b"A: b\r\n TLS-Required: No",
            b"X-TLS-Required: No",
            b"TLS-Required-By: No",
            b"Subject: TLS-Required: No",
        ):
            self.assertFalse(isTLSOptional(header), header)

    def test_A01_deepComments(self) -> None:
        """
        How deep its comments go has a bound.
        """
        deep = (MAX_TLS_REQUIRED - 4) // 2
        for depth, isNo in ((deep, True), (deep + 2, False), (100_000, False)):
            value = b"(" * depth + b")" * depth + b" No"
            self.assertIs(isTLSOptional(b"TLS-Required:" + value), isNo)

    @given(st.text("nNoO()\\ \t\r\nx:", max_size=30))
    @settings(deadline=None, max_examples=100)
    def test_anything(self, value: str) -> None:
        """
        Whatever follows, it says what it says with another field before it, too.
        """
        header = b"TLS-Required:" + value.encode("ascii")
        found = isTLSOptional(header)
        self.assertIs(isTLSOptional(b"A: b\r\n" + header), found)
        if not {"n", "N"} & set(value):
            self.assertFalse(found)
