# -*- test-case-name: relaymail.test.schedule.test_backoff -*-
"""
When to try again (RFC 5321 4.5.4.1).

The delays grow from a minute, which serves hosts that greylist, to an hour,
which is repeated until the message expires.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from relaymail.errors import ConfigurationError

#: The delays between attempts, in seconds; the last one repeats.
DEFAULT_RETRY: tuple[float, ...] = (60.0, 300.0, 900.0, 1800.0, 3600.0)
#: How long mail is tried, in seconds: RFC 5321 4.5.4.1 asks for at least 4 to
#: 5 days.
DEFAULT_EXPIRY: float = 5 * 86400.0
#: The share by which a delay is made longer or shorter, so that what failed
#: together does not come back together.
JITTER: float = 0.2
#: The shortest delay, in seconds: an attempt that fails at once must not
#: become a loop.
MIN_DELAY: float = 1.0
#: The longest duration that is taken, in seconds: a year; more is a typing
#: error.
MAX_DURATION: float = 365 * 86400.0
#: The largest number of delays in a list: more is a typing error.
MAX_DELAYS = 100

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"([0-9]{1,9})\s*([smhdw]?)\Z")
#: How much of a wrong value an error shows, in characters.
_SHOWN = 40


def nextAttempt(
    attempts: int,
    arrived: float,
    now: float,
    chance: float,
    retry: Sequence[float] = DEFAULT_RETRY,
    expiry: float = DEFAULT_EXPIRY,
) -> float | None:
    """
    Say when a name is to be tried again, after an attempt has failed.

    Mail expires only as the result of an attempt that failed at or after its
    expiry time.  So a time that would lie beyond it is pulled back to just it:
    the last attempt is made then, and there is always one.

    @param attempts: How many attempts were made, at least 1.
    @param arrived: When the message was accepted, in seconds.
    @param now: The time, in seconds of the same clock.
    @param chance: A random number from 0 up to, but not including, 1.
    @param retry: The delays after each attempt, in seconds, not empty; the
        last one repeats.
    @param expiry: How long the message is tried, in seconds.

    @return: The time, later than C{now}, or L{None} when the message is
        expired.
    """
    end = arrived + expiry
    if now >= end:
        return None
    delay = retry[min(max(attempts, 1), len(retry)) - 1]
    spread = 1 + JITTER * (2 * chance - 1)
    return min(now + max(delay * spread, MIN_DELAY), end)


def parseDuration(text: str) -> float:
    """
    Read a duration: a whole number with C{s}, C{m}, C{h}, C{d} or C{w}, or
    with nothing for seconds.

    @param text: Such as C{"5d"}, C{"1m"} or C{"90"}.

    @return: The duration, in seconds.

    @raise ConfigurationError: When it is not a duration, or one longer than
        L{MAX_DURATION}.
    """
    found = _DURATION.match(text.strip().lower())
    if found is None:
        raise ConfigurationError(
            f"{text[:_SHOWN]!r} is not a duration: "
            "write a whole number and s, m, h, d or w, such as 30s, 5m or 2d"
        )
    seconds = float(int(found[1]) * _UNITS[found[2]])
    if seconds > MAX_DURATION:
        raise ConfigurationError(f"{text[:_SHOWN]!r} is longer than a year")
    return seconds


def showDuration(seconds: float) -> str | float:
    """
    Give a duration as people write it; one that is no whole number of seconds is
    a number.
    """
    for unit, size in reversed(_UNITS.items()):
        if unit and seconds % size == 0:
            return f"{seconds // size:.0f}{unit}"
    return seconds
