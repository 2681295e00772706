"""
Tests for L{relaymail.bindings}.
"""

from __future__ import annotations

import hashlib
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import CertificateOptions, optionsForClientTLS
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.test import iosim
from twisted.trial.unittest import SynchronousTestCase

from relaymail.bindings import bindingsOf, digestOf
from relaymail.testing.certificates import KeyKind, Throwaway, selfSigned

BOTH = ["tls-exporter", "tls-server-end-point"]


class _Factory:
    """
    What makes one protocol, that is known already.
    """

    noisy = False

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol

    def buildProtocol(self, addr: Any) -> Protocol:
        """
        Give it.
        """
        return self.protocol

    def doStart(self) -> None:
        """
        Nothing is needed.
        """

    doStop = doStart


def connectTLS(
    server: Any,
    client: Any,
    clientProtocol: Protocol | None = None,
    serverProtocol: Protocol | None = None,
) -> tuple[Any, Any]:
    """
    Connect two ends over TLS in memory, and let them talk until nothing more is said.

    @param server: What the server begins TLS with.
    @param client: What the client begins it with.

    @return: The transport of the client, and that of the server.
    """
    factories = (
        _Factory(clientProtocol or Protocol()),
        _Factory(serverProtocol or Protocol()),
    )
    made: Any = TLSMemoryBIOFactory
    clock = Clock()
    clientEnd = made(client, True, factories[0], clock).buildProtocol(None)
    serverEnd = made(server, False, factories[1], clock).buildProtocol(None)
    pump = iosim.connect(
        serverEnd,
        iosim.FakeTransport(serverEnd, isServer=True),
        clientEnd,
        iosim.FakeTransport(clientEnd, isServer=False),
    )
    isMoving = True
    while isMoving:
        clock.advance(0)
        isMoving = pump.flush()
    return factories[0].protocol.transport, factories[1].protocol.transport


class BindingsTests(SynchronousTestCase):
    """
    Tests for L{bindingsOf}.
    """

    def connect(
        self, certificate: Throwaway, most: int = SSL.TLS1_3_VERSION
    ) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """
        Connect, and give the bindings of the client and of the server.

        @param most: The newest version of TLS that the server takes.
        """
        options = optionsForClientTLS("mx.example.org", trustRoot=certificate.trustRoot)
        begin = certificate.contextFactory
        if most != SSL.TLS1_3_VERSION:
            begin.getContext().set_max_proto_version(most)
        client, server = connectTLS(begin, options)
        return bindingsOf(client), bindingsOf(server)

    def test_bothEnds(self) -> None:
        """
        Both ends of a connection have both, and the same (RFC 9266 2, RFC 5929 4).
        """
        certificate = selfSigned("mx.example.org", kind=KeyKind.P256)
        client, server = self.connect(certificate)
        self.assertEqual(sorted(client), BOTH)
        self.assertEqual(client, server)
        self.assertEqual(len(client["tls-exporter"]), 32)
        der = x509.load_pem_x509_certificate(certificate.certificatePEM)
        wanted = hashlib.sha256(der.public_bytes(Encoding.DER)).digest()
        self.assertEqual(client["tls-server-end-point"], wanted)

    def test_unique(self) -> None:
        """
        Another connection with the same certificate exports other octets.
        """
        certificate = selfSigned("mx.example.org", kind=KeyKind.P256)
        one, other = self.connect(certificate)[0], self.connect(certificate)[0]
        self.assertNotEqual(one["tls-exporter"], other["tls-exporter"])
        self.assertEqual(one["tls-server-end-point"], other["tls-server-end-point"])

    def test_TLS12(self) -> None:
        """
        Below TLS 1.3 nothing is exported (RFC 9266 3).
        """
        certificate = selfSigned("mx.example.org", kind=KeyKind.P256)
        client, server = self.connect(certificate, SSL.TLS1_2_VERSION)
        self.assertEqual(list(client), ["tls-server-end-point"])
        self.assertEqual(client, server)

    def test_noHash(self) -> None:
        """
        A certificate that is signed without a hash function has no hash (RFC 5929
        4.1).
        """
        client, server = self.connect(selfSigned("mx.example.org"))
        self.assertEqual(list(client), ["tls-exporter"])
        self.assertEqual(client, server)

    def test_clientWithCertificate(self) -> None:
        """
        Where both show certificates it is not known whose is the server's.
        """
        certificate = selfSigned("mx.example.org", kind=KeyKind.P256)
        both = CertificateOptions(
            privateKey=certificate.contextFactory.privateKey,
            certificate=certificate.contextFactory.certificate,
            trustRoot=certificate.trustRoot,
        )
        client, server = connectTLS(both, both)
        self.assertEqual(list(bindingsOf(client)), ["tls-exporter"])
        self.assertEqual(bindingsOf(client), bindingsOf(server))

    def test_outdatedHash(self) -> None:
        """
        MD5 and SHA-1 give way to SHA-256; others are used as they are (RFC 5929
        4.1).
        """
        for signedWith, used in (
            (hashes.MD5(), hashes.SHA256),
            (hashes.SHA1(), hashes.SHA256),
            (hashes.SHA384(), hashes.SHA384),
        ):
            certificate: Any = _Certificate(signedWith)
            self.assertEqual(digestOf(certificate), used.name.encode())

    def test_none(self) -> None:
        """
        In clear, and before the handshake, there are none.
        """
        self.assertEqual(bindingsOf(StringTransport()), {})
        self.assertEqual(bindingsOf(None), {})

        class Begun(StringTransport):
            def getHandle(self) -> SSL.Connection:
                """
                Give a connection that has said nothing yet.
                """
                return SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)

        self.assertEqual(bindingsOf(Begun()), {})


class _Certificate:
    """
    Stands for a certificate that is signed with a certain hash function.
    """

    def __init__(self, algorithm: hashes.HashAlgorithm) -> None:
        self.signature_hash_algorithm = algorithm

    def fingerprint(self, algorithm: hashes.HashAlgorithm) -> bytes:
        """
        Give what was asked for.
        """
        return algorithm.name.encode()
