# -*- test-case-name: relaymail.test.route.test_tlscontexts -*-
"""
What a TLS session with a host is made with.
"""

from __future__ import annotations

import os
from functools import cache, lru_cache
from ipaddress import ip_address
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    optionsForClientTLS,
    trustRootFromCertificates,
)
from twisted.python.filepath import FilePath
from zope.interface import implementer

from relaymail.errors import ConfigurationError, RouteError
from relaymail.replies import Phase, Trouble, TroubleKind
from relaymail.route.hosts import Host, TLSNeed

_CERTIFICATE_END = b"-----END CERTIFICATE-----"
#: The largest file of trusted certificates that is read, in bytes; the
#: system's own are a quarter of a megabyte.
_MAX_CA_FILE = 4 * 1024 * 1024


def creatorFor(host: Host) -> IOpenSSLClientConnectionCreator | None:
    """
    Give what makes TLS connections to a host.

    @return: It, or L{None} where the host is to be spoken to in clear.

    @raise ConfigurationError: When the host's file of trusted certificates
        cannot be used.
    @raise RouteError: When no certificate can be valid for the host's name.
    """
    if host.path is not None:
        # Nobody is in between, and there is no name that a certificate could have.
        return None
    match host.tls:
        case TLSNeed.NEVER:
            return None
        case TLSNeed.VERIFIED:
            try:
                return _verifying(host.name, host.caFile, _stampOf(host.caFile))
            except UnicodeError as e:
                told = f"no certificate can be valid for {host.name!r}: {e}"
                trouble = Trouble(Phase.CONNECT, TroubleKind.TLS, told)
                raise RouteError(trouble) from e
        case TLSNeed.OFFERED | TLSNeed.ENCRYPTED | TLSNeed.DANE:
            return _Unverified(host.names[0] if host.names else host.name)


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    """
    Makes connections that are encrypted, and takes whom it meets for the host:
    that keeps out who only listens, and is never worse than clear (RFC 7435).
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        connection = SSL.Connection(_unverifiedContext(), None)
        connection.set_app_data(tlsProtocol)
        if not _isAddress(self._name):
            connection.set_tlsext_host_name(self._name.encode("ascii"))
        return connection


@cache
def _unverifiedContext() -> SSL.Context:
    return CertificateOptions(verify=False).getContext()


def _stampOf(path: str | None) -> tuple[int, ...]:
    """
    Give what is another after a file was replaced; nothing where there is none.
    """
    try:
        known = None if path is None else os.stat(path)
    except OSError:
        return ()
    return () if known is None else (known.st_mtime_ns, known.st_size, known.st_ino)


@lru_cache(maxsize=64)
def _verifying(
    name: str, caFile: str | None, stamp: tuple[int, ...]
) -> IOpenSSLClientConnectionCreator:
    if caFile is None:
        return optionsForClientTLS(name)
    return optionsForClientTLS(name, trustRoot=trustedIn(caFile))


def trustedIn(path: str) -> Any:
    """
    Give whom a file says to trust.

    @param path: A file of certificates (PEM).

    @return: A trust root of Twisted's.

    @raise ConfigurationError: When the file cannot be used.
    """
    try:
        with FilePath(path).open() as file:
            text = file.read(_MAX_CA_FILE)
        pieces = text.split(_CERTIFICATE_END)[:-1]
        found = [Certificate.loadPEM(piece + _CERTIFICATE_END) for piece in pieces]
    except (OSError, SSL.Error, crypto.Error) as e:
        why = getattr(e, "strerror", None) or e
        raise ConfigurationError(
            f"the certificates in {path} cannot be used: {why}"
        ) from e
    if not found:
        raise ConfigurationError(
            f"the certificates in {path} cannot be used: there is none (PEM) in it"
        )
    return trustRootFromCertificates(found)


def _isAddress(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
