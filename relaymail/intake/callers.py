# -*- test-case-name: relaymail.test.intake.test_callers -*-
"""
Who is at the other end of a connection to the intake, as far as it is known now.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.tcp import Connection

from relaymail.bindings import bindingsOf
from relaymail.dialogue.serving.session import Session
from relaymail.dialogue.serving.surroundings import Surroundings
from relaymail.dialogue.xclient import ActedFor
from relaymail.envelopes import NO_ORIGIN, Client, Entrance, Origin
from relaymail.identities import Authenticated, IExchange
from relaymail.intake.networks import Networks
from relaymail.intake.peers import hostOf, tlsOf
from relaymail.interfaces import IAcceptance

if TYPE_CHECKING:
    from relaymail.intake.server import IntakeFactory

#: No address of a peer is this.
_NOBODY = object()


class Caller(Surroundings):
    """
    The client of one session.

    Its address is asked of the transport whenever it counts: behind a proxy it is
    known only once something of its own was received.  Only that of a socket stays
    what it is.

    @ivar entrance: By which kind of port it came in.
    @ivar acceptance: Who it may send mail for, because of who it is; L{None}: as
        everybody.
    """

    def __init__(self, factory: IntakeFactory, entrance: Entrance) -> None:
        """
        @param factory: What all connections share.
        @param entrance: By which kind of port it came in.
        """
        self.entrance = entrance
        self._factory = factory
        self._transport: Any = None
        self._address: object = _NOBODY
        self._peer = Client("")
        self._client: Client | None = None
        # The address where it stays: a socket's, or of whom the peer speaks for.
        self._fixed: Any = None
        self._user = ""
        # As it was last judged; L{None}: it is to be made.
        self._origin: Origin | None = NO_ORIGIN
        self.acceptance: IAcceptance | None = None

    def connected(self, transport: Any) -> None:
        """
        Take the connection.
        """
        self._transport = transport
        if isinstance(transport, Connection) and "getPeer" not in vars(transport):
            # It would make a new one each time it is asked.
            self._fixed = transport.getPeer()

    def forget(self) -> None:
        """
        Forget what was known (RFC 3207 4.2).
        """
        self._address = _NOBODY
        self._client = None
        self._origin = None
        self._user = ""
        self.acceptance = None

    def authenticated(self, found: Authenticated) -> None:
        """
        Take who it is.
        """
        self._user, self.acceptance = found.user, found.acceptance
        self._client = self._origin = None

    def actFor(self, actedFor: ActedFor) -> Any:
        """
        Speak for another client.

        @return: Its address.
        """
        self.forget()
        self._user = actedFor.login or ""
        host, port = actedFor.addr, actedFor.port
        if host is not None or port is not None:
            peer = self._fixed or self._transport.getPeer()
            host = hostOf(peer) if host is None else host
            family = IPv6Address if ":" in host else IPv4Address
            self._fixed = family("TCP", host, port or 0)
        return self._fixed or self._transport.getPeer()

    def mayActFor(self) -> bool:
        """
        Tell whether the peer is a proxy that may say for whom it speaks.
        """
        networks = self._factory.xclientNetworks
        return bool(networks) and Networks(networks).has(
            hostOf(self._transport.getPeer())
        )

    def mechanisms(self) -> tuple[str, ...]:
        """
        Give the mechanisms by which it can say who it is.
        """
        return self._mechanisms(self._isSecure(), self._bindings())

    def mechanismsUnderTLS(self) -> tuple[str, ...]:
        """
        Give those by which it could if it were under TLS.
        """
        return self._mechanisms(True, {})

    def begin(self, mechanism: str, session: Session) -> IExchange:
        """
        Begin to authenticate it.

        @param mechanism: One of its mechanisms.
        @param session: What was said.
        """
        authentication = self._factory.authentication
        assert authentication is not None
        client, bindings = self.clientOf(session), self._bindings()
        exchange: IExchange = authentication.begin(mechanism, client, bindings)
        return exchange

    def clientOf(self, session: Session) -> Client:
        """
        Give who is talking.

        @param session: What was said.
        """
        address = self._fixed or self._transport.getPeer()
        if address is not self._address:
            self._lookAt(address)
        known = self._client
        if (
            known is None
            or known.helo is not session.helo
            or known.esmtp is not session.esmtp
        ):
            known = self._client = self._made(session)
        return known

    def isTrusted(self) -> bool:
        """
        Tell whether it is one of our own.
        """
        self._lookAgain()
        return self._peer.trusted

    def isLocal(self) -> bool:
        """
        Tell whether it came by a UNIX socket.
        """
        self._lookAgain()
        return isinstance(self._address, UNIXAddress)

    def origin(self) -> Origin:
        """
        Give where a message comes in from that is taken now: from the client whose
        MAIL and RCPT were judged.
        """
        found = self._origin
        if found is None:
            host, user = self._peer.host, self._user
            found = self._origin = Origin(host, user) if host or user else NO_ORIGIN
        return found

    def now(self) -> float:
        """
        Give the time of the queue's clock, in seconds.
        """
        clock = getattr(self._factory.queue, "clock", None) or self._factory.clock
        return float(clock.seconds())

    def _mechanisms(
        self, isSecure: bool, bindings: Mapping[str, bytes]
    ) -> tuple[str, ...]:
        authentication = self._factory.authentication
        if authentication is None:
            return ()
        return tuple(authentication.mechanisms(isSecure, bindings))

    def _isSecure(self) -> bool:
        isLocal = self.isLocal()
        return isLocal or bool(self._peer.tls) or self._factory.allowsClearAuth

    def _bindings(self) -> dict[str, bytes]:
        return bindingsOf(self._transport)

    def _made(self, session: Session) -> Client:
        peer = self._peer
        return Client(
            host=peer.host,
            port=peer.port,
            helo=session.helo,
            esmtp=session.esmtp,
            tls=peer.tls,
            trusted=peer.trusted,
            user=self._user,
            entrance=self.entrance,
        )

    def _lookAgain(self) -> None:
        self._lookAt(self._fixed or self._transport.getPeer())

    def _lookAt(self, address: Any) -> None:
        if address == self._address:
            return
        self._address, self._client, self._origin = address, None, None
        self._peer = Client(
            host=hostOf(address),
            port=getattr(address, "port", 0),
            tls=tlsOf(self._transport),
            trusted=self._factory.isTrusted(address),
        )
