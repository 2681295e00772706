"""
Tests for L{relaymail.dialogue.stuffing}.
"""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.stuffing import DotStuffer
from relaymail.dialogue.unstuffing import Unstuffing

#: What matters to the stuffing, and something that does not.
PIECES = st.lists(
    st.lists(
        st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"a", b"\0", b"\x85", b"\x0b"]),
        max_size=6,
    ).map(b"".join),
    max_size=8,
)


def inPieces(pieces: list[bytes]) -> bytes:
    """
    Stuff a message that comes in pieces.
    """
    stuffer = DotStuffer()
    return b"".join([*map(stuffer.stuff, pieces), stuffer.end()])


def whole(message: bytes) -> bytes:
    """
    Say what is right, line by line, for a message in one piece.
    """
    lines = re.split(rb"\r\n|\r|\n", message)
    if not lines[-1]:
        lines.pop()
    stuffed = [b"." + line if line.startswith(b".") else line for line in lines]
    return b"".join(line + b"\r\n" for line in [*stuffed, b"."])


class DotStufferTests(SynchronousTestCase):
    """
    Tests for L{DotStuffer}.
    """

    @settings(deadline=None, max_examples=300)
    @given(PIECES)
    def test_A01_anyChunking(self, pieces: list[bytes]) -> None:
        """
        However the message is cut, it goes out as if it had been one piece.
        """
        self.assertEqual(inPieces(pieces), whole(b"".join(pieces)))

    @settings(deadline=None, max_examples=200)
    @given(PIECES)
    def test_A01_nothingEndsItEarly(self, pieces: list[bytes]) -> None:
        """
        No CR or LF stands alone, and no line but the last is a dot alone.
        """
        wire = inPieces(pieces)
        self.assertEqual(wire.count(b"\r"), wire.count(b"\r\n"))
        self.assertEqual(wire.count(b"\n"), wire.count(b"\r\n"))
        lines = wire.split(b"\r\n")
        self.assertEqual(lines[-2:], [b".", b""])
        for line in lines[:-2]:
            self.assertNotEqual(line, b".")
            self.assertTrue(not line.startswith(b".") or line.startswith(b".."))

    @settings(deadline=None, max_examples=100)
    @given(PIECES)
    def test_A01_serverReadsTheSame(self, pieces: list[bytes]) -> None:
        """
        What the server's side makes of it is the message in canonical form.
        """
        reader = Unstuffing()
        read = reader.feed(inPieces(pieces))
        self.assertTrue(reader.ended)
        self.assertEqual(reader.rest, b"")
        canonical = re.sub(rb"\r\n|\r|\n", b"\r\n", b"".join(pieces))
        if canonical and not canonical.endswith(b"\r\n"):
            canonical += b"\r\n"
        self.assertEqual(read, canonical)

    def test_everyCut(self) -> None:
        """
        A line end and a dot may fall on any boundary.
        """
        message = b".\r\n..\r\n.a\r\n\r\n.\r\nb.\r\n."
        for first in range(len(message) + 1):
            for second in range(first, len(message) + 1):
                pieces = [message[:first], message[first:second], message[second:]]
                self.assertEqual(inPieces(pieces), whole(message))

    def test_firstByteIsADot(self) -> None:
        """
        The first byte of the message is stuffed if it is a dot.
        """
        self.assertEqual(inPieces([b".", b"\r\n"]), b"..\r\n.\r\n")

    def test_keepsCRLF(self) -> None:
        """
        CRLF stays as it is, cut in its middle too.
        """
        self.assertEqual(inPieces([b"a\r", b"\nb\r\n"]), b"a\r\nb\r\n.\r\n")

    def test_LF(self) -> None:
        """
        LF becomes CRLF.
        """
        self.assertEqual(inPieces([b"a\n.b\n"]), b"a\r\n..b\r\n.\r\n")

    def test_mixed(self) -> None:
        """
        A piece may have every kind of line end.
        """
        self.assertEqual(inPieces([b"a\r\nb\nc\rd"]), b"a\r\nb\r\nc\r\nd\r\n.\r\n")

    def test_noLineEndAtTheEnd(self) -> None:
        """
        A last line without its end gets one.
        """
        self.assertEqual(inPieces([b"abc"]), b"abc\r\n.\r\n")

    def test_lastCR(self) -> None:
        """
        A CR at the very end is a line end.
        """
        self.assertEqual(inPieces([b"abc\r"]), b"abc\r\n.\r\n")

    def test_empty(self) -> None:
        """
        The empty message is the dot.
        """
        self.assertEqual(inPieces([]), b".\r\n")

    def test_asNew(self) -> None:
        """
        After the end a stuffer takes the next message.
        """
        stuffer = DotStuffer()
        stuffer.stuff(b"abc\r")
        stuffer.end()
        self.assertEqual(stuffer.stuff(b".") + stuffer.end(), b"..\r\n.\r\n")
