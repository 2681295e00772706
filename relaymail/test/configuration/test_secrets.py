# -*- test-case-name: relaymail.test.configuration.test_secrets -*-
"""
Tests for L{relaymail.configuration.secrets}.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from relaymail.configuration import configure, readHosts
from relaymail.errors import ConfigurationError


class PasswordTests(SynchronousTestCase):
    """
    Tests for L{readHosts}.
    """

    def test_A09_password(self) -> None:
        """
        A password is read from where it is kept, and shows nowhere.
        """
        secret = Path(self.mktemp())
        secret.write_bytes(b"hunter2\n")
        told = configure(
            queue="spool",
            hostname="relay.example.com",
            smartHosts=f"smtps://me@mail.example.com?password-file={secret}",
        )
        credentials = readHosts(told)[0].credentials
        assert credentials is not None
        self.assertEqual(credentials.password, b"hunter2")
        self.assertNotIn("hunter2", repr(told))

    def test_passwordFromEnvironment(self) -> None:
        """
        A password may stand in a variable of the environment.
        """
        self.patch(os, "environb", {b"RELAY_PASSWORD": b"hunter2"})
        host = "smtps://me@mail.example.com?password-env=RELAY_PASSWORD"
        told = configure(queue="s", hostname="a.example", smartHosts=host)
        credentials = readHosts(told)[0].credentials
        assert credentials is not None
        self.assertEqual(credentials.password, b"hunter2")

    def test_noPassword(self) -> None:
        """
        A password that is not there is told of.
        """
        host = "smtps://me@mail.example.com?password-file=nowhere"
        told = configure(queue="s", hostname="a.b", smartHosts=host)
        error = self.assertRaises(ConfigurationError, readHosts, told)
        self.assertIn("cannot be read", str(error))
