# -*- test-case-name: relaymail.test.hostile.test_framing -*-
"""
A client that writes what it is told, byte for byte, and no more.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.python.failure import Failure

from relaymail.dialogue.replyreader import ReplyReader
from relaymail.replies import Reply
from relaymail.test.endtoend.processes import PATIENCE


class Wire(Protocol):
    """
    One connection.

    @ivar replies: What was replied, and not asked for with L{reply} yet.
    @ivar isClosed: Whether the connection is over.
    """

    transport: Any

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.isClosed = False
        self._reader = ReplyReader()
        self._part = b""
        self._waiting: Deferred[None] | None = None

    def connectionMade(self) -> None:
        """
        Write what is written at once, in packets of its own.
        """
        self.transport.setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        """
        Put replies together.
        """
        *lines, self._part = (self._part + data).split(b"\r\n")
        for line in lines:
            reply = self._reader.read(line)
            if reply is not None:
                self.replies.append(reply)
        self._wake()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Note it.
        """
        self.isClosed = True
        self._wake()

    def write(self, *pieces: bytes) -> None:
        """
        Write pieces, each by itself.
        """
        for piece in pieces:
            self.transport.write(piece)

    async def reply(self) -> Reply:
        """
        Wait for the next reply.

        @raise AssertionError: When the connection ends without one.
        """
        while not self.replies:
            if self.isClosed:
                raise AssertionError("the connection ended without a reply")
            await self._news()
        return self.replies.pop(0)

    async def say(self, *lines: bytes) -> list[int]:
        """
        Say some commands in one go.

        @return: The codes of the replies.
        """
        self.write(b"".join(line + b"\r\n" for line in lines))
        return [(await self.reply()).code for _ in lines]

    async def closed(self) -> list[int]:
        """
        Wait for the end of the connection.

        @return: The codes of what was replied before.
        """
        while not self.isClosed:
            await self._news()
        return [reply.code for reply in self.replies]

    async def startTLS(self) -> None:
        """
        Go over to TLS.
        """
        codes = await self.say(b"EHLO wire.example", b"STARTTLS")
        if codes != [250, 220]:
            raise AssertionError(f"STARTTLS was answered {codes}")
        self.transport.startTLS(CertificateOptions(verify=False))

    def abort(self) -> None:
        """
        Break the connection.
        """
        self.transport.abortConnection()

    def _news(self) -> Deferred[None]:
        from twisted.internet import reactor

        self._waiting = Deferred()
        given: Any = reactor
        return self._waiting.addTimeout(PATIENCE, given)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)


async def connect(port: int, *, isTLS: bool = False) -> Wire:
    """
    Connect to a port of this machine, and wait for the greeting.

    @param isTLS: Whether to go over to TLS.
    """
    from twisted.internet import reactor

    given: Any = reactor
    made: Deferred[Any] = TCP4ClientEndpoint(given, "127.0.0.1", port).connect(
        Factory.forProtocol(Wire)
    )
    wire: Wire = await made
    greeting = await wire.reply()
    if greeting.code != 220:
        raise AssertionError(f"the greeting was {greeting.text}")
    if isTLS:
        await wire.startTLS()
    return wire
