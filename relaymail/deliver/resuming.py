# -*- test-case-name: relaymail.test.stories.test_resuming -*-
"""
Relayers that take up the TLS session of a connection before theirs.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL, crypto

from relaymail.protections import TLSResult
from relaymail.replies import Evidence
from relaymail.route.hosts import Host
from relaymail.route.tlscontexts import Creator, creatorFor
from relaymail.route.tlssessions import TLSSessions

#: How long the certificates that a host showed may be, in bytes, if its session is to
#: be kept: they are kept with it, and a host may show as much as it likes.
MAX_SHOWN = 20_000


class Resuming:
    """
    Keeps the TLS session of a connection over which mail could be sent, when it ends:
    what the next one takes up comes after the handshake (RFC 8446 4.6.1).
    """

    _sessions: TLSSessions | None = None
    _of: tuple[Host, str] | None = None

    def handshakeCompleted(self) -> None:
        """
        Note whether a session was offered, before the host is looked at.
        """
        client: Any = self
        if self._sessions is not None:
            handle = getattr(client.transport, "getHandle", lambda: None)()
            client.factory.mayBeStale = getattr(handle, "isResuming", False)
        super().handshakeCompleted()  # type: ignore[misc]
        if client.evidence is None:
            # What goes wrong from here on is not the session from before.
            client.factory.mayBeStale = False

    def _keepSession(self) -> None:
        client: Any = self
        sessions, of = self._sessions, self._of
        if sessions is None or of is None or not client._tlsMode:
            return
        connection = getattr(client.transport, "getHandle", lambda: None)()
        if not isinstance(connection, SSL.Connection):
            return
        session = connection.get_session()
        if session is not None and _lengthShown(connection) <= MAX_SHOWN:
            now = client.factory.manager.reactor.seconds()
            sessions.keep(*of, session, connection.get_context(), now)


def _lengthShown(connection: SSL.Connection) -> int:
    shown = connection.get_peer_cert_chain() or ()
    kind = crypto.FILETYPE_ASN1
    return sum(len(crypto.dump_certificate(kind, each)) for each in shown)


def creatorAt(factory: Any, host: Host, address: str) -> Creator | None:
    """
    Give what makes the TLS connection to a host that was reached.

    @param factory: The factory of the attempt.
    @param host: The host.
    @param address: Its network address.
    """
    attempt = factory.manager
    sessions = getattr(attempt.manager, "tlsSessions", None)
    if sessions is None or host.implicitTLS:
        # Where TLS begins with the connection, that has one already.
        return creatorFor(host)
    return creatorFor(host, sessions, address, attempt.reactor.seconds())


def resume(client: Any, factory: Any, host: Host, address: str) -> None:
    """
    Set a client to keep its session.

    @param client: A relayer; others keep none.
    @param factory: The factory of the attempt.
    @param host: The host.
    @param address: Its network address.
    """
    sessions = getattr(factory.manager.manager, "tlsSessions", None)
    if sessions is None or not isinstance(client, Resuming):
        return
    client._sessions = sessions
    client._of = host, "" if host.implicitTLS else address
    context = client.context  # type: ignore[attr-defined]
    factory.mayBeStale = getattr(context, "session", None) is not None


def wasStale(factory: Any, evidence: Evidence) -> bool:
    """
    Tell whether a handshake that failed is worth another one at once, which takes up
    no session: the host may have forgotten the one before, or have another
    certificate by now.

    @param factory: The factory of the attempt; it is asked once for each relayer.
    @param evidence: What the session ended with.
    """
    wasIt = isStale(factory, evidence)
    factory.mayBeStale = False
    return wasIt


def isStale(factory: Any, evidence: Evidence) -> bool:
    """
    Tell whether it may have been because of the session from before that a handshake
    failed.

    @param factory: The factory of the attempt.
    @param evidence: What the session ended with.
    """
    mayBe: bool = getattr(factory, "mayBeStale", False)
    result = getattr(evidence, "result", None)
    return mayBe and result not in (None, TLSResult.NO_STARTTLS)
