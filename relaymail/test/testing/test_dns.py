"""
Tests for L{relaymail.testing.dns}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IResolver
from twisted.internet.protocol import DatagramProtocol
from twisted.names import client, dns
from twisted.names.error import (
    DNSNameError,
    DNSNotImplementedError,
    DNSQueryRefusedError,
    DNSServerError,
)
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from relaymail.route.tlsa import TLSA, TYPE
from relaymail.route.wire import WireResolver
from relaymail.testing.dns import EDNS, DNSServer, Fault, Special, Wire, ZoneDNS
from relaymail.testing.network import Network


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


class _Ear(DatagramProtocol):
    """
    Gives away what it hears.
    """

    noisy = False

    def __init__(self, told: Callable[[bytes], None]) -> None:
        self._told = told

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self._told(datagram)


class Asker:
    """
    Asks a server on a network in memory, datagram by datagram.
    """

    def __init__(self, zones: ZoneDNS) -> None:
        self.network = Network(1)
        self.server = DNSServer(zones).start(
            self.network.machine("192.0.2.53"), "192.0.2.53", 53
        )
        self.machine = self.network.machine("192.0.2.1")
        self.packets: list[tuple[float, bytes]] = []
        self.began = self.network.seconds()
        self.port = self.machine.listenUDP(0, _Ear(self.heard))

    def heard(self, data: bytes) -> None:
        """
        Keep a datagram.
        """
        self.packets.append((self.network.seconds() - self.began, data))

    def ask(self, name: str, kind: int = dns.A, **flags: Any) -> list[dns.Message]:
        """
        Ask, and give the messages that come back within a minute.
        """
        withEDNS = flags.pop("edns", False)
        question = dns.Message(id=7, recDes=1, **flags)
        if withEDNS:
            nothing = dns.UnknownRecord()
            question.additional = [dns.RRHeader(b"", dns.OPT, 4096, 0, nothing)]
        question.addQuery(name, kind)
        self.packets.clear()
        self.began = self.network.seconds()
        self.port.write(question.toStr(), ("192.0.2.53", 53))
        self.network.run(60)
        messages = [dns.Message() for _ in self.packets]
        for message, (_, data) in zip(messages, self.packets, strict=True):
            message.fromStr(data)
        return messages

    def resolver(self) -> client.Resolver:
        """
        Give one that asks the server.
        """
        return client.Resolver(
            servers=[("192.0.2.53", 53)], reactor=self.machine, timeout=(2,)
        )


class WireTests(SynchronousTestCase):
    """
    What a L{DNSServer} says over the wire, on a network in memory.
    """

    def test_negative(self) -> None:
        """
        A name that does not exist is not one without such records.
        """
        asker = Asker(_zones())
        (missing,) = asker.ask("missing.example")
        (empty,) = asker.ask("example.org", dns.AAAA)
        self.assertEqual((missing.rCode, empty.rCode), (dns.ENAME, dns.OK))
        self.assertEqual(empty.answers, [])

    def test_ad(self) -> None:
        """
        AD is set for what is signed, aliases included, where it was asked for.
        """
        zones = _zones()
        zones.signed = {"example.org"}
        zones.zones["my.example.org"] = {"CNAME": ["six.example"]}
        zones.zones["six.example"] = Special({"AAAA": ["2001:db8::6"]})
        asker = Asker(zones)
        for name, isSigned in (
            ("mx.example.org", True),
            ("my.example.org", False),
            ("six.example", False),
        ):
            (asked,) = asker.ask(name, dns.AAAA, authenticData=1)
            (other,) = asker.ask(name, dns.AAAA)
            self.assertEqual(bool(asked.authenticData), isSigned, name)
            self.assertFalse(other.authenticData, name)
        zones.zones["six.example"] = Special({"AAAA": ["2001:db8::6"]}, isSigned=True)
        (asked,) = asker.ask("my.example.org", dns.AAAA, authenticData=1)
        self.assertTrue(asked.authenticData)

    def test_adOfNothing(self) -> None:
        """
        AD is set of answers that there is nothing, too; a server that does not validate
        never sets it.
        """
        zones = _zones()
        zones.signed = {"example.org"}
        zones.negative = 30
        asker = Asker(zones)
        for name, code, isSigned in (
            ("missing.example.org", dns.ENAME, True),
            ("missing.example", dns.ENAME, False),
            ("mx.example.org", dns.OK, True),
            ("", dns.OK, True),
            ("half.example", dns.OK, False),
        ):
            (found,) = asker.ask(name, dns.TXT, authenticData=1)
            self.assertEqual(found.rCode, code, name)
            self.assertEqual(bool(found.authenticData), isSigned, name)
            (soa,) = found.authority
            payload: Any = soa.payload
            self.assertEqual((soa.ttl, payload.minimum), (30, 30))
            self.assertFalse(asker.ask(name, dns.TXT)[0].authenticData)
        zones.validates = False
        (found,) = asker.ask("mx.example.org", authenticData=1)
        self.assertFalse(found.authenticData)

    def test_root(self) -> None:
        """
        The root zone is there, and signed.
        """
        asker = Asker(_zones())
        for kind in (dns.NS, dns.SOA):
            (found,) = asker.ask("", kind, authenticData=1)
            self.assertEqual([h.type for h in found.answers], [kind])
            self.assertTrue(found.authenticData)

    def test_tlsa(self) -> None:
        """
        TLSA records are told, however they were written.
        """
        zones = _zones()
        digits = "ab" * 32
        zones.zones["_25._tcp.a"] = {
            "TLSA": [(3, 1, 1, b"\xab" * 32), f"3 1 1 {digits}", TLSA(3, 1, 1, b"x")]
        }
        (found,) = Asker(zones).ask("_25._tcp.a", TYPE)
        data = [h.payload.data for h in found.answers]  # type: ignore[union-attr]
        long = b"\3\1\1" + b"\xab" * 32
        self.assertEqual(data, [long, long, b"\3\1\1x"])

    def test_D01_bogus(self) -> None:
        """
        What is bogus has no answer, unless nobody validates.
        """
        zones = _zones()
        zones.zones["x.example"] = Special({"A": ["192.0.2.7"]}, isBogus=True)
        asker = Asker(zones)
        self.assertEqual(asker.ask("x.example")[0].rCode, dns.ESERVER)
        zones.validates = False
        self.assertEqual(len(asker.ask("x.example")[0].answers), 1)

    def test_edns(self) -> None:
        """
        With EDNS an answer may be longer; servers may not like it.
        """
        zones = _zones()
        zones.zones["long.example"] = {"A": [f"192.0.2.{i}" for i in range(60)]}
        asker = Asker(zones)
        for manners, count, isTold, isCut in (
            (EDNS.ANSWERED, 60, True, 0),
            (EDNS.IGNORED, 0, False, 1),
            (EDNS.REFUSED, 0, False, 0),
        ):
            asker.server.edns = manners
            (found,) = asker.ask("long.example", edns=True)
            told = (len(found.answers), bool(found.additional), found.trunc)
            self.assertEqual(told, (count, isTold, isCut), manners)
            code = dns.EFORMAT if manners is EDNS.REFUSED else dns.OK
            self.assertEqual(found.rCode, code)
            (found,) = asker.ask("long.example")
            self.assertEqual((found.trunc, found.additional), (1, []))
        asker.server.edns = EDNS.DROPPED
        self.assertEqual(asker.ask("long.example", edns=True), [])
        self.assertEqual(len(asker.ask("long.example")), 1)

    def test_A07_truncated(self) -> None:
        """
        What is truncated over UDP comes over TCP, where that is not cut, too.
        """
        records = {"A": ["192.0.2.7"]}
        asker = Asker(
            ZoneDNS(
                {
                    "long.example": Special(records, wire=Wire.TRUNCATED),
                    "cut.example": Special(records, wire=Wire.CUT),
                }
            )
        )
        (message,) = asker.ask("long.example")
        self.assertEqual((message.trunc, message.answers), (1, []))
        answered = asker.resolver().lookupAddress("long.example")
        asker.network.run(10)
        self.assertEqual(len(self.successResultOf(answered)[0]), 1)
        cut = WireResolver(servers=[("192.0.2.53", 53)], reactor=asker.machine)
        answered = cut.lookupAddress("cut.example")
        asker.network.run(10)
        self.failureResultOf(answered)

    def test_A07_wrong(self) -> None:
        """
        Answers with another number, to another question, or that are none.
        """
        records = {"A": ["192.0.2.7"]}
        asker = Asker(
            ZoneDNS(
                {
                    f"{wire.name.lower()}.example": Special(records, wire=wire)
                    for wire in Wire
                }
            )
        )
        (message,) = asker.ask("wrong_id.example")
        self.assertNotEqual(message.id, 7)
        (message,) = asker.ask("wrong_name.example")
        self.assertEqual(str(message.queries[0].name), "another.invalid")
        self.assertRaises(EOFError, asker.ask, "malformed.example")

    def test_late(self) -> None:
        """
        An answer may come late, with a time to live of its own.
        """
        records = {"A": ["192.0.2.7"]}
        asker = Asker(ZoneDNS({"late.example": Special(records, ttl=3, late=20.0)}))
        (message,) = asker.ask("late.example")
        self.assertEqual([header.ttl for header in message.answers], [3])
        self.assertEqual([at for at, _ in asker.packets], [20.0])

    def test_again(self) -> None:
        """
        After its machine went down it starts again; a port that is taken is
        an error.
        """
        asker = Asker(_zones())
        machine = asker.network.machine("192.0.2.53")
        machine.kill()
        self.assertEqual(asker.ask("mx.example.org"), [])
        asker.server.start(machine, "192.0.2.53", 53)
        self.assertEqual(len(asker.ask("mx.example.org")), 1)
        other = DNSServer(_zones())
        self.assertRaises(CannotListenError, other.start, machine, "192.0.2.53", 53)
