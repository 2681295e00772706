# -*- test-case-name: relaymail.test.test_prompt -*-
"""
Writing at the end of a turn of the reactor.

A transport that is written to asks its reactor to tell it when the socket takes
something, is told so in the next turn, and asks not to be told any more.  The
sockets of a dialogue of short lines are empty nearly always: they are told at the
end of the turn without the operating system being asked, and only those that do
not take all are watched.  What is written to several in a turn is sent one after
the other, which is cheaper than sending each at once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReadWriteDescriptor
from twisted.internet.main import CONNECTION_DONE
from twisted.internet.protocol import connectionDone
from twisted.internet.tcp import Connection
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import directlyProvides, providedBy

#: How many reactors are remembered.  A process has one, but a test may have its
#: own; of one that was forgotten there are two ends of turn, which do no harm.
_REACTORS = 4


def promptly(transport: Any) -> None:
    """
    Let a connection write at the end of each turn; the order of what is written,
    back-pressure, TLS and what is told of the connection's end stay as they are.

    @param transport: The transport of a protocol; all but those of sockets are
        left alone.
    """
    if isinstance(transport, Connection):
        reactor: Any = _endOfTurn(transport.reactor)
        transport.reactor = reactor


class EndOfTurn:
    """
    A reactor, as connections see it that write at the end of a turn.
    """

    log = Logger()

    def __init__(self, reactor: Any) -> None:
        """
        @param reactor: The reactor itself.
        """
        directlyProvides(self, providedBy(reactor))
        self._reactor = reactor
        # In the order in which they asked, which a set would not keep.
        self._asked: dict[IReadWriteDescriptor, None] = {}
        self._asking: dict[IReadWriteDescriptor, None] = {}
        self._watched: set[IReadWriteDescriptor] = set()
        self._call: IDelayedCall | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def addWriter(self, writer: IReadWriteDescriptor) -> None:
        """
        Let one write at the end of the turn.
        """
        if writer in self._watched:
            return
        call = self._call
        # A clock that was set back would put off the end of this turn by as much.
        if call is None or call.getTime() > self._reactor.seconds():
            if call is not None:
                call.cancel()
            self._call = self._reactor.callLater(0, self._end)
        self._asked[writer] = None

    def removeWriter(self, writer: IReadWriteDescriptor) -> None:
        """
        Let one write no more.
        """
        self._asked.pop(writer, None)
        self._asking.pop(writer, None)
        self._watched.discard(writer)
        self._reactor.removeWriter(writer)

    def _end(self) -> None:
        self._call = None
        asking, self._asked = self._asked, {}
        self._asking = asking
        while asking:
            writer = next(iter(asking))
            try:
                self._write(writer)
            except Exception:
                self._broken(writer, Failure())
            if writer in asking:
                del asking[writer]
                self._watch(writer)

    def _write(self, writer: IReadWriteDescriptor) -> None:
        # One that has written all asks to write no more.  What else went wrong
        # with the socket the reactor finds for itself, after it has read what
        # the peer said last.
        why: object = writer.doWrite()
        if why is CONNECTION_DONE:
            self._lose(writer, connectionDone)

    def _watch(self, writer: IReadWriteDescriptor) -> None:
        self._watched.add(writer)
        self._reactor.addWriter(writer)

    def _broken(self, writer: IReadWriteDescriptor, failure: Failure) -> None:
        # As the reactor does with whoever raises.
        self.log.failure("A connection broke when it could write", failure)
        try:
            self._lose(writer, failure)
        except Exception:
            self.log.failure("A protocol broke when its connection was lost")

    def _lose(self, writer: IReadWriteDescriptor, why: Failure) -> None:
        self.removeWriter(writer)
        self._reactor.removeReader(writer)
        writer.connectionLost(why)


@lru_cache(maxsize=_REACTORS)
def _endOfTurn(reactor: Any) -> EndOfTurn:
    return reactor if isinstance(reactor, EndOfTurn) else EndOfTurn(reactor)
