# -*- test-case-name: relaymail.test.configuration.test_reaching -*-
"""
Which destinations would have no route under a configuration, as far as can be known
without the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from relaymail.addresses import literalAddress, normalDomain
from relaymail.configuration.delivery import Delivery
from relaymail.configuration.endpoints import ANY, ownAddresses, ownSockets
from relaymail.configuration.routes import hostsOf, viaOf
from relaymail.configuration.rules import bareRules
from relaymail.configuration.tables import Configuration
from relaymail.errors import MalformedAddress
from relaymail.machine import machineAddresses
from relaymail.replies import printable
from relaymail.route.destinations import DestinationPolicy
from relaymail.route.hosts import Host
from relaymail.route.rules import Action, Routing
from relaymail.route.senderhosts import NO_RULES
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
    @ivar named: The hosts that are named elsewhere, each with the option that does.
    @ivar routing: The rules, without hosts.
    @ivar hosted: The names of those that have hosts.
    """

    hostname: str
    smartHosts: tuple[SmartHost | Host, ...]
    mxPort: int
    policy: DestinationPolicy
    senderHosts: tuple[SmartHost | Host, ...] = ()
    ownSockets: frozenset[str] = frozenset()
    named: tuple[tuple[str, SmartHost | Host], ...] = ()
    routing: Routing = NO_RULES
    hosted: frozenset[str] = frozenset()

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
        rules = self.routing.rulesOf(domain)
        rule = next((rule for rule in rules if rule.takesAllOf(domain)), None)
        if rule is not None and rule.action is Action.REFUSE:
            return f"the rule {rule.name} refuses it"
        if rule is not None and rule.action is Action.DISCARD:
            return f"the rule {rule.name} throws it away"
        hasHosts = self.smartHosts if rule is None else rule.name in self.hosted
        if hasHosts:
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
        for option, host in self.named:
            yield from self._ownAmong(option, (host,))

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
    routing = Routing(bareRules(delivery))
    routed = zip(routing.rules, map(viaOf, delivery.routes), strict=True)
    return Reach(
        hostname=configuration.hostname,
        smartHosts=delivery.smartHosts,
        senderHosts=tuple(h for _, hosts in delivery.senderHosts for h in hosts),
        mxPort=delivery.mxPort,
        policy=DestinationPolicy(delivery.allowDestinations, hosts, ports),
        ownSockets=ownSockets(endpoints),
        named=tuple(_named(delivery)),
        routing=routing,
        hosted=frozenset(rule.name for rule, hosts in routed if hosts),
    )


def _named(delivery: Delivery) -> Iterator[tuple[str, SmartHost | Host]]:
    for index, route in enumerate(delivery.routes):
        for host in hostsOf(route):
            yield f"routes[{index}]", host
    for host in delivery.fallbackHosts:
        yield "fallback-hosts", host
