# -*- test-case-name: relaymail.test.doctor.test_certificate -*-
"""
Tests for L{relaymail.doctor.certificate}.
"""

from __future__ import annotations

import os

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from relaymail.doctor.answers import Answer, Verdict
from relaymail.doctor.certificate import checkCertificate
from relaymail.errors import ConfigurationError
from relaymail.testing.certificates import selfSigned

DAY = 86400.0


class CertificateTests(SynchronousTestCase):
    """
    Tests for L{checkCertificate}.
    """

    def setUp(self) -> None:
        """
        Write a key and a certificate.
        """
        made = selfSigned("relay.example", "*.host.example")
        self.key, self.cert = made.write(self.mktemp())
        found = x509.load_pem_x509_certificate(made.certificatePEM)
        self.end = found.not_valid_after_utc.timestamp()

    def check(
        self, left: float = 90 * DAY, hostname: str = "relay.example"
    ) -> list[Answer]:
        """
        Check it.

        @param left: How long it is valid still, in seconds.
        """
        now = self.end - left
        return list(checkCertificate(self.key, self.cert, hostname, now))

    def assertFound(self, found: list[Answer], verdict: Verdict, words: str) -> None:
        """
        One of the answers is this.
        """
        matching = [each for each in found if words in each.found]
        self.assertEqual([each.verdict for each in matching], [verdict], found)

    def test_well(self) -> None:
        """
        One that is valid for the name of the relay is well.
        """
        for hostname in ("relay.example", "RELAY.example", "a.host.example"):
            (answer,) = self.check(hostname=hostname)
            self.assertIs(answer.verdict, Verdict.OK)
            self.assertIn("valid for 90 days", answer.found)

    def test_none(self) -> None:
        """
        That there is none is said.
        """
        (answer,) = checkCertificate(None, None, "relay.example", 0.0)
        self.assertIs(answer.verdict, Verdict.OK)
        self.assertIn("STARTTLS is not offered", answer.found)

    def test_time(self) -> None:
        """
        One that has expired or is not valid yet is a failure, and one that soon
        expires is told of.
        """
        self.assertFound(self.check(-3 * DAY), Verdict.FAILURE, "expired 3 days ago")
        self.assertFound(self.check(3 * DAY), Verdict.WARNING, "expires in 3 days")
        self.assertFound(self.check(1e10), Verdict.FAILURE, "not valid yet")

    def test_name(self) -> None:
        """
        One for another name is told of.
        """
        found = self.check(hostname="other.example")
        self.assertFound(found, Verdict.WARNING, "is for relay.example, *.host.example")

    def test_A09_openKey(self) -> None:
        """
        A key that everybody may read is a failure.
        """
        os.chmod(self.key, 0o644)
        self.assertFound(self.check(), Verdict.FAILURE, "everybody may use the key")

    def test_notTogether(self) -> None:
        """
        A key of another certificate, or a file that is none, is refused in words.
        """
        other, _ = selfSigned("other.example").write(self.mktemp())
        self.key = other
        self.assertRaises(ConfigurationError, self.check)
        self.cert = "/nowhere/cert.pem"
        self.assertRaises(ConfigurationError, self.check)
