# -*- test-case-name: relaymail.test.cli.test_completion -*-
"""
Tests for L{relaymail.cli.completion}.
"""

from __future__ import annotations

from click.shell_completion import BashComplete
from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from relaymail.cli.main import main


class CompletionTests(SynchronousTestCase):
    """
    Tests for C{relaymail completion}.
    """

    def test_scripts(self) -> None:
        """
        There is a script for each shell, which asks the command.
        """
        for shell in ("bash", "zsh", "fish"):
            done = CliRunner().invoke(main, ["completion", shell])
            self.assertEqual(done.exit_code, 0, done.output)
            self.assertIn(f"_RELAYMAIL_COMPLETE={shell}_complete", done.stdout)

    def test_unknown(self) -> None:
        """
        Of other shells it knows nothing.
        """
        self.assertEqual(CliRunner().invoke(main, ["completion", "csh"]).exit_code, 2)

    def test_completes(self) -> None:
        """
        What the script asks for is given: commands, options and states.
        """
        shell = BashComplete(main, {}, "relaymail", "_RELAYMAIL_COMPLETE")

        def found(words: list[str], begun: str) -> set[str]:
            return {item.value for item in shell.get_completions(words, begun)}

        self.assertIn("queue", found([], "q"))
        self.assertIn("release", found(["queue"], "re"))
        self.assertIn("--domain", found(["queue", "list"], "--d"))
        self.assertIn("held", found(["queue", "list", "--state"], ""))
