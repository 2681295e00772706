# -*- test-case-name: relaymail.test.route.test_router -*-
"""
From a destination to a route.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred

from relaymail.errors import RouteError
from relaymail.replies import Phase, Trouble, TroubleKind
from relaymail.route.aliases import nameText
from relaymail.route.destinations import removeSelf
from relaymail.route.hosts import Host, Route, TLSNeed


class NoWay:
    """
    The lane of mail that goes to no host.
    """

    __slots__ = ()

    @property
    def trouble(self) -> Trouble:
        """
        Why.
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Unroutable(NoWay):
    """
    The lane of what has no destination.

    @ivar recipient: The recipient that is no address.
    """

    recipient: str

    @property
    def trouble(self) -> Trouble:
        """
        Why.
        """
        told = f"{self.recipient!r} is not an address that mail can be sent to"
        return Trouble(Phase.RESOLVE, TroubleKind.UNSENDABLE, told)


@dataclass(frozen=True, slots=True)
class Refusing(NoWay):
    """
    The lane of what a rule refuses.

    @ivar rule: The name of the rule.
    @ivar text: What is said of it; empty for nothing.
    """

    rule: str
    text: str = ""

    def __str__(self) -> str:
        """
        Give it as people read it.
        """
        return f"refused by the rule {self.rule}"

    @property
    def trouble(self) -> Trouble:
        """
        Why.
        """
        # What the rule is called is nothing to the sender, who is told of it.
        return Trouble(Phase.RESOLVE, TroubleKind.POLICY, self.text)


@dataclass(frozen=True, slots=True)
class Discarding(NoWay):
    """
    The lane of what a rule throws away.

    @ivar rule: The name of the rule.
    """

    rule: str

    def __str__(self) -> str:
        """
        Give it as people read it.
        """
        return f"thrown away by the rule {self.rule}"

    @property
    def trouble(self) -> Trouble:
        """
        Why.
        """
        return Trouble(Phase.RESOLVE, TroubleKind.DISCARDED, self.rule)


@dataclass(frozen=True, slots=True)
class Holding(NoWay):
    """
    The lane of what a rule holds, as long as the queue has not done so.

    @ivar rule: The name of the rule.
    @ivar text: What is said of it; empty for nothing.
    """

    rule: str
    text: str = ""

    def __str__(self) -> str:
        """
        Give it as people read it.
        """
        return f"held by the rule {self.rule}"

    @property
    def why(self) -> str:
        """
        Why it is held, for people.
        """
        return f"by the rule {self.rule}{f': {self.text}' if self.text else ''}"

    @property
    def trouble(self) -> Trouble:
        """
        Why it goes nowhere: where the queue cannot hold it, it waits.
        """
        told = f"the rule {self.rule} holds it, which this queue cannot"
        return Trouble(Phase.RESOLVE, TroubleKind.LOCAL, told)


def shownSite(site: Hashable) -> str:
    """
    Give a site as people read it.
    """
    if isinstance(site, Unroutable):
        return repr(site.recipient)
    if isinstance(site, tuple):
        return ", ".join(getattr(host, "name", str(host)) for host in site)
    return str(site)


def routeFor(
    destination: str,
    mxcalc: Any,
    smartHosts: Sequence[Host] = (),
    ownNames: Iterable[str] = (),
    tls: TLSNeed = TLSNeed.OFFERED,
) -> Deferred[Route]:
    """
    Name the hosts for a destination.

    @param destination: A domain, as L{normalDomain
        <relaymail.addresses.normalDomain>} gives it.
    @param mxcalc: An L{MXCalculator <relaymail.route.mx.MXCalculator>}, or an
        object with its C{getMX} only: then there is one host.
    @param smartHosts: The hosts that all mail goes to, the first first; none
        for the destination's own.
    @param ownNames: The names of this relay, which it never sends to.
    @param tls: What sessions with the destination's own hosts need.

    @return: Fires with the route.  Fails with L{RouteError
        <relaymail.errors.RouteError>}, or with what C{mxcalc} failed with.
    """
    if smartHosts:
        return defer.succeed(Route(tuple(smartHosts)))
    getMXs = getattr(mxcalc, "getMXs", None)
    if getMXs is not None:
        d = defer.maybeDeferred(getMXs, destination)
    else:
        d = defer.maybeDeferred(mxcalc.getMX, destination)
        d.addCallback(lambda record: [record])
    return d.addCallback(_asRoute, list(ownNames), tls)


def _asRoute(records: list[Any], ownNames: list[str], tls: TLSNeed) -> Route:
    if ownNames:
        records = removeSelf(records, ownNames)
    return Route(
        tuple(Host(nameText(record.name), tls=tls) for record in records),
        ranks=tuple(getattr(record, "preference", 0) for record in records),
    )


def refuse(lane: NoWay) -> Deferred[Route]:
    """
    Say why what goes to no host has no route.
    """
    return defer.fail(RouteError(lane.trouble))


def securedRoute(route: Route, areNamed: bool = False) -> Route:
    """
    Give a route for mail that may go over TLS only (RFC 8689 4.2.1): its hosts must
    show who they are.

    A host that the operator named is who its name says.  Which hosts a domain has is
    said by the DNS to whoever can change its answers on the way, so that their
    certificates prove nothing as long as that lookup is not secured.

    @param areNamed: Whether the operator named all of them.

    @raise RouteError: When there is no host left.
    """
    named = [host for host in route.hosts if areNamed or host.named]
    left = [host for host in named if host.path is None]
    if not left:
        told = "there is no TLS over the socket of its mail store"
        if not named:
            told = (
                "its sender allows TLS only, to hosts that are known for certain, and "
                "which hosts the destination has is said by a DNS lookup that nobody "
                "vouches for; a smart host that is named can take it"
            )
        raise RouteError(Trouble(Phase.RESOLVE, TroubleKind.NO_REQUIRETLS, told))
    return Route(tuple(replace(h, tls=TLSNeed.VERIFIED, requireTLS=True) for h in left))
