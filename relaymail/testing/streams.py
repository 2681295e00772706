# -*- test-case-name: relaymail.test.testing.test_network -*-
"""
Bytes under way: what is written at one end of a connection arrives at the other
as the link between them has it.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
)
from twisted.python.failure import Failure

from relaymail.testing.links import Link

if TYPE_CHECKING:
    from relaymail.testing.machine import Machine
    from relaymail.testing.network import Network

#: How many bytes may be under way to an end that does not read, as with a TCP
#: window of the usual size.
WINDOW = 64 * 1024
#: How many bytes wait to be sent before a producer is told to pause.
BUFFER = 64 * 1024
#: How long a system tries to reach a peer that has gone silent, in seconds:
#: what Linux comes to with its usual settings.
GIVE_UP = 924.0


class Wire:
    """
    One connection.

    @ivar number: Which of the network's.
    @ivar client: The end that asked for it.
    @ivar server: The end that was asked.
    """

    def __init__(self, network: Network, number: int) -> None:
        self.network = network
        self.number = number
        self.chance = random.Random(f"{network.seed}/{number}")
        self.client: Stream
        self.server: Stream
        #: After how many bytes that the server got, and that the client got,
        #: the connection is cut.
        self.cutReceived: int | None = None
        self.cutSent: int | None = None

    def cut(self) -> None:
        """
        Break the connection: what is under way is lost, and both ends know at
        once.
        """
        self.network.note(f"{self} is cut")
        for end in (self.client, self.server):
            end.lost(ConnectionLost("the connection was cut"))

    def __str__(self) -> str:
        """
        Give the name for a transcript.
        """
        return f"#{self.number} {self.client.machine.name}>{self.server.machine.name}"


class Stream:
    """
    One end of a connection, as far as bytes go.

    @ivar machine: Where it is.
    @ivar wire: The connection.
    @ivar peer: The other end.
    @ivar protocol: What it is the transport of.
    @ivar written: How many bytes were written, those of TLS included.
    @ivar received: How many bytes were given to the protocol, those of TLS
        included.
    @ivar underWay: How many bytes were sent that the other end has not read.
    @ivar connected: Whether it is open.
    @ivar disconnecting: Whether it closes once all is sent.
    """

    disconnecting = False
    peer: Stream
    protocol: Any = None

    def __init__(self, machine: Machine, wire: Wire, host: Any, peer: Any) -> None:
        self.machine = machine
        self.wire = wire
        self.connected = False
        self.written = 0
        self.received = 0
        self._address, self._peerAddress = host, peer
        self._network = wire.network
        self._out: list[bytes] = []
        self._waiting = 0
        self.underWay = 0
        self._latest = 0.0
        self._isSending = False
        self._inbox: deque[bytes | Exception] = deque()
        self._isPaused = False
        self._producer: Any = None
        self._isStreaming = False
        self._producerPaused = False
        self._onLost: list[Callable[[Failure], None]] = []

    @property
    def isGone(self) -> bool:
        """
        Whether the machine went down with it.
        """
        return self.connected and self not in self.machine.ends

    def open(self, protocol: Any) -> None:
        """
        Give it a protocol, and begin.
        """
        self.connected = True
        self.protocol = protocol
        self.machine.ends[self] = None
        protocol.makeConnection(self)
        self._read()

    def holdUntil(self, when: float) -> None:
        """
        Let nothing that is sent arrive before a time, in seconds of the epoch.
        """
        self._latest = max(self._latest, when)

    def getPeer(self) -> Any:
        """
        Give the other end's address.
        """
        return self._peerAddress

    def getHost(self) -> Any:
        """
        Give this end's address.
        """
        return self._address

    def whenLost(self, call: Callable[[Failure], None]) -> None:
        """
        Have something called, with the reason, after the protocol was told
        that the connection is no more.
        """
        self._onLost.append(call)

    # What a transport asks.

    def put(self, data: bytes) -> None:
        """
        Send.
        """
        if not data or not self.connected:
            return
        self.machine.points.point(f"before a write to {self.peer.machine.name}")
        self._out.append(data)
        self._waiting += len(data)
        self.written += len(data)
        self._sendSoon()
        if self._waiting > BUFFER and self._producer and not self._producerPaused:
            self._producerPaused = True
            self._producer.pauseProducing()
        self.machine.points.point(f"after a write to {self.peer.machine.name}")

    def close(self) -> None:
        """
        Close, once all is sent.
        """
        if self.connected and not self.disconnecting:
            self.disconnecting = True
            self._sendSoon()

    def attach(self, producer: Any, streaming: bool) -> None:
        """
        Have a producer told when to pause and when to go on.

        @raise RuntimeError: When there is one already.
        """
        if self._producer is not None:
            raise RuntimeError("there is a producer already")
        self._producer, self._isStreaming = producer, streaming
        self._producerPaused = False
        if not self.connected:
            producer.stopProducing()
        elif not streaming:
            producer.resumeProducing()

    def detach(self) -> None:
        """
        Forget the producer.
        """
        self._producer = None
        if self.disconnecting:
            self._sendSoon()

    def abortConnection(self) -> None:
        """
        Break the connection; what was not sent is not.
        """
        if not self.connected or self.isGone:
            return
        self._out.clear()
        self._isPaused = True
        self.machine.callLater(0, self.lost, ConnectionAborted())
        self._network.callLater(
            self._arrival(), self.peer.arrived, ConnectionLost("reset by the peer")
        )

    def pauseProducing(self) -> None:
        """
        Read no more.
        """
        self._isPaused = True

    def resumeProducing(self) -> None:
        """
        Read on.
        """
        if self._isPaused:
            self._isPaused = False
            self._network.callLater(0, self._read)

    # What the network calls.

    def arrived(self, piece: bytes | Exception) -> None:
        """
        Take a segment, or the end of the connection.
        """
        if self.isGone:
            return self._unanswered()
        if self.connected or self.protocol is None:
            # Before there is a protocol, it is kept for that.
            self._inbox.append(piece)
            self._read()

    def lost(self, reason: Exception) -> None:
        """
        Close now.
        """
        if self.protocol is None:
            self._inbox.append(reason)
        if not self.connected or self.isGone:
            return
        self.connected = False
        self.machine.ends.pop(self, None)
        self._out.clear()
        self._inbox.clear()
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        failure = Failure(reason)
        self.protocol.connectionLost(failure)
        for call in self._onLost:
            call(failure)

    def leave(self) -> None:
        """
        The program is gone: its system sends what it wrote, and closes.
        """
        self._sendAll()
        self._network.transmit(self, self._arrival(), ConnectionDone())
        self.connected = False
        self._inbox.clear()

    def vanish(self, isSent: bool) -> None:
        """
        The machine is gone.

        @param isSent: Whether what was written was on its way by then.
        """
        if isSent:
            self._sendAll()
        self._out.clear()
        self._inbox.clear()

    def _read(self) -> None:
        while self._inbox and not self._isPaused and self.connected:
            piece = self._inbox.popleft()
            if isinstance(piece, Exception):
                return self.lost(piece)
            self._take(piece)

    def _take(self, piece: bytes) -> None:
        isServer = self.wire.server is self
        limit = self.wire.cutReceived if isServer else self.wire.cutSent
        isLast = limit is not None and self.received + len(piece) >= limit
        if limit is not None and isLast:
            piece = piece[: limit - self.received]
        self.received += len(piece)
        self.peer.consumed(len(piece))
        if piece:
            self.protocol.dataReceived(piece)
        if isLast:
            self.wire.cut()

    def consumed(self, count: int) -> None:
        """
        The other end has read so many bytes.
        """
        self.underWay -= count
        if self._out:
            self._sendSoon()

    def _unanswered(self) -> None:
        wait = 0.0 if self.machine.isUp else GIVE_UP
        reason = ConnectionLost("the peer knows nothing of this connection")
        self._network.callLater(wait + self._arrival(), self.peer.lost, reason)

    def _sendSoon(self) -> None:
        if not self._isSending:
            self._isSending = True
            self._network.callLater(0, self._send)

    def _send(self) -> None:
        self._isSending = False
        if not self.connected:
            return
        room = WINDOW - self.underWay
        if self._out and room > 0:
            data = b"".join(self._out)
            data, rest = data[:room], data[room:]
            self._out = [rest] if rest else []
            self._waiting = len(rest)
            self._transmit(data)
        if not self._out and not self.isGone:
            self._drained()

    def _sendAll(self) -> None:
        data, self._out = b"".join(self._out), []
        self._transmit(data)

    def _transmit(self, data: bytes) -> None:
        self.underWay += len(data)
        for piece in self._link().pieces(data, self.wire.chance):
            self._network.transmit(self, self._arrival(), piece)

    def _drained(self) -> None:
        producer = self._producer
        if producer is not None and (self._producerPaused or not self._isStreaming):
            self._producerPaused = False
            self.machine.callLater(0, self._goOn, producer)
        elif self.disconnecting:
            self._network.transmit(self, self._arrival(), ConnectionDone())
            self.lost(ConnectionDone())

    def _goOn(self, producer: Any) -> None:
        if producer is self._producer:
            producer.resumeProducing()
            if not self._isStreaming and not self._out:
                self._sendSoon()

    def _link(self) -> Link:
        return self._network.link(self.machine, self.peer.machine)

    def _arrival(self) -> float:
        """
        Give how long from now the next segment is under way: never less than
        those before it.
        """
        now = self._network.seconds()
        due = now + self._link().delay(self.wire.chance)
        self._latest = max(self._latest, due)
        return self._latest - now
