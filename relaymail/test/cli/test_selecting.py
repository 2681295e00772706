# -*- test-case-name: relaymail.test.cli.test_selecting -*-
"""
Tests for L{relaymail.cli.selecting}.
"""

from __future__ import annotations

from typing import Any

import click
from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from relaymail.cli.selecting import STATES, queryOf, selecting, selectionOf
from relaymail.inspection import NameState, Selection


class SelectingTests(SynchronousTestCase):
    """
    Tests for the filters.
    """

    def said(self, *words: str) -> dict[str, Any]:
        """
        Give what a command is told.
        """
        found: dict[str, Any] = {}

        @click.command()
        @selecting
        def command(**said: Any) -> None:
            found.update(said)

        done = CliRunner().invoke(command, words)
        self.assertEqual(done.exit_code, 0, done.output)
        return found

    def test_all(self) -> None:
        """
        Each filter is one of the API's, and one of a queue's.
        """
        said = self.said(
            *("--sender", "@example.com", "--recipient", "b@example.org"),
            *("--domain", "example.org", "--older", "1h", "--younger", "2d"),
            *("--larger", "1K", "--smaller", "1M", "--state", "held"),
            *("--reply", "4.7.1", "7", "8"),
        )
        self.assertEqual(
            queryOf(said),
            {
                "sender": "@example.com",
                "recipient": "b@example.org",
                "domain": "example.org",
                "older": "3600",
                "younger": "172800",
                "larger": "1024",
                "smaller": "1048576",
                "state": "held",
                "reply": "4.7.1",
                "id": ["7", "8"],
            },
        )
        self.assertEqual(
            selectionOf(said),
            Selection(
                names=("7", "8"),
                sender="@example.com",
                recipient="b@example.org",
                domain="example.org",
                olderThan=3600.0,
                youngerThan=172800.0,
                largerThan=1024,
                smallerThan=1 << 20,
                state=NameState.HELD,
                reply="4.7.1",
            ),
        )

    def test_states(self) -> None:
        """
        All states that there are can be asked for.
        """
        self.assertEqual(STATES, tuple(state.value for state in NameState))

    def test_nothing(self) -> None:
        """
        Where nothing is said, all is meant.
        """
        said = self.said()
        self.assertEqual(queryOf(said), {})
        self.assertTrue(selectionOf(said).isEmpty)

    def test_zero(self) -> None:
        """
        What is 0 or empty was said, too.
        """
        said = self.said("--older", "0", "--sender", "")
        self.assertEqual(queryOf(said), {"older": "0", "sender": ""})
