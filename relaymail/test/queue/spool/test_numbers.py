"""
Tests for L{relaymail.queue.spool.numbers}.
"""

from __future__ import annotations

import sqlite3
from typing import Any, cast

from relaymail.queue.spool import numbers
from relaymail.queue.spool.numbers import Numbers
from relaymail.queue.spool.rows import commit
from relaymail.test.queue.spool.spools import RowsTestCase


class NumbersTests(RowsTestCase):
    """
    L{Numbers} gives no number twice.
    """

    def setUp(self) -> None:
        """
        Begin with few that are reserved.
        """
        super().setUp()
        self.patch(numbers, "RESERVED", 10)

    def test_follow(self) -> None:
        """
        Numbers of one message follow each other, from 1.
        """
        given = Numbers(self.database)
        self.assertEqual(
            [given.take(3)[0], given.take(1)[0], given.take(2)[0]], [1, 4, 5]
        )

    def test_reservedBefore(self) -> None:
        """
        The database knows of them before the first is given.
        """
        Numbers(self.database)
        self.assertEqual(self.ask("SELECT next FROM number"), [(11,)])

    def test_neverAgain(self) -> None:
        """
        After a crash the next is one that was never given.
        """
        first = Numbers(self.database)
        given = set(range(first.take(10)[0], 11))
        self.assertNotIn(Numbers(self.database).take(1)[0], given)

    def test_more(self) -> None:
        """
        More are reserved with the first that is beyond, as many as needed.
        """
        given = Numbers(self.database)
        self.assertEqual(given.take(10), (1, None))
        first, wider = given.take(25)
        assert wider is not None
        self.assertEqual(first, 11)
        commit(self.database, self.bodies, [[wider]])
        self.assertEqual(self.ask("SELECT next FROM number"), [(46,)])
        self.assertEqual(given.take(10), (36, None))

    def test_notReserved(self) -> None:
        """
        What could not be reserved is reserved with the next.
        """
        given = Numbers(self.database)
        given.take(10)
        self.assertIsNotNone(given.take(1)[1])
        given.notReserved()
        first, wider = given.take(1)
        self.assertEqual(first, 12)
        assert wider is not None
        commit(self.database, self.bodies, [[wider]])
        self.assertEqual(self.ask("SELECT next FROM number"), [(23,)])

    def test_P6_fullAtTheStart(self) -> None:
        """
        Where nothing can be reserved for want of room it is reserved with the
        first that is taken.
        """
        given = Numbers(cast(sqlite3.Connection, _Full(self.database)))
        first, wider = given.take(1)
        self.assertEqual(first, 1)
        assert wider is not None
        commit(self.database, self.bodies, [[wider]])
        self.assertEqual(self.ask("SELECT next FROM number"), [(12,)])

    def test_beyondWhatIsThere(self) -> None:
        """
        Whatever was reserved, nothing is given that a recipient has.
        """
        commit(
            self.database,
            self.bodies,
            [[self.arrival(40, "x@b.example", "y@b.example")]],
        )
        self.assertEqual(Numbers(self.database).take(1)[0], 42)


class _Full:
    """
    A database that has no room.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def execute(self, statement: str, *arguments: Any) -> sqlite3.Cursor:
        if statement.startswith("UPDATE"):
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        return self._database.execute(statement, *arguments)
