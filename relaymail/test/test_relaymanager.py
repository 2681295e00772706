# -*- test-case-name: relaymail.test.test_relaymanager -*-
"""
Tests for L{relaymail.relaymanager}; what it does with mail is told in
L{relaymail.test.stories}.
"""

from __future__ import annotations

import pickle
from functools import partial
from typing import Any

from twisted.application.internet import TimerService
from twisted.internet.defer import fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaymail import relaymanager
from relaymail.outcome.verdicts import HostState
from relaymail.outcomes import Retry
from relaymail.queue.memory import MemoryQueue
from relaymail.relaymanager import (
    ESMTPManagedRelayerFactory,
    RelayStateHelper,
    SmartHostESMTPRelayingManager,
    SmartHostSMTPRelayingManager,
    SMTPManagedRelayerFactory,
    _checkState,
)
from relaymail.replies import Phase
from relaymail.route.hosts import Host
from relaymail.test.stories.harness import FIRST, SENDER, Logged, StoryTestCase
from relaymail.testing.servers import Act, Late


class CheckStateTests(StoryTestCase):
    """
    Tests for C{checkState}.
    """

    def setUp(self) -> None:
        super().setUp()
        self.world.queue.onWaiting = None

    def test_nothingWaits(self) -> None:
        """
        Where nothing waits it gives L{None}.
        """
        self.assertIsNone(self.world.manager.checkState())

    def test_allAreBusy(self) -> None:
        """
        So where all connections are busy.
        """
        self.set(maxConnections=1)
        self.world.host(FIRST, {".": Act.SILENCE})
        self.world.send(SENDER, "b@example.org")
        self.assertIsNotNone(self.world.manager.checkState())
        self.world.run()
        self.world.send(SENDER, "c@example.org")
        self.assertIsNone(self.world.manager.checkState())

    def test_firesWhenTheAttemptsAreOver(self) -> None:
        """
        Else it gives a Deferred of a list of success and result, one for each
        attempt that was started.
        """
        self.world.host(FIRST, {".": Late(5, "250 Ok")})
        self.world.send(SENDER, "b@example.org", "c@example.com")
        d: Any = self.world.manager.checkState()
        self.assertEqual(len(self.world.manager.managed), 2)
        self.world.run(4)
        self.assertNoResult(d)
        self.world.run(1)
        self.assertEqual(self.successResultOf(d), [(True, None), (True, None)])
        self.assertEqual(self.world.manager.managed, {})

    def test_firesWhenNobodyIsReached(self) -> None:
        """
        Also where no host was reached.
        """
        self.world.send(SENDER, "b@example.org")
        d: Any = self.world.manager.checkState()
        self.world.run()
        self.assertEqual(self.successResultOf(d), [(True, None)])

    def test_readsTheDirectory(self) -> None:
        """
        Each look reads the directory, so that what has come due is found
        without anybody's call.
        """
        mx = self.world.host(FIRST, {"MAIL": ["451 Later", "250 Ok"]})
        self.world.send(SENDER, "b@example.org")
        self.world.manager.checkState()
        self.world.run(61)
        self.assertEqual(mx.received, [])
        self.world.manager.checkState()
        self.world.run()
        self.assertEqual(len(mx.received), 1)

    def test_managedHoldsTheNames(self) -> None:
        """
        C{managed} has the names by the factory.
        """
        names = self.world.send(SENDER, "b@example.org")
        self.world.manager.checkState()
        ((factory, managed),) = self.world.manager.managed.items()
        self.assertIsInstance(factory, ESMTPManagedRelayerFactory)
        self.assertEqual(managed, names)
        self.assertEqual(factory.messages, names)

    def test_illegalDestination(self) -> None:
        """
        A recipient without a destination is logged as the seed does.
        """
        self.world.send(SENDER, "nobody")
        with Logged() as logged:
            self.world.manager.checkState()
        self.assertIn("Illegal message destination: nobody", logged.texts)

    def test_factoryThatDoesNotTakeItsArguments(self) -> None:
        """
        An attempt that cannot be begun gives its names back later, and the
        others go on.
        """

        def factory(*args: Any, **kw: Any) -> Any:
            raise TypeError("what is all this?")

        self.set(factory=factory)
        names = self.world.send(SENDER, "b@example.org", "c@example.com")
        self.world.manager.checkState()
        self.world.run(3600)
        self.assertEqual(self.world.queue.getRelayed(), [])
        self.assertEqual(sorted(self.world.queue._entries), names)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 2)


