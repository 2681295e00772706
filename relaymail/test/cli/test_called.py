# -*- test-case-name: relaymail.test.cli.test_called -*-
"""
Tests for L{relaymail.cli.called}.
"""

from __future__ import annotations

import sys

from twisted.trial.unittest import SynchronousTestCase

from relaymail.cli import sendmail
from relaymail.cli.called import calledAs
from relaymail.cli.main import main


class CalledTests(SynchronousTestCase):
    """
    By its other names the command does what these do.
    """

    def test_names(self) -> None:
        """
        The names of sendmail are sendmail, its own is not.
        """
        for name, arguments in (
            ("/usr/sbin/sendmail", ["sendmail", "-t"]),
            ("mailq", ["sendmail", "-bp", "-t"]),
            ("/usr/bin/newaliases", ["sendmail", "-bi", "-t"]),
        ):
            self.assertEqual(calledAs(name, ["-t"]), arguments)
        self.assertIsNone(calledAs("/usr/bin/relaymail", ["-t"]))

    def test_main(self) -> None:
        """
        The command as a whole looks at what it is called.
        """
        told: list[tuple[str, ...]] = []

        def run(arguments: tuple[str, ...], **settings: object) -> int:
            told.append(arguments)
            return 67

        self.patch(sendmail, "run", run)
        self.patch(sys, "argv", ["/usr/sbin/sendmail", "-oi", "-t", "-h"])
        ended = self.assertRaises(SystemExit, main)
        self.assertEqual((ended.code, told), (67, [("-oi", "-t", "-h")]))
