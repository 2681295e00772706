# -*- test-case-name: relaymail.test.testing.test_certificates -*-
"""
Throw-away keys and certificates for tests, made in memory when they are needed.

    >>> authority = ThrowawayCA()
    >>> certificate = authority.issue("mx.example.org")
    >>> server = SMTPServer(contextFactory=certificate.contextFactory)
    >>> client = optionsForClientTLS("mx.example.org", trustRoot=authority.trustRoot)
    >>> key, cert = certificate.write(directory)          # paths of PEM files

A certificate for a wrong name is one that was issued for another name; one that
nobody vouches for is L{selfSigned}, or from another authority.

Between an authority and a host there may be others, which servers send along:

    >>> between = authority.intermediate("Between")
    >>> certificate = between.issue("mx.example.org")
    >>> certificate.chain                                 # what is sent behind it
    >>> certificate.sending()                             # a server that forgets it

And a host's TLSA records (RFC 6698), for the tests' name server:

    >>> certificate.tlsa(3, 1, 1)                         # DANE-EE SPKI SHA2-256
    >>> authority.certificate.tlsa(2, 0, 1)               # DANE-TA Cert SHA2-256
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Sequence
from enum import Enum
from functools import cache
from ipaddress import ip_address
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import crypto
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    KeyPair,
    TLSVersion,
    trustRootFromCertificates,
)

from relaymail.route.tlsa import CERTIFICATE, TLSA

__all__ = [
    "BEGIN",
    "END",
    "EXPIRED",
    "KeyKind",
    "Purpose",
    "Throwaway",
    "ThrowawayCA",
    "selfSigned",
]

#: When certificates begin to be valid, and end.  TLS looks at the real clock.
BEGIN = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)
#: When those end that have expired.
EXPIRED = datetime.datetime(2021, 1, 1, tzinfo=datetime.UTC)
#: The first serial number; all of them have the same length.
FIRST_SERIAL = 1 << 62
#: The size of RSA keys, in bits: the smallest that clients still take.
RSA_SIZE = 2048

_AUTHORITY = x509.BasicConstraints(ca=True, path_length=None)
_NO_AUTHORITY = x509.BasicConstraints(ca=False, path_length=None)

_Key: TypeAlias = (
    "ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey"
)


class KeyKind(Enum):
    """
    What keys are like.

    Signatures of Ed25519 and RSA always have the same length, so that sessions
    with them are alike byte count for byte count; those of P-256 have not.
    """

    ED25519 = "Ed25519"
    P256 = "ECDSA over P-256"
    RSA = "RSA; made once for a process, for it takes long"


class Purpose(Enum):
    """
    What a certificate says that it may be used for (RFC 5280 4.2.1.12).
    """

    #: It says nothing.
    ANY = "anything"
    SERVER = "proving who a server is"
    CLIENT = "proving who a client is"
    #: Neither of them.
    CODE = "signing code"


_USAGES = {
    Purpose.SERVER: ExtendedKeyUsageOID.SERVER_AUTH,
    Purpose.CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH,
    Purpose.CODE: ExtendedKeyUsageOID.CODE_SIGNING,
}

#: How TLSA records compare (RFC 6698 2.1.3), by number.
_MATCHINGS: dict[int, Any] = {
    0: lambda data: data,
    1: lambda data: hashlib.sha256(data).digest(),
    2: lambda data: hashlib.sha512(data).digest(),
}


class Throwaway:
    """
    A certificate and its key.

    @ivar names: The host names and addresses that it is for.
    @ivar keyPEM: The private key, PEM.
    @ivar certificatePEM: The certificate, PEM.
    @ivar certificateDER: The certificate, DER.
    @ivar keyDER: The public key, DER (SubjectPublicKeyInfo, RFC 5280 4.1.2.7).
    @ivar chain: The certificates that a server sends behind it.
    """

    def __init__(
        self,
        names: Sequence[str],
        key: _Key,
        certificate: x509.Certificate,
        chain: Sequence[Throwaway] = (),
    ) -> None:
        self.names = tuple(names)
        self.chain = tuple(chain)
        self._key = key
        self._certificate = certificate
        self.certificateDER = certificate.public_bytes(serialization.Encoding.DER)
        self.keyDER = key.public_key().public_bytes(
            serialization.Encoding.DER,
            serialization.PublicFormat.SubjectPublicKeyInfo,
        )
        self.keyPEM = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        self.certificatePEM = certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def contextFactory(self) -> CertificateOptions:
        """
        What a server begins TLS with: a new one each time.
        """
        return self.serving()

    def serving(
        self, clients: ThrowawayCA | None = None, **more: Any
    ) -> CertificateOptions:
        """
        Give what a server begins TLS with.

        @param clients: Whose certificates clients must have; L{None}: they need
            none.
        @param more: What else C{CertificateOptions} takes, such as
            C{enableSessionTickets}.
        """
        if clients is not None:
            more["trustRoot"] = clients.trustRoot
        chain = [Certificate.loadPEM(each.certificatePEM) for each in self.chain]
        return CertificateOptions(
            privateKey=KeyPair.load(self.keyPEM, crypto.FILETYPE_PEM).original,
            certificate=Certificate.loadPEM(self.certificatePEM).original,
            extraCertChain=[each.original for each in chain],
            raiseMinimumTo=TLSVersion.TLSv1_2,
            **more,
        )

    @property
    def sent(self) -> tuple[bytes, ...]:
        """
        The certificates that a server sends, DER, its own first.
        """
        return (self.certificateDER, *(each.certificateDER for each in self.chain))

    def sending(self, *others: Throwaway) -> Throwaway:
        """
        Give the same, with other certificates behind it.

        @param others: Those, in their order; none: it is sent alone.
        """
        return Throwaway(self.names, self._key, self._certificate, others)

    def tlsa(self, usage: int, selector: int, matching: int) -> TLSA:
        """
        Give the TLSA record that names it (RFC 6698 2.1).

        @param usage: 2 for that of an authority, 3 for that of a host.
        @param selector: 0 for the certificate, 1 for its public key.
        @param matching: 0 for all of it, 1 for SHA2-256, 2 for SHA2-512.
        """
        data = self.certificateDER if selector == CERTIFICATE else self.keyDER
        return TLSA(usage, selector, matching, _MATCHINGS[matching](data))

    @property
    def trustRoot(self) -> Any:
        """
        What C{optionsForClientTLS} takes to trust this certificate, and what it
        was used to sign.
        """
        return trustRootFromCertificates([Certificate.loadPEM(self.certificatePEM)])

    def write(self, directory: Path | str) -> tuple[str, str]:
        """
        Write both as C{key.pem} and C{cert.pem}, with the chain behind the
        certificate.

        @param directory: Where to; it is made if it is not there.

        @return: The path of the key and the path of the certificate.
        """
        place = Path(directory)
        place.mkdir(parents=True, exist_ok=True)
        key, certificate = place / "key.pem", place / "cert.pem"
        key.touch(mode=0o600)
        key.write_bytes(self.keyPEM)
        sent = (self, *self.chain)
        certificate.write_bytes(b"".join(each.certificatePEM for each in sent))
        return str(key), str(certificate)


class ThrowawayCA:
    """
    A certificate authority that nobody knows who is not told.

    @ivar certificate: Its own certificate.
    """

    def __init__(
        self, name: str = "Throw-away CA", kind: KeyKind = KeyKind.ED25519
    ) -> None:
        """
        @param name: What it is called.
        @param kind: What its keys are like, and those of its certificates.
        """
        self._kind = kind
        self._name = _named(name)
        self._key = _makeKey(kind, "authority")
        self._serials = count(FIRST_SERIAL)
        self._root = self
        builder = _builder(self._name, self._name, self._key, next(self._serials), END)
        signed = _sign(builder.add_extension(_AUTHORITY, True), self._key)
        self.certificate = Throwaway((), self._key, signed)

    @property
    def trustRoot(self) -> Any:
        """
        What C{optionsForClientTLS} takes to trust what it issues: the certificate
        of the first authority, which has signed itself.
        """
        return self._root.certificate.trustRoot

    def issue(
        self, *names: str, expired: bool = False, purpose: Purpose = Purpose.ANY
    ) -> Throwaway:
        """
        Make a key and a certificate, with the chain up to the first authority,
        whose own is not in it.

        @param names: The host names and network addresses that it is for.
        @param expired: Whether it has expired.
        @param purpose: What it says that it may be used for.
        """
        key = _makeKey(self._kind, "host")
        end = EXPIRED if expired else END
        serial = next(self._serials)
        builder = _builder(_named(names[0]), self._name, key, serial, end)
        builder = builder.add_extension(_alternatives(names), False)
        if purpose in _USAGES:
            usage = x509.ExtendedKeyUsage([_USAGES[purpose]])
            builder = builder.add_extension(usage, False)
        return Throwaway(names, key, _sign(builder, self._key), self._behind)

    def intermediate(
        self, name: str, *, expired: bool = False, mayIssue: bool = True
    ) -> ThrowawayCA:
        """
        Make an authority that this one vouches for.

        @param name: What it is called.
        @param expired: Whether its certificate has expired.
        @param mayIssue: Whether its certificate says that it is one.
        """
        made = ThrowawayCA(name, self._kind)
        made._key = key = _makeKey(self._kind, name)
        end = EXPIRED if expired else END
        serial = next(self._serials)
        builder = _builder(made._name, self._name, key, serial, end)
        basics = _AUTHORITY if mayIssue else _NO_AUTHORITY
        signed = _sign(builder.add_extension(basics, True), self._key)
        made.certificate = Throwaway((), key, signed, self._behind)
        made._root = self._root
        return made

    @property
    def _behind(self) -> tuple[Throwaway, ...]:
        """
        What is sent behind a certificate of its own.
        """
        if self._root is self:
            return ()
        return (self.certificate, *self.certificate.chain)

    def write(self, directory: Path | str) -> str:
        """
        Write the certificate of the authority as C{ca.pem}.

        @param directory: Where to; it is made if it is not there.

        @return: The path.
        """
        path = Path(directory) / "ca.pem"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.certificate.certificatePEM)
        return str(path)


def selfSigned(
    *names: str, expired: bool = False, kind: KeyKind = KeyKind.ED25519
) -> Throwaway:
    """
    Make a key, and a certificate that it signs itself.

    @param names: The host names and network addresses that it is for.
    @param expired: Whether it has expired.
    @param kind: What the key is like.
    """
    key, name = _makeKey(kind, "host"), _named(names[0])
    builder = _builder(name, name, key, FIRST_SERIAL, EXPIRED if expired else END)
    signed = _sign(builder.add_extension(_alternatives(names), False), key)
    return Throwaway(names, key, signed)


def _makeKey(kind: KeyKind, role: str) -> _Key:
    match kind:
        case KeyKind.ED25519:
            return ed25519.Ed25519PrivateKey.generate()
        case KeyKind.P256:
            return ec.generate_private_key(ec.SECP256R1())
        case KeyKind.RSA:
            return _keptRSA(role)


@cache
def _keptRSA(role: str) -> rsa.RSAPrivateKey:
    """
    Give the one RSA key of this process for a role.
    """
    return rsa.generate_private_key(public_exponent=65537, key_size=RSA_SIZE)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternatives(names: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_alternative(name) for name in names])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: _Key, serial: int, end: Any
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(BEGIN)
        .not_valid_after(end)
    )


def _sign(builder: x509.CertificateBuilder, key: _Key) -> x509.Certificate:
    isEd25519 = isinstance(key, ed25519.Ed25519PrivateKey)
    return builder.sign(key, None if isEd25519 else hashes.SHA256())
