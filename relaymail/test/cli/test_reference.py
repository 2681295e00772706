# -*- test-case-name: relaymail.test.cli.test_reference -*-
"""
Tests for L{relaymail.cli.reference}, and that the page is what it prints.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from relaymail.cli.reference import reference

PAGE = Path(__file__).resolve().parents[3] / "docs" / "commands.rst"


class ReferenceTests(SynchronousTestCase):
    """
    Tests for L{reference}.
    """

    def test_drift(self) -> None:
        """
        The page is up to date.
        """
        if not PAGE.exists():
            raise self.skipTest("the pages are in a checkout only")
        self.assertEqual(
            PAGE.read_text("utf-8"),
            reference(),
            "The help of a command has changed: print the page again with "
            "`python -m relaymail.cli.reference > docs/commands.rst`.",
        )

    def test_complete(self) -> None:
        """
        Each command is there with its options, those of all commands once.
        """
        told = reference()
        for words in ("relaymail queue list\n", "``--domain DOMAIN``", "``--json``"):
            self.assertIn(words, told)
        self.assertEqual(told.count("``--token-file FILE``"), 1)
        self.assertNotIn("\nrelaymail import\n", told)
