# -*- test-case-name: relaymail.test.configuration.test_structuring -*-
"""
How local names, addresses and origins of web pages are read.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from relaymail.addresses import checkAddress
from relaymail.errors import ConfigurationError, MalformedAddress

#: A domain to check local names with.
_ANY = "example.com"


def parseLocal(text: str) -> str:
    """
    Read a local name that has an alias.

    @return: The name, in lower case: C{root}, however a program writes it.

    @raise ConfigurationError: When it is none.
    """
    if "@" in text:
        raise ConfigurationError(
            f"{text[:80]!r} is not a local name: write it without @ and domain"
        )
    try:
        checkAddress(f"{text}@{_ANY}")
    except MalformedAddress as e:
        raise ConfigurationError(
            f"{text[:80]!r} is not a local name such as root"
        ) from e
    return text.lower()


def parseTarget(text: str) -> str:
    """
    Read who gets the mail of an alias: an address or a local name.

    @raise ConfigurationError: When it is neither.
    """
    text = text.strip()
    if "@" not in text:
        return parseLocal(text)
    return parseMailbox(text)


def parseMailbox(text: str) -> str:
    """
    Read an address.

    @raise ConfigurationError: When it is none.
    """
    try:
        return checkAddress(text.strip())
    except MalformedAddress as e:
        raise ConfigurationError(str(e).removesuffix("; nothing was queued")) from e


def parseOrigin(text: str) -> str:
    """
    Read the origin of a web page (RFC 6454 6.2).

    @return: It, in lower case.

    @raise ConfigurationError: When it is none.
    """
    try:
        url = urlsplit(text)
        isOrigin = bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        isOrigin = False
    if not isOrigin or url.scheme not in ("http", "https") or not text.isprintable():
        raise ConfigurationError(
            f"{text[:80]!r} is not an origin: write such as https://example.com"
        )
    if f"{url.scheme}://{url.netloc}".lower() != text.lower() or "@" in url.netloc:
        raise ConfigurationError(
            f"{text[:80]!r} is not an origin: nothing follows the host and port"
        )
    return text.lower()
