# -*- test-case-name: relaymail.test.testing.test_network -*-
"""
The ports of a machine in memory, and how connections to one are asked for.
"""

from __future__ import annotations

from errno import EADDRNOTAVAIL, ENETUNREACH
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, cast

from twisted.internet import defer
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.base import BaseConnector
from twisted.internet.defer import Deferred
from twisted.internet.error import (
    ConnectBindError,
    ConnectionRefusedError,
    NoRouteError,
)
from twisted.internet.interfaces import IListeningPort
from twisted.python.failure import Failure
from zope.interface import implementer

if TYPE_CHECKING:
    from relaymail.testing.machine import Machine
    from relaymail.testing.streams import Wire


def addressOf(host: str, port: int, kind: str = "TCP") -> Any:
    """
    Give an address as Twisted has it.
    """
    family: Any = IPv6Address if ip_address(host).version == 6 else IPv4Address
    return family(kind, host, port)


@implementer(IListeningPort)
class TCPPort:
    """
    A port that somebody listens on.

    @ivar factory: Builds the protocols.
    """

    def __init__(self, machine: Machine, interface: str, port: int, factory: Any):
        self.factory = factory
        self._machine = machine
        self._key = (interface, port)
        self._isOpen = False

    def startListening(self) -> None:
        """
        Listen.
        """
        self._machine.openPort(self._key, self)
        self._isOpen = True
        self.factory.doStart()

    def stopListening(self) -> Deferred[None]:
        """
        Listen no more; connections that are there stay.

        @return: Has fired.
        """
        if self._isOpen:
            self._isOpen = False
            self._machine.closePort(self._key)
            self.factory.doStop()
        return defer.succeed(None)

    # The name it has for factories that are services.
    loseConnection = stopListening

    def getHost(self) -> Any:
        """
        Give the address.
        """
        interface, port = self._key
        return addressOf(interface or "0.0.0.0", max(port, 0))


@implementer(IListeningPort)
class UDPPort:
    """
    A port for datagrams.

    @ivar protocol: Who is told of them.
    """

    def __init__(self, machine: Machine, interface: str, port: int, protocol: Any):
        self.protocol = protocol
        self._machine = machine
        self._key = (interface, port)
        self._isOpen = False

    def startListening(self) -> None:
        """
        Begin.
        """
        self._machine.openDatagramPort(self._key, self)
        self._isOpen = True
        self.protocol.makeConnection(self)

    def write(self, packet: bytes, addr: tuple[str, int] | None = None) -> None:
        """
        Send a datagram.

        @param addr: Where to.
        """
        if self._isOpen and addr is not None:
            self._machine.sendDatagram(packet, self.getHost(), addr)

    def stopListening(self) -> Deferred[None]:
        """
        Take no more.

        @return: Has fired.
        """
        if self._isOpen:
            self._isOpen = False
            self._machine.closeDatagramPort(self._key)
            self.protocol.doStop()
        return defer.succeed(None)

    loseConnection = stopListening

    def getHost(self) -> Any:
        """
        Give the address.
        """
        interface, port = self._key
        return addressOf(interface or self._machine.addressFor("0.0.0.0"), port, "UDP")

    def connect(self, host: str, port: int) -> None:
        """
        @raise NotImplementedError: Always; each datagram says where it goes.
        """
        raise NotImplementedError("give each write() its address")


class Connector(BaseConnector):  # type: ignore[misc]
    """
    One wish for a connection, again and again if its factory likes.
    """

    def __init__(
        self,
        machine: Machine,
        host: str,
        port: int,
        factory: Any,
        timeout: float,
        source: str | None = None,
    ) -> None:
        super().__init__(factory, timeout, cast(Any, machine))
        self._machine = machine
        self._destination = (host, port)
        self._source = source

    def getDestination(self) -> Any:
        """
        Give where it is to go.
        """
        return addressOf(*self._destination)

    def _makeTransport(self) -> Any:
        return Dialing(self, self._machine, *self._destination, self._source)


class Dialing:
    """
    A connection that is not there yet.

    @ivar isOver: Whether nobody waits for it any more.
    """

    def __init__(
        self,
        connector: Connector,
        machine: Machine,
        host: str,
        port: int,
        source: str | None = None,
    ) -> None:
        self.isOver = False
        self._connector = connector
        self._machine = machine
        self._host, self._port = host, port
        self._source = source or machine.addressFor(host)
        machine.dialings.add(self)
        if source is not None and not machine.mayComeFrom(source, host):
            error = ConnectBindError(EADDRNOTAVAIL, "Cannot assign requested address")
            machine.callLater(0, self.failIfNotConnected, error)
            return
        machine.network.tried.append((host, port))
        machine.network.note(f"{machine.name} dials {host}:{port}")
        machine.network.callLater(0, machine.network.dial, machine, host, port, self)

    def addresses(self) -> tuple[Any, Any]:
        """
        Give the address it comes from and the one it goes to.
        """
        near = addressOf(self._source, self._machine.freePort())
        return near, addressOf(self._host, self._port)

    def failIfNotConnected(self, reason: Exception) -> None:
        """
        Give up: it took too long, or is not wanted any more.
        """
        if not self.isOver:
            self.forget()
            self._connector.connectionFailed(Failure(reason))

    loseConnection = failIfNotConnected

    def forget(self) -> None:
        """
        Wait no longer; nobody is told.
        """
        self.isOver = True
        self._machine.dialings.discard(self)

    def refused(self) -> None:
        """
        Nobody listens there.
        """
        if not self.isOver:
            note = f"{self._machine.name} is refused by {self._host}:{self._port}"
            self._machine.network.note(note)
            self._machine.callLater(
                0, self.failIfNotConnected, ConnectionRefusedError()
            )

    def hasNoRoute(self) -> None:
        """
        There is no way there.
        """
        error = NoRouteError(ENETUNREACH, "Network is unreachable")
        self._machine.callLater(0, self.failIfNotConnected, error)

    def answered(self, wire: Wire) -> None:
        """
        The connection is there.
        """
        if self.isOver:
            wire.cut()
            return
        self._machine.callLater(0, self._open, wire)

    def _open(self, wire: Wire) -> None:
        if self.isOver:
            # Given up in the moment in which the answer came.
            wire.cut()
            return
        self.forget()
        end = wire.client
        protocol = self._connector.buildProtocol(end.getPeer())
        if protocol is None:
            wire.server.lost(ConnectionRefusedError())
            return
        self._connector.transport = cast(Any, end)
        end.whenLost(self._connector.connectionLost)
        end.open(protocol)
        if 0 in (wire.cutReceived, wire.cutSent):
            wire.cut()
