# -*- test-case-name: relaymail.test.test_certificates -*-
"""
The relay's own key and certificate, from files, as they are now.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import (
    IOpenSSLContextFactory,
    IOpenSSLServerConnectionCreator,
)
from twisted.internet.ssl import Certificate, CertificateOptions, KeyPair, TLSVersion
from twisted.logger import Logger
from zope.interface import implementer

from relaymail.errors import ConfigurationError
from relaymail.route.tlscontexts import stampOf
from relaymail.route.troubles import wordsOf

#: How much of a file is read, in bytes: a chain of dozens.
MAX_PEM = 1_000_000

_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


def loadTLS(key: str | None, cert: str | None) -> OwnCertificate | None:
    """
    Read the key and the certificate for TLS with clients.

    @param key: The file of the private key, PEM.
    @param cert: The file of the certificate and its chain, PEM.

    @return: What TLS is begun with, or L{None} where there is none.

    @raise ConfigurationError: When they cannot be read, or are none.
    """
    if key is None or cert is None:
        return None
    try:
        return OwnCertificate(key, cert)
    except ConfigurationError as e:
        raise ConfigurationError(f"{e}; the relay does not start") from e


@implementer(IOpenSSLContextFactory, IOpenSSLServerConnectionCreator)
class OwnCertificate:
    """
    What TLS with clients is begun with: the files are looked at when it begins, and
    read again when they were replaced.  That costs two calls of the system, where a
    handshake costs a millisecond.

    @ivar key: The path of the private key.
    @ivar cert: The path of the certificate and its chain.
    """

    _log = Logger()

    def __init__(self, key: str, cert: str) -> None:
        """
        @param key: See C{key}.
        @param cert: See C{cert}.

        @raise ConfigurationError: When they cannot be read, or are none.
        """
        self.key = key
        self.cert = cert
        self._seen = self._stamps()
        self._options = _load(key, cert)

    @property
    def options(self) -> CertificateOptions:
        """
        What the files say now or, where they cannot be used, what they said before.
        """
        stamps = self._stamps()
        if stamps != self._seen:
            # Whatever comes of it, it is looked at again only when it has changed.
            self._seen = stamps
            self._readAgain()
        return self._options

    def getContext(self) -> SSL.Context:
        """
        Give what connections are made with.
        """
        context: SSL.Context = self.options.getContext()
        return context

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """
        Make a connection.

        @param protocol: Who wants it.
        """
        return SSL.Connection(self.getContext(), None)

    def _readAgain(self) -> None:
        try:
            self._options = _load(self.key, self.cert)
        except ConfigurationError as e:
            self._log.error(
                "The certificate was replaced, and cannot be used: {why}; clients get "
                "the one that was there before. It is tried again when one of the "
                "files changes",
                why=str(e),
            )
        else:
            own: Any = self._options.certificate
            self._log.info(
                "The certificate in {cert} was replaced: clients get the new one, "
                "which is valid until {until:%Y-%m-%d}",
                cert=self.cert,
                until=own.to_cryptography().not_valid_after_utc,
            )

    def _stamps(self) -> tuple[object, ...]:
        return stampOf(self.key), stampOf(self.cert)


def _load(key: str, cert: str) -> CertificateOptions:
    try:
        with open(key, "rb") as keyFile, open(cert, "rb") as certFile:
            pair = KeyPair.load(keyFile.read(MAX_PEM), crypto.FILETYPE_PEM)
            own, *chain = _certificates(certFile.read(MAX_PEM))
        options = CertificateOptions(
            privateKey=pair.original,
            certificate=own,
            extraCertChain=chain,
            raiseMinimumTo=TLSVersion.TLSv1_2,
        )
        options.getContext()  # says whether the two belong together
    except (OSError, ValueError, SSL.Error, crypto.Error) as e:
        raise ConfigurationError(
            f"{key!r} and {cert!r} are not a private key and its certificate "
            f"in PEM ({wordsOf(e) if isinstance(e, _OPENSSL) else e})"
        ) from e
    return options


_OPENSSL = (SSL.Error, crypto.Error)


def _certificates(pem: bytes) -> list[crypto.X509]:
    parts = pem.split(_CERTIFICATE)[1:]
    if not parts:
        raise ValueError("there is no certificate")
    return [Certificate.loadPEM(_CERTIFICATE + part).original for part in parts]
