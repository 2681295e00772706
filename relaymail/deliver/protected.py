# -*- test-case-name: relaymail.test.deliver.test_protected -*-
"""
How sessions with the hosts of destinations were protected, for whoever reports it
(RFC 8460).

Each session is told of once: when the host has said what it can do, which is after
TLS and after everything there is to check; or when it ended because of TLS.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from relaymail.protections import Applied, TLSResult, TLSSession
from relaymail.replies import Evidence, Phase, Trouble
from relaymail.route.hosts import Host, TLSNeed
from relaymail.route.peers import Problem
from relaymail.route.protection import appliedTo
from relaymail.route.terms import Way
from relaymail.route.tlscontexts import testedProblem
from relaymail.route.walk import Walk
from relaymail.schedule.goals import goalOf

#: Is told how a session began.
OnTLSSession = Callable[[TLSSession], object]

_NOT_OFFERED = "the host does not offer STARTTLS"


def destinationOf(lane: Hashable) -> str:
    """
    Give the destination whose policies hold for the sessions of a lane; empty: there
    is none.  That of mail whose sender wants none (RFC 8689 3) has none: reports
    themselves are such mail, and nobody is told of those (RFC 8460 5.3).
    """
    goal = goalOf(lane)
    if isinstance(goal, Way):
        goal = "" if goal.tlsOptional else goal.goal
    return goal if isinstance(goal, str) else ""


def resultOf(phase: Phase, evidence: Evidence) -> TLSResult | None:
    """
    Say what went wrong with the TLS of a session that ended; L{None}: something else
    ended it.

    @param phase: Where it stood.
    @param evidence: What ended it.
    """
    if isinstance(evidence, Trouble) and evidence.result is not None:
        return evidence.result
    if phase is not Phase.STARTTLS:
        return None
    return TLSResult.FAILED if isinstance(evidence, Trouble) else TLSResult.NO_STARTTLS


class ProtectedMixin:
    """
    Tells how sessions were protected, for an attempt manager.
    """

    manager: Any
    lane: Hashable
    address: str
    tls: str
    _walk: Walk | None
    _isTold = False

    @property
    def host(self) -> Host | None:
        """
        The host being tried, or L{None}.
        """
        raise NotImplementedError

    def _sessionBegan(self, relay: Any) -> None:
        """
        Tell of a session over which mail is about to go.
        """
        if not self.tls:
            return self._tellSession(relay, TLSResult.NO_STARTTLS, _NOT_OFFERED)
        problem = self._testedProblem(relay)
        if problem is None:
            return self._tellSession(relay, None, "")
        return self._tellSession(relay, problem.result, problem.why)

    def _testedProblem(self, relay: Any) -> Problem | None:
        """
        Say what a policy that is only tested would have had against the session,
        where somebody wants to know.
        """
        host = self.host
        isAsked = getattr(self.manager, "onTLSSession", None) is not None
        if host is None or host.tested is None or not isAsked:
            return None
        return testedProblem(host, self.manager.tlsOf(relay))

    def _sessionEnded(self, relay: Any, phase: Phase, evidence: Evidence) -> None:
        """
        Tell of a session that ended, if that was because of TLS.
        """
        result = resultOf(phase, evidence)
        if result is not None:
            self._tellSession(relay, result, evidence.text)

    def _tellSession(self, relay: Any, result: TLSResult | None, why: str) -> None:
        listener: OnTLSSession | None = getattr(self.manager, "onTLSSession", None)
        host = self.host
        if listener is None or self._isTold or host is None or self._walk is None:
            return
        self._isTold = True
        applied = appliedTo(host, self._walk.route.applied)
        destination = destinationOf(self.lane)
        # The operator's own hosts, and what he wants in clear, are no news to others;
        # what led to a second try in clear was told.
        isNews = not (host.named or host.inClear or host.tls is TLSNeed.NEVER)
        if applied and destination and isNews:
            own = self.manager.ownAddress(relay)
            session = TLSSession(
                destination, applied, host.name, self.address, own, "", result, why
            )
            listener(session)

    def _routeFailed(self, trouble: Trouble, applied: tuple[Applied, ...]) -> None:
        """
        Tell that the policies of a destination left no host.
        """
        listener: OnTLSSession | None = getattr(self.manager, "onTLSSession", None)
        destination = destinationOf(self.lane)
        if listener is not None and applied and destination and trouble.result:
            listener(
                TLSSession(
                    destination, applied, result=trouble.result, why=trouble.text
                )
            )
