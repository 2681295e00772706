# -*- test-case-name: relaymail.test.intake.test_connection -*-
"""
A connection that is not always looked at: while an answer is awaited, or the
client does not read its replies, nothing further of what it sends is looked at,
and soon nothing further is read.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.protocols.basic import LineReceiver
from zope.interface import implementer

from relaymail.intake.deadlines import Deadline

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from relaymail.intake.limits import Limits


class Hold(IntEnum):
    """
    Why nothing of what is received is looked at.
    """

    #: Our own judgement, or the queue, has not answered.
    ANSWER = 1
    #: The client does not read its replies.
    WRITING = 2
    #: The session is over.
    CLOSED = 3


@implementer(IHalfCloseableProtocol)
class HeldReceiver(LineReceiver):
    """
    Reads lines and raw octets, while there is no reason not to.

    A client that has said all it has to say may close its side of the connection and
    read on, as Exim does behind QUIT: what it has said is answered all the same.  Else
    it would not know that its message was taken, and send it again.
    """

    transport: Any

    def __init__(self, limits: Limits, clock: IReactorTime) -> None:
        """
        @param limits: The bounds.
        @param clock: What tells the time.
        """
        self._limits = limits
        self._holds: set[Hold] = set()
        self._stopsReading = False
        self._isAtEnd = False
        self._phase = Deadline(clock, self._phaseOver)
        self._message = Deadline(clock, self._phaseOver)

    def dataReceived(self, data: bytes) -> None:
        """
        Look at what was received, or keep it while something is awaited.
        """
        if Hold.CLOSED in self._holds:
            return
        LineReceiver.dataReceived(self, data)
        if self.paused and len(self._buffer) > self._limits.readAhead:
            self._stopReading()

    def pauseProducing(self) -> None:
        """
        Stop: the client does not read what is written to it.
        """
        # Under TLS a write may wait for something to be read, the handshake to
        # begin with: reading itself stops only when too much was received.
        self._hold(Hold.WRITING)

    def resumeProducing(self) -> None:
        """
        Go on: the client has read.
        """
        self._release(Hold.WRITING)

    def readConnectionLost(self) -> None:
        """
        End when all is answered: nothing more comes.
        """
        self._isAtEnd = True
        self._endIfDone()

    def writeConnectionLost(self) -> None:
        """
        Do nothing: only whole connections are closed from here.
        """

    def abort(self) -> None:
        """
        Cut the connection.
        """
        self.transport.abortConnection()

    def _hold(self, why: Hold) -> None:
        self._holds.add(why)
        self.paused = True

    def _release(self, why: Hold) -> None:
        self._holds.discard(why)
        if self._holds:
            return
        self.paused = False
        if self._stopsReading and not self._isAtEnd:
            self._stopsReading = False
            self.transport.resumeProducing()
        self.dataReceived(b"")
        if self._isAtEnd:
            self._endIfDone()

    def _endIfDone(self) -> None:
        if not (self._holds or self._busyReceiving):
            self._clientIsDone()

    def _stopReading(self) -> None:
        if not self._stopsReading:
            self._stopsReading = True
            self.transport.pauseProducing()

    def _clientIsDone(self) -> None:
        raise NotImplementedError("whoever reads says how a session ends")

    def _phaseOver(self) -> None:
        raise NotImplementedError("whoever reads says what a deadline means")
