"""
Tests for L{relaymail.route.wire}: in memory, and on a network in memory.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import defer
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.testing import MemoryReactorClock
from twisted.names import dns
from twisted.names.error import (
    DNSFormatError,
    DNSNameError,
    DNSServerError,
    DNSUnknownError,
    ResolverError,
)
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from relaymail.route.edns import PAYLOAD
from relaymail.route.security import isSecure, ttlOf
from relaymail.route.wire import MAX_QUESTIONS, PATIENCE, WireResolver
from relaymail.testing.dns import EDNS, DNSServer, Fault, Special, Wire, ZoneDNS
from relaymail.testing.network import Network


class WireTests(SynchronousTestCase):
    """
    L{WireResolver} in memory.
    """

    def setUp(self) -> None:
        self.reactor = _Reactor()
        self.wire = WireResolver(servers=[("192.0.2.53", 53)], reactor=self.reactor)

    def test_D01_silence(self) -> None:
        """
        A server that does not answer is asked some times, then given up, and
        every port is closed.
        """
        d = self.wire.lookupMailExchange("a.example")
        for wait in PATIENCE:
            self.assertNoResult(d)
            self.reactor.advance(wait)
        self.failureResultOf(d, defer.TimeoutError)
        self.assertEqual(len(self.reactor.bound), len(PATIENCE))
        self.assertTrue(all(port.closed for port in self.reactor.bound))

    def test_A07_ofAnother(self) -> None:
        """
        An answer that somebody else sends is none, though it has the right number.
        """
        for server, right in (
            ("192.0.2.53", "192.0.2.53"),
            ("2001:db8::53", "2001:DB8:0::53"),
            ("fe80::53%lo", "fe80::53"),
            ("0.0.0.0", "127.0.0.1"),
        ):
            self.wire = WireResolver(servers=[(server, 53)], reactor=self.reactor)
            d = self.wire.lookupMailExchange("a.example")
            port = self.reactor.bound[-1]
            asked = dns.Message()
            asked.fromStr(port.sent[-1])
            told = dns.Message(asked.id, answer=1, rCode=dns.ENAME)
            told.queries = asked.queries
            for address in (("198.51.100.6", 53), ("2001:db8::6", 53), (right, 54)):
                port.protocol.datagramReceived(told.toStr(), address)
                self.assertNoResult(d)
            # What Twisted itself compares is the text.
            validated = getattr(port.protocol, "_addressValidation", {})
            validated.update(dict.fromkeys(validated, (right, 53)))
            port.protocol.datagramReceived(told.toStr(), (right, 53))
            self.failureResultOf(d, DNSNameError)

    def test_bound(self) -> None:
        """
        Only so many questions are asked at a time; the others wait.
        """
        asked = [
            self.wire.lookupMailExchange(f"n{i}") for i in range(MAX_QUESTIONS + 5)
        ]
        self.assertEqual(len(self.reactor.bound), MAX_QUESTIONS)
        for d in asked:
            d.addErrback(lambda failure: None)

    def test_tcpFails(self) -> None:
        """
        A connection that is refused, closed or silent ends the question.
        """
        refused = self.wire.queryTCP([dns.Query("a.example", dns.MX)])
        factory: Any = self.reactor.tcpClients[-1][2]
        factory.clientConnectionFailed(None, Failure(ConnectionLost()))
        self.failureResultOf(refused, ConnectionLost)

        closed = self.wire.queryTCP([dns.Query("a.example", dns.MX)])
        factory = self.reactor.tcpClients[-1][2]
        factory.connectionLost(None)
        self.failureResultOf(closed, ConnectionLost)

    def test_truncatedTwice(self) -> None:
        """
        What is truncated over TCP, too, is no answer.
        """
        message = dns.Message(trunc=1, answer=1)
        self.assertIsInstance(self.wire._parts(message, False).value, ResolverError)


class _Port:
    """
    A UDP port that sends nowhere.
    """

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.closed = False
        self.sent: list[bytes] = []

    def write(self, data: bytes, address: Any) -> None:
        """
        Send nothing.
        """
        self.sent.append(data)

    def stopListening(self) -> None:
        """
        Close.
        """
        self.closed = True


class _Reactor(MemoryReactorClock):
    """
    A reactor whose UDP ports send nowhere.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bound: list[_Port] = []

    def listenUDP(
        self, port: int, protocol: Any, interface: str = "", maxPacketSize: int = 8192
    ) -> Any:
        """
        Bind nothing.
        """
        found = _Port(protocol)
        self.bound.append(found)
        protocol.startProtocol()
        protocol.transport = found
        return found


