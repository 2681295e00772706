"""
Tests for L{relaymail.queue.spool.schema}.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import QueueFull, QueueUnusable
from relaymail.queue.spool import schema
from relaymail.queue.spool.schema import (
    APPLICATION_ID,
    QueueDamaged,
    check,
    connect,
    openReader,
    openSpool,
    translated,
)

TABLES = {
    *("message", "recipient", "destination", "total", "number", "imported"),
    "suspension",
}


class SchemaTests(SynchronousTestCase):
    """
    Opening a spool.
    """

    def setUp(self) -> None:
        """
        Begin with a directory.
        """
        os.mkdir(directory := os.path.abspath(self.mktemp()), 0o700)
        self.path = directory + "/queue"

    def pragma(self, database: sqlite3.Connection, name: str) -> object:
        """
        Give what a setting is.
        """
        return database.execute(f"PRAGMA {name}").fetchone()[0]

    def make(self, script: str = "") -> None:
        """
        Make a spool, and change it.
        """
        database = openSpool(self.path)
        database.executescript(script)
        database.close()

    def assertRefused(self, words: str, kind: type[Exception] = QueueUnusable) -> None:
        """
        What is there is refused, says why, and stays as it is.
        """
        before = Path(self.path).read_bytes()
        error = self.assertRaises(kind, openSpool, self.path)
        self.assertIn(self.path, str(error))
        self.assertIn(words, str(error))
        self.assertEqual(Path(self.path).read_bytes(), before)
        self.assertEqual(os.listdir(os.path.dirname(self.path)), ["queue"])

    def test_new(self) -> None:
        """
        A new one gets its tables, and says what it is.
        """
        database = openSpool(self.path)
        self.addCleanup(database.close)
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        self.assertEqual({name for (name,) in tables}, TABLES)
        self.assertEqual(self.pragma(database, "application_id"), APPLICATION_ID)
        self.assertEqual(self.pragma(database, "user_version"), schema.VERSION)
        self.assertEqual(database.execute("SELECT * FROM number").fetchall(), [(1,)])

    def test_P1_durable(self) -> None:
        """
        Each commit is synced, of a new spool and of an old one.
        """
        for _ in range(2):
            database = openSpool(self.path)
            found = [self.pragma(database, x) for x in ("journal_mode", "synchronous")]
            self.assertEqual(found, ["wal", 2])
            self.assertEqual(self.pragma(database, "wal_autocheckpoint"), 8192)
            database.close()

    def test_reader(self) -> None:
        """
        A reader sees what was committed and can write nothing.
        """
        self.make()
        database = openReader(self.path)
        self.addCleanup(database.close)
        self.assertEqual(database.execute("SELECT * FROM message").fetchall(), [])
        self.assertRaises(
            sqlite3.OperationalError, database.execute, "DELETE FROM message"
        )

    def test_A08_filesAreNobodyElses(self) -> None:
        """
        The database and what is beside it are 0600 whatever the umask.
        """
        self.addCleanup(os.umask, os.umask(0))
        database = openSpool(self.path)
        self.addCleanup(database.close)
        directory = Path(self.path).parent
        modes = {x.name: stat.S_IMODE(x.stat().st_mode) for x in directory.iterdir()}
        names = ("queue", "queue-wal", "queue-shm")
        self.assertEqual(modes, dict.fromkeys(names, 0o600))

    def test_A08_linksAreNotFollowed(self) -> None:
        """
        A link is refused, whether something is at its end or not.
        """
        os.symlink(self.path + "-elsewhere", self.path)
        self.assertRaises(QueueUnusable, openSpool, self.path)
        self.assertEqual(os.listdir(os.path.dirname(self.path)), ["queue"])
        other = openSpool(self.path + "-elsewhere")
        self.addCleanup(other.close)
        error = self.assertRaises(QueueUnusable, openSpool, self.path)
        self.assertIn(self.path, str(error))

    def test_noDirectory(self) -> None:
        """
        A spool whose directory is not there cannot be opened.
        """
        error = self.assertRaises(QueueUnusable, openSpool, "/nowhere/at/all")
        self.assertIn("/nowhere/at/all", str(error))

    def test_foreignDatabase(self) -> None:
        """
        A database of somebody else is left as it is.
        """
        database = sqlite3.connect(self.path)
        database.execute("CREATE TABLE bookmarks (name)")
        database.close()
        self.assertRefused("no spool of relaymail")

    def test_noDatabase(self) -> None:
        """
        So is what is no database, however long it is.
        """
        for text in (b"x", b"notes\n" * 10, b"notes\n" * 10_000):
            Path(self.path).write_bytes(text)
            self.assertRefused("not a database")

    def test_laterVersion(self) -> None:
        """
        So is a spool that a later relaymail has made.
        """
        self.make("PRAGMA user_version = 99")
        self.assertRefused("version 99")

    def test_emptyFile(self) -> None:
        """
        An empty file becomes a spool.
        """
        Path(self.path).touch()
        self.make()
        self.assertEqual(check(self.path), "")

    def migrate(self, statements: str) -> None:
        """
        Let there be a next version.
        """
        self.patch(schema, "VERSION", schema.VERSION + 1)
        self.patch(schema, "MIGRATIONS", {schema.VERSION: statements})

    def test_migration(self) -> None:
        """
        A spool of the version before is changed once, and keeps its mail.
        """
        self.make("INSERT INTO imported VALUES ('old')")
        self.migrate("ALTER TABLE imported ADD COLUMN more TEXT;")
        for _ in range(2):
            database = openSpool(self.path)
            rows = database.execute("SELECT * FROM imported").fetchall()
            self.assertEqual(rows, [("old", None)])
            self.assertEqual(self.pragma(database, "user_version"), schema.VERSION)
            database.close()

    def test_migrationIsWholeOrNot(self) -> None:
        """
        A change that fails half-way changes nothing, and is tried again.
        """
        self.make()
        self.migrate("ALTER TABLE imported ADD COLUMN more TEXT; SELECT nonsense;")
        self.assertRaises(QueueUnusable, openSpool, self.path)
        database = connect(self.path)
        self.assertEqual(self.pragma(database, "user_version"), schema.VERSION - 1)
        rows = database.execute("PRAGMA table_info(imported)").fetchall()
        self.assertEqual(len(rows), 1)
        database.close()
        self.migrate("")
        schema.MIGRATIONS[schema.VERSION - 1] = "ALTER TABLE imported ADD COLUMN more;"
        self.make()

    def test_checkSound(self) -> None:
        """
        Nothing is wrong with a new spool.
        """
        self.make()
        self.assertEqual(check(self.path), "")

    def test_P7_checkFindsADamagedPage(self) -> None:
        """
        A page that was overwritten is found.
        """
        self.make(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000)"
            "INSERT INTO imported SELECT 'a name that is long enough ' || i FROM n;"
        )
        with open(self.path, "r+b") as file:
            file.seek(os.path.getsize(self.path) // 2 // 4096 * 4096)
            file.write(b"\xaa" * 4096)
        before = Path(self.path).read_bytes()
        self.assertNotEqual(check(self.path), "")
        self.assertEqual(Path(self.path).read_bytes(), before)

    def test_checkNoDatabase(self) -> None:
        """
        What is no database is told, not raised.
        """
        Path(self.path).write_bytes(b"notes\n" * 1000)
        self.assertIn("not a database", check(self.path))


class TranslatedTests(SynchronousTestCase):
    """
    L{translated} says what a database said.
    """

    def test_kinds(self) -> None:
        """
        Want of room and damage are told from what is just trouble; the first
        byte of a code says it where the whole does not.
        """
        kinds = {
            sqlite3.SQLITE_FULL: QueueFull,
            sqlite3.SQLITE_CORRUPT: QueueDamaged,
            sqlite3.SQLITE_CORRUPT_INDEX: QueueDamaged,
            sqlite3.SQLITE_NOTADB: QueueDamaged,
            sqlite3.SQLITE_IOERR_FSYNC: QueueDamaged,
            sqlite3.SQLITE_IOERR_WRITE: QueueUnusable,
            sqlite3.SQLITE_IOERR_READ: QueueUnusable,
            sqlite3.SQLITE_BUSY: QueueUnusable,
            sqlite3.SQLITE_CONSTRAINT_UNIQUE: QueueUnusable,
            None: QueueUnusable,
        }
        for code, kind in kinds.items():
            error = sqlite3.OperationalError("so it said")
            if code is not None:
                error.sqlite_errorcode = code
            found = translated(error, "do this")
            self.assertIs(type(found), kind, code)
            self.assertIn("tried to do this: so it said; ", str(found))

    def test_others(self) -> None:
        """
        What no database said is left as it is.
        """
        error = ValueError("no")
        self.assertIs(translated(error, "do this"), error)
