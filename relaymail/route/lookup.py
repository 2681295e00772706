# -*- test-case-name: relaymail.test.route.test_lookup -*-
"""
From the name of a host to its addresses, and to its TLSA records; and whether what
was found is secure (L{relaymail.route.security}).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.names import dns
from twisted.names.error import DNSServerError
from twisted.python.failure import Failure

from relaymail.addresses import MAX_DOMAIN
from relaymail.errors import RouteError
from relaymail.protections import TLSResult
from relaymail.replies import Phase, Trouble, TroubleKind, printable
from relaymail.route.aliases import (
    CNAME,
    MAX_ALIASES,
    CanonicalNameChainTooLong,
    foldName,
    nameText,
    recordsByName,
)
from relaymail.route.security import isSecure, shorter, ttlOf, weakened
from relaymail.route.tlsa import MAX_RECORDS, TLSA, parseTLSA
from relaymail.route.tlsa import TYPE as TYPE_TLSA
from relaymail.route.troubles import isNoSuchName, troubleOf

#: The most addresses of one host that are tried: RFC 5321 5.1 asks for two at
#: least, and a host with more than these has them for other reasons than mail.
MAX_ADDRESSES = 8
#: How often a name is asked for under what it is an alias of.
MAX_QUESTIONS = 4

#: What C{localhost} and the names below it always mean (RFC 6761 6.3).
LOCALHOST = ("127.0.0.1", "::1")

#: Asks for one type of record of a name.
Lookup = Callable[[str], Any]


class Addresses(list[str]):
    """
    The addresses of a host, in the order in which they are to be tried.

    @ivar isSecure: Whether all answers that addresses came from are secure, those
        with the aliases that led there too (RFC 7672 2.2.2).  An answer that says that
        there are none of the other kind, or that failed, has no say: who can spoil it
        shall not be able to make of a secure host an insecure one.
    @ivar canonical: What the host is called after all aliases, without a trailing dot;
        empty where it is no alias.
    @ivar isSecureAlias: Whether the alias at the host's own name is known to be
        secure; where addresses are insecure that is to be asked for
        (L{lookupAlias}).
    @ivar ttl: For how many seconds they hold from now on, at least; L{None} where that
        is not known.
    """

    __slots__ = ("canonical", "isSecure", "ttl")

    def __init__(
        self,
        addresses: Iterable[str] = (),
        isSecure: bool = False,
        canonical: str = "",
        ttl: int | None = None,
    ) -> None:
        """
        @param addresses: The addresses.
        @param isSecure: See C{isSecure}.
        @param canonical: See C{canonical}.
        @param ttl: See C{ttl}.
        """
        list.__init__(self, addresses)
        self.isSecure = isSecure
        self.canonical = canonical
        self.ttl = ttl

    @property
    def isSecureAlias(self) -> bool:
        """
        See the class.
        """
        return self.isSecure and bool(self.canonical)


@dataclass(frozen=True, slots=True)
class Found:
    """
    The TLSA records of a host and port, or that there are none.

    @ivar records: The records; those that mean nothing to relaymail too.
    @ivar isSecure: Whether the answer is secure, all aliases included.
    @ivar ttl: For how many seconds it holds from now on, at least; L{None} where that
        is not known.
    """

    records: tuple[TLSA, ...] = ()
    isSecure: bool = False
    ttl: int | None = None


@dataclass(frozen=True, slots=True)
class _Link:
    """
    What was found by a name, at the end of its aliases.

    @ivar records: The payloads.
    @ivar isSecure: Whether all answers that led there are secure.
    @ivar canonical: The name after the aliases; empty where there were none.
    @ivar ttl: For how many seconds it holds.
    """

    records: tuple[Any, ...]
    isSecure: bool
    canonical: str
    ttl: int | None


def lookupAddresses(
    resolver: Any, name: bytes | str, preferIPv6: bool = False
) -> Deferred[Addresses]:
    """
    Give the addresses of a host, in the order in which they are to be tried.

    The order is IPv4 first unless told otherwise: where only one of the two
    works it is mostly that one, and each address that does not costs a wait.

    @param resolver: An L{IResolver <twisted.internet.interfaces.IResolver>}
        provider; one that has only C{getHostByName} gives one address.
    @param name: A host name, or a network address, which is its own.
    @param preferIPv6: Whether IPv6 comes first.

    @return: Fires with at least one and at most L{MAX_ADDRESSES} addresses as
        text.  Fails with L{RouteError}: C{NO_SUCH_DOMAIN} where there are
        none, C{NO_ANSWER} where none were found and a lookup failed.
    """
    text = nameText(name)
    known = _withoutAsking(text)
    if known:
        return defer.succeed(known)
    kinds = (
        (dns.A, getattr(resolver, "lookupAddress", None)),
        (dns.AAAA, getattr(resolver, "lookupIPV6Address", None)),
    )
    asked = [
        _follow(text, kind, lookup).addCallback(_addressesIn)
        for kind, lookup in (reversed(kinds) if preferIPv6 else kinds)
        if lookup is not None
    ] or [_oneAddress(text, resolver)]
    d: Deferred[Any] = defer.DeferredList(asked, consumeErrors=True)
    return d.addCallback(_merged, text)


def lookupAlias(resolver: Any, name: bytes | str) -> Deferred[bool]:
    """
    Tell whether a name is an alias, and the record that says so is secure; where it
    leads may be insecure all the same (RFC 7672 2.2.2).

    @param resolver: As of L{lookupAddresses}.
    @param name: A host name.

    @return: Fires with that; fails with L{RouteError} C{NO_ANSWER}.
    """
    text = nameText(name)
    ask = getattr(resolver, "lookupCanonicalName", None)
    if ask is None:
        return defer.succeed(False)
    d: Deferred[Any] = defer.maybeDeferred(ask, text)
    d.addCallback(lambda answer: isSecure(answer) and _isAlias(answer, text))
    return d.addErrback(_orNothing, False, text)


def lookupTLSA(resolver: Any, base: bytes | str, port: int) -> Deferred[Found]:
    """
    Give the TLSA records of a host, for TCP (RFC 6698 3, RFC 7672 2.2.3); aliases of
    their name are followed (RFC 7671 7).

    @param resolver: As of L{lookupAddresses}; one that cannot ask for such records has
        none.
    @param base: The name of the host.
    @param port: The port.

    @return: Fires with them; fails with L{RouteError} C{NO_ANSWER} where the DNS gives
        no answer, or one that does not hold what it must be signed with.
    """
    name = f"_{port}._tcp.{nameText(base)}"
    ask = getattr(resolver, "lookupTLSA", None)
    if ask is None or len(name) > MAX_DOMAIN:
        return defer.succeed(Found())
    d: Deferred[Any] = _follow(name, TYPE_TLSA, ask)
    d.addCallback(_tlsaIn)
    d.addErrback(_orNothing, None, name)
    return d


def _withoutAsking(name: str) -> Addresses:
    if foldName(name).rpartition(".")[2] == "localhost":
        return Addresses(LOCALHOST)
    try:
        return Addresses([str(ip_address(name))])
    except ValueError:
        return Addresses()


def _oneAddress(name: str, resolver: Any) -> Deferred[Addresses]:
    d = defer.maybeDeferred(resolver.getHostByName, name)
    return d.addCallback(lambda address: Addresses([nameText(address)]))


def _follow(
    name: str, kind: int, lookup: Lookup, questions: int = MAX_QUESTIONS
) -> Deferred[_Link]:
    """
    Ask for records of one type, and go where aliases lead.
    """
    d = defer.maybeDeferred(lookup, name)
    return d.addCallback(_cbAnswer, name, kind, lookup, questions - 1)


def _cbAnswer(
    answer: Any, name: str, kind: int, lookup: Lookup, questions: int
) -> _Link | Deferred[_Link]:
    """
    Follow the aliases through an answer (RFC 1034 3.6.2), and ask again where
    they lead out of it.
    """
    owned = recordsByName((h.name, (h.type, h.payload)) for h in answer[0])
    found = foldName(name)
    canonical = ""
    for _ in range(MAX_ALIASES):
        records = owned.get(found, [])
        fitting = tuple(payload for type, payload in records if type == kind)
        alias = next((p for type, p in records if type == CNAME), None)
        if fitting or alias is None:
            return _Link(fitting, isSecure(answer), canonical, ttlOf(answer))
        canonical, found = nameText(alias.name), foldName(alias.name)
        if found in owned:
            continue
        if not questions:
            break
        d = _follow(canonical, kind, lookup, questions)
        d.addErrback(_spoiled, answer)
        return d.addCallback(_joined, answer, canonical)
    raise CanonicalNameChainTooLong(f"{name} is an alias of an alias for too long")


def _joined(link: _Link, answer: Any, canonical: str) -> _Link:
    """
    A chain is as secure, and holds as long, as the weakest of its links.
    """
    return _Link(
        link.records,
        link.isSecure and isSecure(answer),
        link.canonical or canonical,
        shorter(link.ttl, ttlOf(answer)),
    )


def _spoiled(failure: Failure, answer: Any) -> Failure:
    reason: Any = failure.value
    weakened(reason, answer)
    return failure


def _addressesIn(link: _Link) -> Addresses:
    texts = [str(ip_address(r.address)) for r in link.records[:MAX_ADDRESSES]]
    return Addresses(texts, link.isSecure, link.canonical, link.ttl)


def _tlsaIn(link: _Link) -> Found:
    found = [_readTLSA(r.data) for r in link.records]
    # Many that mean nothing must not hide one that does.
    found.sort(key=lambda record: not record.isUsable)
    return Found(tuple(found[:MAX_RECORDS]), link.isSecure, link.ttl)


def _readTLSA(data: bytes) -> TLSA:
    # One that cannot be read is there all the same, and nothing fits it.
    return parseTLSA(data) or TLSA(255, 255, 255, b"")


def _isAlias(answer: Any, name: str) -> bool:
    own = foldName(name)
    return any(h.type == CNAME and foldName(h.name) == own for h in answer[0])


def _merged(results: list[tuple[bool, Any]], name: str) -> Addresses:
    """
    Put the families together: each keeps its order, and the second has its
    share of the places.
    """
    found: list[Addresses] = [one for fine, one in results if fine and one]
    if not found:
        raise RouteError(_whyNone(results, name))
    room = MAX_ADDRESSES
    first = found[0][: room - (room // 2 if len(found) > 1 else 0)]
    rest = [a for addresses in found[1:] for a in addresses]
    return Addresses(
        list(dict.fromkeys([*first, *rest]))[:room],
        all(one.isSecure for one in found),
        found[0].canonical,
        shorter(*(one.ttl for one in found)),
    )


def _whyNone(results: list[tuple[bool, Any]], name: str) -> Trouble:
    failures: list[Failure] = [failure for fine, failure in results if not fine]
    for failure in failures:
        if not isNoSuchName(failure.value):
            return _unanswered(failure, name)
    return Trouble(
        Phase.RESOLVE,
        TroubleKind.NO_SUCH_DOMAIN,
        printable(f"{name} has no network address"),
    )


def _orNothing(failure: Failure, nothing: Any, name: str) -> Any:
    """
    That there is no such record is an answer; all else is none.
    """
    reason = failure.value
    if isNoSuchName(reason):
        return (
            Found((), isSecure(reason), ttlOf(reason)) if nothing is None else nothing
        )
    raise RouteError(_unanswered(failure, name))


def _unanswered(failure: Failure, name: str) -> Trouble:
    """
    Say that there was no answer.  SERVFAIL is what a server that validates says of
    answers that are not what they must be (RFC 4035 5.5).
    """
    told = troubleOf(failure, Phase.RESOLVE)
    isBogus = isinstance(failure.value, DNSServerError)
    return Trouble(
        told.phase,
        told.kind,
        printable(f"{name}: {told.detail}"),
        TLSResult.DNSSEC_INVALID if isBogus else told.result,
    )
