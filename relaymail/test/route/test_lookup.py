"""
Tests for L{relaymail.route.lookup}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import defer
from twisted.internet.error import DNSLookupError
from twisted.names.dns import CNAME, Record_CNAME, RRHeader
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import RouteError
from relaymail.replies import TroubleKind
from relaymail.route.lookup import MAX_ADDRESSES, MAX_QUESTIONS, lookupAddresses
from relaymail.testing.dns import Fault, ZoneDNS


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
