# -*- test-case-name: relaymail.test.test_bindings -*-
"""
What is common to both ends of a TLS connection, and to nobody in between (RFC
5056): with it a mechanism of authentication shows that they are the ends of the same
connection.
"""

from __future__ import annotations

from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from OpenSSL import SSL, crypto

#: The names of the bindings (RFC 9266 2, RFC 5929 4).
EXPORTER = "tls-exporter"
END_POINT = "tls-server-end-point"

#: What is exported, and how many octets of it (RFC 9266 2).
_LABEL = b"EXPORTER-Channel-Binding"
_LENGTH = 32
#: What is signed with these is hashed with SHA-256 (RFC 5929 4.1).
_OUTDATED = (hashes.MD5, hashes.SHA1)


def bindingsOf(transport: object) -> dict[str, bytes]:
    """
    Give the channel bindings of a connection, by their names.

    C{tls-exporter} is given for TLS 1.3: below, it is only unique with an extended
    master secret (RFC 9266 3), which cannot be asked for.  C{tls-server-end-point}
    is not given for certificates whose signature says no hash function, such as
    Ed25519 (RFC 5929 4.1).

    @param transport: The transport of either end; in clear, or before the handshake
        is over, there are none.
    """
    getHandle = getattr(transport, "getHandle", None)
    handle = getHandle() if getHandle is not None else None
    if not isinstance(handle, SSL.Connection):
        return {}
    found = {}
    try:
        exporter, endPoint = _exporter(handle), _endPoint(handle)
    except (SSL.Error, crypto.Error, ValueError, UnsupportedAlgorithm):
        return {}
    if exporter:
        found[EXPORTER] = exporter
    if endPoint:
        found[END_POINT] = endPoint
    return found


def _exporter(handle: SSL.Connection) -> bytes | None:
    if handle.get_protocol_version_name() != "TLSv1.3" or not _isEstablished(handle):
        return None
    return bytes(handle.export_keying_material(_LABEL, _LENGTH, b""))


def _isEstablished(handle: SSL.Connection) -> bool:
    # Of each side's "finished", that of the other is the last that is known.
    return handle.get_peer_finished() is not None


def _endPoint(handle: SSL.Connection) -> bytes | None:
    own, peer = handle.get_certificate(), handle.get_peer_certificate()
    if (own is not None and peer is not None) or not _isEstablished(handle):
        # Which of them is the server's cannot be told.
        return None
    certificate: Any = own or peer
    return None if certificate is None else digestOf(certificate.to_cryptography())


def digestOf(certificate: x509.Certificate) -> bytes | None:
    """
    Give the hash that stands for a server's certificate (RFC 5929 4.1), or L{None}
    where the hash function is not defined.

    @raise UnsupportedAlgorithm: When its signature is of an unknown kind.
    """
    algorithm = certificate.signature_hash_algorithm
    if algorithm is None:
        return None
    if isinstance(algorithm, _OUTDATED):
        algorithm = hashes.SHA256()
    return certificate.fingerprint(algorithm)
