# -*- test-case-name: relaymail.test.route.test_connector -*-
"""
From a host's name to a connection: its addresses are looked up first, each is
checked, and then they are tried one after the other.  A host on this machine that
has a socket instead is connected to by its path.
"""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
    wrapClientTLS,
)
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.interfaces import IProtocol, IProtocolFactory

from relaymail.errors import RouteError
from relaymail.replies import Phase, Trouble, TroubleKind, printable
from relaymail.route.destinations import DestinationPolicy
from relaymail.route.hosts import Host
from relaymail.route.lookup import lookupAddresses
from relaymail.route.tlscontexts import creatorFor

#: How many addresses of one host are tried in one attempt; RFC 5321 5.1 asks
#: for two at the least, and each that is silent costs a time-out.
MAX_TRIES = 4

#: What keeps from a socket, with what to do, by the system's number for it.
_SOCKET_TROUBLES: dict[Any, tuple[TroubleKind, str]] = {
    errno.ENOENT: (
        TroubleKind.UNREACHABLE,
        "there is no socket {path}: see whether the mail store runs, and where it "
        "makes its socket",
    ),
    errno.ENOTDIR: (
        TroubleKind.UNREACHABLE,
        "there is no socket {path}: a part of the path is not a directory",
    ),
    errno.EACCES: (
        TroubleKind.UNREACHABLE,
        "the user that this relay runs as may not use the socket {path}: give it the "
        "right to write there, and to enter the directories above",
    ),
    errno.EPERM: (
        TroubleKind.UNREACHABLE,
        "the system lets this relay not use the socket {path}",
    ),
    errno.ENOTSOCK: (TroubleKind.UNREACHABLE, "{path} is not a socket"),
    errno.EPROTOTYPE: (
        TroubleKind.UNREACHABLE,
        "{path} is a socket of another kind than mail is given to",
    ),
    errno.ECONNREFUSED: (
        TroubleKind.REFUSED,
        "nobody listens on the socket {path}: see whether the mail store runs",
    ),
}


class Connector:
    """
    Connects to hosts.

    @ivar reactor: Where to connect.
    @ivar resolver: Looks up addresses.
    @ivar policy: Which addresses are connected to; L{None} for all.
    @ivar timeout: How long to wait for each address, in seconds.
    """

    def __init__(
        self,
        reactor: Any,
        resolver: Any,
        policy: DestinationPolicy | None = None,
        timeout: float = 30.0,
    ) -> None:
        """
        @param reactor: An L{IReactorTCP
            <twisted.internet.interfaces.IReactorTCP>} provider.
        @param resolver: See L{lookupAddresses
            <relaymail.route.lookup.lookupAddresses>}.
        """
        self.reactor = reactor
        self.resolver = resolver
        self.policy = policy
        self.timeout = timeout

    def connect(
        self, host: Host, port: int, factory: IProtocolFactory
    ) -> Deferred[IProtocol]:
        """
        Connect to a host.

        @param host: The host.
        @param port: The port.
        @param factory: Builds the protocol, once an address was reached.

        @return: Fires with the protocol.  Fails with the last address's
            reason, or with L{RouteError <relaymail.errors.RouteError>} where
            there is no address or none that may be connected to.
        """
        return Deferred.fromCoroutine(self._connect(host, port, factory))

    def addressesFor(self, host: Host, port: int) -> Deferred[list[str]]:
        """
        Name the addresses of a host that L{connect} tries, in their order.

        @param host: The host.
        @param port: The port.

        @return: Fires with at least one; that of a socket is its path.  Fails
            with L{RouteError <relaymail.errors.RouteError>} where there is no
            address or none that may be connected to.
        """
        if host.path is not None:
            return defer.succeed([host.path])
        found = lookupAddresses(self.resolver, host.name)
        return found.addCallback(
            lambda addresses: self._permitted(addresses, host, port)[:MAX_TRIES]
        )

    async def _connect(self, host: Host, port: int, factory: IProtocolFactory) -> Any:
        if host.path is not None:
            return await self._connectSocket(host.path, factory)
        *first, last = await self.addressesFor(host, port)
        for address in first:
            try:
                return await self._endpoint(address, host, port).connect(factory)
            except (defer.CancelledError, ConnectingCancelledError):
                raise
            except Exception:
                # The last address's reason is as good as any.
                continue
        return await self._endpoint(last, host, port).connect(factory)

    async def _connectSocket(self, path: str, factory: IProtocolFactory) -> Any:
        endpoint = UNIXClientEndpoint(self.reactor, path, self.timeout)
        try:
            return await endpoint.connect(factory)
        except ConnectError as e:
            if e.osError not in _SOCKET_TROUBLES:
                raise
            kind, words = _SOCKET_TROUBLES[e.osError]
            told = words.format(path=path)
            raise RouteError(Trouble(Phase.CONNECT, kind, printable(told))) from e

    def _permitted(self, addresses: list[str], host: Host, port: int) -> list[str]:
        if self.policy is None or host.named:
            return addresses
        troubles = [self.policy.trouble(address, port) for address in addresses]
        for trouble in troubles:
            # A host that is this relay under one address is it under all.
            if trouble is not None and trouble.kind is TroubleKind.LOOP:
                raise RouteError(trouble)
        left = [a for a, t in zip(addresses, troubles, strict=True) if t is None]
        if not left:
            raise RouteError(
                troubles[0] or Trouble(Phase.CONNECT, TroubleKind.FORBIDDEN)
            )
        return left

    def _endpoint(self, address: str, host: Host, port: int) -> Any:
        kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
        endpoint = kind(self.reactor, address, port, timeout=self.timeout)
        creator = creatorFor(host) if host.implicitTLS else None
        return endpoint if creator is None else wrapClientTLS(creator, endpoint)
