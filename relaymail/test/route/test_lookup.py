"""
Tests for L{relaymail.route.lookup}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import defer
from twisted.internet.error import DNSLookupError
from twisted.names.dns import CNAME, Record_A, Record_AAAA, Record_CNAME, RRHeader
from twisted.names.error import DNSNameError
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import RouteError
from relaymail.protections import TLSResult
from relaymail.replies import TroubleKind
from relaymail.route.lookup import (
    MAX_ADDRESSES,
    MAX_QUESTIONS,
    Addresses,
    Found,
    lookupAddresses,
    lookupAlias,
    lookupTLSA,
)
from relaymail.route.security import Records, vouched
from relaymail.route.tlsa import MAX_RECORDS, TLSA
from relaymail.testing.dns import Fault, Special, ZoneDNS


class LookupAddressesTests(SynchronousTestCase):
    """
    L{lookupAddresses} goes from a name to addresses.
    """

    def setUp(self) -> None:
        self.dns = ZoneDNS(
            {
                "both.example": {
                    "A": ["192.0.2.1", "192.0.2.2"],
                    "AAAA": ["2001:db8::1"],
                },
                "six.example": {"AAAA": ["2001:DB8::6"]},
                "alias.example": {"CNAME": ["Both.Example."]},
                "many.example": {
                    "A": [f"192.0.2.{i}" for i in range(200)],
                    "AAAA": [f"2001:db8::{i:x}" for i in range(200)],
                },
                "half.example": {"A": ["192.0.2.3"], "AAAA": Fault.SERVFAIL},
                "broken.example": {"AAAA": Fault.SERVFAIL},
                "refused.example": Fault.REFUSED,
                "empty.example": {"MX": [(0, "x")]},
                "slow.example": {"A": Fault.SILENCE, "AAAA": ["2001:db8::1"]},
            }
        )

    def addresses(self, name: bytes | str, **options: bool) -> list[str]:
        """
        Give the addresses that are found.
        """
        return self.successResultOf(lookupAddresses(self.dns, name, **options))

    def kind(self, name: str, resolver: Any = None) -> TroubleKind:
        """
        Give the kind of trouble that is found.
        """
        d = lookupAddresses(resolver or self.dns, name)
        trouble = self.failureResultOf(d, RouteError).value.trouble
        self.assertIn(name, trouble.detail)
        return TroubleKind(trouble.kind)

    def test_both(self) -> None:
        """
        IPv4 comes first unless told otherwise; names come in any form.
        """
        four, six = ["192.0.2.1", "192.0.2.2"], ["2001:db8::1"]
        self.assertEqual(self.addresses(b"BOTH.example."), four + six)
        self.assertEqual(self.addresses("both.example", preferIPv6=True), six + four)
        self.assertEqual(self.addresses("six.example"), ["2001:db8::6"])

    def test_alias(self) -> None:
        """
        Aliases are followed through the answer.
        """
        self.assertEqual(len(self.addresses("alias.example")), 3)

    def test_itself(self) -> None:
        """
        A network address is its own, and C{localhost} is known: nobody is
        asked.
        """
        self.assertEqual(self.addresses("192.0.2.9"), ["192.0.2.9"])
        self.assertEqual(self.addresses(b"2001:DB8::9"), ["2001:db8::9"])
        self.assertEqual(self.addresses("LocalHost."), ["127.0.0.1", "::1"])
        self.assertEqual(self.dns.asked, [])

    def test_A07_many(self) -> None:
        """
        Of many addresses some are given, of both kinds.
        """
        found = self.addresses("many.example")
        self.assertEqual(len(found), MAX_ADDRESSES)
        self.assertEqual(found[MAX_ADDRESSES // 2], "2001:db8::")

    def test_D01_none(self) -> None:
        """
        A name without addresses, or that does not exist, has none.
        """
        self.assertIs(self.kind("empty.example"), TroubleKind.NO_SUCH_DOMAIN)
        self.assertIs(self.kind("missing.example"), TroubleKind.NO_SUCH_DOMAIN)

    def test_A07_servfailBesideGoodAnswer(self) -> None:
        """
        A failure matters only where nothing else was found; then it is not
        known that there is none.
        """
        self.assertEqual(self.addresses("half.example"), ["192.0.2.3"])
        self.assertIs(self.kind("broken.example"), TroubleKind.NO_ANSWER)
        self.assertIs(self.kind("refused.example"), TroubleKind.NO_ANSWER)

    def test_both_waitedFor(self) -> None:
        """
        Both lookups are under way at once, and both are waited for.
        """
        d = lookupAddresses(self.dns, "slow.example")
        self.assertNoResult(d)
        self.assertEqual(len(self.dns.asked), 2)
        d.cancel()
        self.assertEqual(self.successResultOf(d), ["2001:db8::1"])

    def test_A07_aliasesForEver(self) -> None:
        """
        Aliases that lead out of each answer are followed only so often.
        """
        asked = []

        class Endless:
            def lookupAddress(self, name: str) -> Any:
                asked.append(name)
                alias = Record_CNAME(f"x{name}")
                return ([RRHeader(name, CNAME, payload=alias)], [], [])

        self.assertIs(self.kind("a.example", Endless()), TroubleKind.NO_ANSWER)
        self.assertEqual(len(asked), MAX_QUESTIONS)

    def test_A07_aliasLoop(self) -> None:
        """
        Aliases that go round in an answer are no answer.
        """

        class Round:
            def lookupAddress(self, name: str) -> Any:
                pairs = (("a.example", "b.example"), ("b.example", "a.example"))
                headers = [
                    RRHeader(a, CNAME, payload=Record_CNAME(b)) for a, b in pairs
                ]
                return (headers, [], [])

        self.assertIs(self.kind("a.example", Round()), TroubleKind.NO_ANSWER)

    def test_hostNameOnly(self) -> None:
        """
        A resolver with nothing but C{getHostByName} gives one address, or
        says that there is none.
        """

        class Simple:
            def getHostByName(self, name: str) -> Any:
                if name == "h.example":
                    return defer.succeed("192.0.2.4")
                return defer.fail(DNSLookupError(name))

        found = self.successResultOf(lookupAddresses(Simple(), "h.example"))
        self.assertEqual(found, ["192.0.2.4"])
        self.assertIs(self.kind("x.example", Simple()), TroubleKind.NO_SUCH_DOMAIN)


#: Who has which addresses; what is in C{signed.example} is signed.
SIGNED: dict[str, Any] = {
    "both.signed.example": {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]},
    "four.signed.example": {"A": ["192.0.2.1"]},
    "half.signed.example": {"A": ["192.0.2.1"], "AAAA": Fault.SERVFAIL},
    "bogus.signed.example": Special({"A": ["192.0.2.1"]}, isBogus=True),
    "four.plain.example": {"A": ["192.0.2.1"]},
    "half.plain.example": {"A": ["192.0.2.1"], "AAAA": Fault.SERVFAIL},
    "in.signed.example": {"CNAME": ["Both.Signed.Example."]},
    "twice.signed.example": {"CNAME": ["in.signed.example"]},
    "out.signed.example": {"CNAME": ["four.plain.example"]},
    "through.signed.example": {"CNAME": ["back.plain.example"]},
    "back.plain.example": {"CNAME": ["four.signed.example"]},
    "lost.signed.example": {"CNAME": ["missing.signed.example"]},
    "missingfour.plain.example": {"CNAME": ["missing.signed.example"]},
}


class SecureAddressesTests(SynchronousTestCase):
    """
    Whether the addresses of a host are secure (RFC 7672 2.2.2).
    """

    def setUp(self) -> None:
        self.dns = ZoneDNS(SIGNED, ttl=300, signed=["signed.example"])

    def found(self, name: str) -> Addresses:
        """
        Give the addresses of a name.
        """
        return self.successResultOf(lookupAddresses(self.dns, name))

    def test_A07_secure(self) -> None:
        """
        They are where all answers that they came from are: a failure or nothing beside
        them has no say, an alias through a zone that is not signed has.
        """
        for name, secure, canonical, alias in (
            ("both.signed.example", True, "", False),
            ("four.signed.example", True, "", False),
            ("half.signed.example", True, "", False),
            ("four.plain.example", False, "", False),
            ("half.plain.example", False, "", False),
            ("in.signed.example", True, "Both.Signed.Example", True),
            ("twice.signed.example", True, "Both.Signed.Example", True),
            ("out.signed.example", False, "four.plain.example", False),
            ("through.signed.example", False, "four.signed.example", False),
            ("back.plain.example", False, "four.signed.example", False),
            ("192.0.2.1", False, "", False),
            ("localhost", False, "", False),
        ):
            found = self.found(name)
            told = (found.isSecure, found.canonical, found.isSecureAlias)
            self.assertEqual(told, (secure, canonical, alias), name)

    def test_families(self) -> None:
        """
        One insecure answer of the two makes them insecure.
        """
        for four, six, both in (
            (True, True, True),
            (True, False, False),
            (False, True, False),
        ):
            resolver = _Families(four, six)
            found = self.successResultOf(lookupAddresses(resolver, "h.example"))
            self.assertEqual(len(found), 2)
            self.assertIs(found.isSecure, both)
            self.assertEqual(found.ttl, 10)

    def test_D01_bogus(self) -> None:
        """
        What does not hold what it is signed with has no addresses, and it is not known
        that it has none.
        """
        d = lookupAddresses(self.dns, "bogus.signed.example")
        trouble = self.failureResultOf(d, RouteError).value.trouble
        self.assertIs(trouble.kind, TroubleKind.NO_ANSWER)
        self.dns.validates = False
        self.assertFalse(self.found("bogus.signed.example").isSecure)

    def test_ttl(self) -> None:
        """
        They hold as long as the shortest of their records.
        """
        self.assertEqual(self.found("both.signed.example").ttl, 300)
        self.dns.zones["in.signed.example"] = Special(
            {"CNAME": ["both.signed.example"]}, ttl=20
        )
        self.assertEqual(self.found("in.signed.example").ttl, 20)
        self.assertIsNone(self.found("192.0.2.1").ttl)

    def test_asksAgain(self) -> None:
        """
        Where an answer ends with an alias, the next one counts, too.
        """
        for first, second, both in (
            (True, True, True),
            (True, False, False),
            (False, True, False),
        ):
            resolver = _Steps(first, second)
            found = self.successResultOf(lookupAddresses(resolver, "a.example"))
            self.assertEqual(found, ["192.0.2.1"])
            told = (found.isSecure, found.canonical, found.ttl)
            self.assertEqual(told, (both, "b.example", 5))

    def test_otherResolvers(self) -> None:
        """
        What other resolvers say is insecure.
        """

        class Simple:
            def getHostByName(self, name: str) -> Any:
                return defer.succeed("192.0.2.4")

        found = self.successResultOf(lookupAddresses(Simple(), "h.example"))
        self.assertFalse(found.isSecure)

    def test_A07_alias(self) -> None:
        """
        L{lookupAlias} tells of the alias at the name itself alone.
        """
        for name, secure in (
            ("in.signed.example", True),
            ("out.signed.example", True),
            ("through.signed.example", True),
            ("lost.signed.example", True),
            ("back.plain.example", False),
            ("four.signed.example", False),
            ("missing.signed.example", False),
        ):
            found = self.successResultOf(lookupAlias(self.dns, name.upper() + "."))
            self.assertIs(found, secure, name)
        self.failureResultOf(lookupAlias(self.dns, "bogus.signed.example"), RouteError)
        self.assertFalse(self.successResultOf(lookupAlias(object(), "a.example")))


class LookupTLSATests(SynchronousTestCase):
    """
    L{lookupTLSA} gives the TLSA records of a host.
    """

    records = (TLSA(3, 1, 1, b"x" * 32), TLSA(2, 0, 2, b"y" * 64))

    def setUp(self) -> None:
        values: list[Any] = [(3, 1, 1, b"x" * 32), f"2 0 2 {(b'y' * 64).hex()}"]
        self.dns = ZoneDNS(
            {
                "_25._tcp.mx.signed.example": {"TLSA": values},
                "_25._tcp.mx.plain.example": {"TLSA": values},
                "_25._tcp.alias.signed.example": {
                    "CNAME": ["_25._tcp.MX.signed.example"]
                },
                "_25._tcp.out.signed.example": {"CNAME": ["_25._tcp.mx.plain.example"]},
                "_25._tcp.in.plain.example": {"CNAME": ["_25._tcp.mx.signed.example"]},
                "_25._tcp.lost.plain.example": {"CNAME": ["missing.signed.example"]},
                "_25._tcp.empty.signed.example": {"TXT": [b"x"]},
                "_25._tcp.broken.signed.example": {"TLSA": Fault.SERVFAIL},
                "_25._tcp.refused.signed.example": {"TLSA": Fault.REFUSED},
                "_25._tcp.round.signed.example": {
                    "CNAME": ["_25._tcp.round.signed.example"]
                },
                "_25._tcp.many.signed.example": {
                    "TLSA": [(3, 1, 1, bytes([i]) * 32) for i in range(200)]
                },
                "_2525._tcp.mx.signed.example": {"TLSA": [self.records[1]]},
            },
            ttl=300,
            signed=["signed.example"],
            negative=30,
        )

    def found(self, base: bytes | str, port: int = 25, resolver: Any = None) -> Found:
        """
        Give what is found.
        """
        return self.successResultOf(lookupTLSA(resolver or self.dns, base, port))

    def test_A07_found(self) -> None:
        """
        Records, or none; aliases are followed, and all of the chain must be secure.
        """
        for base, records, secure in (
            ("mx.signed.example", self.records, True),
            ("MX.Signed.Example.", self.records, True),
            ("mx.plain.example", self.records, False),
            ("alias.signed.example", self.records, True),
            ("out.signed.example", self.records, False),
            ("in.plain.example", self.records, False),
            ("lost.plain.example", (), False),
            ("empty.signed.example", (), True),
            ("missing.signed.example", (), True),
            ("missing.plain.example", (), False),
        ):
            found = self.found(base)
            self.assertEqual((found.records, found.isSecure), (records, secure), base)
            self.assertEqual(found.ttl, 300 if records else 30, base)

    def test_port(self) -> None:
        """
        Each port has its own.
        """
        self.assertEqual(self.found(b"mx.signed.example", 2525).records[0].usage, 2)
        self.assertEqual(self.dns.asked[-1], ("_2525._tcp.mx.signed.example", "TLSA"))

    def test_D01_noAnswer(self) -> None:
        """
        Failures are not "none": bogus answers come as SERVFAIL (RFC 7672 2.1.3).
        """
        for base, result in (
            ("broken.signed.example", TLSResult.DNSSEC_INVALID),
            ("refused.signed.example", None),
        ):
            d = lookupTLSA(self.dns, base, 25)
            trouble = self.failureResultOf(d, RouteError).value.trouble
            told = (trouble.kind, trouble.result)
            self.assertEqual(told, (TroubleKind.NO_ANSWER, result), base)
            self.assertIn(f"_25._tcp.{base}", trouble.detail)

    def test_A07_loop(self) -> None:
        """
        Aliases that go round are no answer.
        """
        d = lookupTLSA(self.dns, "round.signed.example", 25)
        trouble = self.failureResultOf(d, RouteError).value.trouble
        self.assertIs(trouble.kind, TroubleKind.NO_ANSWER)

    def test_A07_chain(self) -> None:
        """
        Aliases that lead out of each answer are followed only so often.
        """
        asked = []

        class Endless:
            def lookupTLSA(self, name: str) -> Any:
                asked.append(name)
                alias = Record_CNAME(f"x{name}")
                return (Records([RRHeader(name, CNAME, payload=alias)], True), [], [])

        d = lookupTLSA(Endless(), "a.example", 25)
        self.failureResultOf(d, RouteError)
        self.assertEqual(len(asked), MAX_QUESTIONS)

    def test_A07_nothingAtTheEnd(self) -> None:
        """
        That there is nothing where an insecure alias leads is insecure.
        """

        for first, second, both in (
            (True, True, True),
            (True, False, False),
            (False, True, False),
        ):
            resolver = _Nothing(first, second)
            found = self.found("a.example", 25, resolver)
            self.assertEqual(found, Found((), both, 5))

    def test_A07_many(self) -> None:
        """
        Of many records some are looked at.
        """
        self.assertEqual(len(self.found("many.signed.example").records), MAX_RECORDS)

    def test_malformed(self) -> None:
        """
        A record that is too short is there, and means nothing.
        """
        self.dns.zones["_25._tcp.x.signed.example"] = {"TLSA": [(3, 1, 1, b"")]}
        (record,) = self.found("x.signed.example").records
        self.assertFalse(record.isUsable)

    def test_nobodyToAsk(self) -> None:
        """
        A resolver that knows no such records has none, and a name that is too long
        neither.
        """
        self.assertEqual(self.found("mx.signed.example", 25, object()), Found())
        self.assertEqual(self.found("x." * 125 + "ex"), Found())
        self.assertEqual(self.dns.asked, [])


def _answer(name: str, record: Any, isSecure: bool, ttl: int) -> Any:
    header = RRHeader(name, record.TYPE, ttl=ttl, payload=record)
    return (Records([header], isSecure, ttl), [], [])


class _Families:
    """
    Answers for IPv4 and IPv6 that are secure or not.
    """

    def __init__(self, four: bool, six: bool) -> None:
        self.four, self.six = four, six

    def lookupAddress(self, name: str) -> Any:
        return _answer(name, Record_A("192.0.2.1"), self.four, 10)

    def lookupIPV6Address(self, name: str) -> Any:
        return _answer(name, Record_AAAA("2001:db8::1"), self.six, 20)


class _Steps:
    """
    An alias in one answer, what it leads to in another.
    """

    def __init__(self, first: bool, second: bool) -> None:
        self.first, self.second = first, second

    def lookupAddress(self, name: str) -> Any:
        if name == "a.example":
            return _answer(name, Record_CNAME("b.example"), self.first, 5)
        return _answer(name, Record_A("192.0.2.1"), self.second, 10)


class _Nothing:
    """
    An alias in one answer; what it leads to is not there.
    """

    def __init__(self, first: bool, second: bool) -> None:
        self.first, self.second = first, second

    def lookupTLSA(self, name: str) -> Any:
        if name.startswith("_25"):
            return _answer(name, Record_CNAME("b.example"), self.first, 5)
        return defer.fail(vouched(DNSNameError(name), self.second, 9))
