# -*- test-case-name: relaymail.test.queue.spool.test_loading -*-
"""
Tests for L{relaymail.queue.spool.loading}.
"""

from __future__ import annotations

from relaymail.queue.spool import loading
from relaymail.queue.spool.backlog import START
from relaymail.queue.spool.changes import Change, Departure, Standing
from relaymail.queue.spool.loading import Load, Old
from relaymail.queue.spool.rows import Stand, commit
from relaymail.test.queue.contract import NOW
from relaymail.test.queue.spool.spools import RowsTestCase


class LoadTests(RowsTestCase):
    """
    What is read of a destination.
    """

    def make(self, *made: Change) -> None:
        """
        Make changes in one turn.
        """
        results = commit(self.database, self.bodies, [made])
        self.assertEqual(results, [None] * len(made))

    def load(self, after: tuple[float, int] = START, limit: int = 10) -> list[int]:
        """
        Read what rests for b.example.
        """
        self.make(load := Load("b.example", after, limit))
        return [row.id for row in load.found]

    def test_loadInOrder(self) -> None:
        """
        What rests is read in the order in which it is due, one more than was
        asked for, after what was read before; and of one destination only.
        """
        for number, due in ((1, 30.0), (2, 10.0), (3, 20.0), (4, 20.0), (5, 10.0)):
            self.make(self.arrival(number, "x@b.example", lease=None))
            self.make(Standing(number, "b.example", due, 0, None, stand=Stand(True)))
        self.make(self.arrival(6, "x@c.example", lease=None))
        self.make(self.arrival(7, "x@b.example"))
        self.assertEqual(self.load(), [2, 5, 3, 4, 1])
        self.assertEqual(self.load(limit=2), [2, 5, 3])
        self.assertEqual(self.load((10.0, 2)), [5, 3, 4, 1])
        self.assertEqual(self.load((20.0, 3)), [4, 1])
        self.assertEqual(self.load((30.0, 1)), [])

    def test_loadUsesTheIndex(self) -> None:
        """
        However many rest, reading the next looks at no others.
        """
        plan = self.ask(
            "EXPLAIN QUERY PLAN " + loading._BACKLOG, "b.example", 0.0, 0, 10
        )
        self.assertEqual(len(plan), 2)
        self.assertIn("INDEX resting (destination=? AND due>?)", plan[0][-1])
        self.assertIn("INTEGER PRIMARY KEY", plan[1][-1])

    def test_loadDoesNotFindWhatGoes(self) -> None:
        """
        What goes in the same transaction is not found, what comes in it is.
        """
        self.make(self.arrival(1, "x@b.example", lease=None))
        load = Load("b.example", START, 10)
        self.make(
            load,
            Departure(1, 1, 1, "b.example", "removed", stand=Stand(True)),
            self.arrival(2, "y@b.example", lease=None),
        )
        self.assertEqual([row.id for row in load.found], [2])


class OldTests(RowsTestCase):
    """
    What is read because it is old.
    """

    def make(self, *made: Change) -> None:
        """
        Make changes in one turn.
        """
        results = commit(self.database, self.bodies, [made])
        self.assertEqual(results, [None] * len(made))

    def old(self, after: int = 0, limit: int = 10) -> tuple[list[int], int]:
        """
        Give what is older than an hour, and up to where was looked.
        """
        self.make(old := Old(after, NOW + 7200, NOW + 1, limit))
        return [row.id for row in old.found], old.last

    def test_dueAndOld(self) -> None:
        """
        What rests, is due and was accepted long ago is found; what is claimed,
        what is set aside and what is not due is not.
        """
        for number in range(1, 6):
            self.make(self.arrival(number, "x@b.example", lease=None))
        self.make(self.arrival(6, "x@b.example"))
        self.make(Standing(2, "b.example", NOW + 9000, 0, None, stand=Stand(True)))
        self.make(Standing(3, "b.example", NOW, 0, 0.0, aside="x", stand=Stand(True)))
        self.assertEqual(self.old(), ([1, 4, 5], 0))
        self.make(old := Old(0, NOW + 7200, NOW, 10))
        self.assertEqual(old.found, [])

    def test_stretchByStretch(self) -> None:
        """
        A bounded number of rows is looked at each time, then the next, and
        then it begins anew.
        """
        self.patch(loading, "STRETCH", 3)
        for number in range(1, 8):
            self.make(self.arrival(number, "x@b.example", lease=None))
        self.assertEqual(self.old(0), ([1, 2, 3], 3))
        self.assertEqual(self.old(3), ([4, 5, 6], 6))
        self.assertEqual(self.old(6), ([7], 0))
        self.assertEqual(self.old(7), ([], 0))

    def test_noMoreThanIsWanted(self) -> None:
        """
        What there is no room for is found the next time.
        """
        for number in range(1, 8):
            self.make(self.arrival(number, "x@b.example", lease=None))
        self.assertEqual(self.old(0, 2), ([1, 2], 2))
        self.assertEqual(self.old(2, 2), ([3, 4], 4))
