"""
Tests for what is in the directory of a queue after its process or its machine
died at any moment.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import Envelope, Parameters, RecipientParameters
from relaymail.queue.recovery import ORPHAN
from relaymail.test.queue.contract import DELIVERED, MESSAGE, NOW, RETRY
from relaymail.test.queue.directories import (
    BOUNCE,
    MemoryDirectoryContract,
    runNow,
)
from relaymail.testing.crashes import Crash

#: More points than any of these actions passes.
MANY = 300


class KillTests(MemoryDirectoryContract, SynchronousTestCase):
    """
    The process is killed at each point in turn.

    @ivar seeds: Of the chance that says what is left; L{None} for none.
    @ivar fill: Puts into a new queue what is to be there.
    """

    seeds: Sequence[int | None] = (None,)
    fill: Callable[[], object] = staticmethod(lambda: None)

    def tryEach(
        self,
        action: Callable[[], Deferred[Any]],
        check: Callable[[bool, set[str]], None],
    ) -> None:
        """
        Crash at each point until C{action} comes to its end, with each of the
        seeds, and check what the next process finds each time.
        """
        for seed in self.seeds:
            for count in range(MANY):
                self.chance = None if seed is None else random.Random(seed + count)
                if self.tryOne(count, action, check):
                    break
            else:
                self.fail("it never came to its end")

    def tryOne(
        self,
        count: int,
        action: Callable[[], Deferred[Any]],
        check: Callable[[bool, set[str]], None],
    ) -> bool:
        """
        Crash after so many points.

        @return: Whether C{action} came to its end all the same.
        """
        self.clock.rightNow = NOW
        self.queue = self.makeQueue()
        self.fill()
        results: list[object] = []
        self.points.onCrash = lambda point: self.die()
        self.points.crashAfter(count)
        try:
            action().addBoth(results.append)
            self.clock.advance(0)
        except Crash:
            pass
        self.assertFalse(any(isinstance(result, Failure) for result in results))
        self.recover()
        names = list(self.queue._entries)
        check(bool(results), {self.queue.getEnvelope(name)[1] for name in names})
        for name in names:
            read = self.queue.letter(name).file.read()
            self.assertEqual(read, MESSAGE.replace(b"\r\n", b"\n"))
        self.assertNothingElse(names)
        return bool(results)

    def recover(self) -> None:
        """
        Begin again, as the next process does; it may crash too.
        """
        if self.chance is not None:
            if not self.disk.isDown:
                self.die()
            self.disk.heal()
            self.points.heal()
            self.points.crashAfter(self.chance.randint(0, 20))
            with contextlib.suppress(Crash):
                self.reopen().lock()
        self.restart()

    def assertNothingElse(self, names: Sequence[str]) -> None:
        """
        No file is there for long that is nobody's.
        """
        self.clock.advance(ORPHAN + 1)
        self.restart()
        self.assertEqual(sorted(self.queue.getWaiting()), sorted(names))
        files = {file for file in self.files() if file[-2:] != "-S"}
        self.assertEqual(files, {name + suffix for name in names for suffix in _BOTH})

    def test_P1_oneRecipient(self) -> None:
        """
        What was taken is there, and what was not taken may be; it is whole.
        """
        envelope = Envelope("a@a.example", ("x@b.example",))

        def check(taken: bool, found: set[str]) -> None:
            self.assertIn(
                found, [{"x@b.example"}] if taken else [set(), {"x@b.example"}]
            )

        self.tryEach(lambda: self.queue.add(envelope, MESSAGE), check)

    def test_P1_allRecipientsOrNone(self) -> None:
        """
        A message for three is there for all of them, or for nobody.
        """
        everybody = {"x@b.example", "y@b.example", "z@b.example"}
        envelope = Envelope("a@a.example", tuple(sorted(everybody)))
        seen: list[bool] = []

        def check(taken: bool, found: set[str]) -> None:
            self.assertIn(found, [everybody] if taken else [set(), everybody])
            seen.append(bool(found))

        self.tryEach(lambda: self.queue.add(envelope, MESSAGE), check)
        # The moment that decides lies somewhere on the way.
        if self.seeds == (None,):
            self.assertEqual(seen, sorted(seen))
        self.assertIn(False, seen)
        self.assertGreater(sum(seen), 3)

    def test_P1_messageByLines(self) -> None:
        """
        So is one that came line by line.
        """

        def receive() -> Deferred[Any]:
            envelope, message = self.queue.createNewMessage()
            with envelope:
                envelope.write(b"(lp0\nVa@a.example\np1\naVx@b.example\np2\na.")
            for line in MESSAGE.splitlines():
                message.lineReceived(line)
            done: Deferred[Any] = message.eomReceived()
            return done

        def check(taken: bool, found: set[str]) -> None:
            self.assertIn(
                found, [{"x@b.example"}] if taken else [set(), {"x@b.example"}]
            )

        self.tryEach(receive, check)

    def test_P5_noticeAndBouncedNameChangePlaces(self) -> None:
        """
        In one turn a notice comes and the name goes: there is never none of
        them, and never both.
        """
        self.run_ = runNow

        def bounce() -> Deferred[Any]:
            (name,) = self.queue.getWaiting()
            self.queue.setRelaying(name)
            notice = Envelope("", ("from@a.example",))
            added: Deferred[Any] = self.queue.add(notice, MESSAGE)
            self.queue.done(name, BOUNCE)
            return added

        def check(done: bool, found: set[str]) -> None:
            before, after = {"x@b.example"}, {"from@a.example"}
            self.assertIn(found, [after] if done else [before, after])

        def fill() -> None:
            self.add("x@b.example")
            self.queue.lock()

        self.fill = fill
        self.tryEach(bounce, check)

    def test_P5_noticeOfDelayIsNotForgotten(self) -> None:
        """
        In one turn a notice comes and the name remembers that: it never does so
        without the notice.
        """
        self.run_ = runNow

        def tell() -> Deferred[Any]:
            (name,) = self.queue.getWaiting()
            self.queue.setRelaying(name)
            notice = Envelope("", ("from@a.example",))
            added: Deferred[Any] = self.queue.add(notice, MESSAGE)
            self.queue.setWaiting(name, NOW, RETRY)
            told: Deferred[Any] = self.queue.told(name)
            return told.addCallback(lambda _: added)

        def check(done: bool, found: set[str]) -> None:
            isTold = any(self.queue.letter(n).isTold for n in self.queue._entries)
            self.assertIn("x@b.example", found)
            if done or isTold:
                self.assertIn("from@a.example", found)
            if done:
                self.assertTrue(isTold)

        def fill() -> None:
            self.add("x@b.example")
            self.queue.lock()

        self.fill = fill
        self.tryEach(tell, check)

    def takeIt(self, envelope: Envelope) -> Deferred[Any]:
        """
        Have it taken.
        """
        taken: Deferred[Any] = self.queue.add(envelope, MESSAGE)
        return taken

    def test_P1_whatWasSaidComesWithTheMail(self) -> None:
        """
        Mail that is there has all that was said of it.
        """
        said = (RecipientParameters("NEVER"), RecipientParameters("DELAY"))
        for count in (1, 2):
            envelope = Envelope(
                "a@a.example",
                ("x@b.example", "y@b.example")[:count],
                Parameters(requireTLS=True),
                said[:count],
            )

            def check(taken: bool, found: set[str], each: Envelope = envelope) -> None:
                everybody = set(each.recipients)
                self.assertIn(found, [everybody] if taken else [set(), everybody])
                for name in self.queue._entries:
                    letter = self.queue.letter(name)
                    index = each.recipients.index(letter.recipient)
                    self.assertEqual(letter.parameters, each.parameters)
                    self.assertEqual(
                        letter.recipientParameters, each.parametersOf(index)
                    )

            self.tryEach(partial(self.takeIt, envelope), check)

    def test_P3_doneIsWholeOrNot(self) -> None:
        """
        A name that is being removed is whole or gone, and nothing of it is
        left for long.
        """

        def fill() -> None:
            (name,) = self.add("x@b.example")
            self.queue.setRelaying(name)
            self.queue.setWaiting(name, NOW, RETRY)

        def check(done: bool, found: set[str]) -> None:
            self.assertIn(found, [set()] if done else [set(), {"x@b.example"}])

        self.fill = fill
        self.tryEach(lambda: self.queue.done(self.queue.getWaiting()[0]), check)

    def test_P3_doneOfOneOfThree(self) -> None:
        """
        The names of one message go one by one: the others stay, whole.
        """

        def fill() -> None:
            self.add("x@b.example", "y@b.example", "z@b.example")

        def check(done: bool, found: set[str]) -> None:
            left = {"y@b.example", "z@b.example"}
            self.assertIn(found, [left] if done else [left, left | {"x@b.example"}])

        self.fill = fill
        self.tryEach(lambda: self.queue.done(self.queue.getWaiting()[0]), check)

    def test_D31_scheduleIsTheOldOrTheNew(self) -> None:
        """
        While a next time is being written, the one before holds or the new
        one; the mail is there whatever happens.
        """

        def fill() -> None:
            (name,) = self.add("x@b.example")
            self.queue.setRelaying(name)
            self.settle(self.queue.setWaiting(name, NOW + 60, RETRY))
            self.queue.addMessage(name)
            self.settle(self.queue.setRelaying(name))

        def rest() -> Deferred[Any]:
            done: Deferred[Any] = self.queue.setWaiting(
                self.queue.getRelayed()[0], NOW + 120, RETRY
            )
            return done

        def check(done: bool, found: set[str]) -> None:
            (name,) = self.queue._entries
            self.assertEqual(self.queue.letter(name).attempts, 2)
            due = self.queue.nextDue()
            # None: the lease that was written before, void now.
            self.assertIn(due, [NOW + 120] if done else [None, NOW + 120])

        self.fill = fill
        self.tryEach(rest, check)


class PowerCutTests(KillTests):
    """
    The power is cut at each point, and whatever was not synced is lost.
    """

    def die(self) -> None:
        """
        Cut the power.
        """
        self.disk.cutPower()

    def test_P1_eomIsDurable(self) -> None:
        """
        A message that came line by line is there once its Deferred fired.
        """
        self.receive(b"first")
        (name,) = self.restart().getWaiting()
        self.assertEqual(self.queue.letter(name).file.read(), b"first\n")
        self.assertEqual(self.queue.getEnvelope(name)[1], "to@b.example")

    def test_D31_scheduleIsDurable(self) -> None:
        """
        So is a time that was written.
        """
        (name,) = self.add("x@b.example")
        self.queue.setRelaying(name)
        self.settle(self.queue.setWaiting(name, NOW + 60, RETRY))
        self.assertEqual(self.restart().nextDue(), NOW + 60)

    def test_P4_deliveredIsNotForgotten(self) -> None:
        """
        A name that is done with does not come back.
        """
        (name,) = self.add("x@b.example")
        self.queue.setRelaying(name)
        self.settle(self.queue.done(name, DELIVERED))
        self.assertEqual(self.restart().getWaiting(), [])

    def test_P3_lostFirstClaimCostsACount(self) -> None:
        """
        A first claim that was never synced is lost, and only that.
        """
        self.receive(b"first")
        (name,) = self.queue.getWaiting()
        self.queue.setRelaying(name)
        self.assertEqual(self.restart().letter(name).attempts, 0)


class TornTests(PowerCutTests):
    """
    The power is cut, some of what was not synced is lost and the rest torn;
    and cut once more while the next process begins.
    """

    seeds = tuple(range(0, 8 * MANY, MANY))

    def setUp(self) -> None:
        """
        Begin with a chance for the tests that crash but once.
        """
        self.chance = random.Random(0)
        super().setUp()

    def test_P3_lostFirstClaimCostsACount(self) -> None:
        """
        A first claim that was never synced may be lost, or torn, and only
        that.
        """
        seen = set()
        for seed in range(20):
            self.chance = random.Random(seed)
            self.queue = self.makeQueue()
            self.receive(b"first")
            (name,) = self.queue.getWaiting()
            self.queue.setRelaying(name)
            seen.add(self.restart().letter(name).attempts)
        self.assertEqual(seen, {0, 1})


class KilledAndCutTests(KillTests):
    """
    The process is killed at each point, and the power cut when the next one
    has begun: what that found it may have told of.
    """

    seeds = (0, MANY)

    def recover(self) -> None:
        """
        Begin again, twice.
        """
        before = set(self.restart()._entries)
        self.disk.cutPower()
        self.assertEqual(before, set(self.restart()._entries))


_BOTH = ("-H", "-D")
