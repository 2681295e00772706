# -*- test-case-name: relaymail.test.testing.test_dns -*-
"""
A DNS for tests: zones in memory, asked directly or over a network.

    >>> zones = ZoneDNS({
    ...     "example.org": {"MX": [(10, "mx.example.org")]},
    ...     "mx.example.org": {"A": ["192.0.2.25"], "AAAA": ["2001:db8::25"]},
    ...     "www.example.org": {"CNAME": ["example.org"]},
    ...     "nomail.example": {"MX": [(0, "")]},
    ...     "broken.example": Fault.SERVFAIL,
    ...     "slow.example": {"MX": Fault.SILENCE, "A": ["192.0.2.1"]},
    ...     "odd.example": Special({"A": ["192.0.2.1"]}, ttl=0, wire=Wire.TRUNCATED),
    ... }, signed=["example.org"])

L{ZoneDNS} is what C{MXCalculator(resolver)} takes; L{DNSServer} is what
C{--dns IP:PORT} takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address
from typing import Any, TypeAlias

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.names import common, dns, server
from twisted.names.error import (
    DNSNameError,
    DNSNotImplementedError,
    DNSQueryRefusedError,
    DNSServerError,
)
from twisted.python.failure import Failure

#: The most aliases that are followed for one answer.
MAX_ALIASES = 16
#: How many ports are tried until one is free for both UDP and TCP.
MAX_PORTS = 20
#: The longest answer over UDP, in bytes (RFC 1035 4.2.1).
MAX_DATAGRAM = 512


class Fault(Enum):
    """
    What a name server does instead of answering.
    """

    SERVFAIL = dns.ESERVER
    REFUSED = dns.EREFUSED
    NOT_IMPLEMENTED = dns.ENOTIMP
    NXDOMAIN = dns.ENAME
    SILENCE = -1


class Wire(Enum):
    """
    What is wrong with the message that carries an answer.
    """

    TRUNCATED = "cut short over UDP (RFC 2181 9), whole over TCP"
    CUT = "cut short over UDP and over TCP"
    WRONG_ID = "the number of another question"
    WRONG_NAME = "the answer to a question for another name"
    MALFORMED = "bytes that are no message"


#: The records of a name by type, or faults.
Records: TypeAlias = "Mapping[str, Sequence[Any] | Fault] | Fault"


@dataclass(frozen=True, slots=True)
class Special:
    """
    What a zone says about one name, and how.

    @ivar records: What it says.
    @ivar ttl: The time to live, in seconds; L{None} for that of all others.
    @ivar isSigned: Whether it is vouched for by DNSSEC, like those below what
        L{ZoneDNS.signed} names: the answer has AD set where that was asked for
        (RFC 6840 5.8).
    @ivar wire: What is wrong with the message, if a L{DNSServer} gives it.
    @ivar late: How long a L{DNSServer} waits before it answers, in seconds.
    """

    records: Records
    ttl: int | None = None
    isSigned: bool = False
    wire: Wire | None = None
    late: float = 0.0


#: What a zone says about one name.
Entry: TypeAlias = "Records | Special"

#: Bytes that are shorter than the header of a message (RFC 1035 4.1.1).
MALFORMED = b"\xff\xff\x80"
#: The name that an answer is for which is for another name.
OTHER_NAME = "another.invalid"
#: The bit of an OPT record's flags by which DNSSEC is asked for (RFC 3225 3).
_DNSSEC_OK = 0x8000

_ERRORS: dict[int, type[Exception]] = {
    dns.ESERVER: DNSServerError,
    dns.EREFUSED: DNSQueryRefusedError,
    dns.ENOTIMP: DNSNotImplementedError,
    dns.ENAME: DNSNameError,
}

_MAKERS: dict[str, tuple[int, Callable[[Any], Any]]] = {
    "A": (dns.A, lambda value: dns.Record_A(value)),
    "AAAA": (dns.AAAA, lambda value: dns.Record_AAAA(value)),
    "CNAME": (dns.CNAME, lambda value: dns.Record_CNAME(value)),
    "MX": (dns.MX, lambda value: dns.Record_MX(*value)),
    "TXT": (dns.TXT, lambda value: dns.Record_TXT(value)),
}


class ZoneDNS(common.ResolverBase):
    """
    An L{IResolver <twisted.internet.interfaces.IResolver>} over zones in
    memory.  Aliases are followed as a recursive server does.

    @ivar zones: What is known about each name, lower case and without a
        trailing dot: lists of values by the type's name (C{"A"}, C{"AAAA"},
        C{"CNAME"}, C{"TXT"}: text or bytes, C{"MX"}: pairs of preference and
        name, the empty name for a null MX), or a L{Fault}, for one type or
        for all. A name that is missing does not exist (NXDOMAIN). May be
        changed at any time.
    @ivar ttl: The time to live of every record, in seconds.
    @ivar asked: The questions so far: pairs of name and type's name.
    """

    def __init__(
        self,
        zones: Mapping[str, Entry] | None = None,
        ttl: int = 60,
        signed: Iterable[str] = (),
    ) -> None:
        super().__init__()
        self.zones: dict[str, Entry] = dict(zones or {})
        self.ttl = ttl
        self.signed = set(signed)
        self.asked: list[tuple[str, str]] = []

    def getHostByName(
        self, name: bytes | str, timeout: Sequence[int] | None = None, effort: int = 10
    ) -> Deferred[str]:
        """
        Give the first address of a name, IPv4 before IPv6.

        @param name: The name.
        @param timeout: Not used.
        @param effort: Not used.
        """
        d: Deferred[Any] = self.lookupAddress(name)
        d.addCallback(lambda a: a if _addresses(a) else self.lookupIPV6Address(name))
        return d.addCallback(_firstAddress, name)

    def entry(self, name: str) -> Special:
        """
        Give what is known about a name.

        @param name: The name, in any case.
        """
        text = _fold(name)
        entry = self.zones.get(text, Fault.NXDOMAIN)
        return entry if isinstance(entry, Special) else Special(entry)

    def isSigned(self, name: str) -> bool:
        """
        Tell whether a name is signed.

        @param name: The name, in any case.
        """
        labels = _fold(name).split(".")
        above = {".".join(labels[start:]) for start in range(len(labels))}
        return not self.signed.isdisjoint(above) or self.entry(name).isSigned

    def _lookup(
        self, name: bytes, cls: int, type: int, timeout: Sequence[int] | None = None
    ) -> Deferred[Any]:
        kind = dns.QUERY_TYPES.get(type, str(type))
        text = _fold(name.decode("ascii"))
        self.asked.append((text, kind))
        answers: list[dns.RRHeader] = []
        for _ in range(MAX_ALIASES):
            entry = self.entry(text)
            said, alias = _recordsOf(entry, kind), _recordsOf(entry, "CNAME")
            if isinstance(said, Fault):
                return _failing(said, text)
            answers += self._headers(text, kind, said, entry)
            if said:
                break
            if isinstance(alias, Fault):
                return _failing(alias, text)
            if not alias:
                break
            answers += self._headers(text, "CNAME", alias, entry)
            text = _fold(alias[0])
        return defer.succeed((answers, [], []))

    def _headers(
        self, name: str, kind: str, values: Sequence[Any], entry: Special
    ) -> list[dns.RRHeader]:
        if not values:
            return []
        number, make = _MAKERS[kind]
        ttl = self.ttl if entry.ttl is None else entry.ttl
        return [
            dns.RRHeader(name, number, dns.IN, ttl, make(value), auth=True)
            for value in values
        ]


class DNSServer:
    """
    Serves zones over UDP and TCP.

    @ivar zones: What is answered.
    @ivar address: C{"IP:PORT"} or C{"[IPv6]:PORT"}, the way C{--dns} takes it,
        once started.
    @ivar port: The port, once started.
    """

    def __init__(self, zones: ZoneDNS) -> None:
        self.zones = zones
        self.address = ""
        self.port = 0
        self._ports: list[Any] = []

    def start(
        self, reactor: Any = None, interface: str = "127.0.0.1", port: int = 0
    ) -> DNSServer:
        """
        Listen: after L{stop}, or after the machine went down, again.

        @param reactor: An C{IReactorTCP}, C{IReactorUDP} and C{IReactorTime}
            provider, or L{None} for the global one.
        @param interface: The network address to listen on.
        @param port: The port; 0 for one that is free for both.

        @return: This object.

        @raise CannotListenError: When the port is taken.
        """
        if reactor is None:
            from twisted.internet import reactor
        factory = _Factory(self.zones, reactor)
        for attempt in range(1, MAX_PORTS + 1):
            stream = reactor.listenTCP(port, factory, interface=interface)
            self.port = stream.getHost().port
            protocol = dns.DNSDatagramProtocol(factory, reactor)
            protocol.noisy = False
            try:
                datagram = reactor.listenUDP(self.port, protocol, interface=interface)
            except CannotListenError:
                stream.stopListening()
                if port or attempt == MAX_PORTS:
                    raise
                continue
            break
        self._ports = [stream, datagram]
        host = f"[{interface}]" if ":" in interface else interface
        self.address = f"{host}:{self.port}"
        return self

    def stop(self) -> Deferred[None]:
        """
        Stop listening.

        @return: Fires when both ports are closed.
        """
        ports, self._ports = self._ports, []
        stopping = [defer.maybeDeferred(port.stopListening) for port in ports]
        d: Deferred[Any] = defer.gatherResults(stopping, consumeErrors=True)
        return d.addCallback(lambda results: None)


class _Factory(server.DNSServerFactory):
    """
    Answers with the code a fault stands for, truncates what does not fit into a
    datagram, and does with the message what is to be done wrong.
    """

    noisy = False

    def __init__(self, zones: ZoneDNS, reactor: Any) -> None:
        super().__init__([zones])
        self._zones = zones
        self._reactor = reactor

    def gotResolverError(
        self, failure: Failure, protocol: Any, message: Any, address: Any
    ) -> None:
        reason = failure.value
        code = next(
            (c for c, error in _ERRORS.items() if isinstance(reason, error)),
            dns.ESERVER,
        )
        response = self._responseFromMessage(message=message, rCode=code)
        self.sendReply(protocol, response, address)

    def _responseFromMessage(self, message: Any, *args: Any, **kw: Any) -> Any:
        response = super()._responseFromMessage(message, *args, **kw)
        names = [str(message.queries[0].name), *_targets(response.answers)]
        response.authenticData = _asksForAD(message) and all(
            map(self._zones.isSigned, names)
        )
        return response

    def sendReply(self, protocol: Any, message: Any, address: Any) -> None:
        entry = self._zones.entry(str(message.queries[0].name))
        if entry.late:
            self._reactor.callLater(
                entry.late, self._write, protocol, message, address, entry.wire
            )
        else:
            self._write(protocol, message, address, entry.wire)

    def _write(
        self, protocol: Any, message: Any, address: Any, wire: Wire | None
    ) -> None:
        if protocol.transport is None:
            return
        if address is not None:
            message.maxSize = MAX_DATAGRAM
        data = self._spoil(message, wire, address is not None)
        if address is None:
            # RFC 1035 4.2.2: over TCP its length stands before a message.
            protocol.transport.write(len(data).to_bytes(2, "big") + data)
        else:
            protocol.transport.write(data, address)

    def _spoil(self, message: Any, wire: Wire | None, isDatagram: bool) -> bytes:
        """
        Give the bytes of a message, with what is to be wrong in it.
        """
        match wire:
            case Wire.MALFORMED:
                return MALFORMED
            case Wire.WRONG_ID:
                message.id ^= 0xFFFF
            case Wire.WRONG_NAME:
                message.queries = [dns.Query(OTHER_NAME, message.queries[0].type)]
            case Wire.TRUNCATED | Wire.CUT if isDatagram or wire is Wire.CUT:
                message.answers, message.trunc = [], 1
        data: bytes = message.toStr()
        return data


def _fold(name: str) -> str:
    return name.lower().removesuffix(".")


def _recordsOf(entry: Special, kind: str) -> Sequence[Any] | Fault:
    if isinstance(entry.records, Fault):
        return entry.records
    return entry.records.get(kind, ())


def _targets(answers: Iterable[dns.RRHeader]) -> list[str]:
    """
    Give the names that aliases of an answer lead to.
    """
    aliases: list[Any] = [h.payload for h in answers if h.type == dns.CNAME]
    return [str(alias.name) for alias in aliases]


def _asksForAD(message: Any) -> bool:
    """
    Tell whether a question wants to know of DNSSEC: by AD or by DO.
    """
    return bool(message.authenticData) or any(
        header.type == dns.OPT and header.ttl & _DNSSEC_OK
        for header in message.additional
    )


def _failing(fault: Fault, name: str) -> Deferred[Any]:
    if fault is Fault.SILENCE:
        return Deferred()
    return defer.fail(_ERRORS[fault.value](f"{fault.name} for {name}"))


def _addresses(answer: Any) -> list[str]:
    return [
        str(ip_address(header.payload.address))
        for header in answer[0]
        if header.type in (dns.A, dns.AAAA)
    ]


def _firstAddress(answer: Any, name: bytes | str) -> str:
    found = _addresses(answer)
    if not found:
        raise DNSNameError(f"{name!r} has no address")
    return found[0]
