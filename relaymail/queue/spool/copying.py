# -*- test-case-name: relaymail.test.queue.spool.test_copying -*-
"""
When the log of a spool is copied into its database.

SQLite would do so by itself, but keeps it for itself when that fails: a database
that did not get to the disk would be thought to be there, and the log be written
over.
"""

from __future__ import annotations

import sqlite3

from relaymail.queue.spool.rows import Transaction
from relaymail.queue.spool.schema import CHECKPOINT, QueueDamaged, translated

#: The size of a page of the database, in bytes.
PAGE = 4096
#: By what factor the pages of the log may be taken for more or fewer than they
#: are.
SKEW = 8
#: How many pages a transaction writes besides its rows.
BESIDES = 4


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

    def wrote(self, database: sqlite3.Connection, transaction: Transaction) -> None:
        """
        Count a transaction that has been committed, and copy the log if it has
        become long enough.
        """
        self._written += _weightOf(transaction)
        if self._written < self._limit:
            return
        self._written = 0
        try:
            found = database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as e:
            # What is in the log is safe; it is tried again when it is longer.
            error = translated(e, "copy the log into the spool")
            if isinstance(error, QueueDamaged):
                self.damage = error
            return
        self._learn(found[1])

    def _learn(self, frames: int) -> None:
        if frames > 0:
            better = self._limit * self._pages / frames
            self._limit = min(max(better, self._pages / SKEW), self._pages * SKEW)


def _weightOf(transaction: Transaction) -> int:
    contents = sum(len(row[-1] or b"") for row in transaction.messages)
    rows = len(transaction.messages) + len(transaction.updates) + len(transaction.gone)
    return BESIDES + rows + contents // PAGE
