"""
Tests for L{relaymail.queue.disk} and L{relaymail.queue.opening}.
"""

from __future__ import annotations

import errno
import os
import resource

from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import QueueFull, QueueLocked, QueueUnusable, UnreadableEntry
from relaymail.queue.disk import Disk, Trying


class DiskTests(SynchronousTestCase):
    """
    L{Disk} does a few things, safely.
    """

    def setUp(self) -> None:
        """
        Begin with a directory.
        """
        self.disk = Disk()
        self.directory = os.path.abspath(self.mktemp())
        os.mkdir(self.directory, 0o700)
        self.path = os.path.join(self.directory, "file")

    def test_createAndRead(self) -> None:
        """
        What was written is there, with the time it was given.
        """
        file = self.disk.create(self.path)
        self.disk.write(file, b"data")
        found = self.disk.finish(file, 1000.0)
        self.assertTrue(file.closed)
        self.assertEqual((found.size, found.modified, found.regular), (4, 1000.0, True))
        self.assertEqual(self.disk.find(self.path), found)
        self.assertEqual(self.disk.read(self.path, 4), b"data")
        self.assertRaises(UnreadableEntry, self.disk.read, self.path, 3)

    def test_A08_createIsExclusive(self) -> None:
        """
        Neither a file nor a link is written through, and nobody else reads.
        """
        self.addCleanup(os.umask, os.umask(0))
        self.disk.create(self.path).close()
        self.assertEqual(os.stat(self.path).st_mode & 0o7777, 0o600)
        self.assertRaises(FileExistsError, self.disk.create, self.path)
        link = self.path + "-link"
        os.symlink(self.path + "-missing", link)
        self.assertRaises(FileExistsError, self.disk.create, link)
        self.assertEqual(sorted(os.listdir(self.directory)), ["file", "file-link"])

    def test_A08_onlyPlainFilesAreRead(self) -> None:
        """
        Links, FIFOs, devices and directories are not opened, nor waited for.
        """
        os.symlink("/dev/null", self.path + "-link")
        os.mkfifo(self.path + "-fifo")
        os.mkdir(self.path + "-directory")
        for path in (
            self.path + "-link",
            self.path + "-fifo",
            self.path + "-directory",
            self.path + "-missing",
            "/dev/null",
        ):
            self.assertRaises(UnreadableEntry, self.disk.open, path)

    def test_errorsAreTold(self) -> None:
        """
        What was tried and what was wrong is in the message, and the kind says
        what it means for mail.
        """
        for number, kind in (
            (errno.ENOSPC, QueueFull),
            (errno.EDQUOT, QueueFull),
            (errno.EMFILE, QueueFull),
            (errno.EIO, QueueUnusable),
            (errno.EACCES, QueueUnusable),
            (errno.EROFS, QueueUnusable),
        ):

            def fail(number: int = number) -> None:
                with Trying("write to", "/some/where"):
                    raise OSError(number, os.strerror(number))

            error = self.assertRaises(kind, fail)
            self.assertIn("tried to write to /some/where", str(error))
            self.assertIn(os.strerror(number), str(error))

    def test_P6_noDescriptorIsNoDamage(self) -> None:
        """
        A file that cannot be opened for want of descriptors is not
        unreadable.
        """
        self.disk.create(self.path).close()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            self.assertRaises(QueueFull, self.disk.open, self.path)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def test_unlinkOfTheMissing(self) -> None:
        """
        What is gone need not be removed.
        """
        self.disk.unlink(self.path)
        self.assertIsNone(self.disk.find(self.path))

    def test_lock(self) -> None:
        """
        One lock at a time, without a file.
        """
        lock = self.disk.lock(self.directory)
        self.assertRaises(QueueLocked, self.disk.lock, self.directory)
        self.assertEqual(os.listdir(self.directory), [])
        lock.release()
        lock.release()
        self.disk.lock(self.directory).release()

    def test_room(self) -> None:
        """
        The free room is a number.
        """
        self.assertGreater(self.disk.room(self.directory).bytes, 0)

    def test_missingDirectory(self) -> None:
        """
        Without the directory everything fails clearly.
        """
        missing = self.path + "-missing"
        for method in ("names", "changed", "lock", "room", "checkDirectory"):
            self.assertRaises(QueueUnusable, getattr(self.disk, method), missing)


class MakeDirectoryTests(SynchronousTestCase):
    """
    Directories of our own.
    """

    def test_P1_A08_everyLevelIsPrivateAndSynced(self) -> None:
        """
        Each directory that is made is for this user only, and the one above
        it is synced.
        """
        root = os.path.abspath(self.mktemp())
        os.mkdir(root)
        synced: list[str] = []
        disk = Disk()
        self.patch(disk, "sync", synced.append)
        disk.makeDirectory(os.path.join(root, "a", "b"))
        self.assertEqual(synced, [root, os.path.join(root, "a")])
        for made in ("a", "a/b"):
            mode = os.stat(os.path.join(root, made)).st_mode
            self.assertEqual(mode & 0o777, 0o700)

    def test_cannotBeMade(self) -> None:
        """
        Below a link that leads nowhere nothing can be made, and that is said.
        """
        link = self.mktemp()
        os.symlink("nowhere", link)
        self.assertRaises(
            QueueUnusable, Disk().makeDirectory, os.path.join(link, "spool")
        )
