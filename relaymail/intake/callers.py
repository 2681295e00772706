# -*- test-case-name: relaymail.test.intake.test_callers -*-
"""
Who is at the other end of a connection to the intake, as far as it is known now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.address import UNIXAddress

from relaymail.dialogue.serving.session import Session
from relaymail.dialogue.serving.surroundings import Surroundings
from relaymail.envelopes import Client, Entrance
from relaymail.intake.peers import hostOf, tlsOf

if TYPE_CHECKING:
    from relaymail.intake.server import IntakeFactory

#: No address of a peer is this.
_NOBODY = object()


class Caller(Surroundings):
    """
    The client of one session.

    Its address is asked of the transport whenever it counts: behind a proxy it is
    known only once something of its own was received.

    @ivar entrance: By which kind of port it came in.
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

    def connected(self, transport: Any) -> None:
        """
        Take the connection.
        """
        self._transport = transport

    def forget(self) -> None:
        """
        Forget what was known (RFC 3207 4.2).
        """
        self._address = _NOBODY
        self._client = None

    def clientOf(self, session: Session) -> Client:
        """
        Give who is talking.

        @param session: What was said.
        """
        self._lookAgain()
        known = self._client
        if (
            known is None
            or known.helo is not session.helo
            or known.esmtp is not session.esmtp
        ):
            peer = self._peer
            known = self._client = Client(
                host=peer.host,
                port=peer.port,
                helo=session.helo,
                esmtp=session.esmtp,
                tls=peer.tls,
                trusted=peer.trusted,
                entrance=self.entrance,
            )
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

    def now(self) -> float:
        """
        Give the time of the queue's clock, in seconds.
        """
        clock = getattr(self._factory.queue, "clock", None) or self._factory.clock
        return float(clock.seconds())

    def _lookAgain(self) -> None:
        address = self._transport.getPeer()
        # Transports make a new one each time they are asked.
        if address is self._address or address == self._address:
            return
        self._address, self._client = address, None
        self._peer = Client(
            host=hostOf(address),
            port=getattr(address, "port", 0),
            tls=tlsOf(self._transport),
            trusted=self._factory.isTrusted(address),
        )
