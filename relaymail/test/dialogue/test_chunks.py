# -*- test-case-name: relaymail.test.dialogue.test_chunks -*-
"""
Tests for L{relaymail.dialogue.chunks}.
"""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.chunks import (
    Chunk,
    ChunkedOctets,
    ChunkedText,
    parseBdat,
)
from relaymail.dialogue.unstuffing import Defect
from relaymail.errors import Refused

_LINE = 12

_PIECES = st.lists(
    st.sampled_from(
        [b"\r", b"\n", b"\r\n", b".", b"a", b"\0", b"abcdef", b"\r\n.\r\n"]
    ),
    max_size=20,
)


class ParseTests(SynchronousTestCase):
    """
    What BDAT says.
    """

    def test_read(self) -> None:
        """
        A size, and whether it is the last.
        """
        for text, chunk in (
            (b"0", Chunk(0, False)),
            (b"86", Chunk(86, False)),
            (b"0 LAST", Chunk(0, True)),
            (b"12  last", Chunk(12, True)),
            (b"9" * 20, Chunk(10**20 - 1, False)),
        ):
            self.assertEqual(parseBdat(text), chunk)

    def test_A01_refused(self) -> None:
        """
        What is no size is refused.
        """
        for text in (
            b"", b"-1", b"+1", b"1.5", b"0x10", b"LAST", b"1 FIRST", b"1 LAST LAST",
            b"1LAST", b"9" * 21, b"\xd9\xa1", b"1\xa0LAST",
        ):  # fmt: skip
            self.assertIn(
                "501 5.5.4", self.assertRaises(Refused, parseBdat, text).reply.text
            )

    @settings(deadline=None, max_examples=50)
    @given(st.binary(max_size=30))
    def test_A03_anyBytes(self, argument: bytes) -> None:
        """
        Whatever is said is read or refused.
        """
        try:
            self.assertGreaterEqual(parseBdat(argument).size, 0)
        except Refused as e:
            self.assertTrue(e.reply.permanent)


class TextTests(SynchronousTestCase):
    """
    Lines in chunks.
    """

    def whole(self, pieces: list[bytes], normalise: bool) -> tuple[bytes, set[Defect]]:
        """
        Give what comes of pieces.
        """
        text = ChunkedText(_LINE, normalise=normalise)
        content = b"".join([*map(text.feed, pieces), text.finish()])
        return content, text.defects

    @settings(deadline=None, max_examples=200)
    @given(_PIECES, st.booleans())
    def test_A01_anyPieces(self, pieces: list[bytes], normalise: bool) -> None:
        """
        However it is cut, the content is what it was, but for the last line end and
        what is normalised, and what may not be there is seen.
        """
        data = b"".join(pieces)
        content, defects = self.whole(pieces, normalise)
        bare = data.replace(b"\r\n", b"")
        self.assertEqual(Defect.BARE_CR in defects, b"\r" in bare)
        self.assertEqual(Defect.BARE_LF in defects, b"\n" in bare)
        lines = re.split(rb"\r\n|\r|\n", data) if normalise else data.split(b"\r\n")
        long = any(len(line) + 2 > _LINE for line in lines[:-1])
        if not long and Defect.LONG_LINE not in defects and b"\n" not in bare:
            expected = b"\r\n".join(lines)
            if expected and not expected.endswith(b"\r\n"):
                expected += b"\r\n"
            if normalise or b"\r" not in bare:
                self.assertEqual(content, expected)
        single = [data[at : at + 1] for at in range(len(data))]
        self.assertEqual(self.whole(single, normalise), (content, defects))

    def test_lastLine(self) -> None:
        """
        A last line without its end gets it; dots stay.
        """
        for data, content in (
            ([b"a"], b"a\r\n"),
            ([b"a\r", b"\n.\r\n"], b"a\r\n.\r\n"),
            ([b""], b""),
            ([b".\r\n.."], b".\r\n..\r\n"),
        ):
            self.assertEqual(self.whole(data, False), (content, set()))

    def test_A01_longLine(self) -> None:
        """
        A line over the limit is seen, however it is cut.
        """
        _, defects = self.whole([b"x" * 6, b"x" * 6, b"\r\n"], False)
        self.assertEqual(defects, {Defect.LONG_LINE})

    def test_octets(self) -> None:
        """
        What is no lines stays as it is.
        """
        octets = ChunkedOctets()
        self.assertEqual(octets.feed(b"\r.\n\0") + octets.finish(), b"\r.\n\0")
        self.assertEqual(octets.defects, set())
