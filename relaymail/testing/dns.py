# -*- test-case-name: relaymail.test.testing.test_dns -*-
"""
A DNS for tests: zones in memory, asked directly or over a network.

    >>> zones = ZoneDNS({
    ...     "example.org": {"MX": [(10, "mx.example.org")]},
    ...     "mx.example.org": {"A": ["192.0.2.25"], "AAAA": ["2001:db8::25"]},
    ...     "_25._tcp.mx.example.org": {"TLSA": [(3, 1, 1, digest)]},
    ...     "www.example.org": {"CNAME": ["example.org"]},
    ...     "nomail.example": {"MX": [(0, "")]},
    ...     "broken.example": Fault.SERVFAIL,
    ...     "slow.example": {"MX": Fault.SILENCE, "A": ["192.0.2.1"]},
    ...     "odd.example": Special({"A": ["192.0.2.1"]}, ttl=0, wire=Wire.TRUNCATED),
    ...     "forged.example": Special({"A": ["192.0.2.1"]}, isBogus=True),
    ... }, signed=["example.org"])

L{ZoneDNS} is what C{MXCalculator(resolver)} takes; L{DNSServer} is what
C{--dns IP:PORT} takes.

What is signed is only said to be so, by AD in the answers and in the errors, as a
server on this machine says it that validates; C{ZoneDNS(..., validates=False)} is one
that does not.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.names import dns, server
from twisted.python.failure import Failure

from relaymail.route.security import isSecure
from relaymail.testing._zones import (
    ERRORS,
    MAX_ALIASES,
    ROOT,
    Entry,
    Fault,
    Records,
    Special,
    Wire,
    ZoneDNS,
)

__all__ = [
    "EDNS",
    "MAX_ALIASES",
    "MAX_DATAGRAM",
    "MAX_EDNS_DATAGRAM",
    "MAX_MESSAGE",
    "MAX_PORTS",
    "ROOT",
    "DNSServer",
    "Entry",
    "Fault",
    "Records",
    "Special",
    "Wire",
    "ZoneDNS",
]

#: How many ports are tried until one is free for both UDP and TCP.
MAX_PORTS = 20
#: The longest answer over UDP, in bytes (RFC 1035 4.2.1).
MAX_DATAGRAM = 512
#: The longest answer over UDP where the question allows longer ones by EDNS (RFC 6891),
#: in bytes.
MAX_EDNS_DATAGRAM = 1232
#: The longest answer over TCP, in bytes (RFC 1035 4.2.2).
MAX_MESSAGE = 65535

#: Bytes that are shorter than the header of a message (RFC 1035 4.1.1).
MALFORMED = b"\xff\xff\x80"
#: The name that an answer is for which is for another name.
OTHER_NAME = "another.invalid"
#: The bit of an OPT record's flags by which DNSSEC is asked for (RFC 3225 3).
_DNSSEC_OK = 0x8000


class EDNS(Enum):
    """
    What a server does with a question that has EDNS (RFC 6891).
    """

    ANSWERED = "answers with it"
    IGNORED = "answers as if it were not there"
    REFUSED = "does not understand the question (FORMERR)"
    DROPPED = "never gets the question over UDP: something on the way throws it away"


class DNSServer:
    """
    Serves zones over UDP and TCP.

    @ivar zones: What is answered.
    @ivar edns: What it does with EDNS; may be changed at any time.
    @ivar address: C{"IP:PORT"} or C{"[IPv6]:PORT"}, the way C{--dns} takes it,
        once started.
    @ivar port: The port, once started.
    """

    def __init__(self, zones: ZoneDNS, edns: EDNS = EDNS.ANSWERED) -> None:
        self.zones = zones
        self.edns = edns
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
        factory = _Factory(self, reactor)
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

    def __init__(self, owner: DNSServer, reactor: Any) -> None:
        super().__init__([owner.zones])
        # The chain that it made of it knows fewer types.
        self.resolver: Any = owner.zones
        self._zones = owner.zones
        self._owner = owner
        self._reactor = reactor

    def handleQuery(self, message: Any, protocol: Any, address: Any) -> Any:
        manners = self._owner.edns if _payload(message) else EDNS.ANSWERED
        if manners is EDNS.REFUSED:
            response = self._responseFromMessage(message=message, rCode=dns.EFORMAT)
            response.additional = []
            return self.sendReply(protocol, response, address)
        if manners is EDNS.DROPPED and address is not None:
            return None
        return super().handleQuery(message, protocol, address)

    def gotResolverError(
        self, failure: Failure, protocol: Any, message: Any, address: Any
    ) -> None:
        reason = failure.value
        code = next(
            (c for c, error in ERRORS.items() if isinstance(reason, error)),
            dns.ESERVER,
        )
        response = self._responseFromMessage(message=message, rCode=code)
        response.authenticData = _asksForAD(message) and isSecure(reason)
        if code == dns.ENAME:
            response.authority = self._zones.authority(str(message.queries[0].name))
        self.sendReply(protocol, response, address)

    def _responseFromMessage(self, message: Any, *args: Any, **kw: Any) -> Any:
        response = super()._responseFromMessage(message, *args, **kw)
        response.authenticData = _asksForAD(message) and isSecure(response.answers)
        size = _payload(message)
        response.payload = MAX_DATAGRAM
        if size and self._owner.edns is EDNS.ANSWERED:
            response.payload = max(MAX_DATAGRAM, min(size, MAX_EDNS_DATAGRAM))
            opt = dns.RRHeader(b"", dns.OPT, MAX_EDNS_DATAGRAM, 0, dns.UnknownRecord())
            response.additional = [*response.additional, opt]
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
                return _cut(message)
        message.maxSize = 0
        data: bytes = message.toStr()
        limit = message.payload if isDatagram else MAX_MESSAGE
        return _cut(message) if len(data) > limit else data


def _cut(message: Any) -> bytes:
    """
    Give a message that says that its answer did not fit (RFC 2181 9).
    """
    message.answers, message.authority, message.trunc = [], [], 1
    data: bytes = message.toStr()
    return data


def _payload(message: Any) -> int:
    """
    Give how long answers may be by EDNS, in bytes; 0 for a question without it.
    """
    return next((h.cls for h in message.additional if h.type == dns.OPT), 0)


def _asksForAD(message: Any) -> bool:
    """
    Tell whether a question wants to know of DNSSEC: by AD or by DO.
    """
    return bool(message.authenticData) or any(
        header.type == dns.OPT and header.ttl & _DNSSEC_OK
        for header in message.additional
    )
