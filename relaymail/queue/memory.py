# -*- test-case-name: relaymail.test.queue.test_memory -*-
"""
A queue that is gone with its process: for tests, and for apps that keep their
mail themselves.
"""

from __future__ import annotations

import io
from collections.abc import Hashable
from dataclasses import replace
from typing import IO, Any

from twisted.internet.defer import Deferred, execute, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from relaymail.envelopes import Envelope, Letter
from relaymail.errors import UnreadableEntry
from relaymail.inspection import IInspectable, Listed, NameState
from relaymail.interfaces import IQueue
from relaymail.outcomes import Outcome
from relaymail.queue.contents import MemoryContent
from relaymail.queue.inspecting import WindowInspection
from relaymail.queue.lines import EnvelopeFile, LinesMessage, beginMessage
from relaymail.queue.pickles import dumpEnvelope
from relaymail.queue.window import AnyPath, Entry, nameOf


@implementer(IQueue, IInspectable)
class MemoryQueue(WindowInspection):
    """
    A queue of mail in memory.

    @ivar aside: The names that were set aside, with the reason.
    @ivar held: The names that an operator keeps back, with the reason.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime | None = None) -> None:
        """
        @param clock: Tells the queue's time; L{None} is the reactor.
        """
        self._clock = clock
        self._number = 0
        self.aside: dict[str, str] = {}
        self.held: dict[str, str] = {}
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
        for index, recipient in enumerate(envelope.recipients):
            entry = Entry(
                self.clock.seconds(),
                parameters=envelope.parameters,
                envelope=(envelope.sender, recipient),
                content=stored,
                recipientParameters=envelope.parametersOf(index),
                origin=envelope.origin,
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
        name = nameOf(message)
        self._giveBack(name, when, outcome)
        if name in self.held:
            self._withdraw(name)

    def told(self, message: AnyPath) -> None:
        """
        See L{IQueue.told<relaymail.interfaces.IQueue.told>}.
        """
        self._entries[nameOf(message)].isTold = True

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
        return entry.letter(items, entry.content)

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

    def hold(self, name: str, why: str) -> Deferred[None]:
        """
        See L{IInspectable.hold<relaymail.inspection.IInspectable.hold>}.
        """
        return execute(self._keepBack, name, why)

    def release(self, name: str) -> Deferred[None]:
        """
        See L{IInspectable.release<relaymail.inspection.IInspectable.release>}.
        """
        return execute(self._release, name)

    def hasRoom(self) -> bool:
        """
        There is room as long as there is memory.
        """
        return True

    def stop(self) -> None:
        """
        Nothing is held.
        """

    def _keepBack(self, name: str, why: str) -> None:
        self._free(name)
        self._withdraw(name)
        self.held[name] = why

    def _release(self, name: str) -> None:
        entry = self._free(name)
        if self.held.pop(name, None) is not None:
            entry.isReleased = True
            self._arrive(name, entry)
            self._tell()

    def _requeue(self, name: str) -> Deferred[None] | None:
        self._free(name)
        self.held.pop(name, None)
        return super()._requeue(name)

    def _wait(self, name: str) -> None:
        if name not in self.held:
            super()._wait(name)

    def _forget(self, name: str) -> Entry:
        self.held.pop(name, None)
        return super()._forget(name)

    def _listed(self, name: str, entry: Entry) -> Listed:
        found = super()._listed(name, entry)
        if name not in self.held or name in self.relayed:
            return found
        return replace(found, state=NameState.HELD, why=self.held[name])

    def _store(self, entry: Entry) -> str:
        self._number += 1
        name = str(self._number)
        self._arrive(name, entry)
        return name
