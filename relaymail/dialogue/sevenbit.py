# -*- test-case-name: relaymail.test.dialogue.test_sevenbit -*-
"""
From content with bytes above 127, or with binary parts, to content for hosts that
take 7-bit lines only (RFC 6152 3, RFC 3030 3).

The parts of a message are found by their headers and boundary lines (RFC 2046 5.1)
while it goes by.  A header is out before its body is seen: so what is said to be
7-bit is encoded, too, which does no harm; what is encoded already stays.
"""

from __future__ import annotations

import re
from email.message import Message
from email.parser import BytesHeaderParser

from relaymail.dialogue.encodings import (
    CRLF,
    MAX_LINE,
    Base64,
    Base64Again,
    Ignored,
    Preamble,
    Quoted,
    QuotedAgain,
    Unchanged,
    Writer,
    isClean,
)
from relaymail.dialogue.encodings import CannotConvert as CannotConvert

#: How large the header of a message or a part may be, in bytes; that of mail in
#: good faith is a tenth of it.
MAX_HEADER = 262_144
#: How long the fields may be that say what a part is, in bytes: what reads them
#: takes as long as the square of that.
MAX_SAID = 4096
#: How deep parts may be nested.
MAX_DEPTH = 50
#: How many parts there may be: digests have hundreds.
MAX_PARTS = 10_000
#: The longest part of a line that is looked at as one, in bytes: more than a line
#: may have (RFC 5322 2.1.1), so that a boundary line is in one.
MAX_PIECE = 1024
#: The longest boundary that is looked for, in bytes: RFC 2046 5.1.1 allows 70.
MAX_BOUNDARY = MAX_LINE - 4

# What a line of a header looks like.
_FIELD = re.compile(rb"[!-9;-~]*:|[\t ]")
_COMMENT = re.compile(r"\([^)]*\)")
_OWN = b"content-transfer-encoding:"
# The fields that say what a part is.
_SAYING = (b"content-type:", _OWN, b"mime-version:")
#: RFC 2045 6.2: the encodings that are none.
_IDENTITY = frozenset({"", "7bit", "8bit", "binary"})
_MESSAGES = frozenset({"message/rfc822", "message/global"})
#: What is made of the bytes of its parts.
_SEALED = {
    "multipart/signed": "a signed part has 8-bit text, and its signature would no "
    "longer match (RFC 1847 2.1)",
    "multipart/encrypted": "an encrypted part has 8-bit text (RFC 1847 2.2)",
}
#: What makes a message one of MIME (RFC 2045 4, 5; RFC 1428 3).
_MIME = (
    ("mime-version", b"MIME-Version: 1.0\r\n"),
    ("content-type", b"Content-Type: text/plain; charset=unknown-8bit\r\n"),
)
_LOST = "a message of several parts has none, but 8-bit text"


