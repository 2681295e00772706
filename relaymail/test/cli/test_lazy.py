# -*- test-case-name: relaymail.test.cli.test_lazy -*-
"""
Tests for L{relaymail.cli.lazy}.
"""

from __future__ import annotations

import click
from click.shell_completion import BashComplete
from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from relaymail.cli import completion
from relaymail.cli.lazy import LazyGroup, Part

GROUP = LazyGroup(
    "group",
    parts=(
        Part("missing", "isNotThere:command", "What cannot be imported."),
        Part("completion", "completion:completion", "What can.", ()),
        Part("secret", "completion:completion", "Shown nowhere.", (), isHidden=True),
    ),
)


class LazyTests(SynchronousTestCase):
    """
    Tests for L{LazyGroup}.
    """

    def run_(self, *words: str) -> Result:
        """
        Run the group.
        """
        return CliRunner().invoke(GROUP, words)

    def test_help(self) -> None:
        """
        The help needs no part.
        """
        done = self.run_("--help")
        self.assertEqual(done.exit_code, 0, done.output)
        self.assertIn("missing     What cannot be imported.", done.output)
        self.assertNotIn("secret", done.output)

    def test_runs(self) -> None:
        """
        A part is imported when it runs, a hidden one too.
        """
        for name in ("completion", "secret"):
            self.assertEqual(self.run_(name, "--help").exit_code, 0)
        self.assertIsInstance(self.run_("missing").exception, ModuleNotFoundError)

    def test_unknown(self) -> None:
        """
        What is not there is told, with what is near to it.
        """
        done = self.run_("complet")
        self.assertEqual(done.exit_code, 2)
        self.assertIn("did you mean completion?", done.output)
        self.assertIn("try group --help", self.run_("xyz").output)
        self.assertNotIn("did you mean", self.run_("secre").output)

    def test_completes(self) -> None:
        """
        A shell completes names without importing parts.
        """
        shell = BashComplete(GROUP, {}, "group", "_GROUP_COMPLETE")
        found = {item.value for item in shell.get_completions([], "")}
        self.assertEqual(found, {"missing", "completion"})
        found = {item.value for item in shell.get_completions([], "mi")}
        self.assertEqual(found, {"missing"})
        choices = {item.value for item in shell.get_completions(["completion"], "")}
        self.assertEqual(choices, {"bash", "zsh", "fish"})

    def test_load(self) -> None:
        """
        A part gives the command of its module.
        """
        self.assertIs(GROUP.parts["completion"].load(), completion.completion)
        self.assertIsInstance(completion.completion, click.Command)
