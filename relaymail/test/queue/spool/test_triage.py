"""
Tests for L{relaymail.queue.spool.triage}.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import QueueFull, QueueUnusable
from relaymail.outcomes import Bounce, Outcome, Removed
from relaymail.queue.spool.changes import NEED_NOTICE, Departure, totalOf
from relaymail.queue.spool.triage import Kind, salvage
from relaymail.queue.writer import Results
from relaymail.replies import Phase, Trouble, TroubleKind
from relaymail.test.queue.contract import DELIVERED

DISCARDED = Trouble(Phase.RESOLVE, TroubleKind.DISCARDED)

FULL = QueueFull("there is no room")
BROKEN = QueueUnusable("it is broken")


@dataclass(frozen=True)
class Thing:
    """
    A change.

    @ivar kind: What it is.
    @ivar room: How much room it takes.
    """

    kind: Kind
    room: int = 0


READING = Thing(Kind.READING)
RECORD = Thing(Kind.RECORD, 1)
BOUNCE = Thing(Kind.BOUNCE, 1)
MAIL = Thing(Kind.MAIL, 5)
NOTICE = Thing(Kind.NOTICE, 5)


class SalvageTests(SynchronousTestCase):
    """
    Tests for L{salvage}.

    @ivar room: How much there is.
    @ivar tried: What was tried.
    """

    room = 4
    error: Exception = FULL

    def setUp(self) -> None:
        self.tried: list[list[Thing]] = []

    def write(self, turns: Sequence[Sequence[Thing]]) -> Exception | None:
        """
        Write, if there is room.
        """
        things = [thing for turn in turns for thing in turn]
        self.tried.append(things)
        return self.error if sum(t.room for t in things) > self.room else None

    def salvage(self, *turns: list[Thing]) -> Results:
        """
        Salvage what can be of turns that cannot be written together.
        """
        error = self.write(turns)
        assert error is not None
        self.tried = []
        return salvage(self.write, turns, error)

    def test_P6_eachByItself(self) -> None:
        """
        One turn that there is no room for is no reason to refuse another.
        """
        self.assertEqual(
            self.salvage([RECORD], [MAIL], [RECORD, RECORD]), [None, FULL, None, None]
        )

    def test_P6_withoutMail(self) -> None:
        """
        What comes is refused, what goes is written.
        """
        self.assertEqual(
            self.salvage([RECORD, MAIL, BOUNCE, MAIL]), [None, FULL, None, FULL]
        )
        self.assertEqual(self.tried, [[RECORD, BOUNCE]])

    def test_P5_bounceWithoutNotice(self) -> None:
        """
        Where there is a notice no bounce goes without it.
        """
        self.assertEqual(
            self.salvage([RECORD, NOTICE, BOUNCE, MAIL]), [None, FULL, FULL, FULL]
        )
        self.assertEqual(self.salvage([NOTICE, BOUNCE]), [FULL, FULL])

    def test_P6_reads(self) -> None:
        """
        Where nothing can be written, what only reads is read.
        """
        self.room = 0
        self.assertEqual(
            self.salvage([RECORD, READING, MAIL, READING]), [FULL, None, FULL, None]
        )
        self.assertEqual(self.tried, [[RECORD, READING, READING], [READING, READING]])
        self.assertEqual(self.salvage([RECORD, RECORD]), [FULL, FULL])
        self.assertEqual(self.tried, [])

    def test_otherTrouble(self) -> None:
        """
        For another reason than want of room, nothing is parted.
        """
        self.error = BROKEN
        self.assertEqual(self.salvage([RECORD, MAIL]), [BROKEN, BROKEN])
        self.assertEqual(self.tried, [])
        self.assertEqual(self.salvage([RECORD, MAIL], [RECORD]), [BROKEN, BROKEN, None])


class KindTests(SynchronousTestCase):
    """
    What is a bounce.
    """

    def kindOf(self, outcome: Outcome | None, sender: str) -> Kind:
        """
        Give the kind of a departure.
        """
        return Departure(1, 1, 1, "b.example", totalOf(outcome, sender)).kind

    def test_P5_bounces(self) -> None:
        """
        What failed is a bounce, if there is a sender to be told, or something that
        takes its place.
        """
        bounce = Bounce("5.1.1", Phase.RCPT)
        expired = Bounce("4.4.7", Phase.RCPT, expired=True)
        for outcome in (bounce, expired):
            self.assertIs(self.kindOf(outcome, "me@a.example"), Kind.BOUNCE)
            self.assertIs(self.kindOf(outcome, ""), Kind.RECORD)
            replaced = replace(outcome, isReplaced=True)
            self.assertIs(self.kindOf(replaced, ""), Kind.BOUNCE)
        thrown = Removed("", Phase.RESOLVE, DISCARDED)
        for other in (DELIVERED, Removed("", Phase.FINAL), thrown, None):
            self.assertIs(self.kindOf(other, "me@a.example"), Kind.RECORD)
        self.assertEqual(totalOf(thrown, "me@a.example"), "discarded")
        self.assertEqual(totalOf(Removed("", Phase.FINAL), ""), "removed")
        self.assertEqual(NEED_NOTICE, {"bounced", "expired"})
