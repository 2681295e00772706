# -*- test-case-name: relaymail.test.testing.test_links -*-
"""
What a network does to what is sent over it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

#: How long it takes until a segment that was lost is sent again, in seconds
#: (RFC 6298 2.1: the first time-out of a connection).
RETRANSMISSION = 1.0
#: How often a segment may be lost in a row.
MAX_LOSSES = 6


@dataclass(frozen=True, slots=True)
class Link:
    """
    The way between two hosts.

    @ivar latency: How long a segment is under way, in seconds, one way.
    @ivar loss: The chance, from 0 to below 1, that a segment is lost.  One of a
        connection is sent again and comes late, with all that is behind it;
        a datagram does not come.
    @ivar segment: The most bytes that come in one segment; 1 for one byte at a
        time.  L{None} for as many as were written at once.
    @ivar ragged: Whether segments are of any size up to C{segment}, by
        chance, instead of as large as may be.
    """

    latency: float = 0.0
    loss: float = 0.0
    segment: int | None = None
    ragged: bool = False

    def __post_init__(self) -> None:
        """
        @raise ValueError: When a value makes no sense.
        """
        if self.latency < 0 or not 0 <= self.loss < 1:
            raise ValueError(f"{self} is no link: latency >= 0, 0 <= loss < 1")
        if self.segment is not None and self.segment < 1:
            raise ValueError(f"{self} is no link: a segment has a byte")

    def pieces(self, data: bytes, chance: random.Random) -> Iterator[bytes]:
        """
        Cut what was written into segments.
        """
        if self.segment is None:
            if data:
                yield data
            return
        start = 0
        while start < len(data):
            size = chance.randint(1, self.segment) if self.ragged else self.segment
            yield data[start : start + size]
            start += size

    def delay(self, chance: random.Random) -> float:
        """
        Say how long one segment of a connection is under way, in seconds.
        """
        late = 0.0
        for _ in range(MAX_LOSSES if self.loss else 0):
            if chance.random() >= self.loss:
                break
            late += RETRANSMISSION
        return self.latency + late

    def loses(self, chance: random.Random) -> bool:
        """
        Say whether a datagram is lost.
        """
        return bool(self.loss) and chance.random() < self.loss


#: The way between neighbours: at once, and whole.
PERFECT = Link()
