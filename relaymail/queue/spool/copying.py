# -*- test-case-name: relaymail.test.queue.spool.test_copying -*-
"""
When the log of a spool is copied into its database.

SQLite would do so by itself, but keeps it for itself when that fails: a database
that did not get to the disk would be thought to be there, and the log be written
over.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import quote

from relaymail.queue.spool.rows import Transaction
from relaymail.queue.spool.schema import CHECKPOINT, QueueDamaged, translated

#: The size of a page of the database, in bytes.
PAGE = 4096
#: By what factor the pages of the log may be taken for more or fewer than they
#: are.
SKEW = 8
#: How many pages a transaction writes besides its rows.
BESIDES = 4


@contextmanager
def uncopied(path: str) -> Iterator[None]:
    """
    Let the connections of a database be closed meanwhile without touching it.
    SQLite copies the log when the last of them is closed, and then removes it:
    from a disk that did not keep what it said it had, that may be all there is.
    The last one is one that may only read.

    @param path: The file of the database.
    """
    with ExitStack() as stack:
        with suppress(sqlite3.Error):
            last = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True)
            stack.callback(last.close)
            # Until it has read it does not count as one.
            last.execute("SELECT 1 FROM sqlite_master").fetchone()
        yield


class Log:
    """
    Has the log copied when it is long enough.  How long it is is told by SQLite
    only when it is copied; until then it is estimated from what was written, and
    each time the estimate becomes better.

    @ivar damage: Why nothing may be written any more, or L{None}.
    """

    def __init__(self, pages: int = CHECKPOINT) -> None:
        """
        @param pages: How many pages it has when it is copied.
        """
        self.damage: Exception | None = None
        self._pages = pages
        self._limit = float(pages)
        self._written = 0
        # Whether nothing was written since it was copied for want of room.
        self._isInVain = False

    def wrote(self, database: sqlite3.Connection, transaction: Transaction) -> None:
        """
        Count a transaction that has been committed, and copy the log if it has
        become long enough.
        """
        weight = _weightOf(transaction)
        if weight > BESIDES:
            self._isInVain = False
        self._written += weight
        if self._written < self._limit:
            return
        self._learn(self._copy(database)[0])

    def failed(self, database: sqlite3.Connection, error: Exception) -> bool:
        """
        Be told of a transaction that failed, and of which nothing is left.  For
        want of room the log is copied: what has been copied is written over by
        what comes next, which needs no more room then.

        That is not done again before something has been written: it takes as
        long as the log is, and the disk is as full as before.

        @return: Whether there may be room now.
        """
        if isinstance(translated(error, "write the spool"), QueueDamaged):
            self.damage = self.damage or translated(error, "write the spool")
        if self.damage is not None or self._isInVain or not _isFull(error):
            return False
        self._isInVain = True
        frames, copied = self._copy(database)
        return 0 < frames == copied

    def _copy(self, database: sqlite3.Connection) -> tuple[int, int]:
        """
        Copy the log.

        @return: How many pages it has, and how many of them are copied.
        """
        self._written = 0
        try:
            found = database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as e:
            # What is in the log is safe; it is tried again when it is longer.
            error = translated(e, "copy the log into the spool")
            if isinstance(error, QueueDamaged):
                self.damage = error
            return 0, 0
        return found[1], found[2]

    def _learn(self, frames: int) -> None:
        if frames > 0:
            better = self._limit * self._pages / frames
            self._limit = min(max(better, self._pages / SKEW), self._pages * SKEW)


def _isFull(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def _weightOf(transaction: Transaction) -> int:
    contents = sum(len(row[-1] or b"") for row in transaction.messages)
    rows = len(transaction.messages) + len(transaction.updates) + len(transaction.gone)
    return BESIDES + rows + contents // PAGE
