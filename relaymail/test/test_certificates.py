# -*- test-case-name: relaymail.test.test_certificates -*-
"""
Tests for L{relaymail.certificates}.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import (
    IOpenSSLContextFactory,
    IOpenSSLServerConnectionCreator,
)
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from relaymail.certificates import loadTLS
from relaymail.errors import ConfigurationError
from relaymail.test.certificates import writeCertificate
from relaymail.testing.certificates import Throwaway, ThrowawayCA


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
        assert loaded is not None
        self.assertEqual(len(loaded.options.extraCertChain), 2)

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


class ReplacedTests(SynchronousTestCase):
    """
    Tests for L{OwnCertificate}: files that are replaced.
    """

    def setUp(self) -> None:
        """
        Have a relay with a certificate.
        """
        self.authority = ThrowawayCA()
        self.first = self.authority.issue("relay.example.com")
        self.key, self.cert = self.first.write(self.mktemp())
        own = loadTLS(self.key, self.cert)
        assert own is not None
        self.own = own

    def put(self, issued: Throwaway, key: bool = True, cert: bool = True) -> None:
        """
        Replace the files, each at once.
        """
        newKey, newCert = issued.write(self.mktemp())
        if key:
            os.replace(newKey, self.key)
        if cert:
            os.replace(newCert, self.cert)

    def shown(self) -> list[bytes]:
        """
        Give what a client is shown.
        """
        client = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)
        client.set_connect_state()
        nobody: Any = None
        server = self.own.serverConnectionForTLS(nobody)
        server.set_accept_state()
        for _ in range(3):
            for near, far in ((client, server), (server, client)):
                with contextlib.suppress(SSL.WantReadError):
                    near.do_handshake()
                with contextlib.suppress(SSL.WantReadError):
                    far.bio_write(near.bio_read(1 << 16))
        chain = client.get_peer_cert_chain() or ()
        return [crypto.dump_certificate(crypto.FILETYPE_ASN1, each) for each in chain]

    def test_interfaces(self) -> None:
        """
        TLS can be begun with it in both ways that there are.
        """
        verifyObject(IOpenSSLServerConnectionCreator, self.own)
        verifyObject(IOpenSSLContextFactory, self.own)

    def test_replaced(self) -> None:
        """
        The next client is shown the new one, with its chain, and the log says so,
        once; while nothing changes nothing is read.
        """
        self.assertEqual(self.shown(), [self.first.certificateDER])
        context = self.own.getContext()
        self.assertIs(self.own.getContext(), context)
        between = self.authority.intermediate("Between")
        second = between.issue("relay.example.com")
        self.put(second)
        with capturedLogs() as events:
            self.assertEqual(self.shown(), list(second.sent))
            self.assertEqual(self.shown(), list(second.sent))
        (told,) = [formatEvent(event) for event in events]
        self.assertIn("clients get the new one", str(told))
        self.assertIn("until 2100-01-01", str(told))

    def test_halfReplaced(self) -> None:
        """
        Where only one of the two is there yet clients are shown what was there
        before, which is said once; and the new one when the other is there.
        """
        second = self.authority.issue("relay.example.com")
        self.put(second, cert=False)
        with capturedLogs() as events:
            for _ in range(3):
                self.assertEqual(self.shown(), [self.first.certificateDER])
        (told,) = [formatEvent(event) for event in events]
        self.assertIn("clients get the one that was there before", str(told))
        self.assertIn("the key is not that of the certificate", str(told))
        # The files that put() makes belong together, and only one is taken.
        _, newCert = second.write(self.mktemp())
        os.replace(newCert, self.cert)
        self.assertEqual(self.shown(), [second.certificateDER])

    def test_broken(self) -> None:
        """
        So it is with what is no certificate, and with nothing at all.
        """
        for content in (b"rubbish", None):
            path = Path(self.cert)
            good = path.read_bytes()
            path.unlink()
            if content is not None:
                path.write_bytes(content)
            with capturedLogs() as events:
                for _ in range(3):
                    self.assertEqual(self.shown(), [self.first.certificateDER])
            self.assertEqual(len(events), 1)
            path.write_bytes(good)
            self.assertEqual(self.shown(), [self.first.certificateDER])

    def test_reload(self) -> None:
        """
        Who reloads the relay is told of what is broken, by an error.
        """
        Path(self.cert).write_bytes(b"rubbish")
        error = self.assertRaises(ConfigurationError, loadTLS, self.key, self.cert)
        self.assertIn("there is no certificate", str(error))
        self.assertIn("the relay does not start", str(error))
