# -*- test-case-name: relaymail.test.admin.test_channels -*-
"""
The connections of the control API: how many there are, how long they may take, and
what becomes of one whose request was refused before it was read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, HTTPFactory

from relaymail.admin.desk import Desk
from relaymail.admin.guarding import Rules, plainHost
from relaymail.admin.requests import ControlRequest
from relaymail.admin.views import addressView
from relaymail.intake.deadlines import Deadline

#: How many connections there may be at an entrance: each command has one.
MAX_CONNECTIONS = 64
#: How long a connection may be idle between two requests, in seconds: who watches
#: asks every few seconds.
IDLE = 60
#: How long the headers of a request may take, in seconds, however they are cut.
HEADER_PATIENCE = 15.0
#: How long a client may go on to send what is not read, in seconds: a connection
#: that was closed at once would take the answer with it.
LINGER = 2.0
#: How long requests may take to end when the relay goes down, in seconds.
STOP_PATIENCE = 3.0
#: How often it is told at most that somebody was not let in, in seconds.
TELL = 60.0
#: The most digits of a Content-Length.
_DIGITS = 18

_TOLD = b'{"error": "There are too many connections."}'
_TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
) % (len(_TOLD), _TOLD)


class ControlChannel(HTTPChannel):
    """
    A connection.

    What is asked for (C{_command}, C{_path} and C{_version}) is known to Twisted's
    own class alone before the body is read, and so is what waits to be parsed.
    """

    requestFactory = ControlRequest
    factory: ControlFactory
    transport: Any
    _buffer: bytes
    paused: bool
    _isReading = False
    _isOver = False
    _isLeaving = False

    def connectionMade(self) -> None:
        """
        Begin to count the time.
        """
        super().connectionMade()
        self._deadline = Deadline(self.factory.reactor, self._late)
        self.factory.joined(self)

    def dataReceived(self, data: bytes) -> None:
        """
        Take what comes in.
        """
        if self._isOver:
            return
        if not (self._isReading or self._handlingRequest or self.paused):
            self._isReading = True
            self._deadline.set(HEADER_PATIENCE)
        super().dataReceived(data)

    def headerReceived(self, line: bytes) -> bool:
        """
        Take a header field.
        """
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and len(value.strip()) > _DIGITS:
            self._respondToBadRequestAndDisconnect()
            self._isOver = True
            return False
        taken: bool = super().headerReceived(line)
        return taken

    def allHeadersReceived(self) -> None:
        """
        Judge the request, and refuse it now where it is not to be read.
        """
        request = self.requests[-1]
        request.judge(self._command, self._path, self.length)
        isRefused = request.refusal is not None and self.length != 0
        if isRefused:
            # Nobody is told to go on.
            request.requestHeaders.removeHeader(b"Expect")
        super().allHeadersReceived()
        self._deadline.set(request.patience)
        if isRefused:
            self.refuse(request)

    def refuse(self, request: ControlRequest) -> None:
        """
        Answer a request whose body is not read to its end; the connection ends
        with that.
        """
        self._isOver = True
        self.persistent = 0
        request.setHeader(b"Connection", b"close")
        request.requestReceived(self._command, self._path, self._version)

    def rawDataReceived(self, data: bytes) -> None:
        """
        Take a part of a body, unless that is not read.
        """
        if not self._isOver:
            super().rawDataReceived(data)

    def allContentReceived(self) -> None:
        """
        Answer the request.
        """
        if self._isOver:
            return
        self._isReading = False
        self._deadline.set(self.requests[-1].patience)
        super().allContentReceived()

    def requestDone(self, request: Any) -> None:
        """
        Wait for the next request.
        """
        self._deadline.clear()
        if self._isLeaving:
            self.persistent = 0
        # The next one waits until the client reads: answers that nobody fetches
        # would pile up.
        self.paused = bool(self._waitingForTransport and self.persistent)
        # What was received meanwhile is the beginning of the next one.
        self._isReading = bool(self._dataBuffer) and not self.paused
        if self._isReading:
            self._deadline.set(HEADER_PATIENCE)
        super().requestDone(request)

    def pauseProducing(self) -> None:
        """
        The client does not read: nothing is read from it either, not even while
        a request is answered, as Twisted's own class would.
        """
        super().pauseProducing()
        self._networkProducer.pauseProducing()

    def resumeProducing(self) -> None:
        """
        The client reads again: go on with what it has sent.
        """
        super().resumeProducing()
        if self.paused:
            self.paused = False
            if self._buffer:
                self.dataReceived(b"")

    def loseConnection(self) -> None:
        """
        Close, when what was written is sent, and, where the client still sends,
        when it has had time to read that.
        """
        if not self._isOver:
            # A client that does not fetch its last answer is not waited for.
            self._deadline.set(IDLE)
            super().loseConnection()
            return
        self._deadline.set(LINGER)
        # The client sees the end of the answer.
        getattr(self.transport, "loseWriteConnection", lambda: None)()

    def leave(self) -> None:
        """
        Close as soon as no request is under way.
        """
        self._isLeaving = True
        if not self._handlingRequest:
            self.transport.loseConnection()

    def abort(self) -> None:
        """
        Close at once.
        """
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Count it no more.
        """
        self._deadline.stop()
        self.factory.left(self)
        super().connectionLost(reason)

    def _late(self) -> None:
        if not self._isOver:
            self.factory.cut(self.getPeer())
        self.abort()


