"""
Tests for what a directory queue does when, and when that fails.
"""

from __future__ import annotations

import errno

from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import Envelope
from relaymail.errors import QueueFull, QueueUnusable
from relaymail.queue.removals import TRY_AGAIN
from relaymail.queue.room import BLOCK, SPARE_BYTES, SPARE_INODES
from relaymail.test.queue.contract import DELIVERED, MESSAGE, NOW, RETRY
from relaymail.test.queue.directories import MemoryDirectoryContract


class DurabilityTests(MemoryDirectoryContract, SynchronousTestCase):
    """
    What is synced, and when.
    """

    def assertSynced(self) -> None:
        """
        Every file was synced before it was renamed, and the directory last.
        """
        steps = [(step, path[-2:]) for step, path in self.steps]
        content, rename = steps.index(("finish", "-C")), steps.index(("rename", "-D"))
        self.assertLess(content, rename)
        directory = [i for i, (s, _) in enumerate(self.steps) if s == "sync"][-1]
        self.assertEqual(self.steps[directory][1], self.directory)
        self.assertGreater(directory, rename)

    def test_P1_addSyncsBeforeItFires(self) -> None:
        """
        Content and envelope are synced, then renamed, then the directory.
        """
        self.steps.clear()
        self.add("x@b.example")
        self.assertSynced()
        steps = [(step, path[-2:]) for step, path in self.steps]
        self.assertLess(steps.index(("finish", "-H")), steps.index(("rename", "-D")))

    def test_P1_eomSyncsBeforeItFires(self) -> None:
        """
        So are those of a message that came line by line.
        """
        self.steps.clear()
        self.receive(b"body")
        self.assertSynced()
        steps = [(step, path[-2:]) for step, path in self.steps]
        self.assertLess(steps.index(("sync", "-H")), steps.index(("rename", "-D")))

    def test_P2_whatFailsIsNotTaken(self) -> None:
        """
        Whatever operation fails, C{add} fails and nothing is left.
        """
        envelope = Envelope("a@a.example", ("x@b.example", "y@b.example"))
        for step, suffix in (
            ("create", "-C"),
            ("write", "-C"),
            ("finish", "-C"),
            ("link", "-C"),
            ("create", "-H"),
            ("finish", "-H"),
            ("finish", "-J0"),
            ("rename", "-J"),
            ("rename", "-D"),
            ("sync", self.directory),
        ):
            self.disk.fail(step, errno.ENOSPC, suffix)
            self.failureResultOf(self.queue.add(envelope, MESSAGE), QueueFull)
            self.restart()
            self.assertEqual((step, self.files()), (step, []))
            self.assertEqual(self.queue.getWaiting(), [])
        self.flushLoggedErrors()

    def test_P3_nameOfAnotherIsLeftAlone(self) -> None:
        """
        Should somebody else take the same name meanwhile, his mail stays.
        """

        def takeName(step: str, path: str) -> None:
            if (step, path[-2:]) == ("create", "-C"):
                for suffix in ("-H", "-D"):
                    self.disk.plant(path.removesuffix("-C") + suffix, b"other")

        self.disk.onOperation = takeName
        envelope = Envelope("a@a.example", ("x@b.example",))
        self.failureResultOf(self.queue.add(envelope, MESSAGE), FileExistsError)
        self.assertEqual([name[-2:] for name in self.files()], ["-D", "-H"])
        self.disk.onOperation = lambda step, path: None
        self.add("y@b.example")

    def test_P2_eomThatFailsIsNotTaken(self) -> None:
        """
        A message whose end cannot be written leaves nothing.
        """
        for step, suffix in (("finish", "-C"), ("sync", "-H"), ("rename", "-D")):
            envelope, message = self.queue.createNewMessage()
            envelope.close()
            self.disk.fail(step, errno.ENOSPC, suffix)
            self.failureResultOf(message.eomReceived(), QueueFull)
            message.connectionLost()
            self.assertEqual(self.files(), [])

    def test_P4_whatCannotBeRemovedIsNotSentAgain(self) -> None:
        """
        A delivered name whose files cannot be removed is not offered, and
        removing it is tried again.
        """
        (name,) = self.add("x@b.example")
        self.queue.setRelaying(name)
        self.disk.fail("unlink", errno.EIO, "-D")
        self.failureResultOf(self.queue.done(name, DELIVERED), QueueUnusable)
        self.flushLoggedErrors(QueueUnusable)
        self.queue.readDirectory()
        self.assertEqual(self.queue.getWaiting(), [])
        self.clock.advance(TRY_AGAIN)
        self.queue.readDirectory()
        self.assertEqual(self.files(), [])

    def test_P7_whatCannotBeMovedIsHidden(self) -> None:
        """
        Even where it cannot be moved it is not offered again.
        """
        (name,) = self.add("x@b.example")
        self.disk.fail("rename", errno.EIO, "-H")
        self.queue.setAside(name, "no envelope")
        self.flushLoggedErrors(QueueUnusable)
        self.queue.readDirectory()
        self.assertEqual(self.queue.getWaiting(), [])

    def test_P6_fullDiskDoesNotStopClaims(self) -> None:
        """
        Mail is tried though its claim cannot be written for want of room;
        but not on a disk that is broken.
        """
        (name,) = self.add("x@b.example")
        self.queue.setRelaying(name)
        self.queue.setWaiting(name, NOW, RETRY)
        self.disk.fail("create", errno.ENOSPC, times=None)
        self.successResultOf(self.queue.setRelaying(name))
        self.assertIsNone(self.settle(self.queue.setWaiting(name, NOW, RETRY)))
        self.disk.repair()
        self.disk.fail("create", errno.EIO, times=None)
        self.failureResultOf(self.queue.setRelaying(name), QueueUnusable)
        self.flushLoggedErrors(QueueFull, QueueUnusable)

    def test_P6_noRoomIsToldBeforehand(self) -> None:
        """
        Without room nothing is begun; it is measured again after a while.
        """
        self.disk.capacity = SPARE_BYTES - 1
        self.assertFalse(self.queue.hasRoom())
        envelope = Envelope("a@a.example", ("x@b.example",))
        self.failureResultOf(self.queue.add(envelope, MESSAGE), QueueFull)
        self.assertRaises(QueueFull, self.queue.createNewMessage)
        self.disk.capacity, self.disk.inodes = None, SPARE_INODES
        self.clock.advance(10)
        self.assertFalse(self.queue.hasRoom())
        self.disk.inodes = None
        self.clock.advance(10)
        self.assertTrue(self.queue.hasRoom())

    def taken(self) -> int:
        """
        Add messages for two until one is refused, all before the room is
        measured again.

        @return: How many there were.
        """
        for count in range(50):
            if not self.queue.hasRoom():
                return count
            self.add("x@b.example", "y@b.example")
        return 50

    def test_P6_takenIsCounted(self) -> None:
        """
        What has been taken since it was measured has its room: what is to be kept
        free is.
        """
        each = 5 * BLOCK + len(MESSAGE)
        self.disk.capacity = self.disk.used.bytes + SPARE_BYTES + 10 * each - 1
        self.assertEqual(self.taken(), 10)

    def test_P6_takenFilesAreCounted(self) -> None:
        """
        So have its files: a content, and two for each name.
        """
        used = self.disk.used.inodes or 0
        self.disk.inodes = used + SPARE_INODES + 10 * 5 - 1
        self.assertEqual(self.taken(), 10)

    def test_P6_linesAreCounted(self) -> None:
        """
        So has a message that comes line by line.
        """
        used = self.disk.used.inodes or 0
        self.disk.inodes = used + SPARE_INODES + 3 * 3 - 1
        for _ in range(3):
            self.receive(b"body")
        self.assertRaises(QueueFull, self.queue.createNewMessage)
