# -*- test-case-name: relaymail.test.route.test_lookup -*-
"""
From the name of a host to its addresses.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.names import dns
from twisted.python.failure import Failure

from relaymail.errors import RouteError
from relaymail.replies import Phase, Trouble, TroubleKind, printable
from relaymail.route.aliases import (
    CNAME,
    MAX_ALIASES,
    CanonicalNameChainTooLong,
    foldName,
    nameText,
    recordsByName,
)
from relaymail.route.troubles import isNoSuchName, troubleOf

#: The most addresses of one host that are tried: RFC 5321 5.1 asks for two at
#: least, and a host with more than these has them for other reasons than mail.
MAX_ADDRESSES = 8
#: How often a name is asked for under what it is an alias of.
MAX_QUESTIONS = 4

#: What C{localhost} and the names below it always mean (RFC 6761 6.3).
LOCALHOST = ("127.0.0.1", "::1")

Lookup = Callable[[str], Any]


def lookupAddresses(
    resolver: Any, name: bytes | str, preferIPv6: bool = False
) -> Deferred[list[str]]:
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
        _addressesOf(text, kind, lookup, MAX_QUESTIONS)
        for kind, lookup in (reversed(kinds) if preferIPv6 else kinds)
        if lookup is not None
    ] or [_oneAddress(text, resolver)]
    d: Deferred[Any] = defer.DeferredList(asked, consumeErrors=True)
    return d.addCallback(_merged, text)


def _withoutAsking(name: str) -> list[str]:
    if foldName(name).rpartition(".")[2] == "localhost":
        return list(LOCALHOST)
    try:
        return [str(ip_address(name))]
    except ValueError:
        return []


def _oneAddress(name: str, resolver: Any) -> Deferred[list[str]]:
    d = defer.maybeDeferred(resolver.getHostByName, name)
    return d.addCallback(lambda address: [nameText(address)])


def _addressesOf(
    name: str, kind: int, lookup: Lookup, questions: int
) -> Deferred[list[str]]:
    d = defer.maybeDeferred(lookup, name)
    return d.addCallback(_cbAnswer, name, kind, lookup, questions - 1)


def _cbAnswer(
    answer: Any, name: str, kind: int, lookup: Lookup, questions: int
) -> list[str] | Deferred[list[str]]:
    """
    Follow the aliases through an answer (RFC 1034 3.6.2), and ask again where
    they lead out of it.
    """
    owned = recordsByName((header.name, header.payload) for header in answer[0])
    found = foldName(name)
    for _ in range(MAX_ALIASES):
        records = owned.get(found, [])
        addresses = [r for r in records if kind == r.TYPE]
        if addresses:
            return [_addressText(r, kind) for r in addresses[:MAX_ADDRESSES]]
        alias = next((r for r in records if r.TYPE == CNAME), None)
        if alias is None:
            return []
        found = foldName(alias.name)
        if found in owned:
            continue
        if not questions:
            break
        return _addressesOf(nameText(alias.name), kind, lookup, questions)
    raise CanonicalNameChainTooLong(f"{name} is an alias of an alias for too long")


def _addressText(record: Any, kind: int) -> str:
    return str(ip_address(record.address))


def _merged(results: list[tuple[bool, Any]], name: str) -> list[str]:
    """
    Put the families together: each keeps its order, and the second has its
    share of the places.
    """
    found = [addresses for fine, addresses in results if fine and addresses]
    if not found:
        raise RouteError(_whyNone(results, name))
    room = MAX_ADDRESSES
    first = found[0][: room - (room // 2 if len(found) > 1 else 0)]
    rest = [a for addresses in found[1:] for a in addresses]
    return list(dict.fromkeys([*first, *rest]))[:room]


def _whyNone(results: list[tuple[bool, Any]], name: str) -> Trouble:
    failures: list[Failure] = [failure for fine, failure in results if not fine]
    for failure in failures:
        if not isNoSuchName(failure.value):
            told = troubleOf(failure, Phase.RESOLVE)
            return Trouble(told.phase, told.kind, printable(f"{name}: {told.detail}"))
    return Trouble(
        Phase.RESOLVE,
        TroubleKind.NO_SUCH_DOMAIN,
        printable(f"{name} has no network address"),
    )
