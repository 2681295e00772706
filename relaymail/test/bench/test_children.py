# -*- test-case-name: relaymail.test.bench.test_children -*-
"""
Tests for L{relaymail.bench.children}, with real processes.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from relaymail.bench.children import Child, hearAny
from relaymail.bench.errors import BenchError

#: How long a process may take for anything, in seconds.
PATIENCE = 60.0

ECHO = "import sys\nfor line in sys.stdin: print('said', line, end='', flush=True)"
DEAF = (
    "import signal, sys\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print('ready', flush=True)\nwhile True: signal.pause()"
)
DYING = "import sys; sys.exit('it is too late')"
REFUSING = "print('failed Tried it: no.', flush=True); input()"


class ChildTests(SynchronousTestCase):
    """
    Tests for L{Child}.
    """

    def start(self, code: str) -> Child:
        """
        Start a process, which is ended with the test.
        """
        child = Child("child", ["-c", code], Path(self.mktemp()))
        self.addCleanup(child.end, 0.1)
        return child

    def test_spoken(self) -> None:
        """
        A process is told lines, and heard.
        """
        child = self.start(ECHO)
        child.tell("something else")
        self.assertEqual(child.hear("said", PATIENCE), "something else")
        child.tell("a\nsaid b")
        self.assertEqual(hearAny([], 0), [])
        self.assertEqual(child.hear("said", PATIENCE), "a")

    def test_end(self) -> None:
        """
        It ends when it is told to, at the latest with the block.
        """
        with self.start(ECHO) as child:
            self.assertTrue(child.isRunning)
        self.assertFalse(child.isRunning)
        child.end()

    def test_kill(self) -> None:
        """
        One that does not listen is killed.
        """
        child = self.start(DEAF)
        child.hear("ready", PATIENCE)
        child.end(0.05)
        self.assertFalse(child.isRunning)

    def test_silent(self) -> None:
        """
        One that says nothing is waited for, not for ever.
        """
        child = self.start(ECHO)
        error = self.assertRaises(BenchError, child.hear, "said", 0.05)
        self.assertIn("0.05 s", str(error))

    def test_gone(self) -> None:
        """
        One that ended by itself is told with the end of its log.
        """
        child = self.start(DYING)
        error = self.assertRaises(BenchError, child.hear, "ready", PATIENCE)
        self.assertIn("it is too late", str(error))

    def test_failed(self) -> None:
        """
        One that says what failed is quoted.
        """
        child = self.start(REFUSING)
        error = self.assertRaises(BenchError, child.hear, "ready", PATIENCE)
        self.assertEqual(str(error), "Tried it: no.")
