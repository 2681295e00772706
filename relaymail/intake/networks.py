# -*- test-case-name: relaymail.test.intake.test_acceptance -*-
"""
Networks, as people write them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from relaymail.errors import ConfigurationError

Network = IPv4Network | IPv6Network

#: This host itself.
DEFAULT_NETWORKS = "127.0.0.0/8,::1"

# ::ffff:0:0/96, IPv4 as IPv6 sockets tell it (RFC 4291 2.5.5.2).
_MAPPED_BITS = 96
#: For how many hosts it is remembered whether they are in some networks: the same
#: few come again and again, and each is asked for several times.
_REMEMBERED = 1024


class Networks:
    """
    Some networks, and who is in them.
    """

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        """
        @param networks: The networks.
        """
        self._networks = tuple(networks)
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._isWithin)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def has(self, host: str) -> bool:
        """
        Tell whether a network address, as text, is in them.  What is not a network
        address is not.
        """
        return self._remembered(host)

    def _isWithin(self, host: str) -> bool:
        try:
            address = ip_address(host)
        except ValueError:
            return False
        if address.version == 6 and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


def parseNetworks(text: str) -> tuple[Network, ...]:
    """
    Read a list of networks.

    @param text: Addresses and networks such as C{"127.0.0.0/8,::1"}, between
        commas or spaces; empty for none.

    @raise ConfigurationError: When one of them is not a network.
    """
    return tuple(_network(word) for word in text.replace(",", " ").split())


def _network(word: str) -> Network:
    try:
        network = ip_network(word)
    except ValueError as e:
        raise ConfigurationError(
            f"{word[:80]!r} is not a network ({e}); write such as 192.0.2.0/24"
        ) from e
    if network.version == 6 and network.prefixlen >= _MAPPED_BITS:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
    return network
