"""
Tests for what a spool finds when it is opened again, and what its files are.
"""

from __future__ import annotations

import errno
import io
import os
import random
import sqlite3
import stat
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import Envelope, Parameters
from relaymail.errors import QueueError, QueueLocked, QueueUnusable, UnreadableEntry
from relaymail.queue.spool import numbers, reading
from relaymail.queue.spool.bodies import LARGEST_ROW
from relaymail.queue.spool.spool import Spool
from relaymail.test.queue.contract import DELIVERED, MESSAGE, NOW, RETRY
from relaymail.test.queue.spool.spools import (
    BOUNCE,
    EVERY_BYTE,
    Hand,
    SpoolTestCase,
    runNow,
)

LARGE = EVERY_BYTE * 2


class RestartTests(SpoolTestCase):
    """
    The process dies, and the next one opens the spool.
    """

    def waiting(self) -> list[str]:
        """
        Give what waits.
        """
        self.pass_(0)
        names: list[str] = self.queue.getWaiting()
        return names

    def test_P1_contents(self) -> None:
        """
        What was taken is there to the byte, in a row and in a file, and so is
        what its envelope said.
        """
        envelope = Envelope("me@a.example", ("x@b.example",), Parameters("8BITMIME"))
        sent = [EVERY_BYTE, LARGE, io.BytesIO(LARGE), b""]
        for content in sent:
            self.settle(self.queue.add(envelope, content))
        self.restart()
        found = []
        for name in self.waiting():
            letter = self.queue.letter(name)
            self.assertEqual(letter[:2], ["me@a.example", "x@b.example"])
            self.assertEqual(letter.parameters, Parameters("8BITMIME"))
            with letter.file as file:
                found.append(file.read())
            self.assertEqual(letter.content.size, len(found[-1]))
            self.assertEqual(letter.content.eightBit, not found[-1].isascii())
        self.assertEqual(found, [EVERY_BYTE, LARGE, LARGE, b""])

    def test_P3_standing(self) -> None:
        """
        Where a name stood is where it stands: its attempts, its time, when it
        came and what was said.
        """
        (name,) = self.add("x@b.example")
        self.rest(name, 60, RETRY)
        self.pass_(60)
        self.rest(name, 600, RETRY)
        self.restart()
        self.assertEqual(self.queue.getResting(), {name: NOW + 660})
        self.assertEqual(self.queue.nextDue(), NOW + 660)
        letter = self.queue.letter(name)
        self.assertEqual((letter.attempts, letter.arrived), (2, NOW))
        (row,) = self.ask("SELECT status, reply FROM recipient")
        self.assertEqual(row, (RETRY.status, RETRY.text))
        self.pass_(600)
        self.assertEqual(self.queue.getWaiting(), [name])

    def test_P9_claimsOfTheDeadAreVoid(self) -> None:
        """
        What was claimed is due at once, first claims and later ones.
        """
        first, later = self.add("x@b.example", "y@c.example")
        self.rest(later, 60, RETRY)
        self.pass_(60)
        for name in (first, later):
            self.settle(self.queue.setRelaying(name))
        self.restart()
        self.assertEqual(sorted(self.waiting()), [first, later])
        self.assertEqual(self.queue.getRelayed(), [])
        self.assertEqual(self.queue.letter(later).attempts, 2)
        self.assertCounted()

    def test_P9_inStretches(self) -> None:
        """
        However many were claimed, all of them are found, in small steps.
        """
        self.patch(reading, "STRETCH", 3)
        names = [self.add(f"{n}@b.example")[0] for n in range(20)]
        for name in names[:5]:
            self.rest(name, 3600, RETRY)
        self.pass_(1800)
        names += self.add("x@c.example", "y@b.example")
        self.restart()
        self.assertEqual(sorted(self.waiting()), sorted(names[5:]))
        self.pass_(1800)
        self.assertEqual(sorted(self.waiting()), sorted(names))

    def test_P9_laterClaimsDoNotHideEarlierOnes(self) -> None:
        """
        What is found in a later stretch may have been due before what was
        found in the first.
        """
        self.patch(reading, "STRETCH", 1)
        old, new = self.add("x@b.example", "y@b.example")
        self.rest(old, 600, RETRY)
        self.pass_(600)
        self.settle(self.queue.setRelaying(old))
        self.restart()
        self.assertEqual(sorted(self.waiting()), [old, new])

    def test_P4_doneStaysDone(self) -> None:
        """
        What is done with never comes back, whether it rested or was new.
        """
        one, two, three = self.add("x@b.example", "y@b.example", "z@c.example")
        self.rest(two, 60, RETRY)
        for name in (one, two):
            self.settle(self.queue.done(name, DELIVERED))
        self.restart()
        self.pass_(3600)
        self.assertEqual(self.queue.getWaiting(), [three])
        self.assertRaises(KeyError, self.queue.letter, one)

    def test_namesNeverRepeat(self) -> None:
        """
        A name is not given again, not even after it has gone.
        """
        self.patch(numbers, "RESERVED", 3)
        given: list[str] = []
        for _ in range(4):
            for _ in range(3):
                given += (names := self.add("x@b.example", "y@b.example"))
                self.settle(self.queue.done(names[0]))
                self.settle(self.queue.done(names[1]))
            self.restart()
        self.assertEqual(len(set(given)), 24)

    def test_P7_asideStaysAside(self) -> None:
        """
        What was set aside is not offered again, and stays where it is.
        """
        bad, good = self.add("x@b.example", "y@b.example")
        self.queue.setAside(bad, "it is broken")
        self.settleAll()
        self.restart()
        self.assertEqual(self.waiting(), [good])
        self.assertRaises(KeyError, self.queue.addMessage, bad)
        self.assertEqual(
            self.ask("SELECT id, aside FROM recipient WHERE aside IS NOT NULL"),
            [(int(bad), "it is broken")],
        )
        self.assertCounted()

    def test_P7_contentIsMissing(self) -> None:
        """
        A content whose file is not there, or is not all there, cannot be read.
        """
        gone, short, good = (
            self.add("x@b.example", content=LARGE)[0] for _ in range(3)
        )
        self.restart()
        self.disk.unlink(f"{self.path}-contents/{gone}")
        self.disk.plant(f"{self.path}-contents/{short}", LARGE[:-1])
        self.assertEqual(self.waiting(), [gone, short, good])
        for name in (gone, short):
            self.assertRaises(UnreadableEntry, self.queue.letter, name)
        self.assertEqual(self.queue.letter(good).file.read(), LARGE)

    def test_P7_messageIsMissing(self) -> None:
        """
        A recipient whose message is not there is set aside, and the rest goes
        on.
        """
        bad, good = self.add("x@b.example")[0], self.add("y@b.example")[0]
        self.ask("DELETE FROM message WHERE id = ?", int(bad))
        self.restart()
        self.assertEqual(self.waiting(), [good])
        self.settleAll()
        ((why,),) = self.ask("SELECT aside FROM recipient WHERE id = ?", int(bad))
        self.assertIn("is not there", why)
        self.assertCounted()

    def test_whatIsNobodysGoes(self) -> None:
        """
        A file that a dead process left behind is removed; mail's is not.
        """
        (name,) = self.add("x@b.example", content=LARGE)
        self.disk.plant(f"{self.path}-contents/12", b"left behind")
        self.restart()
        self.assertEqual(self.contents(), [name])

    def test_destinationsThatHaveNothing(self) -> None:
        """
        A destination whose mail has gone is forgotten at the next start.
        """
        gone, _ = self.add("x@b.example", "y@c.example")
        self.settle(self.queue.setRelaying(gone))
        self.settle(self.queue.done(gone))
        self.restart()
        self.assertEqual(self.ask("SELECT name FROM destination"), [("c.example",)])

    def test_countersDoNotDecide(self) -> None:
        """
        What rests is found whatever the counters say.
        """
        (name,) = self.add("x@b.example")
        self.rest(name, 60, RETRY)
        self.ask("UPDATE destination SET resting = 0")
        self.restart()
        self.pass_(60)
        self.assertEqual(self.queue.getWaiting(), [name])


