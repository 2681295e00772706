# -*- test-case-name: relaymail.test.route.sts.test_lookup -*-
"""
TXT records: where domains say what they want.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.names import dns

from relaymail.route.aliases import (
    CNAME,
    MAX_ALIASES,
    CanonicalNameChainTooLong,
    foldName,
    nameText,
    recordsByName,
)

#: How often a name is asked for under what it is an alias of.
MAX_QUESTIONS = 4


async def textsOf(lookup: Any, name: str) -> list[Sequence[bytes]]:
    """
    Ask for the TXT records of a name; aliases are followed.

    @param lookup: The C{lookupText} of a resolver.

    @return: The strings of each record.  It raises what the lookup fails with, and
        L{CanonicalNameChainTooLong}.
    """
    for _ in range(MAX_QUESTIONS):
        answer = await maybeDeferred(lookup, name)
        found = _inAnswer(answer[0], name)
        if not isinstance(found, str):
            return found
        name = found
    raise CanonicalNameChainTooLong(f"{name} is an alias of an alias for too long")


def _inAnswer(headers: Sequence[Any], name: str) -> list[Sequence[bytes]] | str:
    """
    Give the TXT records of a name, or the name that its aliases lead to outside of
    the answer (RFC 1034 3.6.2).
    """
    owned = recordsByName((header.name, header.payload) for header in headers)
    for _ in range(MAX_ALIASES):
        records = owned.get(foldName(name), [])
        texts: list[Sequence[bytes]] = [
            _bytesOf(r.data) for r in records if r.TYPE == dns.TXT
        ]
        alias = next((r for r in records if r.TYPE == CNAME), None)
        if texts or alias is None:
            return texts
        name = nameText(alias.name)
        if foldName(name) not in owned:
            return name
    raise CanonicalNameChainTooLong(f"{name} is an alias of an alias for too long")


def _bytesOf(strings: Sequence[bytes | str]) -> list[bytes]:
    # Other resolvers than the relay's own may give text.
    return [s.encode("utf-8") if isinstance(s, str) else s for s in strings]
