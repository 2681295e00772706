# -*- test-case-name: relaymail.test.route.sts.test_cache -*-
"""
The policies that are known, within bounds, and when each is to be had anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from heapq import nsmallest

from relaymail.route.sts.ages import isOver, isUsed
from relaymail.route.sts.policy import STSMode
from relaymail.route.sts.storing import Kept

#: How many policies are kept: as many domains as a large relay gives mail to.
MAX_POLICIES = 20_000
#: How long all of them may be, in characters.
MAX_TOTAL = 32 * 1024 * 1024
#: How long one is that is of the usual kind, in characters: longer ones go first
#: when there is no room, so that nobody drives out others with a few.
USUAL = 4096


class Cache:
    """
    Policies by their domains.
    """

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}
        self._due: dict[str, float] = {}
        self._total = 0

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Kept]:
        return iter(self._kept.values())

    def get(self, domain: str, now: float) -> Kept | None:
        """
        Give what is known of a domain, where that still holds.
        """
        kept = self._kept.get(domain)
        if kept is None or isOver(kept.fetched, kept.policy.maxAge, now):
            return None
        return kept

    def use(self, domain: str, now: float) -> None:
        """
        Note that mail goes to a domain.
        """
        kept = self._kept.get(domain)
        if kept is not None:
            self._kept[domain] = replace(kept, used=now)

    def put(self, kept: Kept, due: float) -> list[str]:
        """
        Keep something, in the place of what was kept of its domain.

        @param kept: It.
        @param due: When it is to be had anew.

        @return: The domains that there was no room for any more.
        """
        self.drop(kept.domain)
        self._kept[kept.domain], self._due[kept.domain] = kept, due
        self._total += _sizeOf(kept)
        driven = []
        while len(self._kept) > MAX_POLICIES or self._total > MAX_TOTAL:
            least = min(self._kept.values(), key=_worth).domain
            self.drop(least)
            driven.append(least)
        return driven

    def drop(self, domain: str) -> None:
        """
        Keep nothing of a domain.
        """
        kept = self._kept.pop(domain, None)
        if kept is not None:
            del self._due[domain]
            self._total -= _sizeOf(kept)

    def postpone(self, domain: str, due: float) -> None:
        """
        Say when what is kept of a domain, if anything, is to be had anew.
        """
        if domain in self._kept:
            self._due[domain] = due

    def due(self, now: float, limit: int) -> list[Kept]:
        """
        Give the policies that are to be had anew, those first that end first.

        Those that no mail has gone to for long, and those that protect none, are left
        to their end.

        @param limit: The most to give.
        """
        found = (
            kept
            for domain, kept in self._kept.items()
            if self._due[domain] <= now and _isWanted(kept, now)
        )
        return nsmallest(limit, found, key=endOf)

    def over(self, now: float) -> list[str]:
        """
        Give the domains whose policies hold no more.
        """
        return [domain for domain in self._kept if self.get(domain, now) is None]


def endOf(kept: Kept) -> float:
    """
    Say until when a policy holds, in seconds of the epoch.
    """
    return kept.fetched + kept.policy.maxAge


def _isWanted(kept: Kept, now: float) -> bool:
    return kept.policy.mode is not STSMode.NONE and isUsed(kept.used, now)


def _sizeOf(kept: Kept) -> int:
    return sum(map(len, kept.policy.lines))


def _worth(kept: Kept) -> tuple[bool, bool, float]:
    """
    Say how much a policy is missed: what protects mail goes last, and of that what
    was used last.
    """
    isProtecting = kept.policy.mode is STSMode.ENFORCE
    return isProtecting, _sizeOf(kept) <= USUAL, kept.used
