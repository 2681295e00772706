"""
Tests for L{relaymail.route.sts.lookup}: RFC 8461 3.1 in the DNS, and 3.4.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase

from relaymail.route.resolver import CachingResolver
from relaymail.route.sts.lookup import Record, lookupRecord, policyDomain
from relaymail.testing.dns import Fault, ZoneDNS

NAME = "_mta-sts.one.example"


class DomainTests(SynchronousTestCase):
    """
    Whose policy it is.
    """

    def test_3_4_itself(self) -> None:
        """
        That of the domain itself, in its one form, and not of one above it.
        """
        for domain in ("one.example", "One.Example.", "xn--bcher-kva.example", "a"):
            self.assertEqual(
                policyDomain(domain), domain.lower().removesuffix("."), domain
            )
        self.assertEqual(policyDomain("bücher.example"), "xn--bcher-kva.example")
        self.assertEqual(policyDomain("sub.one.example"), "sub.one.example")

    def test_3_4_none(self) -> None:
        """
        A network address has none, and neither has what is no name.
        """
        for domain in (
            "[192.0.2.1]",
            "[IPv6:2001:db8::1]",
            "192.0.2.1",
            "",
            "..",
            "a b",
            "localhost",
            "a.localhost",
            ".".join(["x" * 60] * 4) + ".yy",
        ):
            self.assertIsNone(policyDomain(domain), domain)


class LookupTests(SynchronousTestCase):
    """
    Asking for the record.
    """

    def found(self, zones: dict[str, Any], domain: str = "one.example") -> Record:
        """
        Ask in a DNS.
        """
        self.zones = ZoneDNS(zones)
        resolver = CachingResolver(self.zones, Clock())
        d = Deferred.fromCoroutine(lookupRecord(resolver, domain))
        return self.successResultOf(d)

    def test_3_1_record(self) -> None:
        """
        The id is found at C{_mta-sts}.
        """
        record = self.found({NAME: {"TXT": ["v=STSv1; id=7;"]}})
        self.assertEqual(record, Record("7"))
        self.assertEqual(self.zones.asked, [(NAME, "TXT")])

    def test_3_1_aliases(self) -> None:
        """
        Aliases are followed.
        """
        zones = {
            NAME: {"CNAME": ["a.two.example"]},
            "a.two.example": {"CNAME": ["b.two.example"]},
            "b.two.example": {"TXT": ["v=STSv1; id=8;"]},
        }
        self.assertEqual(self.found(zones), Record("8"))

    def test_3_1_aliasesOutside(self) -> None:
        """
        So are those that lead out of the answer, and back into a name that was
        answered without them.
        """

        class Curt(ZoneDNS):
            """
            A server that gives one record for each question.
            """

            def lookupText(self, name: Any, timeout: Any = None) -> Any:
                """
                Give the first record.
                """
                d: Deferred[Any] = super().lookupText(name, timeout)
                return d.addCallback(lambda answer: (answer[0][:1], [], []))

        zones = {
            NAME: {"CNAME": ["a.two.example"]},
            "a.two.example": {"TXT": ["v=STSv1; id=9;"]},
        }
        for resolver in (Curt(zones), CachingResolver(Curt(zones), Clock())):
            d = Deferred.fromCoroutine(lookupRecord(resolver, "one.example"))
            self.assertEqual(self.successResultOf(d), Record("9"))

    def test_A07_aliasesWithoutEnd(self) -> None:
        """
        They are followed up to a bound.
        """
        zones: dict[str, Any] = {
            NAME: {"CNAME": ["a.example"]},
            "a.example": {"CNAME": [NAME]},
        }
        self.assertFalse(self.found(zones).isKnown)
        zones = {f"a{n}.example": {"CNAME": [f"a{n + 1}.example"]} for n in range(200)}
        zones[NAME] = {"CNAME": ["a0.example"]}
        record = self.found(zones)
        self.assertEqual((record.id, record.isKnown), ("", False))

    def test_3_1_none(self) -> None:
        """
        No name, no records, or records of something else: there is none.
        """
        none: list[dict[str, Any]] = [
            {},
            {NAME: {"TXT": []}},
            {NAME: {"A": ["192.0.2.1"]}},
            {NAME: {"TXT": ["v=spf1 -all"]}},
        ]
        for zones in none:
            self.assertEqual(self.found(zones), Record())

    def test_3_1_several(self) -> None:
        """
        Two are none, and it is said.
        """
        record = self.found({NAME: {"TXT": ["v=STSv1; id=1;", "v=STSv1; id=2;"]}})
        self.assertEqual((record.id, record.isKnown), ("", True))
        self.assertIn(f"{NAME} cannot be used: there are 2", record.why)

    def test_D01_noAnswer(self) -> None:
        """
        A server that fails has not said that there is none.
        """
        for fault in (Fault.SERVFAIL, Fault.REFUSED):
            record = self.found({NAME: fault})
            self.assertEqual((record.id, record.isKnown), ("", False))
            self.assertIn(NAME, record.why)

    def test_D01_oddAnswer(self) -> None:
        """
        Neither has one whose answer is nothing that could be read.
        """

        class Odd:
            """
            A resolver that is wrong.
            """

            def lookupText(self, name: str) -> Any:
                """
                Give what is no answer.
                """
                return None

        d = Deferred.fromCoroutine(lookupRecord(Odd(), "one.example"))
        self.assertFalse(self.successResultOf(d).isKnown)

    def test_foreignResolver(self) -> None:
        """
        A resolver that knows hosts only knows no policy.
        """
        d = Deferred.fromCoroutine(lookupRecord(object(), "one.example"))
        record = self.successResultOf(d)
        self.assertEqual((record.id, record.isKnown), ("", True))

    def test_cancelled(self) -> None:
        """
        Who asks may break it off.
        """

        class Silent:
            """
            A resolver that says nothing.
            """

            def lookupText(self, name: str) -> Deferred[Any]:
                """
                Wait.
                """
                return Deferred()

        d = Deferred.fromCoroutine(lookupRecord(Silent(), "one.example"))
        d.cancel()
        self.failureResultOf(d, CancelledError)

    def test_otherTypes(self) -> None:
        """
        Of records at the name that are no TXT nothing is read.
        """

        class Mixed:
            """
            A resolver that gives all there is.
            """

            def lookupText(self, name: str) -> Any:
                """
                Give two records.
                """
                records = [
                    dns.RRHeader(NAME, dns.A, payload=dns.Record_A("192.0.2.1")),
                    dns.RRHeader(
                        NAME, dns.TXT, payload=dns.Record_TXT(b"v=STSv1; ", b"id=5;")
                    ),
                ]
                return records, [], []

        d = Deferred.fromCoroutine(lookupRecord(Mixed(), "one.example"))
        self.assertEqual(self.successResultOf(d), Record("5"))
