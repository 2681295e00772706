# -*- test-case-name: relaymail.test.cli.test_finding -*-
"""
Tests for L{relaymail.cli.finding}.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaymail.cli.finding import MAX_TOKEN, find
from relaymail.cli.settings import TOKEN_VARIABLE, Settings
from relaymail.cli.troubles import CommandError
from relaymail.errors import ConfigurationError


class FindTests(SynchronousTestCase):
    """
    Tests for L{find}.
    """

    def write(self, text: str) -> str:
        """
        Write a file, and give its path.
        """
        path: str = self.mktemp()
        Path(path).write_text(text, "utf-8")
        return path

    def test_spool(self) -> None:
        """
        The socket is beside the spool.
        """
        config = self.write('queue = "spool:mail.db"\n')
        place = find(Settings(config=config))
        here = os.path.dirname(os.path.abspath(config))
        self.assertEqual(place.queue, os.path.join(here, "mail.db"))
        self.assertTrue(place.isSpool)
        self.assertEqual(place.socket, place.queue + "-control")
        self.assertIsNone(place.url)

    def test_directory(self) -> None:
        """
        The socket is in the directory.
        """
        place = find(Settings(config=self.write('queue = "directory:mail"\n')))
        self.assertFalse(place.isSpool)
        self.assertEqual(place.socket, os.path.join(place.queue, "control"))

    def test_socket(self) -> None:
        """
        The configuration can name another.
        """
        config = self.write('[control]\nsocket = "/run/relaymail.sock"\n')
        self.assertEqual(find(Settings(config=config)).socket, "/run/relaymail.sock")

    def test_wrong(self) -> None:
        """
        What is wrong in the configuration is told.
        """
        config = self.write("quuee = 1\n")
        self.assertRaises(ConfigurationError, find, Settings(config=config))

    def token(self, **said: Any) -> str | None:
        """
        Give the token that is sent.
        """
        settings = Settings(config=self.write(""), url="http://h:1", **said)
        return find(settings).token

    def test_token(self) -> None:
        """
        A token is in a file, or in the environment.
        """
        self.assertEqual(self.token(tokenFile=self.write("secret\n")), "secret")
        self.patch(os, "environ", {TOKEN_VARIABLE: "other"})
        self.assertEqual(self.token(), "other")
        self.assertIsNone(find(Settings(config=self.write(""))).token)

    def test_noToken(self) -> None:
        """
        What is no token is told.
        """
        for text in ("", "\n", "a\nb", "é", "x" * (MAX_TOKEN + 1)):
            path = self.write(text)
            error = self.assertRaises(CommandError, self.token, tokenFile=path)
            self.assertIn(path, str(error))
        self.assertRaises(CommandError, self.token, tokenFile=self.mktemp())