RECORDS: dict[str, Any] = {"A": ["192.0.2.1"], "MX": [(0, "mx.signed.example")]}

ZONES: dict[str, Any] = {
    "a.signed.example": RECORDS,
    "a.plain.example": RECORDS,
    "out.signed.example": {"CNAME": ["a.plain.example"]},
    "long.signed.example": {"A": [f"192.0.2.{i}" for i in range(60)]},
    "long.plain.example": {"A": [f"192.0.2.{i}" for i in range(60)]},
    "longest.signed.example": {"A": [f"192.0.2.{i}" for i in range(200)]},
    "cut.signed.example": Special(RECORDS, wire=Wire.TRUNCATED),
    "twice.signed.example": Special(RECORDS, wire=Wire.CUT),
    "number.signed.example": Special(RECORDS, wire=Wire.WRONG_ID),
    "other.signed.example": Special(RECORDS, wire=Wire.WRONG_NAME),
    "torn.signed.example": Special(RECORDS, wire=Wire.MALFORMED),
    "late.signed.example": Special(RECORDS, late=1.5),
    "verylate.signed.example": Special(RECORDS, late=60),
    "bogus.signed.example": Special(RECORDS, isBogus=True),
    "half.signed.example": {"A": ["192.0.2.1"], "MX": Fault.SERVFAIL},
    "refused.signed.example": Fault.REFUSED,
    "_25._tcp.a.signed.example": {"TLSA": [(3, 1, 1, b"x" * 32)]},
}

#: Where the servers are.
OWN, FOREIGN = "127.0.0.1", "192.0.2.53"


class _Asking(SynchronousTestCase):
    """
    Asks a server on a network in memory.
    """

    def setUp(self) -> None:
        self.network = Network(1)
        self.machine = self.network.machine("192.0.2.1")
        self.zones = ZoneDNS(ZONES, ttl=300, signed=["signed.example"], negative=30)
        self.serve(FOREIGN)
        self.wire = self.resolver(trusted=[FOREIGN])

    def serve(self, address: str) -> None:
        """
        Serve the zones at an address.
        """
        machine = self.network.machine(address)
        self.server = DNSServer(self.zones).start(machine, address, 53)

    def resolver(self, *addresses: str, trusted: Any = ()) -> WireResolver:
        """
        Make a resolver that asks there.
        """
        servers = [(address, 53) for address in addresses or [FOREIGN]]
        return WireResolver(servers=servers, reactor=self.machine, trusted=trusted)

    def run_(self, d: Any, seconds: float = 60) -> Any:
        """
        Give what a lookup gives, or the error that it fails with.
        """
        d.addErrback(lambda failure: failure.value)
        self.network.run(seconds)
        return self.successResultOf(d)

    def mx(self, name: str) -> Any:
        """
        Ask for MX records.
        """
        return self.run_(self.wire.lookupMailExchange(name))

    def addresses(self, name: str) -> Any:
        """
        Ask for addresses.
        """
        return self.run_(self.wire.lookupAddress(name))


