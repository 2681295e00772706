# -*- test-case-name: relaymail.test.test_certificates -*-
"""
The relay's own key and certificate, from files.
"""

from __future__ import annotations

from OpenSSL import SSL, crypto
from twisted.internet.ssl import Certificate, CertificateOptions, KeyPair, TLSVersion

from relaymail.errors import ConfigurationError

#: How much of a file is read, in bytes: a chain of dozens.
MAX_PEM = 1_000_000

_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


def loadTLS(key: str | None, cert: str | None) -> CertificateOptions | None:
    """
    Read the key and the certificate for STARTTLS.

    @param key: The file of the private key, PEM.
    @param cert: The file of the certificate and its chain, PEM.

    @return: What TLS is begun with, or L{None} where there is none.

    @raise ConfigurationError: When they cannot be read, or are none.
    """
    if key is None or cert is None:
        return None
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
            f"in PEM ({_words(e)}); the relay does not start"
        ) from e
    return options


def _certificates(pem: bytes) -> list[crypto.X509]:
    parts = pem.split(_CERTIFICATE)[1:]
    if not parts:
        raise ValueError("there is no certificate")
    return [Certificate.loadPEM(_CERTIFICATE + part).original for part in parts]


def _words(error: Exception) -> str:
    """
    Give an error's words; those of OpenSSL are lists of tuples.
    """
    told = error.args[0] if error.args else ""
    if isinstance(error, SSL.Error | crypto.Error) and isinstance(told, list):
        return "; ".join(reason[-1] for reason in told) or "nothing in it"
    return str(error)
