# -*- test-case-name: relaymail.test.queue.test_matching -*-
"""
Whether a name is meant by what somebody asks for.

It is said here as the spool's database is asked: without regard to the case of
letters, with C{*} for any text in an address and nothing else special.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from relaymail.inspection import Listed, Selection


def matches(selection: Selection, found: Listed, now: float) -> bool:
    """
    Tell whether a name is meant.

    @param found: What is known of it.
    @param now: The time, in seconds.
    """
    if selection.names and found.name not in selection.names:
        return False
    return all(
        check(getattr(selection, part), found, now)
        for part, check in _CHECKS.items()
        if getattr(selection, part) is not None
    )


def _isLike(wanted: str, address: str) -> bool:
    if wanted.startswith("<") and wanted.endswith(">"):
        wanted = wanted[1:-1]
    if wanted.startswith("@"):
        wanted = "*" + wanted
    first, *others = wanted.lower().split("*")
    address = address.lower()
    if not others:
        return address == first
    if not address.startswith(first):
        return False
    # Each part is looked for once, behind the one before: an expression would try
    # all ways to part the address, of which there may be more than seconds.
    at = len(first)
    for part in others[:-1]:
        at = address.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return address.endswith(others[-1]) and at + len(others[-1]) <= len(address)


_CHECKS: dict[str, Callable[[Any, Listed, float], bool]] = {
    "sender": lambda wanted, found, now: _isLike(wanted, found.sender),
    "recipient": lambda wanted, found, now: _isLike(wanted, found.recipient),
    "domain": lambda wanted, found, now: (
        found.destination == wanted.lower().rstrip(".")
    ),
    "olderThan": lambda age, found, now: found.arrived <= now - age,
    "youngerThan": lambda age, found, now: found.arrived >= now - age,
    "largerThan": lambda size, found, now: found.size >= size,
    "smallerThan": lambda size, found, now: found.size <= size,
    "state": lambda state, found, now: found.state is state,
    "reply": lambda text, found, now: text.lower() in found.reply.lower(),
}
