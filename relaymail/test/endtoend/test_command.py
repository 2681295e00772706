# -*- test-case-name: relaymail.test.endtoend.test_command -*-
"""
Tests for the command that kills the relay as often as one likes.
"""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from relaymail.test.endtoend.__main__ import main, parse
from relaymail.test.endtoend.harness import EndToEndTestCase
from relaymail.test.endtoend.load import IN_FLIGHT, Kill, Load, Report


class CommandTests(EndToEndTestCase):
    """
    Tests for L{main}.
    """

    async def test_P3_P4_killsAsAsked(self) -> None:
        """
        The relay is killed as often as was said, and the figures are printed.
        """
        printed = io.StringIO()
        words = ["--messages", "60", "--kills", "2", "--seed", "3"]
        with redirect_stdout(printed):
            await main(parse(words))
        self.assertIn("accepted 60, ", printed.getvalue())
        self.assertIn("\nkills 2 (", printed.getvalue())
        self.assertIn("\nlost 0, changed 0, ", printed.getvalue())
        self.assertIn("\nspool: sound and empty\n", printed.getvalue())


class JudgeTests(SynchronousTestCase):
    """
    Tests for what counts as explained.
    """

    def judge(self, *arrivals: float, kills: int = 1) -> Report:
        """
        Judge a message that arrived at these times; each kill is at 10.0, 20.0
        and so on, and what the relay had written then is read 0.1 s later.
        """
        load = Load(Path(), 1)
        for number in range(1, kills + 1):
            load.report.kills.append(Kill(10.0 * number, 10.0 * number + 0.1))
        load._judge(7, arrivals)
        return load.report

    def test_once(self) -> None:
        """
        What arrived once is no duplicate.
        """
        self.assertTrue(self.judge(9.9).isWell)
        self.assertEqual(self.judge(9.9).duplicates, [])

    def test_P4_inFlight(self) -> None:
        """
        What arrived just before a kill, or was still under way then, may arrive
        again.
        """
        for before in (9.9, 10.05):
            report = self.judge(before, 12.0)
            self.assertEqual(report.duplicates, [7])
            self.assertTrue(report.isWell)
        self.assertAlmostEqual(self.judge(9.9, 12.0).inDoubt, 0.1)

    def test_P4_longBefore(self) -> None:
        """
        What arrived long before the kill has been written down, and is not to
        arrive again.
        """
        report = self.judge(9.9 - IN_FLIGHT, 12.0)
        self.assertEqual(report.unexplained, [7])
        self.assertFalse(report.isWell)

    def test_P4_noKill(self) -> None:
        """
        Without a kill in between nothing arrives twice.
        """
        self.assertEqual(self.judge(9.0, 9.5).unexplained, [7])
        self.assertEqual(self.judge(11.0, 11.5).unexplained, [7])

    def test_P4_oncePerKill(self) -> None:
        """
        One kill excuses one duplicate.
        """
        self.assertEqual(self.judge(9.9, 11.0, 12.0).unexplained, [7])
        self.assertTrue(self.judge(9.9, 19.9, 21.0, kills=2).isWell)