class SevenBit:
    """
    Makes one message 7-bit while it goes by.

    What L{feed} and L{end} give makes up the message: ASCII, lines of at most 998
    bytes that end in CRLF.  It keeps a header or a line, never more.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._isLineStart = True
        self._boundaries: list[bytes] = []
        self._digests: list[bool] = []
        self._writer: Writer | None = None
        self._isHeld = False
        self._lines: list[bytes] = []
        self._count = 0
        self._beginEntity(isMessage=True)

    def feed(self, data: bytes) -> bytes:
        """
        Take some of the content.

        @param data: The bytes, cut anywhere.

        @return: What can be sent now.

        @raise CannotConvert: When it cannot be made 7-bit.  What was given before
            is of no use then.
        """
        self._rest += data
        out: list[bytes] = []
        at = 0
        rest = self._rest
        while True:
            end = rest.find(CRLF, at, at + MAX_PIECE)
            if end >= 0:
                out.append(self._take(rest[at:end], True))
                at = end + 2
            elif len(rest) - at > MAX_PIECE:
                # Its last byte may be half of a line's end.
                out.append(self._take(rest[at : at + MAX_PIECE - 1], False))
                at += MAX_PIECE - 1
            else:
                break
        self._rest = rest[at:]
        return b"".join(out)

    def end(self) -> bytes:
        """
        Say that there is no more.

        @return: The end of the message.

        @raise CannotConvert: See L{feed}.
        """
        rest, self._rest = self._rest, b""
        out = b""
        if rest:
            isBoundary = self._isLineStart and self._boundaryIn(rest) is not None
            out = self._take(rest, isBoundary or self._writer is None)
        if self._writer is None:
            return out + b"".join(self._folded())
        self._leave(0)
        if self._isHeld:
            out += self._writer.lineEnd()
        return out + self._writer.finish()

    def _take(self, text: bytes, isEnd: bool) -> bytes:
        """
        Take a line, or a part of one that is long.

        @param text: The bytes, without a line's end.
        @param isEnd: Whether the line ends there.
        """
        isStart, self._isLineStart = self._isLineStart, isEnd
        level = self._boundaryIn(text) if isStart and isEnd else None
        if level is not None:
            return self._boundary(level, text)
        return self._inside(text, isStart, isEnd)

    def _inside(self, text: bytes, isStart: bool, isEnd: bool) -> bytes:
        if self._writer is None:
            return self._headerText(text, isStart, isEnd)
        # The end of the line before a boundary line is part of that.
        out = self._writer.lineEnd() if self._isHeld else b""
        self._isHeld = isEnd
        return out + self._writer.text(text)

    # Boundary lines.

    def _boundaryIn(self, line: bytes) -> int | None:
        """
        Give which of the open multiparts a line is a boundary of (RFC 2046 5.1.1).
        """
        if not self._boundaries or not line.startswith(b"--"):
            return None
        said = line[2:].rstrip(b" \t")
        for level in range(len(self._boundaries) - 1, -1, -1):
            if said in (self._boundaries[level], self._boundaries[level] + b"--"):
                return level
        return None

    def _boundary(self, level: int, line: bytes) -> bytes:
        if self._writer is None:
            out = b"".join(self._folded())
        else:
            out = self._writer.close() + (CRLF if self._isHeld else b"")
        boundary, isDigest = self._boundaries[level], self._digests[level]
        isLast = line[2:].rstrip(b" \t") != boundary
        self._leave(level + 1)
        if isLast:
            del self._boundaries[level], self._digests[level]
            self._beginBody(Ignored())
        else:
            self._beginEntity(isMessage=False, isDigest=isDigest)
        return out + line.rstrip(b" \t") + CRLF

    def _leave(self, level: int) -> None:
        """
        Leave the multiparts from a level on, that do not end as they should.
        """
        writer = self._writer if len(self._boundaries) > level else None
        if isinstance(writer, Preamble) and writer.hasLost:
            raise CannotConvert(_LOST)
        del self._boundaries[level:], self._digests[level:]

    # Headers, and what begins behind them.

    def _beginBody(self, writer: Writer) -> None:
        self._writer, self._isHeld, self._lines = writer, False, []

    def _beginEntity(self, isMessage: bool, isDigest: bool = False) -> None:
        self._writer, self._headerSize = None, 0
        self._lines = []
        self._count += 1
        if self._count > MAX_PARTS:
            raise CannotConvert(f"it has more than {MAX_PARTS} parts")
        self._isMessage, self._isDigest = isMessage, isDigest

    def _headerText(self, text: bytes, isStart: bool, isEnd: bool) -> bytes:
        if not text and isStart and isEnd:
            return self._headerEnd()
        if isStart and not _FIELD.match(text) and not self._isMark(text):
            # The body begins without an empty line.
            return self._headerEnd() + self._inside(text, isStart, isEnd)
        self._headerSize += len(text)
        if self._headerSize > MAX_HEADER:
            raise CannotConvert(f"a header is longer than {MAX_HEADER} bytes")
        if not isClean(text):
            raise CannotConvert(
                "a header has bytes above 127, as only internationalised mail may "
                "(RFC 6532), or control characters"
            )
        if isStart:
            self._lines.append(text)
        else:
            self._lines[-1] += text
        return b""

    def _isMark(self, line: bytes) -> bool:
        """
        Tell whether a line is the one that mbox files have before a message.
        """
        return not self._lines and line.startswith(b"From ")

    def _headerEnd(self) -> bytes:
        """
        Give the header as its body will be, and begin that.
        """
        lines, isMessage = self._folded(), self._isMessage
        header = _saidIn(lines)
        if self._isDigest:
            header.set_default_type("message/rfc822")
        kind, encoding = header.get_content_type(), _encodingOf(header)
        boundary = _boundaryOf(header) if kind not in _SEALED else b""
        name = "7bit"
        if boundary:
            self._open(boundary, kind == "multipart/digest")
        elif kind in _MESSAGES and encoding in _IDENTITY:
            self._beginEntity(isMessage=True)
        else:
            writer = _writerFor(kind, encoding)
            name = writer.encoding or encoding
            self._beginBody(writer)
        added: list[bytes] = []
        if name not in ("7bit", encoding):
            added = [line for field, line in _MIME if isMessage and field not in header]
        return b"".join([*_renamed(lines, encoding, name), *added, CRLF])

    def _open(self, boundary: bytes, isDigest: bool) -> None:
        if len(self._boundaries) >= MAX_DEPTH:
            raise CannotConvert(f"parts are nested more than {MAX_DEPTH} deep")
        self._boundaries.append(boundary)
        self._digests.append(isDigest)
        self._beginBody(Preamble())

    def _folded(self) -> list[bytes]:
        """
        Give the lines of the header, none too long (RFC 5322 2.2.3).
        """
        return [part + CRLF for line in self._lines for part in _fold(line)]


def _saidIn(lines: list[bytes]) -> Message:
    """
    Read the fields of a header that say what a part is, and no others.

    @raise CannotConvert: When they are too long.
    """
    found, isSaying = [], False
    for line in lines:
        if not line.startswith((b" ", b"\t")):
            isSaying = line[: len(_OWN)].lower().startswith(_SAYING)
        if isSaying:
            found.append(line)
    said = b"".join([*found, CRLF])
    if len(said) > MAX_SAID:
        raise CannotConvert(f"what says what a part is has more than {MAX_SAID} bytes")
    return BytesHeaderParser().parsebytes(said)


def _encodingOf(header: Message) -> str:
    """
    Give the transfer encoding of a body; what says nothing is 7bit (RFC 2045 6.1).
    """
    said = _COMMENT.sub(" ", str(header.get("content-transfer-encoding", "")))
    words = said.replace(";", " ").lower().split()
    return words[0] if words else ""


def _boundaryOf(header: Message) -> bytes:
    """
    Give the boundary of a multipart, empty where there is none that can be used.
    """
    if header.get_content_maintype() != "multipart":
        return b""
    said = str(header.get_boundary("")).encode("ascii", "ignore")
    return said if isClean(said) and len(said) <= MAX_BOUNDARY else b""


def _writerFor(kind: str, encoding: str) -> Writer:
    """
    Say how the body of a part without parts is written.
    """
    main = kind.partition("/")[0]
    # RFC 6533 6: unlike others of messages these may be encoded.
    isGlobal = kind.startswith("message/global-")
    if kind in _SEALED:
        return Unchanged(_SEALED[kind])
    if encoding == "quoted-printable":
        return QuotedAgain()
    if encoding == "base64":
        return Base64Again()
    if encoding not in _IDENTITY:
        return Unchanged("8-bit text is in an unknown transfer encoding", "")
    if main == "multipart" or (main == "message" and not isGlobal):
        return Unchanged(f"8-bit text is in a part that may not be encoded: {kind}")
    if encoding != "binary" and (main == "text" or encoding == "7bit"):
        return Quoted()
    return Base64()


def _renamed(lines: list[bytes], old: str, new: str) -> list[bytes]:
    """
    Say in a header how its body is encoded, once.  One that says it already, or
    need not, stays as it is.
    """
    if new in (old, old or "7bit"):
        return lines
    kept, isKept = [], True
    for line in lines:
        if not line.startswith((b" ", b"\t")):
            isKept = not line.lower().startswith(_OWN)
        if isKept:
            kept.append(line)
    return [*kept, b"Content-Transfer-Encoding: %s\r\n" % new.encode("ascii")]


def _fold(line: bytes) -> list[bytes]:
    """
    Cut a line of a header before spaces, so that no piece is longer than
    L{MAX_LINE}.
    """
    pieces = []
    while len(line) > MAX_LINE:
        at = max(line.rfind(b" ", 1, MAX_LINE), line.rfind(b"\t", 1, MAX_LINE))
        if at < 1:
            raise CannotConvert("a line of a header is too long (RFC 5322 2.1.1)")
        pieces.append(line[:at])
        line = line[at:]
    return [*pieces, line]
