# -*- test-case-name: relaymail.test.route.test_protecting -*-
"""
Tests for L{relaymail.route.protecting}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import RouteError
from relaymail.protections import Applied, PolicyKind, TLSResult
from relaymail.replies import Phase, Trouble, TroubleKind
from relaymail.route.facts import Aim
from relaymail.route.hosts import Host, Route, TLSNeed
from relaymail.route.levels import TLSLevel
from relaymail.route.mx import MAX_HOSTS, MXCalculator
from relaymail.route.protecting import (
    HOSTS_AT_ONCE,
    MAX_HOLD,
    MAX_WAIT,
    MIN_HOLD,
    Protecting,
)
from relaymail.route.sts.policy import NOTHING, Found, STSMode, STSPolicy
from relaymail.route.terms import Terms
from relaymail.testing.dns import Fault, Special, ZoneDNS

EE = (3, 1, 1, b"\1" * 32)
ADDRESS: dict[str, Any] = {"A": ["192.0.2.25"]}
#: What is below C{example.org} is signed.
ZONES: Any = {
    "example.org": {"MX": [(10, "a.example.org"), (20, "b.example.org")]},
    "a.example.org": ADDRESS,
    "b.example.org": ADDRESS,
    "_25._tcp.a.example.org": {"TLSA": [EE]},
    "plain.example": {"MX": [(10, "mx.plain.example")]},
    "mx.plain.example": ADDRESS,
    "_25._tcp.mx.plain.example": {"TLSA": [EE]},
}


class Policies:
    """
    Policies of MTA-STS by the domain.

    @ivar found: What is known.
    @ivar newer: What is known once somebody looks again.
    @ivar asked: The questions so far.
    """

    def __init__(self, **found: Found) -> None:
        self.found = {name.replace("_", "."): one for name, one in found.items()}
        self.newer: dict[str, Found] = {}
        self.asked: list[tuple[str, str]] = []

    def policyFor(self, domain: str) -> Deferred[Found]:
        """
        Give what is known.
        """
        self.asked.append(("policyFor", domain))
        return defer.succeed(self.found.get(domain, NOTHING))

    def recheck(self, domain: str) -> Deferred[Found]:
        """
        Look again.
        """
        self.asked.append(("recheck", domain))
        self.found |= self.newer
        return defer.succeed(self.found.get(domain, NOTHING))


def sts(*patterns: str, mode: STSMode = STSMode.ENFORCE) -> Found:
    """
    Make a policy.
    """
    return Found(STSPolicy(mode, patterns, 86400))


class _Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000)
        self.dns = ZoneDNS(ZONES, signed=["example.org"])
        self.policies: Any = Policies()

    def protecting(self, mxcalc: Any = None, **more: Any) -> Protecting:
        """
        Make what is tested.
        """
        if mxcalc is None:
            mxcalc = MXCalculator(self.dns, self.clock)
            mxcalc.shuffle = lambda records: None
        return Protecting(mxcalc, self.dns, self.clock, policies=self.policies, **more)

    def asks(self, domain: str, level: TLSLevel, **more: Any) -> Deferred[Route]:
        """
        Ask for a route.
        """
        return self.protecting().routeTo(Aim(domain, Terms(level), **more))

    def route(self, domain: str, level: TLSLevel, **more: Any) -> Route:
        """
        Give a route.
        """
        return self.successResultOf(self.asks(domain, level, **more))

    def needs(self, domain: str, level: TLSLevel, **more: Any) -> list[TLSNeed]:
        """
        Give what the hosts need, in their order.
        """
        return [host.tls for host in self.route(domain, level, **more).hosts]

    def trouble(self, domain: str, level: TLSLevel, **more: Any) -> Trouble:
        """
        Give why there is no route.
        """
        failed = self.failureResultOf(self.asks(domain, level, **more), RouteError)
        trouble: Trouble = failed.value.trouble
        return trouble


class AskingTests(_Base):
    """
    What is asked for.
    """

    def test_usual(self) -> None:
        """
        On the usual terms no more is asked for than MX records and the policy.
        """
        self.assertEqual(
            self.needs("example.org", TLSLevel.OPPORTUNISTIC), [TLSNeed.OFFERED] * 2
        )
        self.assertEqual(self.dns.asked, [("example.org", "MX")])
        self.assertEqual(self.policies.asked, [("policyFor", "example.org")])

    def test_equals(self) -> None:
        """
        Hosts of equal preference are the same route in either order, others are not;
        fallback hosts are behind them as they stand.
        """
        fallback = (Host("x.example", named=True), Host("y.example", named=True))
        aim = Aim("example.org", Terms(fallback=fallback))
        lanes = {}
        for second in (10, 20):
            records = [(10, "a.example.org"), (second, "b.example.org")]
            for exchanges in (records, records[::-1]):
                self.dns.zones["example.org"] = {"MX": exchanges}
                found = self.successResultOf(self.protecting().routeTo(aim))
                lanes[second, exchanges is records] = found.lane
        self.assertEqual(lanes[10, True], lanes[10, False])
        self.assertEqual(lanes[20, True], lanes[20, False])
        self.assertNotEqual(lanes[10, True], lanes[20, True])
        other = Aim("example.org", Terms(fallback=fallback[::-1]))
        found = self.successResultOf(self.protecting().routeTo(other))
        self.assertNotEqual(found.lane, lanes[20, True])

    def test_none(self) -> None:
        """
        Without TLS no policy is asked for.
        """
        self.assertEqual(self.needs("example.org", TLSLevel.NONE), [TLSNeed.NEVER] * 2)
        self.assertEqual(self.policies.asked, [])

    def test_verify(self) -> None:
        """
        To know the hosts for certain, no address is asked for.
        """
        self.assertEqual(
            self.needs("example.org", TLSLevel.VERIFY), [TLSNeed.VERIFIED] * 2
        )
        self.assertEqual(self.dns.asked, [("example.org", "MX")])

    def test_dane(self) -> None:
        """
        Where DANE counts, addresses and TLSA records are asked for, of each host.
        """
        self.assertEqual(
            self.needs("example.org", TLSLevel.DANE), [TLSNeed.DANE, TLSNeed.OFFERED]
        )
        self.assertEqual(
            sorted(self.dns.asked),
            [
                ("_25._tcp.a.example.org", "TLSA"),
                ("_25._tcp.b.example.org", "TLSA"),
                ("a.example.org", "A"),
                ("a.example.org", "AAAA"),
                ("b.example.org", "A"),
                ("b.example.org", "AAAA"),
                ("example.org", "MX"),
            ],
        )

    def test_daneUnsigned(self) -> None:
        """
        RFC 7672 2.1.3: of hosts of which it is not certain whose they are no TLSA
        records are asked for: they would not count, and some servers do not know them.
        """
        for level in (TLSLevel.DANE, TLSLevel.OPPORTUNISTIC):
            self.assertEqual(self.needs("plain.example", level), [TLSNeed.OFFERED])
        self.assertNotIn("TLSA", [kind for _, kind in self.dns.asked])

    def test_noPolicies(self) -> None:
        """
        A manager that asks for no policies of MTA-STS has none.
        """
        self.policies = None
        self.assertEqual(
            self.needs("plain.example", TLSLevel.OPPORTUNISTIC), [TLSNeed.OFFERED]
        )

    def test_port(self) -> None:
        """
        The records are those of the port that mail goes to.
        """
        self.dns.zones["_2525._tcp.b.example.org"] = {"TLSA": [EE]}
        protecting = self.protecting(port=2525)
        aim = Aim("example.org", Terms(TLSLevel.DANE))
        route = self.successResultOf(protecting.routeTo(aim))
        self.assertEqual(
            [host.tls for host in route.hosts], [TLSNeed.OFFERED, TLSNeed.DANE]
        )

    def test_literal(self) -> None:
        """
        Of an address nothing is asked.
        """
        (host,) = self.route("[192.0.2.1]", TLSLevel.DANE).hosts
        self.assertEqual((host.name, host.tls), ("192.0.2.1", TLSNeed.OFFERED))
        self.assertEqual((self.dns.asked, self.policies.asked), ([], []))


class FactsTests(_Base):
    """
    What is made of the answers.
    """

    def test_rfc7672_2_2_2_aliases(self) -> None:
        """
        What is found by each kind of alias is what counts.
        """
        name = "mx.example.org"
        self.dns.zones |= {
            "alias.example.org": {"MX": [(1, name)]},
            "c.example.org": ADDRESS,
            "c.plain.example": ADDRESS,
        }
        for target, own, others, need, sni in (
            ("c.example.org", None, EE, TLSNeed.DANE, "c.example.org"),
            ("c.example.org", EE, None, TLSNeed.DANE, name),
            ("c.example.org", None, None, TLSNeed.OFFERED, ""),
            ("c.plain.example", EE, EE, TLSNeed.DANE, name),
            ("c.plain.example", None, EE, TLSNeed.OFFERED, ""),
        ):
            self.dns.zones[name] = {"CNAME": [target]}
            for base, records in ((name, own), (target, others)):
                known = {} if records is None else {"TLSA": [records]}
                self.dns.zones[f"_25._tcp.{base}"] = known
            (host,) = self.route("alias.example.org", TLSLevel.DANE).hosts
            self.assertIs(host.tls, need, (target, own, others))
            self.assertEqual(host.name, name)
            self.assertEqual("".join(host.names[:1]), sni)

    def test_rfc7672_3_2_2_destinationIsAlias(self) -> None:
        """
        RFC 7672 3.2.2: of a destination that is an alias both names are names that
        certificates may have.
        """
        self.dns.zones["alias.example.org"] = {"CNAME": ["example.org"]}
        first, _ = self.route("alias.example.org", TLSLevel.DANE).hosts
        expected = ("a.example.org", "alias.example.org", "example.org")
        self.assertEqual(first.names, expected)

    def test_rfc7672_2_2_2_firstDecides(self) -> None:
        """
        The name itself is not asked for where what it is an alias of has records.
        """
        self.dns.zones |= {
            "a.example.org": {"CNAME": ["c.example.org"]},
            "c.example.org": ADDRESS,
            "_25._tcp.c.example.org": {"TLSA": [(1, 1, 1, b"\1" * 32)]},
        }
        self.assertEqual(
            self.needs("example.org", TLSLevel.DANE),
            [TLSNeed.ENCRYPTED, TLSNeed.OFFERED],
        )
        self.assertNotIn(("_25._tcp.a.example.org", "TLSA"), self.dns.asked)

    def test_rfc7672_2_2_2_insecureDecidesNothing(self) -> None:
        """
        The name itself is asked for where the records of what it is an alias of are
        not signed.
        """
        self.dns.zones |= {
            "a.example.org": {"CNAME": ["c.example.org"]},
            "c.example.org": ADDRESS,
            "_25._tcp.c.example.org": {"CNAME": ["_25._tcp.mx.plain.example"]},
        }
        first, _ = self.route("example.org", TLSLevel.DANE).hosts
        self.assertEqual((first.tls, first.names[0]), (TLSNeed.DANE, "a.example.org"))

    def test_rfc7672_2_1_2_bogus(self) -> None:
        """
        A host whose records are not what they were signed as is left out, whichever
        they are.
        """
        for name, records in (
            ("_25._tcp.a.example.org", {"TLSA": [EE]}),
            ("a.example.org", ADDRESS),
        ):
            self.dns = ZoneDNS(ZONES, signed=["example.org"])
            self.dns.zones[name] = Special(records, isBogus=True)
            route = self.route("example.org", TLSLevel.DANE)
            self.assertEqual([h.name for h in route.hosts], ["b.example.org"])
            ((left, why),) = route.left
            self.assertEqual(left, "a.example.org")
            self.assertIn(name, why)
            trouble = self.trouble("example.org", TLSLevel.DANE_ONLY)
            self.assertIn(trouble.kind, (TroubleKind.TLS, TroubleKind.NO_ANSWER))

    def test_rfc7672_2_1_2_bogusMX(self) -> None:
        """
        Where the MX records themselves are, the mail waits.
        """
        self.dns.zones["example.org"] = Fault.SERVFAIL
        trouble = self.trouble("example.org", TLSLevel.DANE)
        self.assertIs(trouble.kind, TroubleKind.NO_ANSWER)

    def test_rfc7672_2_1_2_deniedInsecurely(self) -> None:
        """
        That there are no records is believed of a zone that is not signed: then none
        would count.
        """
        self.dns.zones["a.example.org"] = {"CNAME": ["a.plain.example"]}
        self.dns.zones["a.plain.example"] = ADDRESS
        del self.dns.zones["_25._tcp.a.example.org"]
        self.assertEqual(
            self.needs("example.org", TLSLevel.DANE), [TLSNeed.OFFERED] * 2
        )

    def test_noMX(self) -> None:
        """
        RFC 7672 2.2.2: a domain without MX records is its own host.
        """
        self.dns.zones["a.example.org"] = ADDRESS
        (host,) = self.route("a.example.org", TLSLevel.DANE).hosts
        self.assertEqual(
            (host.name, host.tls, host.names),
            ("a.example.org", TLSNeed.DANE, ("a.example.org",)),
        )

    def test_noValidation(self) -> None:
        """
        A server that does not validate makes nothing certain; mail goes all the same
        where nobody needs that.
        """
        self.dns.validates = False
        self.assertEqual(
            self.needs("example.org", TLSLevel.DANE), [TLSNeed.OFFERED] * 2
        )
        trouble = self.trouble("example.org", TLSLevel.DANE_ONLY)
        self.assertIs(trouble.result, TLSResult.DANE_REQUIRED)

    def test_silence(self) -> None:
        """
        A server that never answers costs a bounded wait, and its host.
        """
        self.dns.zones["_25._tcp.a.example.org"] = Fault.SILENCE
        self.dns.zones["b.example.org"] = Fault.SILENCE
        asked = self.asks("example.org", TLSLevel.DANE)
        self.clock.advance(MAX_WAIT - 1)
        self.assertNoResult(asked)
        self.clock.advance(1)
        failed = self.failureResultOf(asked, RouteError)
        self.assertIs(failed.value.trouble.kind, TroubleKind.NO_ANSWER)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_together(self) -> None:
        """
        One host of which nobody tells does not keep the others back.
        """
        self.dns.zones["a.example.org"] = Fault.SILENCE
        asked = self.asks("example.org", TLSLevel.DANE)
        self.assertIn(("_25._tcp.b.example.org", "TLSA"), self.dns.asked)
        self.clock.advance(MAX_WAIT)
        (host,) = self.successResultOf(asked).hosts
        self.assertEqual(host.name, "b.example.org")

    def test_A05_fewAtATime(self) -> None:
        """
        A domain with many hosts of which nobody tells anything has few questions open
        at a time, and is done with after a while.
        """
        names = [f"h{number}.many.example" for number in range(MAX_HOSTS)]
        self.dns.zones["many.example"] = {"MX": [(10, name) for name in names]}
        self.dns.zones |= dict.fromkeys(names, Fault.SILENCE)
        self.dns.signed.add("many.example")
        asked = self.asks("many.example", TLSLevel.DANE)
        told = [name for name, _ in self.dns.asked if name in names]
        self.assertEqual(len(told), 2 * HOSTS_AT_ONCE)
        self.clock.advance(MAX_WAIT)
        self.failureResultOf(asked, RouteError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_requireTLS(self) -> None:
        """
        RFC 8689 4.2.1: mail that may go over TLS only goes to hosts that a signed
        lookup names.
        """
        route = self.route("example.org", TLSLevel.OPPORTUNISTIC, requireTLS=True)
        self.assertEqual(
            [(h.tls, h.requireTLS) for h in route.hosts],
            [(TLSNeed.DANE, True), (TLSNeed.VERIFIED, True)],
        )
        del self.dns.zones["plain.example"]
        self.dns.zones["plain.example"] = {"MX": [(10, "mx.hoster.example")]}
        trouble = self.trouble("plain.example", TLSLevel.DANE, requireTLS=True)
        self.assertIs(trouble.kind, TroubleKind.NO_REQUIRETLS)


class STSTests(_Base):
    """
    Policies of MTA-STS.
    """

    def test_enforced(self) -> None:
        """
        What the policy says is kept to.
        """
        self.policies = Policies(plain_example=sts("mx.plain.example"))
        self.assertEqual(
            self.needs("plain.example", TLSLevel.OPPORTUNISTIC), [TLSNeed.VERIFIED]
        )
        self.assertEqual(self.policies.asked, [("policyFor", "plain.example")])

    def test_rfc8461_5_1_recheck(self) -> None:
        """
        Before mail is kept back because the policy names none of the hosts, it is
        looked whether there is a newer one.
        """
        self.policies = Policies(plain_example=sts("old.plain.example"))
        self.policies.newer = {"plain.example": sts("mx.plain.example")}
        self.assertEqual(
            self.needs("plain.example", TLSLevel.OPPORTUNISTIC), [TLSNeed.VERIFIED]
        )
        self.assertEqual(
            self.policies.asked,
            [("policyFor", "plain.example"), ("recheck", "plain.example")],
        )

    def test_recheckedInVain(self) -> None:
        """
        Where there is none, the mail waits.
        """
        self.policies = Policies(plain_example=sts("old.plain.example"))
        trouble = self.trouble("plain.example", TLSLevel.OPPORTUNISTIC)
        self.assertIs(trouble.kind, TroubleKind.TLS)
        self.assertEqual(len(self.policies.asked), 2)

    def test_noRecheck(self) -> None:
        """
        A host that the policy does not name beside one that it does is no reason to
        look again, and neither is what has nothing to do with it.
        """
        self.policies = Policies(example_org=sts("b.example.org"))
        route = self.route("example.org", TLSLevel.OPPORTUNISTIC)
        self.assertEqual([h.name for h in route.hosts], ["b.example.org"])
        self.dns.zones["plain.example"] = {"MX": [(10, "mx.hoster.example")]}
        self.trouble("plain.example", TLSLevel.VERIFY)
        questions = [question for question, _ in self.policies.asked]
        self.assertEqual(questions, ["policyFor"] * 2)

    def test_silence(self) -> None:
        """
        RFC 8461 3.3: a policy that cannot be had in time is none, and that is told.
        """
        self.policies.policyFor = lambda domain: Deferred()
        asked = self.asks("plain.example", TLSLevel.OPPORTUNISTIC)
        self.assertNoResult(asked)
        self.clock.advance(MAX_WAIT)
        route = self.successResultOf(asked)
        self.assertIs(route.hosts[0].tls, TLSNeed.OFFERED)
        (applied,) = route.applied
        self.assertIs(applied.problem, TLSResult.STS_FETCH)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_rfc8461_10_2_waits(self) -> None:
        """
        As long as it cannot be told whether one is kept mail waits.
        """
        trouble = Trouble(Phase.RESOLVE, TroubleKind.LOCAL, "not read yet")
        for question in ("policyFor", "recheck"):
            self.policies = Policies(plain_example=sts("old.plain.example"))
            waits = defer.fail(RouteError(trouble))
            setattr(self.policies, question, lambda domain, waits=waits: waits)
            found = self.trouble("plain.example", TLSLevel.OPPORTUNISTIC)
            self.assertIs(found, trouble)
        # Nobody wants to know it where there are no hosts.
        self.policies = Policies()
        self.policies.policyFor = lambda domain: defer.fail(RouteError(trouble))
        self.dns.zones["plain.example"] = Fault.NXDOMAIN
        found = self.trouble("plain.example", TLSLevel.OPPORTUNISTIC)
        self.assertIs(found.kind, TroubleKind.NO_SUCH_DOMAIN)

    def test_failure(self) -> None:
        """
        What goes wrong while it is looked up is logged, and keeps back no mail.
        """

        def fail(domain: str) -> Any:
            raise ZeroDivisionError(domain)

        self.policies.policyFor = fail
        self.assertEqual(
            self.needs("plain.example", TLSLevel.OPPORTUNISTIC), [TLSNeed.OFFERED]
        )
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_beforeTheHosts(self) -> None:
        """
        The policy and the hosts are looked up at the same time.
        """
        self.dns.zones["plain.example"] = Fault.SILENCE
        self.asks("plain.example", TLSLevel.OPPORTUNISTIC)
        self.assertEqual(self.policies.asked, [("policyFor", "plain.example")])


class RouteTests(_Base):
    """
    The route as a whole.
    """

    def test_until(self) -> None:
        """
        It holds as long as all that it was made of, and neither for long nor for no
        time at all.
        """
        self.assertEqual(self.route("example.org", TLSLevel.NONE).until, 1_060)
        self.dns.zones["_25._tcp.a.example.org"] = Special({"TLSA": [EE]}, ttl=7)
        self.assertEqual(self.route("example.org", TLSLevel.NONE).until, 1_060)
        self.assertEqual(self.route("example.org", TLSLevel.DANE).until, 1_007)
        self.dns.zones["b.example.org"] = Special(ADDRESS, ttl=6)
        self.assertEqual(self.route("example.org", TLSLevel.DANE).until, 1_006)
        self.dns.zones["b.example.org"] = Special(ADDRESS, ttl=0)
        least = 1_000 + MIN_HOLD
        self.assertEqual(self.route("example.org", TLSLevel.DANE).until, least)
        self.dns.ttl = 86_400
        self.assertEqual(
            self.route("example.org", TLSLevel.NONE).until, 1_000 + MAX_HOLD
        )

    def test_ranks(self) -> None:
        """
        How the hosts are preferred that are left stands with them.
        """
        self.dns.zones["example.org"] = {
            "MX": [(20, "b.example.org"), (10, "a.example.org"), (5, "c.example.org")]
        }
        self.policies = Policies(example_org=sts("a.example.org", "b.example.org"))
        route = self.route("example.org", TLSLevel.OPPORTUNISTIC)
        self.assertEqual([h.name[0] for h in route.hosts], ["a", "b"])
        self.assertEqual(route.ranks, (10, 20))

    def test_ownNames(self) -> None:
        """
        RFC 5321 5.1: this relay and the hosts behind it are cut off first.
        """
        aim = Aim("example.org", Terms(TLSLevel.DANE))
        protecting = self.protecting(ownNames=["B.example.org"])
        route = self.successResultOf(protecting.routeTo(aim))
        self.assertEqual([h.name for h in route.hosts], ["a.example.org"])
        self.assertNotIn(("b.example.org", "A"), self.dns.asked)
        protecting = self.protecting(ownNames=["a.example.org"])
        failed = self.failureResultOf(protecting.routeTo(aim), RouteError)
        self.assertIs(failed.value.trouble.kind, TroubleKind.LOOP)

    def test_bounded(self) -> None:
        """
        A calculator that names any number of hosts is believed so many.
        """

        class Many:
            def getMXs(self, domain: str) -> Any:
                return [dns.Record_MX(1, f"mx{n}.example") for n in range(99)]

        protecting = self.protecting(Many())
        route = self.successResultOf(protecting.routeTo(Aim("example.org")))
        self.assertEqual(len(route.hosts), MAX_HOSTS)

    def test_foreign(self) -> None:
        """
        A calculator that has C{getMX} only names one host, of which nothing is
        certain.
        """

        class One:
            def getMX(self, domain: str) -> Any:
                return dns.Record_MX(name=f"a.{domain}")

        protecting = self.protecting(One())
        aim = Aim("example.org", Terms(TLSLevel.DANE))
        route = self.successResultOf(protecting.routeTo(aim))
        (host,) = route.hosts
        self.assertEqual((host.name, host.tls), ("a.example.org", TLSNeed.OFFERED))
        self.assertIs(route.until, None)
        self.assertEqual(self.dns.asked, [])

    def test_foreignFailure(self) -> None:
        """
        What it fails with is given on.
        """

        class Broken:
            def getMX(self, domain: str) -> Any:
                raise ZeroDivisionError(domain)

        asked = self.protecting(Broken()).routeTo(Aim("example.org"))
        self.failureResultOf(asked, ZeroDivisionError)


class FallbackTests(_Base):
    """
    Who gets the mail when the hosts of its destination cannot be known.
    """

    fallback = Host("relay.example", tls=TLSNeed.VERIFIED, named=True)

    def aim(self, domain: str, **more: Any) -> Aim:
        """
        Make an aim with a host to fall back to.
        """
        terms = Terms(TLSLevel.OPPORTUNISTIC, fallback=(self.fallback,))
        return Aim(domain, terms, **more)

    def test_behind(self) -> None:
        """
        It comes after all others.
        """
        route = self.successResultOf(
            self.protecting().routeTo(self.aim("plain.example"))
        )
        self.assertEqual(
            [h.name for h in route.hosts], ["mx.plain.example", "relay.example"]
        )

    def test_alone(self) -> None:
        """
        Where the DNS has no answer it gets the mail.
        """
        self.dns.zones["plain.example"] = Fault.SERVFAIL
        route = self.successResultOf(
            self.protecting().routeTo(self.aim("plain.example"))
        )
        self.assertEqual(route.hosts, (self.fallback,))
        self.assertTrue(route.mayRecover)
        ((name, why),) = route.left
        self.assertEqual(name, "plain.example")
        self.assertIn("plain.example", why)
        self.assertEqual(route.applied, (Applied(PolicyKind.NONE, "plain.example"),))

    def test_answers(self) -> None:
        """
        That there is no such domain, that it takes no mail, or that its policy names
        none of its hosts, is an answer.
        """
        self.dns.zones["null.example"] = {"MX": [(0, "")]}
        self.policies = Policies(plain_example=sts("other.example"))
        for domain, kind in (
            ("gone.example", TroubleKind.NO_SUCH_DOMAIN),
            ("null.example", TroubleKind.NULL_MX),
            ("plain.example", TroubleKind.TLS),
        ):
            asked = self.protecting().routeTo(self.aim(domain))
            failed = self.failureResultOf(asked, RouteError)
            self.assertIs(failed.value.trouble.kind, kind, domain)

    def test_requireTLS(self) -> None:
        """
        Mail that may go over TLS only goes to one that shows who it is.
        """
        self.dns.zones["plain.example"] = Fault.SERVFAIL
        aim = self.aim("plain.example", requireTLS=True)
        (host,) = self.successResultOf(self.protecting().routeTo(aim)).hosts
        self.assertTrue(host.requireTLS)
        self.assertIs(host.tls, TLSNeed.VERIFIED)

    def test_bad(self) -> None:
        """
        It comes before those that failed a short while ago.
        """
        protecting = self.protecting(isBad=lambda host: host.name[0] == "a")
        route = self.successResultOf(protecting.routeTo(self.aim("example.org")))
        expected = ["b.example.org", "relay.example", "a.example.org"]
        self.assertEqual([h.name for h in route.hosts], expected)
