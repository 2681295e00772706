# -*- test-case-name: relaymail.test.simulation.test_command -*-
"""
Tests for the command that lives through worlds.
"""

from __future__ import annotations

import io
from contextlib import redirect_stdout

from relaymail.test.simulation import __main__ as command
from relaymail.test.simulation import planted
from relaymail.testing.cases import WorldTestCase


class CommandTests(WorldTestCase):
    """
    Tests for C{python -m relaymail.test.simulation}.
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
        It says how many lifetimes it lived through.
        """
        code, out = self.run_("--lifetimes", "1", "--seed", "3", "--messages", "2")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"\d+ lifetimes, 0 worlds gone wrong\n$")

    def test_wrong(self) -> None:
        """
        A world that goes wrong is shown, with its seed.
        """
        planted.laterIsNever(self.patch)
        self.patch(command, "ENOUGH", 1)
        code, out = self.run_("--lifetimes", "500", "--seed", "87")
        self.assertEqual(code, 1)
        self.assertIn("(seed ", out)
        self.assertIn("What happened last:", out)
