"""
Tests for L{relaymail.route.resolver}.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.names import dns
from twisted.names.error import (
    AuthoritativeDomainError,
    DNSNameError,
    DNSServerError,
    DomainError,
)
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import ConfigurationError
from relaymail.route import resolver as module
from relaymail.route.resolver import (
    FAILURE_TTL,
    CachingResolver,
    makeResolver,
    parseServer,
)
from relaymail.route.security import (
    MAX_NEGATIVE_TTL,
    MAX_TTL,
    NEGATIVE_TTL,
    isSecure,
    ttlOf,
)
from relaymail.route.wire import WireResolver
from relaymail.testing.dns import Fault, ZoneDNS


class CachingTests(SynchronousTestCase):
    """
    L{CachingResolver} remembers, within bounds.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.zones = ZoneDNS(
            {
                "a.example": {"MX": [(0, "mx.example")], "A": ["192.0.2.1"]},
                "b.example": {"MX": [(0, "mx.example")]},
                "broken.example": Fault.SERVFAIL,
                "silent.example": Fault.SILENCE,
            },
            ttl=300,
        )
        self.resolver = CachingResolver(self.zones, self.clock)

    def ask(self, name: str) -> Deferred[Any]:
        """
        Ask for MX records.
        """
        d: Deferred[Any] = self.resolver.lookupMailExchange(name)
        return d

    def asked(self) -> int:
        """
        Give the number of questions that reached the zones.
        """
        return len(self.zones.asked)

    def test_remembered(self) -> None:
        """
        An answer is remembered for its time to live, whatever the case of the
        name; another type or name is another question.
        """
        first = self.successResultOf(self.ask("a.example"))
        self.clock.advance(299)
        again = self.successResultOf(self.ask("A.Example."))
        self.assertEqual(again[0], list(first[0]))
        self.assertEqual(self.asked(), 1)
        self.successResultOf(self.resolver.lookupAddress("a.example"))
        self.assertEqual(self.asked(), 2)
        self.clock.advance(1)
        self.successResultOf(self.ask("a.example"))
        self.assertEqual(self.asked(), 3)

    def test_answersAreTheCallers(self) -> None:
        """
        Who takes a remembered answer apart does so for himself only.
        """
        self.successResultOf(self.ask("a.example"))[0].clear()
        self.assertEqual(len(self.successResultOf(self.ask("a.example"))[0]), 1)

    def test_A07_ttl(self) -> None:
        """
        A time to live of 0, or with its highest bit set, is none (RFC 2181
        8); a long one is a day.
        """
        for ttl, kept in ((0, 0), (2**31, 0), (2**32 - 1, 0), (2**31 - 1, MAX_TTL)):
            self.resolver = CachingResolver(self.zones, self.clock)
            self.zones.ttl = ttl
            before = self.asked()
            self.successResultOf(self.ask("a.example"))
            self.clock.advance(max(kept - 1, 0))
            self.successResultOf(self.ask("a.example"))
            self.assertEqual(self.asked() - before, 1 if kept else 2, ttl)
            self.clock.advance(1)
            self.successResultOf(self.ask("a.example"))
            self.assertEqual(self.asked() - before, 2 if kept else 3, ttl)

    def test_D01_nothingIsRemembered(self) -> None:
        """
        That there is no such name, or nothing by it, is remembered for a
        short time.
        """
        del self.zones.zones["b.example"]
        self.failureResultOf(self.ask("b.example"), DNSNameError)
        self.zones.zones["b.example"] = {"A": ["192.0.2.1"]}
        self.clock.advance(NEGATIVE_TTL - 1)
        self.failureResultOf(self.ask("b.example"), DNSNameError)
        self.clock.advance(1)
        self.assertEqual(self.successResultOf(self.ask("b.example"))[0], [])
        self.zones.zones["b.example"] = {"MX": [(0, "mx.example")]}
        self.assertEqual(self.successResultOf(self.ask("b.example"))[0], [])
        self.clock.advance(NEGATIVE_TTL)
        self.assertEqual(len(self.successResultOf(self.ask("b.example"))[0]), 1)

    def test_D01_negativeTime(self) -> None:
        """
        How long that is remembered is said by the answer, within bounds; also where
        there is but an alias that leads nowhere.
        """
        self.zones.zones["alias.example"] = {"CNAME": ["a.example"]}
        for negative, kept in ((10, 10), (0, 0), (MAX_TTL, MAX_NEGATIVE_TTL)):
            self.resolver = CachingResolver(self.zones, self.clock)
            self.zones.negative = negative
            for ask in (
                lambda: self.resolver.lookupAddress("missing.example").addErrback(_ttl),
                lambda: self.resolver.lookupIPV6Address("a.example").addCallback(_ttl),
                lambda: self.resolver.lookupText("alias.example").addCallback(_ttl),
            ):
                before = self.asked()
                self.assertEqual(self.successResultOf(ask()), kept)
                self.clock.advance(max(kept - 1, 0))
                self.assertEqual(self.successResultOf(ask()), 1 if kept else 0)
                self.assertEqual(self.asked() - before, 1 if kept else 2)
                self.clock.advance(1)
                self.successResultOf(ask())
                self.assertEqual(self.asked() - before, 2 if kept else 3)

    def test_A07_secure(self) -> None:
        """
        Whether an answer is secure is remembered with it, of errors too; and what is
        left of its time is told.
        """
        self.zones.signed = {"a.example", "gone.a.example"}
        self.zones.negative = 30
        for name, secure, ttl in (
            ("a.example", True, 300),
            ("b.example", False, 300),
            ("gone.a.example", True, 30),
            ("missing.example", False, 30),
            ("broken.example", False, FAILURE_TTL),
        ):
            for passed in (0, 1.5, 1):
                self.clock.advance(passed)
                found = self.successResultOf(self.ask(name).addErrback(_value))
                self.assertIs(isSecure(found), secure, name)
                left = ttl - {0: 0, 1.5: 2, 1: 3}[passed]
                self.assertEqual(ttlOf(found), left, name)
        self.assertEqual(self.asked(), 5)

    def test_lookupTLSA(self) -> None:
        """
        TLSA records are remembered like all others.
        """
        self.zones.zones["_25._tcp.a.example"] = {"TLSA": ["3 1 1 abcd"]}
        for _ in range(2):
            found = self.successResultOf(self.resolver.lookupTLSA("_25._tcp.a.example"))
            self.assertEqual(found[0][0].payload.data, b"\x03\x01\x01\xab\xcd")
        self.assertEqual(self.zones.asked, [("_25._tcp.a.example", "TLSA")])

    def test_D01_othersSayNothing(self) -> None:
        """
        However another resolver says that there is nothing, it stays that.
        """

        class Other:
            def query(self, query: dns.Query, timeout: Any) -> Any:
                raise AuthoritativeDomainError(query.name)

        self.resolver = CachingResolver(Other(), self.clock)
        failure = self.failureResultOf(self.ask("a.example"), DNSNameError)
        self.assertFalse(isSecure(failure.value))

    def test_D01_failureIsRemembered(self) -> None:
        """
        That a server failed is remembered for a burst, not longer.
        """
        for _ in range(10):
            self.failureResultOf(self.ask("broken.example"), DNSServerError)
        self.assertEqual(self.asked(), 1)
        self.clock.advance(FAILURE_TTL)
        self.failureResultOf(self.ask("broken.example"), DNSServerError)
        self.assertEqual(self.asked(), 2)

    def test_coalesced(self) -> None:
        """
        A question that is being asked is not asked again; each who asked gets
        the answer, and who goes away takes it from nobody.
        """
        slow: Deferred[Any] = Deferred()
        asked = []

        class Slow:
            def query(self, query: dns.Query, timeout: Any) -> Deferred[Any]:
                asked.append(query)
                return slow

        self.resolver = CachingResolver(Slow(), self.clock)
        waiting = [self.ask("a.example") for _ in range(5)]
        waiting[0].cancel()
        self.failureResultOf(waiting[0], defer.CancelledError)
        answer = [
            dns.RRHeader("a.example", dns.MX, ttl=0, payload=dns.Record_MX(0, "x"))
        ]
        slow.callback((answer, [], []))
        for d in waiting[1:]:
            self.assertEqual(self.successResultOf(d), (answer, [], []))
        self.assertEqual(len(asked), 1)
        self.assertEqual(self.resolver._asked, {})

    def test_anyFailure(self) -> None:
        """
        Whatever goes wrong upstream ends the question for all who wait.
        """

        class Wrong:
            def query(self, query: dns.Query, timeout: Any) -> Any:
                return ([object()], [], [])

        self.resolver = CachingResolver(Wrong(), self.clock)
        self.failureResultOf(self.ask("a.example"), DomainError)
        self.assertEqual(self.resolver._asked, {})

    def test_A07_bounds(self) -> None:
        """
        Only so many answers and records are remembered, the newest of them.
        """
        self.patch(module, "MAX_ANSWERS", 3)
        for i in range(10):
            self.zones.zones[f"n{i}"] = {"MX": [(0, "mx")] * i}
            self.successResultOf(self.ask(f"n{i}"))
        names = [name for name, _, _ in self.resolver._answers]
        self.assertEqual(names, [b"n7", b"n8", b"n9"])
        self.assertEqual(self.resolver._records, 24)
        self.patch(module, "MAX_RECORDS", 20)
        self.clock.advance(300)
        self.successResultOf(self.ask("n9"))
        self.assertLessEqual(self.resolver._records, 20)

    def test_A07_longRecords(self) -> None:
        """
        Records that are long, as their owners like, count for more.
        """
        long = dns.Message(maxSize=0)
        record = dns.Record_TXT(*[b"x" * 250] * 200, ttl=300)
        long.answers = [dns.RRHeader(b"a.example", dns.TXT, ttl=300, payload=record)]
        upstream = SimpleNamespace()
        self.resolver = CachingResolver(upstream, self.clock)
        for i in range(1000):
            # As it is read from the wire.
            told = dns.Message()
            told.fromStr(long.toStr())
            upstream.query = lambda *args, told=told: defer.succeed(
                (told.answers, [], [])
            )
            self.successResultOf(self.resolver.lookupText(f"n{i}.example"))
        kept = len(self.resolver._answers)
        self.assertLess(kept * 50_000, 25_000_000)
        self.assertGreater(kept, 300)

    def test_getHostByName(self) -> None:
        """
        An address is found by asking for addresses, not for everything (RFC
        8482).
        """
        self.assertEqual(
            self.successResultOf(self.resolver.getHostByName("a.example")), "192.0.2.1"
        )
        self.assertEqual({kind for _, kind in self.zones.asked}, {"A", "AAAA"})
        self.failureResultOf(self.resolver.getHostByName("b.example"), DNSNameError)
        failure = self.failureResultOf(self.resolver.getHostByName("broken.example"))
        self.assertNotIsInstance(failure.value, DNSNameError)


