# -*- test-case-name: relaymail.test.intake.test_chunking -*-
"""
A connection that takes messages, behind DATA or in chunks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relaymail.dialogue.actions import Actions, DropMessage, TakeChunk, TakeData
from relaymail.dialogue.server import ServerDialogue
from relaymail.envelopes import Client, Envelope
from relaymail.intake.holding import HeldReceiver
from relaymail.intake.incoming import Incoming
from relaymail.intake.names import TrustedNames
from relaymail.intake.received import Stamp

if TYPE_CHECKING:
    from relaymail.intake.server import IntakeFactory


class MessageReceiver(HeldReceiver):
    """
    Reads what a dialogue wants read of messages, and tells it of their ends.

    @ivar factory: What all connections share.
    """

    factory: IntakeFactory
    _dialogue: ServerDialogue
    _client: Client | None
    _names: TrustedNames | None

    def __init__(self, factory: IntakeFactory) -> None:
        """
        @param factory: What all connections share.
        """
        super().__init__(factory.limits, factory.clock)
        self.factory = factory
        self._incoming: Incoming | None = None
        self._block = 0
        # How much of a chunk is to come, and whether it is the last of its message.
        self._left = 0
        self._isLast = False

    def rawDataReceived(self, data: bytes) -> None:
        """
        Take a piece of a message.
        """
        if self._left:
            self._chunkReceived(data)
            return
        incoming = self._incoming
        assert incoming is not None
        if incoming.feed(data):
            self.setLineMode(incoming.rest)
            self._phase.set(self._limits.commandSeconds)
            refusal = incoming.finish()
            if refusal is None:
                self._message.clear()
            else:
                self._dropMessage()
            self._perform(self._dialogue.dataEnded(refusal))
            return
        self._count(data)

    def _count(self, data: bytes) -> None:
        self._block += len(data)
        if self._block >= self._limits.blockBytes:
            self._block = 0
            self._phase.set(self._limits.blockSeconds)

    def _chunkReceived(self, data: bytes) -> None:
        piece = data[: self._left]
        self._left -= len(piece)
        if self._incoming is not None:
            self._incoming.feedChunk(piece)
        if self._left:
            self._count(data)
            return
        self.setLineMode(data[len(piece) :])
        self._chunkOver()

    def _chunkOver(self) -> None:
        self._phase.set(self._limits.commandSeconds)
        incoming, refusal = self._incoming, None
        if incoming is not None:
            refusal = incoming.finishChunks() if self._isLast else incoming.refusal
        if refusal is not None:
            self._dropMessage()
        elif self._isLast or incoming is None:
            self._message.clear()
        self._perform(self._dialogue.chunkEnded(refusal))

    def _takeData(self, action: TakeData) -> None:
        self._begin(action.envelope)
        self._phase.set(self._limits.blockSeconds)
        self.setRawMode()

    def _takeChunk(self, action: TakeChunk) -> None:
        envelope = action.envelope
        self._left, self._isLast = action.size, action.isLast
        if envelope is None:
            self._message.set(self._limits.messageSeconds)
        elif self._incoming is None:
            self._begin(envelope, envelope.parameters.body)
        self._phase.set(self._limits.blockSeconds)
        if self._left:
            self.setRawMode()
        else:
            self._chunkOver()

    def _dropMessage(self, action: DropMessage | None = None) -> None:
        incoming, self._incoming = self._incoming, None
        self._message.clear()
        if incoming is not None:
            incoming.close()

    def _begin(self, envelope: Envelope, body: str | None = None) -> None:
        client = self._client
        assert client is not None
        recipients = envelope.recipients
        stamp = Stamp(
            client=client,
            hostname=self.factory.offer.hostname,
            token=self.factory.token(),
            at=self.factory.clock.seconds(),
            recipient=recipients[0] if len(recipients) == 1 else "",
            utf8=envelope.parameters.utf8,
        )
        self._incoming = Incoming(
            stamp,
            self._limits,
            self.factory.openContent,
            self.factory.memory,
            None if self._names is None else self._names.headerRewriter(),
            body,
        )
        self._block = 0
        self._message.set(self._limits.messageSeconds)

    def _perform(self, actions: Actions) -> None:
        raise NotImplementedError("whoever has a dialogue does what it wants")
