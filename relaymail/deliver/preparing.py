# -*- test-case-name: relaymail.test.deliver.test_relayers -*-
"""
What a host needs of a session with it.
"""

from __future__ import annotations

from typing import Any

from relaymail.deliver.session import checkedIdentity
from relaymail.errors import RouteError
from relaymail.protections import TLSResult
from relaymail.replies import Phase, Trouble, TroubleKind
from relaymail.route.hosts import Bearer, Host, TLSNeed
from relaymail.route.tlscontexts import peerCheckFor

#: With which needs it is certain who the host is.
_KNOWN = (TLSNeed.VERIFIED, TLSNeed.DANE)


def checkPlain(host: Host) -> None:
    """
    See that a host may be spoken to over SMTP, which has no STARTTLS.

    @raise RouteError: When more is needed.
    """
    needs = {TLSNeed.ENCRYPTED, TLSNeed.VERIFIED, TLSNeed.DANE}
    if host.implicitTLS:
        # What is seen in the handshake was seen.
        needs = {TLSNeed.DANE}
    if host.tls in needs:
        told = (
            f"the session with {host.name} is to be {host.tls.value}, and this relay "
            "speaks SMTP without STARTTLS: an ESMTP relaying manager has it"
        )
        result = TLSResult.NO_STARTTLS
        raise RouteError(Trouble(Phase.STARTTLS, TroubleKind.TLS, told, result))


def prepare(client: Any, host: Host) -> None:
    """
    Set a client to what its host needs.

    @param client: An L{ESMTPClient <relaymail.smtp.ESMTPClient>}.
    @param host: The host.
    """
    isKnown = host.tls in _KNOWN
    client.lmtp = host.lmtp
    if host.helo:
        client.identity = checkedIdentity(host.helo)
    client.isVerified = isKnown
    if isKnown or host.tls is TLSNeed.ENCRYPTED:
        client.requireTransportSecurity = True
    client.requireTLS = host.requireTLS
    client.peerCheck = peerCheckFor(host)
    if host.credentials is None:
        return
    client.requireAuthentication = True
    client.authenticateInClear = host.authInClear
    client.trustsTLS = isKnown
    if isinstance(host.credentials, Bearer):
        client.tokens = host.credentials.tokens
    client.useBest(host.credentials.user.encode("utf-8"))
