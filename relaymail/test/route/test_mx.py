"""
Tests for L{relaymail.route.mx}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.error import DNSLookupError
from twisted.internet.task import Clock
from twisted.names.dns import Record_A, Record_CNAME, Record_MX, RRHeader
from twisted.names.error import DNSServerError
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import RouteError
from relaymail.replies import Phase, TroubleKind
from relaymail.route import mx as module
from relaymail.route.mx import (
    CanonicalNameChainTooLong,
    CanonicalNameLoop,
    Exchanges,
    MXCalculator,
)
from relaymail.route.security import Records
from relaymail.testing.dns import Fault, Special, ZoneDNS

ZONES: dict[str, Any] = {
    "example.org": {
        "MX": [(20, "c.example.org"), (10, "a.example.org"), (10, "b.example.org")]
    },
    "alias.example.org": {"CNAME": ["Example.ORG"]},
    "implicit.example": {"A": ["192.0.2.1"]},
    "implicit6.example": {"AAAA": ["2001:db8::1"]},
    "nothing.example": {"TXT": [b"x"]},
    "null.example": {"MX": [(0, "")]},
    "xn--bcher-kva.example": {"MX": [(0, "mx.xn--bcher-kva.example")]},
    "broken.example": Fault.SERVFAIL,
    "refused.example": Fault.REFUSED,
    "half.example": {"A": Fault.SERVFAIL},
    "silent.example": Fault.SILENCE,
    "literal.example": {"MX": [(0, "127.0.0.1")]},
    "local.example": {"MX": [(0, "localhost")]},
}


class _Dummy:
    """
    A resolver with nothing but C{lookupMailExchange}.
    """

    def __init__(self, answer: Callable[[str], list[tuple[str, Any]]]) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def lookupMailExchange(self, name: str) -> Any:
        self.asked.append(name)
        headers = [
            RRHeader(owner, payload.TYPE, payload=payload)
            for owner, payload in self.answer(name)
        ]
        return (headers, [], [])


class _Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.dns = ZoneDNS(ZONES)
        self.mx = MXCalculator(self.dns, self.clock)
        self.mx.shuffle = lambda records: None

    def hosts(self, domain: bytes | str) -> list[str]:
        """
        Give the names of the hosts that C{getMXs} finds.
        """
        return [str(r.name) for r in self.successResultOf(self.mx.getMXs(domain))]

    def kind(self, domain: str) -> TroubleKind:
        """
        Give the kind of the trouble that C{getMXs} fails with.
        """
        trouble = self.failureResultOf(self.mx.getMXs(domain), RouteError).value.trouble
        self.assertIs(trouble.phase, Phase.RESOLVE)
        self.assertIn(domain[:8], trouble.detail)
        return TroubleKind(trouble.kind)

    def use(self, *records: Any) -> None:
        """
        Answer every question with these records.
        """
        self.mx.resolver = _Dummy(lambda name: [(name, r) for r in records])


class GetMXsTests(_Base):
    """
    L{MXCalculator.getMXs} gives all hosts, in order.
    """

    def test_preference(self) -> None:
        """
        The lower the preference, the earlier the host.
        """
        self.assertEqual(
            self.hosts("example.org"),
            ["a.example.org", "b.example.org", "c.example.org"],
        )

    def test_names(self) -> None:
        """
        Bytes and text, any case, and a trailing dot ask for one domain.
        """
        for domain in ("EXAMPLE.org", b"example.org.", "Example.Org.", b"EXAMPLE.ORG"):
            self.assertEqual(len(self.hosts(domain)), 3, domain)

    def test_internationalName(self) -> None:
        """
        An international name is asked for by its A-labels.
        """
        expected = ["mx.xn--bcher-kva.example"]
        self.assertEqual(self.hosts("Bücher.example"), expected)
        self.assertEqual(self.hosts("bücher.example".encode()), expected)

    def test_shuffle(self) -> None:
        """
        Chance decides among equals, and only among them.
        """
        self.mx.shuffle = lambda records: records.reverse()
        self.assertEqual(
            self.hosts("example.org"),
            ["b.example.org", "a.example.org", "c.example.org"],
        )

    def test_shuffleDefault(self) -> None:
        """
        Without a given chance there is one: every equal host comes first at
        some time.
        """
        self.mx = MXCalculator(self.dns, self.clock)
        first = {self.hosts("example.org")[0] for _ in range(100)}
        self.assertEqual(first, {"a.example.org", "b.example.org"})

    def test_badLast(self) -> None:
        """
        A host known to be bad comes after all others, until its time is over.
        """
        self.mx.markBad(b"A.Example.org.")
        self.assertEqual(
            self.hosts("example.org"),
            ["b.example.org", "c.example.org", "a.example.org"],
        )
        self.clock.advance(self.mx.timeOutBadMX)
        self.assertEqual(self.hosts("example.org")[0], "a.example.org")
        self.assertEqual(self.mx.badMXs, {})

    def test_allBad(self) -> None:
        """
        Where all are bad, the preference decides.
        """
        for name in "cab":
            self.mx.markBad(f"{name}.example.org")
        self.assertEqual(self.hosts("example.org")[0], "a.example.org")

    def test_markGood(self) -> None:
        """
        A host that worked is as good as any, whatever its case.
        """
        self.mx.markBad("a.example.org")
        self.mx.markGood("A.EXAMPLE.ORG.")
        self.mx.markGood("never.seen")
        self.assertEqual(self.hosts("example.org")[0], "a.example.org")

    def test_badIsBounded(self) -> None:
        """
        Only so many bad hosts are remembered, the newest of them.
        """
        self.patch(module, "MAX_BAD", 3)
        for i in (0, 1, 2, 0, 3):
            self.mx.markBad(f"h{i}")
        self.assertEqual(list(self.mx.badMXs), ["h2", "h0", "h3"])

    def test_alias(self) -> None:
        """
        The hosts of an alias are those of what it stands for, whatever the
        case of the owners.
        """
        self.assertEqual(self.hosts("alias.example.org")[0], "a.example.org")

    def test_aliasOutOfTheAnswer(self) -> None:
        """
        An alias that leads out of the answer is asked for.
        """
        answers = {
            "one.example": ("One.Example", Record_CNAME("TWO.example")),
            "TWO.example": ("two.example", Record_MX(0, "mx.example")),
        }
        self.mx.resolver = resolver = _Dummy(lambda name: [answers[name]])
        self.assertEqual(self.hosts("one.example"), ["mx.example"])
        self.assertEqual(resolver.asked, ["one.example", "TWO.example"])

    def test_literal(self) -> None:
        """
        An address literal is its own host; nobody is asked (RFC 5321 4.1.3).
        """
        self.assertEqual(self.hosts("[192.0.2.7]"), ["192.0.2.7"])
        self.assertEqual(self.hosts(b"[IPv6:2001:DB8::7]"), ["2001:db8::7"])
        self.assertEqual(self.dns.asked, [])
        trouble = self.failureResultOf(self.mx.getMXs("[x]"), RouteError).value.trouble
        self.assertIs(trouble.kind, TroubleKind.UNSENDABLE)

    def test_D01_implicitMX(self) -> None:
        """
        A domain without MX records is its own host if it has an address, of
        either kind (RFC 5321 5.1).
        """
        self.assertEqual(self.hosts("implicit.example"), ["implicit.example"])
        self.assertEqual(self.hosts("implicit6.example."), ["implicit6.example"])
        record = self.successResultOf(self.mx.getMXs("implicit.example"))[0]
        self.assertEqual(record.preference, 0)

    def test_D01_implicitMXByHostName(self) -> None:
        """
        An app's resolver that knows no more than C{getHostByName} is enough.
        """
        self.use()
        self.mx.resolver.getHostByName = lambda name: defer.succeed("192.0.2.1")
        self.assertEqual(self.hosts("some.example"), ["some.example"])

    def test_D01_noSuchDomain(self) -> None:
        """
        NXDOMAIN, and neither MX records nor an address, are permanent.
        """
        self.assertIs(self.kind("missing.example"), TroubleKind.NO_SUCH_DOMAIN)
        self.assertIs(self.kind("nothing.example"), TroubleKind.NO_SUCH_DOMAIN)

    def test_D01_noFallback(self) -> None:
        """
        Where a domain is not to be its own host, it needs MX records.
        """
        self.mx.fallbackToDomain = False
        self.assertIs(self.kind("implicit.example"), TroubleKind.NO_SUCH_DOMAIN)

    def test_D01_noAnswer(self) -> None:
        """
        SERVFAIL, REFUSED, and an address that could not be looked up are
        temporary: unknown is not "none".
        """
        for domain in ("broken.example", "refused.example", "half.example"):
            self.assertIs(self.kind(domain), TroubleKind.NO_ANSWER, domain)

    def test_D01_silence(self) -> None:
        """
        A resolver that never answers is given up after L{module.MAX_WAIT}.
        """
        d = self.mx.getMXs("silent.example")
        self.clock.advance(module.MAX_WAIT - 1)
        self.assertNoResult(d)
        self.clock.advance(1)
        trouble = self.failureResultOf(d, RouteError).value.trouble
        self.assertIs(trouble.kind, TroubleKind.NO_ANSWER)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_D01_nullMX(self) -> None:
        """
        A domain that takes no mail says so by one MX of the empty name, or
        C{"."} (RFC 7505).
        """
        self.assertIs(self.kind("null.example"), TroubleKind.NULL_MX)
        self.use(Record_MX(0, b"."))
        self.assertIs(self.kind("other.example"), TroubleKind.NULL_MX)

    def test_A07_nullMXBesideOthers(self) -> None:
        """
        Beside other hosts the empty name is none of them.
        """
        self.use(Record_MX(0, ""), Record_MX(5, "mx.example"))
        self.assertEqual(self.hosts("x.example"), ["mx.example"])

    def test_A07_namesThatAreNone(self) -> None:
        """
        What cannot be the name of a host is left out; where nothing else is
        there, that is temporary.
        """
        bad = [Record_MX(0, n) for n in (b"\xff", b"a b", b"a\nb", b"a..b", b"x" * 64)]
        self.use(*bad, Record_MX(5, "mx.example"))
        self.assertEqual(self.hosts("x.example"), ["mx.example"])
        self.use(*bad)
        self.assertIs(self.kind("x.example"), TroubleKind.NO_ANSWER)

    def test_A07_literalAndLocalhost(self) -> None:
        """
        MX records that name an address or C{localhost} are given as they are:
        what may be connected to is decided by address.
        """
        self.assertEqual(self.hosts("literal.example"), ["127.0.0.1"])
        self.assertEqual(self.hosts("local.example"), ["localhost"])

    def test_A07_thousandsOfRecords(self) -> None:
        """
        Of thousands of records the best are used, each host once.
        """
        records = [Record_MX(i, f"h{i // 2}.example") for i in range(5000)]
        self.use(*reversed(records))
        self.assertEqual(
            self.hosts("x.example"), [f"h{i}.example" for i in range(module.MAX_HOSTS)]
        )

    def test_A07_aliasLoop(self) -> None:
        """
        Aliases that go round, in one answer or over many, are temporary.
        """
        loop = {"a.example": "b.example", "b.example": "a.example"}
        self.mx.resolver = _Dummy(
            lambda name: [(a, Record_CNAME(b)) for a, b in loop.items()]
        )
        self.assertIs(self.kind("a.example"), TroubleKind.NO_ANSWER)
        self.mx.resolver = resolver = _Dummy(
            lambda name: [(name, Record_CNAME(loop[name]))]
        )
        self.assertIs(self.kind("a.example"), TroubleKind.NO_ANSWER)
        self.assertEqual(len(resolver.asked), 4)

    def test_A07_answerToAnotherQuestion(self) -> None:
        """
        Records of another name do not count.
        """
        self.mx.resolver = _Dummy(lambda name: [("evil.example", Record_MX(0, "evil"))])
        self.mx.fallbackToDomain = False
        self.assertIs(self.kind("good.example"), TroubleKind.NO_SUCH_DOMAIN)

    def test_malformed(self) -> None:
        """
        What is no domain name cannot be sent to.
        """
        for domain in ("a..b", "x" * 64, "[1.2.3]", "b\u0378.example"):
            trouble = self.failureResultOf(self.mx.getMXs(domain)).value.trouble
            self.assertIs(trouble.kind, TroubleKind.UNSENDABLE, domain)

    def test_ownFailure(self) -> None:
        """
        A failure of our own, or of the app's resolver, is temporary and
        logged.
        """
        self.mx.resolver = object()
        trouble = self.failureResultOf(self.mx.getMXs("x.example")).value.trouble
        self.assertIs(trouble.kind, TroubleKind.LOCAL)
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)

    @settings(deadline=None, max_examples=50)
    @given(
        st.lists(
            st.tuples(st.integers(0, 5), st.sampled_from("abcdef")),
            min_size=1,
            max_size=12,
        ),
        st.sets(st.sampled_from("abcdef")),
    )
    def test_order(self, records: list[tuple[int, str]], bad: set[str]) -> None:
        """
        For any records and any bad hosts: each host once, none lost, the good
        before the bad, by preference within each, and C{getMX} gives the
        first.
        """
        mx = MXCalculator(ZoneDNS({"x.example": {"MX": records}}), Clock())
        mx.shuffle = lambda records: None
        for name in bad:
            mx.markBad(name)
        found = self.successResultOf(mx.getMXs("x.example"))
        names = [str(r.name) for r in found]
        self.assertEqual(sorted(names), sorted({name for _, name in records}))
        keys = [
            (name in bad, min(p for p, n in records if n == name)) for name in names
        ]
        self.assertEqual(keys, sorted(keys))
        self.assertEqual(self.successResultOf(mx.getMX("x.example")), found[0])


class GetMXTests(_Base):
    """
    L{MXCalculator.getMX} is the seed's.
    """

    def test_first(self) -> None:
        """
        The host is the first of all; bytes are as good as text.
        """
        for domain in ("example.org", b"Example.ORG."):
            record = self.successResultOf(self.mx.getMX(domain))
            self.assertEqual(record, Record_MX(10, "a.example.org"))

    def test_address(self) -> None:
        """
        For a domain without MX records it is its address, of either kind.
        """
        for domain, address in (
            ("implicit.example", "192.0.2.1"),
            ("implicit6.example", "2001:db8::1"),
            ("[192.0.2.9]", "192.0.2.9"),
        ):
            record = self.successResultOf(self.mx.getMX(domain))
            self.assertEqual(record, Record_MX(name=address))

    def test_D01_failures(self) -> None:
        """
        Each failure has the seed's class.
        """
        self.failureResultOf(self.mx.getMX("missing.example"), DNSLookupError)
        self.failureResultOf(self.mx.getMX("null.example"), DNSLookupError)
        self.failureResultOf(self.mx.getMX("broken.example"), DNSServerError)
        self.mx.fallbackToDomain = False
        failure = self.failureResultOf(self.mx.getMX("implicit.example"), OSError)
        self.assertNotIsInstance(failure.value, DNSLookupError)

    def test_A07_chain(self) -> None:
        """
        A chain of aliases is followed as far as is asked for.
        """
        self.mx.resolver = resolver = _Dummy(
            lambda name: [(name, Record_CNAME(f"x{name}"))]
        )
        failure = self.failureResultOf(
            self.mx.getMX("a.example", 2), CanonicalNameChainTooLong
        )
        self.assertEqual(failure.value.args, (Record_CNAME("xxxa.example"),))
        self.assertEqual(len(resolver.asked), 3)

    def test_A07_loop(self) -> None:
        """
        A loop is a loop, whatever the case of its names.
        """
        self.use(Record_CNAME("A.EXAMPLE."))
        self.failureResultOf(self.mx.getMX("a.example"), CanonicalNameLoop)


class HookTests(_Base):
    """
    What apps override is used.
    """

    def test_filterRecords(self) -> None:
        """
        An overridden C{_filterRecords} decides what both see, with names in
        any form.
        """

        class Calculator(MXCalculator):
            def _filterRecords(self, records: Any) -> dict[Any, list[Any]]:
                return {b"Example.ORG": [Record_MX(7, "mine")]}

        self.mx = Calculator(self.dns, self.clock)
        self.assertEqual(self.hosts("example.org"), ["mine"])
        self.assertEqual(
            self.successResultOf(self.mx.getMX("example.org")), Record_MX(7, "mine")
        )

    def test_getMX(self) -> None:
        """
        An overridden C{getMX}, in a class or an object, is the one host.
        """

        class Calculator(MXCalculator):
            def getMX(
                self, domain: bytes | str, maximumCanonicalChainLength: int = 3
            ) -> Deferred[Record_MX]:
                return defer.succeed(Record_MX(0, f"smart.{domain!s}"))

        self.mx = Calculator(self.dns, self.clock)
        self.assertEqual(self.hosts("example.org"), ["smart.example.org"])
        self.mx = MXCalculator(self.dns, self.clock)
        self.patch(self.mx, "getMX", lambda domain, left: Record_MX(0, "patched"))
        self.assertEqual(self.hosts("example.org"), ["patched"])

    def test_callbacks(self) -> None:
        """
        Overridden C{_cbMX} and C{_ebMX} are used by both.
        """

        class Calculator(MXCalculator):
            def _cbMX(self, answers: Any, domain: str, cnamesLeft: int) -> Any:
                return Record_MX(cnamesLeft, f"cb.{domain}")

            def _ebMX(self, failure: Any, domain: str) -> Any:
                return Record_MX(0, f"eb.{domain}")

        self.mx = Calculator(self.dns, self.clock)
        self.assertEqual(self.hosts("example.org"), ["cb.example.org"])
        self.assertEqual(self.hosts("broken.example"), ["eb.broken.example"])
        record = self.successResultOf(self.mx.getMX("example.org", 1))
        self.assertEqual(record, Record_MX(1, "cb.example.org"))

    def test_aliasGoesThroughGetMX(self) -> None:
        """
        An alias is followed by the object's own C{getMX}.
        """
        asked = []

        class Calculator(MXCalculator):
            def getMX(
                self, domain: bytes | str, maximumCanonicalChainLength: int = 3
            ) -> Deferred[Record_MX]:
                asked.append((domain, maximumCanonicalChainLength))
                return super().getMX(domain, maximumCanonicalChainLength)

        answers = {"a": ("a", Record_CNAME("b")), "b": ("b", Record_MX(0, "mx"))}
        self.mx = Calculator(_Dummy(lambda name: [answers[name]]), self.clock)
        self.assertEqual(self.successResultOf(self.mx.getMX("a")), Record_MX(name="mx"))
        self.assertEqual(asked, [("a", 3), ("b", 2)])

    def test_shuffleMethod(self) -> None:
        """
        A subclass may bring the chance along as a method.
        """

        class Calculator(MXCalculator):
            def shuffle(self, records: list[Any]) -> None:  # type: ignore[override]
                records.reverse()

        self.mx = Calculator(self.dns, self.clock)
        self.assertEqual(self.hosts("example.org")[0], "b.example.org")


#: What is in C{signed.example} is signed.
SIGNED: dict[str, Any] = {
    "mx.signed.example": {"MX": [(10, "mx.plain.example"), (5, "a.signed.example")]},
    "mx.plain.example": {"MX": [(10, "a.signed.example")]},
    "implicit.signed.example": {"A": ["192.0.2.1"]},
    "implicit.plain.example": {"A": ["192.0.2.1"]},
    "null.signed.example": {"MX": [(0, "")]},
    "bogus.signed.example": Special({"MX": [(0, "a.example")]}, isBogus=True),
    "in.signed.example": {"CNAME": ["MX.signed.example"]},
    "out.signed.example": {"CNAME": ["mx.plain.example"]},
    "in.plain.example": {"CNAME": ["mx.signed.example"]},
    "toimplicit.signed.example": {"CNAME": ["implicit.signed.example"]},
    "toimplicit.plain.example": {"CNAME": ["implicit.signed.example"]},
}


class ExchangesTests(SynchronousTestCase):
    """
    L{MXCalculator.getMXs} tells whether it is certain whose the hosts are.
    """

    def setUp(self) -> None:
        self.dns = ZoneDNS(SIGNED, ttl=300, signed=["signed.example"], negative=30)
        self.mx = MXCalculator(self.dns, Clock())

    def found(self, domain: str) -> Exchanges:
        """
        Give what is found.
        """
        return self.successResultOf(self.mx.getMXs(domain))

    def test_A07_secure(self) -> None:
        """
        It is where the answer with the records, or that there are none, is secure, and
        all aliases too (RFC 7672 2.2.1).
        """
        for domain, secure, implicit, ttl in (
            ("mx.signed.example", True, False, 300),
            ("MX.Signed.Example.", True, False, 300),
            ("mx.plain.example", False, False, 300),
            ("implicit.signed.example", True, True, 30),
            ("implicit.plain.example", False, True, 30),
            ("in.signed.example", True, False, 300),
            ("out.signed.example", False, False, 300),
            ("in.plain.example", False, False, 300),
            ("toimplicit.signed.example", True, True, 30),
            ("toimplicit.plain.example", False, True, 30),
            ("[192.0.2.1]", False, False, None),
        ):
            found = self.found(domain)
            told = (found.isSecure, found.isImplicit, found.ttl)
            self.assertEqual(told, (secure, implicit, ttl), domain)
            self.assertTrue(found)

    def test_canonical(self) -> None:
        """
        It is told what an alias leads to (RFC 7672 3.2.2), within an answer and
        beyond.
        """
        for domain, canonical in (
            ("mx.signed.example", ""),
            ("implicit.signed.example", ""),
            ("in.signed.example", "MX.signed.example"),
            ("in.plain.example", "mx.signed.example"),
        ):
            self.assertEqual(self.found(domain).canonical, canonical, domain)
        self.mx.resolver = _Links(True, True, Record_MX(0, "h.example"))
        self.assertEqual(self.found("a.example").canonical, "b.example")

    def test_A07_separateAnswers(self) -> None:
        """
        Each link of a chain counts, where each comes in an answer of its own.
        """
        for first, second, both in (
            (True, True, True),
            (True, False, False),
            (False, True, False),
        ):
            for last in (Record_MX(0, "h.example"), None):
                self.mx.resolver = _Links(first, second, last)
                found = self.found("a.example")
                self.assertIs(found.isSecure, both)
                self.assertIs(found.isImplicit, last is None)
                self.assertEqual(found.ttl, 5)

    def test_D01_bogus(self) -> None:
        """
        What does not hold what it is signed with has no answer: its mail waits.
        """
        d = self.mx.getMXs("bogus.signed.example")
        trouble = self.failureResultOf(d, RouteError).value.trouble
        self.assertIs(trouble.kind, TroubleKind.NO_ANSWER)

    def test_D01_nullMX(self) -> None:
        """
        A domain without mail has no hosts, signed or not.
        """
        d = self.mx.getMXs("null.signed.example")
        trouble = self.failureResultOf(d, RouteError).value.trouble
        self.assertIs(trouble.kind, TroubleKind.NULL_MX)

    def test_tailored(self) -> None:
        """
        What a subclass says is not certain.
        """

        class Mine(MXCalculator):
            def getMX(self, domain: Any, maximumCanonicalChainLength: int = 3) -> Any:
                return Record_MX(0, "mine.example")

        mx = Mine(self.dns, Clock())
        found = self.successResultOf(mx.getMXs("mx.signed.example"))
        self.assertEqual([str(r.name) for r in found], ["mine.example"])
        self.assertFalse(found.isSecure)


class _Links:
    """
    An alias in one answer, what it leads to in another.
    """

    def __init__(self, first: bool, second: bool, last: Any) -> None:
        self.first, self.second, self.last = first, second, last

    def lookupMailExchange(self, name: str) -> Any:
        if name == "a.example":
            alias = RRHeader(name, 5, payload=Record_CNAME("b.example"))
            return (Records([alias], self.first, 5), [], [])
        found = [] if self.last is None else [RRHeader(name, 15, payload=self.last)]
        return (Records(found, self.second, 9), [], [])

    def lookupAddress(self, name: str) -> Any:
        address = RRHeader(name, 1, payload=Record_A("192.0.2.1"))
        return (Records([address], False, 8), [], [])