class SecurityTests(_Asking):
    """
    AD is asked for, and kept where it is believed.
    """

    def test_A07_secure(self) -> None:
        """
        AD of an answer is kept, of one that says that there is nothing too; a failure
        has none.
        """
        for name, kind, secure in (
            ("a.signed.example", None, True),
            ("A.Signed.EXAMPLE", None, True),
            ("a.plain.example", None, False),
            ("out.signed.example", None, False),
            ("missing.signed.example", DNSNameError, True),
            ("missing.plain.example", DNSNameError, False),
            ("bogus.signed.example", DNSServerError, False),
            ("half.signed.example", DNSServerError, False),
        ):
            found = self.mx(name)
            self.assertIs(isSecure(found), secure, name)
            if kind is not None:
                self.assertIsInstance(found, kind)
        nothing = self.run_(self.wire.lookupText("a.signed.example"))
        self.assertEqual(list(nothing[0]), [])
        self.assertTrue(isSecure(nothing))
        found = self.run_(self.wire.lookupTLSA("_25._tcp.a.signed.example"))
        self.assertTrue(isSecure(found))
        self.assertEqual(found[0][0].payload.data, b"\x03\x01\x01" + b"x" * 32)

    def test_D01_negativeTime(self) -> None:
        """
        An error says how long it holds.
        """
        self.assertEqual(ttlOf(self.mx("missing.signed.example")), 30)
        self.zones.negative = None
        self.assertIsNone(ttlOf(self.mx("missing.signed.example")))

    def test_A07_untrusted(self) -> None:
        """
        The AD of a server that nobody named is worth nothing; that of this machine is.
        """
        self.wire = self.resolver()
        self.assertFalse(isSecure(self.mx("a.signed.example")))
        self.assertFalse(isSecure(self.mx("missing.signed.example")))
        self.wire = self.resolver(trusted=["192.0.2.0/24"])
        self.assertTrue(isSecure(self.mx("a.signed.example")))
        self.assertTrue(self.resolver().trusts((OWN, 53)))

    def test_notSet(self) -> None:
        """
        A server that does not validate says nothing of the kind.
        """
        self.zones.validates = False
        self.assertFalse(isSecure(self.mx("a.signed.example")))
        self.assertEqual(len(self.mx("bogus.signed.example")[0]), 1)

    def test_perServer(self) -> None:
        """
        It counts which server answered, not which is asked first.
        """
        self.serve("192.0.2.54")
        self.wire = self.resolver(FOREIGN, "192.0.2.54", trusted=[FOREIGN])
        self.assertTrue(isSecure(self.mx("a.signed.example")))
        self.network.machine(FOREIGN).kill()
        self.assertFalse(isSecure(self.mx("a.signed.example")))

    def test_A07_believedOnly(self) -> None:
        """
        Who silences the server that is believed does not bring it about that another
        one's answers, which anybody may have made, stand for what is signed.
        """
        other = ZoneDNS({"a.signed.example": {"MX": [(0, "mx.evil.example")]}})
        DNSServer(other).start(self.network.machine("192.0.2.54"), "192.0.2.54", 53)
        self.wire = self.resolver("192.0.2.54", FOREIGN, trusted=[FOREIGN])
        self.wire.believedOnly = True
        self.assertTrue(isSecure(self.mx("a.signed.example")))
        self.network.machine(FOREIGN).kill()
        self.assertIsInstance(self.mx("a.signed.example"), defer.TimeoutError)
        self.assertEqual(other.asked, [])
        # Where nobody is believed that is no reason to ask nobody.
        self.wire = self.resolver("192.0.2.54")
        self.wire.believedOnly = True
        self.assertFalse(isSecure(self.mx("a.signed.example")))

    def test_A07_truncated(self) -> None:
        """
        What comes over TCP has an AD of its own, of the same server.
        """
        for name, secure, count in (
            ("longest.signed.example", True, 200),
            ("cut.signed.example", True, 1),
        ):
            found = self.addresses(name)
            self.assertEqual(len(found[0]), count)
            self.assertIs(isSecure(found), secure, name)
        self.wire = self.resolver()
        self.assertFalse(isSecure(self.addresses("cut.signed.example")))

    def test_A07_truncatedThere(self) -> None:
        """
        The server whose answer was cut is asked again, not another one.
        """
        other = ZoneDNS({"cut.signed.example": {"A": ["192.0.2.66"]}})
        DNSServer(other).start(self.network.machine("192.0.2.54"), "192.0.2.54", 53)
        self.wire = self.resolver(FOREIGN, "192.0.2.54", trusted=[FOREIGN])
        for _ in range(3):
            found = self.addresses("cut.signed.example")
            self.assertEqual(found[0][0].payload.dottedQuad(), "192.0.2.1")
            self.assertTrue(isSecure(found))
        self.assertEqual(other.asked, [])

    def test_A07_wrong(self) -> None:
        """
        Answers that are none are none.
        """
        for name, kind in (
            ("twice.signed.example", ResolverError),
            ("number.signed.example", defer.TimeoutError),
            ("other.signed.example", ResolverError),
            ("torn.signed.example", defer.TimeoutError),
            ("verylate.signed.example", defer.TimeoutError),
        ):
            self.assertIsInstance(self.addresses(name), kind, name)
        self.assertTrue(isSecure(self.addresses("late.signed.example")))

    def test_A07_oddCodes(self) -> None:
        """
        Codes that nobody knows are failures.
        """
        message = dns.Message(answer=1, rCode=11, authenticData=1)
        error = self.wire._parts(message, True).value
        self.assertIsInstance(error, DNSUnknownError)
        self.assertFalse(isSecure(error))


