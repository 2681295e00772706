# -*- test-case-name: relaymail.test.intake.test_guarding -*-
"""
Keeping those out for a while who guess passwords.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from twisted.internet.interfaces import IReactorTime

#: How many failures are too many: a few people behind one address may mistype, and
#: whoever guesses needs thousands.
MOST_FAILURES = 20
#: Within how long, in seconds.
WITHIN = 600.0
#: For how long nothing is tried then, in seconds.
PAUSE = 600.0
#: Of how many addresses it is remembered; the one that failed longest ago is
#: forgotten.
MOST_SOURCES = 10_000


@dataclass(slots=True)
class _Record:
    """
    What is known of a source.

    @ivar since: Since when, in seconds.
    @ivar failures: The users that it failed to be, as numbers: names may be long.
    @ivar until: Until when nothing is tried, in seconds.
    """

    since: float
    failures: list[int] = field(default_factory=list)
    until: float = 0.0


class FailureGuard:
    """
    Remembers where clients failed to authenticate from.
    """

    def __init__(
        self,
        clock: IReactorTime,
        most: int = MOST_FAILURES,
        within: float = WITHIN,
        pause: float = PAUSE,
        sources: int = MOST_SOURCES,
    ) -> None:
        """
        @param clock: What tells the time.
        @param most: How many failures are too many.
        @param within: Within how long, in seconds.
        @param pause: How long nothing is tried then, in seconds.
        @param sources: Of how many sources it is remembered.
        """
        self._clock = clock
        self._most = most
        self._within = within
        self._pause = pause
        self._sources = sources
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def failed(self, source: str, user: str = "") -> bool:
        """
        Count a failure.

        @param source: Where it came from: what L{sourceOf
            <relaymail.intake.peers.sourceOf>} gives.
        @param user: Who the client wanted to be.

        @return: Whether that was one too many.
        """
        now = self._clock.seconds()
        record = self._records.get(source)
        if record is None:
            record = self._records[source] = _Record(now)
        elif now - record.since > self._within:
            record.since, record.failures = now, []
        self._records.move_to_end(source)
        if len(self._records) > self._sources:
            self._records.popitem(last=False)
        record.failures.append(hash(user))
        if len(record.failures) < self._most:
            return False
        record.since, record.failures = now, []
        record.until = now + self._pause
        return True

    def succeeded(self, source: str, user: str) -> None:
        """
        Count the failures of a user no more who was right in the end: that was no
        guess.  Programs try each mechanism that is offered until one works, and not
        all do for each user.

        @param source: Where it came from.
        @param user: Who it is.
        """
        record = self._records.get(source)
        if record is not None:
            number = hash(user)
            record.failures = [each for each in record.failures if each != number]

    def isOut(self, source: str) -> bool:
        """
        Tell whether nothing is tried that comes from there now.
        """
        record = self._records.get(source)
        return record is not None and self._clock.seconds() < record.until
