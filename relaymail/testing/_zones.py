# -*- test-case-name: relaymail.test.testing.test_dns -*-
"""
Zones in memory: what L{relaymail.testing.dns} answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address
from typing import Any, TypeAlias

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.names import common, dns
from twisted.names.error import (
    DNSNameError,
    DNSNotImplementedError,
    DNSQueryRefusedError,
    DNSServerError,
)

from relaymail.route.security import Records as Answers
from relaymail.route.security import clamped, vouched
from relaymail.route.tlsa import TYPE as TLSA
from relaymail.route.wire import TLSALookups

#: The most aliases that are followed for one answer.
MAX_ALIASES = 16


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
    @ivar isBogus: Whether what it is signed with does not hold: the answer is
        SERVFAIL, unless L{ZoneDNS.validates} is off.
    @ivar wire: What is wrong with the message, if a L{DNSServer
        <relaymail.testing.dns.DNSServer>} gives it.
    @ivar late: How long such a server waits before it answers, in seconds.
    """

    records: Records
    ttl: int | None = None
    isSigned: bool = False
    wire: Wire | None = None
    late: float = 0.0
    isBogus: bool = False


#: What a zone says about one name.
Entry: TypeAlias = "Records | Special"

#: What is known of the root zone where nothing else is said.
ROOT = Special({"NS": ("a.root.invalid",), "SOA": (300,)})

ERRORS: dict[int, type[Exception]] = {
    dns.ESERVER: DNSServerError,
    dns.EREFUSED: DNSQueryRefusedError,
    dns.ENOTIMP: DNSNotImplementedError,
    dns.ENAME: DNSNameError,
}


def _soa(minimum: int) -> Any:
    return dns.Record_SOA("a.root.invalid", "nobody.invalid", minimum=minimum)


def _tlsa(value: Any) -> Any:
    """
    Make a TLSA record of its four parts, of a line as in a zone file, or of anything
    that gives one as its text.
    """
    if isinstance(value, tuple):
        usage, selector, matching, data = value
    else:
        usage, selector, matching, digits = str(value).split(None, 3)
        data = bytes.fromhex(digits)
    head = bytes([int(usage), int(selector), int(matching)])
    return dns.UnknownRecord(head + bytes(data))


_MAKERS: dict[str, tuple[int, Callable[[Any], Any]]] = {
    "A": (dns.A, lambda value: dns.Record_A(value)),
    "AAAA": (dns.AAAA, lambda value: dns.Record_AAAA(value)),
    "CNAME": (dns.CNAME, lambda value: dns.Record_CNAME(value)),
    "MX": (dns.MX, lambda value: dns.Record_MX(*value)),
    "NS": (dns.NS, lambda value: dns.Record_NS(value)),
    "SOA": (dns.SOA, _soa),
    "TLSA": (TLSA, _tlsa),
    "TXT": (dns.TXT, lambda value: dns.Record_TXT(value)),
}
_KINDS = {number: kind for kind, (number, _) in _MAKERS.items()}


