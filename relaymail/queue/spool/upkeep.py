# -*- test-case-name: relaymail.test.queue.spool.test_changes -*-
"""
What a spool's database is asked for its own sake: when it is opened, when numbers
are given, and after an import.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from relaymail.queue.spool.bodies import Bodies
from relaymail.queue.spool.changes import Change
from relaymail.queue.spool.rows import Stand, Transaction

_STRETCH = (
    "SELECT max(id) FROM "
    "(SELECT id FROM recipient WHERE id > ? AND id < ? ORDER BY id LIMIT ?)"
)
_REVIVE = (
    "UPDATE recipient SET lease = NULL WHERE id > ? AND id <= ? "
    "AND lease IS NOT NULL AND aside IS NULL AND held IS NULL "
    "RETURNING destination, due, id"
)


class Revival(Change):
    """
    What was claimed when the relay went down rests again: a part of it.

    @ivar end: Up to which number this was done; L{None}: to the last.
    @ivar found: The destination, the time and the number of each that was.
    """

    def __init__(
        self,
        start: int,
        stop: int,
        limit: int,
        standOf: Callable[[int], Stand | None] = lambda number: None,
    ) -> None:
        """
        @param start: The number before the first.
        @param stop: The number after the last.
        @param limit: How many are looked at.
        @param standOf: Gives what is known of a recipient that was claimed
            again meanwhile.
        """
        self._standOf = standOf
        self.end: int | None = None
        self.found: list[tuple[str, float, int]] = []
        self._asked = (start, stop, limit)

    def isQuick(self, bodies: Bodies) -> bool:
        """
        See L{Change.isQuick}: what is read may be anywhere on the disk.
        """
        return False

    def gather(self, transaction: Transaction) -> None:
        """
        The rows are changed when the others are written.
        """
        transaction.reads.append(partial(self._revive, transaction))

    def _revive(self, transaction: Transaction) -> None:
        database = transaction.database
        (self.end,) = database.execute(_STRETCH, self._asked).fetchone()
        if self.end is not None:
            rows = database.execute(_REVIVE, (self._asked[0], self.end))
            self.found = rows.fetchall()
            for destination, _, number in self.found:
                stand = self._standOf(number) or Stand()
                transaction.move(stand, destination, True)


class Reservation(Change):
    """
    Numbers are given up to here.
    """

    def __init__(self, end: int) -> None:
        """
        @param end: The first that is not given.
        """
        self._end = end

    def gather(self, transaction: Transaction) -> None:
        """
        One row changes.
        """
        transaction.database.execute("UPDATE number SET next = ?", (self._end,))


class Forgetting(Change):
    """
    The names that were imported are forgotten.
    """

    def gather(self, transaction: Transaction) -> None:
        """
        All of them go.
        """
        transaction.database.execute("DELETE FROM imported")


class Sweep(Change):
    """
    The files of messages that are not there are removed, and the destinations
    that have nothing any more.
    """

    def __init__(self, end: int) -> None:
        """
        @param end: The first number that may be of a message to come.
        """
        self._end = end

    def isQuick(self, bodies: Bodies) -> bool:
        """
        See L{Change.isQuick}: what is read may be anywhere on the disk.
        """
        return False

    def gather(self, transaction: Transaction) -> None:
        """
        It is looked for each file, and all the rows.
        """
        numbers = transaction.bodies.numbers()
        transaction.apart.update(number for number in numbers if number < self._end)
        transaction.database.execute("DELETE FROM destination WHERE queued = 0")