def _value(failure: Any) -> Any:
    return failure.value


def _ttl(found: Any) -> int | None:
    return ttlOf(getattr(found, "value", found))


class ParseServerTests(SynchronousTestCase):
    """
    L{parseServer} reads what C{--dns} is given.
    """

    def test_servers(self) -> None:
        """
        An address with or without a port.
        """
        for text, server in (
            ("127.0.0.1:5353", ("127.0.0.1", 5353)),
            ("127.0.0.1", ("127.0.0.1", 53)),
            ("[::1]:5353", ("::1", 5353)),
            ("[0:0::1]", ("::1", 53)),
            ("2001:db8::53", ("2001:db8::53", 53)),
        ):
            self.assertEqual(parseServer(text), server)

    def test_refused(self) -> None:
        """
        All else is one clear sentence.
        """
        for text in (
            "",
            "dns.example:53",
            "127.0.0.1:0",
            "127.0.0.1:65536",
            "127.0.0.1:x",
            "127.0.0.1:",
            "[::1",
            "[::1]x",
            "127.0.0.1:+5",
        ):
            error = self.assertRaises(ConfigurationError, parseServer, text)
            self.assertIn(repr(text), str(error))


class SystemServersTests(SynchronousTestCase):
    """
    L{WireResolver} knows the system's servers.
    """

    def test_lines(self) -> None:
        """
        The servers are those of the file; without any it is this machine.
        """
        wire = WireResolver(servers=[("192.0.2.53", 53)], reactor=MemoryReactorClock())
        wire.parseConfig([b"search x\n", b"nameserver 192.0.2.1 \n", b"nameserver\n"])
        self.assertEqual(wire.dynServers, [("192.0.2.1", 53)])
        wire.parseConfig([])
        self.assertEqual(wire.dynServers, [("127.0.0.1", 53)])

    def test_noTimer(self) -> None:
        """
        Nothing is scheduled while nobody asks; the file is looked at again
        when somebody does, after a while.
        """
        path = self.mktemp()
        reactor = MemoryReactorClock()
        wire = WireResolver(resolv=path, reactor=reactor)
        self.assertEqual(wire.dynServers, [("127.0.0.1", 53)])
        self.assertEqual(reactor.getDelayedCalls(), [])
        with open(path, "w") as f:
            f.write("nameserver 192.0.2.7\n")
        wire.maybeParseConfig()
        self.assertEqual(wire.dynServers, [("127.0.0.1", 53)])
        reactor.advance(60)
        wire.maybeParseConfig()
        self.assertEqual(wire.dynServers, [("192.0.2.7", 53)])

    def test_default(self) -> None:
        """
        Without a server named, the system's are asked.
        """
        found = makeResolver(reactor=MemoryReactorClock())
        self.assertIsInstance(found.upstream.resolvers[-1], WireResolver)
