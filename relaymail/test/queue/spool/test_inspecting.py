"""
Tests for L{relaymail.queue.spool.inspecting}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from relaymail.errors import QueueUnusable
from relaymail.inspection import NameState, Selection
from relaymail.outcomes import Removed
from relaymail.queue.spool.spool import Spool
from relaymail.replies import Phase
from relaymail.test.queue.contract import NOW, RETRY
from relaymail.test.queue.spool.spools import LARGEST_ROW, Hand, SpoolTestCase


class LookTests(SpoolTestCase):
    """
    What is known of the names of a spool that is open.
    """

    def states(self, **parts: Any) -> dict[str, NameState]:
        """
        Say where the names that are found stand.
        """
        page = self.settle(self.queue.look(Selection(**parts)))
        return {found.name: found.state for found in page.entries}

    def test_states(self) -> None:
        """
        What is claimed and what waits is known in memory; what rests is in the
        database.
        """
        names = self.add("a@a.example", "b@b.example", "c@c.example", "d@d.example")
        claimed, waits, rests, postponed = names
        self.settle(self.queue.setRelaying(claimed))
        self.rest(rests, 60, RETRY)
        self.queue.postpone(postponed, NOW + 60)
        expected = {
            claimed: NameState.RELAYING,
            waits: NameState.WAITING,
            rests: NameState.RESTING,
        }
        found = self.states()
        found.pop(postponed)
        self.assertEqual(found, expected)
        for name, state in expected.items():
            found = self.states(state=state)
            found.pop(postponed, None)
            self.assertEqual(found, {name: state})
            self.assertEqual(self.settle(self.queue.entry(name)).state, state)

    def test_relaying(self) -> None:
        """
        What is claimed is found among others by its name.
        """
        one, two, three = self.add("a@a.example", "b@b.example", "c@c.example")
        state = NameState.RELAYING
        self.assertEqual(self.states(state=state), {})
        for name in (one, two):
            self.settle(self.queue.setRelaying(name))
        self.assertEqual(set(self.states(state=state)), {one, two})
        self.assertEqual(set(self.states(state=state, domain="b.example")), {two})
        self.assertEqual(set(self.states(state=state, names=(two, three))), {two})
        self.assertEqual(self.states(state=state, names=(three,)), {})

    def test_attempts(self) -> None:
        """
        An attempt counts when it is begun, also where that is not written.
        """
        (name,) = self.add("a@a.example")
        self.settle(self.queue.setRelaying(name))
        found = self.settle(self.queue.entry(name))
        self.assertEqual((found.attempts, found.state), (1, NameState.RELAYING))

    def test_gone(self) -> None:
        """
        What is gone is not found, and neither is what never was.
        """
        (name,) = self.add("a@a.example")
        self.settle(self.queue.done(name, Removed("2.0.0", Phase.IDLE)))
        self.assertEqual(self.states(), {})
        for each in (name, "nobody"):
            self.assertIsNone(self.settle(self.queue.entry(each)))

    def test_counts(self) -> None:
        """
        Destinations, ages and totals are counted.
        """
        self.add("a@a.example", "b@b.example", "c@b.example")
        counts, all_ = self.settle(self.queue.destinations(1))
        self.assertEqual((counts[0].name, counts[0].queued, all_), ("b.example", 2, 2))
        shape = self.settle(self.queue.shape())
        self.assertEqual((shape.total.total, shape.total.ages[0]), (3, 3))
        self.assertEqual(self.settle(self.queue.totals()), {"accepted": 3})

    def test_stopped(self) -> None:
        """
        What is not open is not read.
        """
        self.settle(self.queue.stop())
        self._opened.clear()
        self.settleAll()
        self.failureResultOf(self.queue.look(Selection()), QueueUnusable)

    def test_isAsked(self) -> None:
        """
        What is no place to go on from fails.
        """
        self.failureResultOf(self.queue.look(Selection(), after="x"), ValueError)


class ThreadTests(SpoolTestCase):
    """
    A spool that is read in a thread of its own.
    """

    def makeSpool(self) -> Any:
        """
        Make one whose reading is done by hand.
        """
        self.hand = Hand()
        spool = Spool(
            self.path,
            self.clock,
            self.disk,
            self.run_,
            largestRow=LARGEST_ROW,
            readRun=self.hand,
        )
        spool.noisy = False
        return spool

    def answer(self) -> None:
        """
        Have one thing read.
        """
        self.hand.work()
        self.hand.answer()

    def test_oneAfterTheOther(self) -> None:
        """
        One thing is read at a time, and nobody waits for it but who asked.
        """
        self.add("a@a.example")
        one, two = self.queue.look(Selection()), self.queue.totals()
        self.assertEqual(len(self.hand.jobs), 1)
        self.assertNoResult(one)
        self.answer()
        self.assertEqual(len(self.successResultOf(one).entries), 1)
        self.answer()
        self.assertEqual(self.successResultOf(two), {"accepted": 1})

    def test_changedMeanwhile(self) -> None:
        """
        What was claimed while it was read is claimed; what is gone is gone; and
        what does not stand there any more is left out.
        """
        one, two, three = self.add("a@a.example", "b@b.example", "c@c.example")
        found: Deferred[Any] = self.queue.look(Selection(state=NameState.WAITING))
        self.hand.work()
        self.settle(self.queue.setRelaying(one))
        self.hand.answer()
        names = [each.name for each in self.successResultOf(found).entries]
        self.assertEqual(names, [two, three])

    def test_stop(self) -> None:
        """
        The spool is closed when what is being read is read; what was asked for
        behind that is not begun.
        """
        one, two = self.queue.totals(), self.queue.totals()
        stopped = self.queue.stop()
        self._opened.clear()
        self.settleAll()
        self.assertNoResult(stopped)
        self.answer()
        self.assertEqual(self.successResultOf(one), {})
        self.failureResultOf(two, QueueUnusable)
        self.successResultOf(stopped)
        self.assertEqual(self.hand.jobs, [])
