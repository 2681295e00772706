# -*- test-case-name: relaymail.test.cli.test_troubles -*-
"""
Tests for L{relaymail.cli.troubles}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from relaymail.cli.main import Main
from relaymail.cli.troubles import (
    DEBUG,
    DOWN,
    INTERRUPTED,
    LATER,
    UNREAD,
    CommandError,
    NotNow,
    ServiceDown,
)
from relaymail.errors import ConfigurationError, QueueUnusable
from relaymail.test.cli.commands import HOSTILE


def ends(
    act: Callable[[], Any], *words: str, env: dict[str, str] | None = None
) -> Result:
    """
    Give how a command ends.

    @param act: What it does.
    """
    command = Main("relaymail", callback=act, invoke_without_command=True)
    return CliRunner().invoke(command, words, env=env)


def raises(error: BaseException, **more: Any) -> Result:
    """
    Give how a command ends that raises something.
    """

    def act() -> None:
        raise error

    return ends(act, **more)


class TroublesTests(SynchronousTestCase):
    """
    Tests for how the command ends.
    """

    def test_fine(self) -> None:
        """
        What works ends with 0, or with the code it gives.
        """
        self.assertEqual(ends(lambda: None).exit_code, 0)
        self.assertEqual(ends(lambda: 3).exit_code, 3)
        self.assertEqual(ends(lambda: click.get_current_context().exit(4)).exit_code, 4)

    def test_errors(self) -> None:
        """
        An error is one sentence, and a code.
        """
        for error, code in (
            (CommandError("Tried. No. Do."), 1),
            (NotNow("Tried. No. Do."), LATER),
            (ServiceDown("Tried. No. Do."), DOWN),
            (QueueUnusable("Tried. No. Do."), 1),
            (click.ClickException("Tried. No. Do."), 1),
        ):
            done = raises(error)
            self.assertEqual((done.exit_code, done.stdout), (code, ""))
            self.assertEqual(done.stderr, "relaymail: Tried. No. Do.\n")

    def test_system(self) -> None:
        """
        What the system says is told with the file.
        """
        done = raises(FileNotFoundError(2, "No such file", "some/where"))
        self.assertEqual(done.stderr, "relaymail: some/where: No such file\n")
        self.assertEqual(done.exit_code, 1)
        self.assertEqual(raises(OSError("odd")).stderr, "relaymail: odd\n")

    def test_mistake(self) -> None:
        """
        A mistake of our own is a sentence, too; who mends it gets the traceback.
        """
        done = raises(ZeroDivisionError("oops"))
        self.assertEqual(done.exit_code, 1)
        self.assertIn("a mistake in relaymail itself: ZeroDivisionError", done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1)
        done = raises(ZeroDivisionError("oops"), env={DEBUG: "1"})
        self.assertIsInstance(done.exception, ZeroDivisionError)

    def test_configuration(self) -> None:
        """
        All that is wrong in a configuration is told, a line each.
        """
        done = raises(ConfigurationError(f"in f:\nthis\n{HOSTILE}"))
        lines = done.stderr.splitlines()
        self.assertEqual(lines[:2], ["relaymail: in f:", "  this"])
        self.assertTrue(all(line.isprintable() for line in lines))

    def test_usage(self) -> None:
        """
        A wrong command line is 2.
        """
        self.assertEqual(ends(lambda: None, "--wrong").exit_code, 2)

    def test_interrupted(self) -> None:
        """
        Ctrl-C ends with 130, without a word.
        """
        done = raises(KeyboardInterrupt())
        self.assertEqual((done.exit_code, done.output.strip()), (INTERRUPTED, ""))

    def test_no(self) -> None:
        """
        Who says no is told that nothing was done.
        """
        done = raises(click.Abort())
        self.assertEqual(done.exit_code, 1)
        self.assertIn("nothing was done", done.stderr)

    def test_unread(self) -> None:
        """
        Where nobody reads any more, it ends without a word.
        """
        done = raises(BrokenPipeError(32, "Broken pipe"))
        self.assertEqual((done.exit_code, done.output), (UNREAD, ""))

    def test_hostile(self) -> None:
        """
        What a terminal would obey is not in an error.
        """
        for error in (CommandError(HOSTILE), QueueUnusable(HOSTILE), OSError(HOSTILE)):
            told = raises(error).stderr
            self.assertTrue(told[:-1].isprintable(), repr(told))
