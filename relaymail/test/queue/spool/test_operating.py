"""
Tests for L{relaymail.queue.spool.operating}.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from twisted.internet.defer import maybeDeferred

from relaymail.errors import NameBusy, QueueFull
from relaymail.inspection import NameState, Selection
from relaymail.outcomes import Removed
from relaymail.queue.spool.settling import PUT_BACK
from relaymail.queue.spool.spool import Spool
from relaymail.replies import Phase
from relaymail.test.queue.contract import NOW, RETRY
from relaymail.test.queue.spool.spools import (
    BOUNCE,
    LARGE,
    LARGEST_ROW,
    Hand,
    SpoolTestCase,
    counted,
    recount,
    totals,
)
from relaymail.testing.crashes import CrashPoints
from relaymail.testing.databases import Databases

REMOVED = Removed("2.0.0", Phase.IDLE)


class OperatingTestCase(SpoolTestCase):
    """
    What is told a spool, and what its rows and counters say then.
    """

    def do(self, method: str, *arguments: Any) -> Any:
        """
        Tell it something.
        """
        return self.settle(getattr(self.queue, method)(*arguments))

    def fails(self, kind: type[Exception], method: str, *arguments: Any) -> None:
        """
        What is told it is refused.
        """
        asked = maybeDeferred(getattr(self.queue, method), *arguments)
        self.settleAll()
        self.failureResultOf(asked, kind)

    def state(self, name: str) -> NameState:
        """
        Say where a name stands.
        """
        state: NameState = self.settle(self.queue.entry(name)).state
        return state

    def heldOf(self) -> dict[str, int]:
        """
        Say how many names of each destination are counted as held.
        """
        return dict(
            self.ask("SELECT name, held FROM destination WHERE held != 0 ORDER BY name")
        )

    def assertBooks(self) -> None:
        """
        The counters are right, and what came is what went and what is there.
        """
        database = sqlite3.connect(self.path)
        self.addCleanup(database.close)
        self.assertEqual(counted(database), recount(database))
        held = database.execute(
            "SELECT destination, count(*) FROM recipient "
            "WHERE held IS NOT NULL AND aside IS NULL GROUP BY destination"
        )
        self.assertEqual(self.heldOf(), dict(held))
        sums = totals(database)
        queued = sum(queued for queued, _ in recount(database).values())
        went = ("delivered", "bounced", "expired", "discarded", "removed", "aside")
        self.assertEqual(
            sum(sums.get(name, 0) for name in went) + queued,
            sums.get("accepted", 0) + sums.get("generated", 0),
        )


class HeldTests(OperatingTestCase):
    """
    Mail that is kept back.
    """

    def test_P1_restart(self) -> None:
        """
        What is kept back is so after a restart, and after a crash: it is not
        revived, read or expired, and counted as queued.
        """
        waiting, resting, read = self.add("x@b.example", "y@c.example", "z@d.example")
        for name in (resting, read):
            self.rest(name, 60, RETRY)
        self.pass_(60)
        self.assertIn(read, self.queue.getWaiting())
        for name in (waiting, resting, read):
            self.do("hold", name, "to be looked at")
        self.assertBooks()
        for _ in range(2):
            self.restart()
            self.pass_(1_000_000)
            self.queue.wakeOld(self.clock.seconds())
            self.settleAll()
            self.assertEqual(self.queue.getWaiting(), [])
            self.assertEqual(self.queue.getResting(), {})
            self.assertIsNone(self.queue.nextDue())
            self.assertEqual(len(self.heldOf()), 3)
            self.assertBooks()
        self.do("release", resting)
        self.assertEqual(self.queue.getWaiting(), [resting])
        self.assertEqual(self.queue.letter(resting).attempts, 1)
        self.assertEqual(set(self.heldOf()), {"b.example", "d.example"})
        self.assertBooks()

    def test_releasedOverARestart(self) -> None:
        """
        What is released is due after a restart, too.
        """
        (name,) = self.add("x@b.example")
        self.do("hold", name, "why")
        self.queue.noisy = False
        self.do("release", name)
        self.restart()
        self.assertEqual(self.queue.getWaiting(), [name])
        self.assertBooks()

    def test_again(self) -> None:
        """
        Whoever keeps it back again says why anew; what nobody keeps back may be
        released.
        """
        one, two = self.add("x@b.example", "y@c.example")
        self.rest(two, 60, RETRY)
        for why in ("first", "second"):
            self.do("hold", one, why)
        self.assertEqual(self.settle(self.queue.entry(one)).why, "second")
        self.do("release", two)
        self.assertEqual(self.state(two), NameState.RESTING)
        self.assertEqual(self.heldOf(), {"b.example": 1})
        self.assertBooks()

    def test_contentsStay(self) -> None:
        """
        The content of what is kept back is there, in a row or in a file.
        """
        small = self.add("x@b.example")
        large = self.add("y@c.example", content=LARGE)
        for (name,) in (small, large):
            before = self.queue.letter(name).file.read()
            self.do("hold", name, "why")
            self.assertEqual(self.queue.letter(name).file.read(), before)
        self.restart()
        self.assertEqual(len(self.contents()), 1)
        self.do("done", large[0], REMOVED)
        self.assertEqual(self.contents(), [])
        self.assertBooks()

    def test_claim(self) -> None:
        """
        What is claimed while it is kept back is so again when its process dies,
        and when its notice could not be taken.
        """
        (name,) = self.add("x@b.example")
        self.do("hold", name, "why")
        self.do("claim", name)
        self.assertEqual(self.state(name), NameState.RELAYING)
        self.restart()
        self.assertEqual(self.state(name), NameState.HELD)
        self.do("claim", name)
        self.do("setAside", name, "it is torn")
        self.assertEqual(self.state(name), NameState.ASIDE)
        self.assertBooks()

    def test_bounce(self) -> None:
        """
        A claim ends in a bounce, and the counters know.
        """
        one, two, three = self.add("x@b.example", "y@b.example", "z@b.example")
        self.rest(two, 60, RETRY)
        self.do("hold", three, "why")
        for name in (one, two, three):
            self.do("claim", name)
            self.do("done", name, BOUNCE)
        self.assertEqual(self.ask("SELECT * FROM recipient"), [])
        self.assertEqual(self.settle(self.queue.totals())["bounced"], 3)
        self.assertBooks()


class OrderTests(OperatingTestCase):
    """
    What else is told a spool.
    """

    def test_hastened(self) -> None:
        """
        What is hastened is due after a restart, too, and read in order.
        """
        names = self.add("x@b.example", "y@b.example")
        for name in names:
            self.rest(name, 600, RETRY)
        self.do("hasten", names[1])
        self.assertEqual(self.queue.getWaiting(), [names[1]])
        self.restart()
        self.assertEqual(self.queue.getWaiting(), [names[1]])
        self.pass_(600)
        self.assertEqual(self.queue.getWaiting(), names[::-1])
        self.assertBooks()

    def test_hastenAll(self) -> None:
        """
        All of a destination is due, stretch by stretch, but what is kept back.
        """
        from relaymail.queue.spool import operating

        self.patch(operating, "PORTION", 2)
        names = [self.add("x@b.example")[0] for _ in range(5)]
        (other,) = self.add("x@c.example")
        for name in (*names, other):
            self.rest(name, 600, RETRY)
        self.do("hold", names[0], "why")
        self.assertEqual(self.do("hastenAll", "b.example"), 4)
        self.assertEqual(self.queue.getWaiting(), names[1:])
        self.assertEqual(list(self.queue.getResting()), [other])
        self.assertBooks()

    def test_requeueOfWhatWasSetAside(self) -> None:
        """
        What was set aside is mail again.
        """
        one, two = self.add("x@b.example", "y@b.example")
        self.do("setAside", one, "it is torn")
        self.assertEqual(self.settle(self.queue.totals())["aside"], 1)
        for method in ("hasten", "release", "claim"):
            self.fails(KeyError, method, one)
        self.fails(KeyError, "hold", one, "why")
        self.flushLoggedErrors()
        self.pass_(60)
        self.do("requeue", one)
        self.assertEqual(set(self.queue.getWaiting()), {one, two})
        self.assertEqual(self.queue.letter(one).arrived, NOW + 60)
        self.assertEqual(self.queue.letter(two).arrived, NOW)
        self.assertEqual(self.settle(self.queue.totals())["aside"], 0)
        self.assertBooks()

    def test_requeueOfWhatHasNoMessage(self) -> None:
        """
        What cannot be used is set aside again.
        """
        (name,) = self.add("x@b.example")
        self.rest(name, 600, RETRY)
        self.ask("DELETE FROM message")
        self.do("requeue", name)
        self.assertEqual(self.state(name), NameState.ASIDE)
        self.fails(KeyError, "claim", name)
        self.do("done", name, REMOVED)
        self.assertEqual(self.ask("SELECT * FROM recipient"), [])
        self.assertBooks()

    def test_claimOfWhatHasNoMessage(self) -> None:
        """
        What cannot be used is no name to be claimed.
        """
        (name,) = self.add("x@b.example")
        self.rest(name, 600, RETRY)
        self.ask("DELETE FROM message")
        self.fails(KeyError, "claim", name)
        self.assertEqual(self.state(name), NameState.ASIDE)
        self.assertBooks()

    def test_removeWhatWasSetAside(self) -> None:
        """
        What was set aside can be removed, and its content goes with it.
        """
        (name,) = self.add("x@b.example", content=LARGE)
        self.do("setAside", name, "it is torn")
        self.do("done", name, REMOVED)
        self.assertEqual(self.ask("SELECT * FROM recipient, message"), [])
        self.assertEqual(self.contents(), [])
        self.assertEqual(self.settle(self.queue.totals())["removed"], 1)
        self.assertBooks()

    def test_renewedIsYoung(self) -> None:
        """
        What began anew is as old as that, over a restart.
        """
        (name,) = self.add("x@b.example")
        self.rest(name, 600, RETRY)
        self.pass_(500)
        self.do("requeue", name)
        self.restart()
        self.assertEqual(self.queue.letter(name).arrived, NOW + 500)
        self.assertEqual(self.queue.letter(name).attempts, 0)
        found = self.settle(self.queue.look(Selection(olderThan=1.0)))
        self.assertEqual(found.entries, ())

    def test_gone(self) -> None:
        """
        What is gone is told nothing.
        """
        (name,) = self.add("x@b.example")
        self.do("done", name, REMOVED)
        for method in ("hasten", "requeue", "claim", "release"):
            self.fails(KeyError, method, name)
        self.assertBooks()

    def test_suspensionsOverARestart(self) -> None:
        """
        What an operator suspended is so after a restart.
        """
        self.do("suspend", "b.example", "it is slow")
        self.do("suspend", "c.example", "it is slow")
        self.do("resume", "c.example")
        self.restart()
        self.assertEqual(self.queue.suspensions(), {"b.example": "it is slow"})

    def test_suspendedIsNotRead(self) -> None:
        """
        What is hastened rests on where its destination is suspended.
        """
        self.queue.suspendedUntil = lambda name: NOW + 300
        (name,) = self.add("x@b.example")
        self.rest(name, 600, RETRY)
        self.do("hasten", name)
        self.assertEqual(self.queue.getWaiting(), [])
        self.assertEqual(self.state(name), NameState.WAITING)
        self.queue.suspendedUntil = lambda name: None
        self.queue.lookAgain()
        self.settleAll()
        self.assertEqual(self.queue.getWaiting(), [name])


class FullTests(OperatingTestCase):
    """
    A spool whose disk fails.
    """

    def makeSpool(self) -> Any:
        """
        Make one whose commits can fail.
        """
        self.databases = Databases(CrashPoints())

        def connect(path: str) -> sqlite3.Connection:
            return sqlite3.connect(
                path,
                isolation_level=None,
                check_same_thread=False,
                factory=self.databases.factory,
            )

        spool = Spool(
            self.path,
            self.clock,
            self.disk,
            self.run_,
            connect,
            largestRow=LARGEST_ROW,
        )
        spool.noisy = False
        return spool

    def test_P6_nothingIsLost(self) -> None:
        """
        What could not be written stands where it stood.
        """
        waiting, resting, postponed, held = self.add(
            "x@b.example", "y@c.example", "p@d.example", "h@e.example"
        )
        self.rest(resting, 60, RETRY)
        self.do("hold", held, "why")
        letter = self.queue.letter(waiting).file.read()
        self.databases.fail(sqlite3.SQLITE_FULL, None)
        for name in (waiting, resting):
            self.fails(QueueFull, "hold", name, "why")
            self.fails(QueueFull, "requeue", name)
        self.fails(QueueFull, "release", held)
        self.fails(QueueFull, "hastenAll", "c.example")
        self.databases.repair()
        self.assertEqual(set(self.queue.getWaiting()), {waiting, postponed})
        self.assertEqual(self.queue.letter(waiting).file.read(), letter)
        self.assertEqual(self.state(held), NameState.HELD)
        self.pass_(60)
        self.assertEqual(set(self.queue.getWaiting()), {waiting, postponed, resting})
        self.assertBooks()

    def test_P6_noticeIsNotTaken(self) -> None:
        """
        What is kept back and claimed is kept back again where its bounce could
        not be written.
        """
        (name,) = self.add("x@b.example")
        self.do("hold", name, "why")
        self.do("claim", name)
        self.databases.fail(sqlite3.SQLITE_FULL, None)
        self.fails(QueueFull, "done", name, BOUNCE)
        self.databases.repair()
        self.assertEqual(self.state(name), NameState.HELD)
        self.pass_(PUT_BACK)
        self.assertEqual(self.queue.getWaiting(), [])
        self.assertBooks()


class MeanwhileTests(OperatingTestCase):
    """
    What happens while an order is being written.
    """

    def setUp(self) -> None:
        """
        Begin with a spool whose batches are written at once.
        """
        self.hand: Any = None
        super().setUp()

    def run_(self, function: Any) -> Any:
        """
        Run a batch at once, or by hand.
        """
        from relaymail.test.queue.spool.spools import runNow

        return runNow(function) if self.hand is None else self.hand(function)

    def work(self) -> None:
        """
        Have all be written that is to be.
        """
        for _ in range(6):
            self.settleAll()
            while self.hand.jobs:
                self.hand.work()
                self.hand.answer()
                self.settleAll()

    def test_oneOrderAtATime(self) -> None:
        """
        A name that is being written where it stands is told nothing else.
        """
        (name,) = self.add("x@b.example")
        self.hand = Hand()
        asked = self.queue.hold(name, "why")
        for method in ("release", "hasten", "requeue", "claim", "done"):
            self.fails(NameBusy, method, name)
        self.fails(NameBusy, "setAside", name, "why")
        self.queue.addMessage(name)
        self.assertRaises(KeyError, self.queue.setRelaying, name)
        self.assertIn(b"first", self.queue.letter(name).file.read())
        self.work()
        self.successResultOf(asked)
        self.assertEqual(self.queue.getWaiting(), [])
        self.assertBooks()

    def test_P4_oneNameForEach(self) -> None:
        """
        With zeros before it a number is no name of what is being sent: it would be
        sent and be another thing, too.
        """
        (name,) = self.add("x@b.example")
        self.queue.setRelaying(name)
        for method in ("hasten", "release", "requeue", "claim", "done"):
            self.fails(KeyError, method, f"00{name}")
        self.fails(KeyError, "hold", f"00{name}", "why")
        self.assertEqual(self.queue.relayed, {name: 1})
        self.do("done", name, REMOVED)
        self.assertBooks()

    def test_comesDueMeanwhile(self) -> None:
        """
        What is read while it is being held does not come into the window.
        """
        (name,) = self.add("x@b.example")
        self.rest(name, 60, RETRY)
        self.hand = Hand()
        self.clock.advance(60)
        self.queue.readDirectory()
        asked = self.queue.hold(name, "why")
        self.work()
        self.successResultOf(asked)
        self.assertEqual(self.queue.getWaiting(), [])
        self.assertBooks()

    def test_comesDueAfterAll(self) -> None:
        """
        What is read while it cannot be held comes into the window in the end.
        """
        (name,) = self.add("x@b.example")
        self.rest(name, 60, RETRY)
        self.hand = Hand()
        self.clock.advance(60)
        self.queue.readDirectory()
        self.settleAll()
        self.hand.work()
        asked = self.queue.hold(name, "why")
        self.settleAll()
        self.hand.answer()
        self.settleAll()
        self.assertEqual(self.queue.getWaiting(), [])
        (job,) = self.hand.jobs
        self.hand.jobs.clear()
        job[1].errback(OSError("the worker is gone"))
        self.work()
        self.failureResultOf(asked)
        self.assertEqual(self.queue.getWaiting(), [name])

    def test_revivedMeanwhile(self) -> None:
        """
        What is held, or removed, before it was revived after a crash is counted
        once.
        """
        one, two, three = self.add("x@b.example", "y@b.example", "z@b.example")
        self.disk.kill()
        self.letGo()
        self.disk.heal()
        for call in self.clock.getDelayedCalls():
            call.cancel()
        self.hand = Hand()
        self.queue = self.makeSpool()
        self.queue.lock()
        self._opened.append(self.queue)
        asked = [self.queue.hold(one, "why"), self.queue.done(two, REMOVED)]
        self.work()
        for each in asked:
            self.successResultOf(each)
        self.assertEqual(self.queue.getWaiting(), [three])
        self.assertBooks()
