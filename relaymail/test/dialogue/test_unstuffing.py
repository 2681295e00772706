# -*- test-case-name: relaymail.test.dialogue.test_unstuffing -*-
"""
Tests for L{relaymail.dialogue.unstuffing}.
"""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.unstuffing import Defect, Unstuffing

_LINE = 12

#: Bytes that are made of what matters.
_DATA = st.lists(
    st.sampled_from(
        [b"\r", b"\n", b"\r\n", b".", b"\r\n.", b"a", b"\0", b"abcdef", b"\r\n.\r\n"]
    ),
    max_size=30,
).map(b"".join)


def simple(data: bytes, normalise: bool) -> tuple[bytes, bytes, set[Defect]] | None:
    """
    The oracle: the whole data at once, line by line.

    @return: The content, the rest and the defects; L{None} without an end.
    """
    whole, end, rest = (b"\r\n" + data).partition(b"\r\n.\r\n")
    if not end:
        return None
    raw = (whole + b"\r\n")[2:]
    defects = set()
    bare = raw.replace(b"\r\n", b"")
    for octet, defect in ((b"\r", Defect.BARE_CR), (b"\n", Defect.BARE_LF)):
        if octet in bare:
            defects.add(defect)
    if b"\0" in raw:
        defects.add(Defect.NUL)
    content = b"\r\n".join(line.removeprefix(b".") for line in raw.split(b"\r\n"))
    if normalise:
        content = b"\r\n".join(re.split(rb"\r\n|\r|\n", content))
    if any(len(line) + 1 > _LINE for line in content.split(b"\n")[:-1]):
        defects.add(Defect.LONG_LINE)
    return content, rest, defects


def inPieces(
    pieces: list[bytes], normalise: bool = False, maxLine: int = _LINE
) -> tuple[bytes, bytes, set[Defect]] | None:
    """
    Feed pieces until the end.
    """
    unstuffing = Unstuffing(maxLine, normalise=normalise)
    content = b""
    for at, piece in enumerate(pieces):
        content += unstuffing.feed(piece)
        if unstuffing.ended:
            rest = unstuffing.rest + b"".join(pieces[at + 1 :])
            return content, rest, unstuffing.defects
    return None


class UnstuffingTests(SynchronousTestCase):
    """
    Data becomes content.
    """

    def content(self, data: bytes, normalise: bool = False) -> bytes:
        """
        Give the content of data that has an end.
        """
        found = inPieces([data], normalise, 2000)
        assert found is not None
        return found[0]

    def test_dots(self) -> None:
        """
        The dot of transparency is taken away, no other.
        """
        self.assertEqual(
            self.content(b"..a\r\n...\r\nb.\r\n.c\r\n.\r\n"), b".a\r\n..\r\nb.\r\nc\r\n"
        )

    def test_empty(self) -> None:
        """
        A dot alone at once is the empty message.
        """
        self.assertEqual(self.content(b".\r\n"), b"")
        self.assertEqual(self.content(b"\r\n.\r\n"), b"\r\n")

    def test_rest(self) -> None:
        """
        What comes behind the end is given back.
        """
        self.assertEqual(
            inPieces([b"a\r\n.\r\nQUIT\r\n"]), (b"a\r\n", b"QUIT\r\n", set())
        )

    def test_A01_onlyOneEnd(self) -> None:
        """
        No mixture of line ends around a dot ends the data but CRLF.CRLF, in
        either way of dealing with them, however it is cut.
        """
        ends = [
            b"\r\n", b"\n", b"\r", b"\r\r", b"\n\r", b"\0", b"\v", b"\f",
            b"\xc2\x85", b"\xe2\x80\xa8", b"\r\0\n", b"\r \n", b"",
        ]  # fmt: skip
        for before in ends:
            for behind in ends:
                if before == behind == b"\r\n":
                    continue
                inside = b"a" + before + b"." + behind + b"MAIL FROM:<x@y>\r\n"
                data = inside + b"b\r\n.\r\nNOOP\r\n"
                for normalise in (False, True):
                    whole = inPieces([data], normalise, 2000)
                    single = [data[at : at + 1] for at in range(len(data))]
                    self.assertEqual(inPieces(single, normalise, 2000), whole)
                    assert whole is not None
                    self.assertIn(b"MAIL FROM", whole[0])
                    self.assertEqual(whole[1], b"NOOP\r\n")

    def test_normalise(self) -> None:
        """
        Bare CR and LF become CRLF where that is wanted, and are told of.
        """
        found = inPieces([b"a\nb\rc\r\r\n", b"d\r", b"\n.\r\n"], True)
        self.assertEqual(
            found,
            (
                b"a\r\nb\r\nc\r\n\r\nd\r\n",
                b"",
                {Defect.BARE_CR, Defect.BARE_LF},
            ),
        )

    def test_A05_longLine(self) -> None:
        """
        A line over the limit is remembered; it ends nothing.  The dot of
        transparency is not counted (RFC 5321 4.5.3.1.6).
        """
        for line, long in ((b"x" * 10, False), (b".." + b"x" * 9, False),
                           (b"x" * 11, True)):  # fmt: skip
            data = b"a\r\n" + line + b"\r\nb\r\n.\r\nrest"
            for size in range(1, len(data) + 1):
                pieces = [data[at : at + size] for at in range(0, len(data), size)]
                found = inPieces(pieces)
                assert found is not None
                self.assertEqual(Defect.LONG_LINE in found[2], long, (line, size))
                self.assertEqual(found[1], b"rest")

    @settings(deadline=None, max_examples=200)
    @given(_DATA, st.lists(st.integers(0, 120), max_size=12), st.booleans())
    def test_A01_anyCut(self, data: bytes, cuts: list[int], normalise: bool) -> None:
        """
        However the data is cut, the result is that of the whole.
        """
        edges = [0, *sorted(cuts), len(data)]
        pieces = [data[a:b] for a, b in pairwise(edges)]
        pieces[-1] = data[edges[-2] :]
        self.assertEqual(inPieces(pieces, normalise), simple(data, normalise))
        single = [data[at : at + 1] for at in range(len(data))]
        self.assertEqual(inPieces(single, normalise), simple(data, normalise))
