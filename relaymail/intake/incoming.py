# -*- test-case-name: relaymail.test.intake.test_connection -*-
"""
One message on its way in, from the go-ahead to the end of its data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import IO

from relaymail.dialogue.answers import answer
from relaymail.dialogue.chunks import ChunkedOctets, ChunkedText
from relaymail.dialogue.unstuffing import Defect, Unstuffing
from relaymail.envelopes import Envelope
from relaymail.intake.content import Collection, Memory
from relaymail.intake.international import Utf8Need
from relaymail.intake.limits import Limits
from relaymail.intake.received import Stamp, readHeader
from relaymail.replies import Reply

_BARE_LINE_ENDS = answer(550, "5.6.0", "The message has a CR or LF that stands alone")
_LONG_LINE = answer(550, "5.6.0", "The message has a line that is too long")
_BARE = frozenset({Defect.BARE_CR, Defect.BARE_LF})


class Incoming:
    """
    Takes the data of one message, and judges it once all is there.
    """

    def __init__(
        self,
        stamp: Stamp,
        limits: Limits,
        openFile: Callable[[], IO[bytes]],
        memory: Memory | None = None,
        rewrite: Callable[[bytes], bytes] | None = None,
        body: str | None = None,
    ) -> None:
        """
        @param stamp: The mark that goes on top.
        @param limits: The bounds.
        @param openFile: Gives a file that nobody else sees.
        @param memory: What is shared with the other messages that come in.
        @param rewrite: Gives the header that is to stand in the place of the
            message's own; L{None}: it stays.
        @param body: What MAIL said of a message that comes in chunks; L{None} for
            one behind DATA.
        """
        self._stamp = stamp
        self._limits = limits
        self._normalise = stamp.client.trusted
        self._unstuffing = Unstuffing(limits.textLine, normalise=self._normalise)
        self._defects = self._unstuffing.defects
        if body is not None:
            self._chunks = self._readerFor(body)
            self._defects = self._chunks.defects
        self._isTLSOptional = False
        self._need = Utf8Need() if stamp.utf8 else None
        self._collection = Collection(self._fields, limits, openFile, memory, rewrite)

    @property
    def token(self) -> str:
        """
        What the Received field calls the message.
        """
        return self._stamp.token

    @property
    def rest(self) -> bytes:
        """
        What was received behind the end of the data.
        """
        return self._unstuffing.rest

    @property
    def content(self) -> bytes | IO[bytes]:
        """
        The message as it is to be queued, once L{finish} refused nothing.
        """
        return self._collection.content

    def feed(self, data: bytes) -> bool:
        """
        Take what was received.

        @return: Whether the end of the data was in it.
        """
        piece = self._unstuffing.feed(data)
        if piece:
            if self._need is not None:
                self._need.look(piece)
            self._collection.write(piece)
        return self._unstuffing.ended

    def feedChunk(self, data: bytes) -> None:
        """
        Take a piece of a chunk.
        """
        self._write(self._chunks.feed(data))

    def finishChunks(self) -> Reply | None:
        """
        Judge a message that came in chunks, as L{finish} does.
        """
        self._write(self._chunks.finish())
        return self.finish()

    @property
    def refusal(self) -> Reply | None:
        """
        The reply that the message is to be refused with, whatever is still to come
        of it, or L{None}.
        """
        return self._collection.refusal

    def finish(self) -> Reply | None:
        """
        Judge the message.

        @return: The reply that it is to be refused with, or L{None}.
        """
        collection, defects = self._collection, self._defects
        if collection.refusal is None and defects:
            if Defect.LONG_LINE in defects:
                collection.refuse(_LONG_LINE)
            elif defects & _BARE and not self._normalise:
                collection.refuse(_BARE_LINE_ENDS)
        return collection.finish()

    def close(self) -> None:
        """
        Let go what is held.
        """
        self._collection.close()

    def settled(self, envelope: Envelope) -> Envelope:
        """
        Give the envelope as it is to be queued.
        """
        if self._need is not None:
            envelope = self._need.settled(envelope)
        if self._isTLSOptional and not envelope.parameters.requireTLS:
            # RFC 8689 4.1: what MAIL says counts for more.
            said = replace(envelope.parameters, tlsOptional=True)
            envelope = replace(envelope, parameters=said)
        return envelope

    def _write(self, piece: bytes) -> None:
        if piece:
            if self._need is not None:
                self._need.look(piece)
            self._collection.write(piece)

    def _readerFor(self, body: str) -> ChunkedText | ChunkedOctets:
        if body == "BINARYMIME":
            return ChunkedOctets()
        return ChunkedText(self._limits.textLine, normalise=self._normalise)

    def _fields(self, head: bytes) -> bytes:
        limits = self._limits
        if self._need is not None:
            self._need.lookAtHeader(head)
        header = readHeader(head, limits.hops, limits.headerBytes)
        self._isTLSOptional = header.isTLSOptional
        return self._stamp.fields(header)
