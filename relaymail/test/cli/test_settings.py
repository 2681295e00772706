# -*- test-case-name: relaymail.test.cli.test_settings -*-
"""
Tests for L{relaymail.cli.settings}.
"""

from __future__ import annotations

import click
from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from relaymail.cli.settings import ALONE, NONE, Settings, addOptions, current


class SettingsTests(SynchronousTestCase):
    """
    Tests for the options that every command has.
    """

    def setUp(self) -> None:
        """
        Make a group with a command, as others write them.
        """
        self.found: list[Settings] = []
        self.own: list[bool] = []

        @click.group()
        def group() -> None:
            pass

        @group.command()
        def plain() -> None:
            self.found.append(current())

        @group.command()
        @click.option("--json", "asJSON", is_flag=True)
        def has(asJSON: bool) -> None:
            self.own.append(asJSON)

        self.group = group

    def run_(self, *words: str) -> None:
        """
        Run the group, with the options.
        """
        addOptions(self.group)
        done = CliRunner().invoke(self.group, words)
        self.assertEqual(done.exit_code, 0, done.output)

    def test_anywhere(self) -> None:
        """
        They stand before the name or after it, and are added once.
        """
        self.run_("plain", "--json", "--config", "a")
        self.run_("--json", "--config", "a", "plain")
        expected = Settings(config="a", asJSON=True)
        self.assertEqual(self.found, [expected, expected])

    def test_last(self) -> None:
        """
        What stands after the name goes first.
        """
        self.run_(
            "--url", "http://a", "--token-file", "t", "plain", "--url", "http://b"
        )
        self.assertEqual(self.found, [Settings(url="http://b", tokenFile="t")])

    def test_own(self) -> None:
        """
        A command's own C{--json} is left to it, and means the same before its
        name.
        """
        self.run_("--json", "has")
        self.run_("has", "--json")
        self.run_("has")
        self.assertEqual(self.own, [True, True, False])

    def test_some(self) -> None:
        """
        A command has those that mean something to it.
        """
        words = [
            [
                option
                for each in addOptions(click.Command("x"), names).params
                for option in each.opts
            ]
            for names in (ALONE, NONE)
        ]
        self.assertEqual(words, [["--json"], []])

    def test_nothing(self) -> None:
        """
        Where no command runs, nothing was said.
        """
        self.assertEqual(current(), Settings())
