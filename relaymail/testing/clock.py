# -*- test-case-name: relaymail.test.testing.test_clock -*-
"""
Time that moves when it is told to, from one event to the next: a year of
waiting costs no more than what happens in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Any

from twisted.internet.base import DelayedCall
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from relaymail.testing.crashes import Crash

#: When a world begins, in seconds of the epoch: a date that can be read, in
#: September 2001.
BEGINNING = 1_000_000_000.0
#: How many events may happen in one instant before it is taken that they do
#: not end.
MAX_AT_ONCE = 200_000


@implementer(IReactorTime)
class EventClock:
    """
    An L{IReactorTime} provider that jumps from each pending call to the next.

    Calls that are due at one time are made in the order in which they were
    asked for.  What a call raises is logged, as a reactor does, and does not
    keep the others from being made.

    @ivar now: The time, in seconds of the epoch.
    @ivar afterEach: Called after each call.
    """

    log = Logger()

    def __init__(self, beginning: float = BEGINNING) -> None:
        """
        @param beginning: The time it begins at, in seconds of the epoch.
        """
        self.now = beginning
        self.afterEach: Callable[[], None] = lambda: None
        self._heap: list[tuple[float, int, DelayedCall]] = []
        self._number = count()

    def seconds(self) -> float:
        """
        Give the time, in seconds of the epoch.
        """
        return self.now

    def callLater(
        self, delay: float, callable: Callable[..., Any], *args: object, **kw: object
    ) -> DelayedCall:
        """
        Call a function later.

        @param delay: When, in seconds from now.
        @param callable: The function.
        @param args: What it is given.
        @param kw: What it is given by name.

        @raise ValueError: When the delay is negative.
        """
        if delay < 0:
            raise ValueError(f"{delay} s is no delay: time only goes on")
        call = DelayedCall(
            self.now + delay,
            callable,
            args,
            kw,
            lambda cancelled: None,
            self._moved,
            self.seconds,
        )
        self._push(call)
        return call

    def getDelayedCalls(self) -> Sequence[DelayedCall]:
        """
        Give the calls that are pending, in no order.
        """
        return list({id(call): call for call in self._pending()}.values())

    def nextEvent(self) -> float | None:
        """
        Tell when the next call is due, L{None} if there is none.
        """
        while self._heap:
            due, _, call = self._heap[0]
            if call.active() and call.getTime() <= due:
                return due
            heappop(self._heap)
            if call.active():
                self._push(call)
        return None

    def run(self, seconds: float = 0) -> None:
        """
        Let all happen that is to happen within some time, which has then
        passed.

        @param seconds: For how long.

        @raise AssertionError: When what happens in one instant does not end.
        """
        end = self.now + seconds
        atOnce = 0
        while (due := self.nextEvent()) is not None and due <= end:
            atOnce = 0 if due > self.now else atOnce + 1
            if atOnce > MAX_AT_ONCE:
                raise AssertionError(f"what happens at {self.now} does not end")
            self.now = max(self.now, due)
            self._make(heappop(self._heap)[2])
        self.now = max(self.now, end)

    advance = run

    def _make(self, call: DelayedCall) -> None:
        call.called = 1
        try:
            call.func(*call.args, **call.kw)
        except Crash:
            # Whoever went down knows it.
            pass
        except Exception:
            self.log.failure("A pending call failed")
        self.afterEach()

    def _push(self, call: DelayedCall) -> None:
        heappush(self._heap, (call.getTime(), next(self._number), call))

    # To an earlier time; a call that was put off is put back when it comes up.
    _moved = _push

    def _pending(self) -> Iterator[DelayedCall]:
        return (call for _, _, call in self._heap if call.active())
