"""
Tests for L{relaymail.queue.spool.copying}.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from relaymail.queue.spool.copying import Log
from relaymail.queue.spool.rows import Transaction
from relaymail.queue.spool.schema import QueueDamaged
from relaymail.test.queue.spool.spools import RowsTestCase


class FakeDatabase:
    """
    Notes that the log is copied.

    @ivar frames: How long it says that it was.
    @ivar copied: How often it was.
    @ivar code: The code of the error it fails with; 0: it does not.
    """

    frames = 100
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
        return 0, self.frames, self.frames


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
