# -*- test-case-name: relaymail.test.admin.test_recent -*-
"""
What became of mail lately: the last outcomes by name, how many there were, and
what each destination said last.  All of it is bounded, and costs about a
microsecond for each recipient.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from relaymail.addresses import MAX_DOMAIN
from relaymail.envelopes import Letter
from relaymail.outcome.lines import NOTHING
from relaymail.outcomes import Outcome
from relaymail.replies import printable

#: Of how many names is known what became of them: some megabytes.
MAX_NAMES = 10_000
#: How many destinations are counted by themselves; a monitor keeps each of them
#: for ever, and anybody can send to new ones.
MAX_COUNTED = 200
#: Of how many destinations is known what they said last.
MAX_REPLIES = 2_000
#: What the destinations are called that are not counted by themselves.
OTHER = "other"
#: For how long it is reckoned how fast it goes, in seconds.
SPAN = 60
#: How far apart what is kept for that is at least, in seconds.
LEAST = 1.0

DELIVERED = "delivered"
RETRIED = "retried"
BOUNCED = "bounced"
EXPIRED = "expired"
REMOVED = "removed"
DISCARDED = "discarded"
#: What can become of a name.
KINDS = (DELIVERED, RETRIED, BOUNCED, EXPIRED, REMOVED, DISCARDED)

# By what the log says; "settled" is what a program of its own may call it.
_KINDS = {
    "delivered": DELIVERED,
    "settled": DELIVERED,
    "retry": RETRIED,
    "bounced": BOUNCED,
    "expired": EXPIRED,
    "removed": REMOVED,
    "discarded": DISCARDED,
}
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Past:
    """
    What became of a name.

    @ivar sender: The reverse-path.
    @ivar recipient: The forward-path.
    @ivar arrived: When it was accepted, in seconds of the epoch.
    @ivar attempts: How many attempts there were.
    @ivar time: When it was so, in seconds of the epoch.
    @ivar kind: One of L{KINDS}.
    @ivar reply: What was said, as one printable line.
    @ivar status: The enhanced status code.
    @ivar host: The host, or empty.
    @ivar address: Its address, or empty.
    @ivar tls: The version of TLS, or empty.
    """

    sender: str
    recipient: str
    arrived: float
    attempts: int
    time: float
    kind: str
    reply: str = ""
    status: str = ""
    host: str = ""
    address: str = ""
    tls: str = ""


class _Site:
    """
    What is known of a destination.
    """

    __slots__ = ("counts", "reply")

    def __init__(self, counts: dict[str, int]) -> None:
        self.counts = counts
        self.reply = NOTHING


class RecentOutcomes:
    """
    The last outcomes.

    @ivar byDestination: How many there were of each of L{KINDS}, by destination;
        L{OTHER} are those that are not counted by themselves.
    """

    def __init__(self) -> None:
        self.byDestination: dict[str, dict[str, int]] = {OTHER: dict.fromkeys(KINDS, 0)}
        self._sites: dict[str, _Site] = {}
        # Two generations: to drop the older at once costs less than to drop the
        # oldest name by name.
        self._young: dict[str, tuple[Any, ...]] = {}
        self._old: dict[str, tuple[Any, ...]] = {}

    @property
    def counts(self) -> dict[str, int]:
        """
        How many there were of each of L{KINDS}.
        """
        each = self.byDestination.values()
        return {kind: sum(counts[kind] for counts in each) for kind in KINDS}

    def __contains__(self, name: str) -> bool:
        """
        Tell whether it is known what became of a name.
        """
        return name in self._young or name in self._old

    def get(self, name: str) -> Past | None:
        """
        Say what became of a name, if that is known.
        """
        found = self._young.get(name) or self._old.get(name)
        if found is None:
            return None
        sender, recipient, arrived, attempts, delay, kind, *told = found
        return Past(
            sender,
            recipient,
            arrived,
            attempts,
            arrived + delay,
            kind,
            *map(_plain, told),
        )

    def lastReply(self, destination: str) -> str:
        """
        Say what a destination said last, as one printable line, or empty.
        """
        site = self._sites.get(destination)
        return "" if site is None else _plain(site.reply)

    def noteOutcome(
        self, name: str, letter: Letter, outcome: Outcome, fields: Mapping[str, Any]
    ) -> None:
        """
        Note what became of an attempt for a name: what C{onOutcome} of a relaying
        manager is.

        @param fields: What the log says of it.
        """
        kind, recipient = _KINDS[fields["outcome"]], letter[1]
        destination = recipient.rpartition("@")[2].lower()
        site = self._sites.get(destination) or self._meet(destination)
        site.counts[kind] += 1
        site.reply = fields["reply"]
        if kind is not RETRIED:
            young = self._young
            young[name] = (
                letter[0],
                recipient,
                letter.arrived,
                letter.attempts,
                fields["delay"],
                kind,
                fields["reply"],
                fields["status"],
                fields["host"],
                fields["address"],
                fields["tls"],
            )
            if len(young) >= MAX_NAMES // 2:
                self._old, self._young = young, {}

    def _meet(self, destination: str) -> _Site:
        shown, counted = printable(destination, MAX_DOMAIN), self.byDestination
        if shown not in counted and len(counted) <= MAX_COUNTED:
            counted[shown] = dict.fromkeys(KINDS, 0)
        counts = counted.get(shown) or counted[OTHER]
        if len(self._sites) >= MAX_REPLIES:
            # What is counted by itself keeps its counters.
            self._sites = {d: s for d, s in self._sites.items() if d in counted}
        site = self._sites[destination] = _Site(counts)
        return site


def _plain(value: str) -> str:
    """
    Give what a value in a log line says.
    """
    if value == NOTHING:
        return ""
    return _ESCAPED.sub(r"\1", value[1:-1]) if value.startswith('"') else value


class Rates:
    """
    How fast counters grow: reckoned from what they were up to L{SPAN} seconds ago.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, Mapping[str, int]]] = deque()

    def note(self, now: float, counters: Mapping[str, int]) -> None:
        """
        Note what the counters are.

        @param now: The time, in seconds.
        """
        seen = self._seen
        if seen and now < seen[-1][0]:
            # The clock was set back.
            seen.clear()
        if len(seen) > 1 and seen[-1][0] - seen[-2][0] < LEAST:
            # Somebody asks all the time.
            seen.pop()
        seen.append((now, dict(counters)))
        # One from before the span is needed to reckon with.
        while len(seen) > 2 and seen[1][0] <= now - SPAN:
            seen.popleft()

    def perSecond(self, name: str) -> float:
        """
        Say how much a counter has grown each second; 0 where that is not yet
        known.
        """
        if len(self._seen) < 2:
            return 0.0
        (then, before), (now, after) = self._seen[0], self._seen[-1]
        grown = after.get(name, 0) - before.get(name, 0)
        return max(grown, 0) / (now - then) if now > then else 0.0
