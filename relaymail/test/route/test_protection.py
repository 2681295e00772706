# -*- test-case-name: relaymail.test.route.test_protection -*-
"""
Tests for L{relaymail.route.protection}: what the operator and the sender want.  What
the destination wants is in C{test_danetable} and C{test_ststable}.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from relaymail.protections import Applied, PolicyKind, TLSResult
from relaymail.replies import MAX_TEXT, TroubleKind
from relaymail.route.facts import Aim, Candidate, Exchange
from relaymail.route.hosts import Host, TLSNeed
from relaymail.route.levels import TLSLevel
from relaymail.route.protection import appliedTo, protect
from relaymail.route.sts.policy import Found
from relaymail.route.terms import Terms
from relaymail.test.route.protections import (
    DOMAIN,
    EE,
    MX,
    SIGNED,
    UNSIGNED,
    UNUSABLE,
    aimAt,
    having,
    oneHost,
    refusal,
    routed,
    sts,
    unanswered,
    unsigned,
)

HOST = Candidate(MX)
FETCH = Found(None, TLSResult.STS_FETCH, "the web server did not answer")


class LevelTests(SynchronousTestCase):
    """
    What the operator wants of hosts of which nothing is known.
    """

    def test_least(self) -> None:
        """
        A session needs what the level says.
        """
        for level, need in (
            (TLSLevel.NONE, TLSNeed.NEVER),
            (TLSLevel.OPPORTUNISTIC, TLSNeed.OFFERED),
            (TLSLevel.ENCRYPT, TLSNeed.ENCRYPTED),
            (TLSLevel.DANE, TLSNeed.OFFERED),
        ):
            host = oneHost(aimAt(level), UNSIGNED, HOST)
            self.assertIs(host.tls, need)
            self.assertTrue(host.why)
            self.assertEqual(host, Host(MX, tls=need))

    def test_nothingKnown(self) -> None:
        """
        Levels that need to know more get no host.
        """
        for level in (TLSLevel.VERIFY, TLSLevel.DANE_ONLY):
            trouble = refusal(aimAt(level), UNSIGNED, HOST).trouble
            self.assertIs(trouble.kind, TroubleKind.TLS)

    def test_terms(self) -> None:
        """
        What the operator says beside the level stands with each host; whom to trust
        only where certificates are looked at.
        """
        terms = Terms(
            TLSLevel.ENCRYPT,
            (),
            "ca.pem",
            "c.pem",
            "k.pem",
            ("192.0.2.1",),
            "me.example",
        )
        (host,) = protect(Aim(DOMAIN, terms), UNSIGNED, [HOST]).hosts
        self.assertEqual(
            host,
            Host(
                MX,
                tls=TLSNeed.ENCRYPTED,
                certFile="c.pem",
                keyFile="k.pem",
                source=("192.0.2.1",),
                helo="me.example",
            ),
        )
        terms = replace(terms, level=TLSLevel.VERIFY)
        (host,) = protect(Aim(DOMAIN, terms), SIGNED, [HOST]).hosts
        self.assertEqual(host.caFile, "ca.pem")

    def test_until(self) -> None:
        """
        How long it holds stands with the route.
        """
        self.assertEqual(protect(aimAt(), UNSIGNED, [HOST], until=7.0).until, 7.0)
        self.assertIs(protect(aimAt(), UNSIGNED, [HOST]).until, None)

    def test_literal(self) -> None:
        """
        A host that stands in the address itself is known for certain.
        """
        for literal, name in (
            ("[192.0.2.1]", "192.0.2.1"),
            ("[IPv6:2001:db8::1]", "2001:db8::1"),
        ):
            aim = Aim(literal, Terms(TLSLevel.VERIFY))
            host = oneHost(aim, UNSIGNED, Candidate(name))
            self.assertIs(host.tls, TLSNeed.VERIFIED)
            refusal(aim, UNSIGNED, Candidate("192.0.2.2"))


class VerifyTests(SynchronousTestCase):
    """
    L{TLSLevel.VERIFY}: which hosts are known for certain.
    """

    #: The name of a host, what the operator names, and whether it is certain without
    #: signed MX records.
    TABLE: tuple[tuple[str, tuple[str, ...], bool], ...] = (
        (DOMAIN, (), True),
        ("mx.example.org", (), True),
        ("MX.Example.Org.", (), True),
        ("a.b.example.org", (), True),
        ("notexample.org", (), False),
        ("example.org.evil.example", (), False),
        ("org", (), False),
        (MX, (), False),
        (MX, (MX,), True),
        (MX, (MX.upper(),), True),
        (MX, (".hoster.example",), True),
        (MX, ("hoster.example",), False),
        ("hoster.example", (".hoster.example",), False),
        ("mx.badhoster.example", (".hoster.example",), False),
        (MX, ("other.example", ".hoster.example"), True),
    )

    def test_certain(self) -> None:
        """
        The destination, what is below it, and whom the operator names are; nobody
        else is.
        """
        for name, named, isCertain in self.TABLE:
            aim = aimAt(TLSLevel.VERIFY, names=named)
            if isCertain:
                host = oneHost(aim, UNSIGNED, Candidate(name))
                self.assertIs(host.tls, TLSNeed.VERIFIED, name)
                self.assertEqual(host.names, ())
                self.assertIn("the operator", host.why)
            else:
                trouble = refusal(aim, UNSIGNED, Candidate(name)).trouble
                self.assertIs(trouble.kind, TroubleKind.TLS, name)
                self.assertIs(trouble.result, TLSResult.FAILED)
                self.assertIn("nobody vouches for", trouble.detail)

    def test_signed(self) -> None:
        """
        Those that signed MX records name are.
        """
        host = oneHost(aimAt(TLSLevel.VERIFY), SIGNED, HOST)
        self.assertIs(host.tls, TLSNeed.VERIFIED)
        self.assertIn("signed", host.why)

    def test_implicit(self) -> None:
        """
        A domain that is its own host is.
        """
        exchange = Exchange(isImplicit=True)
        host = oneHost(aimAt(TLSLevel.VERIFY), exchange, Candidate(DOMAIN))
        self.assertIs(host.tls, TLSNeed.VERIFIED)

    def test_someCertain(self) -> None:
        """
        The others are left out, and it is said why.
        """
        aim = aimAt(TLSLevel.VERIFY)
        route = routed(aim, UNSIGNED, HOST, Candidate("mx.example.org"))
        self.assertEqual([h.name for h in route.hosts], ["mx.example.org"])
        ((name, why),) = route.left
        self.assertEqual(name, MX)
        self.assertIn("nobody vouches for", why)

    def test_noTLSA(self) -> None:
        """
        Whatever TLSA records say, the certificate must be valid for the name.
        """
        for candidate in (having(EE), having(*UNUSABLE), unanswered()):
            host = oneHost(aimAt(TLSLevel.VERIFY), SIGNED, candidate)
            self.assertEqual((host.tls, host.tlsa), (TLSNeed.VERIFIED, ()))

    def test_policyLost(self) -> None:
        """
        Where a policy that might name the host cannot be had, that is said.
        """
        trouble = refusal(aimAt(TLSLevel.VERIFY), UNSIGNED, HOST, policy=FETCH).trouble
        self.assertIs(trouble.result, TLSResult.STS_FETCH)
        self.assertIn(FETCH.why, trouble.detail)


class RequireTLSTests(SynchronousTestCase):
    """
    RFC 8689 4.2.1: mail that may go over TLS only.
    """

    def test_rfc8689_4_2_1_signedMX(self) -> None:
        """
        It goes to hosts that signed MX records name, with a valid certificate, at
        every level that does not want more.
        """
        for level in TLSLevel:
            aim = aimAt(level, requireTLS=True)
            if level is not TLSLevel.DANE_ONLY:
                host = oneHost(aim, SIGNED, having())
                self.assertIs(host.tls, TLSNeed.VERIFIED, level)
                self.assertTrue(host.requireTLS)

    def test_rfc8689_4_2_1_dane(self) -> None:
        """
        A certificate that TLSA records name is as good, unless the operator wants the
        other.
        """
        for level in TLSLevel:
            host = oneHost(aimAt(level, requireTLS=True), SIGNED, having(EE))
            isOther = level is TLSLevel.VERIFY
            need = TLSNeed.VERIFIED if isOther else TLSNeed.DANE
            self.assertIs(host.tls, need, level)
            self.assertTrue(host.requireTLS)

    def test_rfc8689_4_2_1_unusable(self) -> None:
        """
        TLSA records that mean nothing are not enough: the name must be proven.
        """
        host = oneHost(aimAt(requireTLS=True), SIGNED, having(*UNUSABLE))
        self.assertIs(host.tls, TLSNeed.VERIFIED)

    def test_rfc8689_4_2_1_sts(self) -> None:
        """
        A policy that is enforced says for certain which hosts those are.
        """
        for level in (TLSLevel.NONE, TLSLevel.OPPORTUNISTIC, TLSLevel.DANE):
            host = oneHost(aimAt(level, requireTLS=True), UNSIGNED, HOST, sts(MX))
            self.assertIs(host.tls, TLSNeed.VERIFIED, level)
            self.assertTrue(host.requireTLS)
            self.assertIn("the sender allows TLS only", host.why)

    def test_rfc8689_4_2_1_nobodyVouches(self) -> None:
        """
        Where nobody says for certain which hosts the destination has, it comes back.
        """
        for level in TLSLevel:
            if level is not TLSLevel.DANE_ONLY:
                trouble = refusal(aimAt(level, True), UNSIGNED, HOST).trouble
                self.assertIs(trouble.kind, TroubleKind.NO_REQUIRETLS, level)
                self.assertIn("nobody vouches for", trouble.detail)

    def test_rfc8689_4_2_1_mayPass(self) -> None:
        """
        Where somebody might say so but could not be asked, it waits.
        """
        aim = aimAt(TLSLevel.OPPORTUNISTIC, True)
        trouble = refusal(aim, UNSIGNED, HOST, policy=FETCH).trouble
        self.assertIs(trouble.kind, TroubleKind.TLS)
        self.assertIs(trouble.result, TLSResult.STS_FETCH)

    def test_rfc8689_4_2_1_bogus(self) -> None:
        """
        A host of which it is not known whether it has TLSA records is left out.
        """
        for level in (TLSLevel.OPPORTUNISTIC, TLSLevel.DANE, TLSLevel.DANE_ONLY):
            trouble = refusal(aimAt(level, True), SIGNED, unanswered()).trouble
            self.assertIs(trouble.kind, TroubleKind.NO_ANSWER, level)

    def test_rfc8689_4_2_1_mixed(self) -> None:
        """
        Only hosts that are known for certain get it; the others are left out.
        """
        aim = aimAt(TLSLevel.OPPORTUNISTIC, True)
        route = routed(aim, UNSIGNED, HOST, Candidate("mx.example.org"))
        self.assertEqual([h.name for h in route.hosts], ["mx.example.org"])
        self.assertEqual([name for name, _ in route.left], [MX])

    def test_rfc8689_4_2_1_waitsForOthers(self) -> None:
        """
        While a host may be known for certain later, mail does not come back because of
        another one.
        """
        aim = aimAt(TLSLevel.DANE, True)
        trouble = refusal(
            aim, Exchange(isImplicit=True), unanswered(DOMAIN), unsigned()
        ).trouble
        self.assertIs(trouble.kind, TroubleKind.NO_ANSWER)


class TLSOptionalTests(SynchronousTestCase):
    """
    RFC 8689 4.3: mail that goes also where what the destination wants of TLS cannot be
    had.
    """

    def test_rfc8689_4_3_sts(self) -> None:
        """
        A policy of MTA-STS is as none.
        """
        for level in (TLSLevel.OPPORTUNISTIC, TLSLevel.DANE):
            for policy in (sts(MX), sts("other.example")):
                aim = aimAt(level, tlsOptional=True)
                route = routed(aim, UNSIGNED, HOST, policy=policy)
                self.assertIs(route.hosts[0].tls, TLSNeed.OFFERED)
                self.assertIn("not required", route.hosts[0].why)
                self.assertEqual(route.applied, (Applied(PolicyKind.NONE, DOMAIN),))

    def test_rfc8689_4_3_dane(self) -> None:
        """
        So are TLSA records, also those that cannot be had.
        """
        for candidate in (having(EE), having(*UNUSABLE), unanswered()):
            host = oneHost(aimAt(tlsOptional=True), SIGNED, candidate)
            self.assertIs(host.tls, TLSNeed.OFFERED)

    def test_rfc8689_4_3_operator(self) -> None:
        """
        What the operator wants stands.
        """
        encrypt = aimAt(TLSLevel.ENCRYPT, tlsOptional=True)
        host = oneHost(encrypt, UNSIGNED, HOST, sts("other.example"))
        self.assertIs(host.tls, TLSNeed.ENCRYPTED)
        only = aimAt(TLSLevel.DANE_ONLY, tlsOptional=True)
        self.assertIs(oneHost(only, SIGNED, having(EE)).tls, TLSNeed.DANE)
        refusal(only, SIGNED, having())
        refusal(only, SIGNED, unanswered())
        never = aimAt(TLSLevel.NONE, tlsOptional=True)
        self.assertIs(oneHost(never, UNSIGNED, HOST).tls, TLSNeed.NEVER)

    def test_rfc8689_4_3_verify(self) -> None:
        """
        Where the operator wants to know the host, a policy still says which it is, and
        keeps mail from no other.
        """
        aim = aimAt(TLSLevel.VERIFY, tlsOptional=True)
        self.assertIs(oneHost(aim, UNSIGNED, HOST, sts(MX)).tls, TLSNeed.VERIFIED)
        refusal(aim, UNSIGNED, HOST)
        other = sts("other.example")
        self.assertIs(oneHost(aim, SIGNED, HOST, other).tls, TLSNeed.VERIFIED)
        route = routed(aim, SIGNED, HOST, policy=other)
        self.assertEqual(route.applied, (Applied(PolicyKind.NONE, DOMAIN),))

    def test_rfc8689_4_1_both(self) -> None:
        """
        Mail that says both is protected.
        """
        aim = aimAt(TLSLevel.DANE, True, True)
        self.assertIs(oneHost(aim, SIGNED, having(EE)).tls, TLSNeed.DANE)
        refusal(aim, SIGNED, HOST, policy=sts("other.example"))


class AppliedToTests(SynchronousTestCase):
    """
    Tests for L{appliedTo}.
    """

    def test_ownOnly(self) -> None:
        """
        A session with a host goes by the TLSA records of that host, if there are some,
        else by the policy of MTA-STS.
        """
        useless = having(UNUSABLE[0], name="c.example.org")
        route = routed(
            aimAt(),
            SIGNED,
            having(EE, name="A.example.org"),
            having(EE, name="b.example.org"),
            useless,
            having(name="d.example.org"),
            policy=sts("*.example.org"),
        )
        self.assertEqual(len(route.applied), 4)
        found = [
            [(one.kind, one.domain.lower()) for one in appliedTo(host, route.applied)]
            for host in route.hosts
        ]
        policy = (PolicyKind.STS, DOMAIN)
        self.assertEqual(
            found,
            [
                [(PolicyKind.DANE, "a.example.org")],
                [(PolicyKind.DANE, "b.example.org")],
                [(PolicyKind.DANE, "c.example.org"), policy],
                [policy],
            ],
        )

    def test_none(self) -> None:
        """
        Where nothing is the host's own, all of them are told.
        """
        applied = (Applied(PolicyKind.DANE, "a.example.org"),)
        self.assertEqual(appliedTo(Host("b.example.org"), applied), applied)
        nothing = (Applied(PolicyKind.NONE, DOMAIN),)
        self.assertEqual(appliedTo(Host("b.example.org"), nothing), nothing)


class NoneLeftTests(SynchronousTestCase):
    """
    What is said when no host may be used.
    """

    def test_allAreNamed(self) -> None:
        """
        All reasons are told, each once.
        """
        policy = sts("mx.example.org")
        hosts = (Candidate("a.example"), Candidate("b.example"), Candidate("a.example"))
        aim = aimAt(TLSLevel.OPPORTUNISTIC)
        told = refusal(aim, UNSIGNED, *hosts, policy=policy).trouble.detail
        self.assertEqual(told.count("a.example"), 1)
        self.assertEqual(told.count("b.example"), 1)

    def test_bounded(self) -> None:
        """
        However many there are, it is one line of bounded length.
        """
        hosts = [Candidate(f"mx{number}.evil.example") for number in range(20)]
        aim = aimAt(TLSLevel.OPPORTUNISTIC)
        told = refusal(aim, UNSIGNED, *hosts, policy=sts("mx.example.org")).trouble
        self.assertLessEqual(len(told.detail), MAX_TEXT)
        self.assertTrue(told.detail.isprintable())
