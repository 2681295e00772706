# -*- test-case-name: relaymail.test.testing.test_network -*-
"""
A machine in memory, which is the reactor of the programs that run on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from twisted.internet.base import DelayedCall
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IReactorSSL,
    IReactorTCP,
    IReactorTime,
    IReactorUDP,
)
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from relaymail.testing.crashes import CrashPoints
from relaymail.testing.ports import Connector, Dialing, TCPPort, UDPPort

if TYPE_CHECKING:
    from relaymail.testing.network import Network
    from relaymail.testing.streams import Stream

#: Stands for all ports.
EVERY_PORT = -1
#: The first port that is given to who asks for none, and the number of them.
FIRST_FREE = 32768
FREE_PORTS = 28000


@implementer(IReactorTime, IReactorTCP, IReactorSSL, IReactorUDP)
class Machine:
    """
    A machine with addresses: time, TCP, TLS and UDP for programs.

    It can go down: by L{kill}, which is the end of its programs only, or by
    L{cutPower}.  What they had asked for does not happen any more, and they are
    not told.  What is asked of it afterwards is asked by new programs.

    @ivar network: Where it is.
    @ivar addresses: Its addresses.
    @ivar name: What it is called in a transcript.
    @ivar points: The moments at which it may crash by itself: before and after
        each write to a connection, and whatever else is made to pass them.
    @ivar isUp: Whether it runs.
    @ivar ends: The ends of its connections.
    @ivar dialings: The connections it waits for.
    """

    def __init__(self, network: Network, addresses: Sequence[str], name: str) -> None:
        self.network = network
        self.addresses = tuple(addresses)
        self.name = name
        self.points = CrashPoints()
        self.isUp = True
        self.ends: dict[Stream, None] = {}
        self.dialings: set[Dialing] = set()
        self._ports: dict[tuple[str, int], TCPPort] = {}
        self._datagramPorts: dict[tuple[str, int], UDPPort] = {}
        self._calls: dict[DelayedCall, None] = {}
        self._nextPort = 0

    # Time.

    def seconds(self) -> float:
        """
        Give the time, in seconds of the epoch.
        """
        return self.network.seconds()

    def callLater(
        self, delay: float, callable: Callable[..., Any], *args: object, **kw: object
    ) -> DelayedCall:
        """
        Call a function later, if the machine does not go down before.
        """
        call = self.network.callLater(delay, self._make, callable, args, kw)
        # What is called is told by the call itself, so it can be forgotten.
        call.args = (call, *call.args)
        self._calls[call] = None
        return call

    def callFromThread(
        self, callable: Callable[..., Any], *args: object, **kw: object
    ) -> None:
        """
        Call a function soon; there are no threads here.
        """
        self.callLater(0, callable, *args, **kw)

    def getDelayedCalls(self) -> list[DelayedCall]:
        """
        Give the calls that are pending.
        """
        return [call for call in self._calls if call.active()]

    def _make(
        self, call: DelayedCall, function: Callable[..., Any], args: Any, kw: Any
    ) -> None:
        self._calls.pop(call, None)
        if not self.points.isDown:
            function(*args, **kw)

    # Connections.

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float = 30,
        bindAddress: Any = None,
    ) -> Connector:
        """
        Connect to an address.

        @param host: The network address.
        @param timeout: How long to wait, in seconds.
        @param bindAddress: The address that it is to come from, and a port that is
            not used, or L{None}.  One that the machine has not, or of another
            family, fails it.
        """
        source = None if bindAddress is None else bindAddress[0]
        connector = Connector(self, host, port, factory, timeout, source)
        connector.connect()
        return connector

    def connectSSL(self, *args: Any, **kw: Any) -> Any:
        """
        @raise NotImplementedError: Always; wrap a client endpoint instead.
        """
        raise NotImplementedError("use wrapClientTLS around a TCP endpoint")

    def listenTCP(
        self, port: int, factory: Any, backlog: int = 50, interface: str = ""
    ) -> TCPPort:
        """
        Listen.

        @param port: The port; 0 for one that is free, L{EVERY_PORT} for every
            one that nobody else listens on.
        @param backlog: Not used.
        @param interface: The address; empty for all.

        @raise CannotListenError: When somebody listens there.
        """
        listening = TCPPort(self, interface, port or self.freePort(), factory)
        listening.startListening()
        return listening

    def listenSSL(
        self,
        port: int,
        factory: Any,
        contextFactory: Any,
        backlog: int = 50,
        interface: str = "",
    ) -> TCPPort:
        """
        Listen, with TLS from the first byte.
        """
        wrapped = TLSMemoryBIOFactory(contextFactory, False, factory, self)
        return self.listenTCP(port, wrapped, backlog, interface)

    def listening(self, host: str, port: int) -> Any:
        """
        Give the factory of who listens, L{None} if nobody does.
        """
        for number in (port, EVERY_PORT):
            for interface in (host, "", "0.0.0.0", "::"):
                found = self._ports.get((interface, number))
                if found is not None:
                    return found.factory
        return None

    def openPort(self, key: tuple[str, int], port: TCPPort) -> None:
        """
        Take a port.

        @raise CannotListenError: When somebody has it.
        """
        if key in self._ports:
            raise CannotListenError(*key, OSError(98, "Address already in use"))
        self._ports[key] = port

    def closePort(self, key: tuple[str, int]) -> None:
        """
        Give a port back.
        """
        self._ports.pop(key, None)

    # Datagrams.

    def listenUDP(  # type: ignore[override]
        self, port: int, protocol: Any, interface: str = "", maxPacketSize: int = 8192
    ) -> UDPPort:
        """
        Take datagrams.

        @param port: The port; 0 for one that is free.
        @param interface: The address; empty for the first.
        @param maxPacketSize: Not used.
        """
        opened = UDPPort(self, interface, port or self.freePort(), protocol)
        opened.startListening()
        return opened

    def openDatagramPort(self, key: tuple[str, int], port: UDPPort) -> None:
        """
        Take a port for datagrams.

        @raise CannotListenError: When somebody has it.
        """
        if key in self._datagramPorts:
            raise CannotListenError(*key, OSError(98, "Address already in use"))
        self._datagramPorts[key] = port

    def closeDatagramPort(self, key: tuple[str, int]) -> None:
        """
        Give a port for datagrams back.
        """
        self._datagramPorts.pop(key, None)

    def sendDatagram(self, packet: bytes, source: Any, to: tuple[str, int]) -> None:
        """
        Send a datagram; nobody hears whether it arrives.
        """
        if not self.points.isDown:
            self.network.sendDatagram(self, packet, (source.host, source.port), to)

    def takeDatagram(self, packet: bytes, source: tuple[str, int], port: int) -> None:
        """
        Hand a datagram to who waits at a port.
        """
        for (_, number), opened in list(self._datagramPorts.items()):
            if number == port:
                opened.protocol.datagramReceived(packet, source)
                return

    # Addresses.

    def addressFor(self, host: str) -> str:
        """
        Give the address that speaks to another one: of its family, if there
        is one.
        """
        version = ip_address(host).version
        alike = (a for a in self.addresses if ip_address(a).version == version)
        return next(alike, self.addresses[0])

    def mayComeFrom(self, source: str, host: str) -> bool:
        """
        Tell whether a connection to an address can come from one of this machine.
        """
        isAlike = ip_address(source).version == ip_address(host).version
        return isAlike and source in self.addresses

    def freePort(self) -> int:
        """
        Give a port that nobody asked for.
        """
        self._nextPort = (self._nextPort + 1) % FREE_PORTS
        return FIRST_FREE + self._nextPort

    # Going down.

    def kill(self) -> None:
        """
        End all programs at once, as by a signal nobody can refuse: the system
        still sends what they wrote, and closes their connections.
        """
        self.network.note(f"{self.name}: its programs are killed")
        ends = self._goDown()
        for end in ends:
            end.leave()
        self.isUp = True
        self.points.heal()

    def cutPower(self) -> None:
        """
        Stop the machine at once: nobody hears anything of it until L{boot}.
        """
        self.network.note(f"{self.name}: its power is cut")
        keeps = bool(self.network.chance.getrandbits(1))
        for end in self._goDown():
            end.vanish(keeps)
        self.isUp = False

    def boot(self) -> None:
        """
        Start the machine, with no program.
        """
        self.network.note(f"{self.name} boots")
        self.isUp = True
        self.points.heal()

    def _goDown(self) -> list[Stream]:
        ends, self.ends = list(self.ends), {}
        calls, self._calls = self._calls, {}
        for call in calls:
            if call.active():
                call.cancel()
        for dialing in list(self.dialings):
            dialing.forget()
        self._ports.clear()
        self._datagramPorts.clear()
        return ends
