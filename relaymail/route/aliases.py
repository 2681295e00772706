# -*- test-case-name: relaymail.test.route.test_aliases -*-
"""
What the records of one MX answer say: walk the aliases, collect the mail
exchange hosts.  Pure: the records are only looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

#: The record type CNAME (RFC 1035 3.2.2).
CNAME = 5
#: The record type MX (RFC 1035 3.2.2).
MX = 15

#: The most aliases that are walked inside one answer: resolvers stop at about
#: as many, and a longer chain serves nobody but an attacker.
MAX_ALIASES = 16

#: A record's payload: something with C{TYPE} and C{name}, and C{preference}
#: where it is an MX record.
Record = Any


class CanonicalNameLoop(Exception):
    """
    The aliases of a domain lead round in a circle, so that no mail exchange
    host can be named; the lookup was given up.
    """


class CanonicalNameChainTooLong(Exception):
    """
    The aliases of a domain lead from one to the next for longer than is
    followed; the lookup was given up.
    """


def nameText(name: object) -> str:
    """
    Give a name as text, whatever it came as.

    @param name: A L{str}, L{bytes}, or something with either as its C{name},
        as C{twisted.names} has it.

    @return: The text, as it was written, without a trailing dot; bytes that
        are not ASCII are shown as escapes.
    """
    inner = getattr(name, "name", name)
    if isinstance(inner, bytes):
        inner = inner.decode("ascii", "backslashreplace")
    return str(inner).removesuffix(".")


def foldName(name: object) -> str:
    """
    Give a name in the form in which names are compared: names differ neither
    by case (RFC 4343) nor by a trailing dot.
    """
    return nameText(name).lower()


def recordsByName(
    owned: Iterable[tuple[object, Record]],
) -> dict[str, list[Record]]:
    """
    Sort records by the name they belong to.

    @param owned: Pairs of an owner name and a record.

    @return: The records of each name, by its form in L{foldName}.
    """
    found: dict[str, list[Record]] = {}
    for name, record in owned:
        found.setdefault(foldName(name), []).append(record)
    return found


def walk(answers: Mapping[str, Sequence[Record]], domain: object) -> list[Record]:
    """
    Follow the aliases of a domain through the records of one answer.

    A name that is an alias has nothing else (RFC 1034 3.6.2), so an MX record
    beside a CNAME record does not count.

    @param answers: The records of each name, as L{recordsByName} gives them.
    @param domain: The domain that was asked for.

    @return: The MX records of what the domain is called in the end, or the
        one CNAME record that leads out of the answer.

    @raise CanonicalNameLoop: When the aliases go round in a circle.
    @raise CanonicalNameChainTooLong: When there are more than
        L{MAX_ALIASES}.
    """
    name = foldName(domain)
    seen = {name}
    while True:
        records = answers.get(name, ())
        alias = next((r for r in records if r.TYPE == CNAME), None)
        if alias is None:
            return [r for r in records if r.TYPE == MX]
        name = foldName(alias.name)
        if name in seen:
            raise CanonicalNameLoop(alias)
        if name not in answers:
            return [alias]
        if len(seen) >= MAX_ALIASES:
            raise CanonicalNameChainTooLong(alias)
        seen.add(name)


def canonicalName(answers: Mapping[str, Sequence[Record]], domain: object) -> str:
    """
    Say what a domain is called after its aliases in an answer, as far as they lead.

    @param answers: The records of each name, as L{recordsByName} gives them.
    @param domain: The domain that was asked for.

    @return: The name, as it stands there; empty where the domain is no alias.
    """
    found = ""
    for _ in range(MAX_ALIASES):
        records = answers.get(foldName(found or domain), ())
        alias = next((r for r in records if r.TYPE == CNAME), None)
        if alias is None:
            break
        found = nameText(alias.name)
    return found
