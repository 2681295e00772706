# -*- test-case-name: relaymail.test.route.test_promises -*-
"""
What L{relaymail.route.protection} promises, for whatever was found.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import RouteError
from relaymail.protections import TLSResult
from relaymail.replies import TroubleKind
from relaymail.route.facts import (
    Aim,
    Assurance,
    Candidate,
    Exchange,
    Reach,
    TLSASet,
    asksTLSA,
    basesOf,
)
from relaymail.route.hosts import Host, Route, TLSNeed
from relaymail.route.levels import TLSLevel
from relaymail.route.protection import protect
from relaymail.route.sts.policy import Found, STSMode, STSPolicy
from relaymail.route.terms import Terms
from relaymail.test.route.protections import (
    DOMAIN,
    EE,
    NO_ADDRESS,
    NO_ANSWER,
    TA,
    UNUSABLE,
)

#: How much a session is worth.
WORTH = {
    TLSNeed.NEVER: 0,
    TLSNeed.OFFERED: 1,
    TLSNeed.ENCRYPTED: 2,
    TLSNeed.VERIFIED: 3,
    TLSNeed.DANE: 3,
}
NAMES = ("mx.example.org", "a.hoster.example", "b.hoster.example", DOMAIN, "192.0.2.1")
CANONICAL = "canonical.example"

assurances = st.sampled_from(Assurance)
troubles = st.sampled_from((None, NO_ANSWER, NO_ADDRESS))
records = st.lists(st.sampled_from((EE, TA, *UNUSABLE)), max_size=3).map(tuple)
reaches = st.builds(
    Reach, assurances, st.sampled_from(("", CANONICAL)), st.booleans(), troubles
)
tlsas = st.lists(
    st.builds(
        TLSASet,
        st.sampled_from((*NAMES, CANONICAL)),
        assurances,
        records,
        st.sampled_from((None, NO_ANSWER)),
    ),
    max_size=4,
).map(tuple)
candidates = st.lists(
    st.builds(Candidate, st.sampled_from(NAMES), st.one_of(st.none(), reaches), tlsas),
    min_size=1,
    max_size=4,
)
policies = st.builds(
    STSPolicy,
    st.sampled_from(STSMode),
    st.sampled_from(((), ("*.example.org",), ("a.hoster.example", DOMAIN))),
    st.just(86400),
)
found = st.builds(
    Found,
    st.one_of(st.none(), policies),
    st.sampled_from((None, TLSResult.STS_FETCH, TLSResult.STS_INVALID)),
    st.just("words"),
)
terms = st.builds(
    Terms, st.sampled_from(TLSLevel), st.sampled_from(((), (".hoster.example",)))
)
aims = st.builds(Aim, st.just(DOMAIN), terms, st.booleans(), st.booleans())
exchanges = st.builds(Exchange, st.booleans(), st.booleans())


def signedTLSA(candidate: Candidate) -> TLSASet | None:
    """
    Give the first records that are signed, of those that are asked for, in their
    order; L{None} where there are none, or nothing is known.
    """
    if candidate.reach is None:
        return None
    for base in basesOf(candidate.name, candidate.reach):
        known = [one for one in candidate.tlsa if one.base == base]
        if known and known[-1].assurance is Assurance.SECURE and known[-1].records:
            return known[-1]
        if not known or known[-1].assurance is Assurance.FAILED:
            return None
    return None


def isCertain(aim: Aim, exchange: Exchange, name: str, sts: Found) -> bool:
    """
    Tell whether a host is one of the destination for all that anybody on the way may
    have said.
    """
    policy = sts.policy
    isNamed = bool(aim.terms.names) and name.endswith(aim.terms.names[0])
    isOwn = name == DOMAIN or name.endswith(f".{DOMAIN}")
    isEnforced = policy is not None and policy.mode is STSMode.ENFORCE
    isInPolicy = policy is not None and policy.matches(name)
    return exchange.isSecure or isNamed or isOwn or (isEnforced and isInPolicy)


class PromiseTests(SynchronousTestCase):
    """
    Tests for L{protect}.
    """

    def decided(
        self, aim: Aim, exchange: Exchange, hosts: list[Candidate], sts: Found
    ) -> Route | None:
        """
        Give the route, or L{None} where there is none; then the reason is one that the
        judge knows.
        """
        try:
            route = protect(aim, exchange, hosts, sts)
        except RouteError as e:
            self.assertIn(
                e.trouble.kind,
                (
                    TroubleKind.TLS,
                    TroubleKind.NO_ANSWER,
                    TroubleKind.NO_REQUIRETLS,
                    TroubleKind.NO_SUCH_DOMAIN,
                ),
            )
            self.assertTrue(e.trouble.detail)
            self.assertTrue(e.applied)
            return None
        self.assertEqual(len(route.hosts) + len(route.left), len(hosts))
        self.assertTrue(route.applied)
        self.assertTrue(all(host.why for host in route.hosts))
        return route

    @settings(deadline=None, max_examples=150)
    @given(aims, exchanges, candidates, found)
    def test_neverLessThanPromised(
        self, aim: Aim, exchange: Exchange, hosts: list[Candidate], sts: Found
    ) -> None:
        """
        For no combination of facts is a host used with less than the operator, the
        sender, its TLSA records or the policy of the destination promise.
        """
        for candidate in hosts:
            route = self.decided(aim, exchange, [candidate], sts)
            if route is not None:
                self.keeps(aim, exchange, candidate, sts, route.hosts[0])

    def keeps(
        self,
        aim: Aim,
        exchange: Exchange,
        candidate: Candidate,
        sts: Found,
        host: Host,
    ) -> None:
        """
        Check what sessions with one host need.
        """
        level, worth = aim.terms.level, WORTH[host.tls]
        if level is TLSLevel.VERIFY:
            self.assertIs(host.tls, TLSNeed.VERIFIED)
        if level is TLSLevel.DANE_ONLY:
            self.assertIs(host.tls, TLSNeed.DANE)
        if level is TLSLevel.ENCRYPT:
            self.assertGreaterEqual(worth, WORTH[TLSNeed.ENCRYPTED])
        if aim.requireTLS:
            self.assertEqual(worth, WORTH[TLSNeed.DANE])
            self.assertTrue(host.requireTLS)
        if aim.requireTLS or level is TLSLevel.VERIFY:
            self.assertTrue(isCertain(aim, exchange, host.name, sts), host)
        self.keepsDANE(aim, exchange, candidate, host)
        policy = sts.policy
        isEnforced = policy is not None and policy.mode is STSMode.ENFORCE
        isHeeded = aim.requireTLS or not aim.tlsOptional
        isSTS = level not in (TLSLevel.NONE, TLSLevel.DANE_ONLY)
        if isEnforced and isHeeded and isSTS:
            self.assertGreaterEqual(worth, WORTH[TLSNeed.VERIFIED])
            if host.tls is not TLSNeed.DANE:
                assert policy is not None
                self.assertTrue(policy.matches(host.name))

    def keepsDANE(
        self, aim: Aim, exchange: Exchange, candidate: Candidate, host: Host
    ) -> None:
        """
        Check what a host's TLSA records promise.
        """
        self.assertEqual(host.tls is TLSNeed.DANE, bool(host.tlsa))
        if not asksTLSA(aim, exchange, candidate.name):
            self.assertIsNot(host.tls, TLSNeed.DANE)
            return
        self.assertTrue(exchange.isSecure or candidate.name == DOMAIN)
        assert candidate.reach is not None
        self.assertIsNot(candidate.reach.assurance, Assurance.FAILED)
        known = signedTLSA(candidate)
        if known is not None and known.usable:
            self.assertIs(host.tls, TLSNeed.DANE)
            self.assertEqual(host.tlsa, known.usable)
            self.assertEqual(host.names[0], known.base)
        elif known is not None:
            self.assertGreaterEqual(WORTH[host.tls], WORTH[TLSNeed.ENCRYPTED])
            self.assertIsNot(host.tls, TLSNeed.DANE)

    @settings(deadline=None, max_examples=50)
    @given(aims, exchanges, candidates, found)
    def test_eachHostForItself(
        self, aim: Aim, exchange: Exchange, hosts: list[Candidate], sts: Found
    ) -> None:
        """
        What one host needs does not depend on the others, and they keep their order.
        """
        alone: list[Host] = []
        for candidate in hosts:
            route = self.decided(aim, exchange, [candidate], sts)
            if route is not None:
                alone.extend(route.hosts)
        together = self.decided(aim, exchange, hosts, sts)
        self.assertEqual([] if together is None else list(together.hosts), alone)

    @settings(deadline=None, max_examples=50)
    @given(aims, exchanges, candidates, found)
    def test_lessKnownIsNotLessSafe(
        self, aim: Aim, exchange: Exchange, hosts: list[Candidate], sts: Found
    ) -> None:
        """
        A lookup that fails where there were signed records never makes a host be used
        with less: it is left out.
        """
        for candidate in hosts:
            reach = candidate.reach
            if reach is None or not asksTLSA(aim, exchange, candidate.name):
                continue
            bases = basesOf(candidate.name, reach)
            silent = tuple(TLSASet(b, Assurance.FAILED, (), NO_ANSWER) for b in bases)
            blocked = Candidate(candidate.name, reach, silent)
            if bases:
                self.assertIs(self.decided(aim, exchange, [blocked], sts), None)