class TurnRestartTests(RestartTests):
    """
    The same where turns are written together.
    """

    run_ = staticmethod(runNow)


class RandomTests(SpoolTestCase):
    """
    Anything in any order.
    """

    #: How many orders, and how much in each.
    seeds = 12
    steps = 60

    def test_P3_countersAndMail(self) -> None:
        """
        Whatever happens, failures of the disk included, the counters are those
        of the rows, and every name that was taken waits, is claimed, rests or
        has gone.
        """
        for seed in range(self.seeds):
            self.chance = random.Random(seed)
            self.mail: set[str] = set()
            for _ in range(self.steps):
                self.step()
                self.settleAll()
                self.assertCounted()
                self.assertBalanced()
                self.assertAllThere()
            self.restart()
            self.assertCounted()
            self.pass_(100_000)
            self.deliver()
            self.assertEqual(self.mail, set())
            left = self.ask("SELECT id FROM message WHERE content IS NULL")
            self.assertEqual(self.contents(), sorted(str(id) for (id,) in left))
            self.assertEqual(
                self.ask("SELECT * FROM recipient WHERE aside IS NULL"), []
            )
            self.ask("DELETE FROM recipient")
        self.flushLoggedErrors(QueueError)

    def setUp(self) -> None:
        """
        Begin with a worker that is told when to work.
        """
        self.run_ = self.hand = Hand()
        super().setUp()

    def settleAll(self) -> None:
        """
        Let the turns end, and all be written.
        """
        self.clock.advance(0)
        while self.hand.jobs:
            self.hand.work()
            self.hand.answer()
            self.clock.advance(0)

    def open(self) -> Any:
        """
        Open the spool with a small window.
        """
        spool = super().open()
        backlog = spool._backlog
        backlog.share, backlog.room, backlog.least = 4, 6, 1
        return spool

    def deliver(self) -> None:
        """
        Deliver all that waits, and what waits then, until there is nothing.
        """
        while names := self.queue.getWaiting():
            self.assertLessEqual(set(names), self.mail)
            for name in names:
                self.settle(self.queue.done(name, DELIVERED))
                self.mail.discard(name)
            self.pass_(0)

    def assertBalanced(self) -> None:
        """
        What came has gone, was set aside or is queued.
        """
        found = dict(self.ask("SELECT name, count FROM total"))
        came = found.pop("accepted", 0) + found.pop("generated", 0)
        ((queued,),) = self.ask("SELECT coalesce(sum(queued), 0) FROM destination")
        self.assertEqual(came, queued + sum(found.values()))

    def assertAllThere(self) -> None:
        """
        No name is lost, and none comes back.
        """
        queue = self.queue
        names = [*queue.getWaiting(), *queue.getRelayed(), *queue.getResting()]
        self.assertEqual(sorted(names), sorted(self.mail))

    def step(self) -> None:
        """
        Do something.
        """
        kinds = [self.come, self.come, self.claim, self.claim, self.giveBack]
        kinds += [self.giveBack, self.go, self.wake, self.aside, self.time]
        kinds += [self.turns, self.full, self.broken]
        if self.chance.random() < 0.05:
            self.restart()
            self.pass_(0)
        self.chance.choice(kinds)()

    def pick(self, names: list[str]) -> str | None:
        """
        Choose a name.
        """
        return self.chance.choice(sorted(names)) if names else None

    def come(self) -> None:
        """
        Mail comes.
        """
        count = self.chance.randint(1, 3)
        people = [f"{n}@{self.chance.choice('bc')}.example" for n in range(count)]
        content: Any = self.chance.choice([MESSAGE, LARGE])
        self.queue.add(Envelope("me@a.example", tuple(people)), content).addCallbacks(
            self.mail.update, lambda failure: None
        )

    def claim(self) -> None:
        """
        A name is claimed.
        """
        if name := self.pick(self.queue.getWaiting()):
            claimed = self.queue.setRelaying(name)
            if claimed is not None:
                claimed.addErrback(lambda failure: None)

    def giveBack(self) -> None:
        """
        One is given back.
        """
        if name := self.pick(self.queue.getRelayed()):
            seconds = self.chance.choice([None, 0, 60, 3600])
            when = None if seconds is None else self.clock.seconds() + seconds
            self.queue.setWaiting(name, when, RETRY)

    def go(self) -> None:
        """
        One is done with.
        """
        if name := self.pick(list(self.mail)):
            outcome = self.chance.choice([None, DELIVERED, BOUNCE])
            done = self.queue.done(name, outcome)
            self.mail.discard(name)
            if outcome is BOUNCE:
                # Without its notice it is mail.
                done.addErrback(lambda failure: self.mail.add(name))
            done.addErrback(lambda failure: None)

    def wake(self) -> None:
        """
        One that may rest is to be tried now.
        """
        if name := self.pick(list(self.mail)):
            self.queue.addMessage(name)

    def aside(self) -> None:
        """
        One is set aside.
        """
        if self.chance.random() < 0.3 and (name := self.pick(list(self.mail))):
            self.queue.setAside(name, "it is broken")
            self.mail.discard(name)
            self.flushLoggedErrors()

    def time(self) -> None:
        """
        Time passes.
        """
        self.pass_(self.chance.choice([0, 60, 61, 3600]))

    def turns(self) -> None:
        """
        Some things happen in turns that share a transaction.
        """
        kinds = [self.come, self.claim, self.giveBack, self.go]
        for kind in self.chance.choices(kinds, k=6):
            kind()
            if self.chance.random() < 0.7:
                self.clock.advance(0)
        self.settleAll()

    def full(self) -> None:
        """
        The disk has no room for some of what comes then.
        """
        self.disk.fail("finish", errno.ENOSPC, after=1, times=3)
        self.turns()
        self.disk.repair()
        self.recover()

    def broken(self) -> None:
        """
        Some kinds of rows cannot be written.
        """
        kinds = (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE)
        denied = self.chance.sample(kinds, k=self.chance.randint(1, 3))

        def judge(kind: int, *asked: object) -> int:
            return sqlite3.SQLITE_DENY if kind in denied else sqlite3.SQLITE_OK

        self.queue._database.set_authorizer(judge)
        self.turns()
        self.queue._database.set_authorizer(None)
        self.recover()

    def recover(self) -> None:
        """
        It is tried again.
        """
        self.pass_(60)
        self.flushLoggedErrors(QueueError)


