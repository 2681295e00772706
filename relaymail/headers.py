# -*- test-case-name: relaymail.test.test_headers -*-
"""
The header block of a message: where it ends, which fields it has, the two that
every message must have (RFC 5322 2.1, 3.6), and the one that says that its protection
on the way may be done without (RFC 8689 3).

Content is canonical here: every line ends in CRLF.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from itertools import islice

#: What a field begins with: its name and the colon (RFC 5322 2.2; the space is
#: the old syntax of 4.5).
FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")
#: What the line end of the last field and the empty line look like.
HEADER_END = b"\r\n\r\n"
#: The largest header of a program's message that is looked through, in octets: as
#: much as a client may send by default.
MAX_HEADER = 262_144
#: The name of the field of RFC 8689 3, in lower case.
TLS_REQUIRED = b"tls-required"
#: The longest value of it that is looked at, in octets: one line (RFC 5322 2.1.1),
#: which bounds how deep its comments go.
MAX_TLS_REQUIRED = 998

#: How many seconds' dates are remembered: many messages come in one.
_SECONDS = 8

_TLS_REQUIRED = re.compile(
    rb"(?:\A|(?<=\r\n))" + TLS_REQUIRED + rb"[ \t]*:"
    rb"((?:[^\r]|\r(?!\n)|\r\n[ \t])*+)",
    re.IGNORECASE,
)
# One without another one in it (RFC 5322 3.2.2).
_COMMENT = re.compile(rb"\((?:[^()\\]|\\.)*\)")
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


def headerOf(content: bytes) -> bytes:
    """
    Give the header of a message without the line end of its last field; nothing
    where the content begins with no field, or has more than L{MAX_HEADER}.
    """
    head = content[:MAX_HEADER]
    end = head.find(HEADER_END)
    if FIELD.match(head) is None or (end < 0 and len(content) > MAX_HEADER):
        return b""
    return head[:end] if end >= 0 else head


def isTLSOptional(header: bytes) -> bool:
    """
    Tell whether a header says C{TLS-Required: No} (RFC 8689 3): in one field, with
    no other value, comments aside.  One that says it twice says nothing, for it is
    not legal, and to be protected is what is safe.

    @param header: The fields, as L{headerOf} gives them.
    """
    if TLS_REQUIRED not in header.lower():
        return False
    values = [found[1] for found in islice(_TLS_REQUIRED.finditer(header), 2)]
    if len(values) != 1 or len(values[0]) > MAX_TLS_REQUIRED:
        return False
    value, isDone = values[0].replace(b"\r\n", b""), 0
    while not isDone:
        # From the inside out; each time there is less of it.
        value, count = _COMMENT.subn(b" ", value)
        isDone = not count
    return value.strip(b" \t").lower() == b"no"


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
