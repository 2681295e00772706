# -*- test-case-name: relaymail.test.test_clocks -*-
"""
Time that does not jump.

The clock of Twisted's reactor is wall time.  When somebody sets the wall clock
back by an hour, every pending timer stands still for that hour; when it is set
forward, they all fire at once.  L{ClockGuard} moves the pending calls with the
clock, and L{QueueClock} gives the queue a time that is wall time at the start
and boot time from then on, so that no message expires early, late or never.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

#: How often the clocks are compared, in seconds: a timer can fire early by no
#: more than it was to fire within this time, and comparing costs microseconds.
INTERVAL = 0.25

#: The smallest step that is corrected, in seconds: larger than what reading
#: two clocks one after the other can give, smaller than any timer that
#: matters.
TOLERANCE = 0.5

#: How long the end of the guard's thread is waited for, in seconds.
PATIENCE = 2.0


def bootSeconds() -> float:
    """
    Give the seconds since the machine was started, time asleep included where
    the system counts it; nothing sets this clock.
    """
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def wallSeconds() -> float:
    """
    Give the seconds of the epoch by the wall clock: for commands that come and
    go, and do not wait.
    """
    return time.clock_gettime(time.CLOCK_REALTIME)


@implementer(IReactorTime)
class QueueClock:
    """
    The clock of a queue: seconds of the epoch that pass evenly.

    Calls are those of the reactor, which a L{ClockGuard} keeps from jumping.

    @ivar reactor: An L{IReactorTime} provider whose time is wall time.
    @ivar boot: Gives the seconds since some fixed moment.
    """

    def __init__(
        self, reactor: IReactorTime, boot: Callable[[], float] = bootSeconds
    ) -> None:
        self.reactor = reactor
        self.boot = boot
        self._zero = reactor.seconds() - boot()

    def seconds(self) -> float:
        """
        Give the time, in seconds of the epoch.
        """
        return self._zero + self.boot()

    def callLater(
        self, delay: float, callable: Callable[..., Any], *args: object, **kw: object
    ) -> IDelayedCall:
        """
        Call a function when a number of seconds have passed.
        """
        return self.reactor.callLater(delay, callable, *args, **kw)

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        """
        Give all pending calls of the reactor.
        """
        return self.reactor.getDelayedCalls()


class IGuardedReactor(Protocol):
    """
    What the guard needs of a reactor: C{IReactorTime} and
    C{IReactorFromThreads}.
    """

    def seconds(self) -> float:
        """
        Give the reactor's time, which is wall time.
        """

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        """
        Give all pending calls.
        """

    def callFromThread(self, function: Callable[[], None]) -> None:
        """
        Wake the reactor and call a function in its thread, before any timer.
        """


class ClockGuard(Service):
    """
    Moves a reactor's pending calls when the wall clock steps.

    A thread does the watching: after a step back the reactor itself sleeps
    until the wall clock is where it was.

    @ivar reactor: The reactor whose calls are moved.
    @ivar boot: Gives the seconds since some fixed moment.
    @ivar interval: How often the clocks are compared, in seconds.
    """

    log = Logger()

    def __init__(
        self,
        reactor: IGuardedReactor,
        boot: Callable[[], float] = bootSeconds,
        interval: float = INTERVAL,
    ) -> None:
        self.reactor = reactor
        self.boot = boot
        self.interval = interval
        self._zero = 0.0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def startService(self) -> None:
        """
        Begin to watch.
        """
        super().startService()
        self._zero = self.reactor.seconds() - self.boot()
        self._ended.clear()
        self._thread = threading.Thread(
            target=self._watch, name="relaymail-clock-guard", daemon=True
        )
        self._thread.start()

    def stopService(self) -> None:
        """
        Watch no longer.
        """
        super().stopService()
        self._ended.set()
        if self._thread is not None:
            self._thread.join(PATIENCE)
            self._thread = None

    def step(self) -> float:
        """
        Give by how much the wall clock has stepped since the last correction,
        in seconds, 0 where it is too little to tell.
        """
        before = self.boot()
        wall = self.reactor.seconds()
        if self.boot() - before > TOLERANCE / 2:
            return 0.0  # the process was stopped in between: look again later
        step = wall - before - self._zero
        return step if abs(step) >= TOLERANCE else 0.0

    def correct(self) -> None:
        """
        Move every pending call by what the wall clock has stepped.  In the
        reactor's thread.
        """
        step = self.step()
        if not step:
            return
        self._zero += step
        pending = self.reactor.getDelayedCalls()
        for call in pending:
            call.delay(step)
        self.log.warn(
            "The wall clock has stepped by {step:+.1f} s; "
            "{count} timers were moved with it",
            step=step,
            count=len(pending),
        )

    def _watch(self) -> None:
        while not self._ended.wait(self.interval):
            if self.step():
                self.reactor.callFromThread(self.correct)
