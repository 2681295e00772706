# -*- test-case-name: relaymail.test.cli.test_progress -*-
"""
Tests for L{relaymail.cli.progress}.
"""

from __future__ import annotations

import io
import sys

from twisted.trial.unittest import SynchronousTestCase

from relaymail.cli.progress import Progress
from relaymail.test.cli.test_output import Terminal


class ProgressTests(SynchronousTestCase):
    """
    Tests for L{Progress}.
    """

    def shown(self, steps: int, error: io.StringIO) -> str:
        """
        Give what is written in so many steps.
        """
        self.patch(sys, "stderr", error)
        with Progress("hold") as progress:
            for step in range(steps):
                progress.tell((step + 1) * 1000)
        return error.getvalue()

    def test_terminal(self) -> None:
        """
        A person sees how far it is, and in the end nothing is left of that.
        """
        told = self.shown(3, Terminal())
        self.assertIn("hold: 3,000 so far", told)
        self.assertEqual(told.rpartition("so far")[2].strip(), "")
        self.assertEqual(self.shown(1, Terminal()), "")

    def test_pipe(self) -> None:
        """
        Nobody else sees it.
        """
        self.assertEqual(self.shown(3, io.StringIO()), "")
