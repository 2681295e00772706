# -*- test-case-name: relaymail.test.test_headers -*-
"""
Tests for L{relaymail.headers}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.headers import dateText, fieldNames, messageId, splitHeader


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
