# -*- test-case-name: relaymail.test.deliver.test_connections -*-
"""
The connections of a relaying manager: those that are kept for mail to come, and
all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from relaymail.replies import Phase

_BEFORE_MAIL = frozenset(
    (Phase.CONNECT, Phase.GREETING, Phase.EHLO, Phase.STARTTLS, Phase.AUTH)
)


@dataclass(frozen=True, slots=True)
class Kept:
    """
    A connection that waits.

    @ivar attempt: Its attempt manager.
    @ivar relay: Its factory.
    @ivar relayer: What is told to resume or to leave.
    @ivar call: What ends the wait.
    """

    attempt: Any
    relay: Any
    relayer: Any
    call: IDelayedCall


class KeptConnections:
    """
    The connections that wait, the one that has waited longest first.
    """

    def __init__(self) -> None:
        self._kept: dict[Any, Kept] = {}

    def __len__(self) -> int:
        """
        Give their number.
        """
        return len(self._kept)

    def __iter__(self) -> Iterator[Kept]:
        """
        Give those that wait now; they may be told to go meanwhile.
        """
        return iter(list(self._kept.values()))

    def keep(
        self, attempt: Any, relay: Any, relayer: Any, reactor: Any, timeout: float
    ) -> None:
        """
        Keep a connection.

        @param timeout: For how long, in seconds.
        """
        call = reactor.callLater(timeout, self.letGo, relay)
        self._kept[relay] = Kept(attempt, relay, relayer, call)

    def forget(self, relay: Any) -> Kept | None:
        """
        Let a connection wait no longer.

        @return: It, or L{None} if it did not wait.
        """
        kept = self._kept.pop(relay, None)
        if kept is not None and kept.call.active():
            kept.call.cancel()
        return kept

    def resume(self, kept: Kept) -> None:
        """
        Let a connection go on with what it is given now.
        """
        if self.forget(kept.relay) is not None:
            kept.relayer.resume(kept.attempt.moreMessages(kept.relay))

    def letGo(self, relay: Any) -> None:
        """
        Let a connection end.
        """
        kept = self.forget(relay)
        if kept is not None:
            kept.relayer.leave()

    def letOldestGo(self) -> None:
        """
        Let the connection that has waited longest end.
        """
        oldest = next(iter(self._kept), None)
        if oldest is not None:
            self.letGo(oldest)


class Connections:
    """
    The connections being made, and those that are there, by the factory of
    their attempt.
    """

    def __init__(self) -> None:
        self._made: dict[Any, Any] = {}
        self._making: set[Deferred[Any]] = set()

    def making(self, connecting: Deferred[Any]) -> None:
        """
        Note that a connection is being made.

        @param connecting: Fires when it is there or cannot be had.
        """
        self._making.add(connecting)
        connecting.addBoth(self._tried, connecting)

    def made(self, relay: Any, relayer: Any) -> None:
        """
        Note that a connection is there.

        @param relay: The factory.
        @param relayer: What it built.
        """
        self._made[relay] = relayer

    def ownAddress(self, relay: Any) -> str:
        """
        Give the address of this machine that the connection of an attempt comes
        from; empty where there is none.
        """
        address: str = getattr(self._made.get(relay), "ownAddress", "")
        return address

    def tlsOf(self, relay: Any) -> Any:
        """
        Give the TLS connection (pyOpenSSL) of an attempt; L{None}: there is none.
        """
        transport = getattr(self._made.get(relay), "transport", None)
        return getattr(transport, "getHandle", lambda: None)()

    def ended(self, relay: Any) -> None:
        """
        Note that an attempt is over.
        """
        self._made.pop(relay, None)

    def giveUpMaking(self) -> None:
        """
        Stop making connections.
        """
        for connecting in list(self._making):
            connecting.cancel()

    def abortUnbegun(self) -> None:
        """
        Close, at once, the connections over which no transaction has begun.
        """
        for relay, relayer in list(self._made.items()):
            if getattr(relayer, "phase", None) in _BEFORE_MAIL:
                self.abort(relay)

    def abort(self, relay: Any) -> None:
        """
        Close the connection of an attempt at once, if there is one.
        """
        relayer = self._made.get(relay)
        if relayer is not None and relayer.transport is not None:
            relayer.transport.abortConnection()

    def _tried(self, result: Any, connecting: Deferred[Any]) -> Any:
        self._making.discard(connecting)
        return result
