# -*- test-case-name: relaymail.test.dialogue.test_stuffing -*-
"""
Content to what goes over the wire between 354 and the dot (RFC 5321 4.5.2).
"""

from __future__ import annotations

import re

# A line that begins with a dot; there are few, and this search is much faster
# than a replacement that replaces nothing.
_DOTTED = re.compile(rb"\r\n\.")


class LineEnds:
    """
    Gives content canonical: every line ends in CRLF, and no CR or LF stands alone
    (RFC 5321 2.3.8).

    The pieces may be cut anywhere: what a piece means may hang on the end of the
    one before it, and that is all that is remembered.
    """

    def __init__(self) -> None:
        self._heldCR = False

    def feed(self, piece: bytes) -> bytes:
        """
        Give the next piece.
        """
        if self._heldCR:
            piece = b"\r" + piece
        self._heldCR = piece.endswith(b"\r")
        if self._heldCR:
            piece = piece[:-1]
        return _canonical(piece)

    def end(self) -> bytes:
        """
        Give what is left.  It is then as new.
        """
        left = b"\r\n" if self._heldCR else b""
        self._heldCR = False
        return left


class DotStuffer(LineEnds):
    """
    Gives a message in the form that DATA takes: every line ends in CRLF, no CR
    or LF stands alone (RFC 5321 2.3.8), a leading dot is doubled, and the end
    is a dot on a line of its own.

    @ivar atLineStart: Whether the next byte begins a line.
    """

    def __init__(self) -> None:
        LineEnds.__init__(self)
        self.atLineStart = True

    def stuff(self, piece: bytes) -> bytes:
        """
        Give the next piece of the message in wire form.
        """
        return self._stuffDots(self.feed(piece)) if piece else b""

    def end(self) -> bytes:
        """
        Give what ends the message: the line end its last line may lack, and
        the dot.  The stuffer is then as new.
        """
        isStarted = self.atLineStart and not self._heldCR
        self.atLineStart, self._heldCR = True, False
        return b".\r\n" if isStarted else b"\r\n.\r\n"

    def _stuffDots(self, piece: bytes) -> bytes:
        if not piece:
            return piece
        begins = self.atLineStart and piece.startswith(b".")
        self.atLineStart = piece.endswith(b"\r\n")
        if _DOTTED.search(piece):
            piece = piece.replace(b"\r\n.", b"\r\n..")
        return b"." + piece if begins else piece


def _canonical(piece: bytes) -> bytes:
    """
    Give every line end as CRLF.  Counting is much cheaper than replacing, and
    shows whether there is anything to replace.
    """
    pairs = piece.count(b"\r\n")
    if piece.count(b"\r") != pairs:
        piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        pairs = 0
    if piece.count(b"\n") != pairs:
        piece = piece.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return piece
