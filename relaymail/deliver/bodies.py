# -*- test-case-name: relaymail.test.deliver.test_bodies -*-
"""
How a message goes out: piece by piece, as the transport asks for it, in the form
that its host takes.
"""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted
from twisted.protocols.basic import FileSender
from twisted.python.failure import Failure

from relaymail.dialogue.asking import Form
from relaymail.dialogue.sevenbit import SevenBit
from relaymail.dialogue.stuffing import DotStuffer, LineEnds


class Stuffing(Protocol):
    """
    Gives a message the form in which it goes over the wire.
    """

    def stuff(self, piece: bytes) -> bytes:
        """
        Give the next piece of it.
        """

    def end(self) -> bytes:
        """
        Give what ends it.
        """


class ContentChanged(Exception):
    """
    The message is not as long as the host was told: it was changed while it was
    sent.  The connection is closed before the host has it whole, and it is tried
    again.
    """


class OneChunk:
    """
    Gives a message as one chunk, whatever bytes it has (RFC 3030 2).
    """

    def __init__(self, size: int) -> None:
        """
        @param size: How long it is, in bytes.
        """
        self._head = b"BDAT %d LAST\r\n" % size
        self._left = size

    def stuff(self, piece: bytes) -> bytes:
        """
        Give the next piece, the first one behind the command.

        @raise ContentChanged: When the host would take it for a command.
        """
        self._left -= len(piece)
        if self._left < 0:
            raise ContentChanged("the message is longer than it was")
        head, self._head = self._head, b""
        return head + piece

    def end(self) -> bytes:
        """
        End it: nothing stands behind the last byte.

        @raise ContentChanged: When the host would wait for more.
        """
        if self._left:
            raise ContentChanged("the message is shorter than it was")
        head, self._head = self._head, b""
        return head


class SevenBits:
    """
    Gives a message in 7-bit lines, and stuffed.
    """

    def __init__(self, isBinary: bool) -> None:
        """
        @param isBinary: Whether its lines end as they should, and bytes that look
            like other ends of lines are none.
        """
        self._ends = None if isBinary else LineEnds()
        self._converter = SevenBit()
        self._stuffer = DotStuffer()

    def stuff(self, piece: bytes) -> bytes:
        """
        Give the next piece.

        @raise CannotConvert: When it cannot be converted.
        """
        if self._ends is not None:
            piece = self._ends.feed(piece)
        return self._stuffer.stuff(self._converter.feed(piece))

    def end(self) -> bytes:
        """
        End it.

        @raise CannotConvert: When it cannot be converted.
        """
        last = b""
        if self._ends is not None:
            last = self._converter.feed(self._ends.end())
        last += self._converter.end()
        return self._stuffer.stuff(last) + self._stuffer.end()


class BodySender(FileSender):
    """
    Sends a file, and fails if that cannot be read.
    """

    # As much as the transport writes without asking for more; with Twisted's own
    # 16 KB every piece was a turn of the reactor.
    CHUNK_SIZE = 65_536

    deferred: Deferred[bytes] | None

    def resumeProducing(self) -> None:
        """
        Send the next piece.
        """
        try:
            FileSender.resumeProducing(self)
        except Exception:
            self.file = None
            self.consumer.unregisterProducer()
            self._fail(Failure())

    def stopProducing(self) -> None:
        """
        Stop: the connection is gone.
        """
        self._fail(Failure(ConnectionAborted()))

    def _fail(self, failure: Failure) -> None:
        deferred, self.deferred = self.deferred, None
        if deferred is not None:
            deferred.errback(failure)


def stuffingFor(
    form: Form, size: int | None = None, isBinary: bool = False
) -> Stuffing:
    """
    Give what gives a message its form.

    @param form: The form.
    @param size: How long the message is, in bytes; it is known where it is to be a
        chunk.
    @param isBinary: Whether it was said to be binary (RFC 3030 3).
    """
    if form is Form.CHUNKED and size is not None:
        return OneChunk(size)
    if form is Form.SEVEN_BIT:
        return SevenBits(isBinary)
    return DotStuffer()