class EDNSTests(_Asking):
    """
    Questions have EDNS, except to those who do not like it.
    """

    def test_question(self) -> None:
        """
        A question has AD, and EDNS with a size that goes through every network.
        """
        ear = _Ear()
        self.network.machine("192.0.2.55").listenUDP(53, ear)
        self.run_(self.resolver("192.0.2.55").lookupAddress("a.example"))
        question = ear.heard[0]
        self.assertEqual((question.recDes, question.authenticData), (1, 1))
        (opt,) = question.additional
        self.assertEqual((opt.type, opt.cls, opt.ttl), (dns.OPT, PAYLOAD, 0))

    def test_longer(self) -> None:
        """
        So an answer of ordinary length needs no connection.
        """
        cut: list[Any] = []
        self.patch(self.wire, "queryTCP", lambda *a, **kw: cut.append(a))
        found = self.addresses("long.signed.example")
        self.assertEqual((len(found[0]), isSecure(found)), (60, True))
        self.assertEqual(cut, [])

    def test_D01_disliked(self) -> None:
        """
        Who does not understand the question is asked without, and from then on; what
        is secure stays that.
        """
        for manners, later in (
            (EDNS.REFUSED, 0.0),
            (EDNS.DROPPED, PATIENCE[0]),
            (EDNS.IGNORED, 0.0),
        ):
            self.server.edns = manners
            self.wire = self.resolver(trusted=[FOREIGN])
            for name, secure in (
                ("a.signed.example", True),
                ("long.signed.example", True),
                ("long.plain.example", False),
            ):
                d = self.wire.lookupAddress(name)
                self.network.run(later + 1)
                found = self.successResultOf(d)
                self.assertIs(isSecure(found), secure, (manners, name))
                # It is known by now.
                later = 0.0

    def test_D01_bounded(self) -> None:
        """
        A server that understands no question at all is asked two times, not for ever.
        """
        self.server.edns = EDNS.REFUSED
        asked = self.wire._datagram
        count: list[bool] = []

        def counted(*args: Any) -> Any:
            count.append(args[-1])
            return asked(args[0], args[1], args[2], True)

        self.patch(self.wire, "_datagram", counted)
        for _ in range(2):
            self.assertIsInstance(self.mx("a.signed.example"), DNSFormatError)
        self.assertEqual(count, [True, False] * 2)

    def test_D01_lost(self) -> None:
        """
        A server that is known to like it is asked with it, too, where an answer was
        lost.
        """
        self.mx("a.signed.example")
        self.network.machine(FOREIGN).kill()
        d = self.wire.lookupAddress("long.signed.example")
        self.network.run(1)
        self.serve(FOREIGN)
        self.patch(self.wire, "queryTCP", None)
        self.assertEqual(len(self.run_(d)[0]), 60)

    def test_D01_replaced(self) -> None:
        """
        What a server liked is forgotten once it says nothing: another one may be in its
        place, behind something that throws EDNS away.
        """
        self.mx("a.signed.example")
        self.server.edns = EDNS.DROPPED
        self.assertIsInstance(self.mx("a.signed.example"), defer.TimeoutError)
        self.assertTrue(isSecure(self.mx("a.signed.example")))

    def test_version(self) -> None:
        """
        The part of the code that is in EDNS counts: BADVERS has 0 in the other one.
        """
        opt = dns.RRHeader(b"", dns.OPT, PAYLOAD, 1 << 24, dns.UnknownRecord())
        message = dns.Message(answer=1, authenticData=1)
        message.additional = [opt]
        error = self.wire._parts(message, True).value
        self.assertIn("code 16", str(error))

    def test_codes(self) -> None:
        """
        What a code means is told with it.
        """
        for code, words in ((dns.ESERVER, "SERVFAIL: it failed, or"), (7, "code 7")):
            message = dns.Message(answer=1, rCode=code)
            self.assertIn(words, str(self.wire._parts(message, True).value))


class _Ear(DatagramProtocol):
    """
    Keeps what it hears.
    """

    noisy = False

    def __init__(self) -> None:
        self.heard: list[dns.Message] = []

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        message = dns.Message()
        message.fromStr(datagram)
        self.heard.append(message)
