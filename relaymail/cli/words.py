# -*- test-case-name: relaymail.test.cli.test_words -*-
"""
How times, sizes and text from outside are written for people.
"""

from __future__ import annotations

import time
import unicodedata
from datetime import datetime

from relaymail.replies import printable

#: The longest text that is shown in one place, in characters.
MAX_SHOWN = 2000

#: What a duration is told in, the largest first, in seconds; and from how many
#: of the next smaller on.
_AGES = ((86400, "d", 48 * 3600), (3600, "h", 3600), (60, "m", 60), (1, "s", 0))
_SIZES = ((1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K"))


def now() -> float:
    """
    Give the time of the wall clock, in seconds of the epoch.
    """
    return time.clock_gettime(time.CLOCK_REALTIME)


def clean(text: object, limit: int = MAX_SHOWN) -> str:
    """
    Make text safe to show: one line, and nothing that a terminal obeys.
    """
    return printable(str(text), limit)


def age(seconds: float) -> str:
    """
    Write a duration in one unit, such as C{3m}, C{2h} or C{5d}, rounded down.
    """
    for unit, letter, least in _AGES:
        if seconds >= least:
            return f"{int(seconds // unit)}{letter}"
    return "0s"


def size(octets: float) -> str:
    """
    Write a size, such as C{512}, C{1.2K} or C{34M}.
    """
    for unit, letter in _SIZES:
        if octets >= unit:
            value = octets / unit
            return f"{value:.1f}{letter}" if value < 10 else f"{value:.0f}{letter}"
    return str(int(octets))


def moment(seconds: float) -> str:
    """
    Write a time, as ISO 8601 has it and in the zone of this machine.

    @param seconds: Seconds of the epoch.
    """
    try:
        return datetime.fromtimestamp(seconds).astimezone().isoformat(" ", "seconds")
    except (OverflowError, OSError, ValueError):
        return "at no time"


def count(number: int, noun: str) -> str:
    """
    Write how many there are of something.

    @param noun: What one of them is called; more have an C{s}.
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def width(text: str) -> int:
    """
    Give how many columns of a terminal a text takes.
    """
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, columns: int) -> str:
    """
    Make a text no wider than so many columns, with an ellipsis where it was.
    """
    if width(text) <= columns:
        return text
    taken, left = [], columns - 1
    for character in text:
        left -= _columns(character)
        if left < 0:
            break
        taken.append(character)
    return "".join(taken) + "…"


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """
    Make a text as wide as so many columns.

    @param right: Whether it stands at the right.
    """
    space = " " * max(0, columns - width(text))
    return space + text if right else text + space
