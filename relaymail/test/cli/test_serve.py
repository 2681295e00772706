# -*- test-case-name: relaymail.test.cli.test_serve -*-
"""
Tests for L{relaymail.cli.serve}.
"""

from __future__ import annotations

import os
import sys

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from relaymail.cli import serve
from relaymail.cli.main import main
from relaymail.cli.settings import Settings


class ServeTests(SynchronousTestCase):
    """
    Tests for C{relaymail serve}.
    """

    def setUp(self) -> None:
        """
        Run nothing.
        """
        self.run_: list[list[str]] = []
        self.patch(os, "execv", lambda program, words: self.run_.append(words))

    def words(self, *words: str) -> list[str]:
        """
        Give what is run, after the code.
        """
        done = CliRunner().invoke(main, words)
        self.assertEqual(done.exit_code, 0, done.output)
        (command,) = self.run_
        self.run_.clear()
        self.assertEqual(command[0], sys.executable)
        self.assertIn("twisted.scripts.twistd", command[command.index("-c") + 1])
        return command[command.index("-c") + 2 :]

    def test_foreground(self) -> None:
        """
        It runs in the foreground and writes no number of its process.
        """
        self.assertEqual(self.words("serve"), ["--nodaemon", "--pidfile=", "relaymail"])

    def test_daemon(self) -> None:
        """
        It runs in the background when asked to, as C{twistd} does.
        """
        told = self.words(
            "serve", "--daemon", "--logfile", "l", "--uid=mail", "--syslog"
        )
        self.assertEqual(told[-1], "relaymail")
        self.assertEqual(set(told[:-1]), {"--logfile=l", "--uid=mail", "--syslog"})

    def test_relay(self) -> None:
        """
        What is not C{twistd}'s is the relay's, in its order and as it is.
        """
        options = [
            "--smtp",
            "tcp:25",
            "-q",
            "spool",
            "-Hrelay.example",
            "--retry=1m,5m",
        ]
        told = self.words("serve", *options[:3], "--pidfile", "p", *options[3:])
        self.assertEqual(told, ["--nodaemon", "--pidfile=p", "relaymail", *options])

    def test_config(self) -> None:
        """
        The configuration file can be named before the command and after it.
        """
        for words in (("--config", "f", "serve"), ("serve", "--config=f")):
            self.assertEqual(self.words(*words)[-2:], ["relaymail", "--config=f"])

    def test_helpOptions(self) -> None:
        """
        The relay's own options can be asked for.
        """
        told = self.words("serve", "--help-options")
        self.assertEqual(told[-2:], ["relaymail", "--help"])

    def test_path(self) -> None:
        """
        Modules of the current directory are found only where they are now.
        """
        self.patch(sys, "path", ["/usr/bin", "/usr/lib"])
        self.assertEqual(serve.commandLine(True, {}, [], Settings())[1], "-P")
        self.patch(sys, "path", ["", "/usr/lib"])
        self.assertEqual(serve.commandLine(True, {}, [], Settings())[1], "-c")
