# -*- test-case-name: relaymail.test.deliver.test_sharing -*-
"""
Which connections carry whose mail, for a relaying manager: domains that share their
hosts are one site, for limits and for the use of connections.

Of which site a goal is turns out when its hosts have been looked up, that is after an
attempt was begun for it.  So an attempt that turns out to lead to a site that has all
the connections that it may have, or one that waits for mail, stands back: its mail
waits again, as if nothing had been begun, and goes when its site has its turn.  The
first burst to many domains of one provider therefore opens no more connections than
any other mail for it.

A connection takes mail of another goal only where that goal's own hosts were looked
up, not too long ago, and were the same in all that a session needs: names, TLS, TLSA
records, source, credentials.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from relaymail.deliver.connections import KeptConnections
from relaymail.deliver.routing import RoutingMixin
from relaymail.deliver.work import Work
from relaymail.interfaces import IQueue
from relaymail.route.hosts import Host, Route
from relaymail.schedule.sites import Known, siteOfHosts

#: How many names of other goals a connection is given at a time, so that those of
#: its site share them.
AT_A_TIME = 10
#: How long the TLSA records of a host are at most, in bytes, that is remembered as one.
USUAL = 500


class SharingMixin(RoutingMixin):
    """
    Which connections carry whose mail, for a relaying manager.
    """

    queue: Any
    managed: dict[Any, list[str]]
    isStopping: bool
    _work: Work
    _kept: KeptConnections
    #: How often it was told something else.
    _era = 0

    def takeMore(self, attempt: Any, relay: Any, limit: int) -> list[str]:
        """
        Give an attempt more of its lane, or, where nothing of that waits, of others
        whose mail can go over its connection.

        @param attempt: The attempt manager.
        @param relay: Its factory.
        @param limit: How many names at most.

        @return: The paths; they are claimed.
        """
        work = self._work
        work.placeNew()
        names: list[str] = []
        writes: list[Any] = []
        if not self._isCurrent(attempt):
            return []
        if self._mayTakeOwn(attempt):
            claim = work.take(attempt.lane, limit)
            names, writes = claim.names, claim.writes
        if not names:
            limit = min(limit, AT_A_TIME)
            for lane in self._mates(attempt, limit):
                claim = work.take(lane, limit - len(names))
                work.scheduler.lanes.standBehind([lane])
                names += claim.names
                writes += claim.writes
        self.managed[relay].extend(names)
        if writes:
            attempt.waitForClaims(writes)
        return [self.queue.getPath(name) for name in names]

    def _hasMoreFor(self, attempt: Any) -> bool:
        """
        Tell whether something waits that can go over the connection of an attempt.
        """
        hasOwn = self._work.scheduler.lanes.hasTurn(attempt.lane)
        if hasOwn and self._mayTakeOwn(attempt):
            return True
        return bool(self._mates(attempt, 1))

    def _isCurrent(self, attempt: Any) -> bool:
        # What was begun under other settings is ended, and takes no more.
        return bool(getattr(attempt, "era", self._era) == self._era)

    def _mayTakeOwn(self, attempt: Any) -> bool:
        # Its hosts may want another session by now: a connection that is kept, or
        # always busy, is no way around a policy that is new.
        if not getattr(attempt, "mayShare", False):
            return True
        sites, now = self._work.scheduler.sites, self._theReactor().seconds()
        return sites.isRouteOf(attempt.lane, attempt.routeLane, now)

    def _mates(self, attempt: Any, limit: int) -> list[Hashable]:
        # It is asked of each connection that waits whenever mail comes.
        route, scheduler = getattr(attempt, "routeLane", None), self._work.scheduler
        site = scheduler.sites.siteOf(attempt.lane)
        if route is None or not scheduler.lanes.hasSite(site):
            return []
        now = self._theReactor().seconds()
        return scheduler.mates(attempt.lane, route, limit, now)

    # What was looked up.

    def _learn(self, goal: Hashable, route: Route | None) -> None:
        """
        Remember where a goal leads to.

        @param route: Its hosts; L{None}: they could not be looked up.
        """
        scheduler, now = self._work.scheduler, self._now()
        paces = scheduler.paces
        known = None if route is None else knownOf(route)
        rested = [
            each
            for each, before in scheduler.learn(goal, known)
            if paces.isSuspended(before, now)
            and paces.restsUntil(scheduler.sites.placesOf(each), now) is None
        ]
        if rested:
            # Its mail rests because of a site that it does not go to any more.
            self._lookAgain()

    def _standsBack(self, attempt: Any, begun: Hashable, route: Route) -> bool:
        """
        Tell whether the mail of an attempt is to wait, now that it is known which
        hosts it leads to.

        @param begun: The site that the attempt was begun for.
        """
        isOwn = hasattr(attempt, "standBack") and IQueue.providedBy(self.queue)
        if route.until is None or not isOwn or self.isStopping:
            return False
        scheduler, now = self._work.scheduler, self._theReactor().seconds()
        site = scheduler.sites.siteOf(attempt.lane)
        # What does not even hold for a moment is for this attempt only.
        if scheduler.sites.isRouteOf(attempt.lane, route.lane, now) and any(
            self._isAlike(kept.attempt, site, route) for kept in self._kept
        ):
            return True
        if site == begun:
            return False
        isSuspended = scheduler.paces.isSuspended(site, self._now())
        return isSuspended or scheduler.isCrowded(site)

    def _isAlike(self, attempt: Any, site: Hashable, route: Route) -> bool:
        isThere = self._work.scheduler.sites.siteOf(attempt.lane) == site
        return isThere and bool(attempt.routeLane == route.lane)

    def _now(self) -> float:
        raise NotImplementedError

    def _lookAgain(self) -> None:
        raise NotImplementedError


def knownOf(route: Route) -> Known | None:
    """
    Say of which site a goal is that has a route; L{None} where nobody says how long
    it holds, or it leads to no hosts of a domain's own.

    Hosts that are named by the operator, as fallback, make no site.  Those that are
    not tried do: which these are may change with each lookup.
    """
    if route.until is None:
        return None
    hosts = [(host.name, host.port) for host in route.hosts if not host.named]
    site = siteOfHosts((*hosts, *((name, None) for name, _ in route.left)))
    if site is None:
        return None
    weight = len(site.names) + sum(map(_weightOf, route.hosts))
    return Known(site, route.lane, route.until, weight)


def _weightOf(host: Host) -> int:
    """
    Say as how many hosts of the usual kind one counts beside its name.
    """
    return sum(len(record.data) for record in host.tlsa) // USUAL
