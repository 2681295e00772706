"""
Tests for L{relaymail.cli.importing}.
"""

from __future__ import annotations

import os
from pathlib import Path

from click.testing import CliRunner, Result
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaymail.cli.main import main
from relaymail.envelopes import Envelope
from relaymail.queue.directory import Queue
from relaymail.queue.opening import QueueKind, recognise
from relaymail.queue.spool.spool import Spool


class ImportTests(SynchronousTestCase):
    """
    Tests for C{relaymail import}.
    """

    def setUp(self) -> None:
        """
        Begin with a directory with mail.
        """
        self.directory = self.mktemp()
        os.mkdir(self.directory, 0o700)
        self.spool = os.path.join(self.mktemp(), "queue.db")
        self.queue = Queue(self.directory, Clock())
        envelope = Envelope("a@example.com", ("b@one.example", "c@two.example"))
        self.names = self.successResultOf(self.queue.add(envelope, b"x\r\n"))

    def run_(self) -> Result:
        """
        Give the command.
        """
        return CliRunner().invoke(main, ["import", self.directory, self.spool])

    def test_moved(self) -> None:
        """
        It says how many were moved; they are in the spool then.
        """
        done = self.run_()
        self.assertEqual(done.exit_code, 0, done.output)
        self.assertIn("2 recipients moved", done.output)
        self.assertEqual(recognise(self.spool).kind, QueueKind.SPOOL)
        spool = Spool(self.spool, Clock())
        spool.lock()
        self.addCleanup(spool.stop)
        self.assertEqual(len(spool.getResting()), 2)

    def test_unreadable(self) -> None:
        """
        It says how many could not be read.
        """
        Path(self.directory, f"{self.names[0]}-H").write_bytes(b"no pickle")
        done = self.run_()
        self.assertEqual(done.exit_code, 0, done.output)
        self.assertIn("1 recipients moved", done.output)
        self.assertIn("1 could not be read", done.output)

    def test_locked(self) -> None:
        """
        It says what is in the way, and leaves all as it is.
        """
        self.queue.lock()
        done = self.run_()
        self.assertEqual(done.exit_code, 1)
        self.assertIn("another relay holds the lock", done.output)
        self.assertEqual(len(self.queue.getWaiting()), 2)
