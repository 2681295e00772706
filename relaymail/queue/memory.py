# -*- test-case-name: relaymail.test.queue.test_memory -*-
"""
A queue that is gone with its process: for tests, and for apps that keep their
mail themselves.
"""

from __future__ import annotations

import io
from collections.abc import Hashable
from typing import IO, Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from relaymail.envelopes import Envelope, Letter
from relaymail.errors import UnreadableEntry
from relaymail.interfaces import IQueue
from relaymail.outcomes import Outcome
from relaymail.queue.contents import MemoryContent
from relaymail.queue.lines import EnvelopeFile, LinesMessage, beginMessage
from relaymail.queue.pickles import dumpEnvelope
from relaymail.queue.window import AnyPath, Entry, Window, nameOf


@implementer(IQueue)
class MemoryQueue(Window):
    """
    A queue of mail in memory.

    @ivar aside: The names that were set aside, with the reason.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime | None = None) -> None:
        """
        @param clock: Tells the queue's time; L{None} is the reactor.
        """
        self._clock = clock
        self._number = 0
        self.aside: dict[str, str] = {}
        self._reset()

    def readDirectory(self) -> None:
        """
        Make waiting what has come due.
        """
        if self._wakeDue(self.clock.seconds()):
            self._tell()

    def getPath(self, message: AnyPath) -> str:
        """
        Give the path that stands for a name, which is the name.
        """
        return nameOf(message)

    def getEnvelope(self, message: AnyPath) -> list[Any]:
        """
        See L{IQueue.getEnvelope<relaymail.interfaces.IQueue.getEnvelope>}.
        """
        entry = self._entries[nameOf(message)]
        if entry.envelope is None:
            raise UnreadableEntry(f"{nameOf(message)} was never stored")
        return list(entry.envelope)

    def getEnvelopeFile(self, message: AnyPath) -> IO[bytes]:
        """
        See L{IQueue.getEnvelopeFile
        <relaymail.interfaces.IQueue.getEnvelopeFile>}.
        """
        return io.BytesIO(dumpEnvelope(self.getEnvelope(message)))

    def createNewMessage(self) -> tuple[EnvelopeFile, LinesMessage]:
        """
        See L{IQueue.createNewMessage
        <relaymail.interfaces.IQueue.createNewMessage>}.
        """
        return beginMessage(self.add)

    def add(
        self, envelope: Envelope, content: bytes | IO[bytes]
    ) -> Deferred[list[str]]:
        """
        See L{IQueue.add<relaymail.interfaces.IQueue.add>}.
        """
        try:
            data = content if isinstance(content, bytes) else content.read()
        except OSError:
            return fail()
        stored = MemoryContent(data)
        names = []
        for recipient in envelope.recipients:
            entry = Entry(
                self.clock.seconds(),
                parameters=envelope.parameters,
                envelope=(envelope.sender, recipient),
                content=stored,
            )
            names.append(self._store(entry))
        self._tell()
        return succeed(names)

    def setRelaying(self, message: AnyPath) -> None:
        """
        See L{IQueue.setRelaying<relaymail.interfaces.IQueue.setRelaying>}.
        """
        self._claim(nameOf(message))

    def setWaiting(
        self,
        message: AnyPath,
        when: float | None = None,
        outcome: Outcome | None = None,
    ) -> None:
        """
        See L{IQueue.setWaiting<relaymail.interfaces.IQueue.setWaiting>}.
        """
        self._giveBack(nameOf(message), when, outcome)

    def done(self, message: AnyPath, outcome: Outcome | None = None) -> None:
        """
        See L{IQueue.done<relaymail.interfaces.IQueue.done>}.
        """
        self._forget(nameOf(message))

    def letter(self, message: AnyPath) -> Letter:
        """
        See L{IQueue.letter<relaymail.interfaces.IQueue.letter>}.
        """
        entry = self._entries[nameOf(message)]
        if entry.content is None:
            raise UnreadableEntry(f"{nameOf(message)} was never stored")
        items = [*self.getEnvelope(message), entry.content.open()]
        return Letter(
            items, entry.content, entry.parameters, entry.attempts, entry.arrived
        )

    def contentKey(self, message: AnyPath) -> Hashable:
        """
        See L{IQueue.contentKey<relaymail.interfaces.IQueue.contentKey>}.
        """
        content = self._entries[nameOf(message)].content
        return None if content is None else content.key

    def setAside(self, message: AnyPath, why: str) -> None:
        """
        See L{IQueue.setAside<relaymail.interfaces.IQueue.setAside>}.
        """
        name = nameOf(message)
        self.log.error("Setting aside {name}: {why}", name=name, why=why)
        self.aside[name] = why
        if name in self._entries:
            self._forget(name)

    def hasRoom(self) -> bool:
        """
        There is room as long as there is memory.
        """
        return True

    def stop(self) -> None:
        """
        Nothing is held.
        """

    def _store(self, entry: Entry) -> str:
        self._number += 1
        name = str(self._number)
        self._entries[name] = entry
        self._wait(name)
        return name
