# -*- test-case-name: relaymail.test.deliver.test_steering -*-
"""
Tests for L{relaymail.deliver.steering}.

How mail then goes, the stories of suspension tell.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail

from relaymail.deliver import steering, work
from relaymail.errors import QueueFull
from relaymail.outcome.verdicts import LaneState
from relaymail.route.hosts import Host, TLSNeed
from relaymail.schedule.paces import FIRST_PACE, MANY_FAILURES, State
from relaymail.schedule.rates import Rate
from relaymail.test.stories.harness import FIRST, Logged, StoryTestCase
from relaymail.testing.network import Fate


class NoteLaneTests(StoryTestCase):
    """
    Tests for C{noteLane}.
    """

    def note(self, state: LaneState, times: int = 1, why: str = "so it was") -> None:
        """
        Note how a lane fared.
        """
        for _ in range(times):
            self.world.manager.noteLane("example.org", state, why)

    def allowed(self) -> int:
        """
        Tell how many connections the destination may have.
        """
        return self.world.manager.standingOf("Example.ORG").allowed

    def test_eachState(self) -> None:
        """
        Deliveries give connections, trouble takes them, an answer does
        neither, and failures suspend.
        """
        self.note(LaneState.FINE, FIRST_PACE)
        self.assertEqual(self.allowed(), FIRST_PACE + 1)
        self.note(LaneState.ANSWERS)
        self.note(LaneState.UNKNOWN)
        self.assertEqual(self.allowed(), FIRST_PACE + 1)
        self.note(LaneState.THROTTLE)
        self.assertEqual(self.allowed(), (FIRST_PACE + 1) // 2)
        self.note(LaneState.FAILING, MANY_FAILURES)
        standing = self.world.manager.standingOf("example.org")
        self.assertEqual(standing.state, State.SUSPENDED)
        self.assertIn("so it was", standing.why)

    def test_manyRest(self) -> None:
        """
        What waits for a destination that fails rests a turn at a time, and
        nothing of it is tried meanwhile.
        """
        self.patch(work, "PORTION", 2)
        manager, queue = self.world.manager, self.world.queue
        others = [f"{number}@example.org" for number in range(7)]
        names = self.world.send("a@example.com", *others)
        manager._work.placeAll()
        self.note(LaneState.FAILING, MANY_FAILURES)
        self.assertEqual(len(queue.getResting()), 2)
        self.world.run(1)
        self.assertEqual(len(queue.getResting()), len(names))
        self.assertEqual(self.world.network.tried, [])

    def test_manyAreSuspended(self) -> None:
        """
        So does what an operator suspends, and with smart hosts the others go on as
        soon as it rests.
        """
        self.patch(work, "PORTION", 2)
        manager, queue = self.world.manager, self.world.queue
        self.set(smartHosts=(Host("192.0.2.99", tls=TLSNeed.NEVER),))
        smartHost = self.world.host("192.0.2.99")
        mixed = [f"{n}@{d}" for n in range(4) for d in ("example.org", "example.net")]
        self.world.send("a@example.com", *mixed)
        manager._work.placeAll()
        manager.suspend("example.org")
        self.assertEqual(len(queue.getResting()), 1)
        self.world.run(1)
        self.assertEqual(len(queue.getResting()), 4)
        sent = {to for message in smartHost.received for to in message.recipients}
        self.assertEqual(sent, {to for to in mixed if to.endswith("net")})

    def test_limitPerSite(self) -> None:
        """
        The limit for a site is that of the manager, whenever it is set.
        """
        self.set(maxConnectionsPerSite=2)
        self.assertEqual(self.allowed(), 2)

    def test_suspendedUntil(self) -> None:
        """
        Until when a destination is suspended is by the queue's clock, and by
        the manager's delays.
        """
        self.set(retrySchedule=(7.0, 9.0), chance=lambda: 0.5)
        self.assertIsNone(self.world.manager.suspendedUntil("example.org"))
        self.note(LaneState.FAILING, MANY_FAILURES)
        now = self.world.queue.clock.seconds()
        self.assertEqual(self.world.manager.suspendedUntil("example.org"), now + 7)

    def test_smartHostsAreOneSite(self) -> None:
        """
        With smart hosts every destination stands as they do.
        """
        hosts = (Host("relay.example", tls=TLSNeed.NEVER),)
        self.set(smartHosts=hosts)
        for _ in range(MANY_FAILURES):
            self.world.manager.noteLane(hosts, LaneState.FAILING, "refused")
        for domain in ("example.org", "example.net"):
            self.assertIsNotNone(self.world.manager.suspendedUntil(domain))


class LookForOldTests(StoryTestCase):
    """
    Looking for mail whose time is over.
    """

    def setUp(self) -> None:
        super().setUp()
        self.asked: list[float] = []
        self.patch(self.world.queue, "wakeOld", self.asked.append)
        self.set(expireAfter=1000.0, retrySchedule=(600.0,))

    def test_onlyWhereSomethingIsSuspended(self) -> None:
        """
        It is looked for while something is suspended, and not at each tick.
        """
        self.world.manager.checkState()
        self.assertEqual(self.asked, [])
        for _ in range(MANY_FAILURES):
            self.world.manager.noteLane("example.org", LaneState.FAILING, "refused")
        self.world.run(steering.LOOK_FOR_OLD)
        for _ in range(3):
            self.world.manager.checkState()
        self.assertEqual(self.asked, [self.world.network.seconds() - 1000])


class ResumeTests(StoryTestCase):
    """
    Tests for C{suspend} and C{resume}.
    """

    def test_said(self) -> None:
        """
        It is said once, and the queue is told to look again.
        """
        looked: list[Any] = []
        self.patch(self.world.queue, "lookAgain", lambda: looked.append(1))
        with Logged() as logged:
            self.world.manager.suspend("example.org", "they asked")
            self.world.manager.resume("example.org")
            self.world.manager.resume("example.org")
        self.assertEqual(
            [text for text in logged.texts if "suspended" in text],
            [
                "example.org is suspended: they asked",
                "example.org is suspended no longer",
            ],
        )
        self.assertEqual(len(looked), 2)


class SettingsChangedTests(StoryTestCase):
    """
    Tests for C{settingsChanged}.
    """

    def test_newSmartHost(self) -> None:
        """
        Mail that waits for hosts that are not there goes to those that were named
        meanwhile.
        """
        self.set(maxConnections=1)
        self.world.network.fates[FIRST] = Fate.SILENT
        self.world.send("a@example.com", "b@example.org")
        (name,) = self.world.send("a@example.com", "c@example.net")
        self.world.run(0)
        self.assertEqual(self.world.queue.getWaiting(), [name])
        smartHost = self.world.host("192.0.2.99")
        self.set(smartHosts=(Host("192.0.2.99", tls=TLSNeed.NEVER),), maxConnections=2)
        self.world.manager.settingsChanged()
        self.world.run(1)
        self.assertEqual(
            [message.recipients for message in smartHost.received], [("c@example.net",)]
        )


class RememberTests(StoryTestCase):
    """
    What an operator suspended, in the queue.
    """

    def test_remembered(self) -> None:
        """
        The queue is told what is suspended, and what is no longer.
        """
        manager, queue = self.world.manager, self.world.queue
        manager.suspend("Example.ORG", "they asked")
        manager.suspend("example.net", "so did they")
        self.assertEqual(
            queue.suspensions(),
            {"example.org": "they asked", "example.net": "so did they"},
        )
        manager.resume("example.org")
        self.assertEqual(queue.suspensions(), {"example.net": "so did they"})

    def test_restored(self) -> None:
        """
        What the queue remembers is suspended when it is open again.
        """
        manager = self.world.manager
        self.world.queue.suspend("example.org", "they asked")
        manager.restoreSuspensions()
        standing = manager.standingOf("example.org")
        self.assertEqual(standing.state, State.SUSPENDED)
        self.assertIn("they asked", standing.why)
        manager.resume("example.org")
        self.assertEqual(manager.standingOf("example.org").state, State.READY)

    def test_smartHosts(self) -> None:
        """
        With smart hosts each destination is suspended by itself, and stays so
        when others are named.
        """
        manager = self.world.manager
        manager.suspend("example.org", "they asked")
        self.set(smartHosts=(Host("relay.example", tls=TLSNeed.NEVER),))
        manager.settingsChanged()
        manager.resume("example.net")
        self.assertEqual(self.world.queue.suspensions(), {"example.org": "they asked"})
        self.assertEqual(manager.standingOf("example.org").state, State.SUSPENDED)
        self.assertEqual(manager.standingOf("example.net").state, State.READY)
        self.assertIsNotNone(manager.suspendedUntil("example.org"))

    def test_P6_notWritten(self) -> None:
        """
        What could not be written is done all the same, and said.
        """

        def suspend(destination: str, why: str) -> Deferred[None]:
            return fail(QueueFull("there is no room"))

        self.patch(self.world.queue, "suspend", suspend)
        self.world.manager.suspend("example.org", "they asked")
        self.assertEqual(len(self.flushLoggedErrors(QueueFull)), 1)
        standing = self.world.manager.standingOf("example.org")
        self.assertEqual(standing.state, State.SUSPENDED)


class StandingTests(StoryTestCase):
    """
    Tests for C{standingOf}.
    """

    def test_senderWithARate(self) -> None:
        """
        How mail stands may depend on whom it is from.
        """
        self.set(senderRates={"a@example.com": Rate(1, 3600.0)})
        self.world.send("a@example.com", "b@example.org")
        self.world.send("a@example.com", "c@example.org")
        self.world.host("192.0.2.11")
        self.world.run(1)
        standingOf = self.world.manager.standingOf
        self.assertEqual(standingOf("example.org").state, State.READY)
        limited = standingOf("example.org", "a@example.com")
        self.assertEqual(limited.state, State.THROTTLED)
        self.assertIn("1/h for the sender a@example.com", limited.why)
