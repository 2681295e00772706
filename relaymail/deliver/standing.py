# -*- test-case-name: relaymail.test.deliver.test_attempts -*-
"""
Where an attempt stands: at which host of its route, in what kind of session, and
what is said there means.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from relaymail.deliver.inclear import InClearMixin
from relaymail.deliver.protected import ProtectedMixin
from relaymail.deliver.resuming import isStale
from relaymail.dialogue.extensions import Extensions
from relaymail.outcome import verdicts
from relaymail.outcome.verdicts import LaneState, Verdict
from relaymail.outcomes import Outcome
from relaymail.replies import Evidence, Phase, Reply, Trouble, TroubleKind
from relaymail.route.hosts import Host
from relaymail.route.walk import Walk


class StandingMixin(ProtectedMixin, InClearMixin):
    """
    What an attempt knows of the host it is at, for an attempt manager.

    @ivar lane: What the batch was taken from.
    @ivar routeLane: What its connections may be shared within; L{None} before its
        hosts are known.
    @ivar era: How often what the relaying manager is told had changed by then.
    @ivar address: The network address that was reached, empty before.
    @ivar tls: The TLS version of the session, empty in clear.
    """

    manager: Any
    lane: Hashable = None
    routeLane: Hashable = None
    era = 0
    address = ""
    tls = ""
    _walk: Walk | None = None
    _failedBy: Evidence | None = None
    _ended: tuple[Phase, Evidence] | None = None
    _mayRecover = False
    _passesOn = False
    _keepsTime = False

    @property
    def host(self) -> Host | None:
        """
        The host being tried, or L{None}.
        """
        return self._walk.host if self._walk is not None else None

    @property
    def mayShare(self) -> bool:
        """
        Whether mail of other goals may be sent over its connections.
        """
        return self._walk is not None and self._walk.route.until is not None

    def judge(
        self, phase: Phase, evidence: Evidence, accepted: int = 0
    ) -> Outcome | None:
        """
        See L{IAttempt.judge}.
        """
        verdict = verdicts.judge(
            phase,
            evidence,
            lastHost=self._isLastHost(),
            accepted=accepted,
            mayRecover=self._mayRecover,
        )
        self._noteStates(verdict, evidence)
        return self._outcomeOf(verdict, phase, evidence)

    def noteReached(self, relay: Any, address: str) -> None:
        """
        See L{IAttempt.noteReached}.
        """
        host = self.host
        if not address and host is not None and host.path is not None:
            address = host.path
        self.address, self.tls = address, ""
        self._ended = None
        self._passesOn = self._keepsTime = self._isTold = False

    def noteTLS(self, relay: Any, version: str) -> None:
        """
        See L{IAttempt.noteTLS}.
        """
        self.tls = version

    def noteExtensions(self, relay: Any, extensions: Extensions) -> None:
        """
        See L{IAttempt.noteExtensions}.
        """
        self._passesOn = b"DSN" in extensions
        self._keepsTime = b"DELIVERBY" in extensions
        if not self._isTold:
            self._sessionBegan(relay)
        if self._tlsFailed:
            self._worksInClear()

    def noteSession(
        self, relay: Any, phase: Phase, evidence: Evidence, transactions: int
    ) -> None:
        """
        See L{IAttempt.noteSession}.
        """
        isOver = isinstance(evidence, Trouble) and evidence.kind is TroubleKind.LOST
        isOver = isOver or (isinstance(evidence, Reply) and evidence.code == 421)
        if transactions and isOver and phase in (Phase.MAIL, Phase.RSET):
            # The server had enough of the connection, not of the mail.
            phase = Phase.IDLE
        self._ended = (phase, evidence)
        if not self._isTold and not isStale(relay, evidence):
            self._sessionEnded(relay, phase, evidence)
        if phase is Phase.AUTH:
            self._noteAuthentication(evidence)

    def noteAuthenticated(self, relay: Any) -> None:
        """
        See L{IAttempt.noteAuthenticated}.
        """
        self._noteAuthentication(None)

    def _noteAuthentication(self, evidence: Evidence | None) -> None:
        note = getattr(self.manager, "noteAuthentication", None)
        if note is not None and self.host is not None:
            note(self.host, evidence)

    def _isLastHost(self) -> bool:
        return self._walk is None or self._walk.isLast

    def _noteStates(self, verdict: Verdict, evidence: Evidence) -> None:
        if self.host is not None:
            self.manager.noteHost(self.host, verdict.host)
        lane = verdict.lane
        if lane is LaneState.UNKNOWN or evidence is self._failedBy:
            return
        if lane in (LaneState.FAILING, LaneState.UNFIT):
            # It is one failure, whatever number of names it is judged for.
            self._failedBy = evidence
        why = "" if lane is LaneState.FINE else evidence.text
        self.manager.noteLane(self.lane, lane, why)

    def _outcomeOf(
        self, verdict: Verdict, phase: Phase, evidence: Evidence
    ) -> Outcome | None:
        name = self.host.name if self.host is not None else ""
        return verdicts.outcomeOf(
            verdict, phase, evidence, name, self.address, self.tls, self._passesOn
        )
