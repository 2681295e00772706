# -*- test-case-name: relaymail.test.queue.spool.test_loading -*-
"""
What is read back into the window of a spool: it is read by whoever writes, so that
what is being written is not missed.
"""

from __future__ import annotations

import sqlite3
from functools import partial

from relaymail.queue.spool.bodies import Bodies
from relaymail.queue.spool.changes import Change
from relaymail.queue.spool.recipients import COLUMNS, Row
from relaymail.queue.spool.rows import Transaction
from relaymail.queue.spool.triage import Kind

#: How many rows are looked at in one transaction, for mail that is old or was
#: claimed when the relay went down: some milliseconds of work.
STRETCH = 20_000

_BACKLOG = COLUMNS + (
    "WHERE r.destination = ?1 AND r.lease IS NULL AND r.due >= ?2 "
    "AND (r.due > ?2 OR r.id > ?3) ORDER BY r.due, r.id LIMIT ?4"
)
_STRETCH = (
    "SELECT max(id) FROM (SELECT id FROM recipient WHERE id > ? ORDER BY id LIMIT ?)"
)
_LAST = "SELECT max(id) FROM recipient"
#: Whether it is of no use any more because it was to be delivered by a time that has
#: come, and then returned (RFC 2852, mode R).  Most messages say nothing of that.
_OVER = (
    "CASE WHEN m.options LIKE '%deliverBy%' AND json_valid(m.options) "
    "THEN json_extract(m.options, '$.deliverBy[1]') "
    "AND json_extract(m.options, '$.deliverBy[0]') <= ?3 ELSE 0 END"
)
_OLD = COLUMNS + (
    "WHERE r.id > ?1 AND r.id <= ?2 AND r.lease IS NULL AND r.due <= ?3 "
    f"AND (coalesce(r.since, m.arrived) < ?4 OR {_OVER}) ORDER BY r.id LIMIT ?5"
)


class _Look(Change):
    """
    Rows are looked for, once all that is being written is written.
    """

    @property
    def kind(self) -> Kind:
        """
        See L{Change.kind}.
        """
        return Kind.READING

    def isQuick(self, bodies: Bodies) -> bool:
        """
        See L{Change.isQuick}: what is read may be anywhere on the disk.
        """
        return False

    def gather(self, transaction: Transaction) -> None:
        """
        What goes in this transaction is not to be found any more.
        """
        transaction.reads.append(partial(self._read, transaction.database))

    def _read(self, database: sqlite3.Connection) -> None:
        raise NotImplementedError


class Load(_Look):
    """
    The next of a destination's recipients that rest are read.

    @ivar found: Them, in the order in which they are due; one more than was
        asked for, where there is one.
    """

    def __init__(self, destination: str, after: tuple[float, int], limit: int) -> None:
        """
        @param after: When the one before was due, and its number.
        @param limit: How many are wanted.
        """
        self.destination = destination
        self.limit = limit
        self.found: list[Row] = []
        self._after = after

    def _read(self, database: sqlite3.Connection) -> None:
        asked = (self.destination, *self._after, self.limit + 1)
        self.found = [Row(*row) for row in database.execute(_BACKLOG, asked)]


class Old(_Look):
    """
    Recipients that rest although they are due are read where their message was
    accepted long ago, or is of no use any more: a stretch of them, and the next
    one with the next such change.

    @ivar found: Them.
    @ivar last: The number of the last that was looked at; 0: there are no more,
        and the next stretch is the first.
    """

    def __init__(self, after: int, now: float, before: float, limit: int) -> None:
        """
        @param after: The number of the last that was looked at.
        @param now: Until when they are due, in seconds.
        @param before: Before when they were accepted, in seconds.
        @param limit: How many are wanted.
        """
        self.found: list[Row] = []
        self.last = 0
        self._after = after
        self._now = now
        self._before = before
        self._limit = limit

    def _read(self, database: sqlite3.Connection) -> None:
        stretch = database.execute(_STRETCH, (self._after, STRETCH)).fetchone()[0]
        if stretch is None:
            self.found, self.last = [], 0
            return
        asked = (self._after, stretch, self._now, self._before, self._limit)
        self.found = [Row(*row) for row in database.execute(_OLD, asked)]
        if len(self.found) == self._limit:
            self.last = self.found[-1].id
        else:
            isEnd = stretch == database.execute(_LAST).fetchone()[0]
            self.last = 0 if isEnd else stretch
