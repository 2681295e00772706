# -*- test-case-name: relaymail.test.test_clocks -*-
"""
Tests for L{relaymail.clocks}.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from relaymail.clocks import TOLERANCE, ClockGuard, QueueClock, bootSeconds

HOUR = 3600.0


class Boot:
    """
    A boot clock that is set by hand.
    """

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class WallReactor(Clock):
    """
    A reactor whose clock can be set, as the wall's can.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rightNow = 1_700_000_000.0
        self.fromThread: list[Callable[[], None]] = []
        self.woken = threading.Event()

    def callFromThread(self, function: Callable[[], None]) -> None:
        """
        Keep the function.
        """
        self.fromThread.append(function)
        self.woken.set()


class QueueClockTests(SynchronousTestCase):
    """
    Tests for L{QueueClock}.
    """

    def test_P8_queueTimeDoesNotStep(self) -> None:
        """
        The queue's time starts as wall time, and only boot time moves it: a
        step of the wall neither hastens nor delays anything.
        """
        boot, reactor = Boot(), WallReactor()
        clock = QueueClock(reactor, boot)
        start = reactor.seconds()
        self.assertEqual(clock.seconds(), start)
        boot.now += 12.5
        reactor.rightNow -= HOUR
        self.assertEqual(clock.seconds(), start + 12.5)

    def test_callsAreTheReactors(self) -> None:
        """
        What is called later is called by the reactor.
        """
        reactor = WallReactor()
        clock = QueueClock(reactor, Boot())
        self.assertTrue(verifyObject(IReactorTime, clock))
        called: list[int] = []
        call = clock.callLater(2, called.append, 7)
        self.assertEqual(clock.getDelayedCalls(), [call])
        reactor.advance(2)
        self.assertEqual(called, [7])

    def test_bootSecondsPass(self) -> None:
        """
        The system's boot clock never goes back.
        """
        self.assertLessEqual(bootSeconds(), bootSeconds())


class ClockGuardTests(SynchronousTestCase):
    """
    Tests for L{ClockGuard}.
    """

    def setUp(self) -> None:
        """
        Begin to guard a reactor with a timer of 30 seconds.
        """
        self.boot = Boot()
        self.reactor = WallReactor()
        self.guard = ClockGuard(self.reactor, self.boot, interval=HOUR)
        self.guard.startService()
        self.addCleanup(self.guard.stopService)
        self.fired: list[float] = []
        self.call = self.reactor.callLater(30, lambda: self.fired.append(self.boot.now))

    def stepWall(self, seconds: float) -> None:
        """
        Set the wall clock without time passing.
        """
        self.reactor.rightNow += seconds

    def passTime(self, seconds: float) -> None:
        """
        Let time pass on both clocks.
        """
        self.boot.now += seconds
        self.reactor.advance(seconds)

    def test_P8_stepBackDoesNotFreeze(self) -> None:
        """
        A timer fires when its time has passed although the wall clock was set
        back by an hour.
        """
        self.passTime(10)
        self.stepWall(-HOUR)
        self.guard.correct()
        self.passTime(19)
        self.assertEqual(self.fired, [])
        self.passTime(1)
        self.assertEqual(self.fired, [1030.0])
        self.assertEqual(self.guard._zero, self.reactor.seconds() - self.boot())

    def test_P8_stepForwardDoesNotHasten(self) -> None:
        """
        A timer does not fire early because the wall clock was set forward.
        """
        self.stepWall(HOUR)
        self.guard.correct()
        self.passTime(29)
        self.assertEqual(self.fired, [])
        self.passTime(1)
        self.assertEqual(self.fired, [1030.0])

    def test_P8_severalSteps(self) -> None:
        """
        Each step is corrected once.
        """
        for step in (HOUR, -2 * HOUR, 5.0):
            self.stepWall(step)
            self.guard.correct()
            self.guard.correct()
            self.assertAlmostEqual(
                self.call.getTime() - self.reactor.seconds(), 30, places=3
            )

    def test_noise(self) -> None:
        """
        Less than the tolerance is no step.
        """
        self.stepWall(TOLERANCE * 0.9)
        self.assertEqual(self.guard.step(), 0)
        self.stepWall(TOLERANCE * 0.2)
        self.assertAlmostEqual(self.guard.step(), TOLERANCE * 1.1, places=3)

    def test_stoppedWhileReading(self) -> None:
        """
        A process that was stopped between reading the two clocks takes that
        for no step.
        """
        times = iter([1000.0, 1000.0 + HOUR])
        self.stepWall(HOUR)
        self.guard.boot = lambda: next(times)
        self.assertEqual(self.guard.step(), 0)

    def test_threadWakesTheReactor(self) -> None:
        """
        The watching thread tells the reactor of a step, and ends with the
        service.
        """
        self.guard.stopService()
        self.guard.interval = 0.001
        self.guard.startService()
        thread = self.guard._thread
        assert thread is not None
        self.stepWall(-HOUR)
        self.assertTrue(self.reactor.woken.wait(5))
        self.guard.stopService()
        self.assertFalse(thread.is_alive())
        self.assertEqual(self.reactor.fromThread[0], self.guard.correct)
