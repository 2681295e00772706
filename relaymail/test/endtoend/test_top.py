# -*- test-case-name: relaymail.test.endtoend.test_top -*-
"""
Tests for C{relaymail top} at a terminal.
"""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
from pathlib import Path

from relaymail.test.cli.test_top import row, shape
from relaymail.test.endtoend.test_client import ServedTestCase

#: How long a process is waited for, in seconds.
PATIENCE = 30.0


class TerminalTests(ServedTestCase):
    """
    Tests at a terminal.
    """

    def setUp(self) -> None:
        """
        Begin with a relay and a terminal.
        """
        super().setUp()
        self.serve().answer = json.dumps(shape(row("example.org", 3))).encode()
        config = Path(self.mktemp())
        config.write_text(f'[control]\nsocket = "{self.path}"\n', "utf-8")
        self.keys, self.terminal = pty.openpty()
        self.addCleanup(os.close, self.keys)
        self.addCleanup(os.close, self.terminal)
        self.before = termios.tcgetattr(self.terminal)
        code = "from relaymail.cli.main import main; main(prog_name='relaymail')"
        path = ":".join(filter(None, sys.path))
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "--config", str(config), "top"],
            stdin=self.terminal,
            stdout=self.terminal,
            stderr=self.terminal,
            env={"PYTHONPATH": path, "TERM": "xterm", "COLUMNS": "100"},
        )
        self.addCleanup(self.process.wait, PATIENCE)
        self.addCleanup(self.process.kill)
        self.shown = b""

    def read(self, until: bytes) -> None:
        """
        Read what is shown.
        """
        while until not in self.shown:
            ready, _, _ = select.select([self.keys], [], [], PATIENCE)
            self.assertTrue(ready, self.shown)
            self.shown += os.read(self.keys, 65536)

    def assertEnds(self) -> None:
        """
        Fail unless it ends well, and the terminal is as it was.
        """
        self.read(b"\x1b[?1049l")
        self.assertEqual(self.process.wait(PATIENCE), 0, self.shown)
        self.assertEqual(termios.tcgetattr(self.terminal), self.before)

    def test_q(self) -> None:
        """
        It is shown until q is pressed.
        """
        self.read(b"example.org")
        os.write(self.keys, b"xq")
        self.assertEnds()
        self.assertTrue(self.shown.startswith(b"\x1b[?1049h"))

    def test_interrupted(self) -> None:
        """
        Ctrl-C ends it, too.
        """
        self.read(b"example.org")
        self.process.send_signal(signal.SIGINT)
        self.assertEnds()
