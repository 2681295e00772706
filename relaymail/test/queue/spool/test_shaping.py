"""
Tests for L{relaymail.queue.spool.shaping}.
"""

from __future__ import annotations

from relaymail.inspection import (
    AGE_BOUNDS,
    AGE_GROUPS,
    DestinationCount,
    Shape,
    groupOf,
)
from relaymail.queue.spool import shaping
from relaymail.queue.spool.rows import commit
from relaymail.queue.spool.searching import Columns
from relaymail.queue.spool.shaping import biggest, inAll, shape
from relaymail.test.queue.contract import NOW
from relaymail.test.queue.spool.spools import RowsTestCase

#: Ages in the first, the third and the last group, in seconds.
AGES = (10.0, 700.0, 80_000.0)


class ShapeTests(RowsTestCase):
    """
    What is in a spool, by destination and age.
    """

    def fill(self, **destinations: int) -> None:
        """
        Have as many messages for each destination, of one age after the other.
        """
        number = 1
        for name, count in destinations.items():
            for index in range(count):
                arrival = self.arrival(number, f"x@{name}.example", lease=None)
                arrival._arrived = NOW - AGES[index % len(AGES)]
                commit(self.database, self.bodies, [[arrival]])
                number += 7

    def shape(self, limit: int = 20) -> Shape:
        """
        Give the shape.
        """
        return shape(self.database, Columns(2), NOW, limit, lambda: 0.0)

    def test_empty(self) -> None:
        """
        An empty spool has none.
        """
        self.assertEqual(self.shape(), Shape())
        self.assertEqual(biggest(self.database, Columns(2), 9), [])

    def test_exact(self) -> None:
        """
        A few are all read.
        """
        self.fill(a=3, b=4)
        found = self.shape()
        rows = [(row.name, row.total, row.ages) for row in found.rows]
        self.assertEqual(
            rows,
            [
                ("b.example", 4, (2, 0, 1, 0, 0, 0, 0, 0, 0, 1)),
                ("a.example", 3, (1, 0, 1, 0, 0, 0, 0, 0, 0, 1)),
            ],
        )
        self.assertEqual(found.total.ages, (3, 0, 2, 0, 0, 0, 0, 0, 0, 2))
        self.assertEqual((found.total.total, found.isSampled), (7, False))

    def test_largest(self) -> None:
        """
        The largest destinations come first, and the others are in the total.
        """
        self.fill(a=1, b=3, c=2)
        found = self.shape(2)
        self.assertEqual([row.name for row in found.rows], ["b.example", "c.example"])
        self.assertEqual(found.total.total, 6)
        self.assertEqual(inAll(self.database), (3, 6))
        self.assertEqual(
            biggest(self.database, Columns(2), 1),
            [DestinationCount("b.example", 3, 3)],
        )
        self.ask("UPDATE destination SET held = 1 WHERE name = 'b.example'")
        for version, held in ((1, 0), (2, 1)):
            (found_,) = biggest(self.database, Columns(version), 1)
            self.assertEqual(found_.held, held)

    def test_sampled(self) -> None:
        """
        Of many some are read, and what that comes to is what was counted.
        """
        self.patch(shaping, "EXACT", 20)
        self.patch(shaping, "SAMPLE", 30)
        self.patch(shaping, "PLACES", 30)
        self.fill(a=90, b=30)
        found = self.shape()
        self.assertTrue(found.isSampled)
        self.assertEqual((found.total.total, sum(found.total.ages)), (120, 120))
        self.assertEqual(self.shape(), found)
        (a, b) = found.rows
        self.assertEqual((a.total, sum(a.ages), sum(b.ages)), (90, 90, 30))
        for group in (0, 2, 9):
            self.assertAlmostEqual(a.ages[group], 30, delta=20)

    def test_few(self) -> None:
        """
        What the sample has too little of is looked for by itself.
        """
        self.patch(shaping, "EXACT", 20)
        self.patch(shaping, "SAMPLE", 1)
        self.patch(shaping, "PLACES", 1)
        self.fill(a=90, b=30)
        (a, b) = self.shape().rows
        self.assertEqual(b.ages, (10, 0, 10, 0, 0, 0, 0, 0, 0, 10))
        self.assertEqual(a.ages, (30, 0, 30, 0, 0, 0, 0, 0, 0, 30))

    def test_nothingIsKnown(self) -> None:
        """
        Where nothing says how old it is, it has just come.
        """
        self.patch(shaping, "EXACT", 1)
        self.fill(a=3)
        self.ask("DELETE FROM recipient")
        (a,) = self.shape().rows
        self.assertEqual(a.ages, (3, *(0,) * (AGE_GROUPS - 1)))

    def test_time(self) -> None:
        """
        Where it takes too long fewer are read.
        """
        self.patch(shaping, "EXACT", 1)
        self.fill(a=9)
        seconds = iter(range(1000))
        shape(self.database, Columns(2), NOW, 1, lambda: float(next(seconds)))
        self.assertLess(next(seconds), 5)

    def test_groups(self) -> None:
        """
        Each age is in one group.
        """
        self.assertEqual([groupOf(age) for age in AGES], [0, 2, 9])
        self.assertEqual([groupOf(bound) for bound in AGE_BOUNDS], list(range(1, 10)))
        self.assertEqual(groupOf(-5.0), 0)
