# -*- test-case-name: relaymail.test.oauth2.test_schedule -*-
"""
When a token server is asked, pure: it is neither hammered, nor asked too late.
"""

from __future__ import annotations

#: Which part of its time a token is used before another one is asked for: what is
#: left is for trying again while the server is down.
USED_PART = 0.8
#: How long before its end that is at the latest, in seconds.
MARGIN = 300.0
#: How long before its end a token is given to nobody any more, in seconds: a session
#: takes a moment to come to it, and clocks differ.
LEEWAY = 30.0

#: The wait after the first failure, in seconds; each further one doubles it.
FIRST_WAIT = 5.0
#: The longest, in seconds.
LONGEST_WAIT = 900.0
#: The wait after a failure that lasts, in seconds: somebody has to do something.
LASTING_WAIT = 3600.0
#: How long a token that a host has refused keeps the next one from being asked for,
#: in seconds after it was had: the first time, and at most.
REFUSED_WAIT = 60.0
LONGEST_REFUSED_WAIT = 900.0


def refreshAfter(lifetime: float) -> float:
    """
    Say when to ask for the next token: at four fifths of a token's time or five
    minutes before its end, whichever is earlier, but not in its first half.

    @param lifetime: How long it is good for, in seconds.

    @return: Seconds after it was had.
    """
    return max(lifetime / 2, min(lifetime * USED_PART, lifetime - MARGIN))


def goodFor(lifetime: float) -> float:
    """
    Say for how long a token is given to who asks, in seconds.

    @param lifetime: How long it is good for, in seconds.
    """
    return max(lifetime - LEEWAY, lifetime / 2)


def waitAfter(failures: int, isLasting: bool, asked: float, chance: float) -> float:
    """
    Say how long not to ask after failures, in seconds.

    @param failures: How many there were one after the other, 1 at least.
    @param isLasting: Whether the last one lasts.
    @param asked: How long the server wants not to be asked, in seconds.
    @param chance: A number from 0 up to, but not including, 1: so that many relays
        do not ask at the same time.
    """
    if isLasting:
        wait = LASTING_WAIT
    else:
        # 2 to this power is more than enough.
        wait = min(FIRST_WAIT * 2.0 ** min(failures - 1, 20), LONGEST_WAIT)
    return max(wait * (0.75 + chance / 2), asked)


def waitAfterRefused(refusals: int) -> float:
    """
    Say how long after a token was had the next one is asked for, where a host has
    refused it.

    @param refusals: How many were refused one after the other, 1 at least.

    @return: Seconds.
    """
    return float(min(REFUSED_WAIT * 2.0 ** min(refusals - 1, 20), LONGEST_REFUSED_WAIT))
