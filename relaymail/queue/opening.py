# -*- test-case-name: relaymail.test.queue.test_opening -*-
"""
Which queue is where, and opening it for a service.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from enum import Enum
from os import fsdecode
from os.path import dirname

from twisted.internet.interfaces import IReactorTime

from relaymail.queue.directory import Queue
from relaymail.queue.disk import Disk
from relaymail.queue.records import isName
from relaymail.queue.spool.bodies import LARGEST_ROW
from relaymail.queue.spool.schema import Connect, connect
from relaymail.queue.spool.spool import Spool
from relaymail.queue.window import AnyPath
from relaymail.queue.writer import Run

#: The file of a spool, in a directory of which only the path was said.
SPOOL_FILE = "queue.db"
#: What a database begins with.
_SQLITE = b"SQLite format 3\0"
#: What the files of a directory queue end in.
_SUFFIXES = ("-H", "-D", "-S", "-C")


class QueueKind(Enum):
    """
    The kinds of queue that outlive the process.
    """

    SPOOL = "spool"
    DIRECTORY = "directory"


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """
    Where a queue is.

    @ivar kind: Of which kind it is.
    @ivar path: The file of a spool, or the directory.
    """

    kind: QueueKind
    path: str

    def __str__(self) -> str:
        """
        Give it as a person writes it.
        """
        return f"{self.kind.value}:{self.path}"


def recognise(path: str) -> QueuePlace:
    """
    Say of which kind the queue at a path is, by what is there: a file is a
    spool, and so is a directory unless mail of the other kind is in it.

    @param path: A file, a directory, or nothing yet.

    @raise OSError: When the directory cannot be read.
    @raise ValueError: When something else is there.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return QueuePlace(QueueKind.SPOOL, os.path.join(path, SPOOL_FILE))
    if stat.S_ISREG(mode):
        with open(path, "rb") as file:
            start = file.read(len(_SQLITE))
        if start not in (_SQLITE, b""):
            raise ValueError("it is a file, and no database")
        return QueuePlace(QueueKind.SPOOL, path)
    if not os.path.isdir(path):
        raise ValueError("it is neither a file nor a directory")
    with os.scandir(path) as found:
        names = {entry.name for entry in found}
    if SPOOL_FILE not in names and any(map(_isOfDirectory, names)):
        return QueuePlace(QueueKind.DIRECTORY, path)
    return QueuePlace(QueueKind.SPOOL, os.path.join(path, SPOOL_FILE))


def _isOfDirectory(name: str) -> bool:
    return name[-2:] in _SUFFIXES and isName(name[:-2])


def openQueue(
    place: QueuePlace,
    clock: IReactorTime | None = None,
    run: Run | None = None,
    disk: Disk | None = None,
    connect: Connect = connect,
    largestRow: int = LARGEST_ROW,
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

    @return: The queue, not locked yet.

    @raise QueueUnusable: When there can be none.
    """
    if place.kind is QueueKind.DIRECTORY:
        return openDirectory(place.path, clock, run, disk)
    return openSpool(place.path, clock, run, disk, connect, largestRow)


def openSpool(
    path: str,
    clock: IReactorTime | None = None,
    run: Run | None = None,
    disk: Disk | None = None,
    connect: Connect = connect,
    largestRow: int = LARGEST_ROW,
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

    @return: The spool, not locked yet.

    @raise QueueUnusable: When the directory cannot hold a spool.
    """
    hands = disk or Disk()
    directory = dirname(path)
    hands.makeDirectory(directory)
    hands.checkDirectory(directory)
    return Spool(path, clock, disk, run, connect, largestRow)


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
