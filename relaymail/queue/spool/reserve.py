# -*- test-case-name: relaymail.test.queue.spool.test_reserve -*-
"""
The room that a spool has on a disk that is nearly full: its log, which is written
from the beginning again once all of it has been copied into the database, and the
pages of the database that are free.

A file of a database does not shrink.  Where only the disk's own free room counted,
a spool that was full once would be full ever after.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable

from twisted.internet.defer import Deferred

from relaymail.queue.room import SPARE_BYTES, Own
from relaymail.queue.spool.changes import Change
from relaymail.queue.spool.rows import Transaction
from relaymail.queue.spool.schema import translated

#: From how little free room on the log is copied often, in bytes: what is only
#: in it needs room in the database, and what was copied does not.
NEAR = 2 * SPARE_BYTES
#: How large a frame of the log is, in bytes: a page and its header.
FRAME = 4096 + 24


class Copying(Change):
    """
    What is only in the log is copied into the database.

    @ivar left: How much could not be copied, in bytes; L{None}: not known.
    @ivar error: What went wrong, or L{None}.
    """

    def __init__(self) -> None:
        self.left: int | None = None
        self.error: Exception | None = None

    def gather(self, transaction: Transaction) -> None:
        """
        It is done once the others are written.
        """
        transaction.after.append(self._copy)

    def _copy(self, database: sqlite3.Connection) -> None:
        try:
            found = database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as e:
            self.error = translated(e, "copy the log into the spool")
            return
        _, frames, copied = found
        self.left = FRAME * (frames - copied)


class Reserve:
    """
    Knows what room a spool has of its own.
    """

    def __init__(
        self,
        path: str,
        freeBytes: Callable[[], int],
        submit: Callable[[Change], Deferred[None]],
        failed: Callable[[Exception], object],
    ) -> None:
        """
        @param path: The file of the database.
        @param freeBytes: Tells how much of the database is free, in bytes.
        @param submit: Has a change made.
        @param failed: Is told of what went wrong with copying.
        """
        self._log = path + "-wal"
        self._freeBytes = freeBytes
        self._submit = submit
        self._failed = failed
        self._known = 0
        self._isCopying = False

    def measure(self, free: int) -> Own:
        """
        Tell what room there is.  Where there is little, the log is copied, and
        the next measurement knows of it.

        @param free: What is free on the disk, in bytes.
        """
        if free >= NEAR:
            return Own(0, 0)
        if not self._isCopying:
            self._isCopying = True
            copying = Copying()
            self._submit(copying).addBoth(self._copied, copying)
        return Own(self._known, self._freeBytes())

    def _copied(self, _: object, copying: Copying) -> None:
        self._isCopying = False
        self._known = 0
        if copying.error is not None:
            self._failed(copying.error)
        if copying.left is not None:
            self._known = max(0, self._logBytes() - copying.left)

    def _logBytes(self) -> int:
        try:
            return os.stat(self._log).st_size
        except OSError:
            return 0
