# -*- test-case-name: relaymail.test.route.test_router -*-
"""
From a destination to a route.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred

from relaymail.errors import RouteError
from relaymail.replies import Phase, Trouble, TroubleKind
from relaymail.route.aliases import nameText
from relaymail.route.destinations import removeSelf
from relaymail.route.hosts import Host, Route, TLSNeed


@dataclass(frozen=True, slots=True)
class Unroutable:
    """
    The lane of what has no destination.

    @ivar recipient: The recipient that is no address.
    """

    recipient: str


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
    return Route(tuple(Host(nameText(record.name), tls=tls) for record in records))


def refuseUnroutable(lane: Unroutable) -> Deferred[Route]:
    """
    Say why what has no destination has no route.
    """
    told = f"{lane.recipient!r} is not an address that mail can be sent to"
    return defer.fail(RouteError(Trouble(Phase.RESOLVE, TroubleKind.UNSENDABLE, told)))
