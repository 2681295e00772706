# -*- test-case-name: relaymail.test.configuration.test_entering -*-
"""
Tests for L{relaymail.configuration.entering}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaymail.configuration.entering import checkEntering, remarks
from relaymail.configuration.intake import Intake
from relaymail.errors import ConfigurationError
from relaymail.intake.networks import parseNetworks

TLS: dict[str, Any] = {"tlsKey": "key.pem", "tlsCert": "cert.pem"}


class UsersTests(SynchronousTestCase):
    """
    Whether anybody can come in.
    """

    def test_nobody(self) -> None:
        """
        Where people are asked who they are, somebody must be able to say so.
        """
        for kind in ("submission", "submissions"):
            settings: dict[str, Any] = {kind: ("tcp:587",), **TLS}
            told = Intake(**settings)
            error = self.assertRaises(ConfigurationError, checkEntering, told)
            self.assertIn(f"intake.{kind} takes", str(error))
            self.assertIn("name the file of users in intake.users", str(error))

    def test_somebody(self) -> None:
        """
        Users are in a file, or a program knows them; elsewhere there need be none.
        """
        checkEntering(Intake(submission=("tcp:587",), users="users"))
        checkEntering(Intake(submission=("tcp:587",)), hasPortal=True)
        checkEntering(Intake(lmtp=("unix:/run/lmtp",)))

    def test_inOnePlace(self) -> None:
        """
        They are not in both.
        """
        told = Intake(users="users")
        with self.assertRaises(ConfigurationError) as caught:
            checkEntering(told, hasPortal=True)
        self.assertIn("not both", str(caught.exception))


class RemarkTests(SynchronousTestCase):
    """
    What is most likely meant otherwise.
    """

    def test_noTLS(self) -> None:
        """
        Passwords without TLS are taken nowhere.
        """
        wrong: list[dict[str, Any]] = [
            {"users": "users"},
            {"users": "users", "submission": ("tcp:587",)},
            {"users": "users", "submission": ("ssl:465", "tcp:587")},
        ]
        for settings in wrong:
            (told,) = remarks(Intake(**settings))
            self.assertIn("name intake.tls-key and intake.tls-cert", told)

    def test_A04_everybody(self) -> None:
        """
        Nobody means everybody.
        """
        for name in ("networks", "proxies", "xclient"):
            for network in ("0.0.0.0/0", "::/0"):
                settings: dict[str, Any] = {name: parseNetworks(network)}
                (told,) = remarks(Intake(**settings))
                self.assertIn(f"intake.{name}: {network} is everybody", told)

    def test_fine(self) -> None:
        """
        There is nothing to say where there is TLS, or nobody to say who they are,
        or where they say it on this machine.
        """
        right: list[dict[str, Any]] = [
            {},
            {"users": "users", "submission": ("tcp:587",), **TLS},
            {"users": "users", "submission": ("ssl:465",)},
            {"users": "users", "submission": ("unix:/run/x",)},
        ]
        for settings in right:
            self.assertEqual(list(remarks(Intake(**settings))), [])
