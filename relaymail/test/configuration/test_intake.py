# -*- test-case-name: relaymail.test.configuration.test_intake -*-
"""
Tests for L{relaymail.configuration.intake}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaymail.configuration.intake import DEFAULT_SMTP, Intake
from relaymail.envelopes import Entrance
from relaymail.errors import ConfigurationError
from relaymail.intake.entrances import Opening
from relaymail.intake.networks import parseNetworks

TLS: dict[str, Any] = {"tlsKey": "key.pem", "tlsCert": "cert.pem"}


class OpeningTests(SynchronousTestCase):
    """
    What is listened on.
    """

    def test_default(self) -> None:
        """
        Where nothing is said it is one port for programs of this machine.
        """
        self.assertEqual(Intake().openings, (Opening(DEFAULT_SMTP),))

    def test_all(self) -> None:
        """
        Each option makes its kind.
        """
        told = Intake(
            smtp=("tcp:25",),
            submission=("tcp:587",),
            submissions=("tcp:465",),
            lmtp=("unix:/run/lmtp",),
            **TLS,
        )
        self.assertEqual(
            told.openings,
            (
                Opening("tcp:25"),
                Opening("tcp:587", Entrance.SUBMISSION),
                Opening("tcp:465", Entrance.SUBMISSION, True),
                Opening("unix:/run/lmtp", Entrance.LMTP),
            ),
        )


class TogetherTests(SynchronousTestCase):
    """
    What belongs together, and what cannot be together.
    """

    def refused(self, told: str, **settings: Any) -> None:
        """
        See that settings are refused, with some words.
        """
        error = self.assertRaises(ConfigurationError, Intake, **settings)
        self.assertIn(told, str(error))
        self.assertNotIn("\n", str(error))

    def test_TLS(self) -> None:
        """
        Implicit TLS needs a key and a certificate, and is put on what has none.
        """
        self.refused("name intake.tls-key", submissions=("tcp:465",))
        self.refused("TLS within TLS", submissions=("ssl:465",), **TLS)

    def test_once(self) -> None:
        """
        An endpoint is of one kind.
        """
        self.refused(
            "'tcp:587' stands in intake.smtp and in intake.submission",
            smtp=("tcp:25", "tcp:587"),
            submission=("tcp:587",),
        )

    def test_lmtp(self) -> None:
        """
        LMTP is not for the world, and not on the port of SMTP.
        """
        for endpoint in (
            "tcp:24",
            "tcp:24:interface=0.0.0.0",
            "tcp6:24",
            r"tcp:24:interface=\:\:",
        ):
            self.refused("listens to the world", lmtp=(endpoint,))
        self.refused("the port of SMTP", lmtp=("tcp:25:interface=127.0.0.1",))
        for endpoint in (
            "tcp:24:interface=127.0.0.1",
            r"tcp:24:interface=\:\:1",
            "unix:/run/lmtp",
            "systemd:domain=UNIX:name=lmtp",
        ):
            Intake(lmtp=(endpoint,))

    def test_proxies(self) -> None:
        """
        A header cannot come before TLS that the endpoint brings itself.
        """
        proxies = parseNetworks("192.0.2.10")
        self.refused("PROXY header", smtp=("ssl:465",), proxies=proxies)
        Intake(smtp=("tcp:25",), submissions=("tcp:465",), proxies=proxies, **TLS)
