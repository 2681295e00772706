# -*- test-case-name: relaymail.test.dialogue.test_unstuffing -*-
"""
The content of a message, out of what follows DATA (RFC 5321 4.5.2).

Nothing here looks at single lines or bytes: everything is found by search.

Rules:

  - Only CRLF.CRLF ends the data (RFC 5321 4.1.1.4); what else looks like an end
    is content, or a defect of it.
  - The CRLF behind DATA is the first half of that: data that begins with
    dot, CRLF is the empty message.
  - A defect is remembered until the end of the data; it never ends them.
"""

from __future__ import annotations

import re
from enum import Enum

#: The longest text line, with its CRLF and without the dot of transparency, in
#: octets.  RFC 5321 4.5.3.1.6 asks for 1000; there is mail with more.
MAX_TEXT_LINE = 2000

_END = b"\r\n.\r\n"
# What may be the begin of the end, the longest first: it is held back.
_BEGINNINGS = tuple(_END[:length] for length in range(len(_END) - 1, 0, -1))
# A line that begins with a dot; there are few, and this search is much faster
# than a replacement that replaces nothing.
_DOTTED = re.compile(rb"\r\n\.")
#: A line end, or what looks like one.
ANY_LINE_END = re.compile(rb"\r\n|\r|\n")


class Defect(Enum):
    """
    What was seen in the data that may not be there.
    """

    #: A CR that no LF follows (RFC 5321 2.3.8).
    BARE_CR = 1
    #: A LF that follows no CR.
    BARE_LF = 2
    #: A NUL: this is content (RFC 5321 does not forbid it to be passed on).
    NUL = 3
    #: A line over the limit (RFC 5321 4.5.3.1.6).
    LONG_LINE = 4


class Lines:
    """
    Looks at the lines of one message.

    @ivar defects: What was seen that may not be there.
    """

    __slots__ = ("_maxLine", "_normalise", "_open", "defects")

    def __init__(
        self, maxLine: int = MAX_TEXT_LINE, *, normalise: bool = False
    ) -> None:
        """
        @param maxLine: The longest line with its CRLF, in octets.
        @param normalise: Whether a bare CR or LF becomes CRLF in the content.
            It ends no data all the same.
        """
        self.defects: set[Defect] = set()
        self._maxLine = maxLine
        self._normalise = normalise
        # Octets of the line that is open, already given.
        self._open = 0

    def _lookFor(self, data: bytes) -> bool:
        pairs, found = data.count(b"\r\n"), False
        if data.count(b"\r") != pairs:
            self.defects.add(Defect.BARE_CR)
            found = True
        if data.count(b"\n") != pairs:
            self.defects.add(Defect.BARE_LF)
            found = True
        if b"\0" in data:
            self.defects.add(Defect.NUL)
        return found

    def _measure(self, content: bytes) -> None:
        # From the start of a line, the last line end within the limit is the
        # farthest place up to which no line can be too long: one search for
        # each stretch of the limit, not one for each line.
        start, size = -self._open, len(content)
        while size - start > self._maxLine:
            limit = max(start + self._maxLine, 0)
            feed = content.rfind(b"\n", max(start, 0), limit)
            if feed < 0:
                self.defects.add(Defect.LONG_LINE)
                return
            start = feed + 1
        last = content.rfind(b"\n")
        self._open = size - last - 1 if last >= 0 else self._open + size


class Unstuffing(Lines):
    """
    Takes the data of one message in pieces, cut anywhere.

    @ivar ended: Whether the end of the data was seen.
    @ivar rest: What was received behind the end, to be read as commands.
    """

    __slots__ = ("_held", "_skip", "ended", "rest")

    def __init__(
        self, maxLine: int = MAX_TEXT_LINE, *, normalise: bool = False
    ) -> None:
        """
        @param maxLine: The longest line with its CRLF, in octets.
        @param normalise: Whether a bare CR or LF becomes CRLF in the content.
            It ends no data all the same.
        """
        # Not by the base: there is one of these for each message.
        self.defects = set()
        self._maxLine = maxLine
        self._normalise = normalise
        self._open = 0
        self.ended = False
        self.rest = b""
        # The CRLF of the DATA command stands before the data, and is no
        # part of the content.
        self._held = b"\r\n"
        self._skip = 2

    def feed(self, chunk: bytes) -> bytes:
        """
        Take what was received.

        @param chunk: The next octets; nothing may be fed after the end.

        @return: The next octets of the content, maybe none.
        """
        data = self._held + chunk
        dotted = _DOTTED.search(data)
        end = data.find(_END, dotted.start()) if dotted else -1
        if end >= 0:
            self.ended = True
            self.rest = data[end + len(_END) :]
            self._held = b""
            size = end + 2
        else:
            self._held = next((b for b in _BEGINNINGS if data.endswith(b)), b"")
            size = len(data) - len(self._held)
        return self._content(data[:size], dotted is not None and dotted.end() <= size)

    def _content(self, data: bytes, isStuffed: bool) -> bytes:
        # The data here never ends inside a line end, for a CR is held back:
        # what is counted is exact however it was cut.
        if not data:
            return data
        bare = self._lookFor(data)
        content = (data.replace(b"\r\n.", b"\r\n") if isStuffed else data)[self._skip :]
        self._skip = 0
        if self._normalise and bare:
            content = ANY_LINE_END.sub(b"\r\n", content)
        if Defect.LONG_LINE not in self.defects:
            self._measure(content)
        return content
