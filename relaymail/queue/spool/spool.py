# -*- test-case-name: relaymail.test.queue.spool.test_spool -*-
"""
The queue of the service: an SQLite database, with large contents in files beside
it.

In memory there is a window: what was claimed, what is due, and no more of each
destination than it can be given (L{relaymail.queue.spool.backlog}).  Everything else
rests in the database, however much it is.

One process has a spool open for writing, which a lock on the directory of the
contents sees to.  What is asked for in one turn is one transaction
(L{relaymail.queue.spool.rows}), made in a worker thread if there is one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from os import fsdecode
from typing import IO, Any

from twisted.internet.defer import Deferred, DeferredLock, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from relaymail.envelopes import Envelope
from relaymail.errors import QueueFull
from relaymail.inspection import IInspectable
from relaymail.interfaces import IQueue
from relaymail.queue.disk import DirectoryLock, Disk
from relaymail.queue.lines import EnvelopeFile, LinesMessage, beginMessage
from relaymail.queue.room import Own, RoomGauge
from relaymail.queue.spool.arriving import Arrived, Arriving
from relaymail.queue.spool.backlog import Backlog
from relaymail.queue.spool.bodies import LARGEST_ROW, Bodies, Kept
from relaymail.queue.spool.catalogue import Catalogue
from relaymail.queue.spool.changes import (
    Arrival,
    Change,
    Departure,
    Standing,
)
from relaymail.queue.spool.copying import Log, uncopied
from relaymail.queue.spool.inspecting import ReadRun
from relaymail.queue.spool.leaving import Leaving
from relaymail.queue.spool.numbers import Numbers
from relaymail.queue.spool.operating import SpoolOperating
from relaymail.queue.spool.orders import Order
from relaymail.queue.spool.reading import Reading
from relaymail.queue.spool.reserve import Reserve
from relaymail.queue.spool.rows import commit, start
from relaymail.queue.spool.schema import (
    Connect,
    QueueDamaged,
    check,
    connect,
    openReader,
    openSpool,
    translated,
)
from relaymail.queue.spool.survey import surveyOf
from relaymail.queue.window import AnyPath
from relaymail.queue.writer import InlineWriter, Run, TurnWriter, Writer

#: What shows, once it is written, that there may be room for more.
WRITTEN = (Arrival, Standing, Departure, Order)


@implementer(IQueue, IInspectable)
class Spool(SpoolOperating):
    """
    A queue of mail in a database.

    @ivar path: The file of the database.
    @ivar arriving: Takes mail, once it is open.
    @ivar trouble: Why no more mail is taken until a person has looked, or
        nothing.
    """

    log = Logger()

    def __init__(
        self,
        path: AnyPath,
        clock: IReactorTime | None = None,
        disk: Disk | None = None,
        run: Run | None = None,
        connect: Connect = connect,
        largestRow: int = LARGEST_ROW,
        readRun: ReadRun | None = None,
    ) -> None:
        """
        Nothing is opened before L{lock} is called.

        @param path: The file of the database.
        @param clock: Tells the queue's time; L{None} is the reactor.
        @param disk: What touches the files of contents; L{None} is the real
            one.
        @param run: Runs a function in one worker thread and gives a Deferred
            for what it returns; with L{None} all is written when a method is
            called.
        @param connect: Opens database files.
        @param largestRow: Up to which size a content is in the database, in
            bytes; what is larger is in a file.
        @param readRun: Runs what reads for people, as C{run} does, in a thread
            that has nothing else to do; with L{None} it is read when it is
            asked for.
        """
        self.path = fsdecode(path)
        self.trouble = ""
        self._clock = clock
        self._disk = disk or Disk()
        self._run = run
        self._connect = connect
        self._bodies = Bodies(self._disk, self.path + "-contents", largestRow)
        self._room = RoomGauge(self._disk, self._bodies.directory, self._measureOwn)
        self._lock: DirectoryLock | None = None
        self._readRun = readRun
        self._survey = surveyOf(self.path, lambda: self.clock.seconds(), connect)
        self._asking = DeferredLock()
        self._reset()

    def lock(self) -> None:
        """
        Keep every other process from this spool, open it, and find what rests.
        A second time does nothing.

        @raise QueueLocked: When another one has it.
        @raise QueueUnusable: When it cannot be opened.
        """
        if self._lock is not None:
            return
        self._disk.makeDirectory(self._bodies.directory)
        self._disk.checkDirectory(self._bodies.directory)
        lock = self._disk.lock(self._bodies.directory)
        try:
            self._open()
        except BaseException:
            lock.release()
            raise
        self._lock = lock
        self._isStopping = False
        self._reading.revive(self._first)

    def _open(self) -> None:
        self._copied = Log()
        self._database = openSpool(self.path, self._connect)
        reader = openReader(self.path, self._connect)
        self._catalogue = Catalogue(reader, self._bodies)
        try:
            self._begin()
        except Exception as e:
            self._close()
            if isinstance(e, sqlite3.Error):
                raise translated(e, f"open {self.path}") from e
            raise
        self._catalogue.onDamage = self._suffer

    def _begin(self) -> None:
        self._reset()
        self._kept = Kept()
        self._backlog = Backlog(suspendedUntil=self._untilSuspended)
        for destination, due in self._catalogue.destinations():
            self._backlog.rests(destination, due)
        self._suspensions = self._catalogue.suspensions()
        log = self._copied
        write = partial(commit, self._database, self._bodies, log=log)
        self._writer: Writer[Change] = InlineWriter(write)
        if self._run is not None:
            begin = partial(start, self._database, self._bodies, log=log)
            self._writer = TurnWriter(begin, self.clock, self._run)
        numbers = Numbers(self._database)
        self._first = numbers.next
        self.arriving = Arriving(
            self._backlog, numbers, self._kept, self._catalogue, self._submit
        )
        self._leaving = Leaving(self._submit, self.clock)
        self._reserve = Reserve(
            self.path, self._catalogue.freeBytes, self._submit, self._noteError
        )
        self._reading = Reading(
            self._backlog,
            self.clock,
            self._submit,
            self._admitAll,
            self._tell,
            self._standOf,
        )

    def examine(
        self, run: Callable[[Callable[[], str]], Deferred[str]]
    ) -> Deferred[None]:
        """
        Look the whole database through, beside everything else.  What is found
        to be damaged takes no more mail.

        @param run: Runs it in a thread of its own.
        """
        found = run(partial(check, self.path, self._connect))
        return found.addCallback(lambda wrong: self._suffer(wrong) if wrong else None)

    def stop(self) -> Deferred[None]:
        """
        See L{IQueue.stop<relaymail.interfaces.IQueue.stop>}.
        """
        if self._lock is None:
            return succeed(None)
        self._leaving.stop()
        self._reading.stop()
        self._isStopping = True
        flushed = self._writer.flush()
        # What is being read for people is read to its end.
        flushed.addCallback(lambda _: self._asking.acquire())
        if self._run is not None:
            run: Any = self._run
            flushed.addCallback(lambda _: run(self._close))
        else:
            flushed.addCallback(lambda _: self._close())
        return flushed.addBoth(self._release)

    def _close(self) -> None:
        with uncopied(self.path) if self._copied.damage else nullcontext():
            self._survey.close()
            self._catalogue.close()
            self._database.close()

    def _release(self, result: Any) -> Any:
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        if self._asking.locked:
            self._asking.release()
        return result

    # What waits.

    def readDirectory(self) -> None:
        """
        Make waiting what has come due.
        """
        if self._wakeDue(self.clock.seconds()):
            self._tell()
        self._reading.fill()

    def hasRoom(self) -> bool:
        """
        See L{IQueue.hasRoom<relaymail.interfaces.IQueue.hasRoom>}.

        @raise QueueDamaged: When no mail is taken until a person has looked.
        """
        self._checkTrouble()
        return self._room.hasRoom(self.clock)

    def _measureOwn(self, free: int) -> Own:
        return Own(0, 0) if self._lock is None else self._reserve.measure(free)

    # Mail that comes.

    def createNewMessage(self) -> tuple[EnvelopeFile, LinesMessage]:
        """
        See L{IQueue.createNewMessage
        <relaymail.interfaces.IQueue.createNewMessage>}.

        @raise QueueFull: When there is no room.
        """
        self._checkRoom()
        return beginMessage(self.add)

    def add(
        self, envelope: Envelope, content: bytes | IO[bytes]
    ) -> Deferred[list[str]]:
        """
        See L{IQueue.add<relaymail.interfaces.IQueue.add>}.

        @param content: A file is to be left alone until the Deferred fires.
        """
        try:
            self._checkRoom()
        except Exception:
            return fail()
        self._room.take(self._bodies.footprint(content))
        taken = self.arriving.take(envelope, content, self.clock.seconds())
        return taken.addCallback(self._taken)

    def _checkRoom(self) -> None:
        if not self.hasRoom():
            raise QueueFull(f"{self.path} has no room for more mail; it was not taken")

    def _taken(self, arrived: Arrived) -> list[str]:
        self._entries.update(arrived.entries)
        for name in arrived.entries:
            self._wait(name)
        self._tell()
        self._reading.fill()
        return arrived.names

    # How it is written.

    def _submit(self, change: Change) -> Deferred[None]:
        written = self._writer.submit(change).addErrback(self._noteTrouble)
        if self._leaving.isStuck and isinstance(change, WRITTEN):
            written.addCallback(lambda _: self._leaving.wrote())
        return written

    def _noteTrouble(self, failure: Failure) -> Failure:
        self._noteError(failure.value)
        return failure

    def _noteError(self, error: BaseException | None) -> None:
        if isinstance(error, QueueDamaged):
            self._suffer(str(error))

    def _suffer(self, why: str) -> None:
        if not self.trouble:
            self.trouble = f"{self.path}: {why}"
            # From now on nothing is written, by whomever it was found.
            self._copied.damage = self._copied.damage or QueueDamaged(self.trouble)
            self._reading.stop()
            self.log.critical(
                "The spool {path} is damaged, or its disk is: {why}.  No mail is "
                "taken and none is sent until the relay is started again.  Make a "
                "copy before you try to repair it",
                path=self.path,
                why=why,
            )
