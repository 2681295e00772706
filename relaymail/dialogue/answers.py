# -*- test-case-name: relaymail.test.dialogue.test_server -*-
"""
The replies of a server, as values and as bytes (RFC 5321 4.2).
"""

from __future__ import annotations

from functools import lru_cache

from relaymail.replies import Reply, printable

#: The longest text of one reply line, in characters: RFC 5321 4.5.3.1.5 allows
#: 512 octets with the code, its separator and the line end.
MAX_LINE_TEXT = 500
#: How many lines of a reply are sent: what an acceptance of an app says is
#: bounded as well.
MAX_LINES = 50
#: How many replies are remembered, made and rendered: nearly every session says
#: the same dozen.
_REMEMBERED = 128


@lru_cache(maxsize=_REMEMBERED)
def answer(code: int, status: str, *lines: str) -> Reply:
    """
    Make a reply.

    @param code: The three digits.
    @param status: The enhanced status code that each line begins with (RFC
        2034 4), empty where none belongs.
    @param lines: The text of each line, at least one.
    """
    lead = f"{status} " if status else ""
    return Reply(code, tuple(f"{lead}{line}".encode("ascii") for line in lines))


def withStatus(reply: Reply) -> Reply:
    """
    Give a reply that begins with an enhanced status code: its own, or the
    unspecific one of its class (RFC 3463 3.1).
    """
    if reply.status is not None:
        return reply
    lead = b"%d.0.0 " % (reply.code // 100)
    return Reply(reply.code, tuple(lead + line for line in reply.lines or (b"",)))


@lru_cache(maxsize=_REMEMBERED)
def wire(reply: Reply) -> bytes:
    """
    Give a reply as it is sent: every line bounded and printable ASCII,
    whatever it was made of.
    """
    texts = [
        printable(line, MAX_LINE_TEXT).encode("ascii", "replace")
        for line in (reply.lines or (b"",))[:MAX_LINES]
    ]
    code = b"%d" % reply.code
    head = b"".join(code + b"-" + text + b"\r\n" for text in texts[:-1])
    return head + code + b" " + texts[-1] + b"\r\n"
