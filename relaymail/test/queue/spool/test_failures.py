"""
Tests for a spool whose disk is full, breaks or is damaged, and for what is
asked of it while something is being written.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs

from relaymail.envelopes import Envelope
from relaymail.errors import QueueError, QueueFull, QueueUnusable, UnreadableEntry
from relaymail.queue.room import BELIEVED
from relaymail.queue.spool import leaving, reading, rows
from relaymail.queue.spool.bodies import Kept
from relaymail.queue.spool.rows import start
from relaymail.queue.spool.schema import QueueDamaged
from relaymail.queue.spool.settling import PUT_BACK
from relaymail.test.queue.contract import DELIVERED, MESSAGE, NOW, RETRY
from relaymail.test.queue.spool.spools import (
    BOUNCE,
    LARGE,
    Hand,
    SpoolTestCase,
    runNow,
)

#: More than there is room for in the pages that are there.
MANY = b"x" * 300


ENVELOPE = Envelope("me@a.example", ("x@b.example",))


class FailingDatabase:
    """
    A database that cannot commit.

    @ivar code: Why, as SQLite says it; 0: it can.
    @ivar copied: How often its log was copied.
    """

    def __init__(self, queue: Any, code: int) -> None:
        """
        @param queue: The spool whose database it is to be.
        """
        self.code = code
        self.copied = 0
        begin = queue._writer._begin
        self._database = begin.args[0]
        queue._writer._begin = partial(
            start, cast(sqlite3.Connection, self), *begin.args[1:], **begin.keywords
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def execute(self, statement: str, *arguments: Any) -> Any:
        """
        Carry a statement out, if it can be.
        """
        if statement == "COMMIT" and self.code:
            error = sqlite3.OperationalError("it cannot be committed")
            error.sqlite_errorcode = self.code
            raise error
        if "wal_checkpoint" in statement:
            self.copied += 1
            self.code = 0
        return self._database.execute(statement, *arguments)


class FailureTests(SpoolTestCase):
    """
    What cannot be written.
    """

    run_: Any = staticmethod(runNow)

    def tearDown(self) -> None:
        """
        What failed was logged.
        """
        self.flushLoggedErrors(QueueError)

    def breakWriting(self) -> None:
        """
        Let nothing be written.
        """
        self.queue._database.execute("PRAGMA query_only = 1")

    def repair(self) -> None:
        """
        Let everything be written again.
        """
        self.queue._database.execute("PRAGMA query_only = 0")

    def fill(self) -> None:
        """
        Let the database not grow.
        """
        database = self.queue._database
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages}")

    def tryAdd(self, content: bytes = MESSAGE) -> Deferred[Any]:
        """
        Have a message taken, if it can be.
        """
        done: Deferred[Any] = self.queue.add(
            Envelope("me@a.example", ("x@b.example",)), content
        )
        self.settleAll()
        return done

    def test_P6_databaseIsFull(self) -> None:
        """
        Where the database cannot grow mail is refused, nothing is left of it,
        and what there is can be claimed, put back and done with; when there is
        room again mail is taken.
        """
        one, two = self.add("x@b.example", "y@b.example")
        self.fill()
        refused = 0
        for _ in range(60):
            done = self.tryAdd(MANY)
            if done.called and isinstance(done.result, list):
                continue
            self.failureResultOf(done, QueueFull)
            refused += 1
        self.assertGreater(refused, 10)
        self.assertEqual(self.queue.trouble, "")
        self.rest(one, 60, RETRY)
        self.settle(self.queue.done(two, DELIVERED))
        self.assertCounted()
        self.queue._database.execute("PRAGMA max_page_count = 1000000")
        self.successResultOf(self.tryAdd(MANY))
        self.assertCounted()
        self.restart()
        self.assertIn(one, self.queue.getResting())

    def test_P6_onlyWhatComesIsRefused(self) -> None:
        """
        Where there is no room for mail, what is asked for in the same turn is
        written all the same, and reads are read.
        """
        one, two, three = self.add("x@b.example", "y@b.example", "z@c.example")
        self.rest(three, 60, RETRY)
        self.queue.setRelaying(two)
        self.fill()
        self.clock.advance(60)
        refused = [self.queue.add(ENVELOPE, MANY) for _ in range(60)]
        done = self.queue.done(one, DELIVERED)
        rested = self.queue.setWaiting(two, self.clock.seconds() + 60, RETRY)
        self.queue.readDirectory()
        self.settleAll()
        for each in refused:
            self.failureResultOf(each, QueueFull)
        self.successResultOf(done)
        self.successResultOf(rested)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertEqual(self.queue.getWaiting(), [three])
        self.assertEqual(
            self.ask("SELECT id, lease IS NULL FROM recipient ORDER BY id"),
            [(int(two), 1), (int(three), 1)],
        )
        self.assertCounted()

    def test_P5_bounceStaysWithItsNotice(self) -> None:
        """
        A bounce whose notice finds no room is no bounce yet, but what else is
        asked for in its turn is written.
        """
        bad, good = self.add("x@b.example", "y@b.example")
        for name in (bad, good):
            self.queue.setRelaying(name)
        self.fill()
        told = [
            self.queue.add(Envelope("", ("me@a.example",)), MANY) for _ in range(60)
        ]
        bounced = self.queue.done(bad, BOUNCE)
        done = self.queue.done(good, DELIVERED)
        self.settleAll()
        for each in told:
            self.failureResultOf(each, QueueFull)
        self.failureResultOf(bounced, QueueFull)
        self.successResultOf(done)
        self.assertEqual(list(self.queue.getResting()), [bad])
        self.assertEqual(self.ask("SELECT id FROM recipient"), [(int(bad),)])
        self.assertCounted()

    def test_P6_logIsCopied(self) -> None:
        """
        Where the log cannot become longer, and all that is in it can be copied,
        it is, and written from its beginning: nothing is refused.
        """
        self.add("x@b.example")
        database = FailingDatabase(self.queue, sqlite3.SQLITE_FULL)
        (name,) = self.add("y@b.example")
        database.code = sqlite3.SQLITE_FULL
        self.settle(self.queue.done(name, DELIVERED))
        self.assertEqual(database.copied, 2)
        self.assertCounted()

    def test_P6_whatCannotBeReadTwice(self) -> None:
        """
        A content that can be read once is refused for want of room, although it
        is not tried again.
        """
        pipe, end = os.pipe()
        os.write(end, MESSAGE)
        os.close(end)
        FailingDatabase(self.queue, sqlite3.SQLITE_FULL)
        with open(pipe, "rb") as content:
            added = self.queue.add(ENVELOPE, content)
            self.settleAll()
        self.failureResultOf(added, QueueFull)

    def test_P6_noRoom(self) -> None:
        """
        Where the file system has little room mail is refused before it comes.
        """
        self.disk.capacity = 1024
        self.failureResultOf(self.tryAdd(), QueueFull)
        self.assertRaises(QueueFull, self.queue.createNewMessage)
        self.disk.capacity = None
        self.clock.advance(BELIEVED)
        self.successResultOf(self.tryAdd())

    def test_P6_filesHaveNoRoom(self) -> None:
        """
        Where a large content has no room it is refused, and is not left there.
        """
        self.disk.fail("write", errno.ENOSPC)
        self.failureResultOf(self.tryAdd(LARGE), QueueFull)
        self.assertEqual(self.contents(), [])
        self.assertEqual(self.queue.getWaiting(), [])
        self.successResultOf(self.tryAdd(LARGE))

    def test_P6_somebodyElseWrites(self) -> None:
        """
        Where somebody keeps the database from being written nothing is, and it
        goes on when he has gone.
        """
        self.patch(rows, "PATIENCE", 0.0)
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        self.failureResultOf(self.tryAdd(), QueueUnusable)
        self.assertEqual(self.queue.trouble, "")
        other.execute("ROLLBACK")
        self.successResultOf(self.tryAdd())

    def test_P2_refusedIsNowhere(self) -> None:
        """
        What could not be taken is not there, now or after a restart, and takes
        up no room in the window.
        """
        self.breakWriting()
        self.failureResultOf(self.tryAdd(), QueueUnusable)
        self.repair()
        self.assertEqual(self.queue._backlog.held, {})
        self.restart()
        self.assertEqual((self.queue.getWaiting(), self.queue.getResting()), ([], {}))

    def test_P3_timeThatIsNotWritten(self) -> None:
        """
        A time that cannot be written holds until the restart, and then it is
        tried too early; the mail is there.
        """
        (name,) = self.add("x@b.example")
        self.queue.setRelaying(name)
        self.breakWriting()
        self.settle(self.queue.setWaiting(name, NOW + 60, RETRY))
        self.repair()
        self.assertEqual(self.queue.nextDue(), NOW + 60)
        self.assertEqual(self.queue.getResting(), {name: NOW + 60})
        self.pass_(60)
        self.rest(name, 600, RETRY)
        self.assertCounted()
        self.assertEqual(self.restart().getResting(), {name: NOW + 660})

    def test_P4_departureThatIsNotWritten(self) -> None:
        """
        What is delivered is not offered again though that cannot be written;
        it is tried again until it can.
        """
        (name,) = self.add("x@b.example", content=LARGE)
        self.queue.setRelaying(name)
        self.breakWriting()
        done = self.queue.done(name, DELIVERED)
        self.settleAll()
        self.failureResultOf(done, QueueUnusable)
        self.pass_(leaving.LONGEST)
        self.repair()
        for _ in range(3):
            self.assertEqual(self.queue.getWaiting(), [])
            self.assertEqual(self.queue.getResting(), {})
            self.assertRaises(KeyError, self.queue.letter, name)
            self.assertRaises(KeyError, self.queue.addMessage, name)
            self.pass_(leaving.LONGEST)
        self.assertEqual(self.ask("SELECT * FROM recipient"), [])
        self.assertEqual(self.contents(), [])
        self.assertCounted()

    def test_P6_departureGoesWithTheNextWrite(self) -> None:
        """
        As soon as something else has been written, what could not be is tried
        again.
        """
        (name,) = self.add("x@b.example")
        self.breakWriting()
        done = self.queue.done(name, DELIVERED)
        self.settleAll()
        self.failureResultOf(done, QueueUnusable)
        self.assertEqual(self.queue.getLeaving(), [name])
        self.repair()
        (other,) = self.add("z@c.example")
        self.assertEqual(self.queue.getLeaving(), [])
        self.assertEqual(self.queue.getWaiting(), [other])
        self.assertEqual(len(self.ask("SELECT * FROM recipient")), 1)
        self.assertCounted()

    def test_P5_noticeThatIsNotTaken(self) -> None:
        """
        A name whose notice could not be written is mail: it rests and waits
        again.
        """
        (name,) = self.add("x@b.example")
        self.queue.setRelaying(name)
        self.breakWriting()
        added = self.queue.add(Envelope("", ("me@a.example",)), MESSAGE)
        done = self.queue.done(name, BOUNCE)
        self.settleAll()
        self.failureResultOf(added, QueueUnusable)
        self.failureResultOf(done, QueueUnusable)
        self.repair()
        self.assertEqual(self.queue.getResting(), {name: NOW + PUT_BACK})
        self.pass_(PUT_BACK)
        self.assertEqual(self.queue.getWaiting(), [name])
        self.settle(self.queue.setRelaying(name))
        added = self.queue.add(Envelope("", ("me@a.example",)), MESSAGE)
        self.settle(self.queue.done(name, BOUNCE))
        (notice,) = self.successResultOf(added)
        self.assertEqual(self.queue.getWaiting(), [notice])
        self.assertCounted()

    def test_P5_noticeOfDelayThatIsNotTaken(self) -> None:
        """
        Where a notice that mail is late could not be taken, nobody was told.
        """
        (name,) = self.add("x@b.example")
        self.queue.setRelaying(name)
        self.fill()
        added = [
            self.queue.add(Envelope("", ("me@a.example",)), MANY) for _ in range(60)
        ]
        told = self.queue.told(name)
        rested = self.queue.setWaiting(name, NOW + 60, RETRY)
        self.settleAll()
        for each in added:
            self.failureResultOf(each, QueueFull)
        for each in (told, rested):
            self.successResultOf(each)
        self.assertEqual(len(self.flushLoggedErrors(QueueFull)), 1)
        self.assertFalse(self.queue.letter(name).isTold)
        self.assertEqual(self.queue.getResting(), {name: NOW + 60})
        self.queue._database.execute("PRAGMA max_page_count = 1000000")
        self.settle(self.queue.told(name))
        self.assertTrue(self.queue.letter(name).isTold)

    def test_P10_departureIsTriedOnceMoreAtTheEnd(self) -> None:
        """
        What could not be written is tried before the spool stops: what was
        delivered is not sent again for want of a minute.
        """
        (name,) = self.add("x@b.example")
        self.breakWriting()
        done = self.queue.done(name, DELIVERED)
        self.settleAll()
        self.failureResultOf(done, QueueUnusable)
        self.repair()
        self.settle(self.queue.stop())
        self._opened.clear()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.queue = self.open()
        self.assertEqual(self.queue.getWaiting(), [])

    def test_P5_memoryOfWhatWasPutBack(self) -> None:
        """
        A name that is put back gives its part of the memory back once.
        """
        kept = self.queue._kept = self.queue.arriving._kept = Kept(len(MESSAGE))
        name, other = self.add("x@b.example", "y@b.example")
        for _ in range(2):
            self.breakWriting()
            done = self.queue.done(name, BOUNCE)
            self.settleAll()
            self.failureResultOf(done, QueueUnusable)
            self.repair()
        self.assertEqual(self.queue.letter(name).file.read(), MESSAGE)
        self.assertIsNone(kept.take(0, 1, MESSAGE))
        self.settle(self.queue.done(other, DELIVERED))
        self.assertIsNotNone(kept.take(0, 1, MESSAGE))

    def test_P5_bounceOfNobodysMailGoes(self) -> None:
        """
        A notice that bounces has no notice: it goes as what is delivered does.
        """
        (name,) = self.add("x@b.example", sender="")
        self.breakWriting()
        done = self.queue.done(name, BOUNCE)
        self.settleAll()
        self.failureResultOf(done, QueueUnusable)
        self.repair()
        self.pass_(leaving.LONGEST)
        self.assertEqual(self.ask("SELECT * FROM recipient"), [])
        self.assertEqual(
            sorted(self.ask("SELECT * FROM total")),
            [("discarded", 1), ("generated", 1)],
        )

    def test_P7_asideThatIsNotWritten(self) -> None:
        """
        What is set aside is not offered though that cannot be written.
        """
        (name,) = self.add("x@b.example")
        self.breakWriting()
        self.queue.setAside(name, "it is broken")
        self.settleAll()
        self.assertEqual(self.queue.getWaiting(), [])
        self.repair()
        self.pass_(leaving.LONGEST)
        self.assertEqual(self.ask("SELECT aside FROM recipient"), [("it is broken",)])
        self.assertCounted()

    def test_P6_claimThatIsNotWritten(self) -> None:
        """
        A later claim that finds no room holds all the same; one that cannot
        be written for another reason is refused, and so is not.
        """
        (name,) = self.add("x@b.example")
        self.rest(name, 60, RETRY)
        self.pass_(60)
        self.breakWriting()
        claimed = self.queue.setRelaying(name)
        self.settleAll()
        self.failureResultOf(claimed, QueueUnusable)
        self.repair()
        self.assertEqual(self.queue.getRelayed(), [name])
        self.rest_(name)

    def rest_(self, name: str) -> None:
        """
        Put a claimed name back.
        """
        self.settle(self.queue.setWaiting(name, self.clock.seconds() + 60, RETRY))
        self.assertEqual(list(self.queue.getResting()), [name])
        self.assertCounted()

    def test_P3_readingIsTriedAgain(self) -> None:
        """
        What could not be read is read later.
        """
        (name,) = self.add("x@b.example")
        self.rest(name, 60, RETRY)
        self.breakWriting()
        self.queue._database.set_authorizer(lambda *asked: sqlite3.SQLITE_DENY)
        self.pass_(60)
        self.assertEqual(self.queue.getWaiting(), [])
        self.queue._database.set_authorizer(None)
        self.repair()
        self.pass_(reading.TRY_AGAIN)
        self.assertEqual(self.queue.getWaiting(), [name])

    def test_P3_revivalIsTriedAgain(self) -> None:
        """
        What was claimed by a dead process is found though it could not be at
        first.
        """
        (name,) = self.add("x@b.example")
        self.disk.kill()
        self.letGo()
        self.disk.heal()
        spool = self.makeSpool()
        self.run_ = Hand()
        spool._run = self.run_
        spool.lock()
        self._opened.append(spool)
        self.queue = spool
        self.breakWriting()
        self.workAll()
        self.repair()
        self.clock.advance(reading.TRY_AGAIN)
        self.workAll()
        self.assertEqual(self.queue.getWaiting(), [name])

    def workAll(self) -> None:
        """
        Write all there is.
        """
        self.clock.advance(0)
        while self.run_.jobs:
            self.run_.work()
            self.run_.answer()
            self.clock.advance(0)


class DamageTests(SpoolTestCase):
    """
    The database is damaged while it is open, or before.
    """

    run_: Any = staticmethod(runNow)

    def damage(self, keep: int = 0) -> bytes:
        """
        Overwrite the database, and let nothing of it be in memory.

        @return: What is there now.
        """
        for database in (self.queue._database, self.queue._catalogue._database):
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            database.execute("PRAGMA shrink_memory")
        file = Path(self.path)
        file.write_bytes(file.read_bytes()[:keep] + b"\xaa" * 40960)
        return file.read_bytes()

    def assertStopped(self) -> None:
        """
        No mail is taken and none is offered; that is said once, loudly.
        """
        self.assertIn(self.path, self.queue.trouble)
        self.assertRaises(QueueDamaged, self.queue.hasRoom)
        self.assertRaises(QueueDamaged, self.queue.createNewMessage)
        added = self.queue.add(Envelope("", ("x@b.example",)), MESSAGE)
        self.settleAll()
        self.failureResultOf(added, QueueDamaged)
        self.assertEqual(self.queue.getWaiting(), [])
        self.assertFalse(self.queue.hasWaiting())
        self.flushLoggedErrors(QueueError)

    def test_P7_atWriting(self) -> None:
        """
        Damage that is found by writing stops the spool; the file stays as it
        is.
        """
        for keep in (0, 4096):
            self.queue = self.another()
            self.add("x@b.example", "y@b.example")
            with capturedLogs() as events:
                found = self.damage(keep)
                for _ in range(3):
                    done = self.queue.add(Envelope("", ("z@c.example",)), MESSAGE)
                    self.settleAll()
                    self.failureResultOf(done, QueueDamaged)
            told = [e for e in events if e["log_level"] is LogLevel.critical]
            self.assertEqual(len(told), 1)
            self.assertStopped()
            self.assertEqual(Path(self.path).read_bytes(), found)

    def another(self) -> Any:
        """
        Begin with another spool.
        """
        self.disk.kill()
        self.letGo()
        self.disk.heal()
        self.path += "-another"
        return self.open()

    def test_P7_atReadingAName(self) -> None:
        """
        So does damage that is found by looking for a name that is not in the
        window, and by reading a content.
        """
        (name,) = self.add("x@b.example")
        self.rest(name, 60, RETRY)
        self.damage(4096)
        self.assertRaises(QueueDamaged, self.queue.letter, name)
        self.assertStopped()

    def test_P7_atReadingAContent(self) -> None:
        """
        So does damage that is found by reading a content.
        """
        self.add("x@b.example")
        self.restart()
        (name,) = self.queue.getWaiting()
        letter = self.queue.letter(name)
        self.damage(4096)
        self.assertRaises(QueueDamaged, letter.file.read)
        self.assertStopped()

    def test_P7_atTheStart(self) -> None:
        """
        A damaged database is not opened, is not made anew, and is let go.
        """
        self.add("x@b.example")
        for keep in (0, 4096):
            found = self.damage(keep)
            self.disk.kill()
            self.letGo()
            self.disk.heal()
            for _ in range(2):
                spool = self.makeSpool()
                self.assertRaises(QueueDamaged, spool.lock)
                self.assertEqual(Path(self.path).read_bytes(), found)
                # Nothing of it is open any more.
                self.assertFalse(os.path.exists(self.path + "-wal"))
            self.path += "-another"
            self.queue = self.open()

    def test_P7_atTheCheck(self) -> None:
        """
        So does damage that only the check finds.
        """
        (name,) = self.add("x@b.example")
        self.settle(self.queue.examine(runNow))
        self.assertEqual(self.queue.getWaiting(), [name])
        self.damage(4096)
        self.settle(self.queue.examine(runNow))
        self.assertStopped()

    def test_P1_syncFailed(self) -> None:
        """
        A disk that says it did not keep what it said it had is not trusted.
        """
        (name,) = self.add("x@b.example")
        FailingDatabase(self.queue, sqlite3.SQLITE_IOERR_FSYNC)
        done = self.queue.done(name, DELIVERED)
        self.settleAll()
        self.failureResultOf(done, QueueDamaged)
        self.assertStopped()

    def test_P1_nothingIsWrittenAfterwards(self) -> None:
        """
        Nor is it if it seems to be well again: nothing is written any more, when
        the spool is closed neither.  What was delivered is not offered again by
        this process.
        """
        one, two, three = self.add("x@b.example", "y@c.example", "z@d.example")
        self.queue.setRelaying(two)
        database = FailingDatabase(self.queue, sqlite3.SQLITE_IOERR_FSYNC)
        first = self.queue.done(one, DELIVERED)
        self.settleAll()
        database.code = 0
        found = self.files()
        second = self.queue.done(two, DELIVERED)
        self.assertRaises(QueueDamaged, self.queue.setRelaying, three)
        self.settleAll()
        for done in (first, second):
            self.failureResultOf(done, QueueDamaged)
        self.pass_(3600)
        self.assertEqual(set(self.queue.getLeaving()), {one, two})
        self.assertStopped()
        self.settle(self.queue.stop())
        self._opened.clear()
        self.assertEqual(self.files(), found)
        # A start after somebody has looked finds what there was.
        self.queue = self.open()
        self.assertEqual(len(self.queue.getWaiting()), 3)

    def files(self) -> tuple[bytes, bytes]:
        """
        Give the database and its log, as they are.
        """
        return Path(self.path).read_bytes(), Path(self.path + "-wal").read_bytes()

    def test_P1_nothingIsWrittenAfterReading(self) -> None:
        """
        Damage that is found by reading ends the writing, too.
        """
        (name,) = self.add("x@b.example")
        self.queue._suffer("it is broken")
        found = self.files()
        done = self.queue.done(name, DELIVERED)
        self.settleAll()
        self.failureResultOf(done, QueueDamaged)
        self.assertEqual(self.files(), found)
        self.assertStopped()

    def test_P7_messageRowIsMissing(self) -> None:
        """
        A content whose row is gone cannot be read.
        """
        self.add("x@b.example")
        self.restart()
        (name,) = self.queue.getWaiting()
        letter = self.queue.letter(name)
        self.ask("DELETE FROM message")
        self.assertRaises(UnreadableEntry, letter.file.read)
        self.assertEqual(self.queue.trouble, "")
