# -*- test-case-name: relaymail.test.deliver.test_judging -*-
"""
What was said of a transaction, judged for each of its names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from relaymail.deliver.session import SUCCESS
from relaymail.outcomes import Outcome
from relaymail.replies import Evidence, Phase, Reply


@dataclass(frozen=True, slots=True)
class Judgement:
    """
    What was judged of names, and on what.

    @ivar phase: Where the transaction stood.
    @ivar evidence: What was said, or happened.
    @ivar outcome: What becomes of the names; L{None} where that is not decided
        here.
    """

    phase: Phase
    evidence: Evidence
    outcome: Outcome | None


def judgements(
    judge: Callable[[Phase, Evidence, int], Outcome | None],
    phase: Phase,
    evidence: Evidence,
    addresses: Iterable[tuple[Any, int, bytes]],
    accepted: int,
    finals: Sequence[Reply] = (),
) -> Iterator[Judgement]:
    """
    Judge the names of a transaction, each when it is asked for.  Names that
    were answered alike share their judgement: a transaction has a hundred
    recipients, and hardly ever more than two answers.

    @param judge: L{IAttempt.judge <relaymail.interfaces.IAttempt.judge>}.
    @param phase: Where the transaction stood when it was decided.
    @param evidence: What decided it.
    @param addresses: C{(address, code, resp)} for each RCPT that was answered.
    @param accepted: How many of them were accepted.
    @param finals: With LMTP: the replies to the message, each for one of them, in
        their order; there are fewer where the session ended before all were said
        (RFC 2033 4.2).

    @return: The judgements of the names, in their order; for those behind
        C{addresses}, without end, that of a name that was accepted.
    """

    def judged(phase: Phase, evidence: Evidence, accepted: int) -> Judgement:
        return Judgement(phase, evidence, judge(phase, evidence, accepted))

    def told(final: Reply) -> Judgement:
        if final not in own:
            own[final] = judged(Phase.FINAL, final, accepted)
        return own[final]

    own: dict[Reply, Judgement] = {}
    decided: Judgement | None = None
    refused: dict[tuple[int, bytes, int], Judgement] = {}
    before = 0
    for _, code, resp in addresses:
        if code in SUCCESS:
            before += 1
            if finals and before <= len(finals):
                yield told(finals[before - 1])
                continue
            decided = decided or judged(phase, evidence, accepted)
            yield decided
            continue
        key = (code, resp, before)
        if key not in refused:
            reply = Reply(code, tuple(resp.split(b"\n")))
            refused[key] = judged(Phase.RCPT, reply, before)
        yield refused[key]
    yield from repeat(decided or judged(phase, evidence, accepted))
