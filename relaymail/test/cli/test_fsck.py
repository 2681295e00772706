# -*- test-case-name: relaymail.test.cli.test_fsck -*-
"""
Tests for L{relaymail.cli.fsck}.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from typing import Any

import click
from click.testing import CliRunner, Result
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaymail.cli import fsck as module
from relaymail.cli.fsck import fsck
from relaymail.envelopes import Envelope
from relaymail.queue.spool.spool import Spool


class FsckTests(SynchronousTestCase):
    """
    Tests for C{relaymail fsck}.
    """

    def setUp(self) -> None:
        """
        Begin with a spool with mail, which a relay has open.
        """
        self.patch(module, "MOMENT", 0.0)
        self.directory = os.path.abspath(self.mktemp())
        os.mkdir(self.directory, 0o700)
        self.path = self.directory + "/queue.db"
        self.spool = Spool(self.path, Clock())
        self.spool.lock()
        self.addCleanup(self.spool.stop)
        envelope = Envelope("a@example.com", ("b@one.example",))
        self.successResultOf(self.spool.add(envelope, b"x\r\n"))

    def run_(self, *arguments: str) -> Result:
        """
        Give the command.
        """
        return CliRunner().invoke(fsck, arguments)

    def damage(self) -> None:
        """
        Take the message of a recipient away.
        """
        with sqlite3.connect(self.path) as database:
            database.execute("DELETE FROM message")
        database.close()

    def test_sound(self) -> None:
        """
        It says that all is well, and whether a relay uses the queue.
        """
        done = self.run_(self.directory)
        expected = (
            f"spool:{self.path}; process {os.getpid()} relays from it\nall is well\n"
        )
        self.assertEqual((done.output, done.exit_code), (expected, 0))
        self.spool.stop()
        done = self.run_(f"spool:{self.path}")
        self.assertIn("no relay uses it", done.output)

    def test_wrong(self) -> None:
        """
        What is found is told, with what comes of it and what to do; the exit code
        says so.
        """
        self.damage()
        done = self.run_(self.directory)
        self.assertEqual(done.exit_code, 1)
        lines = done.output.splitlines()
        self.assertTrue(lines[1].startswith("error: recipients without a message: 1"))
        self.assertTrue(lines[2].startswith("    so: their message is lost"))
        self.assertTrue(lines[3].startswith("    do: copy the file"))
        self.assertEqual(lines[-1], "1 found")

    def test_json(self) -> None:
        """
        The same for programs, as one document.
        """
        told = json.loads(self.run_("--json", self.directory).output)
        expected: dict[str, Any] = {
            "queue": f"spool:{self.path}",
            "relay": os.getpid(),
            "sound": True,
            "findings": [],
        }
        self.assertEqual(told, expected)
        self.damage()
        done = self.run_("--json", self.directory)
        told = json.loads(done.output)
        self.assertEqual((done.exit_code, told["sound"]), (1, False))
        (found,) = told["findings"]
        self.assertEqual(found["severity"], "error")
        self.assertEqual(set(found), {"severity", "what", "consequence", "remedy"})

    def test_notes(self) -> None:
        """
        What is only good to know is told, and all is well.
        """
        name = self.spool.getWaiting()[0]
        self.spool.setAside(name, "it is odd")
        self.flushLoggedErrors()
        done = self.run_(self.directory)
        self.assertEqual(done.exit_code, 0)
        self.assertIn("note: 1 of the 1 recipients", done.output)
        self.assertTrue(done.output.endswith("all is well\n"))

    def test_nothing(self) -> None:
        """
        Where no queue is, that is said in one sentence, and none is made.
        """
        path = os.path.abspath(self.mktemp())
        done = self.run_(path)
        self.assertEqual(done.exit_code, 1)
        self.assertIn("there is no spool", done.output)
        self.assertFalse(os.path.lexists(path))

    def test_noReactor(self) -> None:
        """
        The reactor is not imported.
        """
        code = (
            "import sys; from relaymail.cli.fsck import fsck\n"
            f"fsck([{self.directory!r}], standalone_mode=False)\n"
            "assert 'twisted.internet.reactor' not in sys.modules"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_progress(self) -> None:
        """
        On a terminal it shows how far it is, and clears that in the end.
        """
        shown: list[str] = []
        self.patch(sys.stderr, "isatty", lambda: True)
        self.patch(click, "echo", lambda text, **_: shown.append(text))
        with module._progress(False) as told:
            told("the recipients", 0, 200)
            told("the recipients", 100, 200)
            told("the files", 3, 0)
        expected = ["the recipients 0 %", "the files 3"]
        self.assertEqual(shown[:-1], [f"\r\x1b[KLooking at {x}" for x in expected])
        self.assertEqual(shown[-1], "\r\x1b[K")
