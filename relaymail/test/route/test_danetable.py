# -*- test-case-name: relaymail.test.route.test_danetable -*-
"""
The decisions of RFC 7672, row by row, as L{relaymail.route.protection} makes them.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from relaymail.protections import Applied, PolicyKind, TLSResult
from relaymail.replies import TroubleKind
from relaymail.route.facts import Candidate, Exchange, Reach, TLSASet
from relaymail.route.hosts import TLSNeed
from relaymail.route.levels import TLSLevel
from relaymail.test.route.protections import (
    DOMAIN,
    EE,
    FAILED,
    INSECURE,
    MX,
    NO_ADDRESS,
    NO_ANSWER,
    SECURE,
    SIGNED,
    TA,
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

DANE, ONLY = aimAt(TLSLevel.DANE), aimAt(TLSLevel.DANE_ONLY)

#: The names of a host that is an alias, and of what it is one of.
ALIAS, CANONICAL = "mx.example.org", "in.hoster.example"


def aliased(reach: Reach, *known: TLSASet) -> Candidate:
    """
    Make a host that is an alias.
    """
    return Candidate(ALIAS, reach, known)


class AssuranceTests(SynchronousTestCase):
    """
    RFC 7672 2.1: what each kind of answer of the DNS leads to.
    """

    def test_rfc7672_2_1_1_secure(self) -> None:
        """
        Signed records: the certificate must be one that they name.
        """
        for aim in (DANE, ONLY):
            host = oneHost(aim, SIGNED, having(EE))
            self.assertIs(host.tls, TLSNeed.DANE)
            self.assertEqual(host.tlsa, (EE,))
            self.assertEqual(host.names[0], MX)
            self.assertIn(f"the TLSA record of {MX}", host.why)

    def test_rfc7672_2_1_1_insecure(self) -> None:
        """
        Records that nobody signed are as good as none: they were perhaps put there by
        somebody on the way.
        """
        host = oneHost(DANE, SIGNED, having(EE, assurance=INSECURE))
        self.assertIs(host.tls, TLSNeed.OFFERED)
        self.assertEqual((host.tlsa, host.names), ((), ()))

    def test_rfc7672_2_1_1_bogusTLSA(self) -> None:
        """
        Whose records cannot be had, or have wrong signatures, gets no mail: it waits,
        and is never sent with less.
        """
        for aim in (DANE, ONLY):
            trouble = refusal(aim, SIGNED, unanswered()).trouble
            self.assertIs(trouble.kind, TroubleKind.NO_ANSWER)
            self.assertIs(trouble.result, TLSResult.DNSSEC_INVALID)
            self.assertIn(f"TLSA records of {MX}", trouble.detail)
            self.assertIn("SERVFAIL", trouble.detail)

    def test_rfc7672_2_1_2_otherHosts(self) -> None:
        """
        A host of which nothing can be known is left out; the others get the mail, each
        in its own way.
        """
        route = routed(
            DANE,
            SIGNED,
            unanswered("a.example"),
            having(EE, name="b.example"),
            having(name="c.example"),
        )
        self.assertEqual(
            [(h.name, h.tls) for h in route.hosts],
            [("b.example", TLSNeed.DANE), ("c.example", TLSNeed.OFFERED)],
        )
        ((name, why),) = route.left
        self.assertEqual(name, "a.example")
        self.assertIn("could not be looked up", why)
        self.assertTrue(route.mayRecover)

    def test_rfc7672_2_1_2_gone(self) -> None:
        """
        One that has no address will have none later, either.
        """
        gone = Candidate("a.example", Reach(FAILED, trouble=NO_ADDRESS))
        route = routed(DANE, SIGNED, gone, having(EE))
        self.assertEqual([name for name, _ in route.left], ["a.example"])
        self.assertFalse(route.mayRecover)
        self.assertFalse(routed(DANE, SIGNED, having(EE)).mayRecover)

    def test_rfc7672_2_1_2_bogusAddresses(self) -> None:
        """
        A host whose addresses cannot be had for certain is left out: it cannot be
        known whether it has TLSA records.
        """
        reach = Reach(FAILED, trouble=NO_ANSWER)
        for aim in (DANE, ONLY):
            trouble = refusal(aim, SIGNED, Candidate(MX, reach)).trouble
            self.assertIs(trouble.kind, TroubleKind.NO_ANSWER)
            self.assertIs(trouble.result, TLSResult.DNSSEC_INVALID)

    def test_rfc7672_2_1_2_noAddress(self) -> None:
        """
        A host without addresses is left out, too; mail for a domain all of whose
        hosts have none comes back, as it would without DANE.
        """
        reach = Reach(FAILED, trouble=NO_ADDRESS)
        error = refusal(DANE, SIGNED, Candidate(MX, reach))
        self.assertIs(error.trouble.kind, TroubleKind.NO_SUCH_DOMAIN)
        self.assertIs(error.trouble.result, None)

    def test_rfc7672_2_1_2_mayPass(self) -> None:
        """
        Where one host has no address and of another nothing is known, the mail waits.
        """
        gone = Candidate("a.example", Reach(FAILED, trouble=NO_ADDRESS))
        for hosts in ((gone, unanswered()), (unanswered(), gone)):
            trouble = refusal(DANE, SIGNED, *hosts).trouble
            self.assertIs(trouble.kind, TroubleKind.NO_ANSWER)
            self.assertIn("no network address", trouble.detail)
            self.assertIn("SERVFAIL", trouble.detail)

    def test_notAsked(self) -> None:
        """
        That records were not asked for is not taken for there being none.
        """
        for candidate in (Candidate(MX), Candidate(MX, Reach(SECURE))):
            trouble = refusal(DANE, SIGNED, candidate).trouble
            self.assertIs(trouble.kind, TroubleKind.NO_ANSWER)
            self.assertIn("not known", trouble.detail)

    def test_rfc7672_2_1_1_absent(self) -> None:
        """
        Where it is certain that there are no records, TLS is used as it is offered.
        """
        host = oneHost(DANE, SIGNED, having())
        self.assertIs(host.tls, TLSNeed.OFFERED)
        self.assertIn("no TLSA records", host.why)


class ExchangeTests(SynchronousTestCase):
    """
    RFC 7672 2.2.1: where the names of the hosts are from.
    """

    def test_rfc7672_2_2_1_insecureMX(self) -> None:
        """
        Names that nobody signed are not worth their TLSA records: DANE has no say.
        """
        for candidate in (Candidate(MX), having(EE), unanswered(), having(*UNUSABLE)):
            host = oneHost(DANE, UNSIGNED, candidate)
            self.assertIs(host.tls, TLSNeed.OFFERED, candidate)
            self.assertEqual(host.tlsa, ())

    def test_rfc7672_2_2_1_insecureMXOnly(self) -> None:
        """
        Where DANE is a must the mail waits then.
        """
        trouble = refusal(ONLY, UNSIGNED, having(EE)).trouble
        self.assertIs(trouble.kind, TroubleKind.TLS)
        self.assertIs(trouble.result, TLSResult.DANE_REQUIRED)
        self.assertIn(f"the MX records of {DOMAIN} are not signed", trouble.detail)

    def test_rfc7672_2_2_1_eachHost(self) -> None:
        """
        Each host of a domain is protected as its own records say.
        """
        route = routed(
            DANE,
            SIGNED,
            having(EE, name="a.example"),
            unsigned("b.example"),
            having(*UNUSABLE, name="c.example"),
            having(TA, name="d.example"),
        )
        self.assertEqual(
            [host.tls for host in route.hosts],
            [TLSNeed.DANE, TLSNeed.OFFERED, TLSNeed.ENCRYPTED, TLSNeed.DANE],
        )
        self.assertEqual(route.left, ())

    def test_rfc7672_2_2_2_noMX(self) -> None:
        """
        A domain without MX records is its own host; its own records count.
        """
        for exchange in (Exchange(True, True), Exchange(False, True)):
            host = oneHost(DANE, exchange, having(EE, name=DOMAIN))
            self.assertIs(host.tls, TLSNeed.DANE)
            self.assertEqual(host.names, (DOMAIN,))

    def test_rfc7672_2_2_2_noMXBehindAlias(self) -> None:
        """
        Where an alias that is not signed leads to a domain without MX records, the
        records of that domain do not count.
        """
        exchange = Exchange(isImplicit=True)
        host = oneHost(DANE, exchange, having(EE, name="evil.example"))
        self.assertIs(host.tls, TLSNeed.OFFERED)
        aim = aimAt(TLSLevel.DANE, requireTLS=True)
        trouble = refusal(aim, exchange, having(EE, name="evil.example")).trouble
        self.assertIs(trouble.kind, TroubleKind.NO_REQUIRETLS)

    def test_literal(self) -> None:
        """
        An address has no TLSA records.
        """
        aim = replace(DANE, destination="[192.0.2.1]")
        host = oneHost(aim, SIGNED, Candidate("192.0.2.1"))
        self.assertIs(host.tls, TLSNeed.OFFERED)
        aim = replace(ONLY, destination="[192.0.2.1]")
        trouble = refusal(aim, SIGNED, Candidate("192.0.2.1")).trouble
        self.assertIs(trouble.result, TLSResult.DANE_REQUIRED)


class BaseTests(SynchronousTestCase):
    """
    RFC 7672 2.2.2: which name has the records that count.
    """

    def known(self, base: str, *records: object) -> TLSASet:
        """
        Make what is known of one name.
        """
        return TLSASet(base, SECURE, records)  # type: ignore[arg-type]

    def test_rfc7672_2_2_2_insecureAddresses(self) -> None:
        """
        A host in a part of the DNS that is not signed has no records that count: they
        are not even asked for (RFC 7672 2.1.3).
        """
        host = oneHost(DANE, SIGNED, unsigned())
        self.assertIs(host.tls, TLSNeed.OFFERED)
        trouble = refusal(ONLY, SIGNED, unsigned()).trouble
        self.assertIs(trouble.result, TLSResult.DANE_REQUIRED)
        self.assertIn("its addresses are not signed", trouble.detail)

    def test_rfc7672_2_2_2_uncountedRecords(self) -> None:
        """
        Records of a name that is not one of those to be asked do not count.
        """
        stray = TLSASet("evil.example", SECURE, (EE,))
        host = oneHost(DANE, SIGNED, Candidate(MX, Reach(INSECURE), (stray,)))
        self.assertIs(host.tls, TLSNeed.OFFERED)

    def test_rfc7672_2_2_2_canonicalFirst(self) -> None:
        """
        The records of the name that a signed chain of aliases leads to count first;
        that name is the one that TLS asks for.
        """
        host = oneHost(
            DANE,
            SIGNED,
            aliased(
                Reach(SECURE, CANONICAL, True),
                self.known(CANONICAL, EE),
                self.known(ALIAS, TA),
            ),
        )
        self.assertEqual(host.tlsa, (EE,))
        self.assertEqual(host.names[0], CANONICAL)
        self.assertEqual(host.name, ALIAS)

    def test_rfc7672_2_2_2_thenItself(self) -> None:
        """
        Where that has none, those of the name itself count.
        """
        for first in (self.known(CANONICAL), TLSASet(CANONICAL, INSECURE, (TA,))):
            reach = Reach(SECURE, CANONICAL, True)
            host = oneHost(DANE, SIGNED, aliased(reach, first, self.known(ALIAS, EE)))
            self.assertEqual((host.tls, host.tlsa), (TLSNeed.DANE, (EE,)))
            self.assertEqual(host.names[0], ALIAS)

    def test_rfc7672_2_2_2_firstDecides(self) -> None:
        """
        Where that has records of which none can be used, or cannot say what it has,
        those of the name itself are not in its place.
        """
        reach = Reach(SECURE, CANONICAL, True)
        second = self.known(ALIAS, EE)
        useless = aliased(reach, self.known(CANONICAL, *UNUSABLE), second)
        self.assertIs(oneHost(DANE, SIGNED, useless).tls, TLSNeed.ENCRYPTED)
        silent = aliased(reach, TLSASet(CANONICAL, FAILED, (), NO_ANSWER), second)
        self.assertIs(refusal(DANE, SIGNED, silent).trouble.kind, TroubleKind.NO_ANSWER)

    def test_rfc7672_2_2_2_secondUnasked(self) -> None:
        """
        Where that has none and the name itself was not asked for, nothing is known.
        """
        reach = Reach(SECURE, CANONICAL, True)
        candidate = aliased(reach, self.known(CANONICAL))
        self.assertIs(
            refusal(DANE, SIGNED, candidate).trouble.kind, TroubleKind.NO_ANSWER
        )

    def test_rfc7672_2_2_2_secureAlias(self) -> None:
        """
        Where only the first alias is signed, those of the name itself count, and not
        those of the name that it leads to.
        """
        reach = Reach(INSECURE, CANONICAL, True)
        host = oneHost(
            DANE,
            SIGNED,
            aliased(reach, self.known(CANONICAL, TA), self.known(ALIAS, EE)),
        )
        self.assertEqual((host.tls, host.tlsa), (TLSNeed.DANE, (EE,)))
        self.assertEqual(host.names[0], ALIAS)

    def test_rfc7672_2_2_2_secureAliasBogus(self) -> None:
        """
        Where only the first alias is signed and the records of the name itself cannot
        be had, the host is left out.
        """
        reach = Reach(INSECURE, CANONICAL, True)
        candidate = aliased(reach, TLSASet(ALIAS, FAILED, (), NO_ANSWER))
        self.assertIs(
            refusal(DANE, SIGNED, candidate).trouble.result, TLSResult.DNSSEC_INVALID
        )

    def test_rfc7672_2_2_2_insecureAlias(self) -> None:
        """
        Where the alias is not signed, no records count.
        """
        reach = Reach(INSECURE, CANONICAL, False)
        known = (self.known(CANONICAL, TA), self.known(ALIAS, EE))
        self.assertIs(
            oneHost(DANE, SIGNED, aliased(reach, *known)).tls, TLSNeed.OFFERED
        )
        trouble = refusal(ONLY, SIGNED, aliased(reach, *known)).trouble
        self.assertIs(trouble.result, TLSResult.DANE_REQUIRED)

    def test_namesFoldCase(self) -> None:
        """
        Names are the same in any case (RFC 4343), and with a dot at the end.
        """
        candidate = Candidate(
            "MX.Example.ORG.", Reach(SECURE), (self.known("mx.example.org", EE),)
        )
        host = oneHost(DANE, SIGNED, candidate)
        self.assertIs(host.tls, TLSNeed.DANE)
        self.assertEqual(host.names[0], "mx.example.org")


class RecordTests(SynchronousTestCase):
    """
    RFC 7672 3.1: which records mean something, and what is compared.
    """

    def test_rfc7672_3_1_1_endEntity(self) -> None:
        """
        The certificate of the host itself.
        """
        host = oneHost(DANE, SIGNED, having(EE))
        self.assertEqual((host.tls, host.tlsa), (TLSNeed.DANE, (EE,)))

    def test_rfc7672_3_1_2_trustAnchor(self) -> None:
        """
        The certificate of a trust anchor: the host has one below it for one of its
        names: the name with the records, which is the one that TLS asks for, the
        destination, and what that is an alias of (RFC 7672 3.2.2, 8.1).
        """
        exchange = Exchange(isSecure=True, expanded="Example.NET")
        host = oneHost(DANE, exchange, having(TA))
        self.assertEqual(host.tlsa, (TA,))
        self.assertEqual(host.names, (MX, DOMAIN, "example.net"))

    def test_rfc7672_3_2_2_namesOnce(self) -> None:
        """
        No name is there twice.
        """
        exchange = Exchange(isSecure=True, expanded=DOMAIN.upper())
        host = oneHost(DANE, exchange, having(TA, name=DOMAIN))
        self.assertEqual(host.names, (DOMAIN,))

    def test_rfc7672_3_2_2_noMX(self) -> None:
        """
        Where the records are not those of a host that MX records name, the name that
        has them is the only one.
        """
        reach = Reach(SECURE, CANONICAL, True)
        known = TLSASet(CANONICAL, SECURE, (TA,))
        candidate = Candidate(DOMAIN, reach, (known,))
        host = oneHost(DANE, Exchange(True, True), candidate)
        self.assertEqual(host.names, (CANONICAL,))

    def test_rfc7672_3_1_3_unusable(self) -> None:
        """
        Of signed records that all mean nothing it can only be told that the host has
        TLS: mail goes encrypted, or not at all, and nobody is looked at.
        """
        for records in ((record,) for record in UNUSABLE):
            host = oneHost(DANE, SIGNED, having(*records))
            self.assertIs(host.tls, TLSNeed.ENCRYPTED, records)
            self.assertEqual((host.tlsa, host.names), ((), ()))
            self.assertIn("none of the TLSA records", host.why)

    def test_rfc7672_3_1_3_someUsable(self) -> None:
        """
        Where one of them can be used, those that cannot are left out.
        """
        host = oneHost(DANE, SIGNED, having(*UNUSABLE, TA, EE))
        self.assertEqual((host.tls, host.tlsa), (TLSNeed.DANE, (TA, EE)))
        self.assertIn("one of the 2 TLSA records", host.why)

    def test_rfc7672_3_1_3_unusableOnly(self) -> None:
        """
        Where DANE is a must, records that mean nothing are as bad as none.
        """
        trouble = refusal(ONLY, SIGNED, having(*UNUSABLE)).trouble
        self.assertIs(trouble.kind, TroubleKind.TLS)
        self.assertIs(trouble.result, TLSResult.TLSA_INVALID)

    def test_absentOnly(self) -> None:
        """
        Where DANE is a must, a host without signed records gets nothing.
        """
        for candidate in (having(), having(EE, assurance=INSECURE)):
            trouble = refusal(ONLY, SIGNED, candidate).trouble
            self.assertIs(trouble.kind, TroubleKind.TLS)
            self.assertIs(trouble.result, TLSResult.DANE_REQUIRED)

    def test_otherHostsOnly(self) -> None:
        """
        Where DANE is a must, the hosts that have records get the mail of those that
        have none.
        """
        route = routed(ONLY, SIGNED, having(), having(EE, name="b.example"))
        self.assertEqual([h.name for h in route.hosts], ["b.example"])
        self.assertEqual([name for name, _ in route.left], [MX])


class AppliedTests(SynchronousTestCase):
    """
    What is told of the records, for reports (RFC 8460).
    """

    def test_applied(self) -> None:
        """
        The records that count are told, of each name once, as they stand in a zone.
        """
        route = routed(DANE, SIGNED, having(TA, EE), having(), having(TA, EE))
        self.assertEqual(
            route.applied,
            (Applied(PolicyKind.DANE, MX, (str(TA), str(EE))),),
        )

    def test_appliedProblems(self) -> None:
        """
        Where they cannot be had or used, that is told with what it is called.
        """
        route = routed(
            DANE,
            SIGNED,
            unanswered("a.example"),
            having(UNUSABLE[0], name="b.example"),
        )
        failed, useless = route.applied
        self.assertIs(failed.problem, TLSResult.DNSSEC_INVALID)
        self.assertIn("could not be looked up", failed.why)
        self.assertIs(useless.problem, TLSResult.TLSA_INVALID)
        self.assertEqual(useless.lines, (str(UNUSABLE[0]),))

    def test_appliedWhereNoneIsLeft(self) -> None:
        """
        It is told also where no host is left.
        """
        error = refusal(DANE, SIGNED, unanswered())
        ((kind, problem),) = ((a.kind, a.problem) for a in error.applied)
        self.assertEqual((kind, problem), (PolicyKind.DANE, TLSResult.DNSSEC_INVALID))

    def test_nothingApplied(self) -> None:
        """
        Where there is no policy, that is told.
        """
        route = routed(DANE, SIGNED, having())
        self.assertEqual(route.applied, (Applied(PolicyKind.NONE, DOMAIN),))

    def test_notLookedFor(self) -> None:
        """
        Records that do not count are not told of.
        """
        aim = aimAt(TLSLevel.OPPORTUNISTIC)
        route = routed(aim, SIGNED, having(EE))
        self.assertEqual(route.applied, (Applied(PolicyKind.NONE, DOMAIN),))


class BesideSTSTests(SynchronousTestCase):
    """
    RFC 8461 2: where both have something to say.
    """

    def test_rfc8461_2_daneGoesFirst(self) -> None:
        """
        A policy of MTA-STS adds nothing to what TLSA records say and takes nothing from
        it, whether it names the host or not.
        """
        alone = oneHost(DANE, SIGNED, having(EE))
        for patterns in ((MX,), ("other.example",)):
            both = oneHost(DANE, SIGNED, having(EE), sts(*patterns))
            self.assertEqual(both, alone)

    def test_rfc8461_2_noOverride(self) -> None:
        """
        A policy that the host fulfils is no way around TLSA records that cannot be had.
        """
        trouble = refusal(DANE, SIGNED, unanswered(), policy=sts(MX)).trouble
        self.assertIs(trouble.kind, TroubleKind.NO_ANSWER)

    def test_rfc8461_2_unusable(self) -> None:
        """
        Where the TLSA records say nothing of who the host is, the policy does.
        """
        host = oneHost(DANE, SIGNED, having(*UNUSABLE), sts(MX))
        self.assertIs(host.tls, TLSNeed.VERIFIED)
        trouble = refusal(
            DANE, SIGNED, having(*UNUSABLE), policy=sts("other.example")
        ).trouble
        self.assertIs(trouble.result, TLSResult.FAILED)

    def test_eachHostItsOwn(self) -> None:
        """
        A host without TLSA records is as the policy says.
        """
        policy = sts("b.example")
        route = routed(
            DANE,
            SIGNED,
            having(EE, name="a.example"),
            having(name="b.example"),
            having(name="c.example"),
            policy=policy,
        )
        self.assertEqual(
            [(h.name, h.tls) for h in route.hosts],
            [("a.example", TLSNeed.DANE), ("b.example", TLSNeed.VERIFIED)],
        )
        self.assertEqual([name for name, _ in route.left], ["c.example"])
        self.assertEqual(
            [a.kind for a in route.applied], [PolicyKind.DANE, PolicyKind.STS]
        )
