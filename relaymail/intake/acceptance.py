# -*- test-case-name: relaymail.test.intake.test_acceptance -*-
"""
Who may give the relay mail: clients in its own networks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred
from zope.interface import implementer

from relaymail.dialogue.answers import answer
from relaymail.envelopes import Client
from relaymail.errors import Refused
from relaymail.intake.networks import DEFAULT_NETWORKS as DEFAULT_NETWORKS
from relaymail.intake.networks import Network as Network
from relaymail.intake.networks import Networks
from relaymail.intake.networks import parseNetworks as parseNetworks
from relaymail.interfaces import IAcceptance

DENIED = answer(550, "5.7.1", "Relaying denied")

#: Says why no mail of a client, from a sender, is taken for a recipient whom it may
#: write to; L{None}: it is.
Refusal = Callable[[Client, str, str], str | None]


def checkRecipient(
    acceptance: IAcceptance,
    refusal: Refusal | None,
    client: Client,
    sender: str,
    recipient: str,
) -> Deferred[None] | None:
    """
    Judge RCPT: whether the client may write to this recipient, and then whether
    anybody may.

    @param acceptance: Whom the client may write to.
    @param refusal: What is refused to everybody, if anything.

    @raise Refused: When it may not; the Deferred may fail with that, too.
    """
    asked = acceptance.acceptRecipient(client, sender, recipient)
    if refusal is None:
        return asked

    def check(_: None) -> None:
        text = refusal(client, sender, recipient)
        if text is not None:
            raise Refused(answer(550, "5.7.1", text))

    if asked is not None:
        return asked.addCallback(check)
    check(None)
    return None


@implementer(IAcceptance)
class NetworkAcceptance:
    """
    Relays for everybody who talks from certain networks, for those whom a proxy names
    as users (XCLIENT), and for nobody else.  Users that authenticate here have an
    acceptance of their own.
    """

    def __init__(self, networks: str | Iterable[Network] = DEFAULT_NETWORKS) -> None:
        """
        @param networks: The networks, or text as L{parseNetworks} reads it.

        @raise ConfigurationError: When the text cannot be read.
        """
        if isinstance(networks, str):
            networks = parseNetworks(networks)
        self._networks = Networks(networks)

    def isTrusted(self, host: str) -> bool:
        """
        Tell whether a network address is in the networks.  What is not a
        network address is not.
        """
        return self._networks.has(host)

    def acceptSender(self, client: Client, sender: str) -> None:
        """
        Take any sender: what counts is who mail is for.
        """

    def acceptRecipient(self, client: Client, sender: str, recipient: str) -> None:
        """
        Take any recipient from trusted clients and from users.

        @raise Refused: When the client is neither.
        """
        if not (client.trusted or client.user or self.isTrusted(client.host)):
            raise Refused(DENIED)
