# -*- test-case-name: relaymail.test.queue.test_directory -*-
"""
Mail on its way into a directory queue.  Its files may be there already, and
are no mail yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from relaymail.envelopes import Envelope
from relaymail.errors import QueueUnusable
from relaymail.queue.changes import Addition, Arrival, Change
from relaymail.queue.disk import Disk
from relaymail.queue.message import QueuedMessage
from relaymail.queue.window import Entry
from relaymail.queue.writer import Writer

#: How often a new name is tried before the directory counts as unusable.
NAME_TRIES = 100

#: Takes the names that have come, with what is known of them.
Taken = Callable[[dict[str, Entry]], None]


class Arrivals:
    """
    The names whose mail is being written.
    """

    def __init__(
        self,
        disk: Disk,
        base: str,
        writer: Writer[Change],
        number: Callable[[], int],
        taken: Taken,
        left: Callable[[Change], None],
    ) -> None:
        """
        @param disk: What writes.
        @param base: The directory's path with a separator at its end.
        @param writer: What makes changes.
        @param number: Gives a number that it gave nobody before.
        @param taken: Called when mail has come and would survive a power cut.
        @param left: Called with what failed and left files behind.
        """
        self._disk = disk
        self._base = base
        self._writer = writer
        self._number = number
        self._taken = taken
        self._left = left
        self._arriving: set[str] = set()
        self._own = disk.numberFor(self)

    def __contains__(self, name: str) -> bool:
        return name in self._arriving

    def add(
        self, envelope: Envelope, content: bytes | IO[bytes], now: float
    ) -> Deferred[list[str]]:
        """
        Take a message for all its recipients.

        @param now: The time, in seconds.

        @return: Fires with their names.
        """
        names = [self._newName(now) for _ in envelope.recipients]
        change = Addition(self._disk, self._base, names, envelope, content, now)
        self._arriving.update(names)
        return self._writer.submit(change).addCallbacks(
            self._cbAdded, self._ebLost, callbackArgs=(change,), errbackArgs=(change,)
        )

    def create(self, clock: IReactorTime) -> tuple[IO[bytes], QueuedMessage]:
        """
        Begin a message that comes line by line.

        @param clock: Tells the time.

        @return: The envelope's file and the message.
        """
        name, envelope = self._createEnvelope(clock.seconds())
        path = self._base + name
        try:
            content = self._disk.create(path + "-C")
        except BaseException:
            self._disk.abandon(envelope)
            self._disk.unlink(path + "-H")
            raise

        def settle(message: QueuedMessage) -> Deferred[None]:
            return self._settle(name, message.fp, clock.seconds())

        message = QueuedMessage(content, path + "-C", path + "-D", self._disk, settle)
        return envelope, message

    def _settle(self, name: str, file: IO[bytes], now: float) -> Deferred[None]:
        change = Arrival(self._disk, self._base, name, file, now)
        self._arriving.add(name)
        return self._writer.submit(change).addCallbacks(
            self._cbArrived,
            self._ebLost,
            callbackArgs=(name, now),
            errbackArgs=(change,),
        )

    def _cbArrived(self, _: None, name: str, now: float) -> None:
        self._arriving.discard(name)
        self._taken({name: Entry(now)})

    def _cbAdded(self, _: None, change: Addition) -> list[str]:
        self._arriving.difference_update(change.arrive)
        envelope = change.envelope
        entries = {
            name: Entry(
                change.arrived,
                parameters=envelope.parameters,
                bornClaimed=change.due <= change.arrived,
                stated=change.isSaying,
                envelope=(envelope.sender, recipient),
                content=content,
                recipientParameters=envelope.parametersOf(index),
                origin=envelope.origin,
            )
            for index, (name, recipient, content) in enumerate(
                zip(change.arrive, envelope.recipients, change.contents, strict=True)
            )
        }
        self._taken(entries)
        return list(change.arrive)

    def _ebLost(self, failure: Failure, change: Change) -> Failure:
        self._arriving.difference_update(change.arrive)
        if change.withdrawal is not None:
            self._left(change)
        return failure

    def _newName(self, now: float) -> str:
        process = self._disk.processId()
        for _ in range(NAME_TRIES):
            name = f"{process}_{now}_{self._number()}_{self._own}"
            # A clock that stands still names as an earlier process did.
            if self._disk.find(f"{self._base}{name}-H") is None:
                return name
        raise QueueUnusable(f"{self._base} has no free name for a message")

    def _createEnvelope(self, now: float) -> tuple[str, IO[bytes]]:
        for _ in range(NAME_TRIES):
            name = self._newName(now)
            try:
                return name, self._disk.create(f"{self._base}{name}-H")
            except FileExistsError:
                # Another process was quicker.
                continue
        raise QueueUnusable(f"{self._base} has no free name for a message")
