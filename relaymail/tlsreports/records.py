# -*- test-case-name: relaymail.test.tlsreports.test_records -*-
"""
What a domain says of where it wants reports (RFC 8460 3).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from relaymail.addresses import checkAddress
from relaymail.errors import MalformedAddress

#: What stands before a domain where its record is.
PREFIX = "_smtp._tls."
#: How many places of one domain are told: each costs a message or a request.
MAX_PLACES = 4
#: The longest record that is looked at, in bytes: some strings of a TXT record.
MAX_RECORD = 4096

_VERSION = re.compile(rb"v=TLSRPTv1[ \t]*(?:;|\Z)")
_FIELD = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9_.-]{0,31})\s*=\s*(.*?)\s*\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Places:
    """
    Where a domain wants reports.

    @ivar addresses: The addresses that get them by mail.
    @ivar urls: The URLs that get them over HTTPS.
    """

    addresses: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """
        Tell whether there is any.
        """
        return bool(self.addresses or self.urls)


#: It wants none.
NOWHERE = Places()


def parseRecords(records: Iterable[bytes]) -> Places:
    """
    Read the TXT records at the name of reports.

    @param records: Each as one text, its strings joined.

    @return: Where reports go; nowhere where there is not exactly one record of
        this version (RFC 8460 3), or it names no place that can be told.
    """
    said = [record for record in records if _VERSION.match(record)]
    if len(said) != 1 or len(said[0]) > MAX_RECORD:
        return NOWHERE
    _, *fields = said[0].decode("ascii", "replace").split(";")
    for field in fields:
        found = _FIELD.match(field)
        if found is not None and found[1] == "rua":
            return _placesIn(found[2])
    return NOWHERE


def _placesIn(uris: str) -> Places:
    addresses: list[str] = []
    urls: list[str] = []
    for uri in uris.split(",", MAX_PLACES)[:MAX_PLACES]:
        text = uri.strip()
        if text[:7].lower() == "mailto:":
            addresses += _addressIn(text[7:])
        elif text[:8].lower() == "https://" and _isURL(text):
            urls.append(text)
    return Places(tuple(dict.fromkeys(addresses)), tuple(dict.fromkeys(urls)))


def _addressIn(text: str) -> list[str]:
    # RFC 6068 2: what stands behind a question mark is of the message.
    try:
        address = checkAddress(unquote(text.partition("?")[0], errors="strict"))
    except (MalformedAddress, UnicodeDecodeError):
        return []
    return [address] if "@" in address else []


def _isURL(text: str) -> bool:
    if not text.isascii() or not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        return False
