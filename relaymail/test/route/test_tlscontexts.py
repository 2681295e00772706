# -*- test-case-name: relaymail.test.route.test_tlscontexts -*-
"""
Tests for L{relaymail.route.tlscontexts}.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from relaymail.errors import ConfigurationError
from relaymail.replies import Phase, TroubleKind
from relaymail.route.hosts import Host, TLSNeed
from relaymail.route.tlscontexts import creatorFor
from relaymail.route.troubles import troubleOf
from relaymail.test.certificates import writeCertificate


def handshake(creator: Any, context: Any) -> Any:
    """
    Shake hands with a server in memory.

    @raise SSL.Error: When the client does not want to.
    """
    nothing: Any = None
    factory = TLSMemoryBIOFactory(creator, True, nothing, Clock())
    connection = creator.clientConnectionForTLS(_Holder(factory))
    connection.set_connect_state()
    server = SSL.Connection(context.getContext(), None)
    server.set_accept_state()
    for _ in range(5):
        for near, far in ((connection, server), (server, connection)):
            with contextlib.suppress(SSL.WantReadError):
                near.do_handshake()
            with contextlib.suppress(SSL.WantReadError):
                far.bio_write(near.bio_read(1 << 16))
    return connection


class _Holder:
    """
    What Twisted's connection creators talk back to.
    """

    def __init__(self, factory: Any) -> None:
        self.factory = factory
        self.transport = StringTransport()
        self.failure: Any = None

    def failVerification(self, reason: Failure) -> None:
        """
        The certificate is of somebody else.
        """
        raise SSL.Error([("", "", reason.getErrorMessage())])


class CreatorTests(SynchronousTestCase):
    """
    Tests for L{creatorFor}.
    """

    def setUp(self) -> None:
        key, self.path = writeCertificate(Path(self.mktemp()), "mx.example.org")
        self.server = DefaultOpenSSLContextFactory(key, self.path)

    def host(self, tls: TLSNeed, name: str = "mx.example.org", **kw: Any) -> Host:
        """
        Give a host.
        """
        return Host(name, tls=tls, **kw)

    def test_never(self) -> None:
        """
        NEVER has no TLS.
        """
        self.assertIsNone(creatorFor(self.host(TLSNeed.NEVER)))

    def test_socket(self) -> None:
        """
        Nor has a socket, whatever is said of it.
        """
        for need in TLSNeed:
            host = self.host(need, name="/run/lmtp", path="/run/lmtp")
            self.assertIsNone(creatorFor(host))

    def test_notLookedAt(self) -> None:
        """
        OFFERED and ENCRYPTED take any certificate, for any name or address,
        and name the host they want (RFC 6066 3), but no address.
        """
        for tls in (TLSNeed.OFFERED, TLSNeed.ENCRYPTED):
            for name, told in (
                ("mx.example.org", b"mx.example.org"),
                ("other.example", b"other.example"),
                ("192.0.2.1", None),
                ("2001:db8::1", None),
            ):
                creator = creatorFor(self.host(tls, name))
                verifyObject(IOpenSSLClientConnectionCreator, creator)
                connection = handshake(creator, self.server)
                self.assertIn("TLSv1", connection.get_protocol_version_name())
                self.assertEqual(connection.get_servername(), told)

    def test_verified(self) -> None:
        """
        VERIFIED takes a certificate for the name that is trusted.
        """
        host = self.host(TLSNeed.VERIFIED, caFile=self.path)
        connection = handshake(creatorFor(host), self.server)
        self.assertIn("TLSv1", connection.get_protocol_version_name())

    def test_notTrusted(self) -> None:
        """
        It refuses one that is not trusted.
        """
        creator = creatorFor(self.host(TLSNeed.VERIFIED))
        self.assertRaises(SSL.Error, handshake, creator, self.server)

    def assertUnusable(self, path: str) -> None:
        """
        A file of certificates is refused, and the error names it.
        """
        host = self.host(TLSNeed.VERIFIED, caFile=path)
        error = self.assertRaises(ConfigurationError, creatorFor, host)
        self.assertIn(path, str(error))

    def test_badFiles(self) -> None:
        """
        A file that is missing, empty, or no certificate is refused.
        """
        path = self.mktemp()
        self.assertUnusable(path)
        for text in (b"", b"rubbish", b"rubbish\n-----END CERTIFICATE-----\n"):
            Path(path).write_bytes(text)
            self.assertUnusable(path)

    def test_severalCertificates(self) -> None:
        """
        A file may hold several.
        """
        _, other = writeCertificate(Path(self.mktemp()), "else.example")
        path = Path(self.mktemp())
        path.write_bytes(Path(other).read_bytes() + Path(self.path).read_bytes())
        host = self.host(TLSNeed.VERIFIED, caFile=str(path))
        handshake(creatorFor(host), self.server)

    def test_replaced(self) -> None:
        """
        A file that was replaced is read again, and one that is as it was is not.
        """
        host = self.host(TLSNeed.VERIFIED, caFile=self.path)
        before = creatorFor(host)
        self.assertIs(creatorFor(host), before)
        key, path = writeCertificate(Path(self.mktemp()), "mx.example.org")
        other = DefaultOpenSSLContextFactory(key, path)
        self.assertRaises(SSL.Error, handshake, creatorFor(host), other)
        Path(path).replace(self.path)
        handshake(creatorFor(host), other)
        self.assertRaises(SSL.Error, handshake, creatorFor(host), self.server)

    def test_nameThatNoCertificateHas(self) -> None:
        """
        A host whose name cannot be in a certificate is a trouble with TLS, not
        one of the mail.
        """
        try:
            creatorFor(self.host(TLSNeed.VERIFIED, "mx_1.example.org"))
        except Exception:
            trouble = troubleOf(Failure(), Phase.CONNECT)
        self.assertNotIn(
            trouble.kind, (TroubleKind.UNSENDABLE, TroubleKind.NO_SUCH_DOMAIN)
        )
