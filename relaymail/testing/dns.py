# -*- test-case-name: relaymail.test.testing.test_dns -*-
"""
A DNS for tests: zones in memory, asked directly or over loopback.

    >>> zones = ZoneDNS({
    ...     "example.org": {"MX": [(10, "mx.example.org")]},
    ...     "mx.example.org": {"A": ["192.0.2.25"], "AAAA": ["2001:db8::25"]},
    ...     "www.example.org": {"CNAME": ["example.org"]},
    ...     "nomail.example": {"MX": [(0, "")]},
    ...     "broken.example": Fault.SERVFAIL,
    ...     "slow.example": {"MX": Fault.SILENCE, "A": ["192.0.2.1"]},
    ... })

L{ZoneDNS} is what C{MXCalculator(resolver)} takes; L{DNSServer} is what
C{--dns IP:PORT} takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from ipaddress import ip_address
from typing import Any

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


#: What a zone says about one name: records by type, or a fault.
Entry = Mapping[str, "Sequence[Any] | Fault"] | Fault

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

    def __init__(self, zones: Mapping[str, Entry] | None = None, ttl: int = 60) -> None:
        super().__init__()
        self.zones: dict[str, Entry] = dict(zones or {})
        self.ttl = ttl
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

    def _lookup(
        self, name: bytes, cls: int, type: int, timeout: Sequence[int] | None = None
    ) -> Deferred[Any]:
        kind = dns.QUERY_TYPES.get(type, str(type))
        text = name.decode("ascii").lower().removesuffix(".")
        self.asked.append((text, kind))
        answers: list[dns.RRHeader] = []
        for _ in range(MAX_ALIASES):
            entry = self.zones.get(text, Fault.NXDOMAIN)
            said = entry if isinstance(entry, Fault) else entry.get(kind, ())
            if isinstance(said, Fault):
                return _failing(said, text)
            answers += self._headers(text, kind, said)
            alias = () if said or isinstance(entry, Fault) else entry.get("CNAME", ())
            if isinstance(alias, Fault):
                return _failing(alias, text)
            if not alias:
                break
            answers += self._headers(text, "CNAME", alias)
            text = alias[0].lower().removesuffix(".")
        return defer.succeed((answers, [], []))

    def _headers(
        self, name: str, kind: str, values: Sequence[Any]
    ) -> list[dns.RRHeader]:
        if not values:
            return []
        number, make = _MAKERS[kind]
        return [
            dns.RRHeader(name, number, dns.IN, self.ttl, make(value), auth=True)
            for value in values
        ]


class DNSServer:
    """
    Serves zones over UDP and TCP on loopback.

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

    def start(self, reactor: Any = None, interface: str = "127.0.0.1") -> DNSServer:
        """
        Listen, on a port that is free for both.

        @param reactor: An C{IReactorTCP} and C{IReactorUDP} provider, or
            L{None} for the global one.
        @param interface: The network address to listen on.

        @return: This object.
        """
        if reactor is None:
            from twisted.internet import reactor
        factory = _Factory([self.zones])
        for _ in range(MAX_PORTS):
            stream = reactor.listenTCP(0, factory, interface=interface)
            self.port = stream.getHost().port
            protocol = dns.DNSDatagramProtocol(factory, reactor)
            protocol.noisy = False
            try:
                datagram = reactor.listenUDP(self.port, protocol, interface=interface)
            except CannotListenError:
                stream.stopListening()
                continue
            self._ports = [stream, datagram]
            host = f"[{interface}]" if ":" in interface else interface
            self.address = f"{host}:{self.port}"
            return self
        raise RuntimeError(f"no port on {interface} is free for both UDP and TCP")

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
    Answers with the code a fault stands for, and truncates what does not fit
    into a datagram.
    """

    noisy = False

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

    def sendReply(self, protocol: Any, message: Any, address: Any) -> None:
        if address is not None:
            message.maxSize = MAX_DATAGRAM
        super().sendReply(protocol, message, address)


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
