# -*- test-case-name: relaymail.test.explaining.test_command -*-
"""
Tests for the command that compares.
"""

from __future__ import annotations

import io
from contextlib import redirect_stdout

from twisted.trial.unittest import SynchronousTestCase

from relaymail.deliver import explaining
from relaymail.test.explaining import __main__ as command


class CommandTests(SynchronousTestCase):
    """
    Tests for C{python -m relaymail.test.explaining}.
    """

    def setUp(self) -> None:
        # The log goes on as it is.
        self.patch(command, "globalLogBeginner", self)

    def beginLoggingTo(self, observers: object, **kw: object) -> None:
        """
        Do nothing.
        """

    def run_(self, *arguments: str) -> tuple[int, str]:
        """
        Run it.

        @return: Its exit code, and what it printed.
        """
        out = io.StringIO()
        with redirect_stdout(out):
            code = command.main(arguments)
        return code, out.getvalue()

    def test_well(self) -> None:
        """
        It says how many cases were of which kind.
        """
        code, out = self.run_("--cases", "3", "--seed", "5")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"^\d \w+")

    def test_different(self) -> None:
        """
        A difference is told with its seed, and after some of them it ends.
        """
        self.patch(explaining, "_ending", lambda *_: None)
        code, out = self.run_("--cases", "500", "--seed", "0")
        self.assertEqual(code, 1)
        self.assertIn("seed ", out)
        self.assertIn(f"{command.ENOUGH} different", out)
