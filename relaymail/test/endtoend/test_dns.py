# -*- test-case-name: relaymail.test.endtoend.test_dns -*-
"""
Name servers and the resolver over real sockets.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from dns import flags, message, query
from twisted.internet import defer
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.threads import deferToThread
from twisted.names import client, dns
from twisted.names.error import (
    DNSNameError,
    DNSQueryRefusedError,
    DNSServerError,
    DomainError,
)
from twisted.trial.unittest import SkipTest, TestCase

from relaymail.route import wire
from relaymail.route.lookup import lookupTLSA
from relaymail.route.mx import MXCalculator
from relaymail.route.resolver import makeResolver
from relaymail.route.security import isSecure
from relaymail.route.tlsa import TLSA
from relaymail.testing.dns import EDNS, DNSServer, Fault, Special, ZoneDNS


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
        server = DNSServer(
            ZoneDNS(
                {
                    "mx.example.org": {"A": ["192.0.2.1"]},
                    "www.example.org": {"CNAME": ["Example.ORG"]},
                    "example.org": {"MX": [(10, "mx.example.org")]},
                    "half.example": {"A": Fault.REFUSED, "MX": [(0, "")]},
                    "broken.example": Fault.SERVFAIL,
                }
            )
        ).start()
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


class _Liar(DatagramProtocol):
    """
    Answers with a wrong number and with another question before the truth.
    """

    noisy = False
    transport: Any

    def __init__(self, tell: list[str]) -> None:
        self.tell = tell

    def datagramReceived(self, data: bytes, address: Any) -> None:
        query = dns.Message()
        query.fromStr(data)
        for how in self.tell:
            number = query.id ^ 1 if how == "number" else query.id
            answer = dns.Message(number, answer=1)
            name = "other.example" if how == "question" else query.queries[0].name.name
            answer.queries = [dns.Query(name, query.queries[0].type)]
            record = dns.Record_A("192.0.2.66" if how != "truth" else "192.0.2.1")
            answer.answers = [dns.RRHeader(name, dns.A, payload=record, ttl=9)]
            self.transport.write(answer.toStr(), address)


def _isNamed(address: str, networks: Any) -> bool:
    """
    Tell whether a server's network was named.
    """
    return any(ip_address(address) in network for network in networks)


class LoopbackTests(TestCase):
    """
    L{makeResolver} over a real loopback.
    """

    timeout = 20

    def setUp(self) -> None:
        self.zones = ZoneDNS(
            {
                "small.example": {"MX": [(0, "mx.example")]},
                "large.example": {"MX": [(i, f"h{i}.example") for i in range(200)]},
                "broken.example": Fault.SERVFAIL,
                "small.signed.example": {"MX": [(0, "mx.example")]},
                "large.signed.example": {
                    "MX": [(i, f"h{i}.example") for i in range(200)]
                },
                "out.signed.example": {"CNAME": ["small.example"]},
                "bogus.signed.example": Special(
                    {"MX": [(0, "mx.example")]}, isBogus=True
                ),
                "_25._tcp.small.signed.example": {"TLSA": [(3, 1, 1, b"x" * 32)]},
            },
            signed=["signed.example"],
        )
        self.server = DNSServer(self.zones).start()
        self.addCleanup(self.server.stop)
        self.resolver = makeResolver(self.server.address)

    @defer.inlineCallbacks
    def test_A07_overTheWire(self) -> Any:
        """
        Answers come over UDP, truncated ones over TCP; none and failure are
        told apart; a burst makes one question.
        """
        burst = [self.resolver.lookupMailExchange("small.example") for _ in range(20)]
        for answers in (yield defer.gatherResults(burst)):
            self.assertEqual(len(answers[0]), 1)
        self.assertEqual(self.zones.asked, [("small.example", "MX")])
        answers = yield self.resolver.lookupMailExchange("large.example")
        self.assertEqual(len(answers[0]), 200)
        yield self.assertFailure(
            self.resolver.lookupMailExchange("missing.example"), DNSNameError
        )
        yield self.assertFailure(
            self.resolver.lookupMailExchange("broken.example"), DNSServerError
        )

    @defer.inlineCallbacks
    def test_A07_secure(self) -> Any:
        """
        AD is kept, over UDP and over TCP, of answers and of denials; SERVFAIL is no
        denial.
        """
        for name, secure in (
            ("small.signed.example", True),
            ("large.signed.example", True),
            ("out.signed.example", False),
            ("small.example", False),
            ("large.example", False),
            ("missing.signed.example", True),
            ("missing.example", False),
            ("bogus.signed.example", False),
        ):
            for _ in range(2):
                d = self.resolver.lookupMailExchange(name)
                found = yield d.addErrback(lambda failure: failure.value)
                self.assertIs(isSecure(found), secure, name)
        found = yield lookupTLSA(self.resolver, "small.signed.example", 25)
        self.assertEqual(
            (found.records, found.isSecure), ((TLSA(3, 1, 1, b"x" * 32),), True)
        )
        found = yield lookupTLSA(self.resolver, "large.signed.example", 25)
        self.assertEqual((found.records, found.isSecure), ((), True))
        found = yield MXCalculator(self.resolver).getMXs("small.signed.example")
        self.assertTrue(found.isSecure)
        self.zones.validates = False
        found = yield makeResolver(self.server.address).lookupMailExchange(
            "small.signed.example"
        )
        self.assertFalse(isSecure(found))

    @defer.inlineCallbacks
    def test_A07_untrusted(self) -> Any:
        """
        AD counts from this machine, whichever of its addresses it is; else only where
        the network was named.
        """
        server = DNSServer(self.zones).start(interface="127.9.8.7")
        self.addCleanup(server.stop)
        ask = makeResolver(server.address).lookupMailExchange
        self.assertTrue(isSecure((yield ask("small.signed.example"))))
        # No address but those of this machine can be asked: take that away from it.
        self.patch(wire, "isTrusted", _isNamed)
        for trusted, secure in (((), False), (("127.9.8.0/24",), True)):
            ask = makeResolver(server.address, trusted=trusted).lookupMailExchange
            for name in ("small.signed.example", "large.signed.example"):
                self.assertIs(isSecure((yield ask(name))), secure)

    @defer.inlineCallbacks
    def test_D01_edns(self) -> Any:
        """
        Servers that do not like EDNS are asked without.
        """
        for manners in EDNS:
            server = DNSServer(self.zones, manners).start()
            self.addCleanup(server.stop)
            asking = wire.WireResolver(
                servers=[("127.0.0.1", server.port)], timeout=(1, 2)
            )
            for name in ("small.signed.example", "large.signed.example"):
                found = yield asking.lookupMailExchange(name)
                self.assertTrue(isSecure(found), manners)

    @defer.inlineCallbacks
    def test_oracle(self) -> Any:
        """
        What others ask is understood, and they understand what is answered.
        """
        asked = message.make_query(
            "small.signed.example", "MX", use_edns=0, payload=900
        )
        asked.flags |= flags.AD
        answer = yield deferToThread(query.udp, asked, "127.0.0.1", 5, self.server.port)
        self.assertTrue(answer.flags & flags.AD)
        self.assertEqual(answer.edns, 0)
        asked = message.make_query("_25._tcp.small.signed.example", "TLSA")
        answer = yield deferToThread(query.udp, asked, "127.0.0.1", 5, self.server.port)
        self.assertFalse(answer.flags & flags.AD)
        self.assertEqual(answer.edns, -1)
        self.assertEqual(str(answer.answer[0][0]), f"3 1 1 {b'x'.hex() * 32}")

    @defer.inlineCallbacks
    def test_overIPv6(self) -> Any:
        """
        A server may be reached by IPv6, however its address is written.
        """
        try:
            server = DNSServer(self.zones).start(interface="::1")
        except CannotListenError:
            raise SkipTest("this machine has no IPv6") from None
        self.addCleanup(server.stop)
        resolver = makeResolver(f"[0::1]:{server.port}")
        answers = yield resolver.lookupMailExchange("small.example")
        self.assertEqual(len(answers[0]), 1)

    @defer.inlineCallbacks
    def test_A07_wrongNumbers(self) -> Any:
        """
        An answer with another number is ignored; an answer to another
        question is no answer.
        """
        from twisted.internet import reactor

        liar = _Liar(["number", "truth"])
        port: Any = reactor.listenUDP(0, liar, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        resolver = makeResolver(f"127.0.0.1:{port.getHost().port}")
        answers = yield resolver.lookupAddress("a.example")
        self.assertEqual(answers[0][0].payload.dottedQuad(), "192.0.2.1")
        liar.tell = ["question"]
        yield self.assertFailure(resolver.lookupAddress("b.example"), DomainError)
