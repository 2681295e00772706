# -*- test-case-name: relaymail.test.intake.test_deadlines -*-
"""
Absolute deadlines that cost next to nothing to put off.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

#: How far ahead a timer is at most, in seconds: no farther than the shortest span
#: that sessions are given, for to make a timer earlier the reactor looks through
#: all that it has, and waking each session so often costs nothing.
STEP = 10.0


class Deadline:
    """
    Calls once a span is over, unless it was set anew or cleared before.

    The one timer under it is left where it is as long as it fires too early:
    then it is only noted how much is to be waited beyond it.  Nothing is kept
    as a time of day, so whoever moves the pending calls of a clock that was
    stepped moves this too.
    """

    __slots__ = ("_beyond", "_clock", "_expired", "_timer")

    def __init__(self, clock: IReactorTime, expired: Callable[[], object]) -> None:
        """
        @param clock: What tells the time.
        @param expired: What is called, with nothing.
        """
        self._clock = clock
        self._expired = expired
        self._timer: IDelayedCall | None = None
        # Seconds to wait when the timer fires; None: nothing is waited for.
        self._beyond: float | None = None

    def set(self, seconds: float) -> None:
        """
        Begin the span anew.

        @param seconds: How long it is from now.
        """
        if self._timer is None:
            step = min(seconds, STEP)
            self._timer = self._clock.callLater(step, self._fired)
            self._beyond = seconds - step
            return
        beyond = self._clock.seconds() + seconds - self._timer.getTime()
        if beyond < 0:
            self._timer.reset(seconds)
            beyond = 0.0
        self._beyond = beyond

    def clear(self) -> None:
        """
        Wait for nothing; the timer may stay.
        """
        self._beyond = None

    def stop(self) -> None:
        """
        Wait for nothing, and leave no timer behind.
        """
        self._beyond = None
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _fired(self) -> None:
        timer, beyond = self._timer, self._beyond
        self._timer = self._beyond = None
        if timer is None or beyond is None:
            return
        # A busy reactor fires late; what it is late by was waited as well.
        left = beyond - (self._clock.seconds() - timer.getTime())
        if left > 0:
            self.set(left)
        else:
            self._expired()
