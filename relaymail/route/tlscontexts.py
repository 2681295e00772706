# -*- test-case-name: relaymail.test.route.test_tlscontexts -*-
"""
What a TLS session with a host is made with.

Who the host is, is checked in the handshake where its certificate is to be valid for
its name (L{TLSNeed.VERIFIED}); where its TLSA records say what it is to be
(L{TLSNeed.DANE}) the handshake takes any, and L{relaymail.route.dane} looks at it
before the first command.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import idna
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    KeyPair,
    TLSVersion,
    platformTrust,
    trustRootFromCertificates,
)
from zope.interface import implementer

from relaymail.errors import ConfigurationError, RouteError
from relaymail.protections import TLSResult
from relaymail.replies import Phase, Trouble, TroubleKind, printable
from relaymail.route.dane import check, pathProblem
from relaymail.route.hosts import Host, TLSNeed
from relaymail.route.peers import (
    Problem,
    isAddress,
    nameProblem,
    problemOf,
    referencesOf,
)
from relaymail.route.tlssessions import TLSSessions
from relaymail.route.troubles import CertificateRefused, wordsOf

_CERTIFICATE_END = b"-----END CERTIFICATE-----"
#: The largest file of certificates or keys that is read, in bytes; the system's own
#: trusted ones are a quarter of a megabyte.
_MAX_FILE = 4 * 1024 * 1024
#: How many contexts are kept: one for each file of trusted certificates and each
#: certificate of ours, as they are now.
_MAX_CONTEXTS = 64

#: What of a file is another after it was replaced.
Stamp = tuple[int, ...]


def creatorFor(
    host: Host,
    sessions: TLSSessions | None = None,
    address: str = "",
    now: float = 0.0,
) -> Creator | None:
    """
    Give what makes a TLS connection to a host.

    @param sessions: Those that can be taken up; L{None} for none.
    @param address: The network address of the host, where it is known.
    @param now: The time, in seconds.

    @return: It, or L{None} where the host is to be spoken to in clear.

    @raise ConfigurationError: When the file of trusted certificates, or the
        certificate that this relay is to show there, cannot be used.
    @raise RouteError: When no certificate can be valid for the host's name.
    """
    if host.path is not None or host.tls is TLSNeed.NEVER or host.inClear:
        # On a socket nobody is in between, and there is no name that a certificate
        # could have.
        return None
    names = namesOf(host)
    verifies = host.tls is TLSNeed.VERIFIED
    if verifies:
        try:
            referencesOf(names)
        except UnicodeError as e:
            told = f"no certificate can be valid for {' or '.join(names)}: {e}"
            kind, result = TroubleKind.TLS, TLSResult.WRONG_NAME
            raise RouteError(Trouble(Phase.CONNECT, kind, told, result)) from e
    caFile = host.caFile if verifies else None
    certFile = host.certFile
    keyFile = None if certFile is None else host.keyFile or certFile
    context = _contextOf(
        verifies,
        caFile,
        certFile,
        keyFile,
        (stampOf(caFile), stampOf(certFile), stampOf(keyFile)),
    )
    made = Creator(context, _serverName(names[0]), names if verifies else ())
    if sessions is not None:
        made.session = sessions.take(host, address, context, now)
    return made


def peerCheckFor(host: Host) -> Callable[[SSL.Connection], Problem | None] | None:
    """
    Give what says what is wrong with a host once a handshake with it is over.

    @return: It, or L{None} where it makes no difference who the host is.
    """
    match host.tls:
        case TLSNeed.DANE:
            return partial(_againstRecords, host)
        case TLSNeed.VERIFIED:
            return partial(_againstTrusted, host)
    return None


def _againstRecords(host: Host, connection: SSL.Connection) -> Problem | None:
    shown = connection.get_peer_cert_chain() or ()
    chain = [crypto.dump_certificate(crypto.FILETYPE_ASN1, each) for each in shown]
    return check(chain, host.tlsa, namesOf(host)).problem


def _againstTrusted(host: Host, connection: SSL.Connection) -> Problem | None:
    if not getattr(connection, "isResuming", False):
        # The handshake has seen all that is to be seen.
        return None
    # One that takes up a session does not look at the certificates, which are those
    # that the host showed before; they may have expired since.
    shown = connection.get_peer_cert_chain() or ()
    store = connection.get_context().get_cert_store()
    if not shown or store is None:
        return Problem(TLSResult.FAILED, "the host showed no certificate")
    problem = pathProblem(shown[0], shown[1:], store)
    return problem or nameProblem(shown[0], namesOf(host))


def testedProblem(host: Host, connection: SSL.Connection | None) -> Problem | None:
    """
    Say what is wrong with a host by the policy that it is only tested by (RFC 8461
    5): mail goes there all the same.

    @param host: One with such a policy.
    @param connection: The connection, once its handshake is over.

    @return: What is wrong, if anything.
    """
    if host.tested is not None and not host.tested.matches(host.name):
        told = f"{host.name} is none of the hosts that the policy names"
        return Problem(TLSResult.FAILED, printable(told))
    shown = () if connection is None else connection.get_peer_cert_chain() or ()
    stamps = (stampOf(host.caFile), (), ())
    try:
        store = _contextOf(True, host.caFile, None, None, stamps).get_cert_store()
    except ConfigurationError:
        # It is of this relay that something is wrong.
        return None
    if not shown or store is None:
        return Problem(TLSResult.FAILED, "the host showed no certificate")
    try:
        problem = pathProblem(shown[0], shown[1:], store)
        return problem or nameProblem(shown[0], namesOf(host))
    except UnicodeError as e:
        told = f"no certificate can be valid for {host.name}: {e}"
        return Problem(TLSResult.WRONG_NAME, printable(told))


def namesOf(host: Host) -> tuple[str, ...]:
    """
    Give the names that a host's certificate may have: one is enough.
    """
    return host.names or (host.name,)


def serverNameOf(host: Host) -> str:
    """
    Give the name that a host is asked for (RFC 6066 3), empty for none.
    """
    return (_serverName(namesOf(host)[0]) or b"").decode("ascii")


class _Connection(SSL.Connection):
    """
    A connection that knows whom it is to meet: what OpenSSL calls back with is the
    connection, and all hosts of a kind share the context.

    @ivar names: The names that its certificate may have.
    @ivar isResuming: Whether a session from before is offered.
    """

    names: tuple[str, ...] = ()
    isResuming = False


@implementer(IOpenSSLClientConnectionCreator)
class Creator:
    """
    Makes connections to one host.

    Without names it takes whom it meets for the host: that keeps out who only
    listens, and is never worse than clear (RFC 7435).

    @ivar context: What they are made of, with all other hosts of the kind.
    @ivar serverName: Which certificate the host is asked for (RFC 6066 3); L{None}
        for none in particular.
    @ivar names: The names that its certificate may have; empty where nobody looks
        in the handshake.
    @ivar session: The session that the next connection takes up, if the host agrees.
    """

    session: SSL.Session | None = None

    def __init__(
        self, context: SSL.Context, serverName: bytes | None, names: tuple[str, ...]
    ) -> None:
        self.context = context
        self.serverName = serverName
        self.names = names

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """
        Make one.

        @param tlsProtocol: Who wants it.
        """
        connection = _Connection(self.context, None)
        connection.names = self.names
        if self.serverName is not None:
            connection.set_tlsext_host_name(self.serverName)
        if self.session is not None:
            connection.set_session(self.session)
            connection.isResuming = True
        return connection


@lru_cache(maxsize=_MAX_CONTEXTS)
def _contextOf(
    verifies: bool,
    caFile: str | None,
    certFile: str | None,
    keyFile: str | None,
    stamps: tuple[Stamp, ...],
) -> SSL.Context:
    """
    Make a context, or give it again where none of the files was replaced.
    """
    settings: dict[str, Any] = {}
    if verifies:
        settings["trustRoot"] = platformTrust() if caFile is None else trustedIn(caFile)
    if certFile is not None and keyFile is not None:
        settings |= _ownIn(certFile, keyFile)
    try:
        context = CertificateOptions(
            # RFC 8996: nothing older is TLS today.
            raiseMinimumTo=TLSVersion.TLSv1_2,
            enableSessionTickets=True,
            **settings,
        ).getContext()
    except SSL.Error as e:
        raise _unusablePair(certFile, keyFile, wordsOf(e)) from e
    if verifies:
        wanted = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
        context.set_verify(wanted, _verify)
    return context


def _verify(
    connection: Any,
    certificate: crypto.X509,
    code: int,
    depth: int,
    isFine: int,
) -> bool:
    """
    Look at one certificate of a host, as OpenSSL comes to it, and say in words why it
    is refused: what is raised here is what the handshake fails with.
    """
    problem = None
    if not isFine:
        problem = problemOf(code, depth, certificate)
    elif not depth:
        problem = nameProblem(certificate, connection.names)
    if problem is not None:
        raise CertificateRefused(problem)
    return True


def trustedIn(path: str) -> Any:
    """
    Give whom a file says to trust.

    @param path: A file of certificates (PEM).

    @return: A trust root of Twisted's.

    @raise ConfigurationError: When the file cannot be used.
    """
    try:
        found = _certificatesIn(path)
    except (OSError, SSL.Error, crypto.Error) as e:
        raise ConfigurationError(
            f"the certificates in {path} cannot be used: {_why(e)}"
        ) from e
    if not found:
        raise ConfigurationError(
            f"the certificates in {path} cannot be used: there is none (PEM) in it"
        )
    return trustRootFromCertificates(found)


def checkOwn(certFile: str, keyFile: str | None = None) -> None:
    """
    See whether a certificate that this relay is to show to hosts can be used.

    @param certFile: The path of it, PEM, with its chain behind it.
    @param keyFile: The path of its key; L{None}: it is in the same file.

    @raise ConfigurationError: When it cannot.
    """
    keyFile = keyFile or certFile
    stamps = ((), stampOf(certFile), stampOf(keyFile))
    _contextOf(False, None, certFile, keyFile, stamps)


def _ownIn(certFile: str, keyFile: str) -> dict[str, Any]:
    try:
        certificates = [each.original for each in _certificatesIn(certFile)]
        key = KeyPair.load(_read(keyFile), crypto.FILETYPE_PEM).original
    except (OSError, ValueError, TypeError, SSL.Error, crypto.Error) as e:
        raise _unusablePair(certFile, keyFile, _why(e)) from e
    if not certificates:
        told = f"there is no certificate (PEM) in {certFile}"
        raise _unusablePair(certFile, keyFile, told)
    own, *chain = certificates
    return {"privateKey": key, "certificate": own, "extraCertChain": chain}


def _unusablePair(
    certFile: str | None, keyFile: str | None, why: str
) -> ConfigurationError:
    return ConfigurationError(
        f"the certificate in {certFile} and the key in {keyFile}, which this relay is "
        f"to show to a host, cannot be used: {why}"
    )


def _certificatesIn(path: str) -> list[Certificate]:
    pieces = _read(path).split(_CERTIFICATE_END)[:-1]
    return [Certificate.loadPEM(piece + _CERTIFICATE_END) for piece in pieces]


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(_MAX_FILE)


def _why(error: Exception) -> str:
    why: str | None = getattr(error, "strerror", None)
    return why or wordsOf(error)


def stampOf(path: str | None) -> Stamp:
    """
    Give what is another after a file was replaced.

    @param path: Its path, or L{None}.

    @return: It; empty where there is no file, or it cannot be seen.
    """
    try:
        known = None if path is None else os.stat(path)
    except OSError:
        return ()
    return () if known is None else (known.st_mtime_ns, known.st_size, known.st_ino)


def _serverName(name: str) -> bytes | None:
    """
    Give a name as a host is asked for it (RFC 6066 3), or L{None} where it is no
    name.
    """
    name = name.rstrip(".")
    if not name or isAddress(name):
        return None
    if name.isascii():
        return name.encode("ascii")
    try:
        return idna.encode(name)
    except UnicodeError:
        return None
