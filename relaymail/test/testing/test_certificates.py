"""
Tests for L{relaymail.testing.certificates}.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from OpenSSL import SSL
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import optionsForClientTLS
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.test.iosim import FakeTransport, connect
from twisted.trial.unittest import SynchronousTestCase

from relaymail.certificates import loadTLS
from relaymail.testing.certificates import (
    KeyKind,
    Purpose,
    Throwaway,
    ThrowawayCA,
    selfSigned,
)


class Ear(Protocol):
    """
    Remembers what it hears, and how it ended.
    """

    heard = b""
    reason: Any = None

    def dataReceived(self, data: bytes) -> None:
        """
        Remember it.
        """
        self.heard += data

    def connectionLost(self, reason: Any = None) -> None:
        """
        Remember it.
        """
        self.reason = reason


class _Once(Factory):
    """
    Gives a protocol that is there already.
    """

    noisy = False

    def __init__(self, protocol: Protocol) -> None:
        self._only = protocol

    def buildProtocol(self, addr: Any) -> Protocol:
        return self._only


class CertificateTests(SynchronousTestCase):
    """
    Shakes hands in memory.
    """

    def handshake(
        self, certificate: Throwaway, trustRoot: Any, name: str = "mx.example.org"
    ) -> tuple[Ear, int]:
        """
        Let a server say something to a client that looks closely.

        @return: The client, and how many bytes the server sent.
        """
        client, server = Ear(), Ear()
        clock, wrapped = Clock(), []
        for protocol, context, isClient in (
            (client, optionsForClientTLS(name, trustRoot=trustRoot), True),
            (server, certificate.contextFactory, False),
        ):
            factory = TLSMemoryBIOFactory(
                context,
                isClient,
                _Once(protocol),
                clock,
            )
            wrapped.append(factory.buildProtocol(None))  # type: ignore[arg-type]
        ends = [FakeTransport(p, i == 1) for i, p in enumerate(wrapped)]
        sent: list[bytes] = []
        write = ends[1].write

        def count(data: bytes) -> None:
            sent.append(data)
            write(data)

        self.patch(ends[1], "write", count)
        pump = connect(wrapped[1], ends[1], wrapped[0], ends[0])
        pump.flush()
        server.transport.write(b"hello")  # type: ignore[union-attr]
        clock.advance(0)
        pump.flush()
        return client, sum(map(len, sent))

    def assertTrusted(self, *args: Any) -> None:
        """
        Fail unless the client has heard what was said.
        """
        client, _ = self.handshake(*args)
        self.assertEqual((client.heard, client.reason), (b"hello", None))

    def assertDistrusted(self, *args: Any) -> None:
        """
        Fail unless the client has refused to listen.
        """
        client, _ = self.handshake(*args)
        self.assertEqual(client.heard, b"")
        self.assertIsNotNone(client.reason)

    def test_issued(self) -> None:
        """
        What an authority issues is valid for its names, to those who trust it.
        """
        for kind in KeyKind:
            authority = ThrowawayCA(kind=kind)
            issued = authority.issue("mx.example.org", "192.0.2.1")
            self.assertTrusted(issued, authority.trustRoot)
            self.assertTrusted(issued, authority.trustRoot, "192.0.2.1")

    def test_D09_notValid(self) -> None:
        """
        It is not valid to others, for other names, or when it has expired.
        """
        authority = ThrowawayCA()
        issued = authority.issue("mx.example.org")
        self.assertDistrusted(issued, ThrowawayCA().trustRoot)
        self.assertDistrusted(issued, authority.trustRoot, "mx.example.com")
        expired = authority.issue("mx.example.org", expired=True)
        self.assertDistrusted(expired, authority.trustRoot)

    def test_selfSigned(self) -> None:
        """
        What signs itself is trusted by those who know it, and only by them.
        """
        certificate = selfSigned("mx.example.org")
        self.assertTrusted(certificate, certificate.trustRoot)
        self.assertDistrusted(certificate, ThrowawayCA().trustRoot)
        expired = selfSigned("mx.example.org", expired=True)
        self.assertDistrusted(expired, expired.trustRoot)

    def test_sameLength(self) -> None:
        """
        Sessions with new keys are of the same length, so that a simulation
        goes the same way.
        """
        lengths = set()
        for _ in range(8):
            authority = ThrowawayCA()
            issued = authority.issue("mx.example.org")
            lengths.add(self.handshake(issued, authority.trustRoot)[1])
        self.assertEqual(len(lengths), 1, lengths)

    def test_written(self) -> None:
        """
        In files they are what relaymail and others read; the key is for its
        owner only.
        """
        directory = Path(self.mktemp())
        authority = ThrowawayCA()
        key, certificate = authority.issue("mx.example.org").write(directory)
        self.assertIsNotNone(loadTLS(key, certificate))
        self.assertEqual(Path(key).stat().st_mode & 0o077, 0)
        context = SSL.Context(SSL.TLS_METHOD)
        context.load_verify_locations(authority.write(directory))
        self.assertIn("ca.pem", [path.name for path in directory.iterdir()])

    def test_intermediate(self) -> None:
        """
        Those between are sent along, and trusted for the first authority's sake; who
        does not send them, or sends one that has expired or is no authority's, is
        not.
        """
        root = ThrowawayCA()
        between = root.intermediate("One").intermediate("Two")
        issued = between.issue("mx.example.org")
        self.assertEqual(len(issued.chain), 2)
        self.assertEqual(issued.sent[0], issued.certificateDER)
        self.assertTrusted(issued, root.trustRoot)
        self.assertTrusted(issued, between.trustRoot)
        self.assertTrusted(issued.sending(*reversed(issued.chain)), root.trustRoot)
        self.assertDistrusted(issued.sending(), root.trustRoot)
        for bad in (
            root.intermediate("Old", expired=True),
            root.intermediate("None", mayIssue=False),
        ):
            self.assertDistrusted(bad.issue("mx.example.org"), root.trustRoot)

    def test_chainWritten(self) -> None:
        """
        What is sent along stands in the file.
        """
        issued = ThrowawayCA().intermediate("One").issue("mx.example.org")
        loaded = loadTLS(*issued.write(self.mktemp()))
        assert loaded is not None
        self.assertEqual(len(loaded.options.extraCertChain), 1)

    def test_purpose(self) -> None:
        """
        A certificate that is for something else is not trusted as a server's.
        """
        root = ThrowawayCA()
        for purpose in (Purpose.ANY, Purpose.SERVER):
            issued = root.issue("mx.example.org", purpose=purpose)
            self.assertTrusted(issued, root.trustRoot)
        for purpose in (Purpose.CLIENT, Purpose.CODE):
            issued = root.issue("mx.example.org", purpose=purpose)
            self.assertDistrusted(issued, root.trustRoot)

    def test_clients(self) -> None:
        """
        A server can want certificates of its clients, and does not talk to those
        that have none.
        """
        root = ThrowawayCA()
        issued = root.issue("mx.example.org")
        context = issued.serving(clients=root).getContext()
        wanted = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
        self.assertEqual(context.get_verify_mode() & wanted, wanted)

    def test_tlsa(self) -> None:
        """
        TLSA records hold it, or its key, or a digest of them (RFC 6698 2.1).
        """
        issued = ThrowawayCA().issue("mx.example.org")
        parsed = x509.load_pem_x509_certificate(issued.certificatePEM)
        key = parsed.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        self.assertEqual(issued.tlsa(2, 0, 0).data, parsed.public_bytes(Encoding.DER))
        self.assertEqual(issued.tlsa(2, 1, 0).data, key)
        self.assertEqual(issued.tlsa(3, 1, 1).data, hashlib.sha256(key).digest())
        self.assertEqual(issued.tlsa(3, 1, 2).data, hashlib.sha512(key).digest())
        self.assertTrue(str(issued.tlsa(3, 0, 1)).startswith("3 0 1 "))
