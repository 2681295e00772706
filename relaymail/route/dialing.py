# -*- test-case-name: relaymail.test.route.test_dialing -*-
"""
One connection out of several addresses: what L{relaymail.route.racing} says is done
here.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import (
    ConnectBindError,
    ConnectError,
    ConnectionRefusedError,
    NoRouteError,
    TimeoutError,
)
from twisted.internet.interfaces import (
    IDelayedCall,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from relaymail.errors import RouteError
from relaymail.replies import Phase, Trouble, TroubleKind, printable
from relaymail.route.destinations import DestinationPolicy
from relaymail.route.hosts import Host
from relaymail.route.memory import AddressMemory
from relaymail.route.racing import Race, sourceFor, troubleOfAll
from relaymail.route.troubles import troubleOf

#: What the system says of a source address that is not this machine's.
_NOT_OURS = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL})


class NotReached(RouteError, ConnectError):
    """
    No address of a host could be connected to.

    @ivar trouble: Why not, with all addresses that were tried.
    """

    def __init__(self, trouble: Trouble) -> None:
        RouteError.__init__(self, trouble)
        #: What the system calls it; all of it is in C{trouble}.
        self.osError = None

    def __str__(self) -> str:
        """
        Give what C{trouble} says.
        """
        return self.trouble.text


class _Refused(NotReached, ConnectionRefusedError):
    pass


class _TimedOut(NotReached, TimeoutError):
    pass


class _NoRoute(NotReached, NoRouteError):
    pass


class _NotBound(NotReached, ConnectBindError):
    pass


#: They are Twisted's errors too: a factory of a program's own may ask for those.
_CLASSES: dict[TroubleKind, type[NotReached]] = {
    TroubleKind.REFUSED: _Refused,
    TroubleKind.TIMEOUT: _TimedOut,
    TroubleKind.UNREACHABLE: _NoRoute,
    TroubleKind.LOCAL: _NotBound,
}


@dataclass(frozen=True, slots=True)
class Target:
    """
    A host and port to connect to.

    @ivar reactor: An L{IReactorTCP <twisted.internet.interfaces.IReactorTCP>} and
        L{IReactorTime <twisted.internet.interfaces.IReactorTime>} provider.
    @ivar host: The host.
    @ivar port: The port.
    @ivar timeout: How long to wait for each address, in seconds.
    @ivar policy: Which addresses are connected to; L{None} for all.
    """

    reactor: Any
    host: Host
    port: int
    timeout: float
    policy: DestinationPolicy | None

    def trouble(self, address: str) -> Trouble | None:
        """
        Judge whether an address of the host may be connected to.

        @return: L{None} where it may; else why not.
        """
        if self.policy is None or self.host.named:
            return None
        return self.policy.trouble(address, self.port)

    def endpoint(self, address: str) -> IStreamClientEndpoint:
        """
        Give what connects to an address of the host.
        """
        kind: Any = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
        source = self.host.source and sourceFor(address, self.host.source)
        bound = (source, 0) if source else None
        made: IStreamClientEndpoint = kind(
            self.reactor, address, self.port, self.timeout, bound
        )
        return made

    def whyNot(self, failure: Failure, address: str) -> Trouble:
        """
        Say why an address could not be connected to.
        """
        reason, told = failure.value, troubleOf(failure, Phase.CONNECT)
        if told.kind in (TroubleKind.REFUSED, TroubleKind.TIMEOUT):
            # There is no more to say of it.
            return Trouble(Phase.CONNECT, told.kind)
        if not isinstance(reason, ConnectError) or not reason.args[0]:
            return told
        words, kind = str(reason.args[0]), told.kind
        source = sourceFor(address, self.host.source)
        isNotOurs = isinstance(reason, ConnectBindError) and reason.osError in _NOT_OURS
        if source is not None and isNotOurs:
            words = (
                f"connections are to come from {source}, which is no address of this "
                f"machine: {words}"
            )
        elif isNotOurs:
            # This machine has nothing of the family at all.
            kind = TroubleKind.UNREACHABLE
        return Trouble(Phase.CONNECT, kind, printable(words))


def notReached(
    failed: Sequence[tuple[str, Trouble]], port: int, left: Sequence[str] = ()
) -> NotReached:
    """
    Give the error for a host of which no address could be connected to.

    @param failed: See L{troubleOfAll <relaymail.route.racing.troubleOfAll>}.
    """
    trouble = troubleOfAll(failed, port, left)
    return _CLASSES.get(trouble.kind, NotReached)(trouble)


@implementer(IStreamClientEndpoint)
class Addresses:
    """
    The addresses of a host, as one endpoint: it connects to the first that answers.
    """

    def __init__(
        self, target: Target, addresses: Sequence[str], memory: AddressMemory
    ) -> None:
        """
        @param target: The host.
        @param addresses: Its addresses in their order, each once.
        @param memory: Is told which of them connected.
        """
        self._target = target
        self._memory = memory
        self._race = Race(addresses, target.timeout)
        self._connecting: dict[str, Deferred[IProtocol]] = {}
        self._winner: str | None = None
        self._timer: IDelayedCall | None = None
        self._isOver = False

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect to the first that answers.

        @param protocolFactory: Builds the protocol; it is asked for one only.

        @return: Fires with the protocol.  Fails with L{NotReached}; with L{RouteError}
            where an address is that of this relay meanwhile; with what the factory
            failed with.  What is under way ends when it is cancelled.
        """
        self._factory = protocolFactory
        self._done: Deferred[IProtocol] = Deferred(self._cancelled)
        self._goOn()
        return self._done

    def reached(self, address: str, addr: Any) -> Any:
        """
        Build the protocol for the address that connects first, and none for another.

        @param address: The address.
        @param addr: The same, as Twisted has it.
        """
        if self._isOver:
            return None
        self._winner = address
        self._giveUp()
        overtaken, now = self._race.overtaken(address), self._target.reactor.seconds()
        self._memory.noteReached(address, overtaken, now)
        return self._factory.buildProtocol(addr)

    def doStart(self) -> None:
        """
        Tell the factory that an address is tried.
        """
        self._factory.doStart()

    def doStop(self) -> None:
        """
        Tell the factory that an address is not tried any more.
        """
        self._factory.doStop()

    def _goOn(self) -> None:
        """
        Begin what is to be begun now.
        """
        self._stopTimer()
        if self._isOver:
            return
        reactor = self._target.reactor
        now = reactor.seconds()
        wait = self._race.wait(now)
        if wait == 0:
            self._begin(self._race.begin(now))
            self._goOn()
        elif wait is not None:
            self._timer = reactor.callLater(wait, self._goOn)
        elif self._race.isLost:
            left = self._race.ahead
            self._end(notReached(self._race.failed, self._target.port, left))

    def _begin(self, address: str) -> None:
        # The first was judged in this turn, the others a while ago.
        trouble = self._target.trouble(address) if self._connecting else None
        if trouble is None:
            connecting = self._target.endpoint(address).connect(_Try(self, address))
            self._connecting[address] = connecting
            connecting.addCallbacks(
                self._connected, self._failed, errbackArgs=(address,)
            )
        elif trouble.kind is TroubleKind.LOOP:
            self._end(RouteError(trouble))
        else:
            self._race.fail(address, trouble)

    def _connected(self, protocol: IProtocol) -> None:
        self._done.callback(protocol)

    def _failed(self, failure: Failure, address: str) -> None:
        if address == self._winner:
            # It connected, and could not be used.
            self._done.errback(failure)
        elif not self._isOver:
            self._race.fail(address, self._target.whyNot(failure, address))
            self._memory.noteFailed(address, self._target.reactor.seconds())
            self._goOn()

    def _end(self, error: RouteError) -> None:
        self._giveUp()
        self._done.errback(error)

    def _cancelled(self, _: Any) -> None:
        self._winner = None
        self._giveUp()

    def _giveUp(self) -> None:
        """
        Wait for no address any more but for that which has connected.
        """
        self._isOver = True
        self._stopTimer()
        for address, connecting in self._connecting.items():
            if address != self._winner:
                connecting.cancel()

    def _stopTimer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None


@implementer(IProtocolFactory)
class _Try:
    """
    What is asked for a protocol when one address connects.
    """

    def __init__(self, addresses: Addresses, address: str) -> None:
        self._addresses = addresses
        self._address = address
        self.doStart, self.doStop = addresses.doStart, addresses.doStop

    def buildProtocol(self, addr: Any) -> Any:
        """
        Build it, if this is the first.
        """
        return self._addresses.reached(self._address, addr)
