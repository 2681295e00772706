# -*- test-case-name: relaymail.test.deliver.test_times -*-
"""
How long a message is tried, by what its sender said.
"""

from __future__ import annotations

from relaymail.envelopes import NO_PARAMETERS, Parameters


def beganAt(arrived: float, parameters: Parameters) -> float:
    """
    Say from when the time of a message is counted: what was held back was not tried
    before (RFC 4865 4).

    @param arrived: When it was accepted, in seconds.

    @return: When that is, in seconds of the same clock.
    """
    if parameters is NO_PARAMETERS or parameters.holdUntil is None:
        return arrived
    return max(arrived, parameters.holdUntil)


def isOver(arrived: float, parameters: Parameters, expiry: float, now: float) -> bool:
    """
    Tell whether the time of a message is over: it is tried a last time, or
    returned because that is of no use any more (RFC 2852 4.1.4).

    @param arrived: When it was accepted, in seconds.
    @param expiry: How long a message is tried, in seconds.
    @param now: The time, in seconds.
    """
    if parameters is NO_PARAMETERS:
        return now >= arrived + expiry
    by = parameters.deliverBy
    if by is not None and by.returns and now >= by.at:
        return True
    return now >= beganAt(arrived, parameters) + expiry


def inTime(when: float, parameters: Parameters, now: float) -> float | None:
    """
    Say when a message is to be looked at again, that would be tried at a time: not
    after that until which it is to be delivered, so that its sender is told in time.

    @param when: When it would be tried, in seconds.
    @param now: The time, in seconds.

    @return: When, in seconds; L{None}: it is too late, and it is returned.
    """
    by = parameters.deliverBy
    if by is None:
        return when
    if now < by.at:
        return min(when, by.at)
    return None if by.returns else when
