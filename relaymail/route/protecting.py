# -*- test-case-name: relaymail.test.route.test_protecting -*-
"""
From a destination to a route whose hosts are protected: what has to be known is looked
up, and L{relaymail.route.protection} decides.

Only that is asked for which can change something: on the usual terms the MX records and
whether there is a policy of MTA-STS, and the addresses and TLSA records of the hosts
where DANE counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeAlias

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaymail.errors import RouteError
from relaymail.protections import Applied, PolicyKind, TLSResult
from relaymail.replies import Phase, Trouble, TroubleKind, printable
from relaymail.route.aliases import nameText
from relaymail.route.destinations import removeSelf
from relaymail.route.facts import (
    Aim,
    Assurance,
    Candidate,
    Exchange,
    Reach,
    TLSASet,
    asksTLSA,
    basesOf,
)
from relaymail.route.fallback import withFallback
from relaymail.route.hosts import Host, Route
from relaymail.route.lookup import lookupAddresses, lookupAlias, lookupTLSA
from relaymail.route.mx import MAX_HOSTS
from relaymail.route.protection import isMismatch, protect
from relaymail.route.security import shorter
from relaymail.route.sts.policy import NOTHING, Found
from relaymail.route.troubles import troubleOf

#: Of how many hosts of a destination is asked at a time: so many that one that nobody
#: tells of does not keep the others back, and so few that a domain which has many of
#: those leaves the name servers to the mail of others.
HOSTS_AT_ONCE = 2
#: How long all that is asked about one host, or about a policy, may take, in seconds;
#: the resolver's own bounds are tighter, and these hold for any.
MAX_WAIT = 60.0
#: The longest that a route holds, in seconds, whatever its records promise: a policy
#: of the destination that is new is heeded by then.
MAX_HOLD = 300
#: The shortest: what was looked up for a message is true for that message, and for
#: those that came with it.
MIN_HOLD = 5

#: What is known of a host, and for how many seconds it holds, if that is known.
_Seen: TypeAlias = tuple[Candidate, int | None]
#: What is known of a policy, or why mail has to wait for that.
_Asked: TypeAlias = Found | RouteError


class Protecting:
    """
    Names the hosts that domains themselves name.

    @ivar mxcalc: An L{MXCalculator <relaymail.route.mx.MXCalculator>}, or an object
        with its C{getMX} only: then there is one host, of which nothing is certain.
    @ivar resolver: As of L{lookupAddresses <relaymail.route.lookup.lookupAddresses>}.
    @ivar clock: An C{IReactorTime} provider.
    @ivar port: The port that mail goes to.
    @ivar policies: Knows the policies of MTA-STS, by C{policyFor} and C{recheck};
        where these fail with L{RouteError} mail waits.  L{None}: they are not asked
        for.
    @ivar ownNames: The names of this relay, which it never sends to.
    @ivar isBad: Says of a host whether it failed a short while ago.
    """

    _log = Logger()

    def __init__(
        self,
        mxcalc: Any,
        resolver: Any,
        clock: Any,
        port: int = 25,
        policies: Any = None,
        ownNames: Iterable[str] = (),
        isBad: Callable[[Host], bool] = lambda host: False,
    ) -> None:
        """
        @param mxcalc: See C{mxcalc}.
        @param resolver: See C{resolver}.
        @param clock: See C{clock}.
        @param port: See C{port}.
        @param policies: See C{policies}.
        @param ownNames: See C{ownNames}.
        @param isBad: See C{isBad}.
        """
        self.mxcalc = mxcalc
        self.resolver = resolver
        self.clock = clock
        self.port = port
        self.policies = policies
        self.ownNames = ownNames
        self.isBad = isBad

    def routeTo(self, aim: Aim) -> Deferred[Route]:
        """
        Name the hosts for a destination, with what sessions with each need.

        @param aim: What is to be protected.

        @return: Fires with the route.  Fails with L{RouteError
            <relaymail.errors.RouteError>}, or with what C{mxcalc} failed with.
        """
        return Deferred.fromCoroutine(self._route(aim))

    async def _route(self, aim: Aim) -> Route:
        # The policy has its own way of being looked up, beside that of the hosts.
        policy = self._policyOf(aim, "policyFor")
        try:
            found = await self._exchanges(aim.destination)
        except RouteError as e:
            # Which policies the destination has does not matter to other hosts.
            alone = withFallback(
                e.trouble, aim.terms.fallback, aim.requireTLS, self.isBad
            )
            applied = (Applied(PolicyKind.NONE, aim.destination),)
            left = ((aim.destination, e.trouble.detail),)
            return replace(alone, applied=applied, left=left, mayRecover=True)
        route = await self._routeBy(aim, found, policy)
        whole = withFallback(route, aim.terms.fallback, aim.requireTLS, self.isBad)
        # A program's own calculator may not say.
        levels = {nameText(x.name): getattr(x, "preference", 0) for x in found}
        return whole.ranked(levels)

    async def _routeBy(
        self, aim: Aim, found: list[Any], policy: Deferred[_Asked]
    ) -> Route:
        exchange = Exchange(
            getattr(found, "isSecure", False) is True,
            getattr(found, "isImplicit", False) is True,
            getattr(found, "canonical", ""),
        )
        names = [nameText(record.name) for record in self._others(found)]
        seen = await self._candidates(aim, exchange, names)
        candidates = [candidate for candidate, _ in seen]
        until = self._until(getattr(found, "ttl", None), *(ttl for _, ttl in seen))
        sts = _knownFor(await policy)
        try:
            return protect(aim, exchange, candidates, sts, until)
        except RouteError:
            if not any(isMismatch(aim, name, sts) for name in names):
                raise
        # RFC 8461 5.1: the policy may have been replaced since it was looked up.
        sts = _knownFor(await self._policyOf(aim, "recheck"))
        return protect(aim, exchange, candidates, sts, until)

    def _exchanges(self, destination: str) -> Deferred[Any]:
        getMXs = getattr(self.mxcalc, "getMXs", None)
        if getMXs is not None:
            return defer.maybeDeferred(getMXs, destination)
        d = defer.maybeDeferred(self.mxcalc.getMX, destination)
        return d.addCallback(lambda record: [record])

    def _others(self, records: list[Any]) -> list[Any]:
        own = list(self.ownNames)
        return (removeSelf(records, own) if own else records)[:MAX_HOSTS]

    def _until(self, *ttls: int | None) -> float | None:
        ttl = shorter(*ttls)
        if ttl is None:
            return None
        now: float = self.clock.seconds()
        return now + max(MIN_HOLD, min(ttl, MAX_HOLD))

    # Policies of MTA-STS.

    def _policyOf(self, aim: Aim, question: str) -> Deferred[_Asked]:
        """
        Ask for the policy of a destination, where it has a say; it never fails, but
        fires with the error where mail is to wait until more is known.
        """
        if self.policies is None or not aim.usesSTS:
            return defer.succeed(NOTHING)
        ask = getattr(self.policies, question)
        d: Deferred[_Asked] = defer.maybeDeferred(ask, aim.destination)
        d.addTimeout(MAX_WAIT, self.clock)
        return d.addErrback(self._noPolicy, aim.destination)

    def _noPolicy(self, failure: Failure, domain: str) -> _Asked:
        if isinstance(failure.value, RouteError):
            return failure.value
        if not failure.check(defer.TimeoutError):
            self._log.failure(
                "The MTA-STS policy of {domain} could not be looked up; its mail goes "
                "as if there were none",
                failure,
                domain=domain,
            )
        why = troubleOf(failure, Phase.RESOLVE).detail
        return Found(None, TLSResult.STS_FETCH, printable(why))

    # TLSA records.

    async def _candidates(
        self, aim: Aim, exchange: Exchange, names: list[str]
    ) -> list[_Seen]:
        """
        Ask for what has to be known of hosts, of several at once.
        """
        slots = defer.DeferredSemaphore(HOSTS_AT_ONCE)
        asked = [
            self._bounded(slots, name)
            if asksTLSA(aim, exchange, name)
            else defer.succeed((Candidate(name), None))
            for name in names
        ]
        return [await one for one in asked]

    def _bounded(self, slots: defer.DeferredSemaphore, name: str) -> Deferred[_Seen]:
        d: Deferred[_Seen] = slots.run(
            lambda: Deferred.fromCoroutine(self._candidate(name))
        )
        d.addTimeout(MAX_WAIT, self.clock)
        return d.addErrback(lambda failure: (_unknown(failure, name), None))

    async def _candidate(self, name: str) -> _Seen:
        found = await lookupAddresses(self.resolver, name)
        isAlias, ttl = found.isSecureAlias, found.ttl
        if found.canonical and not found.isSecure:
            # Where only what it leads to is not signed, its own records still count.
            isAlias = await lookupAlias(self.resolver, name)
        assurance = Assurance.SECURE if found.isSecure else Assurance.INSECURE
        reach = Reach(assurance, found.canonical, isAlias)
        known = []
        for base in basesOf(name, reach):
            records, holds = await self._tlsaOf(base)
            known.append(records)
            ttl = shorter(ttl, holds)
            if records.decides:
                break
        return Candidate(name, reach, tuple(known)), ttl

    async def _tlsaOf(self, base: str) -> tuple[TLSASet, int | None]:
        try:
            found = await lookupTLSA(self.resolver, base, self.port)
        except RouteError as e:
            return TLSASet(base, Assurance.FAILED, (), e.trouble), None
        assurance = Assurance.SECURE if found.isSecure else Assurance.INSECURE
        return TLSASet(base, assurance, found.records), found.ttl


def _knownFor(asked: _Asked) -> Found:
    if isinstance(asked, RouteError):
        raise asked
    return asked


def _unknown(failure: Failure, name: str) -> Candidate:
    trouble = troubleOf(failure, Phase.RESOLVE)
    if not failure.check(RouteError):
        told = printable(f"{name}: {trouble.detail or trouble.kind.value}")
        trouble = Trouble(Phase.RESOLVE, TroubleKind.NO_ANSWER, told)
    return Candidate(name, Reach(Assurance.FAILED, trouble=trouble))
