# -*- test-case-name: relaymail.test.dialogue.test_sevenbit -*-
"""
How the body of one MIME part is written where only 7-bit lines of bounded length
may stand (RFC 2045 6).

A writer is given the bytes of each line and told of each line's end; what it gives
never begins a line that could be taken for a boundary line.  It keeps at most one
line of output.
"""

from __future__ import annotations

import re
from binascii import b2a_base64

CRLF = b"\r\n"
#: RFC 5322 2.1.1: the longest line, in bytes without CRLF.
MAX_LINE = 998
#: RFC 2045 6.7, 6.8: the longest line of encoded content, in bytes.
MAX_ENCODED = 76
# RFC 2045 6.8: how many bytes make a line of base64.
_TRIPLES = MAX_ENCODED // 4 * 3

_CLEAN = re.compile(rb"[^\x00\r\n\x80-\xff]*\Z")
_TO_QUOTE = re.compile(rb"[^\t -<>-~]")
_TO_QUOTE_AGAIN = re.compile(rb"[\x00\r\n\x80-\xff]")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/=]")


class CannotConvert(ValueError):
    """
    Content cannot be made 7-bit; the message says why.
    """


def isClean(text: bytes) -> bool:
    """
    Tell whether text has only characters that may stand in 7-bit content (RFC 2045
    2.7).
    """
    return _CLEAN.match(text) is not None


class Unchanged:
    """
    Writes what must stay as it is.

    @ivar encoding: What the body is encoded in (RFC 2045 6.1), empty for what it
        was before.
    """

    def __init__(self, why: str, encoding: str = "7bit") -> None:
        """
        @param why: Why it must, for L{CannotConvert}.
        """
        self.encoding = encoding
        self._why = why
        self._length = 0

    def text(self, text: bytes) -> bytes:
        """
        Take a part of a line.

        @return: What can be sent now.

        @raise CannotConvert: When it is no 7-bit text.
        """
        self._length += len(text)
        if self._length > MAX_LINE or not isClean(text):
            raise CannotConvert(self._why)
        return text

    def lineEnd(self) -> bytes:
        """
        Take the end of a line.
        """
        self._length = 0
        return CRLF

    def close(self) -> bytes:
        """
        Give what is left, before a boundary line.
        """
        return b""

    def finish(self) -> bytes:
        """
        Give what is left, before the end of the message within a line.
        """
        return CRLF if self._length else b""


class Held:
    """
    Keeps each line to its end, for what may come to be written otherwise.
    """

    def __init__(self) -> None:
        self._line = b""
        # Whether the line is not what it was.
        self._isChanged = False

    def lineEnd(self) -> bytes:
        """
        See L{Unchanged.lineEnd}.
        """
        return self.close() + CRLF

    def close(self) -> bytes:
        """
        See L{Unchanged.close}.
        """
        line, self._line, self._isChanged = self._line, b"", False
        return line

    def finish(self) -> bytes:
        """
        See L{Unchanged.finish}.
        """
        line = self.close()
        return line + CRLF if line else b""


class Ignored(Held):
    """
    Writes what stands before the first part and behind the last, for nobody to
    read (RFC 2046 5.1.1): lines that cannot be sent are left empty.

    @ivar hasLost: Whether one was.
    """

    encoding = "7bit"

    def __init__(self) -> None:
        super().__init__()
        self.hasLost = False

    def text(self, text: bytes) -> bytes:
        """
        See L{Unchanged.text}.
        """
        self._isChanged |= len(self._line) + len(text) > MAX_LINE or not isClean(text)
        self.hasLost |= self._isChanged
        self._line = b"" if self._isChanged else self._line + text
        return b""


class Preamble(Ignored):
    """
    Writes what stands before the first part.
    """


