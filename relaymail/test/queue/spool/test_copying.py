"""
Tests for L{relaymail.queue.spool.copying}.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from relaymail.errors import QueueFull
from relaymail.queue.spool.copying import Log
from relaymail.queue.spool.rows import Transaction
from relaymail.queue.spool.schema import QueueDamaged
from relaymail.test.queue.spool.spools import RowsTestCase


class FakeDatabase:
    """
    Notes that the log is copied.

    @ivar frames: How long it says that it was.
    @ivar left: How much of it could not be copied.
    @ivar copied: How often it was.
    @ivar code: The code of the error it fails with; 0: it does not.
    """

    frames = 100
    left = 0
    copied = 0
    code = 0

    def execute(self, statement: str) -> FakeDatabase:
        """
        Copy it.
        """
        self.copied += 1
        if self.code:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = self.code
            raise error
        return self

    def fetchone(self) -> tuple[int, int, int]:
        """
        Tell how long it was.
        """
        return 0, self.frames, self.frames - self.left


class LogTests(RowsTestCase):
    """
    L{Log} has the log copied, and says what became of that.
    """

    def setUp(self) -> None:
        """
        Make one.
        """
        super().setUp()
        self.fake: Any = FakeDatabase()
        self.log = Log(100)

    def write(self, rows: int) -> int:
        """
        Write transactions of no content until the log is copied.

        @return: How many.
        """
        copied, count = self.fake.copied, 0
        while self.fake.copied == copied and count < 10_000:
            transaction = Transaction(self.fake, self.bodies)
            transaction.gone = [(number,) for number in range(rows)]
            self.log.wrote(self.fake, transaction)
            count += 1
        return count

    def test_whenItIsLong(self) -> None:
        """
        It is copied when it is as long as it may be, not before.
        """
        self.assertEqual(self.write(6), 10)
        self.assertEqual(self.write(6), 10)

    def test_estimateBecomesBetter(self) -> None:
        """
        One that was shorter than was thought is copied later the next time, but
        not ever later.
        """
        self.fake.frames = 50
        self.write(6)
        self.assertEqual(self.write(6), 20)
        self.fake.frames = 1
        for _ in range(3):
            self.write(6)
        self.assertEqual(self.write(6), 80)

    def test_P1_notSynced(self) -> None:
        """
        When the database did not get to the disk nothing is written any more.
        """
        self.fake.code = sqlite3.SQLITE_IOERR_FSYNC
        self.write(6)
        self.assertIsInstance(self.log.damage, QueueDamaged)

    def test_P6_noRoom(self) -> None:
        """
        When there is no room for it now, it is tried again.
        """
        self.fake.code = sqlite3.SQLITE_FULL
        self.write(6)
        self.assertIsNone(self.log.damage)
        self.assertEqual(self.write(6), 10)

    def tell(self, code: int) -> bool:
        """
        Let a transaction fail.

        @return: Whether it is tried again.
        """
        error = sqlite3.OperationalError("no")
        error.sqlite_errorcode = code
        return self.log.failed(self.fake, error)

    def test_P6_copiedForWantOfRoom(self) -> None:
        """
        Where there is no room for a transaction it is copied, and what was
        copied is room, if that is all; but for other trouble it is not.
        """
        self.assertFalse(self.tell(sqlite3.SQLITE_IOERR_WRITE))
        self.assertFalse(self.log.failed(self.fake, QueueFull("no descriptors")))
        self.assertEqual(self.fake.copied, 0)
        self.assertTrue(self.tell(sqlite3.SQLITE_FULL))
        self.assertEqual(self.fake.copied, 1)
        self.write(6)
        self.fake.left = 1
        self.assertFalse(self.tell(sqlite3.SQLITE_FULL))
        self.write(6)
        self.fake.frames = self.fake.left = 0
        self.assertFalse(self.tell(sqlite3.SQLITE_FULL))

    def test_P6_notCopiedInVain(self) -> None:
        """
        As long as nothing has been written it is not copied again: on a disk that
        stays full that would be all that is done.
        """
        self.fake.code = sqlite3.SQLITE_FULL
        for _ in range(5):
            self.assertFalse(self.tell(sqlite3.SQLITE_FULL))
            # What only reads is no sign of room.
            self.log.wrote(self.fake, Transaction(self.fake, self.bodies))
        self.assertEqual(self.fake.copied, 1)
        self.fake.code = 0
        transaction = Transaction(self.fake, self.bodies)
        transaction.gone = [(1,)]
        self.log.wrote(self.fake, transaction)
        self.assertTrue(self.tell(sqlite3.SQLITE_FULL))

    def test_P7_damaged(self) -> None:
        """
        A transaction that finds the database damaged is the last.
        """
        self.assertFalse(self.tell(sqlite3.SQLITE_CORRUPT))
        self.assertIsInstance(self.log.damage, QueueDamaged)
        self.assertFalse(self.tell(sqlite3.SQLITE_FULL))
        self.assertEqual(self.fake.copied, 0)
