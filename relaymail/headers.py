# -*- test-case-name: relaymail.test.test_headers -*-
"""
The header block of a message: where it ends, which fields it has, and the two
that every message must have (RFC 5322 2.1, 3.6).

Content is canonical here: every line ends in CRLF.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache

#: What a field begins with: its name and the colon (RFC 5322 2.2; the space is
#: the old syntax of 4.5).
FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")
#: What the line end of the last field and the empty line look like.
HEADER_END = b"\r\n\r\n"

#: How many seconds' dates are remembered: many messages come in one.
_SECONDS = 8

_NAME = re.compile(rb"^([!-9;-~]+)[ \t]*:", re.MULTILINE)


def splitHeader(content: bytes) -> tuple[bytes, bytes]:
    """
    Part a message.

    @param content: The content, or as much of it as holds the header.

    @return: The header with the line end of its last field, empty where the
        content does not begin with a field; and the rest, which begins with
        the empty line where there is one.
    """
    if FIELD.match(content) is None:
        return b"", content
    end = content.find(HEADER_END)
    if end < 0:
        return content, b""
    return content[: end + 2], content[end + 2 :]


def fieldNames(header: bytes) -> frozenset[bytes]:
    """
    Give the names of the fields of a header, in lower case.
    """
    return frozenset(name.lower() for name in _NAME.findall(header))


@lru_cache(maxsize=_SECONDS)
def dateText(second: int) -> str:
    """
    Give a time as the Date field has it (RFC 5322 3.3).

    @param second: The time, in seconds of the epoch.
    """
    return format_datetime(datetime.fromtimestamp(second, UTC))


def messageId(at: float, token: str, hostname: str) -> str:
    """
    Give a name for a message, as the Message-ID field has it (RFC 5322 3.6.4).

    @param at: When it came, in seconds of the epoch.
    @param token: What tells it from all others, letters and digits.
    @param hostname: The name of this host.
    """
    return f"<{int(at)}.{token}@{hostname}>"
