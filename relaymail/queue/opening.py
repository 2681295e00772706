# -*- test-case-name: relaymail.test.queue.test_opening -*-
"""
Opening a queue for a service.
"""

from __future__ import annotations

from os import fsdecode
from os.path import dirname

from twisted.internet.interfaces import IReactorTime

from relaymail.queue.directory import Queue
from relaymail.queue.disk import Disk
from relaymail.queue.place import SPOOL_FILE as SPOOL_FILE
from relaymail.queue.place import QueueKind as QueueKind
from relaymail.queue.place import QueuePlace as QueuePlace
from relaymail.queue.place import recognise as recognise
from relaymail.queue.spool.bodies import LARGEST_ROW
from relaymail.queue.spool.inspecting import ReadRun
from relaymail.queue.spool.schema import Connect, connect
from relaymail.queue.spool.spool import Spool
from relaymail.queue.window import AnyPath
from relaymail.queue.writer import Run


def openQueue(
    place: QueuePlace,
    clock: IReactorTime | None = None,
    run: Run | None = None,
    disk: Disk | None = None,
    connect: Connect = connect,
    largestRow: int = LARGEST_ROW,
    readRun: ReadRun | None = None,
) -> Queue | Spool:
    """
    Open a queue for a service: what is missing is made, and what is there is
    checked.

    @param place: Where it is.
    @param clock: As for L{Queue}.
    @param run: As for L{Queue}.
    @param disk: As for L{Queue}.
    @param connect: As for L{Spool}.
    @param largestRow: As for L{Spool}.
    @param readRun: As for L{Spool}.

    @return: The queue, not locked yet.

    @raise QueueUnusable: When there can be none.
    """
    if place.kind is QueueKind.DIRECTORY:
        return openDirectory(place.path, clock, run, disk)
    return openSpool(place.path, clock, run, disk, connect, largestRow, readRun)


def openSpool(
    path: str,
    clock: IReactorTime | None = None,
    run: Run | None = None,
    disk: Disk | None = None,
    connect: Connect = connect,
    largestRow: int = LARGEST_ROW,
    readRun: ReadRun | None = None,
) -> Spool:
    """
    Open a spool for a service: its directory is made if it is missing, and
    checked.

    @param path: The file of the database.
    @param clock: As for L{Spool}.
    @param run: As for L{Spool}.
    @param disk: As for L{Spool}.
    @param connect: As for L{Spool}.
    @param largestRow: As for L{Spool}.
    @param readRun: As for L{Spool}.

    @return: The spool, not locked yet.

    @raise QueueUnusable: When the directory cannot hold a spool.
    """
    hands = disk or Disk()
    directory = dirname(path)
    hands.makeDirectory(directory)
    hands.checkDirectory(directory)
    return Spool(path, clock, disk, run, connect, largestRow, readRun)


def openDirectory(
    path: AnyPath,
    clock: IReactorTime | None = None,
    run: Run | None = None,
    disk: Disk | None = None,
) -> Queue:
    """
    Open a directory queue for a service: the directory is made if it is missing,
    and checked.

    @param path: The directory.
    @param clock: As for L{Queue}.
    @param run: As for L{Queue}.
    @param disk: As for L{Queue}.

    @return: The queue, not locked yet.

    @raise QueueUnusable: When the directory cannot hold a queue.
    """
    hands = disk or Disk()
    directory = fsdecode(path)
    hands.makeDirectory(directory)
    hands.checkDirectory(directory)
    return Queue(directory, clock, disk, run)
