"""
Tests for L{relaymail.route.sts.book}.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import RouteError
from relaymail.keeping import nameOf
from relaymail.route.sts import book as module
from relaymail.route.sts import cache
from relaymail.route.sts.ages import DAY
from relaymail.route.sts.book import ALARM, Book
from relaymail.route.sts.storing import Damaged, PolicyStore
from relaymail.test.route.sts.samples import WEEK, makeKept

NOW = 1_000_000.0


class BookTests(SynchronousTestCase):
    """
    What is known, and kept.
    """

    def setUp(self) -> None:
        """
        Begin with nothing.
        """
        self.path = Path(self.mktemp()).absolute()
        self.store = PolicyStore(str(self.path))
        self.clock = Clock()
        self.clock.advance(NOW)
        self.told: list[tuple[str, str | None]] = []
        self.jobs: list[tuple[Callable[[], Any], Deferred[Any]]] = []
        self.book = self.make()

    def make(self, run: Any = maybeDeferred) -> Book:
        """
        Make a book over the same files.
        """
        return Book(
            self.clock,
            self.store,
            run,
            lambda key, text: self.told.append((key, text)),
            lambda: 0.0,
        )

    def later(self, function: Callable[[], Any]) -> Deferred[Any]:
        """
        Run a function when L{work} is called, as a thread would.
        """
        done: Deferred[Any] = Deferred()
        self.jobs.append((function, done))
        return done

    def work(self) -> None:
        """
        Do what there is to be done.
        """
        while self.jobs:
            function, done = self.jobs.pop(0)
            maybeDeferred(function).chainDeferred(done)

    def onDisk(self) -> set[str]:
        """
        Give the domains that are on the disk.
        """
        found = self.store.load(self.store.names())
        return {k.domain for k in found if not isinstance(k, Damaged)}

    def test_10_2_restart(self) -> None:
        """
        What is known is known after a restart (RFC 8461 10.2), when it is read, and
        not before.
        """
        kept = makeKept(fetched=NOW - 5)
        self.book.put(kept)
        self.successResultOf(self.book.close())
        self.assertEqual(self.told, [(ALARM, None)])
        again = self.make(self.later)
        again.open()
        read = again.whenRead()
        self.assertNoResult(read)
        self.work()
        self.successResultOf(read)
        self.successResultOf(again.whenRead())
        self.assertEqual(again.get("one.example"), kept)
        self.assertEqual(again.counts(), {"enforce": 1})

    def test_3_3_due(self) -> None:
        """
        It is due after a day, and some hours later where that did not work; what is
        over is forgotten, on the disk, too.
        """
        self.book.put(makeKept(fetched=NOW))
        self.clock.advance(DAY - 1)
        self.assertEqual(self.book.due(9), [])
        self.clock.advance(1)
        self.assertEqual(self.book.due(9), ["one.example"])
        self.clock.advance(DAY / 4 - 1)
        self.assertEqual(self.book.due(9), [])
        self.clock.advance(1)
        self.assertEqual(self.book.due(9), ["one.example"])
        self.assertEqual(self.onDisk(), {"one.example"})
        self.clock.advance(WEEK)
        self.assertEqual(self.book.due(9), [])
        self.assertEqual((len(self.book), self.onDisk()), (0, set()))

    def test_restartDue(self) -> None:
        """
        What became due while the relay was down is due at once.
        """
        self.book.put(makeKept(fetched=NOW))
        self.clock.advance(3 * DAY)
        again = self.make()
        again.open()
        self.assertEqual(again.due(9), ["one.example"])

    def test_P8_future(self) -> None:
        """
        What was had before the clock was set back holds for no longer than it may.
        """
        self.book.put(makeKept(fetched=NOW * 1000))
        again = self.make()
        again.open()
        self.assertIsNotNone(again.use("one.example"))
        self.clock.advance(WEEK)
        self.assertIsNone(again.get("one.example"))

    def test_use(self) -> None:
        """
        When it was used last is known after a restart, once it was had anew.
        """
        self.book.put(makeKept(fetched=NOW))
        self.clock.advance(50)
        kept = self.book.use("one.example")
        assert kept is not None
        self.assertEqual(kept.used, NOW + 50)
        self.assertIsNone(self.book.use("two.example"))

    def test_P7_damaged(self) -> None:
        """
        A damaged file is left out loudly, and no other one.
        """
        self.book.put(makeKept("good.example", fetched=NOW))
        self.book.put(makeKept(fetched=NOW))
        (self.path / nameOf("one.example")).write_bytes(b"{}")
        again = self.make()
        with capturedLogs() as events:
            again.open()
        (said,) = map(formatEvent, events)
        assert said is not None
        self.assertIn(nameOf("one.example"), said)
        self.assertEqual(len(again), 1)
        self.assertIsNotNone(again.get("good.example"))

    def test_unreadable(self) -> None:
        """
        A directory that cannot be used is an alarm, and keeps nobody from going on.
        """
        self.path.touch()
        self.book.open()
        self.successResultOf(self.book.whenRead())
        ((key, text),) = self.told
        self.assertEqual(key, ALARM)
        assert text is not None
        self.assertIn(str(self.path), text)

    def test_unkept(self) -> None:
        """
        So is one where nothing can be written; what is known is used, and the alarm
        ends with the first that can be.
        """
        self.path.touch()
        self.book.put(makeKept(fetched=NOW))
        self.assertIsNotNone(self.told[-1][1])
        self.assertIsNotNone(self.book.get("one.example"))
        self.path.unlink()
        self.book.put(makeKept(fetched=NOW))
        self.assertEqual(self.told[-1], (ALARM, None))

    def test_A06_chunks(self) -> None:
        """
        Files are read some at a time, so that who writes the queue has its turn.
        """
        self.patch(module, "CHUNK", 2)
        for number in range(5):
            self.book.put(makeKept(f"d{number}.example", fetched=NOW))
        again = self.make(self.later)
        again.open()
        turns = 0
        while self.jobs:
            turns += 1
            function, done = self.jobs.pop(0)
            done.callback(function())
        self.assertEqual((turns, len(again)), (4, 5))

    def test_readMeanwhile(self) -> None:
        """
        What was had before all was read is not put back.
        """
        self.book.put(makeKept(fetched=NOW))
        again = self.make(self.later)
        again.open()
        function, done = self.jobs.pop()
        done.callback(function())
        newer = makeKept(id="2", fetched=NOW)
        # It is written when what was there before has been read.
        again.put(newer)
        self.work()
        self.assertEqual(again.get("one.example"), newer)

    def test_A06_room(self) -> None:
        """
        What there is no room for is forgotten on the disk, too, and it is said.
        """
        self.patch(cache, "MAX_POLICIES", 1)
        self.book.put(makeKept("a.example", fetched=NOW))
        with capturedLogs() as events:
            self.book.put(makeKept("b.example", fetched=NOW, used=NOW + 1))
        self.assertEqual(self.onDisk(), {"b.example"})
        self.assertIn(
            "no room for the policy of a.example", str(formatEvent(events[0]))
        )

    def test_P10_close(self) -> None:
        """
        It is closed when what is to be kept is written; nobody waits for what is not
        read by then.
        """
        book = self.make(self.later)
        book.open()
        read = book.whenRead()
        book.put(makeKept(fetched=NOW))
        closed = book.close()
        self.failureResultOf(read, RouteError)
        self.assertNoResult(closed)
        self.work()
        self.successResultOf(closed)
        self.assertEqual(self.onDisk(), {"one.example"})
