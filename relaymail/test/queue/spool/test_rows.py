"""
Tests for L{relaymail.queue.spool.rows}.
"""

from __future__ import annotations

import errno
import io
import sqlite3
from collections.abc import Callable
from contextlib import closing

from relaymail.errors import QueueError, QueueFull
from relaymail.queue.spool.backlog import START
from relaymail.queue.spool.changes import Change, Departure, Standing
from relaymail.queue.spool.loading import Load
from relaymail.queue.spool.recipients import findRow
from relaymail.queue.spool.rows import Stand, commit, start
from relaymail.queue.writer import Results
from relaymail.test.queue.contract import MESSAGE, NOW
from relaymail.test.queue.spool.spools import EVERY_BYTE, LARGE, RowsTestCase, totals


class CommitTests(RowsTestCase):
    """
    L{commit} makes changes, all of a turn or none.
    """

    def commit(self, *turns: list[Change]) -> Results:
        """
        Make changes.
        """
        return commit(self.database, self.bodies, turns)

    def names(self) -> list[str]:
        """
        Give the files of contents.
        """
        return sorted(self.disk.names("/contents"))

    def test_P1_contentIsDurableBeforeTheCommit(self) -> None:
        """
        A large content is written, synced and its name synced before the
        transaction begins, and a file goes only after one.
        """
        self.commit([self.arrival(1, "x@b.example", content=LARGE)])
        of = [step for step, _ in self.steps]
        self.assertLess(of.index("finish"), of.index("sync"))
        self.assertLess(of.index("sync"), of.index("BEGIN"))
        self.assertEqual(self.disk.durable()["/contents/1"], LARGE)
        self.steps.clear()
        self.commit([Departure(1, 1, 1, "b.example", "delivered", isApart=True)])
        of = [step for step, _ in self.steps]
        self.assertLess(of.index("COMMIT"), of.index("unlink"))
        self.assertEqual(self.names(), [])

    def test_fileStaysWithTheLast(self) -> None:
        """
        The message and its file go with its last recipient.
        """
        self.commit([self.arrival(1, "x@b.example", "y@c.example", content=LARGE)])
        self.commit([Departure(1, 1, 2, "b.example", "delivered", isApart=True)])
        self.assertEqual(
            (self.names(), len(self.ask("SELECT * FROM message"))), (["1"], 1)
        )
        self.commit([Departure(2, 1, 2, "c.example", "bounced", isApart=True)])
        self.assertEqual((self.names(), self.ask("SELECT * FROM message")), ([], []))
        self.assertCounted()

    def test_bothInOneTurn(self) -> None:
        """
        All recipients may go in one transaction.
        """
        self.commit([self.arrival(1, "x@b.example", "y@c.example", content=LARGE)])
        self.commit(
            [Departure(1, 1, 2, "b.example", "delivered", isApart=True)],
            [Departure(2, 1, 2, "c.example", "delivered", isApart=True)],
        )
        self.assertEqual((self.names(), self.ask("SELECT * FROM message")), ([], []))

    def test_bytesAreBytes(self) -> None:
        """
        A content in a row is the bytes that came.
        """
        self.bodies._largestRow = 1000
        self.commit([self.arrival(1, "x@b.example", content=EVERY_BYTE)])
        ((kind, content),) = self.ask("SELECT typeof(content), content FROM message")
        self.assertEqual((kind, content), ("blob", EVERY_BYTE))

    def test_refusedLeavesNothing(self) -> None:
        """
        A turn that cannot be written leaves no row, no file and no count.
        """
        self.disk.fail("sync", errno.EIO, "/contents")
        (error,) = self.commit([self.arrival(1, "x@b.example", content=LARGE)])
        self.assertIsInstance(error, QueueError)
        self.assertEqual((self.names(), self.ask("SELECT * FROM message")), ([], []))
        self.assertEqual(totals(self.database), {})

    def test_P6_othersAreWritten(self) -> None:
        """
        A directory whose new files cannot be made durable is no reason not to write
        what needs none of them, in the same batch and later.
        """
        self.commit([self.arrival(1, "x@b.example", "y@c.example")])
        self.disk.fail("sync", errno.EIO, "/contents", times=None)
        wrong, gone = self.commit(
            [self.arrival(2, "x@b.example", content=LARGE)],
            [Departure(1, 1, 1, "b.example", "delivered")],
        )
        self.assertIsInstance(wrong, QueueError)
        self.assertIsNone(gone)
        later = self.commit([Departure(2, 1, 1, "c.example", "delivered")])
        self.assertEqual(later, [None])
        self.assertEqual(self.ask("SELECT id FROM recipient"), [])
        self.assertCounted()

    def test_P5_turnIsAtomic(self) -> None:
        """
        A notice and the name it is about change places or do not: where the
        notice cannot be written, the name stays.
        """
        self.commit([self.arrival(1, "x@b.example")])
        self.disk.fail("finish", errno.ENOSPC)
        notice = self.arrival(2, "from@a.example", content=LARGE, sender="")
        gone = Departure(1, 1, 1, "b.example", "bounced")
        results = self.commit([notice, gone])
        self.assertEqual([type(each) for each in results], [QueueFull, QueueFull])
        self.assertEqual(self.ask("SELECT id FROM recipient"), [(1,)])
        self.assertEqual(self.commit([notice, gone]), [None, None])
        self.assertEqual(self.ask("SELECT id FROM recipient"), [(2,)])
        self.assertEqual(
            totals(self.database), {"accepted": 1, "generated": 1, "bounced": 1}
        )
        self.assertCounted()

    def test_badTurnFailsAlone(self) -> None:
        """
        One turn that cannot be written does not fail the others of its batch.
        """
        self.disk.fail("finish", errno.ENOSPC, "/contents/2", times=None)
        results = self.commit(
            [self.arrival(1, "x@b.example", content=LARGE)],
            [
                self.arrival(2, "x@b.example", content=LARGE),
                self.arrival(3, "x@b.example"),
            ],
            [self.arrival(4, "x@b.example")],
        )
        self.assertEqual([each is None for each in results], [True, False, False, True])
        self.assertEqual(self.ask("SELECT id FROM recipient"), [(1,), (4,)])
        self.assertEqual(self.names(), ["1"])
        self.assertEqual(self.disk.durable()["/contents/1"], LARGE)
        self.assertCounted()

    def test_P1_contentThatIsReadTwiceIsWhole(self) -> None:
        """
        Where a batch is tried again turn by turn, a content that came as a
        file is read again from where it stood.
        """
        small, large = io.BytesIO(b"skip" + MESSAGE), io.BytesIO(b"skip" + LARGE)
        small.seek(4)
        large.seek(4)
        self.disk.fail("finish", errno.ENOSPC, "/contents/9", times=None)
        results = self.commit(
            [self.arrival(1, "x@b.example", content=small)],
            [self.arrival(2, "x@b.example", content=large)],
            [self.arrival(9, "x@b.example", content=LARGE)],
        )
        self.assertEqual([each is None for each in results], [True, True, False])
        self.assertEqual(
            self.ask("SELECT size, content FROM message"),
            [(len(MESSAGE), MESSAGE), (len(LARGE), None)],
        )
        self.assertEqual(self.disk.files()["/contents/2"], LARGE)

    def test_P1_contentThatCannotBeReadTwice(self) -> None:
        """
        What cannot go back is taken, but for a batch that is tried again: then
        it is refused, and never taken without its content.
        """

        class Pipe(io.BytesIO):
            def tell(self) -> int:
                raise io.UnsupportedOperation("tell")

            def seek(self, place: int, whence: int = 0) -> int:
                raise io.UnsupportedOperation("seek")

        first = self.arrival(1, "x@b.example", content=Pipe(MESSAGE))
        self.assertEqual(self.commit([first]), [None])
        self.disk.fail("finish", errno.ENOSPC)
        results = self.commit(
            [self.arrival(2, "x@b.example", content=Pipe(MESSAGE))],
            [self.arrival(9, "x@b.example", content=LARGE)],
        )
        self.assertEqual([each is None for each in results], [False, True])
        self.assertEqual(self.ask("SELECT id FROM recipient"), [(1,), (9,)])

    def test_mailMayWithdrawItself(self) -> None:
        """
        What comes and goes in one transaction was never there, and is counted.
        """
        self.commit(
            [self.arrival(1, "x@b.example", content=LARGE)],
            [
                Standing(1, "b.example", NOW + 60, 1, None),
                Departure(1, 1, 1, "b.example", "removed", Stand(True), True),
            ],
        )
        self.assertEqual((self.names(), self.ask("SELECT * FROM recipient")), ([], []))
        self.assertEqual(totals(self.database), {"accepted": 1, "removed": 1})
        self.assertCounted()

    def test_filesThatCannotBeRemovedAreNoTrouble(self) -> None:
        """
        What is written is written, whatever tidying up comes to.
        """
        self.commit([self.arrival(1, "x@b.example", content=LARGE)])
        self.disk.fail("unlink", errno.EIO)
        gone = Departure(1, 1, 1, "b.example", "delivered", isApart=True)
        self.assertEqual(self.commit([gone]), [None])
        self.assertEqual(self.ask("SELECT * FROM message"), [])

    def test_findRow(self) -> None:
        """
        A row is found by its number with what its message says, unless it was
        set aside.
        """
        self.commit([self.arrival(1, "x@b.example", "y@c.example", content=LARGE)])
        row = findRow(self.database, 2)
        assert row is not None
        self.assertEqual(
            (row.message, row.address, row.destination, row.recipients, row.isApart),
            (1, "y@c.example", "c.example", 2, 1),
        )
        self.assertIsNone(findRow(self.database, 3))
        self.commit([Standing(2, "c.example", NOW, 1, 0.0, aside="broken")])
        self.assertIsNone(findRow(self.database, 2))
        self.assertCounted()


