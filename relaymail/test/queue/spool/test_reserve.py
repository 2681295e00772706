# -*- test-case-name: relaymail.test.queue.spool.test_reserve -*-
"""
Tests for L{relaymail.queue.spool.reserve}.
"""

from __future__ import annotations

import os

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import Envelope
from relaymail.queue.room import LEAST_BYTES, SPARE_BYTES, Own
from relaymail.queue.spool.reserve import NEAR
from relaymail.queue.spool.spool import Spool
from relaymail.test.queue.contract import DELIVERED
from relaymail.test.queue.spool.test_spool import FakeDisk

#: Larger than what a spool writes besides.
LARGE = b"x" * 200_000


class ReserveTests(SynchronousTestCase):
    """
    A spool on a disk that is nearly full.
    """

    def setUp(self) -> None:
        """
        Make a spool that had many messages, and has none now.
        """
        self.clock = Clock()
        self.disk = FakeDisk()
        self.disk.free = NEAR
        os.mkdir(directory := self.mktemp(), 0o700)
        self.spool = Spool(directory + "/queue", self.clock, self.disk)
        self.spool.lock()
        self.addCleanup(self.spool.stop)
        names: list[str] = []
        for _ in range(10):
            envelope = Envelope("a@a.example", ("x@b.example",))
            added = self.successResultOf(self.spool.add(envelope, LARGE))
            names.extend(added)
        for name in names:
            self.spool.done(name, DELIVERED)
        # What was taken is part of what is measured.
        for _ in range(2):
            self.clock.advance(10)
            self.assertTrue(self.spool.hasRoom())

    def hasRoom(self, free: int) -> bool:
        """
        Tell whether there is room, once it has been measured twice.
        """
        self.disk.free = free
        for _ in range(2):
            self.clock.advance(10)
            found = self.spool.hasRoom()
        return found

    def test_P6_freePages(self) -> None:
        """
        The free pages of the database are room for mail, and so is the log,
        once all of it is copied.
        """
        self.assertTrue(self.hasRoom(SPARE_BYTES - len(LARGE)))

    def test_P6_noMoreThanThere(self) -> None:
        """
        They are as much room as they are.
        """
        self.assertFalse(self.hasRoom(SPARE_BYTES - 40 * len(LARGE)))

    def test_P6_roomForRecords(self) -> None:
        """
        Where no records can be written, free pages do not help.
        """
        full = Own(0, 100 * SPARE_BYTES)
        self.patch(self.spool._reserve, "measure", lambda free: full)
        self.assertFalse(self.hasRoom(LEAST_BYTES - 1))
        self.assertTrue(self.hasRoom(LEAST_BYTES))

    def test_enough(self) -> None:
        """
        As long as there is room enough on the disk, the log is left alone.
        """
        self.assertEqual(self.spool._reserve.measure(NEAR), Own(0, 0))
