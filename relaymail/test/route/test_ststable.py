# -*- test-case-name: relaymail.test.route.test_ststable -*-
"""
The decisions of RFC 8461, row by row, as L{relaymail.route.protection} makes them.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.protections import Applied, PolicyKind, TLSResult
from relaymail.replies import TroubleKind
from relaymail.route.facts import Candidate
from relaymail.route.hosts import TLSNeed
from relaymail.route.levels import TLSLevel
from relaymail.route.protection import isMismatch
from relaymail.route.sts.policy import NOTHING, Found, STSMode
from relaymail.test.route.protections import (
    DOMAIN,
    MX,
    SIGNED,
    UNSIGNED,
    aimAt,
    oneHost,
    refusal,
    routed,
    sts,
)

#: The levels at which a policy says what sessions need, beside those that want as
#: much themselves.
LEVELS = (TLSLevel.OPPORTUNISTIC, TLSLevel.ENCRYPT, TLSLevel.DANE)

HOST = Candidate(MX)
FETCH = Found(None, TLSResult.STS_FETCH, "the web server did not answer")
INVALID = Found(None, TLSResult.STS_INVALID, "it has no mode")


class ModeTests(SynchronousTestCase):
    """
    RFC 8461 5: what each mode leads to.
    """

    def test_rfc8461_5_enforce(self) -> None:
        """
        A policy that is enforced and names the host: its certificate must be valid for
        that name (RFC 8461 4.2).
        """
        for level in LEVELS:
            host = oneHost(aimAt(level), UNSIGNED, HOST, sts(MX))
            self.assertIs(host.tls, TLSNeed.VERIFIED, level)
            self.assertEqual((host.name, host.names), (MX, ()))
            self.assertIn(f"the MTA-STS policy of {DOMAIN} names it", host.why)

    def test_rfc8461_5_enforceMismatch(self) -> None:
        """
        A policy that is enforced and does not name the host: no mail goes there.
        """
        for level in (*LEVELS, TLSLevel.VERIFY):
            error = refusal(aimAt(level), UNSIGNED, HOST, policy=sts("mx.example.org"))
            self.assertIs(error.trouble.kind, TroubleKind.TLS)
            self.assertIs(error.trouble.result, TLSResult.FAILED)
            self.assertIn(MX, error.trouble.detail)
            self.assertEqual([a.kind for a in error.applied], [PolicyKind.STS])

    def test_rfc8461_5_enforceMismatchOfSome(self) -> None:
        """
        Of several hosts those get the mail that the policy names, in their order.
        """
        names = ("a.evil.example", "b.example.org", "c.evil.example", "d.example.org")
        route = routed(
            aimAt(TLSLevel.OPPORTUNISTIC),
            UNSIGNED,
            *map(Candidate, names),
            policy=sts("*.example.org"),
        )
        self.assertEqual(
            [(h.name, h.tls) for h in route.hosts],
            [("b.example.org", TLSNeed.VERIFIED), ("d.example.org", TLSNeed.VERIFIED)],
        )
        self.assertEqual(
            [name for name, _ in route.left], ["a.evil.example", "c.evil.example"]
        )
        for _, why in route.left:
            self.assertIn("is enforced", why)

    def test_rfc8461_5_enforceWithSignedMX(self) -> None:
        """
        That the DNS is signed is no way around it.
        """
        for level in LEVELS:
            if level is not TLSLevel.DANE:
                policy = sts("mx.example.org")
                error = refusal(aimAt(level), SIGNED, HOST, policy=policy)
                self.assertIs(error.trouble.kind, TroubleKind.TLS)

    def test_rfc8461_5_testing(self) -> None:
        """
        A policy that is only tested keeps no mail from anywhere, and is told of.
        """
        for patterns in ((MX,), ("other.example",)):
            policy = sts(*patterns, mode=STSMode.TESTING)
            for level in LEVELS:
                aim = aimAt(level)
                route = routed(aim, UNSIGNED, HOST, policy=policy)
                without = routed(aim, UNSIGNED, HOST)
                self.assertEqual(route.hosts, without.hosts)
                self.assertEqual(route.left, ())
                (applied,) = route.applied
                self.assertIs(applied.kind, PolicyKind.STS)
                self.assertEqual(applied.patterns, patterns)
                (host,) = route.hosts
                self.assertIn("only tested", host.why)
                self.assertIs(host.tested, policy.policy)
                self.assertIs(without.hosts[0].tested, None)

    def test_rfc8461_5_none(self) -> None:
        """
        A policy that says that there is none is none.
        """
        policy = sts(mode=STSMode.NONE)
        for level in LEVELS:
            aim = aimAt(level)
            host = oneHost(aim, UNSIGNED, HOST, policy)
            self.assertEqual(host, oneHost(aim, UNSIGNED, HOST))

    def test_rfc8461_5_nothing(self) -> None:
        """
        Where nothing is found, nothing is told but that.
        """
        route = routed(aimAt(TLSLevel.OPPORTUNISTIC), UNSIGNED, HOST)
        self.assertIs(route.hosts[0].tls, TLSNeed.OFFERED)
        self.assertEqual(route.applied, (Applied(PolicyKind.NONE, DOMAIN),))


class MatchingTests(SynchronousTestCase):
    """
    RFC 8461 4.1: which hosts a policy names.
    """

    #: A pattern, the name of a host, and whether it is meant.
    TABLE = (
        ("mx.example.org", "mx.example.org", True),
        ("mx.example.org", "MX.Example.ORG.", True),
        ("MX.EXAMPLE.ORG", "mx.example.org", True),
        ("mx.example.org", "mx1.example.org", False),
        ("mx.example.org", "a.mx.example.org", False),
        ("*.example.org", "mx.example.org", True),
        ("*.example.org", "a.mx.example.org", False),
        ("*.example.org", "example.org", False),
        ("*.example.org", "mx.notexample.org", False),
        ("example.org", "mx.example.org", False),
    )

    def test_rfc8461_4_1_names(self) -> None:
        """
        A name is itself, in any case; a star is one label.
        """
        aim = aimAt(TLSLevel.OPPORTUNISTIC)
        for pattern, name, isMeant in self.TABLE:
            policy = sts(pattern)
            self.assertEqual(isMismatch(aim, name, policy), not isMeant, pattern)
            if isMeant:
                host = oneHost(aim, UNSIGNED, Candidate(name), policy)
                self.assertIs(host.tls, TLSNeed.VERIFIED)
            else:
                refusal(aim, UNSIGNED, Candidate(name), policy=policy)

    def test_mismatch(self) -> None:
        """
        What is not enforced, not there or not asked for keeps mail from nobody.
        """
        aim, other = aimAt(TLSLevel.OPPORTUNISTIC), sts("other.example")
        self.assertTrue(isMismatch(aim, MX, other))
        self.assertFalse(isMismatch(aim, MX, NOTHING))
        self.assertFalse(
            isMismatch(aim, MX, sts("other.example", mode=STSMode.TESTING))
        )
        for level, optional in (
            (TLSLevel.NONE, False),
            (TLSLevel.DANE_ONLY, False),
            (TLSLevel.OPPORTUNISTIC, True),
            (TLSLevel.VERIFY, True),
        ):
            self.assertFalse(
                isMismatch(aimAt(level, tlsOptional=optional), MX, other), level
            )


class ProblemTests(SynchronousTestCase):
    """
    RFC 8461 3.3, 5.1: a policy that cannot be had or read.
    """

    def test_rfc8461_5_1_noPolicy(self) -> None:
        """
        Without a policy that was known before, mail goes as if there were none, and
        what was wrong is told.
        """
        for problem in (FETCH, INVALID):
            for level in LEVELS:
                aim = aimAt(level)
                route = routed(aim, UNSIGNED, HOST, policy=problem)
                self.assertEqual(route.hosts, routed(aim, UNSIGNED, HOST).hosts)
                self.assertIn(problem.why, route.hosts[0].why)
                (applied,) = route.applied
                self.assertIs(applied.kind, PolicyKind.STS)
                self.assertIs(applied.problem, problem.problem)
                self.assertEqual(applied.why, problem.why)

    def test_rfc8461_5_1_cached(self) -> None:
        """
        One that was known before holds on, whatever is wrong with the newer one.
        """
        known = sts(MX)
        stale = Found(known.policy, TLSResult.STS_FETCH, "it did not answer")
        aim = aimAt(TLSLevel.OPPORTUNISTIC)
        route = routed(aim, UNSIGNED, HOST, policy=stale)
        self.assertIs(route.hosts[0].tls, TLSNeed.VERIFIED)
        (applied,) = route.applied
        self.assertIs(applied.problem, TLSResult.STS_FETCH)
        self.assertEqual(applied.lines, known.policy.lines if known.policy else ())


class OtherLevelTests(SynchronousTestCase):
    """
    What a policy is where the operator wants less or more.
    """

    def test_none(self) -> None:
        """
        Where the operator wants no TLS there is none.
        """
        for policy in (sts(MX), sts("other.example")):
            route = routed(aimAt(TLSLevel.NONE), UNSIGNED, HOST, policy=policy)
            self.assertIs(route.hosts[0].tls, TLSNeed.NEVER)
            self.assertEqual([a.kind for a in route.applied], [PolicyKind.NONE])

    def test_verify(self) -> None:
        """
        A policy that is enforced says for certain which hosts are the destination's.
        """
        aim = aimAt(TLSLevel.VERIFY)
        host = oneHost(aim, UNSIGNED, HOST, sts(MX))
        self.assertIs(host.tls, TLSNeed.VERIFIED)
        self.assertIn("MTA-STS", host.why)

    def test_verifyTesting(self) -> None:
        """
        One that is only tested is no word to rely on.
        """
        policy = sts(MX, mode=STSMode.TESTING)
        trouble = refusal(aimAt(TLSLevel.VERIFY), UNSIGNED, HOST, policy=policy).trouble
        self.assertIs(trouble.kind, TroubleKind.TLS)

    def test_daneOnly(self) -> None:
        """
        Where only TLSA records count a policy is nothing.
        """
        aim = aimAt(TLSLevel.DANE_ONLY)
        error = refusal(aim, UNSIGNED, HOST, policy=sts(MX))
        self.assertIs(error.trouble.result, TLSResult.DANE_REQUIRED)
        self.assertEqual([a.kind for a in error.applied], [PolicyKind.NONE])
