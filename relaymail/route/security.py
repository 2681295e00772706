# -*- test-case-name: relaymail.test.route.test_security -*-
"""
Whether an answer of the DNS is vouched for, and for how long it holds.

An answer is I{secure} when the server that gave it set AD in it (RFC 4035 3.2.3), and
that server, with all that is between it and this relay, is one to believe: it is on
this machine, or in a network that the operator named (RFC 7672 2.2).  Everything else,
such as the system's table of hosts or a resolver of a program's own, is I{insecure}:
its answers are used, and prove nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Any, TypeAlias, TypeVar

from relaymail.errors import ConfigurationError
from relaymail.replies import printable
from relaymail.route.levels import TLSLevel

Network: TypeAlias = IPv4Network | IPv6Network

_Error = TypeVar("_Error", bound=BaseException)

#: The number of the type SOA (RFC 1035 3.2.2).
SOA = 6
#: The longest that an answer is remembered, in seconds: a host that moved is found
#: within a day, whatever its old record promised.
MAX_TTL = 24 * 60 * 60
#: How long it is remembered that there is nothing by a name, in seconds, where the
#: answer does not say.
NEGATIVE_TTL = 60
#: The longest that it is remembered, in seconds; RFC 2308 5 allows hours, but a domain
#: that was just set up should not wait.
MAX_NEGATIVE_TTL = 5 * 60
#: A time to live with the highest bit set is none at all (RFC 2181 8).
_TTL_SIGN = 2**31


#: The levels that need answers that are secure.
_NEEDS = frozenset({TLSLevel.DANE, TLSLevel.DANE_ONLY})

#: What is to be done, whoever says it.
REMEDY = (
    "run a resolver that validates on this machine, such as unbound, and name it: "
    'delivery.dns = "127.0.0.1:53"'
)
#: What else can be done about a server that is elsewhere.
TRUST = (
    "; or, if the one there validates and nobody is between it and this machine, name "
    "it in delivery.trusted-resolvers"
)


class Records(list[Any]):
    """
    The records of an answer, as C{twisted.names} gives them: a list of headers.

    @ivar isSecure: Whether the answer is secure; of an empty list: that there are no
        such records is.
    @ivar ttl: For how many seconds it holds from now on, at least; L{None} where that
        is not known.
    """

    __slots__ = ("isSecure", "ttl")

    isSecure: bool
    ttl: int | None

    def __init__(
        self,
        records: Iterable[Any] = (),
        isSecure: bool = False,
        ttl: int | None = None,
    ) -> None:
        """
        @param records: The headers.
        @param isSecure: See C{isSecure}.
        @param ttl: See C{ttl}.
        """
        list.__init__(self, records)
        self.isSecure = isSecure
        self.ttl = ttl


def isSecure(found: object) -> bool:
    """
    Tell whether what a lookup gave is secure.

    @param found: The answer: records, or the three lists of C{twisted.names}; or the
        exception that says that there is nothing.
    """
    return getattr(_first(found), "isSecure", False) is True


def ttlOf(found: object) -> int | None:
    """
    Tell for how many seconds from now on what a lookup gave holds, at least.

    @param found: As of L{isSecure}.

    @return: The time, or L{None} where that is not known.
    """
    ttl = getattr(_first(found), "ttl", None)
    return ttl if isinstance(ttl, int) else None


def _first(found: object) -> object:
    return found[0] if isinstance(found, tuple) and found else found


def shorter(*times: int | None) -> int | None:
    """
    Give the shortest of some times; those that are not known do not count.
    """
    return min((time for time in times if time is not None), default=None)


def vouched(error: _Error, isSecure: bool, ttl: int | None) -> _Error:
    """
    Say of an error that tells that there is nothing whether it is secure, and for how
    long it holds.

    @param error: The error.
    @param isSecure: See L{Records.isSecure}.
    @param ttl: See L{Records.ttl}.

    @return: The same error.
    """
    told: Any = error
    told.isSecure = isSecure
    told.ttl = ttl
    return error


def weakened(error: _Error, found: object) -> _Error:
    """
    Say of an error that tells that there is nothing at the end of an alias: it is no
    more secure, and holds no longer, than what led there.

    @param error: The error.
    @param found: What led there, as of L{isSecure}.

    @return: The same error.
    """
    both = isSecure(error) and isSecure(found)
    return vouched(error, both, shorter(ttlOf(error), ttlOf(found)))


def clamped(ttl: int | None) -> int:
    """
    Give the time to live of a record as it is kept to: 0 means that it holds for this
    question only; one of 2^31 or more is 0 (RFC 2181 8), and none is longer than
    L{MAX_TTL}.

    @param ttl: What the record says, in seconds.
    """
    if ttl is None or not 0 <= ttl < _TTL_SIGN:
        return 0
    return min(ttl, MAX_TTL)


def negativeTTL(authority: Iterable[Any]) -> int | None:
    """
    Read how long it holds that there is nothing: the smaller of the two times that a
    SOA record among the authorities has (RFC 2308 5), or L{MAX_NEGATIVE_TTL}.

    @param authority: The headers of that section.

    @return: The time in seconds, or L{None} where it has no SOA record.
    """
    for header in authority:
        if header.type == SOA:
            minimum = getattr(header.payload, "minimum", None)
            return min(clamped(header.ttl), clamped(minimum), MAX_NEGATIVE_TTL)
    return None


def parseNetworks(networks: Iterable[object]) -> tuple[Network, ...]:
    """
    Read the networks whose name servers are believed.

    @param networks: Networks or addresses, as text or as L{ipaddress} has them.

    @raise ConfigurationError: When one is none.
    """
    found = []
    for network in networks:
        text = str(network).strip()
        try:
            found.append(ip_network(text, strict=False))
        except ValueError:
            raise ConfigurationError(
                f"{printable(text, 60)!r} is not the network of a name server: write "
                f"an address or a network, as 192.0.2.53 or 192.0.2.0/24"
            ) from None
    return tuple(found)


def wantsDNSSEC(levels: Iterable[TLSLevel | None]) -> bool:
    """
    Tell whether some mail is to be protected in a way that needs secure answers.

    @param levels: The levels of all mail and of each route; L{None} where none is said.
    """
    return any(level in _NEEDS for level in levels)


def levelsOf(delivery: Any) -> Iterator[TLSLevel | None]:
    """
    Give the levels of TLS of all mail, and of each route.

    @param delivery: The options of delivery: C{tls} and C{routes}.
    """
    yield delivery.tls
    for route in delivery.routes:
        terms = getattr(route, "terms", None)
        yield getattr(route, "tls", None) if terms is None else terms.level


def isTrusted(address: str, networks: Iterable[Network] = ()) -> bool:
    """
    Tell whether a name server's AD is believed: nobody is between it and this relay
    where it is on this machine, and elsewhere the operator says so (RFC 6840 5.8).

    @param address: Its network address.
    @param networks: The networks that the operator named.
    """
    try:
        found = _plain(ip_address(address))
    except ValueError:
        return False
    return found.is_loopback or any(found in network for network in networks)


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if isinstance(mapped, IPv4Address) else address
