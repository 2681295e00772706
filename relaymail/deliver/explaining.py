# -*- test-case-name: relaymail.test.explaining.test_agreement -*-
"""
What would become of a message, asked of the relaying manager that would deliver it.

Nothing is decided here: by what it is chosen where mail goes, which hosts these are
and in which order, what sessions with them need, which of their addresses are tried,
what failures mean and what limits mail is said by the objects that an attempt asks.
Nothing is sent, and but for the DNS, and policies of MTA-STS, nobody is asked.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError, gatherResults, maybeDeferred
from twisted.python.failure import Failure

from relaymail.addresses import domainOf
from relaymail.deliver.inclear import InClearMixin
from relaymail.deliver.routing import Choice
from relaymail.deliver.sharing import knownOf
from relaymail.envelopes import NO_ORIGIN, Origin, Outline, Parameters
from relaymail.outcome import verdicts
from relaymail.outcome.verdicts import Fate
from relaymail.outcomes import Outcome
from relaymail.protections import Applied
from relaymail.replies import Phase, Trouble, TroubleKind
from relaymail.route.hosts import Host, Route
from relaymail.route.router import Holding
from relaymail.route.troubles import troubleOf
from relaymail.route.walk import Walk
from relaymail.schedule.goals import goalOf
from relaymail.schedule.paces import Standing

#: How long the hosts are waited for, in seconds, which is longer than for a policy of
#: MTA-STS; and how long for their addresses, too: whoever asks waits for 30 at the
#: most.
PATIENCE, WHOLE_PATIENCE = 24.0, 28.0


@dataclass(frozen=True, slots=True)
class Question:
    """
    Of what message something is asked.

    @ivar recipient: The forward-path.
    @ivar sender: The reverse-path, empty for a notice.
    @ivar origin: Where it would come in from.
    @ivar requireTLS: Whether it may go over TLS only (RFC 8689 2).
    @ivar tlsOptional: Whether its header says C{TLS-Required: No} (RFC 8689 3).
    """

    recipient: str
    sender: str = ""
    origin: Origin = NO_ORIGIN
    requireTLS: bool = False
    tlsOptional: bool = False

    def outline(self, now: float) -> Outline:
        """
        Give what a queue would say of it.

        @param now: The time, in seconds of the queue's clock.
        """
        said = Parameters(requireTLS=self.requireTLS, tlsOptional=self.tlsOptional)
        return Outline(
            self.sender, self.recipient, None, 0, now, said, origin=self.origin
        )


@dataclass(frozen=True, slots=True)
class Tried:
    """
    A host that would be tried.

    @ivar host: The host, as a session would be made with it.
    @ivar addresses: The addresses that would be tried, in their order.
    @ivar trouble: Why there are none; L{None}: there are.
    @ivar badUntil: Until when it comes after the others because it did not work, in
        seconds of the queue's clock; L{None}: it does not.
    @ivar clearUntil: Until when TLS is not tried with it because it fails, in seconds
        of the queue's clock; L{None}: it is.
    @ivar preference: How it is preferred, from 1 on, the lower the better; L{None}: it
        stands where it stands.
    """

    host: Host
    addresses: tuple[str, ...] = ()
    trouble: Trouble | None = None
    badUntil: float | None = None
    clearUntil: float | None = None
    preference: int | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """
    What would become of a message.

    @ivar question: Of which.
    @ivar destination: The domain that it is for.
    @ivar choice: By what it is chosen where it goes.
    @ivar lane: Where that is, and what limits it.
    @ivar standing: How such mail stands.
    @ivar rests: Until when it would rest before its first attempt, in seconds of the
        queue's clock; L{None}: it would not.
    @ivar route: The hosts; L{None}: there are none.
    @ivar tried: The hosts, in the order of trying.
    @ivar applied: The policies of the destination that count.
    @ivar until: How long the route holds, in seconds of the queue's clock, if that is
        known.
    @ivar site: The site that its hosts are.
    @ivar ending: What the first attempt would come to where no host is spoken with;
        L{None}: a host decides, or it is held.
    @ivar held: Why it would be held instead of tried; empty: it would not be.
    """

    question: Question
    destination: str
    choice: Choice
    lane: Hashable
    standing: Standing
    rests: float | None = None
    route: Route | None = None
    tried: tuple[Tried, ...] = ()
    applied: tuple[Applied, ...] = ()
    until: float | None = None
    site: Hashable = None
    ending: Outcome | None = None
    held: str = ""

    @property
    def goal(self) -> Hashable:
        """
        Where it goes.
        """
        return goalOf(self.lane)


def explain(manager: Any, question: Question) -> Deferred[Explained]:
    """
    Say what would become of a message.

    @param manager: The relaying manager.

    @return: Fires with it.  Fails with L{MalformedAddress
        <relaymail.errors.MalformedAddress>} where the recipient is none.
    """
    return Deferred.fromCoroutine(_Explaining(manager).explain(question))


class _Explaining(InClearMixin):
    """
    Asks a relaying manager.
    """

    def __init__(self, manager: Any) -> None:
        self.manager = manager
        self.reactor = manager._theReactor()
        self._end = float(self.reactor.seconds()) + WHOLE_PATIENCE

    async def explain(self, question: Question) -> Explained:
        """
        Ask about a message.
        """
        manager = self.manager
        outline = question.outline(manager._now())
        destination = domainOf(question.recipient)
        lane = manager.laneFor(outline)
        found = Explained(
            question,
            destination,
            manager.choiceFor(outline),
            lane,
            manager.standingFor(outline),
            manager._work.restsUntil(lane, outline),
            site=manager._theSite(lane),
        )
        if isinstance(found.goal, Holding) and manager._work.mayHold:
            return replace(found, held=found.goal.why)
        try:
            route = await self._within(manager._routeTo, found.goal)
        except Exception:
            return self._withoutRoute(found, Failure())
        return await self._along(found, route)

    async def _along(self, found: Explained, route: Route) -> Explained:
        known = knownOf(route)
        isHeldUp = found.rests is not None or found.standing.until is not None
        if known is not None and not isHeldUp:
            found = self._at(found, known.site)
        hosts = self._walked(route)
        asked = [self._try(host, rank) for host, rank in hosts]
        tried = tuple(await gatherResults(map(Deferred.fromCoroutine, asked)))
        return replace(
            found,
            route=route,
            applied=route.applied,
            tried=tried,
            until=self._ofQueue(route.until),
            ending=_ending(tried, route.mayRecover),
        )

    def _at(self, found: Explained, site: Hashable) -> Explained:
        """
        Take into account which hosts it leads to, as an attempt does that stands back
        because of that.
        """
        manager = self.manager
        outline = found.question.outline(manager._now())
        return replace(
            found,
            site=site,
            standing=manager.standingFor(outline, site),
            rests=manager._work.restsUntil(found.lane, outline, site),
        )

    def _withoutRoute(self, found: Explained, failure: Failure) -> Explained:
        """
        Say what becomes of mail for which no host can be named.
        """
        trouble = self._troubleOf(failure, Phase.RESOLVE)
        verdict = verdicts.judge(trouble.phase, trouble)
        ending = verdicts.outcomeOf(verdict, trouble.phase, trouble)
        applied = getattr(failure.value, "applied", ())
        return replace(found, ending=ending, applied=applied)

    def _walked(self, route: Route) -> list[tuple[Host, int | None]]:
        """
        Give the hosts as an attempt goes along them, each with how it is preferred.
        """
        walk = Walk(route, self._whyInClear)
        levels = sorted(set(route.ranks))
        ranks: list[int | None] = [levels.index(rank) + 1 for rank in route.ranks]
        if len(ranks) != len(route.hosts):
            ranks = [None] * len(route.hosts)
        found = []
        for rank in ranks:
            host = walk.goOn()
            assert host is not None
            found.append((host, rank))
        return found

    async def _try(self, host: Host, preference: int | None) -> Tried:
        manager, now = self.manager, self.reactor.seconds()
        clear = manager.clearHosts.find(host, self._portOf(host), now)
        tried = Tried(
            host,
            badUntil=self._ofQueue(manager.badUntil(host)),
            clearUntil=None if clear is None else self._ofQueue(clear.until),
            preference=preference,
        )
        try:
            addresses = await self._within(manager.addressesFor, host)
        except Exception:
            return replace(tried, trouble=self._troubleOf(Failure(), Phase.CONNECT))
        return replace(tried, addresses=tuple(addresses))

    def _within(self, ask: Any, *arguments: Any) -> Deferred[Any]:
        asked: Deferred[Any] = maybeDeferred(ask, *arguments)
        patience = min(PATIENCE, max(self._end - float(self.reactor.seconds()), 0.1))
        return asked.addTimeout(patience, self.reactor, _late)

    def _troubleOf(self, failure: Failure, phase: Phase) -> Trouble:
        if failure.check(TimeoutError):
            # An attempt would wait for longer.
            return Trouble(Phase.RESOLVE, TroubleKind.NO_ANSWER, str(failure.value))
        return troubleOf(failure, phase)

    def _ofQueue(self, until: float | None) -> float | None:
        """
        Give a time of the reactor's clock as one of the queue's.
        """
        if until is None:
            return None
        now: float = self.manager._now()
        return now + until - float(self.reactor.seconds())


def _late(result: Any, patience: float) -> Any:
    """
    Say that there was no answer.
    """
    raise TimeoutError(f"the DNS did not answer within {patience:.0f} seconds")


def _ending(tried: tuple[Tried, ...], mayRecover: bool) -> Outcome | None:
    """
    Say what an attempt comes to that can connect to no host.

    @param mayRecover: Whether a host that is not tried may be tried later.
    """
    last = len(tried) - 1
    for index, one in enumerate(tried):
        trouble = one.trouble
        if trouble is None:
            # What is said there decides.
            return None
        verdict = verdicts.judge(trouble.phase, trouble, lastHost=index == last)
        mayRecover |= verdict.status.startswith("4")
        if verdict.fate is Fate.NEXT_HOST:
            continue
        verdict = verdicts.judge(trouble.phase, trouble, mayRecover=mayRecover)
        return verdicts.outcomeOf(verdict, trouble.phase, trouble, one.host.name)
    return None
