"""
Tests for L{relaymail.queue.opening}.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import Envelope
from relaymail.errors import QueueUnusable
from relaymail.queue.directory import Queue
from relaymail.queue.opening import (
    QueueKind,
    QueuePlace,
    openDirectory,
    openQueue,
    recognise,
)
from relaymail.queue.spool.spool import Spool


class DirectoryTests(SynchronousTestCase):
    """
    L{openDirectory} gives a queue that a service can use.
    """

    def setUp(self) -> None:
        """
        Choose a path.
        """
        self.path = os.path.abspath(self.mktemp())
        self.clock = Clock()

    def test_A08_madeForUsAlone(self) -> None:
        """
        A missing directory is made, 0700.
        """
        openDirectory(self.path, self.clock)
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o700)

    def test_A08_othersMayNotWrite(self) -> None:
        """
        One that others can write is refused; one that they can read is not.
        """
        os.mkdir(self.path)
        for mode in (0o777, 0o770, 0o702, 0o1777):
            os.chmod(self.path, mode)
            error = self.assertRaises(
                QueueUnusable, openDirectory, self.path, self.clock
            )
            self.assertIn("chmod go-w", str(error))
        os.chmod(self.path, 0o755)
        queue = openDirectory(self.path, self.clock)
        queue.check()
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o755)
        os.chmod(self.path, 0o777)
        self.assertRaises(QueueUnusable, queue.check)

    def test_A08_notADirectory(self) -> None:
        """
        A file is refused.
        """
        Path(self.path).write_bytes(b"")
        self.assertRaises(QueueUnusable, openDirectory, self.path, self.clock)


class OpenTests(SynchronousTestCase):
    """
    L{openQueue} gives the queue of a place.
    """

    def setUp(self) -> None:
        """
        Choose a path.
        """
        self.path = os.path.abspath(self.mktemp())
        self.clock = Clock()

    def test_A08_spool(self) -> None:
        """
        The directory of a spool is made, for us alone; what is put into it is
        found again by its bare path.
        """
        place = recognise(self.path)
        spool = openQueue(place, self.clock)
        assert isinstance(spool, Spool)
        spool.lock()
        envelope = Envelope("a@example.com", ("b@example.org",))
        self.successResultOf(spool.add(envelope, b"x\r\n"))
        self.successResultOf(spool.stop())
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o700)
        self.assertEqual(os.stat(place.path).st_mode & 0o777, 0o600)
        again = openQueue(recognise(self.path), self.clock)
        again.lock()
        self.addCleanup(again.stop)
        self.assertEqual(len(again.getWaiting()), 1)

    def test_directory(self) -> None:
        """
        A directory queue is found again by its bare path, as long as there is
        mail in it.
        """
        queue = openQueue(QueuePlace(QueueKind.DIRECTORY, self.path), self.clock)
        assert isinstance(queue, Queue)
        envelope = Envelope("a@example.com", ("b@example.org",))
        self.successResultOf(queue.add(envelope, b"x\r\n"))
        self.assertEqual(recognise(self.path).kind, QueueKind.DIRECTORY)

    def test_A08_othersMayNotWrite(self) -> None:
        """
        A spool in a directory that others can write in is refused.
        """
        os.mkdir(self.path)
        os.chmod(self.path, 0o777)
        place = recognise(self.path)
        error = self.assertRaises(QueueUnusable, openQueue, place, self.clock)
        self.assertIn("chmod go-w", str(error))
        self.assertEqual(os.listdir(self.path), [])
