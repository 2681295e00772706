# -*- test-case-name: relaymail.test.route.test_dane -*-
"""
Whether the certificates that a host showed are those that its TLSA records name
(RFC 6698, RFC 7671, RFC 7672 3).

  - DANE-EE(3): the host's own certificate or key stands in a record.  That is all:
    neither its names nor its dates are looked at (RFC 7672 3.1.1).
  - DANE-TA(2): a certificate behind it, or the key of one, stands in a record.  It is
    the only one that is trusted, OpenSSL verifies the path to it, and the host's
    certificate is for one of the names that it may have (RFC 7672 3.1.2).

Other usages mean nothing between mail hosts (RFC 7672 3.1.3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import crypto

from relaymail.protections import TLSResult
from relaymail.route.peers import Code, Problem, nameProblem, problemOf
from relaymail.route.tlsa import (
    CERTIFICATE,
    END_ENTITY,
    MAX_RECORDS,
    PUBLIC_KEY,
    TLSA,
    TRUST_ANCHOR,
)

#: How many certificates of a host are looked at, its own among them: OpenSSL follows
#: no longer paths by default, and each may have to be compared with each record.
MAX_CHAIN = 10
#: How many authorities are tried: for each of them all signatures on the way are
#: verified, with keys that may be as slow as their owner likes.
MAX_ANCHORS = 8
#: How many keys that stand in records as a whole are tried on the signatures of the
#: certificates; a rollover has two.
MAX_BARE_KEYS = 4
#: RFC 6698 2.1.3.
WHOLE, SHA256, SHA512 = 0, 1, 2

_DIGESTS: dict[int, Callable[[bytes], bytes]] = {
    WHOLE: lambda data: data,
    SHA256: lambda data: hashlib.sha256(data).digest(),
    SHA512: lambda data: hashlib.sha512(data).digest(),
}

#: How deep the public key is in a certificate (RFC 5280 4.1): what stands before it
#: in the part that is signed, after the version, which may be left out.
_BEFORE_THE_KEY = ("serialNumber", "signature", "issuer", "validity", "subject")
_SEQUENCE, _VERSION = 0x30, 0xA0


@dataclass(frozen=True, slots=True)
class Checked:
    """
    What came of comparing.

    @ivar record: The record that names a certificate, where all is well.
    @ivar problem: What is wrong, else.
    """

    record: TLSA | None = None
    problem: Problem | None = None


class MalformedCertificate(ValueError):
    """
    The bytes are no certificate.
    """


def check(
    chain: Sequence[bytes],
    records: Iterable[TLSA],
    names: tuple[str, ...],
    now: datetime | None = None,
) -> Checked:
    """
    Compare what a host showed with its TLSA records: one that matches is enough.

    @param chain: The certificates (DER) as they came, the host's own first.
    @param records: Its records; those that cannot be used are left out.
    @param names: The names that its certificate may have, where an authority vouches
        for it (RFC 7672 3.2.1).
    @param now: When it is; L{None}: by the clock of this machine, as for all TLS.
    """
    usable = comparable(records)
    if not usable:
        told = "the host's TLSA records cannot be used"
        return _refused(TLSResult.TLSA_INVALID, told)
    if not chain:
        return _refused(TLSResult.FAILED, "the host showed no certificate")
    shown = tuple(chain[:MAX_CHAIN])
    try:
        for record in usable:
            if record.usage == END_ENTITY and isNamed(shown[0], record):
                return Checked(record)
        found = _byAnchors(shown, usable, names, now)
    except (MalformedCertificate, crypto.Error) as e:
        told = f"the certificates of the host are broken: {e}"
        return _refused(TLSResult.FAILED, told)
    if found is not None:
        return found
    told = "the host's TLSA records name none of the certificates that it showed"
    return _refused(TLSResult.FAILED, told)


def comparable(records: Iterable[TLSA]) -> tuple[TLSA, ...]:
    """
    Leave out the records that cannot be used, and, of digests of the same, all but
    the strongest: who can forge the weaker one gains nothing (RFC 7671 9).
    """
    usable = [record for record in records if record.isUsable][:MAX_RECORDS]
    best: dict[tuple[int, int], int] = {}
    for each in usable:
        kind = each.usage, each.selector
        best[kind] = max(best.get(kind, WHOLE), each.matching)
    return tuple(
        each
        for each in usable
        if each.matching in (WHOLE, best[each.usage, each.selector])
    )


def isNamed(certificate: bytes, record: TLSA) -> bool:
    """
    Tell whether a record names a certificate (RFC 6698 2.1).

    @param certificate: It (DER).
    @param record: A record that can be used.

    @raise MalformedCertificate: When it is none.
    """
    whole = record.selector == CERTIFICATE
    data = certificate if whole else publicKeyIn(certificate)
    return _DIGESTS[record.matching](data) == record.data


def publicKeyIn(certificate: bytes) -> bytes:
    """
    Give the public key of a certificate as it stands there (SubjectPublicKeyInfo,
    RFC 5280 4.1.2.7), byte for byte: made anew it might come out otherwise.

    @param certificate: The certificate (DER).

    @raise MalformedCertificate: When it is none.
    """
    _, at, _ = _element(certificate, 0)
    tag, at, _ = _element(certificate, at)
    if tag != _SEQUENCE:
        raise MalformedCertificate("there is nothing signed in it")
    tag, _, end = _element(certificate, at)
    if tag == _VERSION:
        at = end
    for _ in _BEFORE_THE_KEY:
        _, _, at = _element(certificate, at)
    tag, _, end = _element(certificate, at)
    if tag != _SEQUENCE:
        raise MalformedCertificate("there is no public key in it")
    return certificate[at:end]


def _element(data: bytes, at: int) -> tuple[int, int, int]:
    """
    Read the head of an element (X.690 8.1).

    @return: Its tag, and where its content begins and ends.
    """
    head = data[at : at + 2]
    if len(head) < 2:
        raise MalformedCertificate("it is cut off")
    length, begin = head[1], at + 2
    if length & 0x80:
        count = length & 0x7F
        if not 0 < count <= 4:
            raise MalformedCertificate("a length in it is none")
        length = int.from_bytes(data[begin : begin + count], "big")
        begin += count
    end = begin + length
    if end > len(data):
        raise MalformedCertificate("it is cut off")
    return head[0], begin, end


def _byAnchors(
    shown: tuple[bytes, ...],
    records: Sequence[TLSA],
    names: tuple[str, ...],
    now: datetime | None,
) -> Checked | None:
    """
    Look for an authority that a record names, and for a way to it.

    @return: L{None} where no record names any.
    """
    problem = None
    others = [_load(each) for each in shown[1:]]
    tried: set[bytes] = set()
    for anchor, record in _anchorsOf(shown, records):
        if anchor in tried:
            continue
        if len(tried) >= MAX_ANCHORS:
            break
        tried.add(anchor)
        found = _anchoredProblem(_load(shown[0]), others, _load(anchor), now)
        found = found or nameProblem(_load(shown[0]), names)
        if found is None:
            return Checked(record)
        problem = problem or found
    return None if problem is None else Checked(problem=problem)


def _anchorsOf(
    shown: tuple[bytes, ...], records: Sequence[TLSA]
) -> Iterator[tuple[bytes, TLSA]]:
    """
    Give the certificates that paths may end at, each with the record that says so.
    """
    bare = 0
    for record in records:
        if record.usage != TRUST_ANCHOR:
            continue
        # The host's own is no authority's, whatever a record says of it.
        named = [each for each in shown[1:] if isNamed(each, record)]
        if record.matching == WHOLE and record.selector == CERTIFICATE:
            # RFC 7671 5.2.2: the host may leave it out.
            named = [record.data] if _isAnother(record.data, shown[0]) else []
        if record.matching == WHOLE and record.selector == PUBLIC_KEY:
            bare += 1
            if bare <= MAX_BARE_KEYS:
                named += _signedBy(record.data, shown)
        yield from ((each, record) for each in named)


def _isAnother(certificate: bytes, than: bytes) -> bool:
    """
    Tell whether what stands in a record is a certificate, and not the host's own.
    """
    try:
        _load(certificate)
    except MalformedCertificate:
        return False
    return certificate != than


def _signedBy(key: bytes, shown: tuple[bytes, ...]) -> list[bytes]:
    """
    Give the certificates that a key signed: where the authority's own is not there,
    a path ends at them (RFC 7671 5.2.3).
    """
    try:
        loaded = load_der_public_key(key)
    except (ValueError, UnsupportedAlgorithm):
        return []
    return [each for each in shown if _isSigned(each, loaded)]


def _isSigned(certificate: bytes, key: Any) -> bool:
    try:
        parsed = x509.load_der_x509_certificate(certificate)
        signed = parsed.signature, parsed.tbs_certificate_bytes
        how: Any = parsed.signature_algorithm_parameters
        match key:
            case ec.EllipticCurvePublicKey():
                key.verify(*signed, how)
            case rsa.RSAPublicKey():
                hashed: Any = parsed.signature_hash_algorithm
                key.verify(*signed, how, hashed)
            case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
                key.verify(*signed)
            case _:
                return False
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
        # Signed by another, perhaps in another way than this key can.
        return False
    return True


def _anchoredProblem(
    own: crypto.X509,
    others: Sequence[crypto.X509],
    anchor: crypto.X509,
    now: datetime | None,
) -> Problem | None:
    """
    Look for the path to the only certificate that is trusted.
    """
    store = crypto.X509Store()
    store.add_cert(anchor)
    # The one that is trusted need not have signed itself.
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    if now is not None:
        store.set_time(now)
    return pathProblem(own, others, store)


def pathProblem(
    own: crypto.X509, others: Sequence[crypto.X509], store: crypto.X509Store
) -> Problem | None:
    """
    Let OpenSSL find and verify a path from a host's certificate to one that is
    trusted, whatever the order in which the others came.

    @param own: The host's.
    @param others: Those that it showed with it.
    @param store: Those that are trusted.

    @return: What is wrong, if anything.
    """
    try:
        crypto.X509StoreContext(store, own, others).verify_certificate()
    except crypto.X509StoreContextError as e:
        code, depth, _ = e.errors
        return problemOf(code, depth, e.certificate)
    return None if _isForServers(own) else problemOf(Code.INVALID_PURPOSE, 0, own)


_SERVERS = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}


def _isForServers(certificate: crypto.X509) -> bool:
    """
    Tell whether a certificate may be that of a server (RFC 5280 4.2.1.12).
    """
    try:
        extensions = certificate.to_cryptography().extensions
        usages = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    except ValueError:
        return False
    return not _SERVERS.isdisjoint(usages)


def _load(certificate: bytes) -> crypto.X509:
    try:
        return crypto.load_certificate(crypto.FILETYPE_ASN1, certificate)
    except crypto.Error as e:
        raise MalformedCertificate("one of them is none") from e


def _refused(result: TLSResult, why: str) -> Checked:
    return Checked(problem=Problem(result, why))
