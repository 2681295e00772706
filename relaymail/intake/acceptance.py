# -*- test-case-name: relaymail.test.intake.test_acceptance -*-
"""
Who may give the relay mail: clients in its own networks.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from zope.interface import implementer

from relaymail.dialogue.answers import answer
from relaymail.envelopes import Client
from relaymail.errors import ConfigurationError, Refused
from relaymail.interfaces import IAcceptance

Network = IPv4Network | IPv6Network

#: This host itself.
DEFAULT_NETWORKS = "127.0.0.0/8,::1"

DENIED = answer(550, "5.7.1", "Relaying denied")

#: For how many clients it is remembered whether they are in the networks: the
#: same few come again and again, and each is asked for twice.
_REMEMBERED = 1024

# ::ffff:0:0/96, IPv4 as IPv6 sockets tell it (RFC 4291 2.5.5.2).
_MAPPED_BITS = 96


def parseNetworks(text: str) -> tuple[Network, ...]:
    """
    Read a list of networks.

    @param text: Addresses and networks such as C{"127.0.0.0/8,::1"}, between
        commas or spaces; empty for none.

    @raise ConfigurationError: When one of them is not a network.
    """
    return tuple(_network(word) for word in text.replace(",", " ").split())


@implementer(IAcceptance)
class NetworkAcceptance:
    """
    Relays for everybody who talks from certain networks, and for nobody else.
    """

    def __init__(self, networks: str | Iterable[Network] = DEFAULT_NETWORKS) -> None:
        """
        @param networks: The networks, or text as L{parseNetworks} reads it.

        @raise ConfigurationError: When the text cannot be read.
        """
        if isinstance(networks, str):
            networks = parseNetworks(networks)
        self._networks = tuple(networks)
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._isWithin)

    def isTrusted(self, host: str) -> bool:
        """
        Tell whether a network address is in the networks.  What is not a
        network address is not.
        """
        return self._remembered(host)

    def acceptSender(self, client: Client, sender: str) -> None:
        """
        Take any sender: what counts is who mail is for.
        """

    def acceptRecipient(self, client: Client, sender: str, recipient: str) -> None:
        """
        Take any recipient from trusted clients.

        @raise Refused: When the client is not one.
        """
        if not (client.trusted or self.isTrusted(client.host)):
            raise Refused(DENIED)

    def _isWithin(self, host: str) -> bool:
        try:
            address = ip_address(host)
        except ValueError:
            return False
        if address.version == 6 and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


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
