# -*- test-case-name: relaymail.test.queue.test_opening -*-
"""
Where a queue is, and which kind of queue is there.  This is all that those need
who do not open it.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from enum import Enum

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
    if name[-2:] not in _SUFFIXES:
        return False
    # It takes a moment to import, and is rarely needed.
    from relaymail.queue.records import isName

    return isName(name[:-2])
