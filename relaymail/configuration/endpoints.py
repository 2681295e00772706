# -*- test-case-name: relaymail.test.configuration.test_reaching -*-
"""
What the descriptions of endpoints say, as far as it is to be known before anything
is opened.  What they are altogether Twisted knows, which need not be here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from relaymail.addresses import literalAddress, normalDomain
from relaymail.errors import MalformedAddress

# The port comes first, or has its name wherever it is.
_TCP = re.compile(r"(?:tcp[46]?|ssl):(?:|(?:(?:\\.|[^:\\])*:)*?port=)(\d{1,5})(?![^:])")
_INTERFACE = re.compile(r":interface=((?:\\.|[^:\\])*)")
_UNIX = re.compile(r"unix:(?:address=)?((?:\\.|[^:\\])+)")
#: What an endpoint without an interface listens on.
ANY = ("0.0.0.0", "::")


def ownAddresses(endpoints: Iterable[str]) -> tuple[frozenset[str], frozenset[int]]:
    """
    Give the addresses and ports that endpoints listen on, as far as their
    descriptions say.
    """
    hosts: set[str] = set()
    ports: set[int] = set()
    for endpoint in endpoints:
        found = _TCP.match(endpoint)
        if found is None:
            continue
        ports.add(int(found[1]))
        interface = _INTERFACE.search(endpoint)
        name = re.sub(r"\\(.)", r"\1", interface[1]) if interface else ""
        hosts |= {name} if name else set(ANY)
    return frozenset(filter(_isAddress, hosts)), frozenset(ports)


def ownSockets(endpoints: Iterable[str]) -> frozenset[str]:
    """
    Give the paths of the sockets that endpoints listen on, as they are written there.
    """
    found = filter(None, map(_UNIX.match, endpoints))
    return frozenset(re.sub(r"\\(.)", r"\1", path[1]) for path in found)


def _isAddress(name: str) -> bool:
    try:
        return literalAddress(normalDomain(f"[{name}]")) is not None
    except MalformedAddress:
        return ":" in name
