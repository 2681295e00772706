"""
Tests for which names of a spool are in memory, and for what is asked while
something is being written or read.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from relaymail.envelopes import DeliverBy, Envelope, Parameters
from relaymail.errors import QueueError
from relaymail.queue.spool import reading
from relaymail.queue.spool.bodies import Kept
from relaymail.test.queue.contract import DELIVERED, MESSAGE, NOW, RETRY
from relaymail.test.queue.spool.spools import (
    BOUNCE,
    Hand,
    SpoolTestCase,
    runNow,
)


class WindowTests(SpoolTestCase):
    """
    There is little in memory, however much there is on the disk.
    """

    run_: Any = staticmethod(runNow)
    share, room, least = 4, 10, 2

    def open(self) -> Any:
        """
        Open the spool with a small window.
        """
        spool = super().open()
        backlog = spool._backlog
        backlog.share, backlog.room, backlog.least = self.share, self.room, self.least
        return spool

    def fill(self, count: int, domain: str = "b.example") -> list[str]:
        """
        Have messages taken.
        """
        return [self.add(f"{number}@{domain}")[0] for number in range(count)]

    def deliver(self, *domains: str) -> list[str]:
        """
        Deliver all that waits, of some destinations only if they are named.

        @return: The recipients.
        """
        found = []
        for name in self.queue.getWaiting():
            recipient = str(self.queue.getEnvelope(name)[1])
            if domains and recipient.partition("@")[2] not in domains:
                continue
            self.settle(self.queue.setRelaying(name))
            with self.queue.letter(name).file as file:
                self.assertEqual(file.read(), MESSAGE)
            self.settle(self.queue.done(name, DELIVERED))
            found.append(recipient)
        return found

    def test_bounds(self) -> None:
        """
        A destination has its share in memory and no more, all have the room,
        and then each has a little.
        """
        self.fill(20)
        self.assertEqual(len(self.queue.getWaiting()), 4)
        self.fill(20, "c.example")
        self.fill(20, "d.example")
        self.fill(20, "e.example")
        self.assertEqual(len(self.queue.getWaiting()), 4 + 4 + 2 + 2)
        self.assertEqual(len(self.queue._entries), 12)
        self.assertCounted()

    def test_recipientsOfOneMessage(self) -> None:
        """
        So it is when they are the recipients of one message.
        """
        names = self.add(*(f"{number}@b.example" for number in range(20)))
        self.assertEqual(self.queue.getWaiting(), names[:4])
        self.assertEqual(set(self.queue.getResting()), set(names[4:]))
        sent = self.drain()
        self.assertEqual(sent, [f"{number}@b.example" for number in range(20)])

    def drain(self) -> list[str]:
        """
        Deliver until there is nothing.
        """
        sent: list[str] = []
        while found := self.deliver():
            self.assertLessEqual(len(self.queue._entries), 4)
            sent += found
            self.queue.readDirectory()
            self.settleAll()
        self.assertIsNone(self.queue.nextDue())
        self.assertEqual(self.ask("SELECT * FROM recipient"), [])
        self.assertCounted()
        return sent

    def test_spillsAndComesBack(self) -> None:
        """
        What does not fit rests on the disk, and comes in order when there is
        room.
        """
        self.fill(30)
        self.assertEqual(self.drain(), [f"{n}@b.example" for n in range(30)])

    def test_suspended(self) -> None:
        """
        What is suspended is not read before it is over; what was read and is
        postponed leaves the memory.
        """
        until = {"b.example": NOW + 100}
        self.queue.suspendedUntil = until.get
        self.fill(8)
        for name in self.queue.getWaiting():
            self.settle(self.queue.postpone(name, NOW + 100))
        self.assertEqual(len(self.queue._entries), 0)
        self.assertEqual(self.queue.nextDue(), NOW + 100)
        self.clock.advance(100)
        self.queue.readDirectory()
        self.clock.advance(0)
        self.assertEqual(len(self.deliver()), self.share)

    def test_suspensionThatIsOver(self) -> None:
        """
        What rests because of it is read once it is looked at again.
        """
        until = {"b.example": NOW + 100}
        self.queue.suspendedUntil = until.get
        self.fill(8)
        waiting = len(self.deliver())
        self.assertEqual(waiting, self.share)
        until.clear()
        self.queue.lookAgain()
        self.clock.advance(0)
        self.assertEqual(len(self.deliver()), 8 - waiting)

    def test_P7_nothingIsDueWhenDamaged(self) -> None:
        """
        Of a spool that is damaged nothing comes due: nobody is woken for what is
        not read.
        """
        self.queue.suspendedUntil = {"b.example": NOW + 100}.get
        self.fill(8)
        self.assertEqual(self.queue.nextDue(), NOW + 100)
        self.queue._suffer("a page is missing")
        self.assertIsNone(self.queue.nextDue())
        self.assertEqual(self.queue.getWaiting(), [])

    def test_askingFails(self) -> None:
        """
        Where it cannot be said what is suspended, all is read.
        """

        def failing(destination: str) -> float:
            raise ValueError(destination)

        self.queue.suspendedUntil = failing
        self.fill(8)
        count = len(self.deliver()) + len(self.deliver())
        self.assertEqual(count, 8)
        self.assertTrue(self.flushLoggedErrors(ValueError))

    def test_D31_wakeOld(self) -> None:
        """
        What is suspended and old is read all the same, a part of it at once,
        and all of it in time.
        """
        until = {"b.example": NOW + 10_000}
        self.queue.suspendedUntil = until.get
        self.fill(30)
        waiting = len(self.deliver())
        self.assertEqual(waiting, self.share)
        self.clock.advance(500)
        self.queue.wakeOld(NOW)
        self.clock.advance(0)
        self.assertEqual(self.queue.getWaiting(), [])
        for _ in range(12):
            self.queue.wakeOld(NOW + 1)
            self.clock.advance(0)
            self.assertLessEqual(len(self.queue._entries), self.room)
            waiting += len(self.deliver())
        self.assertEqual(waiting, 30)

    def test_D31_wakeReturning(self) -> None:
        """
        What was to be delivered by a time is read when that has come, though it is
        suspended and not old, if it is to be returned then.
        """
        self.queue.suspendedUntil = {"b.example": NOW + 10_000}.get
        names = []
        for by in (None, DeliverBy(NOW + 50, True), DeliverBy(NOW + 50)):
            asked = Parameters(deliverBy=by)
            envelope = Envelope("me@a.example", ("x@b.example",), asked)
            names += self.settle(self.queue.add(envelope, MESSAGE))
        for name in names:
            self.settle(self.queue.postpone(name, NOW + 10_000))
        self.queue._database.execute(
            "UPDATE message SET options = 'deliverBy{' WHERE options = ''"
        )
        self.assertEqual(self.queue._entries, {})
        for now, waiting in ((49, []), (50, [names[1]])):
            self.clock.advance(NOW + now - self.clock.seconds())
            self.queue.wakeOld(NOW)
            self.clock.advance(0)
            self.assertEqual(self.queue.getWaiting(), waiting)

    def test_tellsWhenItComesBack(self) -> None:
        """
        Who wants to know is told when names come into the window.
        """
        self.fill(6)
        told: list[int] = []
        self.queue.onWaiting = lambda: told.append(1)
        self.deliver()
        self.assertTrue(told)
        self.assertEqual(len(self.queue.getWaiting()), 2)

    def test_dueOrder(self) -> None:
        """
        What rests comes back in the order in which it is due.
        """
        names = self.fill(4)
        for name, seconds in zip(names, (40, 20, 30, 10), strict=True):
            self.rest(name, seconds, RETRY)
        self.assertEqual(self.queue._entries, {})
        self.assertEqual(self.queue.nextDue(), NOW + 10)
        self.pass_(20)
        self.assertEqual(self.queue.getWaiting(), [names[3], names[1]])
        self.assertEqual(self.queue.nextDue(), NOW + 30)
        self.pass_(20)
        self.assertEqual(self.queue.getWaiting()[2:], [names[2], names[0]])
        self.assertIsNone(self.queue.nextDue())

    def test_nothingIsReadBeforeItIsDue(self) -> None:
        """
        What rests for long is not in memory.
        """
        for _ in range(5):
            for name in self.fill(4):
                self.rest(name, 600, RETRY)
        self.pass_(599)
        self.assertEqual((self.queue.getWaiting(), len(self.queue._entries)), ([], 0))
        self.assertEqual(len(self.queue.getResting()), 20)

    def test_retriesDoNotKeepOthersOut(self) -> None:
        """
        However many retries of a destination are due, new mail for others
        waits at once, and mail for itself before long.
        """
        for _ in range(10):
            for name in self.fill(4):
                self.rest(name, 600, RETRY)
        self.pass_(600)
        self.assertEqual(len(self.queue.getWaiting()), 4)
        self.fill(2, "c.example")
        self.assertEqual(self.deliver("c.example"), ["0@c.example", "1@c.example"])
        self.add("new@b.example")
        self.assertIn("new@b.example", self.drain())

    def test_P8_clockThatIsSetBack(self) -> None:
        """
        Mail that is put back after the clock was is read when it is due.
        """
        old, new = self.fill(2)
        self.rest(old, 600, RETRY)
        self.pass_(600)
        self.settle(self.queue.setRelaying(old))
        # It is read, so what follows is after it.
        self.clock.rightNow = NOW
        self.settle(self.queue.setRelaying(new))
        self.settle(self.queue.setWaiting(new, NOW + 60, RETRY))
        self.pass_(60)
        self.assertEqual(self.queue.getWaiting(), [new])

    def test_doneOutsideTheWindow(self) -> None:
        """
        What rests on the disk can be looked at and done with.
        """
        names = self.fill(6)
        self.assertEqual(
            self.queue.getEnvelope(names[5]), ["from@a.example", "5@b.example"]
        )
        self.assertEqual(self.queue.letter(names[5]).file.read(), MESSAGE)
        self.assertEqual(self.queue.contentKey(names[5]), int(names[5]))
        self.settle(self.queue.done(names[5]))
        self.assertRaises(KeyError, self.queue.done, names[5])
        self.assertEqual(self.drain(), [f"{n}@b.example" for n in range(5)])

    def test_wakeOutsideTheWindow(self) -> None:
        """
        What rests on the disk can be made waiting, and is not met twice.
        """
        (name,) = self.fill(1)
        self.rest(name, 600, RETRY)
        self.queue.addMessage(name)
        self.assertEqual(self.queue.getWaiting(), [name])
        self.assertEqual(self.queue.getResting(), {})
        self.pass_(600)
        self.assertEqual(self.queue.getWaiting(), [name])
        self.rest(name, 60, RETRY)
        self.assertCounted()
        self.assertEqual(list(self.queue.getResting()), [name])

    def test_logIsNotHeldUp(self) -> None:
        """
        Who reads lets go of what was read: the log can be copied into the
        database, and what is read next is what is written then.
        """
        names = self.fill(6)
        self.rest(names[0], 60, RETRY)
        for name in names:
            with self.queue.letter(name).file as file:
                file.read()
        self.queue.getResting()
        self.assertRaises(KeyError, self.queue.letter, "999999999")
        database = self.queue._database
        found = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        self.assertEqual(found, (0, 0, 0))

    def test_namesThatAreNone(self) -> None:
        """
        What cannot be a name is not there.
        """
        for name in ("", "x", "-1", "1.0", "\u0661", "9" * 30, "1-D"):
            self.assertRaises(KeyError, self.queue.letter, name)

    def test_memoryOfContents(self) -> None:
        """
        What is kept in memory of the contents of new mail is given back once,
        however often a name comes and goes.
        """
        self.queue._kept = self.queue.arriving._kept = Kept(len(MESSAGE) * 2)
        one, two = self.add("x@b.example", "y@c.example")
        for _ in range(3):
            self.rest(one, 60, RETRY)
            self.pass_(60)
        # That of the first is still needed by the other.
        kept = self.queue._kept
        self.assertIsNone(kept.take(0, 1, MESSAGE * 2))
        self.settle(self.queue.done(two))
        self.assertIsNotNone(kept.take(0, 1, MESSAGE * 2))

    def test_memoryOfContentsThatRest(self) -> None:
        """
        So it is when some recipients never were in the window.
        """
        self.queue._kept = self.queue.arriving._kept = Kept(len(MESSAGE) * 2)
        names = self.add(*(f"{number}@b.example" for number in range(10)))
        for name in names[:3]:
            self.settle(self.queue.done(name))
        self.assertEqual(len(self.queue.getWaiting()), 3)
        for name in self.queue.getWaiting()[1:]:
            self.settle(self.queue.done(name))
        self.assertIn(names[3], self.queue._entries)
        self.assertIsNone(self.queue._kept.take(0, 1, MESSAGE * 2))


class UnderWayTests(SpoolTestCase):
    """
    Something is asked for before what was asked for is answered.
    """

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

    def begin(self) -> None:
        """
        Let what was asked for be written, and nobody hear of it.
        """
        self.clock.advance(0)
        self.hand.work()

    def resting(self) -> str:
        """
        Give a name that rests on the disk, and is due now.
        """
        (name,) = self.add("x@b.example")
        self.rest(name, 60, RETRY)
        self.clock.advance(60)
        return name

    def assertGone(self, done: Deferred[Any] | None) -> None:
        """
        A name has gone, and does not come back.
        """
        self.settle(done)
        for _ in range(3):
            self.pass_(3600)
            self.assertEqual(self.queue.getWaiting(), [])
            self.assertEqual(self.queue.getRelayed(), [])
            self.assertEqual(self.queue.getResting(), {})
        self.assertEqual(self.ask("SELECT * FROM recipient"), [])
        self.assertEqual(self.queue._backlog.held, {})
        self.assertCounted()

    def test_P4_doneWhileItIsRead(self) -> None:
        """
        A name that is done with while it is being read is not met again:
        before that is done, and after.
        """
        name = self.resting()
        self.queue.readDirectory()
        self.begin()
        done = self.queue.done(name)
        self.hand.answer()
        self.assertEqual(self.queue.getWaiting(), [])
        self.assertGone(done)
        name = self.resting()
        self.queue.readDirectory()
        done = self.queue.done(name)
        self.assertGone(done)

    def test_P4_readWhileItGoes(self) -> None:
        """
        Nor is one that is read while it goes.
        """
        name = self.resting()
        done = self.queue.done(name)
        self.begin()
        self.queue.readDirectory()
        self.hand.answer()
        self.assertGone(done)

    def test_wokenWhileItIsRead(self) -> None:
        """
        A name that is woken while it is being read waits once.
        """
        name = self.resting()
        self.queue.readDirectory()
        self.begin()
        self.queue.addMessage(name)
        claimed = self.queue.setRelaying(name)
        self.hand.answer()
        self.settle(claimed)
        self.assertEqual(self.queue.getWaiting(), [])
        self.assertEqual(self.queue.getRelayed(), [name])
        self.assertEqual(self.queue._backlog.held, {"b.example": 1})
        self.assertGone(self.queue.done(name))

    def test_doneWhileItComesToRest(self) -> None:
        """
        A name that is done with while its time is being written has gone.
        """
        (name,) = self.add("x@b.example")
        self.queue.setRelaying(name)
        self.queue.setWaiting(name, NOW + 60, RETRY)
        self.begin()
        done = self.queue.done(name)
        self.hand.answer()
        self.assertGone(done)

    def test_wokenWhileItComesToRest(self) -> None:
        """
        A name whose time is being written rests, and can be woken and put
        back; the last time is what holds.
        """
        (name,) = self.add("x@b.example")
        self.queue.setRelaying(name)
        self.queue.setWaiting(name, NOW + 60, RETRY)
        self.assertEqual(self.queue.getResting(), {name: NOW + 60})
        self.begin()
        self.queue.addMessage(name)
        self.assertEqual(self.queue.getWaiting(), [name])
        self.queue.setRelaying(name)
        self.queue.setWaiting(name, NOW + 90, RETRY)
        self.hand.answer()
        self.assertEqual(self.queue.getResting(), {name: NOW + 90})
        self.settleAll()
        self.assertEqual(self.queue.getResting(), {name: NOW + 90})
        self.assertCounted()
        self.pass_(89)
        self.assertEqual(self.queue.getWaiting(), [])
        self.pass_(1)
        self.assertEqual(self.queue.getWaiting(), [name])
        self.assertEqual(self.queue.letter(name).attempts, 2)

    def test_dueWhileItComesToRest(self) -> None:
        """
        A time that has passed before it is written is no reason to lose sight
        of the name.
        """
        (name,) = self.add("x@b.example")
        old = self.resting()
        self.queue.setRelaying(name)
        self.queue.readDirectory()
        self.queue.setWaiting(name, NOW + 90, RETRY)
        self.clock.advance(0)
        self.clock.advance(60)
        self.settleAll()
        self.pass_(0)
        self.assertEqual(sorted(self.queue.getWaiting()), [name, old])

    def test_P9_claimedAgainWhileClaimsAreLetGo(self) -> None:
        """
        What is claimed again before the claims of the dead were let go stays
        claimed, and is counted as the database has it.
        """
        self.patch(reading, "STRETCH", 1)
        self.add("x@b.example", "y@b.example")
        (name,) = self.add("z@c.example")
        self.rest(name, 60, RETRY)
        self.disk.kill()
        self.letGo()
        self.disk.heal()
        self.clock.advance(60)
        self.queue = queue = self.makeSpool()
        self._opened.append(queue)
        claims: list[Any] = []

        def claim() -> None:
            if name in queue.getWaiting():
                claims.append(queue.setRelaying(name))

        queue.onWaiting = claim
        queue.lock()
        self.settleAll()
        self.assertEqual(queue.getRelayed(), [name])
        self.assertEqual(len(queue.getWaiting()), 2)
        self.assertCounted()
        self.settle(queue.done(name, DELIVERED))
        self.assertCounted()

    def test_P1_waitsOnlyWhenItIsWritten(self) -> None:
        """
        Mail does not wait before it is durable.
        """
        added = self.queue.add(Envelope("", ("x@b.example",)), MESSAGE)
        self.begin()
        self.assertEqual(self.queue.getWaiting(), [])
        self.assertNoResult(added)
        self.hand.answer()
        self.assertEqual(self.queue.getWaiting(), self.successResultOf(added))

    def test_P5_putBackWhileItIsWritten(self) -> None:
        """
        A name whose notice was refused is mail again though it rests in the
        database and is being read.
        """
        name = self.resting()
        self.queue.readDirectory()
        self.settleAll()
        claimed = self.queue.setRelaying(name)
        self.queue._database.execute("PRAGMA query_only = 1")
        done = self.queue.done(name, BOUNCE)
        self.begin()
        self.queue._database.execute("PRAGMA query_only = 0")
        self.queue.readDirectory()
        self.hand.answer()
        self.failureResultOf(done, QueueError)
        self.failureResultOf(claimed, QueueError)
        self.flushLoggedErrors(QueueError)
        self.settleAll()
        self.assertEqual(list(self.queue.getResting()), [name])
        self.pass_(60)
        self.assertEqual(self.queue.getWaiting(), [name])
        self.assertEqual(self.queue._backlog.held, {"b.example": 1})
        self.assertGone(self.queue.done(name))

    def test_P10_stopWaits(self) -> None:
        """
        What was asked for is written before the spool stops.
        """
        added = self.queue.add(Envelope("", ("x@b.example",)), MESSAGE)
        stopped = self.queue.stop()
        self.assertNoResult(stopped)
        self.settleAll()
        (name,) = self.successResultOf(added)
        self.successResultOf(stopped)
        self._opened.clear()
        self.queue = self.open()
        self.assertEqual(self.queue.getWaiting(), [name])
