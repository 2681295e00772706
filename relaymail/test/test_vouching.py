"""
Tests for L{relaymail.vouching}.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from attrs import evolve
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from relaymail.configuration import Delivery, configure
from relaymail.route.levels import TLSLevel
from relaymail.route.resolver import CachingResolver
from relaymail.route.rules import Rule
from relaymail.route.security import levelsOf, wantsDNSSEC
from relaymail.route.terms import Terms
from relaymail.route.wire import WireResolver
from relaymail.siren import Siren
from relaymail.testing.dns import ZoneDNS
from relaymail.testing.world import World
from relaymail.vouching import KEY, Watch


def _delivery(level: str = "dane", **more: Any) -> Delivery:
    return configure(queue="q", tls=level, **more).delivery


class WantsTests(SynchronousTestCase):
    """
    C{wantsDNSSEC} tells whether DANE is wanted.
    """

    def test_levels(self) -> None:
        """
        The two levels of DANE need it, wherever they are said.
        """
        for level in TLSLevel:
            wanted = level in (TLSLevel.DANE, TLSLevel.DANE_ONLY)
            self.assertIs(wantsDNSSEC([TLSLevel.NONE, None, level]), wanted, level)
        self.assertFalse(wantsDNSSEC([]))


class LevelsTests(SynchronousTestCase):
    """
    C{levelsOf} finds the levels in the options.
    """

    def test_everywhere(self) -> None:
        """
        They stand with all mail and with routes, as they are written and as programs
        make them.
        """
        rule = Rule(terms=Terms(level=TLSLevel.DANE))
        table = {"to": "a.example", "tls": "dane-only"}
        told = _delivery("verify", routes=[table, rule, Rule()])
        found = list(levelsOf(told))
        self.assertEqual(
            found, [TLSLevel.VERIFY, TLSLevel.DANE_ONLY, TLSLevel.DANE, None]
        )


class WatchTests(SynchronousTestCase):
    """
    L{Watch} says where DANE protects nothing.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.zones = ZoneDNS(validates=False)
        self.manager = SimpleNamespace(mxcalc=SimpleNamespace())
        self.manager.mxcalc.resolver = CachingResolver(self.zones, self.clock)
        self.siren = Siren()
        self.siren.start(self.clock)
        self.addCleanup(self.siren.stop)
        self.watch = Watch(self.manager, self.siren, self.clock)
        self.addCleanup(self.watch.stopService)
        self.watch.startService()

    def alarms(self) -> list[str]:
        """
        Give the texts of the alarms that sound.
        """
        return [alarm.text for alarm in self.siren.alarms if alarm.key == KEY]

    def test_notWanted(self) -> None:
        """
        Where nothing wants DANE nobody is asked.
        """
        for level in ("none", "opportunistic", "encrypt", "verify"):
            self.watch.settingsChanged(_delivery(level))
        self.assertEqual((self.zones.asked, self.watch.state), ([], ""))
        self.assertEqual(self.alarms(), [])

    def test_A07_believedOnly(self) -> None:
        """
        As long as DANE is wanted only those servers are asked that are believed, if
        there are any.
        """
        wire = WireResolver(servers=[("192.0.2.53", 53), ("127.0.0.1", 53)])
        self.manager.mxcalc.resolver = SimpleNamespace(
            wire=wire, lookupNameservers=self.zones.lookupNameservers
        )
        for level, count in (("dane", 1), ("verify", 2), ("dane-only", 1)):
            self.watch.settingsChanged(_delivery(level))
            self.assertEqual(len(wire.asked), count, level)

    def test_D01_alarm(self) -> None:
        """
        Where it is wanted and cannot be had an alarm sounds, that says what to do; it
        is over where it can be had, or nobody wants it any more.
        """
        with capturedLogs() as events:
            self.watch.settingsChanged(_delivery())
            self.clock.advance(600)
        self.assertEqual(len(events), 1)
        (text,) = self.alarms()
        for part in ("do not validate", "no AD", "unbound", "delivery.dns", "waits"):
            self.assertIn(part, text)
        self.assertIn("do not validate", self.watch.state)
        self.zones.validates = True
        with capturedLogs() as events:
            self.clock.advance(600)
        self.assertIn("DANE can be used", formatEvent(events[0]))
        self.assertEqual(self.alarms(), [])
        self.zones.validates = False
        self.clock.advance(3600)
        self.assertEqual(len(self.alarms()), 1)
        self.watch.settingsChanged(_delivery("verify"))
        self.assertEqual((self.alarms(), self.watch.state), ([], ""))

    def test_otherResolver(self) -> None:
        """
        With another resolver it begins anew; with the same it goes on.
        """
        self.watch.settingsChanged(_delivery())
        self.watch.settingsChanged(_delivery("dane-only"))
        self.assertEqual(len(self.zones.asked), 1)
        other = ZoneDNS()
        self.manager.mxcalc.resolver = CachingResolver(other, self.clock)
        self.watch.settingsChanged(_delivery("dane-only"))
        self.assertEqual((len(self.zones.asked), len(other.asked)), (1, 1))
        self.assertEqual(self.alarms(), [])
        self.clock.advance(600)
        self.assertEqual(len(self.zones.asked), 1)

    def test_stopped(self) -> None:
        """
        It ends with the service.
        """
        self.watch.settingsChanged(_delivery())
        self.watch.stopService()
        self.siren.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_noResolver(self) -> None:
        """
        A program's own calculator may have none.
        """
        self.manager.mxcalc = object()
        self.watch.settingsChanged(_delivery())
        self.assertEqual(self.watch.state, "")


class ServiceTests(SynchronousTestCase):
    """
    The relay does it.
    """

    def test_relay(self) -> None:
        """
        From the start, and after it was told otherwise; the servers that are named are
        believed.
        """
        for trusted, isSounding in (((), True), (("0.0.0.0/0",), False)):
            world = World(seed=1, tls="dane", trustedResolvers=trusted)
            self.addCleanup(world.stop)
            world.run(5)
            self.assertEqual(_keys(world), [KEY] if isSounding else [])

    def test_reload(self) -> None:
        """
        The level, the server and whom to believe may change while it runs.
        """
        trusted = _delivery(trustedResolvers="198.51.100.0/24").trustedResolvers
        world = World(seed=1)
        self.addCleanup(world.stop)
        world.run(5)
        self.assertEqual((world.dns.asked, _keys(world)), ([], []))
        for change, isSounding in (
            ({"tls": TLSLevel.DANE}, True),
            ({"trustedResolvers": trusted}, False),
            ({"tls": TLSLevel.VERIFY}, False),
        ):
            told = world.relay.configuration
            told = evolve(told, delivery=evolve(told.delivery, **change))
            d = world.relay.reload(told)
            world.run(5)
            self.successResultOf(d)
            self.assertEqual(_keys(world), [KEY] if isSounding else [])


def _keys(world: World) -> list[str]:
    return [alarm.key for alarm in world.relay.siren.alarms]