class StartTests(RowsTestCase):
    """
    L{start} does what takes no time, and leaves the rest to who may wait.
    """

    def start(self, *turns: list[Change]) -> Callable[[], Results]:
        """
        Begin to make changes.
        """
        self.steps.clear()
        return start(self.database, self.bodies, turns)

    def done(self) -> set[str]:
        """
        Give what the database was asked to do.
        """
        return {step for step, _ in self.steps}

    def stored(self) -> int:
        """
        Count what somebody else would see.
        """
        with closing(sqlite3.connect(self.path)) as other:
            ((count,),) = other.execute("SELECT count(*) FROM recipient").fetchall()
        return int(count)

    def test_quick(self) -> None:
        """
        Rows are written at once, and seen when they are durable.
        """
        finish = self.start([self.arrival(1, "x@b.example")])
        self.assertLessEqual({"BEGIN", "INSERT"}, self.done())
        self.assertNotIn("COMMIT", self.done())
        self.assertEqual(self.stored(), 0)
        self.steps.clear()
        self.assertEqual(finish(), [None])
        self.assertEqual(self.done(), {"COMMIT"})
        self.assertEqual(self.stored(), 1)

    def test_slow(self) -> None:
        """
        Files are written, and what rests is read, by who may wait.
        """
        slow: list[list[Change]] = [
            [self.arrival(1, "x@b.example", content=LARGE)],
            [self.arrival(2, "x@b.example", content=io.BytesIO(MESSAGE))],
            [self.arrival(3, "x@b.example"), Load("b.example", START, 10)],
        ]
        for changes in slow:
            finish = self.start(changes)
            self.assertEqual(self.done(), set())
            self.assertEqual(finish(), [None] * len(changes))
        self.assertEqual(self.stored(), 3)

    def test_P6_somebodyElseWrites(self) -> None:
        """
        Nobody waits for who holds the database, but who may.
        """
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        finish = self.start([self.arrival(1, "x@b.example")])
        self.assertNotIn("INSERT", self.done())
        other.execute("ROLLBACK")
        self.assertEqual(finish(), [None])
        self.assertEqual(self.stored(), 1)

    def test_P2_aTurnThatFails(self) -> None:
        """
        Where one turn cannot be written, the others are.
        """
        self.start([self.arrival(1, "x@b.example")])()
        results = self.start(
            [self.arrival(1, "y@b.example")], [self.arrival(2, "z@b.example")]
        )()
        self.assertIsInstance(results[0], QueueError)
        self.assertIsNone(results[1])
        self.assertEqual(self.stored(), 2)
        self.assertCounted()
