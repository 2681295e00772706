# -*- test-case-name: relaymail.test.deliver.test_judging -*-
"""
Tests for L{relaymail.deliver.judging}.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaymail.deliver.judging import Judgement, judgements
from relaymail.outcomes import Outcome, Retry
from relaymail.replies import Phase, Reply

DONE = Reply(250, (b"done",))


class JudgementsTests(SynchronousTestCase):
    """
    Tests for L{judgements}.
    """

    def setUp(self) -> None:
        self.asked: list[tuple[Phase, Any, int]] = []

    def judge(self, phase: Phase, evidence: Any, accepted: int) -> Outcome | None:
        """
        Judge, and write down what was asked.
        """
        self.asked.append((phase, evidence, accepted))
        if evidence.code == 452:
            return None
        return Retry("4.0.0", phase, evidence)

    def judged(self, *addresses: tuple[str, int, bytes], count: int) -> list[Judgement]:
        """
        Judge some names, of which two were accepted.
        """
        all_ = judgements(self.judge, Phase.FINAL, DONE, addresses, 2)
        return list(islice(all_, count))

    def test_oneAnswer(self) -> None:
        """
        Names that were all accepted are judged once, by what decided.
        """
        addresses = [("a", 250, b"yes"), ("b", 251, b"well, yes")]
        first, second = self.judged(*addresses, count=2)
        self.assertIs(first, second)
        self.assertEqual(self.asked, [(Phase.FINAL, DONE, 2)])
        self.assertEqual((first.phase, first.evidence), (Phase.FINAL, DONE))

    def test_D12_refused(self) -> None:
        """
        One that was refused is judged by its own reply, and by how many were
        accepted before it, once for each such pair.
        """
        codes = (250, 550, 550, 250, 550, 452)
        addresses = [(str(i), code, b"5.1.1 x\ny") for i, code in enumerate(codes)]
        told = self.judged(*addresses, count=6)
        lines = (b"5.1.1 x", b"y")
        no = Reply(550, lines)
        self.assertEqual(
            self.asked,
            [
                (Phase.FINAL, DONE, 2),
                (Phase.RCPT, no, 1),
                (Phase.RCPT, no, 2),
                (Phase.RCPT, Reply(452, lines), 2),
            ],
        )
        self.assertIs(told[0], told[3])
        self.assertIs(told[1], told[2])
        self.assertIsNot(told[1], told[4])
        self.assertEqual([j.outcome is None for j in told], [False] * 5 + [True])

    def test_noAddresses(self) -> None:
        """
        Without answers to RCPT it is what decided that counts for all.
        """
        told = self.judged(count=3)
        self.assertEqual(len({id(judgement) for judgement in told}), 1)
        self.assertEqual(len(self.asked), 1)

    def test_notAhead(self) -> None:
        """
        A name is judged when it is asked for, and not before.
        """
        addresses = [("a", 550, b"no"), ("b", 250, b"yes")]
        names = judgements(self.judge, Phase.FINAL, DONE, addresses, 1)
        next(names)
        self.assertEqual([phase for phase, _, _ in self.asked], [Phase.RCPT])
