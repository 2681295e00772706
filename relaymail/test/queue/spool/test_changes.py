"""
Tests for L{relaymail.queue.spool.changes}.
"""

from __future__ import annotations

import errno
import io

from relaymail.envelopes import Envelope, Parameters
from relaymail.queue.spool.backlog import START
from relaymail.queue.spool.changes import (
    Arrival,
    Change,
    Departure,
    Place,
    Standing,
)
from relaymail.queue.spool.loading import Load
from relaymail.queue.spool.rows import Stand, commit
from relaymail.queue.spool.upkeep import Reservation, Revival, Sweep
from relaymail.test.queue.contract import MESSAGE, NOW
from relaymail.test.queue.spool.spools import LARGE, RowsTestCase, totals


class ChangesTests(RowsTestCase):
    """
    What each change makes of the rows.
    """

    def load(self, after: tuple[float, int] = START, limit: int = 10) -> list[int]:
        """
        Read what rests for b.example.
        """
        self.make(load := Load("b.example", after, limit))
        return [row.id for row in load.found]

    def make(self, *made: Change) -> None:
        """
        Make changes in one turn.
        """
        results = commit(self.database, self.bodies, [made])
        self.assertEqual(results, [None] * len(made))

    def test_arrival(self) -> None:
        """
        A message has the number of its first recipient, and all that is known.
        """
        places = [
            Place("x@B.example", "b.example", NOW, NOW + 10),
            Place("y@c.example", "c.example", NOW + 5, None, 3, "4.3.0", "later"),
        ]
        envelope = Envelope("me@a.example", ("x", "y"), Parameters("8BITMIME"))
        self.make(Arrival(7, envelope, places, b"caf\xe9", NOW, ["old-name"]))
        asked = "SELECT id, recipients, sender, size, body, eightbit, arrived, content"
        self.assertEqual(
            self.ask(f"{asked} FROM message"),
            [(7, 2, "me@a.example", 4, "8BITMIME", 1, NOW, b"caf\xe9")],
        )
        asked = "SELECT id, message, address, destination, due, attempts, lease, status"
        self.assertEqual(
            self.ask(f"{asked} FROM recipient"),
            [
                (7, 7, "x@B.example", "b.example", NOW, 0, NOW + 10, ""),
                (8, 7, "y@c.example", "c.example", NOW + 5, 3, None, "4.3.0"),
            ],
        )
        self.assertEqual(
            self.ask("SELECT reply, aside FROM recipient"),
            [("", None), ("later", None)],
        )
        self.assertEqual(self.ask("SELECT name FROM imported"), [("old-name",)])
        self.assertEqual(totals(self.database), {"accepted": 2})
        self.assertCounted()

    def test_importedOnce(self) -> None:
        """
        What was imported is not taken again.
        """
        places = [Place("x@b.example", "b.example", NOW, None)]
        envelope = Envelope("", ("x@b.example",))
        self.make(Arrival(1, envelope, places, MESSAGE, NOW, ["old"]))
        again = Arrival(2, envelope, places, MESSAGE, NOW, ["old"])
        (error,) = commit(self.database, self.bodies, [[again]])
        self.assertIsNotNone(error)
        self.assertEqual(totals(self.database), {"generated": 1})
        self.assertCounted()

    def test_standing(self) -> None:
        """
        One row says where it stands now.
        """
        self.make(self.arrival(1, "x@b.example", "y@b.example"))
        self.make(Standing(2, "b.example", NOW + 60, 3, None, "4.3.0", "later"))
        asked = "SELECT id, due, attempts, lease, status, reply FROM recipient"
        self.assertEqual(
            self.ask(asked),
            [
                (1, NOW, 0, NOW + 3600, "", ""),
                (2, NOW + 60, 3, None, "4.3.0", "later"),
            ],
        )
        self.assertCounted()
        self.make(Standing(2, "b.example", NOW + 90, 4, NOW + 99, stand=Stand(True)))
        self.assertCounted()

    def test_P7_aside(self) -> None:
        """
        What was set aside is neither queued nor read, and stays.
        """
        self.make(self.arrival(1, "x@b.example", "y@b.example", lease=None))
        change = Standing(
            1, "b.example", NOW, 0, 0.0, aside="broken", stand=Stand(True)
        )
        self.make(change)
        self.assertEqual(self.load(), [2])
        self.assertEqual(totals(self.database), {"accepted": 2, "aside": 1})
        self.assertCounted()
        self.make(Departure(2, 1, 2, "b.example", "delivered", stand=Stand(True)))
        self.assertEqual(self.ask("SELECT id FROM message"), [(1,)])
        self.assertEqual(self.ask("SELECT id, aside FROM recipient"), [(1, "broken")])

    def test_revival(self) -> None:
        """
        What was claimed rests again and is due as it was, stretch by stretch;
        what was set aside, what rests and what is new is left alone.
        """
        for number in range(1, 8):
            self.make(self.arrival(number, "x@b.example"))
        self.make(Standing(2, "b.example", NOW, 0, 0.0, aside="broken"))
        self.make(Standing(3, "b.example", NOW + 60, 0, None))
        self.make(first := Revival(0, 6, 3))
        self.assertEqual((first.end, [each[2] for each in first.found]), (3, [1]))
        self.make(second := Revival(3, 6, 3))
        self.assertEqual((second.end, [each[2] for each in second.found]), (5, [4, 5]))
        self.assertEqual(second.found[0], ("b.example", NOW, 4))
        self.make(third := Revival(5, 6, 3))
        self.assertEqual((third.end, third.found), (None, []))
        self.assertEqual(self.load(), [1, 4, 5, 3])
        self.assertCounted()

    def test_reservation(self) -> None:
        """
        The database knows up to where numbers are given.
        """
        self.make(Reservation(77))
        self.assertEqual(self.ask("SELECT next FROM number"), [(77,)])

    def test_sweep(self) -> None:
        """
        Files of old numbers without a message are removed, others not.
        """
        self.make(self.arrival(2, "x@b.example", content=LARGE))
        for number in (1, 3, 50):
            self.disk.plant(f"/contents/{number}", b"left behind")
        self.disk.plant("/contents/notes.txt", b"somebody's")
        self.make(Sweep(50))
        self.assertEqual(sorted(self.disk.names("/contents")), ["2", "50", "notes.txt"])

    def test_undoRemovesTheFile(self) -> None:
        """
        A content that was written for nothing is removed.
        """
        arrival = self.arrival(1, "x@b.example", content=io.BytesIO(LARGE))
        self.disk.fail("sync", errno.ENOSPC, "/contents")
        commit(self.database, self.bodies, [[arrival]])
        self.assertEqual(self.disk.names("/contents"), [])
        self.make(arrival)
        self.assertEqual(self.disk.files()["/contents/1"], LARGE)
