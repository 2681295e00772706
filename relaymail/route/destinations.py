# -*- test-case-name: relaymail.test.route.test_destinations -*-
"""
Where mail may go: which addresses the DNS may send the relay to, and which
hosts are the relay itself.

Whoever writes a domain's MX records chooses where this relay connects; without
a rule that would be a way into the relay's own network, and into itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Protocol, TypeVar

from relaymail.errors import RouteError
from relaymail.replies import Phase, Trouble, TroubleKind, printable
from relaymail.route.aliases import foldName

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: Addresses that no mail exchange host on the Internet has, by the reason
#: (RFC 6890 and the IANA registries it began).  The documentation networks
#: are not among them: nobody is there to be protected.
FORBIDDEN: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), why)
    for network, why in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by a carrier's customers"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "for benchmarks"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("64:ff9b:1::/48", "a private translation"),
        ("100::/64", "for discarding"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)

#: IPv6 networks whose addresses hold an IPv4 address, and how many bits
#: follow it: mapped, compatible (RFC 4291 2.5.5), translated (RFC 2765 2.1),
#: NAT64 (RFC 6052), 6to4 (RFC 3056).
_HOLDERS: tuple[tuple[IPv6Network, int], ...] = (
    (IPv6Network("::ffff:0:0/96"), 0),
    (IPv6Network("::/96"), 0),
    (IPv6Network("::ffff:0:0:0/96"), 0),
    (IPv6Network("64:ff9b::/96"), 0),
    (IPv6Network("2002::/16"), 80),
)

#: Teredo holds the client's address with every bit turned (RFC 4380 4).
_TEREDO = IPv6Network("2001::/32")
_ALL_ONES = 2**32 - 1


@dataclass(frozen=True, slots=True)
class DestinationPolicy:
    """
    Which addresses found in the DNS are connected to.

    @ivar allowed: Networks that are allowed although L{FORBIDDEN} holds them.
    @ivar ownAddresses: The addresses this relay listens on.  C{"0.0.0.0"} or
        C{"::"} among them means every address of the machine: loopback is
        understood, the others are listed beside it.
    @ivar ownPorts: The ports this relay listens on.
    """

    allowed: tuple[Network, ...] = ()
    ownAddresses: frozenset[str] = frozenset()
    ownPorts: frozenset[int] = frozenset()

    def trouble(self, address: str, port: int) -> Trouble | None:
        """
        Judge an address before it is connected to.

        @param address: A network address as text.
        @param port: The port there.

        @return: L{None} where it may be connected to; a trouble of the kind
            C{LOOP} where it is this relay (5.4.6, RFC 3463 3.5), allowed or
            not; of the kind C{FORBIDDEN} where it is not to be connected to.
        """
        try:
            forms = tuple(_forms(_parsed(address)))
        except ValueError:
            return _connecting(
                TroubleKind.FORBIDDEN, f"{address!r} is not a network address"
            )
        if port in self.ownPorts and any(map(self._isOwn, forms)):
            return _connecting(
                TroubleKind.LOOP, f"this relay itself listens on {address} port {port}"
            )
        why = next(filter(None, map(_whyForbidden, forms)), None)
        if why is None or self._isAllowed(forms):
            return None
        return _connecting(TroubleKind.FORBIDDEN, f"{address} is {why}")

    def _isOwn(self, address: Address) -> bool:
        own = {_parsed(a) for a in self.ownAddresses}
        if address in own:
            return True
        if address.is_unspecified:
            # To connect to no address in particular is to connect to oneself.
            return any(a.is_loopback or a.is_unspecified for a in own)
        return address.is_loopback and any(a.is_unspecified for a in own)

    def _isAllowed(self, forms: Iterable[Address]) -> bool:
        return any(form in network for form in forms for network in self.allowed)


class Exchange(Protocol):
    """
    What is looked at of an MX record.

    @ivar preference: The lower, the better (RFC 5321 5.1).
    @ivar name: The host's name: text, bytes, or C{twisted.names}' own.
    """

    preference: int
    name: object


_E = TypeVar("_E", bound=Exchange)


def removeSelf(records: Sequence[_E], ownNames: Iterable[str]) -> list[_E]:
    """
    Leave out what would bring the mail back: where this relay is among the
    hosts of a domain, itself and every host that is not better than it
    (RFC 5321 5.1).

    @param records: The MX records, in any order.
    @param ownNames: The names of this relay.

    @return: The records that are left, in their order.

    @raise RouteError: When none is left; its trouble is of the kind C{LOOP}.
    """
    own = {foldName(name) for name in ownNames}
    ours = [r.preference for r in records if foldName(r.name) in own]
    if not ours:
        return list(records)
    best = min(ours)
    left = [r for r in records if r.preference < best]
    if not left:
        raise RouteError(
            Trouble(
                Phase.RESOLVE,
                TroubleKind.LOOP,
                "this relay is the best mail exchange host of the domain",
            )
        )
    return left


def _parsed(address: str) -> Address:
    # A scope names an interface of this machine, not another address.
    return ip_address(address.partition("%")[0])


def _forms(address: Address) -> Iterator[Address]:
    """
    Give an address and every IPv4 address that it stands for.
    """
    yield address
    if isinstance(address, IPv4Address):
        return
    number = int(address)
    if address in _TEREDO:
        yield IPv4Address((number & _ALL_ONES) ^ _ALL_ONES)
    for network, bits in _HOLDERS:
        # The first numbers of ::/96 are :: and ::1, which hold no address.
        if address in network and number > 1:
            yield IPv4Address(number >> bits & _ALL_ONES)


def _whyForbidden(address: Address) -> str | None:
    return next((why for network, why in FORBIDDEN if address in network), None)


def _connecting(kind: TroubleKind, detail: str) -> Trouble:
    return Trouble(Phase.CONNECT, kind, printable(detail))
