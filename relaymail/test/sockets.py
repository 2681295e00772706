"""
Real connections over pairs of sockets, whose reactor only notes what it is asked
for: what is sent, and when, without a loop.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.tcp import Server


class NotingReactor(Clock):
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

    def __init__(self, protocol: Protocol) -> None:
        """
        @param protocol: What is told of the connection.
        """
        self.reactor = NotingReactor()
        self._socket, self.peer = socket.socketpair()
        self.peer.setblocking(False)
        port: Any = None
        reactor: Any = self.reactor
        here = ("127.0.0.1", 0)
        self.transport: Any = PairServer(self._socket, protocol, here, port, 0, reactor)
        protocol.makeConnection(self.transport)

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
        Let the reactor write as long as it is asked to and the peer reads, and
        give what the peer finds.
        """
        pieces = [self.received()]
        while self.reactor.writers and self.transport.doWrite() is None:
            pieces.append(self.received())
        return b"".join([*pieces, self.received()])
