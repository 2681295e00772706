# -*- test-case-name: relaymail.test.outcome.test_notices -*-
"""
The lines of a notice.

Text from outside (what the remote said, addresses, names) stands in it as one
bounded line, so that it cannot add a field, a part or a line of its own.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import format_datetime

from relaymail.replies import printable

#: RFC 5322 2.1.1, RFC 2045 2.7: the longest line, in bytes without CRLF.
MAX_LINE = 998
#: Where the lines of a notice are folded, in characters (RFC 5322 2.1.1).
FOLD = 76
#: The longest text of a line from outside, in bytes: it has room for the name of
#: its field.
MAX_TEXT_BYTES = 900
#: The last second that a date can show, at the end of the year 9999.
MAX_TIME = 253_402_300_799.0


def plain(text: str) -> str:
    """
    Make text from outside one bounded line of printable characters.
    """
    line = " ".join(printable(text).split())
    if line.isascii():
        return line
    return line.encode("utf-8", "replace")[:MAX_TEXT_BYTES].decode("utf-8", "ignore")


def folded(name: str, value: str) -> list[str]:
    """
    Write a field, folded between words (RFC 5322 2.2.3).
    """
    return textwrap.wrap(
        f"{name}: {plain(value)}",
        FOLD,
        subsequent_indent=" ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def joined(lines: Iterable[str], isUTF8: bool) -> bytes:
    """
    Put lines together.

    @param isUTF8: Whether they may have more than ASCII; else a question mark
        stands for what is no ASCII.
    """
    text = "".join(f"{line}\r\n" for line in lines)
    return text.encode("utf-8" if isUTF8 else "ascii", "replace")


def dated(seconds: float) -> str:
    """
    Give a time as RFC 5322 3.3 writes it; one that no calendar has is the
    nearest that it has.

    @param seconds: The time, in seconds of the epoch.
    """
    bounded = min(max(0.0, seconds), MAX_TIME)
    return format_datetime(datetime.fromtimestamp(int(bounded), UTC))
