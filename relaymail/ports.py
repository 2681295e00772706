# -*- test-case-name: relaymail.test.test_ports -*-
"""
The ports on which a relay takes mail.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, ClassVar

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocol
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaymail.envelopes import Entrance
from relaymail.errors import ConfigurationError
from relaymail.intake.entrances import Opening
from relaymail.intake.implicittls import ImplicitTLS
from relaymail.intake.networks import Network, Networks
from relaymail.intake.peers import hostOf
from relaymail.intake.proxied import Announced
from relaymail.replies import printable

#: Makes the protocol for an address, and for an entrance where it is not that of
#: relays.
Build = Callable[..., IProtocol | None]

#: How many connections of proxies may be without a header at a time: as many as
#: the intake has of clients.
MAX_UNANNOUNCED = 1000


class Hall:
    """
    What is behind all doors.

    @ivar build: Makes the protocol for an address, or L{None} while the relay is
        closed.
    @ivar contextFactory: What TLS begins with, or L{None}.
    @ivar proxies: Who says first whom it speaks for.
    """

    log: ClassVar[Logger] = Logger()

    def __init__(self, reactor: Any) -> None:
        """
        @param reactor: What tells the time.
        """
        self.build: Build | None = None
        self.contextFactory: Any = None
        self.proxies = Networks()
        self._reactor = reactor
        self._tls: ImplicitTLS | None = None
        self._unannounced: set[Announced] = set()

    def welcome(self, address: Any, opening: Opening) -> IProtocol | None:
        """
        Let in whoever connects, by which kind of port it may be.
        """
        if self.build is None:
            return None
        if self.proxies and self.proxies.has(hostOf(address)):
            return self._announced(opening)
        return self.admit(opening, address)

    def admit(self, opening: Opening, address: Any) -> IProtocol | None:
        """
        Let in a client.
        """
        build = self.build
        if build is None:
            return None
        if opening.entrance is Entrance.RELAY:
            protocol = build(address)
        else:
            protocol = build(address, entrance=opening.entrance)
        if protocol is None or not opening.isTLS:
            return protocol
        return self._secured(protocol)

    def cut(self) -> None:
        """
        Wait for no more headers.
        """
        for each in list(self._unannounced):
            each.cut()

    def _announced(self, opening: Opening) -> IProtocol | None:
        if len(self._unannounced) >= MAX_UNANNOUNCED:
            self.log.warn(
                "A connection of a proxy was closed: {count} others wait for their "
                "PROXY headers.",
                count=len(self._unannounced),
            )
            return None
        admit = partial(self.admit, opening)
        return Announced(admit, self._reactor, self._unannounced)

    def _secured(self, protocol: IProtocol) -> IProtocol | None:
        if self.contextFactory is None:
            return None
        tls = self._tls
        if tls is None or tls.contextFactory is not self.contextFactory:
            tls = self._tls = ImplicitTLS(self.contextFactory, self._reactor)
        return tls.around(protocol)


class Door(ServerFactory):
    """
    Listens before there is anything to talk to: ports are opened with
    privileges, the queue without.

    @ivar hall: What is behind it.
    @ivar opening: What it is.
    """

    noisy = False

    def __init__(self, hall: Hall, opening: Opening) -> None:
        """
        @param hall: What is behind it.
        @param opening: What it is.
        """
        self.hall = hall
        self.opening = opening

    def buildProtocol(self, addr: Any) -> Any:
        """
        Let somebody in.
        """
        return self.hall.welcome(addr, self.opening)


class Ports:
    """
    Some endpoints that are listened on, and one hall behind all of them.
    """

    def __init__(self, reactor: Any) -> None:
        """
        @param reactor: What listens.
        """
        self._reactor = reactor
        self._hall = Hall(reactor)
        self._ports: dict[str, IListeningPort] = {}
        self._doors: dict[str, Door] = {}

    @property
    def listening(self) -> list[IListeningPort]:
        """
        What listens, in the order of the endpoints.
        """
        return list(self._ports.values())

    @property
    def addresses(self) -> list[Any]:
        """
        The addresses that are listened on, in the order of the endpoints.
        """
        return [port.getHost() for port in self._ports.values()]

    @property
    def openings(self) -> list[Opening]:
        """
        What is listened on, in the order of the endpoints.
        """
        return [self._doors[endpoint].opening for endpoint in self._ports]

    def __str__(self) -> str:
        return ", ".join(map(_shown, self.addresses, self.openings)) or "no port"

    def letIn(
        self,
        build: Build | None,
        contextFactory: Any = None,
        proxies: Iterable[Network] = (),
    ) -> None:
        """
        Let clients in, or nobody.

        @param build: Makes the protocol for an address, and for an C{entrance}
            where it is not that of relays.
        @param contextFactory: What TLS begins with on ports that speak nothing
            else.
        @param proxies: Who says first whom it speaks for.
        """
        hall = self._hall
        hall.build, hall.contextFactory = build, contextFactory
        hall.proxies = Networks(proxies)
        if build is None:
            hall.cut()

    def listen(self, openings: Iterable[Opening]) -> list[str]:
        """
        Listen on some endpoints more, on all of them or on none.

        @param openings: What they are; what is listened on already is not opened
            again, but is from then on what it is said to be.

        @return: The endpoints that are listened on only now.

        @raise ConfigurationError: When one of them cannot be had.
        """
        failed: list[str] = []
        told = {each.endpoint: each for each in openings}
        new = [endpoint for endpoint in told if endpoint not in self._ports]
        # All are read before one is opened.
        read = [(e, checkEndpoint(e, self._reactor)) for e in new]
        for endpoint, one in read:
            door = self._doors[endpoint] = Door(self._hall, told[endpoint])
            d: Deferred[Any] = maybeDeferred(one.listen, door)
            d.addCallback(partial(self._ports.__setitem__, endpoint))
            d.addErrback(_noteFailure, endpoint, failed)
        if failed:
            self.close(new).addErrback(lambda _: None)
            raise ConfigurationError(failed[0])
        for endpoint, opening in told.items():
            self._doors[endpoint].opening = opening
        return new

    def close(self, endpoints: Iterable[str] | None = None) -> Deferred[None]:
        """
        Listen no longer.

        @param endpoints: Where; L{None}: nowhere, and for no header of a proxy is
            waited any more.

        @return: Fires when the ports are closed.
        """
        names = list(self._ports) if endpoints is None else list(endpoints)
        ports = [self._ports.pop(name) for name in names if name in self._ports]
        for name in names:
            self._doors.pop(name, None)
        if endpoints is None:
            self._hall.cut()
        return Deferred.fromCoroutine(_stopAll(ports))

    def order(self, endpoints: Iterable[str]) -> None:
        """
        Give the endpoints an order, which is that of L{addresses}.
        """
        self._ports = {e: self._ports[e] for e in endpoints if e in self._ports}


def checkEndpoint(description: str, reactor: Any = None) -> Any:
    """
    Read the description of an endpoint; nothing is opened.

    @param reactor: The reactor it will listen with.

    @return: An L{IStreamServerEndpoint
        <twisted.internet.interfaces.IStreamServerEndpoint>}.

    @raise ConfigurationError: When it is not one.
    """
    try:
        return serverFromString(reactor, description)
    except Exception as e:
        # Each kind of endpoint has its own parser, which raises what it likes.
        raise ConfigurationError(
            f"{description!r} is not an endpoint to listen on ({e}): "
            "write such as tcp:25 or tcp:2525:interface=127.0.0.1"
        ) from e


def _shown(address: Any, opening: Opening) -> str:
    """
    Give an address as people write it, with the kind of port where it is not the
    usual one.
    """
    if isinstance(address, IPv6Address):
        text = f"[{address.host}]:{address.port}"
    elif isinstance(address, IPv4Address):
        text = f"{address.host}:{address.port}"
    else:
        name = getattr(address, "name", None)
        text = str(address) if name is None else printable(os.fsdecode(name))
    return text if opening.kind == "smtp" else f"{text} ({opening.kind})"


def _noteFailure(failure: Failure, endpoint: str, failed: list[str]) -> None:
    why = failure.value
    if isinstance(why, CannotListenError):
        why = why.socketError
    failed.append(
        f"cannot listen on {endpoint!r}: {getattr(why, 'strerror', None) or why}"
    )


async def _stopAll(ports: list[IListeningPort]) -> None:
    for port in ports:
        await maybeDeferred(port.stopListening)
