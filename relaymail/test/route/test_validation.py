"""
Tests for L{relaymail.route.validation}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from relaymail.route.resolver import CachingResolver, makeResolver
from relaymail.route.validation import (
    AGAIN,
    INTERVAL,
    PATIENCE,
    RETRY,
    State,
    Validation,
)
from relaymail.testing.dns import DNSServer, Fault, ZoneDNS
from relaymail.testing.network import Network


class ValidationTests(SynchronousTestCase):
    """
    L{Validation} asks for the root zone.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.zones = ZoneDNS(ttl=10 * INTERVAL)
        self.told: list[State] = []
        self.use(CachingResolver(self.zones, self.clock))

    def use(self, resolver: Any, clock: Any = None) -> None:
        """
        Watch a resolver.
        """
        self.validation = Validation(resolver, clock or self.clock)
        self.validation.onChange = lambda found: self.told.append(found.state)
        self.addCleanup(self.validation.stop)

    def test_validates(self) -> None:
        """
        AD for the root zone says that they validate; that is asked each hour anew, not
        of what is remembered, and told where it changes.
        """
        self.assertIs(self.validation.state, State.UNKNOWN)
        self.validation.start()
        self.validation.start()
        self.assertEqual(self.told, [State.VALIDATES])
        self.assertEqual(self.zones.asked, [("", "NS")])
        self.assertEqual(self.validation.remedy, "")
        self.clock.advance(INTERVAL)
        self.assertEqual(self.told, [State.VALIDATES])
        self.zones.validates = False
        self.clock.advance(INTERVAL)
        self.assertEqual(self.told[1:], [State.DOES_NOT])
        self.assertIn("has no AD", self.validation.why)
        self.assertIn('"127.0.0.1:53"', self.validation.remedy)

    def test_mended(self) -> None:
        """
        Where they do not it is looked at more often, for it may have been mended.
        """
        self.zones.validates = False
        self.validation.start()
        self.clock.advance(AGAIN)
        self.zones.validates = True
        self.clock.advance(AGAIN)
        self.assertEqual(self.told, [State.DOES_NOT, State.VALIDATES])
        self.assertEqual(len(self.zones.asked), 3)

    def test_D01_noAnswer(self) -> None:
        """
        What cannot be found out changes nothing, is asked again soon, and logged once.
        """
        self.validation.start()
        for fault in (Fault.SERVFAIL, Fault.SILENCE):
            self.zones.zones[""] = fault
            with capturedLogs() as events:
                self.clock.pump([INTERVAL, *[PATIENCE + RETRY] * 3])
            (event,) = events
            self.assertIn("the DNS did not answer", formatEvent(event))
            self.zones.zones.pop("")
            self.clock.pump([PATIENCE, RETRY])
        self.assertEqual(self.told, [State.VALIDATES])

    def test_stop(self) -> None:
        """
        Once stopped nothing is asked, and no answer is heard.
        """
        self.validation.start()
        self.validation.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.zones.zones[""] = Fault.SILENCE
        self.validation.start()
        self.validation.stop()
        self.validation.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.told, [State.VALIDATES])

    def test_otherResolvers(self) -> None:
        """
        A resolver of a program's own says nothing of the kind, or knows no such
        question.
        """

        class Other:
            def lookupNameservers(self, name: bytes) -> Any:
                return (["x"], [], [])

        self.use(Other())
        self.validation.start()
        self.assertEqual(self.told, [State.DOES_NOT])
        self.use(object())
        with capturedLogs() as events:
            self.validation.start()
        self.assertEqual(len(events), 1)
        self.assertIs(self.validation.state, State.UNKNOWN)

    def test_raisingHook(self) -> None:
        """
        What hears of it cannot end it.
        """

        def hear(validation: Validation) -> None:
            raise KeyError("hear")

        self.validation.onChange = hear
        self.validation.start()
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_servers(self) -> None:
        """
        Over the wire it is told which servers are meant; one that is not believed is
        told apart from one that does not validate.
        """
        for trusted, validates, state, why in (
            (["192.0.2.0/24"], True, State.VALIDATES, "192.0.2.53:53"),
            (["192.0.2.0/24"], False, State.DOES_NOT, "192.0.2.53:53"),
            ([], True, State.UNTRUSTED, "nor in delivery.trusted-resolvers"),
        ):
            network = Network(1)
            machine = network.machine("192.0.2.53")
            DNSServer(ZoneDNS(validates=validates)).start(machine, "192.0.2.53", 53)
            asking = network.machine("192.0.2.1")
            self.use(makeResolver("192.0.2.53", asking, trusted), asking)
            self.validation.start()
            network.run(1)
            self.assertIs(self.validation.state, state)
            self.assertIn(why, self.validation.why)
            self.assertIs("trusted-resolvers" in self.validation.remedy, not trusted)
            self.validation.stop()

    def test_neverBlocks(self) -> None:
        """
        It waits for an answer only so long.
        """

        class Never:
            def lookupNameservers(self, name: bytes) -> Any:
                return Deferred()

        self.use(Never())
        self.validation.start()
        with capturedLogs():
            self.clock.advance(PATIENCE)
        (call,) = self.clock.getDelayedCalls()
        self.assertEqual(call.getTime(), PATIENCE + RETRY)
