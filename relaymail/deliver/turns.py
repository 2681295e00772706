# -*- test-case-name: relaymail.test.deliver.test_turns -*-
"""
Calls that the reactor makes: once for a turn, or at one time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Call:
    """
    A call that is asked for often and made once.
    """

    def __init__(self, reactor: Callable[[], Any], function: Callable[[], None]):
        """
        @param reactor: Gives an L{IReactorTime
            <twisted.internet.interfaces.IReactorTime>} provider.
        @param function: What to call.
        """
        self._reactor = reactor
        self._function = function
        self._delayed: Any = None

    def soon(self) -> None:
        """
        Have it made when this turn of the reactor is over, unless it is asked
        for already.
        """
        if self._delayed is None:
            self._delayed = self._reactor().callLater(0, self.now)

    def after(self, seconds: float | None) -> None:
        """
        Have it made then, and only then; L{None} for never.
        """
        self.cancel()
        if seconds is not None:
            self._delayed = self._reactor().callLater(max(seconds, 0.0), self.now)

    def now(self) -> None:
        """
        Make it.
        """
        self.cancel()
        self._function()

    def cancel(self) -> None:
        """
        Have it not made.
        """
        delayed, self._delayed = self._delayed, None
        if delayed is not None and delayed.active():
            delayed.cancel()
