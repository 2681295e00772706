# -*- test-case-name: relaymail.test.dialogue.test_chunks -*-
"""
The content of a message that comes in chunks (RFC 3030).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from relaymail.dialogue.answers import answer
from relaymail.dialogue.unstuffing import ANY_LINE_END, MAX_TEXT_LINE, Defect, Lines
from relaymail.errors import Refused

#: The most digits of a size, as for SIZE (RFC 1870 6).
_MAX_DIGITS = 20

_BDAT = re.compile(rb"([0-9]{1,%d})(?: +(LAST))?\Z" % _MAX_DIGITS, re.IGNORECASE)
_SYNTAX = answer(501, "5.5.4", "Say BDAT with a size, and LAST behind it or nothing")


@dataclass(frozen=True, slots=True)
class Chunk:
    """
    What BDAT says.

    @ivar size: How many octets follow.
    @ivar isLast: Whether these are the last ones of the message.
    """

    size: int
    isLast: bool


def parseBdat(argument: bytes) -> Chunk:
    """
    Read the argument of BDAT (RFC 3030 2).

    @raise Refused: When it cannot be read: nobody knows then what is a command.
    """
    found = _BDAT.match(argument)
    if found is None:
        raise Refused(_SYNTAX)
    return Chunk(int(found[1]), found[2] is not None)


class ChunkedText(Lines):
    """
    Takes the lines of one message, cut anywhere.
    """

    __slots__ = ("_held",)

    def __init__(
        self, maxLine: int = MAX_TEXT_LINE, *, normalise: bool = False
    ) -> None:
        """
        @param maxLine: The longest line with its CRLF, in octets.
        @param normalise: Whether a bare CR or LF becomes CRLF in the content.
        """
        super().__init__(maxLine, normalise=normalise)
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """
        Take what was received.

        @return: The next octets of the content, maybe none.
        """
        data = self._held + piece
        # What follows a CR tells what it is.
        self._held = b"\r" if data.endswith(b"\r") else b""
        return self._content(data[:-1] if self._held else data)

    def finish(self) -> bytes:
        """
        Take the end of the message: its last line ends as every line does.

        @return: The last octets of the content, maybe none.
        """
        data, self._held = self._held, b""
        content = self._content(data)
        return content + b"\r\n" if self._open else content

    def _content(self, data: bytes) -> bytes:
        if self._lookFor(data) and self._normalise:
            data = ANY_LINE_END.sub(b"\r\n", data)
        if data and Defect.LONG_LINE not in self.defects:
            self._measure(data)
        return data


class ChunkedOctets:
    """
    Takes a message that is no lines (RFC 3030 3): it stays as it is.

    @ivar defects: Nothing is one.
    """

    __slots__ = ("defects",)

    def __init__(self) -> None:
        self.defects: set[Defect] = set()

    def feed(self, piece: bytes) -> bytes:
        """
        Take what was received.
        """
        return piece

    def finish(self) -> bytes:
        """
        Take the end of the message.
        """
        return b""
