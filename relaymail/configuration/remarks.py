# -*- test-case-name: relaymail.test.configuration.test_remarks -*-
"""
What can be run of what is said of how mail goes, and is most likely meant otherwise:
routes that no mail takes, hosts that are this relay itself, and wishes that cannot be
had.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Any

from relaymail.configuration.delivery import Delivery
from relaymail.configuration.reaching import reachOf
from relaymail.configuration.routes import RouteTable, viaOf
from relaymail.configuration.rules import termsOf, usualTerms
from relaymail.configuration.tables import Configuration
from relaymail.machine import machineAddresses
from relaymail.route.hosts import TLSNeed
from relaymail.route.levels import TLSLevel
from relaymail.route.nameserver import parseServer
from relaymail.route.overlaps import coveredRules
from relaymail.route.rules import Action, Routing, Rule
from relaymail.route.terms import Terms

#: A route with its path, and its terms.
_Told = tuple[str, RouteTable | Rule, Terms]

#: The levels that need answers of the DNS that are known to be true.
_SIGNED = (TLSLevel.DANE, TLSLevel.DANE_ONLY)
#: The levels at which mail may go in clear, and what hosts need with which it may.
_CLEAR = (TLSLevel.NONE, TLSLevel.OPPORTUNISTIC)
_OFFERED = (TLSNeed.NEVER, TLSNeed.OFFERED)
#: How many rules are told of that no mail takes: more are most likely one mistake.
MAX_COVERED = 20


def deliveryRemarks(told: Configuration, *, hasPortal: bool = False) -> Iterator[str]:
    """
    Say what can be run, and is most likely meant otherwise.

    @param told: What the relay is told.
    @param hasPortal: Whether a program knows its users itself.
    """
    delivery = told.delivery
    reach = reachOf(told)
    yield from reach.smartTroubles()
    yield from _unused(delivery, reach.routing)
    yield from _notOfSmartHosts(delivery)
    canAuthenticate = bool(told.intake.users or told.intake.xclient or hasPortal)
    usual = usualTerms(delivery)
    routes = list(_withTerms(delivery, usual))
    for path, route, terms in routes:
        for remark in _ofRoute(route, terms, canAuthenticate):
            yield f"{path}.{remark}"
    yield from _inClear(delivery, routes)
    yield from _unsigned(delivery, routes)
    yield from _foreign(usual, routes)


def _withTerms(delivery: Delivery, usual: Terms) -> Iterator[_Told]:
    """
    Give each route with its path, and its terms.
    """
    for index, route in enumerate(delivery.routes):
        yield f"delivery.routes[{index}]", route, termsOf(route, usual)


def _unused(delivery: Delivery, routing: Routing) -> Iterator[str]:
    """
    Find what no mail goes by.
    """
    covered = list(coveredRules(routing))
    for one in covered[:MAX_COVERED]:
        yield f"delivery.routes: {one.text}"
    if len(covered) > MAX_COVERED:
        yield (
            f"delivery.routes: {len(covered) - MAX_COVERED} more rules are never used"
        )
    # No domain has this name, so that it is of rules for all of them.
    last = next((rule for rule in routing.rules if rule.takesAllOf("")), None)
    if last is None:
        return
    for name, said in (
        ("sender-hosts", delivery.senderHosts),
        ("smart-hosts", delivery.smartHosts),
    ):
        if said:
            yield f"delivery.{name}: they get no mail: the rule {last.name} takes all"


def _notOfSmartHosts(delivery: Delivery) -> Iterator[str]:
    """
    Find what is for the hosts of destinations where no mail goes to these.
    """
    if not delivery.smartHosts or any(map(_usesMX, delivery.routes)):
        return
    told = "it is for the hosts of destinations, and all mail goes by smart hosts"
    if delivery.tls is not TLSLevel.OPPORTUNISTIC:
        yield (
            f"delivery.tls: {told}: say with each of those how mail goes there, such "
            "as smtp://HOST?tls=verify"
        )
    if delivery.caFile is not None:
        yield f"delivery.ca-file: {told}: name it in the table of each of those"
    if delivery.fallbackHosts:
        yield (
            "delivery.fallback-hosts: they get no mail: all of it goes by smart hosts; "
            "name them behind those, and they are tried next"
        )


def _ofRoute(
    route: RouteTable | Rule, terms: Terms, canAuthenticate: bool
) -> Iterator[str]:
    if route.users and not canAuthenticate:
        yield (
            "user: nobody can say who they are, so that no mail takes this route: name "
            "the file of users in intake.users"
        )
    level = terms.level
    if terms.names and level is TLSLevel.DANE_ONLY:
        yield (
            'names: with tls = "dane-only" they count for nothing, for TLSA records '
            'say who the hosts are: write tls = "verify", or leave them out'
        )
    elif terms.names and level is not TLSLevel.VERIFY:
        yield (
            f'names: with tls = "{level.value}" they count only for mail that may go '
            'over TLS only: for all of it write tls = "verify"'
        )
    literals = [each for each in route.recipients if each.startswith("[")]
    if literals and _usesMX(route) and level is TLSLevel.DANE_ONLY:
        yield (
            f"tls: there are no TLSA records of the address {literals[0]}, so that no "
            "mail goes there"
        )


def _usesMX(route: RouteTable | Rule) -> bool:
    return route.action is Action.DELIVER and not viaOf(route)


def _inClear(delivery: Delivery, routes: Iterable[_Told]) -> Iterator[str]:
    """
    Find fallback hosts that mail goes to in clear which needs more: who breaks the
    way to the others would choose that.
    """
    usual = "delivery.fallback-hosts"
    told: list[tuple[str, TLSLevel, Any]] = []
    if not delivery.smartHosts:
        told.append((usual, delivery.tls, delivery.fallbackHosts))
    for path, route, terms in routes:
        if _usesMX(route):
            own = _fallbackOf(route)
            hosts = delivery.fallbackHosts if own is None else own
            path = usual if own is None else f"{path}.fallback"
            told.append((path, terms.level, hosts))
    found: dict[str, str] = {}
    for path, level, hosts in told:
        names = [h.name for h in hosts if h.tls in _OFFERED and h.path is None]
        if names and level not in _CLEAR:
            found.setdefault(
                path,
                f'{path}: mail that needs tls = "{level.value}" goes to {names[0]} in '
                "clear where that offers no TLS: write smtp+starttls:// or smtps://",
            )
    yield from found.values()


def _fallbackOf(route: RouteTable | Rule) -> Any:
    """
    Give the fallback hosts of a route of its own; L{None}: it has those of all mail.
    """
    if isinstance(route, Rule):
        return None if route.terms is None else route.terms.fallback
    return route.fallback


def _unsigned(delivery: Delivery, routes: Iterable[_Told]) -> Iterator[str]:
    """
    Find what wants signed answers of a name server that is not trusted.
    """
    levels = [delivery.tls]
    levels += [terms.level for _, route, terms in routes if _usesMX(route)]
    wanted = next((level for level in levels if level in _SIGNED), None)
    if wanted is None or delivery.dns is None:
        return
    server = ip_address(parseServer(delivery.dns)[0])
    isTrusted = any(server in network for network in delivery.trustedResolvers)
    if server.is_loopback or isTrusted:
        return
    then = "no mail goes" if wanted is TLSLevel.DANE_ONLY else "there is no DANE"
    yield (
        f'delivery.dns: tls = "{wanted.value}" needs a name server whose word counts, '
        f"and {server} is neither on this machine nor in delivery.trusted-resolvers: "
        f"with it {then}"
    )


def _foreign(usual: Terms, routes: Iterable[_Told]) -> Iterator[str]:
    """
    Find sources that are no addresses of this machine.
    """
    said = {address: "delivery.source" for address in usual.source}
    for path, _, terms in routes:
        for address in terms.source:
            said.setdefault(address, f"{path}.source")
    own = machineAddresses() if said else frozenset()
    for address, path in said.items():
        # All of a loopback network is this machine; none listed says nothing.
        if own and address not in own and not ip_address(address).is_loopback:
            yield (
                f"{path}: this machine has no address {address} now; without it no "
                "connection can come from there"
            )
