"""
Tests for L{relaymail.route.sts.policies}: that policies are had anew in time (RFC 8461
3.3, 10.2), and what is left at the end.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs, formatEvent

from relaymail.protections import TLSResult
from relaymail.route.sts import policies as module
from relaymail.route.sts.ages import DAY
from relaymail.route.sts.policies import (
    KNOWN_PATIENCE,
    LOOK_EVERY,
    SOONEST,
    Policies,
)
from relaymail.route.sts.policy import NOTHING
from relaymail.test.route.sts.cases import NOW, RECORD, PoliciesTestCase
from relaymail.test.route.sts.samples import DOMAIN, makeKept, makePolicy
from relaymail.testing.dns import Fault, ZoneDNS


class RefreshTests(PoliciesTestCase):
    """
    Policies are had anew before they end (RFC 8461 3.3, 10.2).
    """

    def setUp(self) -> None:
        """
        Know a policy, and let time pass.
        """
        super().setUp()
        self.policies.start()
        self.found()

    def tearDown(self) -> None:
        """
        Stop.
        """
        self.successResultOf(self.policies.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_3_3_daily(self) -> None:
        """
        It is had anew once a day, without mail, and holds from then.
        """
        self.pass_(DAY - LOOK_EVERY)
        self.assertEqual(self.asked, ["1"])
        self.pass_(LOOK_EVERY)
        self.assertEqual(self.asked, ["1", "1"])
        self.pass_(7 * DAY)
        self.assertEqual(len(self.asked), 9)
        self.zones.zones[RECORD] = Fault.NXDOMAIN
        self.assertEqual(self.foundId(), "1")

    def test_3_3_jitter(self) -> None:
        """
        Chance says when in the hours before that.
        """
        self.chance = 0.99
        self.publish("2")
        self.clock.advance(SOONEST)
        self.found()
        self.pass_(DAY * 0.8)
        self.assertEqual(self.asked, ["1", "2", "2"])

    def test_3_3_changed(self) -> None:
        """
        What is found then is used, whatever its id is.
        """
        self.publish("2")
        self.pass_(DAY)
        self.assertEqual(self.policies.known(DOMAIN).policy, makePolicy("2"))

    def test_10_2_noDNS(self) -> None:
        """
        It is had anew also where the DNS does not answer: who blocks that does not
        outlast a policy whose web server can be reached.
        """
        self.zones.zones[RECORD] = Fault.SERVFAIL
        self.pass_(9 * DAY)
        self.assertEqual(self.foundId(), "1")
        self.assertGreater(len(self.asked), 8)

    def test_8_3_recordGone(self) -> None:
        """
        One whose record was taken away ends, and is not had anew.
        """
        del self.zones.zones[RECORD]
        self.pass_(6 * DAY)
        self.assertEqual(self.foundId(), "1")
        self.pass_(DAY)
        self.assertEqual(self.found(), NOTHING)
        self.assertEqual((self.asked, len(self.policies)), (["1"], 0))
        self.assertEqual(self.store.names(), [])

    def test_3_3_failed(self) -> None:
        """
        Where that fails it is tried again some hours later, the administrator hears of
        it, and the policy holds until its end.
        """
        self.fetches.answers[DOMAIN] = TLSResult.STS_FETCH
        with capturedLogs() as events:
            self.pass_(3 * DAY)
        warned = [e for e in events if e["log_level"] is LogLevel.warn]
        self.assertEqual(len(warned), len(self.asked) - 1)
        self.assertGreaterEqual(len(warned), 8)
        self.assertLessEqual(len(warned), 12)
        self.assertIn("holds until", str(formatEvent(warned[0])))
        self.assertEqual(self.foundId(), "1")
        self.fetches.answers[DOMAIN] = makePolicy("1")
        self.pass_(DAY / 2)
        self.assertIsNone(self.found().problem)

    def test_A06_bound(self) -> None:
        """
        So many are begun with at a time, and the others soon after; none is left out.
        """
        self.patch(module, "MAX_BEGUN", 3)
        domains = [f"d{number}.example" for number in range(10)]
        for domain in domains:
            self.zones.zones[f"_mta-sts.{domain}"] = {"TXT": ["v=STSv1; id=1;"]}
            self.fetches.answers[domain] = makePolicy("1")
            self.found(domain)
        before = len(self.asked)
        self.pass_(DAY)
        self.assertEqual(len(self.asked) - before, 3)
        self.pass_(4 * LOOK_EVERY)
        self.assertEqual(
            {d for d, _ in self.fetches.asked[before:]}, {DOMAIN, *domains}
        )

    def test_A06_slow(self) -> None:
        """
        Servers that are slow then keep no mail from its policy, and are asked once at
        a time.
        """
        self.patch(module, "MAX_BEGUN", 1)
        self.fetches.answers[DOMAIN] = None
        self.pass_(DAY + 9 * LOOK_EVERY)
        self.assertEqual(len(self.asked), 2)
        self.zones.zones["_mta-sts.two.example"] = {"TXT": ["v=STSv1; id=7;"]}
        self.fetches.answers["two.example"] = makePolicy("7")
        self.assertEqual(self.found("two.example").policy, makePolicy("7"))
        d = self.policies.policyFor(DOMAIN)
        self.clock.advance(KNOWN_PATIENCE)
        self.assertEqual(self.successResultOf(d).policy, makePolicy("1"))

    def test_A06_manySlow(self) -> None:
        """
        However many are slow, so many are under way at a time.
        """
        self.patch(module, "MAX_BEGUN", 2)
        for number in range(5):
            domain = f"d{number}.example"
            self.zones.zones[f"_mta-sts.{domain}"] = {"TXT": ["v=STSv1; id=1;"]}
            self.fetches.answers[domain] = makePolicy("1")
            self.found(domain)
        before = len(self.asked)
        self.fetches.answers = dict.fromkeys(self.fetches.answers)
        self.pass_(DAY + 9 * LOOK_EVERY)
        self.assertEqual(len(self.asked) - before, 2)
        for d in list(self.fetches.pending.values()):
            d.callback(makePolicy("1"))
        self.pass_(LOOK_EVERY)
        self.assertEqual(len(self.asked) - before, 4)

    def test_unused(self) -> None:
        """
        One that no mail has asked for in months is left to its end.
        """
        self.pass_(89 * DAY)
        before = len(self.asked)
        self.pass_(20 * DAY)
        self.assertLess(len(self.asked) - before, 3)
        self.assertEqual(len(self.policies), 0)


class EndTests(PoliciesTestCase):
    """
    The relay stops, or is told something else.
    """

    def test_P10_stop(self) -> None:
        """
        Who waits is told what is known, nobody is asked any more, and nothing is left.
        """
        self.policies.start()
        self.fetches.answers[DOMAIN] = None
        d = self.policies.policyFor(DOMAIN)
        self.successResultOf(self.policies.stop())
        self.assertIsNone(self.successResultOf(d).policy)
        self.assertTrue(self.fetches.isStopped)
        self.assertEqual(self.found(), NOTHING)
        self.assertEqual(self.asked, ["1"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_P10_stopKeeps(self) -> None:
        """
        It has stopped when what is known is on the disk.
        """
        jobs: list[Any] = []

        def run(function: Any) -> Deferred[Any]:
            jobs.append((function, Deferred()))
            return jobs[-1][1]  # type: ignore[no-any-return]

        self.policies = self.make(run)
        self.found()
        stopped = self.policies.stop()
        self.assertNoResult(stopped)
        ((function, done),) = jobs
        done.callback(function())
        self.successResultOf(stopped)
        self.assertEqual(len(self.store.names()), 1)

    def test_settingsChanged(self) -> None:
        """
        Another resolver is asked, and other addresses are connected to, from then on.
        """
        self.found()
        other, destinations = ZoneDNS(self.zones.zones), object()
        changed: Any = destinations
        self.policies.settingsChanged(other, changed)
        self.clock.advance(SOONEST)
        self.publish("2")
        other.zones = self.zones.zones
        self.assertEqual(self.foundId(), "2")
        self.assertEqual(other.asked, [(RECORD, "TXT")])
        self.assertEqual(
            self.fetches.made,
            [(self.clock, self.zones, None), (self.clock, other, destinations)],
        )

    def test_usual(self) -> None:
        """
        Without anything else the web is asked.
        """
        from twisted.internet.testing import MemoryReactorClock

        reactor: Any = MemoryReactorClock()
        self.zones.zones[f"mta-sts.{DOMAIN}"] = {"A": ["192.0.2.1"]}
        policies = Policies(self.zones, reactor, self.store)
        d = policies.policyFor(DOMAIN)
        self.assertEqual(reactor.tcpClients[0][:2], ("192.0.2.1", 443))
        policies.stop()
        self.assertIsNone(self.successResultOf(d).policy)

    def test_kept(self) -> None:
        """
        What is kept on the disk is what is known.
        """
        self.found()
        (kept,) = self.store.load(self.store.names())
        self.assertEqual(kept, makeKept(fetched=NOW))
