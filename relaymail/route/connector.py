# -*- test-case-name: relaymail.test.route.test_connector -*-
"""
From a host's name to a connection: its addresses are looked up first, each is
checked, and then they are tried as L{relaymail.route.racing} says; the first that
connects is it.  A host on this machine that has a socket instead is connected to by
its path.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure

from relaymail.errors import RouteError
from relaymail.replies import Phase, Trouble, TroubleKind, printable
from relaymail.route.destinations import DestinationPolicy
from relaymail.route.dialing import Addresses, NotReached, Target, notReached
from relaymail.route.hosts import Host
from relaymail.route.lookup import lookupAddresses
from relaymail.route.memory import AddressMemory
from relaymail.route.racing import MAX_TRIES, familyOf, withSource
from relaymail.route.tlscontexts import creatorFor
from relaymail.route.tlssessions import TLSSessions

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
    @ivar memory: Which addresses connected lately.
    @ivar sessions: The TLS sessions that are taken up where TLS begins with the
        connection, by whichever address; L{None} for none.
    """

    def __init__(
        self,
        reactor: Any,
        resolver: Any,
        policy: DestinationPolicy | None = None,
        timeout: float = 30.0,
        memory: AddressMemory | None = None,
        sessions: TLSSessions | None = None,
    ) -> None:
        """
        @param reactor: An L{IReactorTCP
            <twisted.internet.interfaces.IReactorTCP>} and L{IReactorTime
            <twisted.internet.interfaces.IReactorTime>} provider.
        @param resolver: See L{lookupAddresses
            <relaymail.route.lookup.lookupAddresses>}.
        @param memory: See C{memory}; L{None} for one of its own.
        @param sessions: See C{sessions}.
        """
        self.reactor = reactor
        self.resolver = resolver
        self.policy = policy
        self.timeout = timeout
        self.memory = AddressMemory() if memory is None else memory
        self.sessions = sessions

    def connect(
        self, host: Host, port: int, factory: IProtocolFactory
    ) -> Deferred[IProtocol]:
        """
        Connect to a host.

        Its addresses are begun one after the other, L{STAGGER
        <relaymail.route.racing.STAGGER>} apart or when the one before has failed.
        The first that connects is it; the others are given up, and their answers
        not waited for.

        @param host: The host.
        @param port: The port.
        @param factory: Builds the protocol, once an address was reached, and is not
            asked for another.

        @return: Fires with the protocol, within C{timeout} seconds for the addresses
            that are begun first and as many for those begun in place of such that
            failed.  Fails with L{NotReached}, or with L{RouteError
            <relaymail.errors.RouteError>} where there is no address or none that
            may be connected to.
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
        return self._addressesOf(self._target(host, port))

    async def _connect(self, host: Host, port: int, factory: IProtocolFactory) -> Any:
        if host.path is not None:
            return await self._connectSocket(host.path, factory)
        target = self._target(host, port)
        addresses = await self._addressesOf(target)
        endpoint: IStreamClientEndpoint
        if len(addresses) == 1:
            endpoint = target.endpoint(addresses[0])
        else:
            endpoint = Addresses(target, addresses, self.memory)
        creator = None
        if host.implicitTLS:
            now = self.reactor.seconds()
            creator = creatorFor(host, self.sessions, now=now)
        if creator is not None:
            endpoint = wrapClientTLS(creator, endpoint)
        try:
            return await endpoint.connect(factory)
        except NotReached:
            raise
        except ConnectError:
            why = target.whyNot(Failure(), addresses[0])
            raise notReached([(addresses[0], why)], port) from None

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

    def _target(self, host: Host, port: int) -> Target:
        return Target(self.reactor, host, port, self.timeout, self.policy)

    def _addressesOf(self, target: Target) -> Deferred[list[str]]:
        found = lookupAddresses(self.resolver, target.host.name)
        return found.addCallback(self._inOrder, target)

    def _inOrder(self, addresses: list[str], target: Target) -> list[str]:
        left = withSource(addresses, target.host.source)
        if not left:
            raise RouteError(_noSource(addresses, target.host))
        permitted = _permitted(left, target)
        if len(permitted) == 1:
            return permitted
        return self.memory.inOrder(permitted, self.reactor.seconds())[:MAX_TRIES]


def _permitted(addresses: Sequence[str], target: Target) -> list[str]:
    if target.policy is None or target.host.named:
        return list(addresses)
    troubles = [target.trouble(address) for address in addresses]
    for trouble in troubles:
        # A host that is this relay under one address is it under all.
        if trouble is not None and trouble.kind is TroubleKind.LOOP:
            raise RouteError(trouble)
    left = [a for a, t in zip(addresses, troubles, strict=True) if t is None]
    if not left:
        raise RouteError(troubles[0] or Trouble(Phase.CONNECT, TroubleKind.FORBIDDEN))
    return left


def _noSource(addresses: Sequence[str], host: Host) -> Trouble:
    family, other = familyOf(addresses[0]), familyOf(host.source[0])
    told = (
        f"{host.name} has {family.value} addresses only ({', '.join(addresses)}), and "
        f"connections to it are to come from {', '.join(host.source)}: name an "
        f"{family.value} address of this machine beside the {other.value} one"
    )
    # It is not the host that is wrong, and another one of the route may do.
    return Trouble(Phase.RESOLVE, TroubleKind.UNREACHABLE, printable(told))
