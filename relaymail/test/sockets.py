"""
Real connections over pairs of sockets, whose reactor only notes what it is asked
for: what is sent, and when, without a loop.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Server
from twisted.python.failure import Failure

from relaymail.test.turns import Turns


class NotingReactor(Turns):
    """
    Notes who wants to read and write.

    @ivar readers: Those who want to read.
    @ivar writers: Those who want to write.
    """

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[Any] = set()
        self.writers: set[Any] = set()

    def addReader(self, reader: Any) -> None:
        """
        Note one who wants to read.
        """
        self.readers.add(reader)

    def removeReader(self, reader: Any) -> None:
        """
        Note one who does not.
        """
        self.readers.discard(reader)

    def addWriter(self, writer: Any) -> None:
        """
        Note one who wants to write.
        """
        self.writers.add(writer)

    def removeWriter(self, writer: Any) -> None:
        """
        Note one who does not.
        """
        self.writers.discard(writer)


class PairServer(Server):
    """
    A connection whose socket is of no network.
    """

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        Do nothing: there is no delay.
        """


class Pair:
    """
    A connection and its peer.

    @ivar reactor: Notes what the connection asks for.
    @ivar transport: The connection.
    @ivar peer: The socket at the other end.
    """

    def __init__(
        self, protocol: Protocol, reactor: NotingReactor | None = None
    ) -> None:
        """
        @param protocol: What is told of the connection.
        @param reactor: The reactor, where it is not its own.
        """
        self.reactor = reactor or NotingReactor()
        self._socket, self.peer = socket.socketpair()
        self.peer.setblocking(False)
        no: Any = None
        at: Any = self.reactor
        here = ("127.0.0.1", 0)
        self.transport: Any = PairServer(self._socket, protocol, here, no, 0, at)
        protocol.makeConnection(self.transport)

    def endTurn(self) -> bytes:
        """
        Let the reactor's turn end, and give what the peer finds.
        """
        self.reactor.advance(0)
        return self.received()

    def close(self) -> None:
        """
        Close both ends.
        """
        self._socket.close()
        self.peer.close()

    def received(self) -> bytes:
        """
        Give what the peer finds.
        """
        pieces = []
        try:
            while piece := self.peer.recv(1 << 16):
                pieces.append(piece)
        except BlockingIOError:
            pass
        return b"".join(pieces)

    def turns(self) -> bytes:
        """
        Let the turn end, and then the reactor write as long as it is asked to and
        the peer reads; give what the peer finds.
        """
        pieces = [self.endTurn()]
        while self.reactor.writers:
            for writer in list(self.reactor.writers):
                why = writer.doWrite()
                if why is not None:
                    self.reactor.removeWriter(writer)
                    writer.connectionLost(Failure(why))
            pieces.append(self.endTurn())
        return b"".join(pieces)
