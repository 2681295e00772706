# -*- test-case-name: relaymail.test.dialogue.test_replyreader -*-
"""
Reply lines to replies (RFC 5321 4.2), within bounds.
"""

from __future__ import annotations

from functools import lru_cache

from relaymail.replies import Reply, printable

#: The most lines one reply may have.  The longest honest ones are EHLO's, with
#: a few dozen keywords.
MAX_LINES = 128
#: The most bytes one reply may have.
MAX_BYTES = 65_536

# What servers say to MAIL, RCPT and DATA is nearly always the same, and a reply
# is a value: the last ones are kept, if they are no longer than this, in bytes.
# Others, such as challenges, are none of it.
_REMEMBERED = 256
_SHORT = 128
_USUAL = frozenset((b"250 ", b"354 "))


class MalformedReply(ValueError):
    """
    A line is not a reply line, or the reply has no end within the bounds.  The
    session is out of step and has to be closed.
    """


class ReplyReader:
    """
    Puts the lines of a reply together.

    @ivar lines: The text of the lines of the reply so far.
    """

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self._code = b""
        self._size = 0

    def read(self, line: bytes) -> Reply | None:
        """
        Take the next line, without its line end.

        @return: The reply that the line completes, or L{None}.

        @raise MalformedReply: When the line cannot belong to a reply.
        """
        if line[:4] in _USUAL and not self.lines and len(line) <= _SHORT:
            self._size = 0
            return _usual(line)
        code, separator = line[:3], line[3:4]
        if len(code) != 3 or not code.isdigit() or separator not in b"- ":
            raise MalformedReply(f"not a reply line: {printable(line, 80)!r}")
        if code[:1] == b"0":
            # Not a reply but verbose talk; some servers offer it unasked.
            self._count(line)
            return None
        if self.lines and code != self._code:
            raise MalformedReply(
                f"code {code.decode()} within a reply of {self._code.decode()}"
            )
        self._count(line)
        self._code = code
        self.lines.append(line[4:])
        if separator == b"-":
            return None
        reply = Reply(int(code), tuple(self.lines))
        self.lines, self._size = [], 0
        return reply

    def _count(self, line: bytes) -> None:
        self._size += len(line)
        if len(self.lines) >= MAX_LINES or self._size > MAX_BYTES:
            raise MalformedReply("a reply without end")


@lru_cache(maxsize=_REMEMBERED)
def _usual(line: bytes) -> Reply:
    return Reply(int(line[:3]), (line[4:],))


def withoutSecrets(line: bytes, response: bytes, secret: bytes | None) -> bytes:
    """
    Give a line as it may be logged and told: without what the client has just said of
    its secret, should the server say it back.

    @param line: The line, without its line end.
    @param response: The client's last response, as it was sent; empty for none.
    @param secret: The secret itself: some servers say what they have decoded.
    """
    if not response:
        return line
    text = line[4:].replace(response, b"(response)")
    return line[:4] + (text.replace(secret, b"(secret)") if secret else text)
