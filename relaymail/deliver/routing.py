# -*- test-case-name: relaymail.test.deliver.test_routing -*-
"""
Where the mail of a relaying manager goes: to which site, and by which hosts.

A site is what connections may be shared within: a destination, the smart hosts that
get the mail of everybody, of a sender or of a rule, or one of these on other terms or
for mail that says how it is to be protected (L{Way}).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred

from relaymail.envelopes import NO_ORIGIN, Origin, Outline, Parameters
from relaymail.outcome.verdicts import HostState
from relaymail.route.aliases import foldName
from relaymail.route.connector import Connector
from relaymail.route.facts import Aim
from relaymail.route.hosts import Host, Route, TLSNeed
from relaymail.route.levels import TLSLevel
from relaymail.route.memory import NamedHosts
from relaymail.route.protecting import Protecting
from relaymail.route.router import (
    Discarding,
    Holding,
    NoWay,
    Refusing,
    refuse,
    routeFor,
    securedRoute,
)
from relaymail.route.rules import Action, Routing, Rule
from relaymail.route.senderhosts import (
    NO_RULES,
    SenderHosts,
    entryOf,
    hostsOfSender,
)
from relaymail.route.terms import Terms, Way

#: How many ways, and the sites of how many destinations, are remembered: mail for the
#: same few comes again and again.
_REMEMBERED = 4096

#: How many sites of a destination are remembered: with very many senders that have
#: hosts of their own they are found anew, so as not to take all memory.
_FEW = 16

#: What is kept of a message that says nothing of TLS.
_PLAIN = Parameters()


class By(Enum):
    """
    By what it is chosen where mail goes.
    """

    RULE = "a route"
    SENDER = "the smart hosts of its sender"
    SMART_HOSTS = "the smart hosts"
    EXCHANGES = "the hosts of its destination"


@dataclass(frozen=True, slots=True)
class Choice:
    """
    By what it is chosen where a name goes.

    @ivar by: The kind.
    @ivar entry: What stands for its sender, where that says it.
    @ivar rule: The rule, where one says it.
    """

    by: By
    entry: str = ""
    rule: Rule | None = None


class RoutingMixin:
    """
    Where mail goes, for a relaying manager.

    @cvar routing: The rules, which go first.
    @cvar smartHosts: The hosts that all mail goes to, the first first; none
        for the hosts of each domain.
    @cvar senderHosts: The hosts that the mail of some senders goes to instead; see
        L{relaymail.route.senderhosts}.
    @cvar ownNames: The names of this relay, which it never sends to.
    @cvar terms: On which terms mail goes to the hosts of domains; L{None}: C{tls} says
        what their sessions need.
    @cvar tls: What sessions with the hosts of domains need, where there are no terms.
    @cvar policies: Knows the MTA-STS policies of domains, as L{Protecting
        <relaymail.route.protecting.Protecting>} asks for them; L{None}: they are not
        asked for.
    """

    routing: Routing = NO_RULES
    smartHosts: Sequence[Host] = ()
    senderHosts: SenderHosts = MappingProxyType({})
    ownNames: Iterable[str] = ()
    terms: Terms | None = None
    tls = TLSNeed.NEVER
    policies: Any = None

    #: The ways that were named, so that each is one object.
    _ways: dict[Hashable, Way] | None = None
    #: The sites of destinations, and by what they were found.
    _sites: tuple[tuple[Any, ...], dict[str, tuple[Hashable, ...]]] = ((), {})

    PORT: int
    mxcalc: Any
    _named: NamedHosts

    def _theReactor(self) -> Any:
        raise NotImplementedError

    def _theMXCalculator(self) -> Any:
        raise NotImplementedError

    def _theConnector(self) -> Connector:
        raise NotImplementedError

    def hostsFor(self, destination: Any) -> Deferred[Route]:
        """
        Name the hosts for a destination.

        @param destination: A domain; with smart hosts, those; or what L{siteFor} gives.

        @return: Fires with the route.
        """
        if isinstance(destination, NoWay):
            return refuse(destination)
        if isinstance(destination, Way):
            return self._hostsBy(destination)
        hosts = destination if isinstance(destination, tuple) else self.smartHosts
        if hosts:
            return routeFor(destination, None, self._inOrder(hosts))
        return self._exchangesFor(destination)

    def _hostsBy(self, way: Way) -> Deferred[Route]:
        if isinstance(way.goal, str):
            return self._exchangesFor(way)
        named = Route(tuple(self._inOrder(way.goal)))
        if not way.requireTLS:
            return defer.succeed(named)
        return defer.execute(self._secured, named, True)

    def _exchangesFor(self, goal: str | Way) -> Deferred[Route]:
        """
        Name the mail exchange hosts of a domain, as they are to be protected.

        @param goal: The domain, or a way to it.
        """
        aim = self.aimFor(goal)
        assert aim is not None, goal
        mxcalc = self._theMXCalculator()
        protecting = Protecting(
            mxcalc,
            # Of hosts that a calculator without one names nothing is certain.
            getattr(mxcalc, "resolver", None),
            self._theReactor(),
            self.PORT,
            self.policies,
            self.ownNames,
            self._isBad,
        )
        return protecting.routeTo(aim)

    def badUntil(self, host: Host) -> float | None:
        """
        Say until when a host comes after the others because it did not work; L{None}:
        it does not.

        @return: When, in seconds of the reactor's clock.
        """
        now: float = self._theReactor().seconds()
        if host.named:
            return self._named.badUntil(host, now)
        until: float = getattr(self.mxcalc, "badMXs", {}).get(foldName(host.name), now)
        return until if until > now else None

    def _isBad(self, host: Host) -> bool:
        return self.badUntil(host) is not None

    def addressesFor(self, host: Host) -> Deferred[list[str]]:
        """
        Name the addresses of a host that would be tried, in their order.

        @return: Fires with them.  Fails as an attempt would.
        """
        return self._theConnector().addressesFor(host, host.port or self.PORT)

    def noteHost(self, host: Host, state: HostState) -> None:
        """
        Remember whether a host works.
        """
        if state is HostState.UNKNOWN:
            return
        isGood = state is HostState.FINE
        if host.named or host in self.smartHosts:
            if isGood:
                self._named.markGood(host)
            else:
                self._named.markBad(host, self._theReactor().seconds())
        elif self.mxcalc is not None:
            mark = "markGood" if isGood else "markBad"
            getattr(self.mxcalc, mark, lambda name: None)(host.name)

    def siteFor(
        self,
        destination: str,
        sender: str = "",
        recipient: str = "",
        origin: Origin = NO_ORIGIN,
    ) -> Hashable:
        """
        Say where mail for a destination goes.

        @param destination: The domain, as L{normalDomain
            <relaymail.addresses.normalDomain>} gives it.
        @param sender: The address it is from.
        @param recipient: The address it is for; empty: one of which nothing is said.
        @param origin: Where it came in from.

        @return: The smart hosts that get it, or the destination, a L{Way} to one of
            them, or a L{NoWay <relaymail.route.router.NoWay>}.
        """
        outline = outlineFor(destination, sender, recipient, origin)
        return self._siteOf(destination, outline)

    def sitesOf(self, destination: str) -> tuple[Hashable, ...]:
        """
        Say where mail for a destination may go, whoever it is from, that which says how
        it is to be protected left out; the first is where mail goes of senders of which
        nothing is said.

        @param destination: As in L{siteFor}.
        """
        if not self.senderHosts and not self.routing:
            return (tuple(self.smartHosts) or destination,)
        by, known = self._sites
        now = (self.routing, self.senderHosts, self.smartHosts)
        if len(by) != len(now) or any(a is not b for a, b in zip(by, now, strict=True)):
            known = {}
            self._sites = (now, known)
        sites = known.get(destination)
        if sites is None:
            # It is asked for each destination, and there may be many senders.
            if len(known) >= _REMEMBERED:
                known.clear()
            found = (self.siteFor(destination), *self._allSites(destination))
            sites = tuple(dict.fromkeys(found))
            if len(sites) <= _FEW:
                known[destination] = sites
        return sites

    def _allSites(self, destination: str) -> Iterator[Hashable]:
        for rule in self.routing.rulesOf(destination):
            if rule.action is Action.DELIVER:
                yield self._siteBy(rule, destination, _PLAIN)
        if self.routing.leavesSome(destination):
            yield from self.senderHosts.values()
            yield tuple(self.smartHosts) or destination

    def _siteOf(self, destination: str, outline: Outline) -> Hashable:
        """
        Say where a name goes.  It is asked for each.
        """
        parameters = outline.parameters
        if self.routing.rules:
            rule = self.routing.match(
                outline.recipient, outline.sender, outline.origin, outline.isReleased
            )
            if rule is not None:
                return self._siteBy(rule, destination, parameters)
        site: str | tuple[Host, ...] = tuple(self.smartHosts) or destination
        if self.senderHosts:
            site = hostsOfSender(outline.sender, self.senderHosts) or site
        if parameters.requireTLS or parameters.tlsOptional:
            return self._way(site, None, parameters)
        return site

    def choiceFor(self, outline: Outline) -> Choice:
        """
        Say by what it is chosen where a name goes; where that is, L{siteFor} says.
        """
        rule = self.routing.match(
            outline.recipient, outline.sender, outline.origin, outline.isReleased
        )
        if rule is not None:
            return Choice(By.RULE, rule=rule)
        entry = entryOf(outline.sender, self.senderHosts)
        if entry is not None:
            return Choice(By.SENDER, entry)
        return Choice(By.SMART_HOSTS if self.smartHosts else By.EXCHANGES)

    def aimFor(self, goal: Hashable) -> Aim | None:
        """
        Say how the mail for a goal is to be protected; L{None}: it goes to hosts that
        are named, or to none.

        @param goal: As L{siteFor} gives it.
        """
        way = goal if isinstance(goal, Way) else _USUAL
        domain = goal.goal if isinstance(goal, Way) else goal
        if not isinstance(domain, str):
            return None
        terms = way.terms or self.terms or Terms(_LEVELS[self.tls])
        return Aim(domain, terms, way.requireTLS, way.tlsOptional)

    def _siteBy(self, rule: Rule, destination: str, parameters: Parameters) -> Hashable:
        """
        Say where a name goes that matches a rule.
        """
        if rule.action is Action.DELIVER:
            goal = rule.hosts or destination
            isApart = rule.terms is not None or (not rule.hosts and self.smartHosts)
            return self._way(goal, rule.terms, parameters, bool(isApart))
        if rule.action is Action.REFUSE:
            return Refusing(rule.name, rule.text)
        if rule.action is Action.DISCARD:
            return Discarding(rule.name)
        return Holding(rule.name, rule.text)

    def _way(
        self,
        goal: str | tuple[Host, ...],
        terms: Terms | None,
        parameters: Parameters,
        isApart: bool = False,
    ) -> str | tuple[Host, ...] | Way:
        """
        Give the way to a goal, one object for each; the goal itself where mail goes
        there as all other.
        """
        requireTLS = parameters.requireTLS
        # Hosts that are named keep what is said with them, and RFC 8689 4.1 has
        # REQUIRETLS go before what the header says.
        tlsOptional = (
            parameters.tlsOptional and not requireTLS and isinstance(goal, str)
        )
        if not (isApart or requireTLS or tlsOptional):
            return goal
        ways = self._ways
        if ways is None or len(ways) >= _REMEMBERED:
            ways = self._ways = {}
        # The terms are as long there as the way is, so that none have its number.
        key = (goal, id(terms), requireTLS, tlsOptional)
        way = ways.get(key)
        if way is None:
            way = ways[key] = Way(goal, terms, requireTLS, tlsOptional)
        return way

    def _routeTo(self, site: Hashable) -> Deferred[Route]:
        """
        Name the hosts of a site.  What names hosts in another way than this is asked
        for those of all mail, also where only some of them can be used.
        """
        if not isinstance(site, Way) or not self._hasOwnHosts():
            return self.hostsFor(site)
        route = defer.maybeDeferred(self.hostsFor, site.goal)
        if site.requireTLS:
            route.addCallback(self._secured, isinstance(site.goal, tuple))
        return route

    def _hasOwnHosts(self) -> bool:
        """
        Tell whether a program names hosts in its own way.
        """
        return getattr(self.hostsFor, "__func__", None) is not RoutingMixin.hostsFor

    def _secured(self, route: Route, areNamed: bool) -> Route:
        # One that shows no certificate may be well for other mail.
        return Route(tuple(self._inOrder(securedRoute(route, areNamed).hosts)))

    def _inOrder(self, hosts: Iterable[Host]) -> list[Host]:
        return self._named.inOrder(hosts, self._theReactor().seconds())


#: The levels by what sessions need, where that was said.
_LEVELS = {
    TLSNeed.NEVER: TLSLevel.NONE,
    TLSNeed.OFFERED: TLSLevel.OPPORTUNISTIC,
    TLSNeed.ENCRYPTED: TLSLevel.ENCRYPT,
    TLSNeed.VERIFIED: TLSLevel.VERIFY,
    TLSNeed.DANE: TLSLevel.DANE_ONLY,
}
#: How mail goes of which nothing is said.
_USUAL = Way("")


def outlineFor(
    destination: str, sender: str, recipient: str, origin: Origin
) -> Outline:
    """
    Give what is known of mail of which only some is said; see
    L{RoutingMixin.siteFor}.
    """
    return Outline(sender, recipient or f"@{destination}", None, origin=origin)


def withTLS(sites: Iterable[Hashable]) -> tuple[Hashable, ...]:
    """
    Give sites, each with those of mail for it that says how it is to be protected.
    """
    return tuple(one for site in sites for one in _variants(site))


def _variants(site: Hashable) -> Iterator[Hashable]:
    yield site
    if isinstance(site, Way):
        way = site
    elif isinstance(site, str | tuple):
        way = Way(site)
    else:
        return
    yield replace(way, requireTLS=True)
    if isinstance(way.goal, str):
        yield replace(way, tlsOptional=True)
