"""
Tests for L{relaymail.route.levels}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import ConfigurationError
from relaymail.route.levels import TLSLevel, parseLevel


class ParseTests(SynchronousTestCase):
    """
    Levels are read as they are written.
    """

    def test_levels(self) -> None:
        """
        Each is read by its name, in any case.
        """
        for level in TLSLevel:
            self.assertIs(parseLevel(level.value), level)
            self.assertIs(parseLevel(f" {level.value.upper()} "), level)

    def test_unknown(self) -> None:
        """
        What is none is refused with those that there are.
        """
        error = self.assertRaises(ConfigurationError, parseLevel, "sometimes\n")
        self.assertIn("dane-only", str(error))
        self.assertNotIn("\n", str(error))
