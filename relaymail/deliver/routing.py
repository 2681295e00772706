# -*- test-case-name: relaymail.test.deliver.test_routing -*-
"""
Where the mail of a relaying manager goes: to which site, and by which hosts.

A site is what connections may be shared within: a destination, the smart hosts that
get the mail of everybody or of a sender, or one of these for mail that may go over
TLS only.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from types import MappingProxyType
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred

from relaymail.envelopes import Outline
from relaymail.outcome.verdicts import HostState
from relaymail.route.connector import Connector
from relaymail.route.hosts import Host, Route, TLSNeed
from relaymail.route.memory import NamedHosts
from relaymail.route.router import (
    TLSOnly,
    Unroutable,
    refuseUnroutable,
    routeFor,
    securedRoute,
)
from relaymail.route.senderhosts import SenderHosts, hostsOfSender


class RoutingMixin:
    """
    Where mail goes, for a relaying manager.

    @cvar smartHosts: The hosts that all mail goes to, the first first; none
        for the hosts of each domain.
    @cvar senderHosts: The hosts that the mail of some senders goes to instead; see
        L{relaymail.route.senderhosts}.
    @cvar ownNames: The names of this relay, which it never sends to.
    @cvar tls: What sessions with the hosts of domains need.
    """

    smartHosts: Sequence[Host] = ()
    senderHosts: SenderHosts = MappingProxyType({})
    ownNames: Iterable[str] = ()
    tls = TLSNeed.NEVER

    #: The hosts of senders, each once, and what they were found in.
    _ofSenders: tuple[SenderHosts | None, tuple[Hashable, ...]] = (None, ())

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

        @param destination: A domain; with smart hosts, those.

        @return: Fires with the route.
        """
        if isinstance(destination, Unroutable):
            return refuseUnroutable(destination)
        hosts = destination if isinstance(destination, tuple) else self.smartHosts
        return routeFor(
            destination,
            None if hosts else self._theMXCalculator(),
            self._inOrder(hosts),
            self.ownNames,
            self.tls,
        )

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

    def siteFor(self, destination: str, sender: str = "") -> Hashable:
        """
        Say where mail for a destination goes.

        @param destination: The domain, as L{normalDomain
            <relaymail.addresses.normalDomain>} gives it.
        @param sender: The address it is from.

        @return: The smart hosts that get it, or the destination.
        """
        if self.senderHosts:
            hosts = hostsOfSender(sender, self.senderHosts)
            if hosts:
                return hosts
        return tuple(self.smartHosts) or destination

    def sitesOf(self, destination: str) -> tuple[Hashable, ...]:
        """
        Say where mail for a destination may go, whoever it is from, that which may
        go over TLS only left out; the first is where mail goes of senders of which
        nothing is said.

        @param destination: As in L{siteFor}.
        """
        usual = self.siteFor(destination)
        if not self.senderHosts:
            return (usual,)
        known, others = self._ofSenders
        if known is not self.senderHosts:
            # It is asked for each destination, and there may be many senders.
            others = tuple(dict.fromkeys(self.senderHosts.values()))
            self._ofSenders = (self.senderHosts, others)
        return (usual, *(site for site in others if site != usual))

    def _siteOf(self, destination: str, outline: Outline) -> Hashable:
        """
        Say where a name goes.  It is asked for each.
        """
        site: Hashable = tuple(self.smartHosts) or destination
        if self.senderHosts:
            site = self.siteFor(destination, outline.sender)
        if outline.parameters.requireTLS:
            return TLSOnly(site)
        return site

    def _routeTo(self, site: Hashable) -> Deferred[Route]:
        """
        Name the hosts of a site.  What names hosts in another way than this is asked
        for those of all mail, also where only some of them can be used.
        """
        if not isinstance(site, TLSOnly):
            return self.hostsFor(site)
        route = defer.maybeDeferred(self.hostsFor, site.site)
        return route.addCallback(self._secured, isinstance(site.site, tuple))

    def _secured(self, route: Route, areNamed: bool) -> Route:
        # One that shows no certificate may be well for other mail.
        return Route(tuple(self._inOrder(securedRoute(route, areNamed).hosts)))

    def _inOrder(self, hosts: Iterable[Host]) -> list[Host]:
        return self._named.inOrder(hosts, self._theReactor().seconds())


def withTLS(sites: Iterable[Hashable]) -> tuple[Hashable, ...]:
    """
    Give sites, each with that of mail for it that may go over TLS only.
    """
    return tuple(one for site in sites for one in (site, TLSOnly(site)))
