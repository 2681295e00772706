# -*- test-case-name: relaymail.test.route.sts.test_lookup -*-
"""
Whether a domain says in the DNS that it has a policy of MTA-STS (RFC 8461 3.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure

from relaymail.addresses import normalDomain
from relaymail.errors import MalformedAddress
from relaymail.replies import Phase, printable
from relaymail.route.sts.policy import MalformedRecord, parseRecord
from relaymail.route.texts import textsOf
from relaymail.route.troubles import isNoSuchName, troubleOf

#: The label that the record has, and the one that the web server has (RFC 8461 3.1,
#: 3.2).
RECORD, HOST = "_mta-sts", "mta-sts"
#: The longest name whose web server has a name (RFC 1035 2.3.4).
MAX_NAME = 253 - len(RECORD) - 1


@dataclass(frozen=True, slots=True)
class Record:
    """
    What the DNS says of a domain's policy.

    @ivar id: Which one it is; empty where it is not known that there is one.
    @ivar isKnown: Whether the DNS has answered: with it, or that there is none.
    @ivar why: Why there is no id: one printable line.
    """

    id: str = ""
    isKnown: bool = True
    why: str = ""


def policyDomain(destination: str) -> str | None:
    """
    Give the domain whose policy is that of a destination: itself, and not one above it
    (RFC 8461 3.4).

    @param destination: A domain, or an address literal.

    @return: The domain, or L{None} where none can have a policy.
    """
    try:
        name = normalDomain(destination)
    except MalformedAddress:
        return None
    if name.startswith("[") or len(name) > MAX_NAME:
        return None
    # What stands for this machine (RFC 6761 6.3), and what is a number, is no name.
    last = name.rpartition(".")[2]
    return None if last == "localhost" or last.isdigit() else name


async def lookupRecord(resolver: Any, domain: str) -> Record:
    """
    Ask for the record of a domain; aliases are followed (RFC 8461 3.1).

    @param resolver: An L{IResolver<twisted.internet.interfaces.IResolver>} provider;
        one that knows no TXT records knows no policy.
    @param domain: The domain.
    """
    lookup = getattr(resolver, "lookupText", None)
    if lookup is None:
        return Record(why="the resolver knows no TXT records")
    try:
        id = parseRecord(await textsOf(lookup, f"{RECORD}.{domain}"))
    except CancelledError:
        raise
    except MalformedRecord as e:
        why = f"the record at {RECORD}.{domain} cannot be used: {e}"
        return Record(why=printable(why))
    except Exception as e:
        if isNoSuchName(e):
            return Record()
        # Also what is strange about an answer is no reason to forget a policy.
        trouble = troubleOf(Failure(e), Phase.RESOLVE)
        return Record(
            isKnown=False, why=printable(f"{RECORD}.{domain}: {trouble.text}")
        )
    return Record(id or "")