class TimerTests(SynchronousTestCase):
    """
    Tests for L{_checkState} and L{RelayStateHelper}.
    """

    def look(self, checkState: Any) -> None:
        """
        Have a manager look.
        """

        class Manager:
            pass

        manager: Any = Manager()
        manager.checkState = checkState
        _checkState(manager)

    def test_neverRaises(self) -> None:
        """
        What raises is logged.
        """

        def checkState() -> None:
            raise ValueError("a queue that cannot be read")

        self.look(checkState)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_failedDeferred(self) -> None:
        """
        What fails later is logged, too.
        """
        self.look(lambda: fail(ValueError("later")))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_anyResult(self) -> None:
        """
        Whatever an app's own gives is no reason to stop.
        """
        results: tuple[Any, ...] = (None, True, [], succeed(None))
        for result in results:
            self.look(partial(next, iter([result])))

    def test_helper(self) -> None:
        """
        The helper is a timer that looks at once and then after each delay,
        also after a look that failed.
        """
        looks: list[float] = []
        clock = Clock()

        class Manager(SmartHostSMTPRelayingManager):
            def checkState(self) -> None:
                looks.append(clock.seconds())
                raise ValueError("no")

        service = RelayStateHelper(Manager(MemoryQueue(clock)), 7)
        self.assertIsInstance(service, TimerService)
        self.assertEqual(service.step, 7)
        service.clock = clock
        service.startService()
        self.addCleanup(service.stopService)
        clock.pump([7, 7])
        self.assertEqual(looks, [0, 7, 14])
        self.flushLoggedErrors(ValueError)


class ManagerTests(StoryTestCase):
    """
    Tests for the rest of a relaying manager.
    """

    def test_seedsDefaults(self) -> None:
        """
        The constructor's numbers, the port and the factories are the seed's;
        connections are not kept.
        """
        manager = SmartHostSMTPRelayingManager(self.world.queue)
        self.assertEqual(
            (manager.maxConnections, manager.maxMessagesPerConnection), (2, 10)
        )
        self.assertEqual((manager.PORT, manager.idleTimeout), (25, 0))
        self.assertEqual((manager.fArgs, manager.fKwArgs), ((), {}))
        self.assertEqual(manager.managed, {})
        self.assertIs(manager.factory, SMTPManagedRelayerFactory)
        self.assertIs(SmartHostESMTPRelayingManager.factory, ESMTPManagedRelayerFactory)

    def test_pickle(self) -> None:
        """
        A manager that outlives its process begins anew.
        """
        manager = SmartHostSMTPRelayingManager("queue", 5, 6)
        manager.managed = {"factory": ["name"]}
        again = pickle.loads(pickle.dumps(manager))
        self.assertEqual(
            (again.queue, again.maxConnections, again.maxMessagesPerConnection),
            ("queue", 5, 6),
        )
        self.assertEqual(again.managed, {})

    def test_wakesInOneTurn(self) -> None:
        """
        However often it is woken in a turn it looks once.
        """
        before = len(self.world.network.getDelayedCalls())
        for _ in range(5):
            self.world.manager.wake()
        self.assertEqual(len(self.world.network.getDelayedCalls()), before + 1)

    def test_seedsQueueIsNotWoken(self) -> None:
        """
        For a queue that announces nothing waking does nothing.
        """
        self.world.queue.onWaiting = None
        self.world.manager.wake()
        self.assertEqual(self.world.network.getDelayedCalls(), [])

    def test_retryAt(self) -> None:
        """
        C{retryAt} gives the next time by the schedule, and L{None} once the
        letter has expired.
        """
        (name,) = self.world.send(SENDER, "b@example.org")
        self.world.queue.setRelaying(name)
        letter = self.world.queue.letter(name)
        outcome = Retry("4.0.0", Phase.MAIL)
        now = self.world.network.seconds()
        retryAt = self.world.manager.retryAt
        self.assertEqual(retryAt(letter, outcome), now + 60)
        self.world.network.advance(5 * 86400)
        self.assertIsNone(retryAt(letter, outcome))

    def test_noteHost(self) -> None:
        """
        Hosts of domains are remembered by the calculator, and one without a
        memory is left alone.
        """
        manager = self.world.manager
        manager.noteHost(Host("mx.example"), HostState.BAD)
        self.assertIn("mx.example", manager.mxcalc.badMXs)
        manager.noteHost(Host("mx.example"), HostState.UNKNOWN)
        self.assertIn("mx.example", manager.mxcalc.badMXs)
        manager.noteHost(Host("mx.example"), HostState.FINE)
        self.assertEqual(manager.mxcalc.badMXs, {})
        manager.mxcalc = object()
        manager.noteHost(Host("mx.example"), HostState.BAD)

    def test_calculatorIsMadeLate(self) -> None:
        """
        C{MXCalculator} is looked up in the module when it is first needed.
        """
        made: list[Any] = []

        class Calculator:
            def __init__(self, *args: Any, **kw: Any) -> None:
                made.append(self)

            def getMX(self, domain: Any) -> Any:
                return fail(ValueError(domain))

        self.patch(relaymanager, "MXCalculator", Calculator)
        manager = SmartHostSMTPRelayingManager(self.world.queue)
        manager.reactor = self.world.network
        self.assertEqual(made, [])
        self.failureResultOf(manager.hostsFor("example.org"), ValueError)
        self.failureResultOf(manager.hostsFor("example.org"), ValueError)
        self.assertEqual(made, [manager.mxcalc])

    def test_exports(self) -> None:
        """
        Every name of C{__all__} is there.
        """
        for name in relaymanager.__all__:
            self.assertTrue(hasattr(relaymanager, name), name)