class _Farewell(Protocol):
    """
    Says that there are too many connections.
    """

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(_TOO_MANY)
        self.transport.loseConnection()


@dataclass(slots=True)
class NowAndThen:
    """
    What is told now and then, however often it happens.
    """

    _count: int = 0
    _told: float = -inf

    def add(self, now: float) -> int:
        """
        Note that it has happened.

        @param now: The time, in seconds.

        @return: How often since it was last told, where it is to be told now; else
            0.
        """
        self._count += 1
        if now < self._told + TELL:
            return 0
        count, self._count, self._told = self._count, 0, now
        return count


class ControlFactory(HTTPFactory):
    """
    An entrance of the control API.

    @ivar desk: Where what is asked is answered.
    """

    _log = Logger()
    noisy = False
    protocol: Any = ControlChannel

    def __init__(self, desk: Desk, rules: Callable[[], Rules], reactor: Any) -> None:
        """
        @param rules: Gives who may come in.
        @param reactor: Tells the time.
        """
        super().__init__(timeout=IDLE, reactor=reactor)
        self.desk = desk
        self._rules = rules
        self._channels: set[ControlChannel] = set()
        self._turnedAway = NowAndThen()
        self._cut = NowAndThen()
        self._waiting: Deferred[None] | None = None

    def rulesFor(self, address: IAddress) -> Rules:
        """
        Say who may come in by a connection.

        @param address: Its address here, which the API may be asked for by.
        """
        rules, host = self._rules(), getattr(address, "host", None)
        if host is None:
            return rules
        return replace(rules, hosts=rules.hosts | {plainHost(host)})

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """
        Let a client in, where there is room for it.
        """
        if self.desk.isStopping or len(self._channels) >= MAX_CONNECTIONS:
            return _Farewell()
        return super().buildProtocol(addr)

    def startFactory(self) -> None:
        """
        Do nothing: there is no file of its own for the log.
        """

    def stopFactory(self) -> None:
        """
        Do nothing.
        """

    def log(self, request: Any) -> None:
        """
        Do nothing: what changes something says so itself.
        """

    def turnedAway(self, error: str, peer: IAddress) -> None:
        """
        Note that somebody was not let in: it is told now and then, however often
        it is tried.

        @param error: Why.
        @param peer: Who.
        """
        count = self._turnedAway.add(self.reactor.seconds())
        if count:
            self._log.warn(
                "Not let in to the control API: {count} requests since this was last "
                "said, the last from {peer}: {error}",
                count=count,
                peer=addressView(peer),
                error=error,
            )

    def cut(self, peer: IAddress) -> None:
        """
        Note that somebody was too slow, and is cut; it is told now and then, too,
        for that needs no token.

        @param peer: Who.
        """
        count = self._cut.add(self.reactor.seconds())
        if count:
            self._log.info(
                "Too slow for the control API, and cut: {count} connections since this "
                "was last said, the last from {peer}",
                count=count,
                peer=addressView(peer),
            )

    def joined(self, channel: ControlChannel) -> None:
        """
        Count a connection.
        """
        self._channels.add(channel)

    def left(self, channel: ControlChannel) -> None:
        """
        Count it no more.
        """
        self._channels.discard(channel)
        if self._waiting is not None and not self._channels:
            waiting, self._waiting = self._waiting, None
            waiting.callback(None)

    def stop(self) -> Deferred[None]:
        """
        Let the requests that are under way end, within a bound.

        @return: Fires when there is no connection left.
        """
        for channel in list(self._channels):
            channel.leave()
        if not self._channels:
            return succeed(None)
        gone: Deferred[None] = Deferred()
        self._waiting = gone
        patience = self.reactor.callLater(STOP_PATIENCE, self._abort)
        return gone.addCallback(
            lambda _: patience.cancel() if patience.active() else None
        )

    def _abort(self) -> None:
        for channel in list(self._channels):
            channel.abort()
