# -*- test-case-name: relaymail.test.schedule.test_paces -*-
"""
How many connections a site may have: the hosts that a lane leads to.

A site begins with L{FIRST_PACE} connections.  Each round of deliveries, one for
each connection, gives it one more, up to a limit; each trouble takes half of
them away.  A site that fails L{MANY_FAILURES} times, with nothing between, is
suspended: nothing is sent to it for a while, then a little is, to see whether it
serves again, and if not the next while is longer: as long as the delays between
attempts are, but no longer than L{LONGEST_SUSPENSION}.  An operator can suspend a
site too, for as long as he likes.

L{Paces} also says why: how each site stands (L{Standing}).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from relaymail.schedule.backoff import DEFAULT_RETRY, JITTER

#: How many connections a site may have before anything was delivered: enough
#: to keep an ordinary one busy, few enough not to frighten a small one.
FIRST_PACE = 5
#: How many it may come to have, unless something else is said.
LARGEST_PACE = 20
#: How many failures in a row suspend a site: as many as it may have connections
#: at first, so that one moment's trouble, met by all of them, is just enough.
MANY_FAILURES = 5
#: For how long a site is suspended at most, in seconds: mail waits no longer than
#: this after the site serves again.
LONGEST_SUSPENSION = 900.0
#: How many names are tried to see whether a site serves again.
PROBE = 10
#: After how long without news a site is forgotten, in seconds: it then starts
#: as a new one does.
MEMORY = 7200.0
#: The largest number of sites that are remembered: each is a few hundred bytes;
#: the longest untouched goes first.
MAX_SITES = 10_000
#: When an operator's suspension is looked at again, in seconds: it ends only when
#: he says so, but what rests must have a time.
HELD = 3600.0
#: How much is kept of why something failed, in characters.
MAX_WHY = 200


class State(Enum):
    """
    How a site or a lane stands.  The value is what people read.
    """

    READY = "ready"
    BUSY = "busy"
    THROTTLED = "throttled"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class Standing:
    """
    How a site or a lane stands, and why.

    @ivar state: How.
    @ivar why: Why, in words.
    @ivar until: Until when, in seconds; L{None} where that is not a matter of
        time.
    @ivar allowed: How many connections it may have.
    """

    state: State
    why: str = ""
    until: float | None = None
    allowed: int = 0


@dataclass(slots=True)
class _Site:
    """
    What is known of a site.

    @ivar pace: How many connections it may have.
    @ivar delivered: How many deliveries there were since that was changed.
    @ivar failures: How many failures there were in a row.
    @ivar suspensions: How often it was suspended for them.
    @ivar until: Until when it is suspended, in seconds; 0 for not at all.
    @ivar why: What was last wrong.
    @ivar heard: When there was last news of it, in seconds.
    """

    pace: int = FIRST_PACE
    delivered: int = 0
    failures: int = 0
    suspensions: int = 0
    until: float = 0.0
    why: str = ""
    heard: float = 0.0

    @property
    def isFailing(self) -> bool:
        """
        Whether it is not known to serve.
        """
        return self.failures >= MANY_FAILURES


class Paces:
    """
    How many connections each site may have.

    @ivar largest: How many connections a site may come to have; read whenever
        it is needed.
    @ivar retry: For how long a site is suspended, in seconds, the first time,
        the second and so on; the last repeats.  Read whenever it is needed.
    """

    def __init__(self, largest: int = LARGEST_PACE) -> None:
        """
        @param largest: How many connections a site may come to have.
        """
        self.largest = largest
        self.retry: Sequence[float] = DEFAULT_RETRY
        self._sites: OrderedDict[Hashable, _Site] = OrderedDict()
        self._held: dict[Hashable, str] = {}

    def __iter__(self) -> Iterator[Hashable]:
        """
        Give the sites of which something is known.
        """
        return iter([*self._held, *(s for s in self._sites if s not in self._held)])

    def allowed(self, site: Hashable) -> int:
        """
        Say how many connections a site may have.  One that fails may have one,
        also while it is suspended: whoever lets mail wait for it decides what is
        worth that.
        """
        if site in self._held:
            return 0
        known = self._sites.get(site)
        pace = FIRST_PACE if known is None else known.pace
        if known is not None and known.isFailing:
            pace = 1
        return min(pace, max(self.largest, 1))

    def probe(self, site: Hashable) -> int | None:
        """
        Say how many names are tried at once, where it is not known whether the
        site serves; L{None}: as many as anywhere.
        """
        known = self._sites.get(site)
        return PROBE if known is not None and known.isFailing else None

    def suspendedUntil(self, site: Hashable, now: float) -> float | None:
        """
        Say until when mail for a site is to rest, or L{None} where it need not.

        @param now: The time, in seconds.
        """
        if site in self._held:
            return now + HELD
        known = self._sites.get(site)
        return known.until if known is not None and known.until > now else None

    def isSuspended(self, site: Hashable, now: float) -> bool:
        """
        Tell whether a site is suspended because it failed.

        @param now: The time, in seconds.
        """
        known = self._sites.get(site)
        return known is not None and known.until > now

    def restsUntil(self, places: Iterable[Hashable], now: float) -> float | None:
        """
        Say until when mail is to rest that needs all of some to be served, or L{None}
        where it need not.  It is asked for each name.

        @param now: The time, in seconds.
        """
        last = None
        for place in places:
            until = self.suspendedUntil(place, now)
            if until is not None and (last is None or until > last):
                last = until
        return last

    @property
    def holds(self) -> bool:
        """
        Whether an operator has suspended anything.
        """
        return bool(self._held)

    def isHeld(self, site: Hashable) -> bool:
        """
        Tell whether an operator has suspended a site.
        """
        return site in self._held

    def standing(self, site: Hashable, now: float) -> Standing:
        """
        Say how a site stands.

        @param now: The time, in seconds.
        """
        allowed = self.allowed(site)
        if site in self._held:
            return Standing(State.SUSPENDED, self._held[site], None, allowed)
        known = self._sites.get(site)
        if known is None:
            return Standing(State.READY, "", None, allowed)
        if known.until > now:
            why = f"failed {known.failures} times in a row, last: {known.why}"
            return Standing(State.SUSPENDED, why, known.until, allowed)
        if known.why and known.pace < FIRST_PACE:
            return Standing(State.THROTTLED, known.why, None, allowed)
        return Standing(State.READY, "", None, allowed)

    # What is heard of a site.

    def noteDelivered(self, site: Hashable, now: float) -> bool:
        """
        Note that a site has taken a message.

        @param now: The time, in seconds.

        @return: Whether it was not known to serve.
        """
        known = self._meet(site, now)
        wasFailing = _serves(known)
        known.delivered += 1
        if known.delivered >= known.pace and known.pace < self.largest:
            known.pace, known.delivered = known.pace + 1, 0
        return wasFailing

    def noteAnswer(self, site: Hashable) -> bool:
        """
        Note that a site serves, though it took nothing.

        @return: Whether it was not known to serve.
        """
        known = self._sites.get(site)
        if known is None:
            return False
        return _serves(known)

    def noteTrouble(self, site: Hashable, now: float, why: str) -> None:
        """
        Note that a site wants less.

        @param now: The time, in seconds.
        @param why: What it said.
        """
        known = self._meet(site, now)
        known.why = why[:MAX_WHY]
        known.pace, known.delivered = max(known.pace // 2, 1), 0

    def noteFailure(
        self, site: Hashable, now: float, why: str, chance: float
    ) -> float | None:
        """
        Note that a site did not serve.

        @param now: The time, in seconds.
        @param why: What was wrong.
        @param chance: A random number from 0 up to, but not including, 1.

        @return: Until when it is suspended for this, in seconds, or L{None}.
        """
        self.noteTrouble(site, now, why)
        known = self._sites[site]
        known.failures += 1
        if not known.isFailing or known.until > now:
            return None
        length = self.retry[min(known.suspensions, len(self.retry) - 1)]
        known.suspensions += 1
        spread = 1 + JITTER * (2 * chance - 1)
        known.until = now + min(length * spread, LONGEST_SUSPENSION)
        return known.until

    # What an operator says.

    def hold(self, site: Hashable, why: str) -> None:
        """
        Suspend a site until L{resume}.

        @param why: Why, in words.
        """
        self._held[site] = why[:MAX_WHY]

    def resume(self, site: Hashable) -> bool:
        """
        Have a site served again, as a new one.

        @return: Whether it was suspended.
        """
        wasHeld = self._held.pop(site, None) is not None
        known = self._sites.pop(site, None)
        return wasHeld or (known is not None and known.until > 0)

    def _meet(self, site: Hashable, now: float) -> _Site:
        known = self._sites.get(site)
        if known is None or now - known.heard > MEMORY:
            known = self._sites[site] = _Site()
        known.heard = now
        self._sites.move_to_end(site)
        if len(self._sites) > MAX_SITES:
            self._sites.popitem(last=False)
        return known


def _serves(site: _Site) -> bool:
    """
    Note that a site serves.

    @return: Whether that is news.
    """
    wasFailing = site.isFailing
    site.failures, site.suspensions, site.until = 0, 0, 0.0
    return wasFailing
