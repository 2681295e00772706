# -*- test-case-name: relaymail.test.tlsreports.test_schedule -*-
"""
When the reports of a day go, and when they are tried again.
"""

from __future__ import annotations

#: Within how long after its day each report goes, in seconds, each at a time of its
#: own: all relays end their days at the same moment (RFC 8460 4.1).
SPREAD = 4 * 60 * 60
#: How long is waited after each failure to tell a domain, in seconds; the last
#: repeats.
AGAIN = (15 * 60, 60 * 60, 4 * 60 * 60)
#: Until when after its day a report is tried, in seconds (RFC 8460 5.5): then there
#: is the next.
GIVE_UP = 24 * 60 * 60


def firstTime(end: float, chance: float) -> float:
    """
    Say when the report of a domain goes.

    @param end: When the day ended, in seconds of the epoch.
    @param chance: A number from 0 up to, but not including, 1.
    """
    return end + SPREAD * chance


def nextTime(end: float, failures: int, now: float) -> float | None:
    """
    Say when a report is tried again, or L{None}: never.

    @param end: When its day ended, in seconds of the epoch.
    @param failures: How often it was tried, at least once.
    @param now: When it failed, in seconds of the epoch.
    """
    when = now + AGAIN[min(failures, len(AGAIN)) - 1]
    return when if when <= end + GIVE_UP else None
