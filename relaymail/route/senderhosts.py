# -*- test-case-name: relaymail.test.route.test_senderhosts -*-
"""
The hosts that operators name: who sends by which, and all that are known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from relaymail.addresses import domainOf, localKey
from relaymail.errors import MalformedAddress
from relaymail.route.hosts import Host
from relaymail.route.rules import Routing
from relaymail.route.terms import NO_TERMS, Terms

#: No rule holds for any mail.
NO_RULES = Routing()

#: The smart hosts of senders: by address, or by C{@} and a domain for all of its
#: addresses of which nothing is said, all in lower case.
SenderHosts = Mapping[str, tuple[Host, ...]]


@dataclass(frozen=True, slots=True)
class SmartRoutes:
    """
    Where the mail of a relay goes: its smart hosts, with what they are to be told, and
    its rules.

    @ivar smartHosts: Those that get all mail, if any.
    @ivar senderHosts: Those that get the mail of some senders.
    @ivar routing: The rules.
    @ivar terms: On which terms mail goes to the hosts of its destination.
    """

    smartHosts: tuple[Host, ...] = ()
    senderHosts: SenderHosts = field(default_factory=dict)
    routing: Routing = NO_RULES
    terms: Terms = NO_TERMS

    @property
    def everyHost(self) -> tuple[Host, ...]:
        """
        All of them, each once.
        """
        others = [host for hosts in self.senderHosts.values() for host in hosts]
        for rule in self.routing.rules:
            others += rule.hosts
            others += () if rule.terms is None else rule.terms.fallback
        return tuple(dict.fromkeys((*self.smartHosts, *others, *self.terms.fallback)))


def hostsOfSender(sender: str, senderHosts: SenderHosts) -> tuple[Host, ...]:
    """
    Give the smart hosts of a sender; none where it has none of its own.

    @param sender: The reverse-path; a notice, whose is empty, has none.
    """
    entry = entryOf(sender, senderHosts)
    return () if entry is None else senderHosts[entry]


def entryOf(sender: str, senderHosts: SenderHosts) -> str | None:
    """
    Give what stands there for a sender, or L{None} where it has no hosts of its own.

    @param sender: As in L{hostsOfSender}.
    """
    if not sender:
        return None
    found = senderHosts.get(sender.lower())
    if found is not None:
        return sender.lower() if found else None
    try:
        domain = domainOf(sender)
    except MalformedAddress:
        return None
    # A domain is written in several ways (RFC 5890), and stands there in one.
    local = localKey(sender.rpartition("@")[0])
    entries = (f"{local}@{domain}", f"@{domain}")
    return next((entry for entry in entries if senderHosts.get(entry)), None)
