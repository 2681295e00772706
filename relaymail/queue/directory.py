# -*- test-case-name: relaymail.test.queue.test_directory -*-
"""
The queue of Twisted's relay: a directory with two files for each name.

C{NAME-H} holds the pickled C{[sender, recipient]} and C{NAME-D} the content
with LF line ends, called C{NAME-C} while it is being received; several
recipients of one message share one content by hard links.  C{NAME-S} holds
what those two cannot: attempts, the next time, the arrival.

Whoever may write in the directory may feed it (C{DomainQueuer} does from
another process); only one process relays from it.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from os import fsdecode
from typing import IO, Any, cast

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from relaymail.envelopes import Envelope, Letter
from relaymail.errors import QueueError, QueueFull
from relaymail.inspection import IInspectable
from relaymail.interfaces import IQueue
from relaymail.outcomes import Outcome
from relaymail.queue.arrivals import Arrivals
from relaymail.queue.batch import commit
from relaymail.queue.changes import Change, Removal
from relaymail.queue.contents import IKeyedContent
from relaymail.queue.disk import DirectoryLock, Disk
from relaymail.queue.inspecting import WindowInspection
from relaymail.queue.listing import Listing
from relaymail.queue.message import QueuedMessage
from relaymail.queue.recovery import putAside, recover
from relaymail.queue.removals import Removals
from relaymail.queue.room import RoomGauge, footprint, sizeOf
from relaymail.queue.statements import Statements
from relaymail.queue.stored import StoredNames
from relaymail.queue.window import LEASE, AnyPath, Entry, nameOf
from relaymail.queue.writer import InlineWriter, Run, TurnWriter, Writer

#: How long a name rests whose notice could not be taken, in seconds: what
#: there was no room for has seldom room at once.
PUT_BACK = 60.0


@implementer(IQueue, IInspectable)
class Queue(WindowInspection):
    """
    A queue of mail in a directory.

    @ivar directory: Its path.
    @ivar n: A number that makes names unique.
    """

    #: Its files have LF where lines end, and cannot say what else there was.
    isBinarySafe = False

    log = Logger()

    directory: str
    n: int
    _disk: Disk | None = None
    _run: Run | None = None

    def __init__(
        self,
        directory: AnyPath,
        clock: IReactorTime | None = None,
        disk: Disk | None = None,
        run: Run | None = None,
    ) -> None:
        """
        @param directory: The path of an existing directory.
        @param clock: Tells the queue's time; L{None} is the reactor.
        @param disk: What touches files; L{None} is the real one.
        @param run: Runs a function in one worker thread and gives a Deferred
            for what it returns: changes are then written together behind the
            reactor's back.  With L{None} they are written when a method is
            called.
        """
        self.directory = cast(str, directory)
        self._clock = clock
        self._disk = disk
        self._run = run
        self._init()

    def _init(self) -> None:
        """
        Begin with what is in the directory.
        """
        self._reset()
        self.directory = fsdecode(self.directory)
        self.n = 0
        disk = self._hands = self._disk or Disk()
        self._base = self.directory + "/"
        self._listing = Listing(disk, self.directory)
        self._room = RoomGauge(disk, self.directory)
        self._lock: DirectoryLock | None = None
        self._stored = StoredNames(disk, self._base)
        write = partial(commit, disk, self.directory)
        self._writer: Writer[Change] = InlineWriter(write)
        if self._run is not None:
            self._writer = TurnWriter(partial(partial, write), self.clock, self._run)
        self._removals = Removals(
            partial(Removal, disk, self._base),
            self._writer,
            lambda seconds, call: self.clock.callLater(seconds, call),
        )
        self._statements = Statements(disk, self._base, self._writer, self._nextNumber)
        self._arrivals = Arrivals(
            disk,
            self._base,
            self._writer,
            self._nextNumber,
            self._taken,
            self._removals.withdraw,
        )
        self.readDirectory()

    def __getstate__(self) -> dict[str, str]:
        return {"directory": self.directory}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._init()

    def check(self) -> None:
        """
        See that the directory can hold a queue.

        @raise QueueUnusable: When it is missing, no directory, cannot be
            written, or can be written by others.
        """
        self._hands.checkDirectory(self.directory)

    def examine(self, run: object) -> Deferred[None]:
        """
        There is nothing to look through: each name is looked at when it is
        read.
        """
        return succeed(None)

    def lock(self) -> None:
        """
        Keep every other process from relaying from this directory, and finish
        what a crash left.  A second time does nothing.

        @raise QueueLocked: When another one does.
        """
        if self._lock is not None:
            return
        lock = self._hands.lock(self.directory)
        try:
            for name in recover(self._hands, self.directory, self.clock.seconds()):
                if name in self._entries:
                    # It was read before.
                    self._entries[name].isTold = True
            self.readDirectory()
        except BaseException:
            lock.release()
            raise
        self._lock = lock

    def hasRoom(self) -> bool:
        """
        Tell whether there is room for more mail.
        """
        return self._room.hasRoom(self.clock)

    def readDirectory(self) -> None:
        """
        See L{IQueue.readDirectory<relaymail.interfaces.IQueue.readDirectory>}.
        """
        now = self.clock.seconds()
        names = self._listing.read(self.clock)
        found = False
        if names is not None:
            found = self._meetAll(names, now)
            self._missAll(names)
        if self._wakeDue(now) or found:
            self._tell()

    def getPath(self, message: AnyPath) -> str:
        """
        Give the path of a name's files, without their suffix.
        """
        return self._base + nameOf(message)

    def getEnvelope(self, message: AnyPath) -> list[Any]:
        """
        See L{IQueue.getEnvelope<relaymail.interfaces.IQueue.getEnvelope>}.
        """
        name = nameOf(message)
        entry = self._entries[name]
        if entry.envelope is None:
            entry.envelope = self._stored.envelope(name)
        return list(entry.envelope)

    def getRefused(self) -> list[str]:
        """
        Give the names of refused mail whose files could not be taken away yet:
        after a crash they are mail again.
        """
        return self._removals.refused

    def getEntry(self, message: AnyPath) -> Entry:
        """
        Give what is known of a name besides its message.

        @raise KeyError: When there is no such name.
        """
        return self._entries[nameOf(message)]

    def getEnvelopeFile(self, message: AnyPath) -> IO[bytes]:
        """
        Open the envelope file of a name for reading.
        """
        return self._hands.open(f"{self._base}{nameOf(message)}-H")

    def letter(self, message: AnyPath) -> Letter:
        """
        See L{IQueue.letter<relaymail.interfaces.IQueue.letter>}.

        @raise QueueFull: When descriptors have run out; the name is as good
            as before.
        """
        name = nameOf(message)
        entry = self._entries[name]
        content = self._contentOf(name)
        items = [*self.getEnvelope(name), content.open()]
        return entry.letter(items, content)

    def contentKey(self, message: AnyPath) -> Hashable:
        """
        See L{IQueue.contentKey<relaymail.interfaces.IQueue.contentKey>}.
        """
        return self._contentOf(nameOf(message)).key

    def createNewMessage(self) -> tuple[IO[bytes], QueuedMessage]:
        """
        See L{IQueue.createNewMessage
        <relaymail.interfaces.IQueue.createNewMessage>}.

        @raise QueueFull: When there is no room.
        """
        self._checkRoom()
        # How long it becomes is found when it is measured.
        self._room.take(footprint(1))
        return self._arrivals.create(self.clock)

    def add(
        self, envelope: Envelope, content: bytes | IO[bytes]
    ) -> Deferred[list[str]]:
        """
        See L{IQueue.add<relaymail.interfaces.IQueue.add>}.

        @param content: A file is to be left alone until the Deferred fires.
        """
        try:
            self._checkRoom()
            self._room.take(footprint(len(envelope.recipients), sizeOf(content)))
            return self._arrivals.add(envelope, content, self.clock.seconds())
        except QueueError:
            return fail()

    def setRelaying(self, message: AnyPath) -> Deferred[None] | None:
        """
        See L{IQueue.setRelaying<relaymail.interfaces.IQueue.setRelaying>}.
        The first takes the directory's lock.

        @raise QueueLocked: When another process relays from this directory.
        """
        self.lock()
        name = nameOf(message)
        return self._statements.claim(name, self._claim(name), self.clock.seconds())

    def setWaiting(
        self,
        message: AnyPath,
        when: float | None = None,
        outcome: Outcome | None = None,
    ) -> Deferred[None] | None:
        """
        See L{IQueue.setWaiting<relaymail.interfaces.IQueue.setWaiting>}.  If
        it cannot be written, that is logged, and the name rests all the same;
        it is only after a restart that it is tried too early.
        """
        name = nameOf(message)
        entry = self._giveBack(name, when, outcome)
        if when is None and outcome is None:
            return None
        due = self.clock.seconds() if when is None else when
        return self._statements.rest(name, entry, due)

    def told(self, message: AnyPath) -> Deferred[None]:
        """
        See L{IQueue.told<relaymail.interfaces.IQueue.told>}.  If it cannot be
        written, or the notice that was added in the same turn was not taken,
        that is logged, and nobody counts as told.
        """
        name = nameOf(message)
        entry = self._entries[name]
        entry.isTold = True
        telling = self._statements.tell(name, entry, *self._standOf(name))
        return telling.addErrback(self._notTold, name, entry)

    def _standOf(self, name: str) -> tuple[float, bool]:
        """
        Give when a name is due, in seconds, and whether it is claimed.
        """
        now = self.clock.seconds()
        if name in self.relayed:
            return now + LEASE, True
        return self._resting.due.get(name, now), False

    def _notTold(self, failure: Failure, name: str, entry: Entry) -> None:
        self.log.failure("Nobody was told that {name} is late", failure, name=name)
        entry.isTold = False
        if self._entries.get(name) is entry:
            # What was written in the same turn says otherwise.
            self._statements.restate(name, entry, *self._standOf(name))

    def done(
        self, message: AnyPath, outcome: Outcome | None = None
    ) -> Deferred[None] | None:
        """
        See L{IQueue.done<relaymail.interfaces.IQueue.done>}.  A name that
        cannot be removed is not offered again; but one that bounced without
        its notice being taken is tried again later.
        """
        name = nameOf(message)
        entry = self._forget(name)
        return self._removals.remove(name, outcome).addErrback(
            self._ebRemoved, name, entry
        )

    def setAside(self, message: AnyPath, why: str) -> None:
        """
        See L{IQueue.setAside<relaymail.interfaces.IQueue.setAside>}.
        """
        name = nameOf(message)
        if name in self._entries:
            self._forget(name)
        if not putAside(self._hands, self.directory, name, why):
            self._removals.hide(name)

    def stop(self) -> Deferred[None]:
        """
        See L{IQueue.stop<relaymail.interfaces.IQueue.stop>}.
        """
        self._removals.stop()
        return self._writer.flush().addBoth(self._release)

    def claim(self, name: str) -> Deferred[None] | None:
        """
        See L{IInspectable.claim<relaymail.inspection.IInspectable.claim>}.

        @raise QueueLocked: When another process relays from this directory.
        """
        self.lock()
        return super().claim(name)

    def _renewed(self, name: str, entry: Entry) -> Deferred[None] | None:
        return self._statements.rest(name, entry, self.clock.seconds())

    def _sizeOf(self, name: str) -> int:
        return self._contentOf(name).size

    # What the disk holds

    def _meetAll(self, names: frozenset[str], now: float) -> bool:
        """
        Learn of the names that were not there before.
        """
        new: list[tuple[float, str, float]] = []
        for name in names - self._entries.keys():
            if name in self._arrivals or name in self._removals:
                continue
            found = self._stored.find(name)
            if found is not None and not found.regular:
                self._listing.ignore(f"{name}-D", "it is not a plain file")
            elif found is not None:
                entry, due = self._stored.recall(name, found, now)
                self._entries[name] = entry
                new.append((entry.arrived, name, due))
        for _, name, due in sorted(new):
            if due > now:
                self._resting.add(name, due)
            else:
                self._wait(name)
        return bool(new)

    def _missAll(self, names: frozenset[str]) -> None:
        """
        Forget the names that somebody removed.
        """
        for name in self._entries.keys() - names:
            if name not in self.relayed and self._stored.find(name) is None:
                self._forget(name)

    def _meet(self, name: str) -> Entry:
        now = self.clock.seconds()
        return self._stored.recall(name, self._stored.find(name), now)[0]

    def _contentOf(self, name: str) -> IKeyedContent:
        entry = self._entries[name]
        if entry.content is None:
            entry.content = self._stored.content(name)
        return entry.content

    # What is written

    def _checkRoom(self) -> None:
        if not self.hasRoom():
            raise QueueFull(
                f"{self.directory} has no room for more mail; it was not taken"
            )

    def _nextNumber(self) -> int:
        self.n += 1
        return self.n

    def _taken(self, entries: dict[str, Entry]) -> None:
        for name, entry in entries.items():
            self._arrive(name, entry)
        self._tell()

    def _ebRemoved(self, failure: Failure, name: str, entry: Entry) -> Failure:
        if name not in self._removals:
            # Its notice was not taken: as long as there is none it is mail.
            self._entries[name] = entry
            self._resting.add(name, self.clock.seconds() + PUT_BACK)
            self._tell()
        return failure

    def _release(self, result: Any) -> Any:
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        return result