class ZoneDNS(TLSALookups, common.ResolverBase):
    """
    An L{IResolver <twisted.internet.interfaces.IResolver>} over zones in
    memory.  Aliases are followed as a recursive server does.

    Asked directly it says of each answer whether it is secure, as relaymail's own
    resolver does.

    @ivar zones: What is known about each name, lower case and without a
        trailing dot: lists of values by the type's name, or a L{Fault}, for one type
        or for all.  The values of C{"A"}, C{"AAAA"}, C{"CNAME"} and C{"NS"} are text,
        of C{"TXT"} text or bytes, of C{"MX"} pairs of preference and name (the empty
        name for a null MX), of C{"TLSA"} the four parts C{(3, 1, 1, b"...")} or a line
        C{"3 1 1 d2ab..."}, of C{"SOA"} the negative time to live in seconds.  A name
        that is missing does not exist (NXDOMAIN); the root, C{""}, always does.  May
        be changed at any time.
    @ivar ttl: The time to live of every record, in seconds.
    @ivar signed: The names below which, and at which, everything is signed.
    @ivar validates: Whether it validates, so that AD is set for what is signed, the
        root zone included, and what is bogus has no answer.  Else it is as a server
        that knows nothing of DNSSEC.
    @ivar negative: The time to live of the answer that there is nothing, in seconds;
        L{None}: that is not said.
    @ivar asked: The questions so far: pairs of name and type's name.
    """

    def __init__(
        self,
        zones: Mapping[str, Entry] | None = None,
        ttl: int = 60,
        signed: Iterable[str] = (),
        validates: bool = True,
        negative: int | None = None,
    ) -> None:
        """
        @param zones: See C{zones}.
        @param ttl: See C{ttl}.
        @param signed: See C{signed}.
        @param validates: See C{validates}.
        @param negative: See C{negative}.
        """
        super().__init__()
        self.zones: dict[str, Entry] = dict(zones or {})
        self.ttl = ttl
        self.signed = set(signed)
        self.validates = validates
        self.negative = negative
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
        entry = self.zones.get(text, Fault.NXDOMAIN if text else ROOT)
        return entry if isinstance(entry, Special) else Special(entry)

    def isSigned(self, name: str) -> bool:
        """
        Tell whether a name is signed, and that is looked at.

        @param name: The name, in any case.
        """
        text = _fold(name)
        if not self.validates or not text:
            return self.validates
        labels = text.split(".")
        above = {".".join(labels[start:]) for start in range(len(labels))}
        return not self.signed.isdisjoint(above) or self.entry(name).isSigned

    def authority(self, name: str) -> list[dns.RRHeader]:
        """
        Give the authorities for the answer that there is nothing.

        @param name: What there is nothing by.
        """
        if self.negative is None:
            return []
        soa = _soa(self.negative)
        return [dns.RRHeader(_fold(name), dns.SOA, dns.IN, self.negative, soa)]

    def _lookup(
        self, name: bytes, cls: int, type: int, timeout: Sequence[int] | None = None
    ) -> Deferred[Any]:
        kind = _KINDS.get(type, dns.QUERY_TYPES.get(type, str(type)))
        text = _fold(name.decode("ascii"))
        self.asked.append((text, kind))
        answers: list[dns.RRHeader] = []
        isSecure = True
        for _ in range(MAX_ALIASES):
            entry = self.entry(text)
            isSecure = isSecure and self.isSigned(text)
            said = self._records(entry, kind)
            if isinstance(said, Fault):
                return self._failing(said, text, isSecure)
            answers += self._headers(text, kind, said, entry)
            alias = () if said else self._records(entry, "CNAME")
            if isinstance(alias, Fault):
                return self._failing(alias, text, isSecure)
            if not alias:
                return defer.succeed(self._answer(answers, text, isSecure, not said))
            answers += self._headers(text, "CNAME", alias, entry)
            text = _fold(alias[0])
        return defer.succeed(self._answer(answers, text, isSecure, False))

    def _records(self, entry: Special, kind: str) -> Sequence[Any] | Fault:
        if entry.isBogus and self.validates:
            return Fault.SERVFAIL
        if isinstance(entry.records, Fault):
            return entry.records
        return entry.records.get(kind, ())

    def _answer(
        self, answers: list[dns.RRHeader], name: str, isSecure: bool, isNothing: bool
    ) -> Any:
        times = [clamped(header.ttl) for header in answers]
        if isNothing and self.negative is not None:
            times.append(self.negative)
        records = Answers(answers, isSecure, min(times, default=None))
        return (records, self.authority(name) if isNothing else [], [])

    def _failing(self, fault: Fault, name: str, isSecure: bool) -> Deferred[Any]:
        if fault is Fault.SILENCE:
            return Deferred()
        error = ERRORS[fault.value](f"{fault.name} for {name}")
        isDenial = fault is Fault.NXDOMAIN
        ttl = self.negative if isDenial else None
        return defer.fail(vouched(error, isDenial and isSecure, ttl))

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


def _fold(name: str) -> str:
    return name.lower().removesuffix(".")


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
