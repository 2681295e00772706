# -*- test-case-name: relaymail.test.stories.test_asked -*-
"""
What a managed relayer tells its attempt manager of the letters that it has: what
became of those of a transaction, and of those that were under way when the session
ended.
"""

from __future__ import annotations

from typing import Any

from relaymail.deliver.judging import judgements
from relaymail.deliver.overlapping import Behind
from relaymail.dialogue.extensions import NO_EXTENSIONS, NO_LIMITS, Extensions
from relaymail.dialogue.transaction import PARAMETERS_UNKNOWN, SERVICE_CLOSING
from relaymail.interfaces import IAttempt
from relaymail.outcomes import Bounce, Delivered, Outcome
from relaymail.replies import Evidence, Phase, Reply, Trouble, TroubleKind


def takesPart(attempt: Any) -> bool:
    """
    Tell whether an attempt manager, and the queue behind it, know of outcomes.
    """
    return IAttempt.providedBy(attempt) and getattr(attempt, "takesPart", True)


class Reporting:
    """
    Reports to an attempt manager.

    The first letters on the lists are those of the transaction that is reported.

    @ivar manager: The attempt manager.
    @ivar messages: The letters.
    @ivar names: Their paths, in the same order.
    """

    manager: Any
    messages: list[Any]
    names: list[Any]
    phase = Phase.FINAL
    evidence: Evidence | None = None
    evidencePhase: Phase | None = None
    transactions = 0
    _isLeaving = False
    _transaction: Any = None
    _finals: Any = ()
    _isOverasked = False
    _factory: Any = None
    _behind: Behind | None = None
    _recipients: Any = ()
    _isAhead = False
    _begun = 0
    _isBare = False
    limits = NO_LIMITS
    extensions: Extensions

    def _settle(
        self, phase: Phase, evidence: Evidence, addresses: Any, accepted: int
    ) -> None:
        """
        Tell what became of the letters of a transaction, the first ones.
        Those for which that is not decided here stay on the list.
        """
        count = 1 if addresses is None else len(addresses) or self._countLeading()
        letters, paths = self.messages[:count], self.names[:count]
        del self.messages[:count], self.names[:count]
        left = []
        judge = self._judgeOverasked if self._isOverasked else self.manager.judge
        judged = judgements(
            judge, phase, evidence, addresses or (), accepted, self._finals
        )
        for index, (path, judgement) in enumerate(zip(paths, judged, strict=False)):
            if judgement.outcome is not None:
                self._tellOutcome(path, judgement.outcome)
                continue
            left.append(index)
            if judgement.phase is not Phase.RCPT:
                self._isLeaving = True
                self._noteEvidence(judgement.phase, judgement.evidence)
        self._finals, self._isOverasked = (), False
        if left:
            # Behind those of the transaction that has begun, if there is one.
            at = len(self._behind.recipients) if self._behind is not None else 0
            self.messages[at:at] = [letters[index] for index in left]
            self.names[at:at] = [paths[index] for index in left]

    def _judgeOverasked(
        self, phase: Phase, evidence: Evidence, accepted: int
    ) -> Outcome | None:
        isAboutMore = (
            isinstance(evidence, Reply) and evidence.code == PARAMETERS_UNKNOWN
        )
        if phase is Phase.RCPT and isAboutMore:
            # It is named once more, in the next transaction, with its address only.
            return None
        outcome: Outcome | None = self.manager.judge(phase, evidence, accepted)
        return outcome

    def _countLeading(self) -> int:
        return len(self._recipients) or len(super().getMailTo())  # type: ignore[misc]

    def _tellOutcome(self, path: str, outcome: Outcome) -> None:
        self.manager.noteOutcome(self._factory, path, outcome)
        match outcome:
            case Delivered():
                self.manager.notifySuccess(self._factory, path)
            case Bounce():
                self.manager.notifyFailure(self._factory, path)
            case _:
                self.manager.notifyRetry(self._factory, path)

    def _noteEvidence(self, phase: Phase, evidence: Evidence) -> None:
        if self.evidence is None:
            self.evidence, self.evidencePhase = evidence, phase

    # What the host can do.

    def _learn(self) -> None:
        client: Any = super()
        client._learn()
        self._isAhead = self._mayLookAhead()
        if self._overasked() is not None and self._overasked() == self._host():
            client._askLess()
        self._tellExtensions(NO_EXTENSIONS if self._isBare else self.extensions)

    def _mayLookAhead(self) -> bool:
        """
        Tell, once for a session, whether it may overlap transactions.
        """
        return False

    def _askLess(self) -> None:
        client: Any = super()
        client._askLess()
        # A session that ends now is followed by another one.
        self._factory.overasked = self._host()
        # Nothing that may be left out is passed on from here.
        self._tellExtensions(NO_EXTENSIONS)

    def _overasked(self) -> Any:
        return getattr(self._factory, "overasked", None)

    def _host(self) -> Any:
        return getattr(self.manager, "host", None)

    def _tellExtensions(self, extensions: Extensions) -> None:
        note = getattr(self.manager, "noteExtensions", None)
        if note is not None and takesPart(self.manager):
            note(self._factory, extensions)

    def _cannotTake(self, trouble: Trouble) -> None:
        if takesPart(self.manager):
            return self._settle(Phase.MAIL, trouble, (), 0)
        client: Any = super()
        client._cannotTake(trouble)

    def _isSpent(self) -> bool:
        """
        Tell whether the host takes no more transactions in this session (RFC 9422
        4.1).
        """
        most = self.limits.transactions
        return most > 0 and self._begun >= most

    def _leaveForAnother(self) -> None:
        """
        Go, and let what is left go over another connection.
        """
        self._isLeaving = True
        if self.messages:
            self._noteEvidence(*_nothingUnderWay())

    def _queueTime(self) -> float:
        return float(self.manager.manager.queue.clock.seconds())

    # The end of the session.

    def _tellEnd(self) -> None:
        phase = self.evidencePhase or self.phase
        evidence = self.evidence or Trouble(phase, TroubleKind.LOST)
        refusal = getattr(self._transaction, "refusal", None)
        if refusal is not None and refusal.transient:
            # Whatever was answered behind it follows from it.
            phase, evidence = Phase.MAIL, refusal
        elif refusal is not None and _isLoss(evidence):
            # It is this message that was refused, and no other one.
            self._settle(Phase.MAIL, refusal, (), 0)
            phase, evidence = _nothingUnderWay()
        elif phase in (Phase.BODY, Phase.FINAL) and refusal is None:
            # What may have been taken is not for another host (RFC 1047), and
            # what was not offered yet is not spoken of.
            self._settleInterrupted(phase, evidence)
            phase, evidence = self._whatIsLeft(evidence)
        elif phase in (Phase.BODY, Phase.FINAL):
            # There was only a dot, for nobody.
            phase = Phase.DATA
        self.manager.noteSession(self._factory, phase, evidence, self.transactions)

    def _settleInterrupted(self, phase: Phase, evidence: Evidence) -> None:
        client: Any = self
        if self._transaction is not None:
            client._noteAnswers(self._transaction)
            client._noteResults(self._transaction)
            accepted = len(client.successAddresses)
            self._settle(phase, evidence, client.toAddressesResult, accepted)

    def _whatIsLeft(self, evidence: Evidence) -> tuple[Phase, Evidence]:
        isAsItIs = isinstance(evidence, Trouble) and (
            evidence.kind is TroubleKind.NO_CONVERSION
        )
        if isAsItIs and self._isLeaving:
            # Another host may take it without that.
            return Phase.BODY, evidence
        return _nothingUnderWay()


def _nothingUnderWay() -> tuple[Phase, Trouble]:
    return Phase.IDLE, Trouble(Phase.IDLE, TroubleKind.LOST)


def _isLoss(evidence: Evidence) -> bool:
    """
    Tell whether the session only ended, and was not out of step.
    """
    if isinstance(evidence, Reply):
        return evidence.code == SERVICE_CLOSING
    return evidence.kind is not TroubleKind.GARBAGE