class Quoted:
    """
    Writes quoted-printable (RFC 2045 6.7).

    @cvar encoding: See L{Unchanged}.
    """

    encoding = "quoted-printable"
    _unsafe = _TO_QUOTE

    def __init__(self) -> None:
        self._line = b""
        self._isBegun = False

    def text(self, text: bytes) -> bytes:
        """
        See L{Unchanged.text}.
        """
        if not text:
            return b""
        if not self._isBegun and text.startswith(b"--"):
            # Quoting could make it a boundary line.
            self._line, text = b"=2D", text[1:]
        self._isBegun = True
        self._line += self._unsafe.sub(_quoted, text)
        return self._wrapped()

    def lineEnd(self) -> bytes:
        """
        See L{Unchanged.lineEnd}.
        """
        return self.close() + CRLF

    def close(self) -> bytes:
        """
        See L{Unchanged.close}.
        """
        if self._line[-1:] in (b" ", b"\t"):
            # RFC 2045 6.7, rule 3: what ends a line may be lost on its way.
            self._line = self._line[:-1] + _quotedByte(self._line[-1])
        out = self._wrapped() + self._line
        self._line, self._isBegun = b"", False
        return out

    def finish(self) -> bytes:
        """
        See L{Unchanged.finish}.
        """
        return self.close() + b"=" + CRLF if self._isBegun else b""

    def _wrapped(self) -> bytes:
        """
        Take off all but the last line of output, with soft line ends.
        """
        out = []
        line = self._line
        while len(line) > MAX_ENCODED:
            end = MAX_ENCODED - 1
            escape = line.find(b"=", end - 2, end)
            end = end if escape < 0 else escape
            out.append(line[:end] + b"=" + CRLF)
            line = line[end:]
            if line.startswith(b"-"):
                line = b"=2D" + line[1:]
        self._line = line
        return b"".join(out)


class QuotedAgain(Quoted):
    """
    Writes what is said to be quoted-printable already: lines that can be sent stay
    as they are.
    """

    encoding = ""
    _isChanged = False

    def text(self, text: bytes) -> bytes:
        """
        See L{Unchanged.text}.
        """
        if self._isChanged:
            self._line += _TO_QUOTE_AGAIN.sub(_quoted, text)
            return self._wrapped()
        self._line += text
        if isClean(text) and len(self._line) <= MAX_LINE:
            return b""
        line, self._line, self._isChanged = self._line, b"", True
        if line.startswith(b"--"):
            self._line, line = b"=2D", line[1:]
        return self.text(line)

    def close(self) -> bytes:
        """
        See L{Unchanged.close}.
        """
        line, self._line, self._isChanged = self._line, b"", False
        return line

    def finish(self) -> bytes:
        """
        See L{Unchanged.finish}.
        """
        line = self.close()
        return line + CRLF if line else b""


class Base64:
    """
    Writes base64 (RFC 2045 6.8).

    @cvar encoding: See L{Unchanged}.
    """

    encoding = "base64"

    def __init__(self) -> None:
        self._rest = b""
        self._isBegun = False

    def text(self, text: bytes) -> bytes:
        """
        See L{Unchanged.text}.
        """
        self._rest += text
        whole = len(self._rest) - len(self._rest) % _TRIPLES
        now, self._rest = self._rest[:whole], self._rest[whole:]
        return b"".join(
            self._encoded(now[at : at + _TRIPLES]) for at in range(0, whole, _TRIPLES)
        )

    def lineEnd(self) -> bytes:
        """
        See L{Unchanged.lineEnd}.
        """
        return self.text(CRLF)

    def close(self) -> bytes:
        """
        See L{Unchanged.close}.
        """
        rest, self._rest = self._rest, b""
        return self._encoded(rest) if rest else b""

    def finish(self) -> bytes:
        """
        See L{Unchanged.finish}.
        """
        out = self.close()
        return out + CRLF if self._isBegun else out

    def _encoded(self, data: bytes) -> bytes:
        line = b2a_base64(data, newline=False)
        line = CRLF + line if self._isBegun else line
        self._isBegun = True
        return line


class Base64Again(Held):
    """
    Writes what is said to be base64 already: lines that can be sent stay as they
    are; of others what means nothing is left out (RFC 2045 6.8).

    @cvar encoding: See L{Unchanged}.
    """

    encoding = ""

    def text(self, text: bytes) -> bytes:
        """
        See L{Unchanged.text}.
        """
        if not self._isChanged:
            self._line += text
            if isClean(text) and len(self._line) <= MAX_LINE:
                return b""
            text, self._line, self._isChanged = self._line, b"", True
        line = self._line + _NOT_BASE64.sub(b"", text)
        whole = max(len(line) - 1, 0) // MAX_ENCODED * MAX_ENCODED
        self._line = line[whole:]
        return b"".join(
            line[at : at + MAX_ENCODED] + CRLF for at in range(0, whole, MAX_ENCODED)
        )


#: What writes a body.
Writer = Unchanged | Ignored | Quoted | Base64 | Base64Again


def _quotedByte(octet: int) -> bytes:
    return b"=%02X" % octet


def _quoted(found: re.Match[bytes]) -> bytes:
    return _quotedByte(found[0][0])
