# -*- test-case-name: relaymail.test.cli.test_values -*-
"""
Tests for L{relaymail.cli.values}.
"""

from __future__ import annotations

import click
from twisted.trial.unittest import SynchronousTestCase

from relaymail.cli.values import DURATION, SIZE


class ValuesTests(SynchronousTestCase):
    """
    Tests for times and sizes.
    """

    def test_read(self) -> None:
        """
        They are read as the configuration reads them.
        """
        self.assertEqual(DURATION.convert("2h", None, None), 7200.0)
        self.assertEqual(SIZE.convert("10M", None, None), 10 << 20)
        self.assertEqual(SIZE.convert(5, None, None), 5)

    def test_wrong(self) -> None:
        """
        What is none is told in the configuration's words.
        """
        for kind, words in ((DURATION, "30s, 5m or 2d"), (SIZE, "such as 50M")):
            error = self.assertRaises(click.BadParameter, kind.convert, "x", None, None)
            self.assertIn(words, str(error))
