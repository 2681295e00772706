# -*- test-case-name: relaymail.test.test_certificates -*-
"""
Keys and certificates in files for tests, made when they are needed.
"""

from __future__ import annotations

from pathlib import Path

from relaymail.testing.certificates import selfSigned


def writeCertificate(
    directory: Path, name: str = "relay.example.com"
) -> tuple[str, str]:
    """
    Write a key, and a certificate that it signed itself.

    @param directory: Where to.
    @param name: The host name that it is for.

    @return: The path of the key and the path of the certificate.
    """
    return selfSigned(name).write(directory)
