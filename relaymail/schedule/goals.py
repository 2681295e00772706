# -*- test-case-name: relaymail.test.schedule.test_lanes -*-
"""
Where lanes lead to, and what limits them.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from relaymail.schedule.rates import Limit


class LimitedLane(NamedTuple):
    """
    A lane of mail that is limited by a rate; any other lane is its goal alone.

    @ivar goal: Where it leads to: what other lanes there are.
    @ivar limits: What limits it.
    """

    goal: Hashable
    limits: tuple[Limit, ...]

    def __str__(self) -> str:
        """
        Give it as people read it.
        """
        return f"{self.goal} ({', '.join(map(str, self.limits))})"


def goalOf(lane: Hashable) -> Hashable:
    """
    Give where a lane leads to: a destination, or the hosts that get its mail.
    """
    return lane.goal if isinstance(lane, LimitedLane) else lane


def limitsOf(lane: Hashable) -> tuple[Limit, ...]:
    """
    Give what limits a lane.
    """
    return lane.limits if isinstance(lane, LimitedLane) else ()
