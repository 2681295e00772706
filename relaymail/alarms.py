# -*- test-case-name: relaymail.test.test_alarms -*-
"""
Alarms: what somebody has to mend before mail goes where it should.

Mail waits meanwhile, and does not bounce before it expires; so nobody would notice
in time who is not told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

#: How many there are at most: there are two for each set of credentials, and what
#: comes beyond would say nothing new.
MAX_ALARMS = 100


@dataclass(frozen=True, slots=True)
class Alarm:
    """
    Something that somebody has to mend.

    @ivar key: What it is known by, such as C{auth:USER@HOST}.
    @ivar text: What was tried, what came back, and what to do: one printable line.
    @ivar since: Since when it is so, in seconds of the epoch.
    """

    key: str
    text: str
    since: float


class Alarms:
    """
    The alarms that sound.
    """

    def __init__(self) -> None:
        self._alarms: dict[str, Alarm] = {}
        self._signs: dict[str, str] = {}

    def sound(self, key: str, text: str, now: float, sign: str | None = None) -> bool:
        """
        Sound an alarm.

        @param key: What it is known by.
        @param text: What is the matter: one printable line.
        @param now: The time, in seconds of the epoch.
        @param sign: What tells this trouble from another one with the same key,
            where the text has something new in it each time, such as a number of the
            session; L{None}: the text.

        @return: Whether this is new, or another trouble than before.
        """
        known = self._alarms.get(key)
        if known is None and len(self._alarms) >= MAX_ALARMS:
            return False
        sign = text if sign is None else sign
        isNew = known is None or self._signs[key] != sign
        self._signs[key] = sign
        if known is None:
            self._alarms[key] = Alarm(key, text, now)
        else:
            self._alarms[key] = replace(known, text=text)
        return isNew

    def calm(self, key: str) -> bool:
        """
        Let an alarm be over.

        @return: Whether it sounded.
        """
        self._signs.pop(key, None)
        return self._alarms.pop(key, None) is not None

    def sounds(self, key: str) -> bool:
        """
        Tell whether an alarm sounds.
        """
        return key in self._alarms

    def __iter__(self) -> Iterator[Alarm]:
        """
        Give those that sound, in the order in which they began.
        """
        return iter(tuple(self._alarms.values()))

    def __len__(self) -> int:
        """
        Say how many sound.
        """
        return len(self._alarms)
