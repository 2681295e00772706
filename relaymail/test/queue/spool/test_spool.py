"""
Tests for L{relaymail.queue.spool.spool}.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import Envelope
from relaymail.errors import QueueFull
from relaymail.queue.disk import Disk, Room
from relaymail.queue.room import BELIEVED, SPARE_BYTES, SPARE_INODES, Own
from relaymail.queue.spool.bodies import LARGEST_ROW
from relaymail.queue.spool.reserve import Reserve
from relaymail.queue.spool.spool import Spool
from relaymail.test.queue.contract import MESSAGE, QueueContract
from relaymail.test.queue.inspection import InspectionContract
from relaymail.test.queue.saying import SayingContract


class SpoolContractTests(
    InspectionContract, SayingContract, QueueContract, SynchronousTestCase
):
    """
    L{Spool} is a queue.
    """

    def makeQueue(self) -> Any:
        """
        Make it.
        """
        os.mkdir(directory := self.mktemp(), 0o700)
        self.path = directory + "/queue"
        return self.reopen()

    def reopen(self) -> Any:
        """
        Open it.
        """
        spool = Spool(self.path, self.clock)
        spool.lock()
        self.addCleanup(spool.stop)
        return spool

    def restart(self) -> Any:
        """
        Nothing is finished, but the lock is given back.
        """
        self.queue._close()
        self.queue._release(None)
        self.queue = self.reopen()
        self.queue.noisy = False
        return self.queue

    def settle(self, result: Deferred[Any] | None) -> Any:
        """
        It is written at once.
        """
        return None if result is None else self.successResultOf(result)


class FakeDisk(Disk):
    """
    The real disk, which says that it has other room.

    @ivar free: How much, in bytes.
    """

    free = 0

    def room(self, directory: str) -> Room:
        """
        Say so.
        """
        return Room(self.free, None)


class RoomTests(SynchronousTestCase):
    """
    Whether there is room, as far as it can be known without measuring.
    """

    def setUp(self) -> None:
        """
        Make a spool on a disk with room for a few contents.
        """
        self.patch(Reserve, "measure", lambda reserve, free: Own(0, 0))
        self.clock = Clock()
        self.disk = FakeDisk()
        self.disk.free = SPARE_BYTES + 10 * len(MESSAGE)
        os.mkdir(directory := self.mktemp(), 0o700)
        self.spool = Spool(directory + "/queue", self.clock, self.disk)
        self.spool.lock()
        self.addCleanup(self.spool.stop)

    def add(self) -> Deferred[list[str]]:
        """
        Add a message.
        """
        return self.spool.add(Envelope("a@a.example", ("x@b.example",)), MESSAGE)

    def test_P6_takenIsCounted(self) -> None:
        """
        What has been taken since it was measured has its room, twice as it is
        in the log and in the database: mail that comes fast leaves free what is
        to be kept free, and the queue drains.
        """
        for _ in range(6):
            self.successResultOf(self.add())
        self.failureResultOf(self.add(), QueueFull)
        self.assertFalse(self.spool.hasRoom())

    def test_P6_takenFilesAreCounted(self) -> None:
        """
        So have the files of large contents.
        """
        room = Room(1 << 40, SPARE_INODES + 2)
        self.patch(self.disk, "room", lambda directory: room)
        large = b"x" * (LARGEST_ROW + 1)
        for content in (MESSAGE, large, large, MESSAGE, large):
            envelope = Envelope("a@a.example", ("x@b.example",))
            self.successResultOf(self.spool.add(envelope, content))
        self.failureResultOf(self.add(), QueueFull)

    def test_P6_measuredIsBelieved(self) -> None:
        """
        What was taken before the last but one measurement is part of what was
        measured.
        """
        for _ in range(6):
            self.successResultOf(self.add())
        self.clock.advance(BELIEVED)
        self.assertFalse(self.spool.hasRoom())
        self.clock.advance(BELIEVED)
        self.assertTrue(self.spool.hasRoom())
