"""
Messages that are hard to carry.
"""

from __future__ import annotations

import random

#: What lines are made of: dots where they matter, and bytes that are not text.
_PIECES = (
    b".",
    b"..",
    b".a",
    b"a.",
    b"",
    b"From here",
    b"a line of some length, which has nothing of interest",
    b"\xe9\xff\x80",
    b".\t.",
    b"x" * 900,
)
#: How many messages are larger than what is sent at once.
LARGE_ONES = 0.1
#: More than is sent at once, in bytes.
LARGE = 66_000
#: The most lines of a message that is not large.
_LINES = 30


def makeBody(chance: random.Random) -> bytes:
    """
    Make a body, canonical CRLF, now and then one of several chunks.
    """
    lines = [chance.choice(_PIECES) for _ in range(chance.randint(0, _LINES))]
    if chance.random() < LARGE_ONES:
        lines += _large(chance)
    return b"".join(line + b"\r\n" for line in lines)


def _large(chance: random.Random) -> list[bytes]:
    """
    Give lines, full of dots, that go over the end of a chunk: each in another
    place.
    """
    line = chance.choice((b".", b"..", b"...", b".a.", b"." * 77))
    return [line] * (LARGE // (len(line) + 2) + chance.randint(1, 50))
