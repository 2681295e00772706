# -*- test-case-name: relaymail.test.doctor.test_certificate -*-
"""
Checks of the relay's own certificate.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.oid import NameOID

from relaymail.certificates import MAX_PEM, loadTLS
from relaymail.doctor.answers import Answer, fail, ok, warn

#: How many days before its end a certificate should have been renewed.
SOON = 14

_DAY = 24 * 3600.0


def checkCertificate(
    key: str | None, cert: str | None, hostname: str, now: float
) -> Iterator[Answer]:
    """
    See that the key and the certificate can be used, and for how long.

    @param key: The file of the key, L{None} for none.
    @param cert: The file of the certificate.
    @param hostname: What the relay calls itself.
    @param now: The time, in seconds of the epoch.

    @raise ConfigurationError: When they cannot be read, or do not belong together.
    """
    if key is None or cert is None:
        yield ok("no certificate is named: STARTTLS is not offered to clients")
        return
    loadTLS(key, cert)
    mode = stat.S_IMODE(os.stat(key).st_mode)
    if mode & 0o007:
        yield fail(
            f"everybody may use the key {key} ({mode:04o})", f"chmod o-rwx {key}"
        )
    with open(cert, "rb") as file:
        found = x509.load_pem_x509_certificate(file.read(MAX_PEM))
    yield from _checkTime(found, cert, now)
    yield from _checkName(found, cert, hostname)


def _checkTime(found: x509.Certificate, cert: str, now: float) -> Iterator[Answer]:
    begins, ends = _times(found)
    days = (ends - now) / _DAY
    renew = "renew it: the relay takes the new one by itself"
    if now < begins:
        yield fail(f"{cert} is not valid yet", "see whether the clock is right")
    elif days < 0:
        yield fail(f"{cert} has expired {-days:.0f} days ago", renew)
    elif days < SOON:
        yield warn(f"{cert} expires in {days:.0f} days", renew)
    else:
        yield ok(f"the key fits the certificate, which is valid for {days:.0f} days")


def _times(found: x509.Certificate) -> tuple[float, float]:
    """
    Give when it begins and ends, in seconds of the epoch.
    """
    times = [
        getattr(found, f"{name}_utc", None) or getattr(found, name).replace(tzinfo=UTC)
        for name in ("not_valid_before", "not_valid_after")
    ]
    begins, ends = (datetime.timestamp(each) for each in times)
    return begins, ends


def _checkName(found: x509.Certificate, cert: str, hostname: str) -> Iterator[Answer]:
    names = [name.lower() for name in _names(found)]
    wanted = hostname.lower()
    starred = "*." + wanted.partition(".")[2]
    if wanted not in names and starred not in names:
        yield warn(
            f"{cert} is for {', '.join(names[:5]) or 'nobody'}, and the relay calls "
            f"itself {hostname}",
            "clients that look at the certificate refuse it: get one for that name",
        )


def _names(found: x509.Certificate) -> list[str]:
    try:
        extension = found.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        return list(extension.value.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        common = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return [str(each.value) for each in common]
