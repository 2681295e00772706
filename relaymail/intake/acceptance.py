# -*- test-case-name: relaymail.test.intake.test_acceptance -*-
"""
Who may give the relay mail: clients in its own networks.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address

from zope.interface import implementer

from relaymail.dialogue.answers import answer
from relaymail.envelopes import Client
from relaymail.errors import Refused
from relaymail.intake.networks import DEFAULT_NETWORKS as DEFAULT_NETWORKS
from relaymail.intake.networks import Network as Network
from relaymail.intake.networks import parseNetworks as parseNetworks
from relaymail.interfaces import IAcceptance

DENIED = answer(550, "5.7.1", "Relaying denied")

#: For how many clients it is remembered whether they are in the networks: the
#: same few come again and again, and each is asked for twice.
_REMEMBERED = 1024


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
