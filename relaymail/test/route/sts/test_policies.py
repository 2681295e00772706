"""
Tests for L{relaymail.route.sts.policies}: RFC 8461 3.3, 5, 5.1 and 8, with doubles; the
real things together are in L{relaymail.test.endtoend.test_sts}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from relaymail.errors import RouteError
from relaymail.protections import TLSResult
from relaymail.replies import TroubleKind
from relaymail.route.protecting import MAX_WAIT
from relaymail.route.sts import policies as module
from relaymail.route.sts.ages import DAY, FIRST_WAIT, LONGEST_WAIT
from relaymail.route.sts.book import READ_PATIENCE
from relaymail.route.sts.policies import (
    KNOWN_PATIENCE,
    PATIENCE,
    RECHECK_AFTER,
    SOONEST,
)
from relaymail.route.sts.policy import NOTHING, Found, Unfetched
from relaymail.test.route.sts.cases import RECORD, PoliciesTestCase
from relaymail.test.route.sts.samples import DOMAIN, WEEK, makePolicy
from relaymail.testing.dns import Fault


class DiscoveryTests(PoliciesTestCase):
    """
    How policies are found (RFC 8461 3).
    """

    def test_3_first(self) -> None:
        """
        The policy of a domain is fetched when mail goes there, and is not fetched
        again while its id is the same.
        """
        found = self.found()
        self.assertEqual((found.policy, found.problem), (makePolicy(), None))
        self.assertIn("holds until", found.why)
        self.clock.advance(DAY)
        self.assertEqual(self.found("One.Example."), found)
        self.assertEqual(self.fetches.asked, [(DOMAIN, "1")])
        self.assertEqual(len(self.policies), 1)
        self.assertEqual((self.policies.fetched, self.policies.failures), (1, {}))
        self.assertEqual(self.policies.known(DOMAIN), found)

    def test_3_1_none(self) -> None:
        """
        A domain without a usable record has none, and no web server is asked.
        """
        none: list[Any] = [{"TXT": []}, {"TXT": ["v=STSv2; id=1;"]}, Fault.NXDOMAIN]
        for entry in none:
            self.zones.zones[RECORD] = entry
            self.assertEqual(self.found(), NOTHING)
        self.zones.zones[RECORD] = {"TXT": ["v=STSv1; id=1;", "v=STSv1; id=1;"]}
        found = self.found()
        self.assertEqual((found.policy, found.problem), (None, None))
        self.assertIn("there are 2", found.why)
        self.zones.zones[RECORD] = Fault.SERVFAIL
        found = self.found()
        self.assertEqual((found.policy, found.problem), (None, None))
        self.assertIn(RECORD, found.why)
        self.assertEqual(self.asked, [])

    def test_3_4_noDomain(self) -> None:
        """
        Where there can be none nobody is asked.
        """
        for domain in ("[192.0.2.1]", "localhost", "a b"):
            self.assertEqual(self.found(domain), NOTHING)
            self.assertEqual(self.policies.known(domain), NOTHING)
        self.assertEqual(self.zones.asked, [])

    def test_3_4_subdomain(self) -> None:
        """
        The policy of a domain is not that of one below it.
        """
        self.found()
        self.assertEqual(self.found(f"sub.{DOMAIN}"), NOTHING)

    def test_3_3_failed(self) -> None:
        """
        Where it cannot be had mail goes as without one (RFC 8461 3.3), and why is
        known for reports.
        """
        for result in (
            TLSResult.STS_FETCH,
            TLSResult.STS_INVALID,
            TLSResult.STS_WEBPKI,
        ):
            self.fetches.answers[DOMAIN] = result
            self.assertEqual(self.found(), Found(None, result, "it is broken"))
            self.assertEqual(self.policies.failures[result], 1)
            self.clock.advance(LONGEST_WAIT)

    def test_3_3_notAtOnce(self) -> None:
        """
        Then it is not asked again for five minutes, and the longer the more often
        that was.
        """
        self.fetches.answers[DOMAIN] = TLSResult.STS_FETCH
        wait = FIRST_WAIT
        for _ in range(4):
            before = len(self.asked)
            self.found()
            self.clock.advance(wait - 1)
            self.assertIs(self.found().problem, TLSResult.STS_FETCH)
            self.assertEqual(len(self.asked), before + 1)
            self.clock.advance(1)
            wait *= 2
        self.publish("1")
        self.assertEqual(self.foundId(), "1")
        self.assertIsNone(self.found().problem)

    def test_3_3_otherId(self) -> None:
        """
        For another id it is asked sooner, but not at once: the DNS may be in
        somebody's hands.
        """
        self.fetches.answers[DOMAIN] = TLSResult.STS_FETCH
        self.found()
        self.publish("2")
        self.clock.advance(SOONEST - 1)
        self.assertIsNone(self.foundId())
        self.clock.advance(1)
        self.assertEqual(self.foundId(), "2")
        self.assertEqual(self.asked, ["1", "2"])

    def test_gone(self) -> None:
        """
        That one could not be had is forgotten with its record.
        """
        self.fetches.answers[DOMAIN] = TLSResult.STS_FETCH
        self.found()
        self.zones.zones[RECORD] = Fault.SERVFAIL
        self.assertIs(self.found().problem, TLSResult.STS_FETCH)
        del self.zones.zones[RECORD]
        self.assertEqual(self.found(), NOTHING)

    def test_A06_notes(self) -> None:
        """
        So many failures are remembered.
        """
        self.patch(module, "MAX_NOTES", 2)
        for number in range(4):
            self.zones.zones[f"_mta-sts.d{number}.example"] = Fault.SERVFAIL
            self.found(f"d{number}.example")
        known = [self.policies.known(f"d{n}.example").why for n in range(4)]
        self.assertEqual([bool(why) for why in known], [False, False, True, True])


class WaitingTests(PoliciesTestCase):
    """
    How long mail waits (RFC 8461 5.1).
    """

    def test_5_1_slow(self) -> None:
        """
        Mail waits for a first policy up to a bound, and then goes without; the answer
        is used when it comes.
        """
        self.fetches.answers[DOMAIN] = None
        d = self.policies.policyFor(DOMAIN)
        self.clock.advance(PATIENCE - 1)
        self.assertNoResult(d)
        self.clock.advance(1)
        found = self.successResultOf(d)
        self.assertEqual((found.policy, found.problem), (None, TLSResult.STS_FETCH))
        self.assertIn("has not come within 20 seconds", found.why)
        self.fetches.pending[DOMAIN].callback(makePolicy())
        self.assertEqual(self.foundId(), "1")
        self.assertEqual(self.asked, ["1"])

    def test_5_1_once(self) -> None:
        """
        A domain is asked once at a time, whoever waits.
        """
        self.fetches.answers[DOMAIN] = None
        waiting = [self.policies.policyFor(DOMAIN) for _ in range(3)]
        self.clock.advance(PATIENCE)
        waiting.append(self.policies.recheck(DOMAIN))
        self.fetches.pending[DOMAIN].callback(makePolicy())
        found = [self.successResultOf(d).policy for d in waiting]
        self.assertEqual(found, [None, None, None, makePolicy()])
        self.assertEqual(self.asked, ["1"])

    def test_5_1_knownMeanwhile(self) -> None:
        """
        Where a policy is known mail waits for a newer one for a moment, and goes by
        the one that is known.
        """
        self.found()
        self.clock.advance(SOONEST)
        self.publish("2")
        self.fetches.answers[DOMAIN] = None
        d = self.policies.policyFor(DOMAIN)
        self.clock.advance(KNOWN_PATIENCE)
        self.assertEqual(self.successResultOf(d).policy, makePolicy("1"))
        self.fetches.pending[DOMAIN].callback(makePolicy("2"))
        self.assertEqual(self.foundId(), "2")

    def test_A07_silentDNS(self) -> None:
        """
        A DNS that is silent keeps no mail for longer, either.
        """
        asked: list[Deferred[Any]] = []

        def lookupText(name: str) -> Deferred[Any]:
            asked.append(Deferred())
            return asked[-1]

        self.patch(self.zones, "lookupText", lookupText)
        d = self.policies.policyFor(DOMAIN)
        self.clock.advance(PATIENCE)
        self.assertEqual(self.successResultOf(d), NOTHING)
        self.assertEqual(len(asked), 1)

    def test_A06_slots(self) -> None:
        """
        So many are fetched at a time; the next one has its turn when one is done.
        """
        self.patch(module, "MAX_FETCHES", 1)
        self.policies = self.make()
        self.publishOther()
        self.fetches.answers[DOMAIN] = self.fetches.answers["two.example"] = None
        waiting = [self.policies.policyFor(d) for d in (DOMAIN, "two.example")]
        self.assertEqual(self.asked, ["1"])
        self.fetches.pending[DOMAIN].errback(Unfetched(TLSResult.STS_FETCH, "x"))
        self.assertEqual(self.asked, ["1", "7"])
        self.fetches.pending["two.example"].callback(makePolicy("7"))
        for d in waiting:
            self.successResultOf(d)

    def publishOther(self) -> None:
        """
        Let another domain have a policy.
        """
        self.zones.zones["_mta-sts.two.example"] = {"TXT": ["v=STSv1; id=7;"]}
        self.fetches.answers["two.example"] = makePolicy("7")

    def test_A06_asked(self) -> None:
        """
        So many domains are asked at a time; mail to others goes by what is known.
        """
        self.patch(module, "MAX_ASKED", 1)
        self.fetches.answers[DOMAIN] = None
        self.publishOther()
        d = self.policies.policyFor(DOMAIN)
        self.assertEqual(self.found("two.example"), NOTHING)
        self.fetches.pending[DOMAIN].callback(makePolicy())
        self.successResultOf(d)
        self.assertIsNotNone(self.found("two.example").policy)

    def test_mistake(self) -> None:
        """
        A mistake in here is loud, and keeps no mail waiting.
        """
        self.fetches.answers.clear()
        self.assertIsNone(self.foundId())
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.publish("1")
        self.assertEqual(self.foundId(), "1")


class KnownTests(PoliciesTestCase):
    """
    What is known is used (RFC 8461 3.3, 5.1), and ends (8).
    """

    def setUp(self) -> None:
        """
        Know a policy.
        """
        super().setUp()
        self.found()
        self.clock.advance(SOONEST)

    def test_5_1_recordGone(self) -> None:
        """
        A policy whose record is missing holds until its time is over.
        """
        none: list[Any] = [Fault.NXDOMAIN, {"TXT": []}, {"TXT": ["v=STSv1; id=1; x"]}]
        for entry in none:
            self.zones.zones[RECORD] = entry
            found = self.found()
            self.assertEqual((found.policy, found.problem), (makePolicy(), None))
            self.assertIn(DOMAIN, found.why.partition("; ")[2])
        self.clock.advance(WEEK - SOONEST - 1)
        self.assertEqual(self.foundId(), "1")
        self.clock.advance(1)
        self.assertIsNone(self.foundId())
        self.assertEqual(self.asked, ["1"])

    def test_5_1_noDNS(self) -> None:
        """
        So does one whose record cannot be had.
        """
        self.zones.zones[RECORD] = Fault.SERVFAIL
        self.assertEqual(self.foundId(), "1")
        self.clock.advance(WEEK)
        self.assertIsNone(self.foundId())

    def test_5_1_notFetched(self) -> None:
        """
        So does one in the place of which a new one cannot be had, whatever is wrong
        with it.
        """
        for number, result in enumerate(
            (TLSResult.STS_FETCH, TLSResult.STS_INVALID, TLSResult.STS_WEBPKI), 2
        ):
            self.publish(str(number))
            self.fetches.answers[DOMAIN] = result
            found = self.found()
            self.assertEqual((found.policy, found.problem), (makePolicy(), result))
            self.assertTrue(found.why.endswith("; it is broken"))
            self.clock.advance(SOONEST)
        self.assertEqual(len(self.asked), 4)

    def test_5_1_backToKnown(self) -> None:
        """
        What was wrong with a new one is forgotten when it was taken back.
        """
        self.publish("2")
        self.fetches.answers[DOMAIN] = TLSResult.STS_FETCH
        self.assertIsNotNone(self.found().problem)
        self.publish("1")
        self.assertIsNone(self.found().problem)

    def test_8_1_update(self) -> None:
        """
        A new id leads to the new policy.
        """
        self.publish("2", mx="*.other.example")
        self.assertEqual(self.found().policy, makePolicy("2", mx="*.other.example"))
        self.assertEqual(self.asked, ["1", "2"])

    def test_8_1_notAtOnce(self) -> None:
        """
        But not more often than once a minute: the DNS may be in somebody's hands.
        """
        self.publish("2")
        self.assertEqual(self.foundId(), "2")
        self.publish("3")
        self.assertEqual(self.foundId(), "2")
        self.clock.advance(SOONEST)
        self.assertEqual(self.foundId(), "3")

    def test_5_1_over(self) -> None:
        """
        One that is over is fetched anew, though its id is the same.
        """
        self.clock.advance(WEEK)
        self.assertEqual(self.foundId(), "1")
        self.assertEqual(self.asked, ["1", "1"])

    def test_3_2_short(self) -> None:
        """
        One that holds for no time is not fetched for each message.
        """
        self.publish("2", maxAge=0)
        for _ in range(3):
            self.assertEqual(self.foundId(), "2")
        self.assertEqual(self.asked, ["1", "2"])
        self.clock.advance(SOONEST)
        self.assertEqual(self.foundId(), "2")
        self.assertEqual(self.asked, ["1", "2", "2"])

    def test_8_3_none(self) -> None:
        """
        One of the mode none ends protection at once, and is kept itself, so that its
        server is not asked for each message.
        """
        self.publish("2", mode="none", maxAge=86400)
        for _ in range(2):
            self.assertIsNone(self.foundId())
        self.assertEqual(self.asked, ["1", "2"])
        self.assertEqual(self.policies.counts(), {"none": 1})
        self.clock.advance(SOONEST)
        self.publish("3", mode="testing")
        self.assertEqual(self.foundId(), "3")

    def test_8_3_noneNotFetched(self) -> None:
        """
        A web server that cannot be reached does not end it, whatever the DNS says.
        """
        self.publish("2", mode="none")
        self.fetches.answers[DOMAIN] = TLSResult.STS_WEBPKI
        self.assertEqual(self.foundId(), "1")

    def test_3_3_noAlert(self) -> None:
        """
        That one cannot be put in the place of one of the mode none is no warning.
        """
        self.publish("2", mode="none")
        self.found()
        self.clock.advance(SOONEST)
        self.publish("3")
        self.fetches.answers[DOMAIN] = TLSResult.STS_FETCH
        with capturedLogs() as events:
            self.assertIs(self.found().problem, TLSResult.STS_FETCH)
        self.assertEqual(events, [])

    def test_10_2_restart(self) -> None:
        """
        It is known after a restart, and mail that has waited for that waits until it
        was read.
        """
        self.zones.zones[RECORD] = Fault.SERVFAIL
        jobs: list[Any] = []

        def run(function: Any) -> Deferred[Any]:
            jobs.append((function, Deferred()))
            return jobs[-1][1]  # type: ignore[no-any-return]

        self.policies = self.make(run)
        self.policies.start()
        d = self.policies.policyFor(DOMAIN)
        while jobs:
            self.assertNoResult(d)
            function, done = jobs.pop(0)
            done.callback(function())
        self.assertEqual(self.successResultOf(d).policy, makePolicy())
        self.successResultOf(self.policies.stop())

    def test_10_2_notRead(self) -> None:
        """
        A disk that is slow after the start, or a relay that is stopped before it has
        read all, is no way round what is kept: mail is left for later.
        """
        for isStopped in (False, True):
            self.policies = self.make(lambda function: Deferred())
            self.policies.start()
            d = self.policies.policyFor(DOMAIN)
            if isStopped:
                self.policies.stop()
            else:
                self.clock.advance(READ_PATIENCE)
            failure = self.failureResultOf(d, RouteError)
            self.assertIs(failure.value.trouble.kind, TroubleKind.LOCAL)
        self.assertLess(READ_PATIENCE, MAX_WAIT)


class RecheckTests(PoliciesTestCase):
    """
    Before mail is refused it is looked whether there is another policy (RFC 8461 5.1).
    """

    def recheck(self) -> str | None:
        """
        Look, and give the id of what is found at once.
        """
        found = self.successResultOf(self.policies.recheck(DOMAIN))
        return None if found.policy is None else found.policy.id

    def test_5_1_newId(self) -> None:
        """
        Another id is found.
        """
        self.found()
        self.clock.advance(SOONEST)
        self.publish("2")
        self.assertEqual(self.recheck(), "2")

    def test_5_1_sameId(self) -> None:
        """
        So is another policy whose id was not changed: its owner may have forgotten to.
        But not more often than every five minutes.
        """
        self.found()
        self.publish("1", mx="new.example")
        self.clock.advance(RECHECK_AFTER - 1)
        self.recheck()
        self.assertEqual(self.found().policy, makePolicy("1"))
        self.clock.advance(1)
        self.recheck()
        self.assertEqual(self.found().policy, makePolicy("1", mx="new.example"))
        self.recheck()
        self.assertEqual(self.asked, ["1", "1"])

    def test_5_1_noDNS(self) -> None:
        """
        Where the DNS does not answer the web server is asked; where it says that there
        is no policy any more, it is not.
        """
        self.found()
        self.clock.advance(RECHECK_AFTER)
        self.zones.zones[RECORD] = Fault.NXDOMAIN
        self.assertEqual(self.recheck(), "1")
        self.assertEqual(self.asked, ["1"])
        self.zones.zones[RECORD] = Fault.SERVFAIL
        self.assertEqual(self.recheck(), "1")
        self.assertEqual(self.asked, ["1", "1"])

    def test_first(self) -> None:
        """
        Where nothing is known it is as for mail.
        """
        self.assertEqual(self.recheck(), "1")
