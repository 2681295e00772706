"""
Tests for what else may be in the directory of a queue.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import QueueUnusable, UnreadableEntry
from relaymail.queue import listing, window
from relaymail.queue.directory import Queue
from relaymail.test.queue.contract import NOW, RETRY
from relaymail.test.queue.directories import DirectoryContract


class SpoolTests(DirectoryContract, SynchronousTestCase):
    """
    What else may be in the directory.
    """

    def test_A08_filesAreNobodyElses(self) -> None:
        """
        Every file is 0600 whatever the umask.
        """
        self.addCleanup(os.umask, os.umask(0))
        (name,) = self.add("x@b.example")
        self.receive(b"body")
        self.queue.setRelaying(name)
        self.queue.setWaiting(name, NOW + 60, RETRY)
        modes = {os.stat(f"{self.directory}/{f}").st_mode & 0o777 for f in self.files()}
        self.assertEqual((len(self.files()), modes), (5, {0o600}))

    def test_A08_foreignNamesAreIgnoredLoudly(self) -> None:
        """
        Links, FIFOs, directories and names that are not ours are complained
        of once, and are no mail.
        """
        secret = Path(self.mktemp())
        secret.write_bytes(b"secret")
        here = Path(self.directory)
        (here / "link-D").symlink_to(secret.absolute())
        os.mkfifo(here / "fifo-D")
        (here / "directory-D").mkdir()
        (here / "notes.txt").write_bytes(b"")
        (here / "b\nd-D").write_bytes(b"")
        (here / ".hidden-D").write_bytes(b"")
        with capturedLogs() as events:
            self.queue.readDirectory()
            self.clock.advance(1)
            (here / "more").mkdir()
            self.queue.readDirectory()
        told = [e["name"] for e in events if "Ignoring" in (e["log_format"] or "")]
        told.remove("b\nd-D")
        self.assertEqual(
            sorted(told),
            sorted(
                ["link-D", "fifo-D", "directory-D", "notes.txt", ".hidden-D", "more"]
            ),
        )
        self.assertEqual(self.queue.getWaiting(), [])

    def test_A08_linksAreNotFollowed(self) -> None:
        """
        An envelope or a content that became a link is not read.
        """
        secret = Path(self.mktemp())
        secret.write_bytes(b"secret")
        (name,) = self.add("x@b.example")
        for suffix in "HD":
            path = Path(f"{self.queue.getPath(name)}-{suffix}")
            path.unlink()
            path.symlink_to(secret.absolute())
        self.assertRaises(UnreadableEntry, self.queue.getEnvelopeFile, name)
        self.assertRaises(UnreadableEntry, self.queue.letter(name).file.read)

    def test_P7_unreadableEntryIsSetAside(self) -> None:
        """
        What cannot be read is told so, moved aside with its reason, and the
        others go on.
        """
        self.receive(b"body", recipient="good@b.example")
        self.receive(b"body", recipient="bad@b.example")
        good, bad = self.queue.getWaiting()
        Path(self.queue.getPath(bad) + "-H").write_bytes(b"cos\nsystem\n(S'x'\ntR.")
        self.assertRaises(UnreadableEntry, self.queue.getEnvelope, bad)
        self.queue.setAside(bad, "no envelope")
        self.queue.readDirectory()
        self.assertEqual(self.queue.getWaiting(), [good])
        aside = Path(self.directory, "aside")
        self.assertEqual(aside.stat().st_mode & 0o777, 0o700)
        self.assertEqual(
            sorted(os.listdir(aside)), sorted(f"{bad}-{s}" for s in ("D", "H", "why"))
        )
        self.assertEqual((aside / f"{bad}-why").read_text(), "no envelope\n")
        self.assertEqual(self.restart().getWaiting(), [good])

    def test_listsNoMoreThanNeeded(self) -> None:
        """
        A directory that was not changed for a while is not listed again,
        until a long time has gone by.
        """
        self.add("x@b.example")
        (past,) = {os.stat(self.directory).st_mtime}
        self.clock.rightNow = past + 1
        self.assertEqual(self.listings(2), 2)
        self.clock.advance(listing.COARSE)
        self.assertEqual(self.listings(5), 1)
        self.clock.advance(listing.RELIST)
        self.assertEqual(self.listings(5), 1)

    def listings(self, times: int) -> int:
        """
        Read the directory, and count how often it was listed.
        """
        before = self.disk.listings
        for _ in range(times):
            self.queue.readDirectory()
        return int(self.disk.listings - before)

    def test_slowListingsAreRare(self) -> None:
        """
        Where a listing takes long the next one waits.
        """
        names = self.disk.names

        def slow(directory: str) -> list[str]:
            self.clock.advance(1)
            return list(names(directory))

        self.disk.names = slow
        self.clock.advance(listing.RELIST)
        self.assertEqual(self.listings(5), 1)
        self.clock.advance(listing.SHARE)
        self.assertEqual(self.listings(5), 1)

    def test_restingNamesCostNothing(self) -> None:
        """
        A tick does nothing for names that are not due.
        """
        names = self.add(*(f"{n}@b.example" for n in range(20)))
        for name in names:
            self.queue.setRelaying(name)
            self.queue.setWaiting(name, NOW + 60)
        self.queue.readDirectory()
        looked: list[str] = []
        self.disk.find = looked.append
        self.queue.readDirectory()
        self.assertEqual(looked, [])

    def test_missingDirectory(self) -> None:
        """
        A directory that is not there is one clear error.
        """
        self.assertRaises(QueueUnusable, Queue, self.mktemp(), Clock())

    def test_leaseIsLongerThanAnAttempt(self) -> None:
        """
        The lease covers all the waits of one session (RFC 5321 4.5.3.2).
        """
        self.assertGreaterEqual(window.LEASE, 30 * 60)
