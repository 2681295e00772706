# -*- test-case-name: relaymail.test.test_certificates -*-
"""
Tests for L{relaymail.certificates}.
"""

from __future__ import annotations

from pathlib import Path

from twisted.internet.ssl import CertificateOptions
from twisted.trial.unittest import SynchronousTestCase

from relaymail.certificates import loadTLS
from relaymail.errors import ConfigurationError
from relaymail.test.certificates import writeCertificate


class LoadTests(SynchronousTestCase):
    """
    Tests for L{loadTLS}.
    """

    def setUp(self) -> None:
        """
        Write a key and its certificate.
        """
        self.directory = Path(self.mktemp())
        self.key, self.cert = writeCertificate(self.directory)

    def assertRefused(self, key: str, cert: str, why: str) -> None:
        """
        Fail unless the two are refused in one line that says why.
        """
        error = self.assertRaises(ConfigurationError, loadTLS, key, cert)
        self.assertIn(why, str(error))
        self.assertNotIn("\n", str(error))

    def test_none(self) -> None:
        """
        Without a key there is no TLS.
        """
        self.assertIsNone(loadTLS(None, None))

    def test_chain(self) -> None:
        """
        The first certificate is the relay's, the others are its chain.
        """
        chain = self.directory / "chain.pem"
        chain.write_bytes(Path(self.cert).read_bytes() * 3)
        loaded = loadTLS(self.key, str(chain))
        assert isinstance(loaded, CertificateOptions)
        self.assertEqual(len(loaded.extraCertChain), 2)

    def test_wrongFiles(self) -> None:
        """
        Files that are missing, no PEM, or do not belong together are refused.
        """
        other, _ = writeCertificate(self.directory / "other")
        empty = self.directory / "empty.pem"
        empty.write_bytes(b"")
        self.assertRefused("nowhere.pem", self.cert, "No such file")
        self.assertRefused(self.key, str(empty), "there is no certificate")
        self.assertRefused(self.cert, self.cert, "PEM")
        self.assertRefused(other, self.cert, "mismatch")
