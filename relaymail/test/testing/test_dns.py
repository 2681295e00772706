"""
Tests for L{relaymail.testing.dns}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import defer
from twisted.internet.interfaces import IResolver
from twisted.names import client
from twisted.names.error import (
    DNSNameError,
    DNSNotImplementedError,
    DNSQueryRefusedError,
    DNSServerError,
)
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from relaymail.testing.dns import DNSServer, Fault, ZoneDNS


def _zones() -> ZoneDNS:
    return ZoneDNS(
        {
            "example.org": {"MX": [(10, "mx.example.org")], "TXT": [b"hello"]},
            "mx.example.org": {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]},
            "six.example": {"AAAA": ["2001:db8::6"]},
            "www.example.org": {"CNAME": ["Example.ORG"]},
            "dangling.example": {"CNAME": ["missing.example"]},
            "round.example": {"CNAME": ["round.example"]},
            "half.example": {"A": Fault.REFUSED, "MX": [(0, "")]},
            "broken.example": Fault.SERVFAIL,
            "odd.example": Fault.NOT_IMPLEMENTED,
            "silent.example": Fault.SILENCE,
        }
    )


class ZoneDNSTests(SynchronousTestCase):
    """
    L{ZoneDNS} answers from memory.
    """

    def setUp(self) -> None:
        self.dns = _zones()

    def test_interface(self) -> None:
        """
        It is a resolver.
        """
        self.assertTrue(verifyObject(IResolver, self.dns))

    def test_records(self) -> None:
        """
        Records come with their owner and time to live; what is asked is kept.
        """
        self.dns.ttl = 7
        headers = self.successResultOf(self.dns.lookupMailExchange("Example.org."))[0]
        self.assertEqual([str(h.payload.name) for h in headers], ["mx.example.org"])
        self.assertEqual(headers[0].ttl, 7)
        self.assertEqual(self.dns.asked, [("example.org", "MX")])
        self.assertEqual(
            self.successResultOf(self.dns.lookupAddress("example.org"))[0], []
        )

    def test_alias(self) -> None:
        """
        Aliases are followed; asked for themselves they are the answer.
        """
        headers = self.successResultOf(self.dns.lookupMailExchange("www.example.org"))[
            0
        ]
        self.assertEqual([h.type for h in headers], [5, 15])
        headers = self.successResultOf(self.dns.lookupCanonicalName("www.example.org"))[
            0
        ]
        self.assertEqual([h.type for h in headers], [5])
        self.failureResultOf(self.dns.lookupAddress("dangling.example"), DNSNameError)
        self.successResultOf(self.dns.lookupAddress("round.example"))

    def test_faults(self) -> None:
        """
        Each fault is what C{twisted.names} makes of it.
        """
        for name, error in (
            ("missing.example", DNSNameError),
            ("broken.example", DNSServerError),
            ("odd.example", DNSNotImplementedError),
            ("half.example", DNSQueryRefusedError),
        ):
            self.failureResultOf(self.dns.lookupAddress(name), error)
        self.assertNoResult(self.dns.lookupAddress("silent.example"))

    def test_getHostByName(self) -> None:
        """
        One address of a name, IPv4 before IPv6.
        """
        for name, address in (
            ("mx.example.org", "192.0.2.1"),
            ("six.example", "2001:db8::6"),
        ):
            self.assertEqual(
                self.successResultOf(self.dns.getHostByName(name)), address
            )
        self.failureResultOf(self.dns.getHostByName("example.org"), DNSNameError)


class DNSServerTests(TestCase):
    """
    L{DNSServer} serves the same over loopback.
    """

    timeout = 20

    @defer.inlineCallbacks
    def test_served(self) -> Any:
        """
        Another resolver gets records, a null MX and the codes of faults.
        """
        server = DNSServer(_zones()).start()
        self.addCleanup(server.stop)
        self.assertEqual(server.address, f"127.0.0.1:{server.port}")
        other = client.Resolver(servers=[("127.0.0.1", server.port)], timeout=(2,))
        answers = yield other.lookupMailExchange("www.example.org")
        self.assertEqual(str(answers[0][1].payload.name), "mx.example.org")
        answers = yield other.lookupMailExchange("half.example")
        self.assertEqual(answers[0][0].payload.name.name, b"")
        yield self.assertFailure(
            other.lookupAddress("half.example"), DNSQueryRefusedError
        )
        yield self.assertFailure(other.lookupAddress("broken.example"), DNSServerError)
        yield self.assertFailure(other.lookupAddress("missing.example"), DNSNameError)
