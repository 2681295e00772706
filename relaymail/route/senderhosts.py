# -*- test-case-name: relaymail.test.route.test_senderhosts -*-
"""
Smart hosts by sender: who sends by which.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from relaymail.addresses import domainOf
from relaymail.errors import MalformedAddress
from relaymail.route.hosts import Host

#: The smart hosts of senders: by address, or by C{@} and a domain for all of its
#: addresses of which nothing is said, all in lower case.
SenderHosts = Mapping[str, tuple[Host, ...]]


@dataclass(frozen=True, slots=True)
class SmartRoutes:
    """
    The smart hosts of a relay, with what they are to be told.

    @ivar smartHosts: Those that get all mail, if any.
    @ivar senderHosts: Those that get the mail of some senders.
    """

    smartHosts: tuple[Host, ...] = ()
    senderHosts: SenderHosts = field(default_factory=dict)

    @property
    def everyHost(self) -> tuple[Host, ...]:
        """
        All of them, each once.
        """
        others = (host for hosts in self.senderHosts.values() for host in hosts)
        return tuple(dict.fromkeys((*self.smartHosts, *others)))


def hostsOfSender(sender: str, senderHosts: SenderHosts) -> tuple[Host, ...]:
    """
    Give the smart hosts of a sender; none where it has none of its own.

    @param sender: The reverse-path; a notice, whose is empty, has none.
    """
    if not sender:
        return ()
    found = senderHosts.get(sender.lower())
    if found is None:
        try:
            domain = domainOf(sender)
        except MalformedAddress:
            return ()
        # A domain is written in several ways (RFC 5890), and stands there in one.
        local = sender.rpartition("@")[0].lower()
        found = senderHosts.get(f"{local}@{domain}") or senderHosts.get(f"@{domain}")
    return found or ()
