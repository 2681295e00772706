# -*- test-case-name: relaymail.test.route.sts.test_ages -*-
"""
How long policies of MTA-STS hold, when they are had anew, and when it is tried again
after that failed.

Times are in seconds; chance is a number from 0 up to, but not including, 1.
"""

from __future__ import annotations

#: How long a policy holds at the least: with less each message would fetch it.
SHORTEST = 60.0
#: How often a policy is had anew (RFC 8461 3.3 suggests a day), and at which part of
#: its life where that is shorter.
DAY = 86400.0
PART = 0.5
#: How much earlier it may be, so that not all are fetched at a time.
JITTER = 0.25
#: How soon at the earliest, and then after a time that it did not work.
SOONEST = 1800.0
#: How long a domain is not asked again of which a policy could not be had, at first
#: and at the most (RFC 8461 3.3: five minutes or longer).
FIRST_WAIT = 300.0
LONGEST_WAIT = 3600.0
#: How long after the last mail to a domain its policy is had anew.
UNUSED_AFTER = 90 * DAY


def isOver(fetched: float, maxAge: float, now: float) -> bool:
    """
    Tell whether a policy holds no more (RFC 8461 3.2).

    One of the future was had before the clock was set back, and holds.

    @param fetched: When it was had.
    @param maxAge: For how long it holds.
    @param now: The time.
    """
    return now - fetched >= max(maxAge, SHORTEST)


def refreshAfter(maxAge: float, chance: float) -> float:
    """
    Say how long after it was had a policy is had anew.

    @param maxAge: For how long it holds.
    @param chance: Chance.
    """
    wait = min(DAY, maxAge * PART) * (1 - JITTER * chance)
    return max(wait, SOONEST)


def refreshAgainAfter(left: float, chance: float) -> float:
    """
    Say when it is tried again after that did not work: the more often the nearer the
    end is.

    @param left: For how long the policy still holds.
    @param chance: Chance.
    """
    wait = min(DAY / 4, left / 4) * (1 - JITTER * chance)
    return max(wait, SOONEST)


def waitAfter(failures: int, chance: float) -> float:
    """
    Say how long a domain is not asked for its policy.

    @param failures: How often in a row it could not be had, at least once.
    @param chance: Chance.
    """
    wait = FIRST_WAIT * 2.0 ** min(failures - 1, 10)
    return min(wait, LONGEST_WAIT) * (1 + JITTER * chance)


def isUsed(used: float, now: float) -> bool:
    """
    Tell whether a policy is worth to be had anew.

    @param used: When it was asked for last.
    @param now: The time.
    """
    return now - used < UNUSED_AFTER
