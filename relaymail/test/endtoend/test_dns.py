# -*- test-case-name: relaymail.test.endtoend.test_dns -*-
"""
Name servers and the resolver over real sockets.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import defer
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import DatagramProtocol
from twisted.names import client, dns
from twisted.names.error import (
    DNSNameError,
    DNSQueryRefusedError,
    DNSServerError,
    DomainError,
)
from twisted.trial.unittest import SkipTest, TestCase

from relaymail.route.resolver import makeResolver
from relaymail.testing.dns import DNSServer, Fault, ZoneDNS


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
            }
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
