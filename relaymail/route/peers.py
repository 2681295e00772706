# -*- test-case-name: relaymail.test.route.test_peers -*-
"""
What is wrong with the certificate that a host showed, in words and as reports call it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

import idna
from cryptography import x509
from cryptography.x509.oid import NameOID
from OpenSSL import crypto
from service_identity import CertificateError, VerificationError
from service_identity.hazmat import (
    DNS_ID,
    DNSPattern,
    IPAddress_ID,
    IPAddressPattern,
    verify_service_identity,
)

from relaymail.protections import TLSResult
from relaymail.replies import printable

#: How many names of a certificate are told where it is for another host; some have
#: a hundred.
MAX_NAMES_TOLD = 3
#: The longest name that is told, in characters (RFC 1035 2.3.4).
MAX_NAME = 255
#: How many names of hosts are kept ready for comparing.
MAX_REFERENCES = 256


class Code(IntEnum):
    """
    What OpenSSL calls what is wrong with a certificate (C{X509_V_ERR_*}): of all its
    codes those that have words here.
    """

    UNABLE_TO_GET_ISSUER_CERT = 2
    CERT_SIGNATURE_FAILURE = 7
    CERT_NOT_YET_VALID = 9
    CERT_HAS_EXPIRED = 10
    DEPTH_ZERO_SELF_SIGNED_CERT = 18
    SELF_SIGNED_CERT_IN_CHAIN = 19
    UNABLE_TO_GET_ISSUER_CERT_LOCALLY = 20
    UNABLE_TO_VERIFY_LEAF_SIGNATURE = 21
    CERT_CHAIN_TOO_LONG = 22
    CERT_REVOKED = 23
    PATH_LENGTH_EXCEEDED = 25
    INVALID_PURPOSE = 26
    CERT_UNTRUSTED = 27
    CERT_REJECTED = 28
    EE_KEY_TOO_SMALL = 66
    CA_KEY_TOO_SMALL = 67
    CA_MD_TOO_WEAK = 68
    INVALID_CA = 79


_UNTRUSTED = "nobody whom this relay trusts vouches for it"
#: What OpenSSL's codes mean, where reports have a name of their own for it or the
#: operator of the host can do something about it; C{whose} is told before it.
_MEANINGS: dict[int, tuple[TLSResult, str]] = {
    Code.CERT_NOT_YET_VALID: (TLSResult.NOT_TRUSTED, "is not valid yet"),
    Code.CERT_HAS_EXPIRED: (TLSResult.EXPIRED, "has expired"),
    Code.DEPTH_ZERO_SELF_SIGNED_CERT: (
        TLSResult.NOT_TRUSTED,
        f"is signed by itself: {_UNTRUSTED}",
    ),
    Code.SELF_SIGNED_CERT_IN_CHAIN: (
        TLSResult.NOT_TRUSTED,
        "is that of an authority that this relay does not trust",
    ),
    Code.UNABLE_TO_GET_ISSUER_CERT: (
        TLSResult.NOT_TRUSTED,
        "is from an authority whose own certificate is not to be had",
    ),
    Code.UNABLE_TO_GET_ISSUER_CERT_LOCALLY: (
        TLSResult.NOT_TRUSTED,
        "is from an authority that this relay does not trust, or the host does not "
        "send the certificates between the two",
    ),
    Code.UNABLE_TO_VERIFY_LEAF_SIGNATURE: (
        TLSResult.NOT_TRUSTED,
        "came without those of the authorities that vouch for it",
    ),
    Code.CERT_SIGNATURE_FAILURE: (
        TLSResult.NOT_TRUSTED,
        "has a signature that is not right",
    ),
    Code.CERT_CHAIN_TOO_LONG: (
        TLSResult.NOT_TRUSTED,
        "has too many authorities behind it",
    ),
    Code.CERT_REVOKED: (TLSResult.NOT_TRUSTED, "was revoked"),
    Code.INVALID_CA: (
        TLSResult.NOT_TRUSTED,
        "is not that of an authority, and yet it vouches for another",
    ),
    Code.PATH_LENGTH_EXCEEDED: (
        TLSResult.NOT_TRUSTED,
        "may not vouch for other authorities",
    ),
    Code.INVALID_PURPOSE: (
        TLSResult.NOT_TRUSTED,
        "is not meant to be that of a server",
    ),
    Code.CERT_UNTRUSTED: (TLSResult.NOT_TRUSTED, "is not trusted"),
    Code.CERT_REJECTED: (TLSResult.NOT_TRUSTED, "is not trusted for servers"),
    Code.EE_KEY_TOO_SMALL: (TLSResult.NOT_TRUSTED, "has a key that is too short"),
    Code.CA_KEY_TOO_SMALL: (TLSResult.NOT_TRUSTED, "has a key that is too short"),
    Code.CA_MD_TOO_WEAK: (
        TLSResult.NOT_TRUSTED,
        "is signed with a hash that is too weak",
    ),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """
    Why a host's certificate is not taken.

    @ivar result: What it is called in reports.
    @ivar why: The words: one printable line.
    """

    result: TLSResult
    why: str


def problemOf(code: int, depth: int, certificate: crypto.X509 | None) -> Problem:
    """
    Say what a code of OpenSSL's means.

    @param code: The code, one of C{X509_V_ERR_*}.
    @param depth: How far from the host's own certificate it was found.
    @param certificate: The one that it was found at.
    """
    result, words = _MEANINGS.get(
        code, (TLSResult.FAILED, f"cannot be verified (OpenSSL's code {code})")
    )
    parsed = None if certificate is None else _parsed(certificate)
    when = ""
    if parsed is not None and code == Code.CERT_HAS_EXPIRED:
        when = f" on {parsed.not_valid_after_utc:%Y-%m-%d}"
    if parsed is not None and code == Code.CERT_NOT_YET_VALID:
        when = f", but from {parsed.not_valid_before_utc:%Y-%m-%d} on"
    return Problem(result, printable(f"{_whose(depth, parsed)} {words}{when}"))


@lru_cache(maxsize=MAX_REFERENCES)
def referencesOf(names: tuple[str, ...]) -> tuple[Any, ...]:
    """
    Make of names what certificates are compared with (RFC 6125 6.2); those that no
    certificate can be valid for are left out.

    @param names: Host names and network addresses.

    @raise UnicodeError: When none is left.
    """
    found, why = [], UnicodeError("there is no name")
    for name in names:
        try:
            found.append(_referenceOf(name))
        except UnicodeError as e:
            why = e
    if not found:
        raise why
    return tuple(found)


def nameProblem(certificate: crypto.X509, names: tuple[str, ...]) -> Problem | None:
    """
    Compare the names of a certificate with those that it may have (RFC 6125 6.4):
    one that matches is enough.

    @param certificate: The host's.
    @param names: Host names and network addresses.

    @return: What is wrong, if anything.
    """
    try:
        alternatives = _alternativesIn(certificate)
    except ValueError as e:
        told = printable(f"the host's certificate is broken: {e}")
        return Problem(TLSResult.FAILED, told)
    patterns = [pattern for each in alternatives for pattern in _patternOf(each)]
    for reference in _anyOf(names):
        try:
            verify_service_identity(patterns, [reference], [])
        except (CertificateError, VerificationError):
            continue
        return None
    wanted = " or ".join(printable(name, MAX_NAME) for name in names[:MAX_NAMES_TOLD])
    told = f"the host's certificate is for {_told(alternatives)}, not for {wanted}"
    return Problem(TLSResult.WRONG_NAME, printable(told))


def _anyOf(names: tuple[str, ...]) -> tuple[Any, ...]:
    try:
        return referencesOf(names)
    except UnicodeError:
        # There is none that any certificate could be valid for.
        return ()


def isAddress(name: str) -> bool:
    """
    Tell whether a host's name is a network address.
    """
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _referenceOf(name: str) -> Any:
    if isAddress(name):
        return IPAddress_ID(name)
    # Strictly: no certificate is for a name with an underline (RFC 5280 4.2.1.6).
    return DNS_ID(idna.encode(name.rstrip(".")).decode("ascii"))


def _whose(depth: int, parsed: x509.Certificate | None) -> str:
    if not depth:
        return "the host's certificate"
    names: Sequence[x509.NameAttribute[Any]] = ()
    if parsed is not None:
        names = parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    told = f" ({printable(str(names[0].value), MAX_NAME)})" if names else ""
    return f"a certificate{told} behind the host's"


def _alternativesIn(certificate: crypto.X509) -> list[x509.GeneralName]:
    try:
        extensions = certificate.to_cryptography().extensions
        kind = x509.SubjectAlternativeName
        return list(extensions.get_extension_for_class(kind).value)
    except x509.ExtensionNotFound:
        return []


def _patternOf(name: x509.GeneralName) -> list[Any]:
    """
    Make of a name in a certificate what references are compared with: nothing, where
    it cannot match any, and then the others count all the same.
    """
    try:
        if isinstance(name, x509.IPAddress):
            address: Any = name.value
            return [IPAddressPattern(address)]
        if isinstance(name, x509.DNSName):
            return [DNSPattern.from_bytes(name.value.encode("ascii"))]
    except (CertificateError, UnicodeError):
        pass
    return []


def _told(alternatives: Sequence[x509.GeneralName]) -> str:
    names = [printable(str(each.value), MAX_NAME) for each in alternatives]
    more = len(names) - MAX_NAMES_TOLD
    told = ", ".join(names[:MAX_NAMES_TOLD]) or "no name at all"
    return f"{told} and {more} more" if more > 0 else told


def _parsed(certificate: crypto.X509) -> x509.Certificate | None:
    try:
        return certificate.to_cryptography()
    except ValueError:
        # OpenSSL takes more than is allowed.
        return None
