# -*- test-case-name: relaymail.test.route.sts.test_telling -*-
"""
What is known of a policy of MTA-STS, in words.
"""

from __future__ import annotations

from datetime import UTC, datetime

from relaymail.protections import TLSResult
from relaymail.replies import printable
from relaymail.route.sts.cache import endOf
from relaymail.route.sts.policy import NOTHING, Found, STSMode
from relaymail.route.sts.storing import Kept


def foundOf(
    kept: Kept | None, problem: TLSResult | None = None, why: str = ""
) -> Found:
    """
    Say what is known of the policy of a domain.

    @param kept: What is kept of it, where that still holds.
    @param problem: Why there is no newer one, for reports.
    @param why: What is known beyond that.
    """
    if kept is None:
        return Found(problem=problem, why=printable(why)) if why else NOTHING
    policy = kept.policy
    told = (
        f"the policy of {kept.domain} (mode {policy.mode.value}, id {policy.id}) was "
        f"had on {timeText(kept.fetched)} and holds until {timeText(endOf(kept))}"
    )
    if why:
        told += f"; {why}"
    isMeant = policy.mode is not STSMode.NONE
    return Found(policy if isMeant else None, problem, printable(told))


def timeText(seconds: float) -> str:
    """
    Write a time for people.

    @param seconds: The time, in seconds of the epoch.
    """
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, ValueError, OSError):
        return "a time that no clock shows"
