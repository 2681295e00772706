# -*- test-case-name: relaymail.test.test_ports -*-
"""
The ports on which a relay takes mail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.python.failure import Failure

from relaymail.errors import ConfigurationError

Build = Callable[[Any], Protocol | None]


class Door(ServerFactory):
    """
    Listens before there is anything to talk to: ports are opened with
    privileges, the queue without.

    @ivar build: Makes the protocol for an address, or L{None} while the relay is
        closed.
    """

    noisy = False
    build: Build | None = None

    def buildProtocol(self, addr: Any) -> Protocol | None:
        """
        Let a client in.
        """
        return None if self.build is None else self.build(addr)


class Ports:
    """
    Some endpoints that are listened on, and one factory behind all of them.
    """

    def __init__(self, reactor: Any) -> None:
        """
        @param reactor: What listens.
        """
        self._reactor = reactor
        self._door = Door()
        self._ports: dict[str, IListeningPort] = {}

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

    def letIn(self, build: Build | None) -> None:
        """
        Let clients in, or nobody.

        @param build: Makes the protocol for an address.
        """
        self._door.build = build

    def listen(self, endpoints: Iterable[str]) -> list[str]:
        """
        Listen on some endpoints more, on all of them or on none.

        @param endpoints: Their descriptions; what is listened on already is left
            as it is.

        @return: Those that are listened on only now.

        @raise ConfigurationError: When one of them cannot be had.
        """
        failed: list[str] = []
        new = [e for e in dict.fromkeys(endpoints) if e not in self._ports]
        # All are read before one is opened.
        read = [(e, checkEndpoint(e, self._reactor)) for e in new]
        for endpoint, one in read:
            d: Deferred[Any] = maybeDeferred(one.listen, self._door)
            d.addCallback(partial(self._ports.__setitem__, endpoint))
            d.addErrback(_noteFailure, endpoint, failed)
        if failed:
            self.close(new).addErrback(lambda _: None)
            raise ConfigurationError(failed[0])
        return new

    def close(self, endpoints: Iterable[str] | None = None) -> Deferred[None]:
        """
        Listen no longer.

        @param endpoints: Where; L{None}: nowhere.

        @return: Fires when the ports are closed.
        """
        names = list(self._ports) if endpoints is None else list(endpoints)
        ports = [self._ports.pop(name) for name in names if name in self._ports]
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
