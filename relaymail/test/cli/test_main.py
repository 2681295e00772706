# -*- test-case-name: relaymail.test.cli.test_main -*-
"""
Tests for L{relaymail.cli.main}.
"""

from __future__ import annotations

import subprocess
import sys

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from relaymail import __version__
from relaymail.cli.main import main


class MainTests(SynchronousTestCase):
    """
    Tests for the command.
    """

    def test_version(self) -> None:
        """
        It tells its version.
        """
        done = CliRunner().invoke(main, ["--version"])
        self.assertEqual(done.output, f"relaymail {__version__}\n")

    def test_help(self) -> None:
        """
        It names its parts.
        """
        done = CliRunner().invoke(main, ["--help"])
        self.assertEqual(done.exit_code, 0)
        self.assertIn("bench         Measure how fast a relay is.", done.output)
        self.assertNotIn("import", done.output)

    def test_importsLittle(self) -> None:
        """
        Importing it imports nothing of Twisted, and none of the bench's
        processes.
        """
        code = (
            "import sys, relaymail.cli.main; print([m for m in sys.modules if "
            "m.split('.')[0] == 'twisted' or m == 'relaymail.bench.runner'])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONPATH": ":".join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        self.assertEqual(done.stdout, "[]\n")
