# -*- test-case-name: relaymail.test.route.test_matching -*-
"""
What in a rule a message matches, for people.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from relaymail.envelopes import Outline
from relaymail.route.patterns import ALL, addressOf, keysOfSender, recipientKeys
from relaymail.route.rules import Routing, Rule


def criteriaOf(rule: Rule, outline: Outline) -> list[str]:
    """
    Say what in a rule a message matches: of each kind of criteria that it has the one
    that holds.

    @param rule: A rule that matches.
    @param outline: What is known of the message.
    """
    to = recipientKeys(addressOf(outline.recipient))
    by = keysOfSender(outline.sender)
    user, host = outline.origin.user, outline.origin.host
    networks = [str(network) for network in rule.clients if _holds(network, host)]
    kinds: tuple[tuple[str, Iterable[str], tuple[str, ...]], ...] = (
        ("recipient", to, rule.recipients),
        ("sender", by, rule.senders),
        ("client", networks, tuple(map(str, rule.clients))),
        ("user", (user,), rule.users),
    )
    found = []
    for kind, keys, patterns in kinds:
        key = next((key for key in keys if key in patterns), ALL)
        if patterns:
            found.append(f"{kind} {key}")
    return found or ["it is for all mail"]


def numberOf(rule: Rule, routing: Routing) -> int:
    """
    Give the place of a rule among the others, from 0 on.
    """
    return next(n for n, other in enumerate(routing.rules) if other is rule)


def _holds(network: object, host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address) in network  # type: ignore[operator]
