# -*- test-case-name: relaymail.test.intake.test_proxied -*-
"""
Connections of proxies, which say first whom they speak for.

Nothing is said and nothing is decided before that is known: who connects, by how
many connections, and from which network is asked of the client's address, not of
the proxy's.  Who is no proxy is never asked for a header, and an address that a
proxy names is never taken for a proxy itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IProtocol, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaymail.dialogue.proxyheader import Header, HeaderReader, Malformed, Said
from relaymail.intake.deadlines import Deadline
from relaymail.intake.peers import hostOf

#: How long a proxy may take for its header, in seconds: it is written at once when
#: the connection is made, and one packet may be lost on the way, and once more.
HEADER_SECONDS = 10.0

#: The address of a client of which the proxy does not say it.  The document would have
#: that of the proxy: that may be trusted, and this is somebody else.
_NOWHERE = IPv4Address("TCP", "", 0)

#: Makes the protocol for a client's address; L{None}: the client is sent away.
Admit = Callable[[IAddress], IProtocol | None]


class Announced(Protocol):
    """
    A connection of a proxy, up to the end of its header; then it is the client's.
    """

    log: ClassVar[Logger] = Logger()
    transport: Any

    def __init__(
        self,
        admit: Admit,
        clock: IReactorTime,
        waiting: set[Announced],
    ) -> None:
        """
        @param admit: Makes what talks with the client.
        @param clock: What tells the time.
        @param waiting: Those that wait for their headers.
        """
        self._admit = admit
        self._waiting = waiting
        self._reader = HeaderReader()
        self._deadline = Deadline(clock, self._tooLate)
        self._within: IProtocol | None = None
        self._isOver = False

    def connectionMade(self) -> None:
        """
        Wait for the header.
        """
        self._waiting.add(self)
        self._deadline.set(HEADER_SECONDS)

    def dataReceived(self, data: bytes) -> None:
        """
        Take a piece of the header.
        """
        if self._within is not None:
            self._within.dataReceived(data)
        elif not self._isOver:
            found = self._reader.feed(data)
            if isinstance(found, Malformed):
                self._refuse(found.why)
            elif found is not None:
                self._read(found)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Wait no more.
        """
        self._end()
        if self._within is not None:
            self._within.connectionLost(reason)

    def cut(self) -> None:
        """
        End the connection; nothing was said yet.
        """
        self._end()
        self.transport.abortConnection()

    def _read(self, header: Header) -> None:
        self._end()
        peer = self._peer(header)
        within = self._admit(peer)
        if within is None:
            self.transport.loseConnection()
            return
        transport = self.transport
        # As STARTTLS does it, too: from here on the connection is the client's, and
        # costs no more than one without a proxy.
        transport.getPeer = lambda: peer
        transport.protocol = within
        # One that has its protocol elsewhere goes on to tell us.
        self._within = within
        within.makeConnection(transport)
        if self._reader.rest:
            within.dataReceived(self._reader.rest)

    def _peer(self, header: Header) -> IAddress:
        source = header.source
        if header.said is Said.LOCAL:
            peer: IAddress = self.transport.getPeer()
            return peer
        if source is None:
            return _NOWHERE
        kind = IPv6Address if ":" in source.host else IPv4Address
        return kind("TCP", source.host, source.port)

    def _tooLate(self) -> None:
        self._refuse(f"there was none within {HEADER_SECONDS:g} seconds")

    def _refuse(self, why: str) -> None:
        self.log.warn(
            "The proxy {proxy} sent no PROXY header that can be read: {why}. Its "
            "connection is cut. Let it send one (send-proxy or send-proxy-v2), or do "
            "not name it in intake.proxies.",
            proxy=hostOf(self.transport.getPeer()),
            why=why,
        )
        self.cut()

    def _end(self) -> None:
        if not self._isOver:
            self._isOver = True
            self._deadline.stop()
            self._waiting.discard(self)
