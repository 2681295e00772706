"""
Tests for L{relaymail.testing.databases}.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from relaymail.testing.crashes import Crash, CrashPoints
from relaymail.testing.databases import CrashingConnection, Databases


class CommitTests(SynchronousTestCase):
    """
    A process dies around a commit, with a rollback journal.
    """

    mode = "delete"

    def setUp(self) -> None:
        """
        Begin with a database that has a table.
        """
        self.points = CrashPoints()
        self.databases = Databases(self.points)
        self.path = os.path.abspath(self.mktemp())
        self.connection = self.connect()
        self.connection.execute(f"PRAGMA journal_mode={self.mode}")
        with self.connection:
            self.connection.execute("CREATE TABLE mail (name TEXT)")
        self.died: list[str] = []

    def tearDown(self) -> None:
        """
        Let go of the files.
        """
        self.databases.kill()

    def connect(self) -> CrashingConnection:
        """
        Open it, in a process that can die.
        """
        return sqlite3.connect(self.path, factory=self.databases.factory)

    def stored(self) -> list[str]:
        """
        Read it, as another process does.
        """
        other = sqlite3.connect(self.path)
        try:
            self.assertEqual(
                other.execute("PRAGMA integrity_check").fetchall(), [("ok",)]
            )
            return [name for (name,) in other.execute("SELECT name FROM mail")]
        finally:
            other.close()

    def crashAfter(self, count: int) -> None:
        """
        Die at a point.
        """

        def die(point: str) -> None:
            self.died.append(point)
            self.databases.kill()

        self.points.onCrash = die
        self.points.crashAfter(count)

    def insertAndCommit(self) -> None:
        """
        Commit a row by the connection's own method.
        """
        self.connection.execute("INSERT INTO mail VALUES ('a')")
        self.connection.commit()

    def insertWithin(self) -> None:
        """
        Commit it by leaving the connection.
        """
        with self.connection:
            self.connection.executemany("INSERT INTO mail VALUES (?)", [("a",)])

    def insertBySql(self) -> None:
        """
        Commit it by a statement.
        """
        self.connection.isolation_level = None
        cursor = self.connection.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        cursor.execute("INSERT INTO mail VALUES ('a')")
        cursor.execute("-- now\n commit;")

    def insertAlone(self) -> None:
        """
        Commit it without saying so.
        """
        self.connection.isolation_level = None
        self.connection.execute("INSERT INTO mail VALUES ('a')")

    def insertByScript(self) -> None:
        """
        Commit it by a script.
        """
        self.connection.executescript(
            "BEGIN; INSERT INTO mail VALUES ('a'); INSERT INTO mail SELECT ';'; END;"
        )

    def ways(self) -> list[Callable[[], None]]:
        """
        Give the ways to commit.
        """
        return [
            self.insertAndCommit,
            self.insertWithin,
            self.insertBySql,
            self.insertAlone,
            self.insertByScript,
        ]

    def test_beforeAndAfter(self) -> None:
        """
        Dead before the commit nothing is there, dead after it all is.
        """
        for way in self.ways():
            for count in (0, 1):
                self.died.clear()
                self.connection.rollback()
                self.connection.execute("DELETE FROM mail")
                self.connection.commit()
                self.crashAfter(count)
                self.assertRaises(Crash, way)
                what = "before" if count == 0 else "after"
                self.assertEqual(self.died, [f"{what} commit {self.path}"])
                self.assertEqual(self.stored()[:1], ["a"] if count else [])
                self.points.heal()
                self.connection = self.connect()

    def test_nothingToCommit(self) -> None:
        """
        Reading passes no point, nor does a commit of nothing.
        """
        self.crashAfter(0)
        self.assertEqual(self.connection.execute("SELECT * FROM mail").fetchall(), [])
        self.connection.commit()
        self.connection.execute("INSERT INTO mail VALUES ('a')")
        self.connection.rollback()
        self.assertEqual(self.died, [])

    def test_errorRollsBack(self) -> None:
        """
        Leaving the connection with an error commits nothing.
        """
        self.crashAfter(0)

        def fail() -> None:
            with self.connection:
                self.connection.execute("INSERT INTO mail VALUES ('a')")
                raise KeyError

        self.assertRaises(KeyError, fail)
        self.assertEqual(self.stored(), [])

    def test_deadConnection(self) -> None:
        """
        Whatever is asked of a dead connection or its cursor raises; that of
        the next process works.
        """
        cursor = self.connection.execute("SELECT 1 UNION SELECT 2")
        self.databases.kill()
        for ask in (
            lambda: self.connection.execute("SELECT 1"),
            lambda: self.connection.commit(),
            lambda: self.connection.rollback(),
            lambda: self.connection.close(),
            lambda: self.connection.in_transaction,
            self.insertWithin,
            cursor.fetchone,
            cursor.fetchall,
            lambda: next(cursor),
            lambda: cursor.execute("SELECT 1"),
        ):
            self.assertRaises(Crash, ask)
        self.connection = self.connect()
        self.insertAndCommit()
        self.assertEqual(self.stored(), ["a"])

    def test_whatTheDeadLeave(self) -> None:
        """
        The file of who died within a large transaction is as he left it, and
        is mended by who opens it.
        """
        self.insertAndCommit()
        self.connection.execute("PRAGMA cache_size=1")
        for _ in range(200):
            self.connection.execute("INSERT INTO mail VALUES (?)", ("x" * 4000,))
        self.databases.kill()
        beside = {"delete": "-journal", "wal": "-wal"}[self.mode]
        self.assertGreater(os.path.getsize(self.path + beside), 0)
        self.assertEqual(self.stored(), ["a"])

    def test_allDieTogether(self) -> None:
        """
        Every connection of the process dies, but for those that were closed.
        """
        closed, open_ = self.connect(), self.connect()
        closed.close()
        self.databases.kill()
        self.assertRaises(sqlite3.ProgrammingError, closed.execute, "SELECT 1")
        self.assertRaises(Crash, lambda: open_.execute("SELECT 1"))


class WalTests(CommitTests):
    """
    The same with a write-ahead log.
    """

    mode = "wal"
