# -*- test-case-name: relaymail.test.configuration.test_reaching -*-
"""
Which destinations would have no route under a configuration, as far as can be known
without the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from relaymail.addresses import literalAddress, normalDomain
from relaymail.configuration.endpoints import ANY, ownAddresses, ownSockets
from relaymail.configuration.tables import Configuration
from relaymail.errors import MalformedAddress
from relaymail.machine import machineAddresses
from relaymail.replies import printable
from relaymail.route.destinations import DestinationPolicy
from relaymail.route.hosts import Host
from relaymail.route.smarthosts import SmartHost

#: What cannot be told without the network, for people.
NOT_CHECKED = (
    "Not checked, for it takes the network: whether the DNS knows the destinations and "
    "their hosts, and whether these answer, offer TLS and take the password."
)

#: Names that are this machine's everywhere (RFC 6761 6.3).
_LOCALHOST = ("localhost", "localhost.localdomain")


@dataclass(frozen=True, slots=True)
class Reach:
    """
    What is known of where mail can go.

    @ivar hostname: What the relay calls itself.
    @ivar smartHosts: The hosts that get all mail, if any.
    @ivar senderHosts: The hosts that get the mail of some senders.
    @ivar mxPort: The port of mail exchange hosts.
    @ivar policy: Which addresses may be connected to.
    @ivar ownSockets: The paths of the sockets it listens on.
    """

    hostname: str
    smartHosts: tuple[SmartHost | Host, ...]
    mxPort: int
    policy: DestinationPolicy
    senderHosts: tuple[SmartHost | Host, ...] = ()
    ownSockets: frozenset[str] = frozenset()

    def trouble(self, destination: str) -> str | None:
        """
        Say why mail for a destination has no route; L{None}: as far as can be known
        it has one.

        @param destination: What stands behind the @ of a recipient.
        """
        try:
            domain = normalDomain(destination)
        except MalformedAddress as e:
            return f"it is no domain that mail can be sent to: {printable(str(e), 200)}"
        if self.smartHosts:
            # They get everything, whatever the destination is.
            return None
        literal = literalAddress(domain)
        if literal is not None:
            return self._refused(literal)
        if domain in _LOCALHOST or domain.endswith(".localhost"):
            return self._refused("127.0.0.1")
        if domain == self.hostname.lower():
            return (
                "it is this relay's own name, and the relay keeps no mailboxes: mail "
                "would come back here; name a smart host, or an alias"
            )
        return None

    def smartTroubles(self) -> Iterator[str]:
        """
        Say which smart hosts are this relay itself, with the option that names them.
        """
        yield from self._ownAmong("smart-hosts", self.smartHosts)
        yield from self._ownAmong("sender-hosts", self.senderHosts)

    def _ownAmong(
        self, option: str, hosts: Iterable[SmartHost | Host]
    ) -> Iterator[str]:
        for host in dict.fromkeys(hosts):
            name = host.path or f"{host.name}:{host.port or self.mxPort}"
            if self._isOwn(host):
                yield (
                    f"delivery.{option}: the smart host {name} is this relay itself: "
                    "its mail would come back here"
                )

    def _isOwn(self, host: SmartHost | Host) -> bool:
        if host.path is not None:
            return host.path in self.ownSockets
        port = host.port or self.mxPort
        own = {self.hostname.lower(), *_LOCALHOST, *self.policy.ownAddresses}
        return port in self.policy.ownPorts and host.name.lower() in own - set(ANY)

    def _refused(self, address: str) -> str | None:
        trouble = self.policy.trouble(address, self.mxPort)
        if trouble is None:
            return None
        return (
            f"{trouble.text}; mail goes there only when delivery.allow-destinations "
            "says so, and never to this relay itself"
        )


def reachOf(configuration: Configuration) -> Reach:
    """
    Give what is known of where mail can go under a configuration.
    """
    endpoints = [each.endpoint for each in configuration.intake.openings]
    hosts, ports = ownAddresses(endpoints)
    if hosts & set(ANY):
        hosts |= machineAddresses()
    delivery = configuration.delivery
    return Reach(
        hostname=configuration.hostname,
        smartHosts=delivery.smartHosts,
        senderHosts=delivery.everySmartHost[len(delivery.smartHosts) :],
        mxPort=delivery.mxPort,
        policy=DestinationPolicy(delivery.allowDestinations, hosts, ports),
        ownSockets=ownSockets(endpoints),
    )
