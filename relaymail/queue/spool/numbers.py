# -*- test-case-name: relaymail.test.queue.spool.test_numbers -*-
"""
The numbers of a spool's recipients: no two ever have the same, not even after
the first has gone.
"""

from __future__ import annotations

import sqlite3

from relaymail.queue.spool.upkeep import Reservation

#: How many numbers are reserved at a time: one write for so many recipients.
RESERVED = 1_000_000

#: The number of somebody else's mail must never be given, whatever was reserved.
_NEXT = "SELECT max(next, (SELECT coalesce(max(id), 0) + 1 FROM recipient)) FROM number"


class Numbers:
    """
    Gives numbers, of which the database knows up to where they are given.

    @ivar next: The next one.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        """
        @param database: Reserves the first.
        """
        (self.next,) = database.execute(_NEXT).fetchone()
        self._end = self.next + RESERVED
        try:
            database.execute("UPDATE number SET next = ?", (self._end,))
        except sqlite3.OperationalError as e:
            if e.sqlite_errorcode != sqlite3.SQLITE_FULL:
                raise
            # What is there can be sent all the same, which makes room.
            self._end = 0

    def take(self, count: int) -> tuple[int, Reservation | None]:
        """
        Take numbers that follow each other.

        @return: The first, and what is to be written with what they are taken
            for, if they are more than were reserved.
        """
        first, self.next = self.next, self.next + count
        if self.next <= self._end:
            return first, None
        self._end = self.next + RESERVED
        return first, Reservation(self._end)

    def notReserved(self) -> None:
        """
        Note that what was to be written could not be: the next that are taken
        are reserved again.
        """
        self._end = 0