class LockTests(SynchronousTestCase):
    """
    Whose a spool is.
    """

    def setUp(self) -> None:
        """
        Begin with a directory.
        """
        os.mkdir(directory := os.path.abspath(self.mktemp()), 0o700)
        self.path = directory + "/queue"
        self.clock = Clock()
        self.clock.advance(NOW)

    def make(self) -> Spool:
        """
        Open it.
        """
        spool = Spool(self.path, self.clock)
        spool.noisy = False
        spool.lock()
        self.addCleanup(spool.stop)
        return spool

    def test_P4_second(self) -> None:
        """
        Another one is refused, the first goes on; afterwards it may have it.
        """
        first = self.make()
        self.assertRaises(QueueLocked, Spool(self.path, self.clock).lock)
        added = first.add(Envelope("", ("x@b.example",)), MESSAGE)
        names = self.successResultOf(added)
        self.successResultOf(first.stop())
        second = self.make()
        second.lock()
        self.assertEqual(second.getWaiting(), names)

    def test_stopBeforeLock(self) -> None:
        """
        What was never opened can be stopped, and what was stopped again.
        """
        self.successResultOf(Spool(self.path, self.clock).stop())
        spool = self.make()
        self.successResultOf(spool.stop())
        self.successResultOf(spool.stop())

    def test_A08_modes(self) -> None:
        """
        Every file is 0600 and every directory 0700, whatever the umask.
        """
        self.addCleanup(os.umask, os.umask(0))
        spool = self.make()
        large = MESSAGE * LARGEST_ROW
        self.successResultOf(spool.add(Envelope("", ("x@b.example",)), large))
        found: dict[str, int] = {}
        for top, _, files in os.walk(os.path.dirname(self.path)):
            for each in (top, *(f"{top}/{file}" for file in files)):
                found[each] = stat.S_IMODE(os.stat(each).st_mode)
        wanted = {each: 0o700 if os.path.isdir(each) else 0o600 for each in found}
        self.assertEqual((len(found), found), (6, wanted))

    def test_A08_othersMayWrite(self) -> None:
        """
        A spool whose contents others may change is refused, and left alone.
        """
        os.mkdir(self.path + "-contents")
        os.chmod(self.path + "-contents", 0o770)
        error = self.assertRaises(QueueUnusable, Spool(self.path, self.clock).lock)
        self.assertIn("chmod", str(error))
        self.assertFalse(os.path.exists(self.path))

    def test_refusedIsLetGo(self) -> None:
        """
        Where the database is refused, the lock is not kept, nor the file.
        """
        with sqlite3.connect(self.path) as database:
            database.execute("CREATE TABLE bookmarks (name)")
        database.close()
        for _ in range(2):
            self.assertRaises(QueueUnusable, Spool(self.path, self.clock).lock)
        os.unlink(self.path)
        self.make()
