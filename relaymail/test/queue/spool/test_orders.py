"""
Tests for L{relaymail.queue.spool.orders}.
"""

from __future__ import annotations

from relaymail.queue.spool.changes import Departure, Standing
from relaymail.queue.spool.orders import (
    Hastening,
    Order,
    Suspending,
    Withdrawal,
    claimed,
    hastened,
    held,
    released,
    renewed,
)
from relaymail.queue.spool.rows import IChange, Stand, commit
from relaymail.test.queue.contract import NOW
from relaymail.test.queue.spool.spools import RowsTestCase, totals


class OrderTests(RowsTestCase):
    """
    What becomes of rows.
    """

    def setUp(self) -> None:
        """
        Begin with one that rests and one that is claimed.
        """
        super().setUp()
        self.write(
            self.arrival(1, "x@c.example", lease=None), self.arrival(2, "y@d.example")
        )

    def write(self, *changes: IChange) -> None:
        """
        Write some changes of one turn.
        """
        results = commit(self.database, self.bodies, [changes])
        self.assertEqual(results, [None] * len(changes))
        self.assertCounted()
        sums = self.ask("SELECT sum(held) FROM destination")
        rows = self.ask("SELECT count(*) FROM recipient WHERE held IS NOT NULL")
        self.assertEqual(sums, rows)

    def row(self, number: int) -> tuple[object, ...]:
        """
        Give where one stands.
        """
        (row,) = self.ask(
            "SELECT due, attempts, lease, held, since FROM recipient WHERE id = ?",
            number,
        )
        return row

    def test_held(self) -> None:
        """
        What is held rests no more, and does again when it is released.
        """
        self.write(Order(1, held("why")), Order(2, held("why")))
        self.assertEqual(self.row(1), (NOW, 0, 0.0, "why", None))
        self.write(Order(1, released(NOW + 5)), Order(2, released(NOW + 6)))
        self.assertEqual(self.row(1), (NOW + 5, 0, None, None, None))
        self.assertEqual(self.row(2), (NOW + 6, 0, None, None, None))

    def test_afterTheOthers(self) -> None:
        """
        A row is read when the others of its transaction are written.
        """
        stand = Stand()
        standing = Standing(2, "d.example", NOW + 60, 3, None, stand=stand)
        order = Order(2, held("why"))
        self.write(order, standing)
        self.assertEqual(self.row(2), (NOW + 60, 3, 0.0, "why", None))
        assert order.row is not None
        self.assertEqual((order.row.attempts, order.row.held), (3, "why"))

    def test_hastened(self) -> None:
        """
        What is due stays so; what is held stays where it is.
        """
        self.write(Order(1, hastened(NOW + 5)), Order(2, held("why")))
        self.assertEqual(self.row(1)[0], NOW)
        self.write(Order(1, hastened(NOW - 5)), Order(2, hastened(NOW - 5)))
        self.assertEqual(self.row(1)[0], NOW - 5)
        self.assertEqual(self.row(2), (NOW, 0, 0.0, "why", None))

    def test_claimed(self) -> None:
        """
        A claim is written, but where it is held.
        """
        self.write(Order(1, claimed(NOW + 9)), Order(2, held("why")))
        self.write(Order(2, claimed(NOW + 9)))
        self.assertEqual(self.row(1)[2:4], (NOW + 9, None))
        self.assertEqual(self.row(2)[2:4], (0.0, "why"))

    def test_renewed(self) -> None:
        """
        It begins anew, wherever it stood.
        """
        self.write(Order(1, held("why")))
        self.write(Order(1, renewed(NOW + 7)), Order(2, renewed(NOW + 7)))
        for number in (1, 2):
            self.assertEqual(self.row(number), (NOW + 7, 0, None, None, NOW + 7))

    def test_nobody(self) -> None:
        """
        Where there is no such row, that is known, and nothing is written.
        """
        order = Order(9, held("why"))
        self.write(order)
        self.assertIsNone(order.row)

    def test_withdrawal(self) -> None:
        """
        What goes is counted as it stood, whatever was thought of it.
        """
        self.write(Order(2, held("why")))
        for number, destination in ((1, "c.example"), (2, "d.example")):
            self.write(Withdrawal(number, number, 1, destination, "removed"))
        self.assertEqual(self.ask("SELECT id FROM message"), [])
        self.assertEqual(totals(self.database), {"accepted": 2, "removed": 2})

    def test_departure(self) -> None:
        """
        What was held, and known to be, is counted so no more.
        """
        self.write(Order(2, held("why")))
        stand = Stand(held=True)
        self.write(Departure(2, 2, 1, "d.example", "bounced", stand))
        self.assertFalse(stand.held)

    def test_notWritten(self) -> None:
        """
        What could not be written is not believed.
        """
        self.write(Order(2, held("why")))
        stand = Stand(held=True)
        self.database.execute("PRAGMA query_only = 1")
        change = Departure(2, 2, 1, "d.example", "bounced", stand)
        (error,) = commit(self.database, self.bodies, [[change]])
        self.database.execute("PRAGMA query_only = 0")
        self.assertIsNotNone(error)
        self.assertTrue(stand.held)
        self.write(change)

    def test_hastening(self) -> None:
        """
        So many are due as are asked for, the first of them first, but nothing that
        was never tried.
        """
        for number in range(3, 8):
            arrival = self.arrival(number, "x@c.example", lease=None)
            self.write(arrival)
        later = "UPDATE recipient SET due = ? + id, attempts = 1 WHERE lease IS NULL"
        self.ask(later, NOW + 100)
        held = self.arrival(20, "z@c.example", lease=None)
        self.write(held)
        self.ask("UPDATE recipient SET due = ? WHERE id = 20", NOW + 50)
        counts = []
        for _ in range(4):
            change = Hastening("c.example", NOW, 2)
            self.write(change)
            counts.append(change.count)
        self.assertEqual(counts, [2, 2, 2, 0])
        dues = self.ask("SELECT DISTINCT due FROM recipient WHERE lease IS NULL")
        self.assertEqual(dues, [(NOW,), (NOW + 50,)])

    def test_suspending(self) -> None:
        """
        What is suspended is written, with the last reason.
        """
        for why in ("one", "two"):
            self.write(Suspending("c.example", why))
        table = "SELECT * FROM suspension"
        self.assertEqual(self.ask(table), [("c.example", "two")])
        self.write(Suspending("c.example", None))
        self.assertEqual(self.ask(table), [])
