# -*- test-case-name: relaymail.test.test_service -*-
"""
What the parts of a relay are told, of what the relay is told: when it starts, and
when its configuration was read again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from relaymail.configuration import Configuration, Delivery
from relaymail.envelopes import Client, Origin
from relaymail.identities import IAuthentication
from relaymail.intake.acceptance import NetworkAcceptance, Refusal
from relaymail.intake.limits import DEFAULT_LIMITS
from relaymail.machine import machineAddresses
from relaymail.machines import Machines
from relaymail.route.destinations import DestinationPolicy
from relaymail.route.hosts import TLSNeed
from relaymail.route.mx import MXCalculator
from relaymail.route.rules import Action, Routing
from relaymail.route.senderhosts import NO_RULES, SmartRoutes

#: How long a connection is kept for the next message of its lane, in seconds:
#: less than any server waits (RFC 5321 4.5.3.2.7), enough for a burst.
IDLE_TIMEOUT = 5.0
#: What is said to whom a rule refuses mail that has no text of its own.
REFUSED = "A rule of this relay refuses mail to this address"
#: How many recipients share a transaction: what every server must take
#: (RFC 5321 4.5.3.1.8).
RECIPIENTS_PER_TRANSACTION = 100


def makeManager(
    queue: Any,
    told: Configuration,
    routes: SmartRoutes,
    addresses: Iterable[Any],
    calculator: Any,
    reactor: Any,
) -> Any:
    """
    Make a relaying manager, which is told all but the policies of MTA-STS.

    @param queue: What it relays from.
    @param told: What the relay is told.
    @param routes: See L{tellManager}.
    @param addresses: See L{tellManager}.
    @param calculator: Names the hosts of domains.
    @param reactor: Where it connects.
    """
    # It takes a moment to import.
    from relaymail import relaymanager

    manager: Any = relaymanager.SmartHostESMTPRelayingManager(queue)
    manager.reactor = reactor
    manager.mxcalc = calculator
    tellManager(manager, told, routes, addresses)
    return manager


def makeCalculator(
    told: Configuration, reactor: Any, resolverFactory: Any
) -> MXCalculator:
    """
    Make what names the hosts of domains.

    @param told: What the relay is told.
    @param resolverFactory: Makes the resolver, for the name server, the reactor and
        the networks whose name servers are believed.
    """
    delivery = told.delivery
    resolver = resolverFactory(delivery.dns, reactor, delivery.trustedResolvers)
    return MXCalculator(resolver, reactor)


def tellManager(
    manager: Any,
    told: Configuration,
    routes: SmartRoutes,
    addresses: Iterable[Any],
) -> None:
    """
    Tell a relaying manager where mail goes, and how fast.

    @param manager: The manager.
    @param told: What the relay is told.
    @param routes: Where mail goes: the rules, and the smart hosts with their passwords.
    @param addresses: The addresses the relay listens on.
    """
    delivery = told.delivery
    manager.maxConnections = delivery.maxConnections
    manager.maxMessagesPerConnection = delivery.maxMessagesPerConnection
    manager.maxConnectionsPerSite = delivery.maxConnectionsPerDestination
    manager.destinationRates = dict(delivery.destinationRates)
    manager.senderRates = dict(delivery.senderRates)
    manager.retrySchedule = delivery.retry
    manager.expireAfter = delivery.expire
    manager.delayNotice = delivery.delayNotice
    manager.PORT = delivery.mxPort
    manager.routing = routes.routing
    manager.terms = routes.terms
    manager.smartHosts = routes.smartHosts
    manager.senderHosts = routes.senderHosts
    manager.destinations = policyFor(told, addresses)
    manager.tls = TLSNeed.OFFERED
    manager.fArgs = (None, None, told.hostname.encode("ascii"))
    manager.hostname = told.hostname
    manager.ownNames = (told.hostname,)
    manager.idleTimeout = IDLE_TIMEOUT
    manager.recipientsPerTransaction = RECIPIENTS_PER_TRANSACTION


class Users:
    """
    Those who can say who they are, from one configuration to the next.

    Who has failed too often is kept out over a reload, too.
    """

    def __init__(self, portal: Any, reactor: Any) -> None:
        """
        @param portal: Who knows them, where a program does; else L{None}.
        @param reactor: What tells the time, and has threads.
        """
        self._portal = portal
        self._reactor = reactor
        self._told: tuple[str | None, str] | None = None
        self._made: IAuthentication | None = None

    def read(self, told: Configuration) -> IAuthentication | None:
        """
        Give what lets them say who they are, L{None} where nobody can.

        @param told: What the relay is told.

        @raise ConfigurationError: When the file of users cannot be used.
        """
        path, hostname = told.intake.users, told.hostname
        if path is None and self._portal is None:
            return None
        if self._told == (path, hostname):
            # What is in use looks at it by itself; this says what is wrong.
            checkUsers(path)
            return self._made
        # It takes a moment to import, and not every relay needs it.
        from relaymail.intake.authentication import Authentication, fromFile

        if path is not None:
            made = fromFile(path, self._reactor, hostname)
        else:
            made = Authentication(self._portal, self._reactor, hostname)
        self._told, self._made = (path, hostname), made
        return made


def checkUsers(path: str | None) -> None:
    """
    See that a file of users can be used.

    @param path: Where it is; L{None}: there is none.

    @raise ConfigurationError: When it cannot.
    """
    if path is not None:
        from relaymail.intake.users import UsersFile

        UsersFile(path)


def intakeRules(
    told: Configuration,
    tls: Any,
    authentication: IAuthentication | None = None,
    routing: Routing = NO_RULES,
) -> dict[str, Any]:
    """
    Say who may give mail, and how much of it.

    @param told: What the relay is told.
    @param tls: What STARTTLS begins with, or L{None}.
    @param authentication: What lets clients say who they are, or L{None}.
    @param routing: The rules, some of which may refuse mail.

    @return: Arguments of L{IntakeFactory
        <relaymail.intake.server.IntakeFactory>}.
    """
    intake = told.intake
    return {
        "acceptance": NetworkAcceptance(intake.networks),
        "hostname": told.hostname,
        "limits": replace(DEFAULT_LIMITS, messageSize=intake.maxMessageSize),
        "contextFactory": tls,
        "machines": machinesFor(told),
        "authentication": authentication,
        "xclientNetworks": intake.xclient,
        "refusal": refusalBy(routing),
    }


def refusalBy(routing: Routing) -> Refusal | None:
    """
    Say what rules refuse to clients that may give mail; L{None}: nothing.
    """
    if not any(rule.action is Action.REFUSE for rule in routing.rules):
        return None

    def refusal(client: Client, sender: str, recipient: str) -> str | None:
        origin = Origin(client.host, client.user)
        rule = routing.match(recipient, sender, origin)
        if rule is None or rule.action is not Action.REFUSE:
            return None
        return rule.text or REFUSED

    return refusal


def machinesFor(told: Configuration) -> Machines:
    """
    Say what is put into mail from machines.

    @param told: What the relay is told.

    @raise ConfigurationError: When an alias leads to itself.
    """
    return Machines(
        told.machines.origin,
        dict(told.machines.aliases),
        dict(told.machines.rewriteSenders),
        told.hostname,
    )


def policyFor(told: Configuration, addresses: Iterable[Any]) -> DestinationPolicy:
    """
    Say which addresses may be delivered to.

    @param told: What the relay is told.
    @param addresses: The addresses the relay listens on.
    """
    found = [a for a in addresses if hasattr(a, "port")]
    hosts = frozenset(a.host for a in found)
    if hosts & {"0.0.0.0", "::"}:
        hosts |= machineAddresses()
    return DestinationPolicy(
        allowed=told.delivery.allowDestinations,
        ownAddresses=hosts,
        ownPorts=frozenset(a.port for a in found),
    )


def shownHosts(delivery: Delivery) -> str:
    """
    Say where mail goes, for people.

    @param delivery: The options.
    """
    usual = ", ".join(h.name for h in delivery.smartHosts) or "the mail exchange hosts"
    others = [sender for sender, _ in delivery.senderHosts]
    if others:
        whose = others[0] if len(others) == 1 else f"{len(others)} senders or domains"
        usual = f"{usual}, and that of {whose} to hosts of their own"
    count = len(delivery.routes)
    if count:
        usual = f"{usual}; {count} {'route goes' if count == 1 else 'routes go'} first"
    return usual
