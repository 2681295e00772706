# -*- test-case-name: relaymail.test.schedule.test_rates -*-
"""
How much may go to a destination, or come from a sender, in a time.

A L{Rate} is so many recipients in so many seconds.  Each L{Limit} has a bucket
(L{Rates}) that holds as much as the rate allows at once and fills again
evenly; what is started takes from it, and who finds too little waits.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from relaymail.addresses import localKey
from relaymail.errors import ConfigurationError

#: The name that stands for each destination or sender that is not named.
EACH = "*"
#: How many buckets are remembered: each is some hundred bytes.  The longest
#: untouched goes first, and is full when it is made again.
MAX_BUCKETS = 10_000
#: The most recipients a rate may allow in its time: more is no limit.
MAX_COUNT = 1_000_000_000

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_RATE = re.compile(r"([1-9][0-9]{0,9})\s*/\s*([1-9][0-9]{0,3})?\s*([smhd])\Z")


class Side(Enum):
    """
    What a limit is of.  The value is what people read.
    """

    DESTINATION = "destination"
    SENDER = "sender"


@dataclass(frozen=True, slots=True)
class Rate:
    """
    So many recipients in so many seconds.

    @ivar count: How many, which is also how many at once.
    @ivar seconds: In which time.
    """

    count: int
    seconds: float

    def __str__(self) -> str:
        """
        Give it as people write it.
        """
        for unit, size in reversed(_UNITS.items()):
            times, rest = divmod(self.seconds, size)
            if times and not rest:
                return f"{self.count}/{'' if times == 1 else f'{times:.0f}'}{unit}"
        return f"{self.count}/{self.seconds:g}s"


class Limit(NamedTuple):
    """
    What is limited.

    @ivar side: Whether it is a destination or a sender.
    @ivar name: Which one.
    @ivar rate: To how much.
    """

    side: Side
    name: str
    rate: Rate

    def __str__(self) -> str:
        """
        Give it as people read it.
        """
        return f"{self.rate} for the {self.side.value} {self.name}"


def parseRate(text: str) -> Rate:
    """
    Read a rate.

    @param text: Such as C{"100/m"}, C{"5/s"} or C{"1000/10m"}.

    @raise ConfigurationError: When it is none.
    """
    found = _RATE.match(text.strip().lower())
    if found is None or int(found[1]) > MAX_COUNT:
        raise ConfigurationError(
            f"{text[:40]!r} is not a rate: write a number of recipients, a slash and a "
            "time, such as 5/s, 100/m, 1000/10m or 10000/d"
        )
    return Rate(int(found[1]), int(found[2] or 1) * _UNITS[found[3]])


def limitsFor(
    destination: str,
    sender: str,
    destinations: Mapping[str, Rate],
    senders: Mapping[str, Rate],
) -> tuple[Limit, ...]:
    """
    Say what limits mail.

    @param destination: The domain it goes to.
    @param sender: The address it is from.
    @param destinations: The rates of destinations, by domain; L{EACH} for each
        that is not named.
    @param senders: The rates of senders, by address or by domain, all in
        lower case; the address goes first, and L{EACH} is for each address of
        which nothing is said.
    """
    limits = []
    rate = destinations.get(destination) or destinations.get(EACH)
    if rate is not None:
        limits.append(Limit(Side.DESTINATION, destination, rate))
    if senders and sender:
        local, _, domain = sender.lower().rpartition("@")
        sender = f"{localKey(local)}@{domain}"
        name = next((n for n in (sender, domain) if n in senders), EACH)
        if name in senders:
            shown = sender if name == EACH else name
            limits.append(Limit(Side.SENDER, shown, senders[name]))
    return tuple(limits)


@dataclass(slots=True)
class _Bucket:
    """
    What is left of a limit.
    """

    left: float
    at: float


class Rates:
    """
    What is left of each limit.
    """

    def __init__(self) -> None:
        self._buckets: OrderedDict[Limit, _Bucket] = OrderedDict()

    def left(self, limits: Iterable[Limit], now: float) -> int | None:
        """
        Say how many recipients may start now under several limits, or L{None}
        where there is no limit.

        @param now: The time, in seconds.
        """
        counts = [int(self._filled(limit, now).left) for limit in limits]
        return min(counts) if counts else None

    def take(self, limits: Iterable[Limit], count: int, now: float) -> None:
        """
        Note that so many recipients start.

        @param now: The time, in seconds.
        """
        for limit in limits:
            self._filled(limit, now).left -= count

    def when(self, limits: Iterable[Limit], now: float) -> tuple[float, Limit | None]:
        """
        Say when the next recipient may start, and what it waits for.

        @param now: The time, in seconds.

        @return: The time, in seconds, and the limit; C{now} and L{None} where
            one may start now.
        """
        last: tuple[float, Limit | None] = (now, None)
        for limit in limits:
            wants = 1 - self._filled(limit, now).left
            rate = limit.rate
            # A little more, so that rounding does not find it a hair too few.
            time = now + wants * rate.seconds / rate.count * (1 + 1e-9) + 1e-6
            if wants > 0 and time > last[0]:
                last = (time, limit)
        return last

    def _filled(self, limit: Limit, now: float) -> _Bucket:
        bucket = self._buckets.get(limit)
        if bucket is None:
            bucket = self._buckets[limit] = _Bucket(limit.rate.count, now)
            if len(self._buckets) > MAX_BUCKETS:
                self._buckets.popitem(last=False)
            return bucket
        self._buckets.move_to_end(limit)
        # A clock that went back has given nothing.
        gone = max(now - bucket.at, 0.0)
        rate = limit.rate
        bucket.left = min(bucket.left + gone * rate.count / rate.seconds, rate.count)
        bucket.at = now
        return bucket
