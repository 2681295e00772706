"""
Tests for what is in the directory of a queue after the power was cut at any
moment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import Envelope
from relaymail.test.queue.contract import DELIVERED, MESSAGE, NOW, RETRY
from relaymail.test.queue.directories import BOUNCE, DirectoryContract, runNow
from relaymail.test.queue.disks import CountingDisk, ForgetfulDisk, PowerCut


class PowerCutTests(DirectoryContract, SynchronousTestCase):
    """
    The power is cut after each operation in turn.
    """

    def forget(self) -> None:
        """
        Everything that was done before the cut is on the disk.
        """

    def cut(self, action: Callable[[], object]) -> bool:
        """
        Do something on a disk whose power is cut.

        @return: Whether it came to its end all the same.
        """
        try:
            action()
            self.clock.advance(0)
        except PowerCut:
            return False
        finally:
            self.disk.heal()
        return True

    def tryEach(
        self,
        action: Callable[[], Deferred[Any]],
        check: Callable[[bool, set[str]], None],
    ) -> None:
        """
        Cut the power after every number of operations until C{action} comes
        to its end, and check what the next process finds each time.
        """
        for count in range(200):
            self.queue = self.makeQueue()
            self.queue.noisy = False
            results: list[object] = []
            self.disk.cutPowerAfter(count)
            self.cut(lambda: action().addBoth(results.append))  # noqa: B023
            self.forget()
            self.restart()
            names = self.queue.getWaiting()
            check(bool(results), {self.queue.getEnvelope(name)[1] for name in names})
            for name in names:
                self.assertIn(b"first", self.queue.letter(name).file.read())
            if results:
                return
        self.fail("it never came to its end")

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
        self.assertEqual(seen, sorted(seen))
        self.assertIn(False, seen)
        self.assertGreater(sum(seen), 3)

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

        plain = self.makeQueue

        def filled() -> Any:
            self.queue = plain()
            self.add("x@b.example")
            self.queue.lock()
            return self.queue

        self.makeQueue = filled  # type: ignore[method-assign]
        self.tryEach(bounce, check)

    def test_P3_doneIsWholeOrNot(self) -> None:
        """
        A name that is being removed is whole or gone, and nothing of it is
        left for long.
        """
        plain = self.makeQueue

        def filled() -> Any:
            self.queue = plain()
            (name,) = self.add("x@b.example")
            self.queue.setRelaying(name)
            self.queue.setWaiting(name, NOW, RETRY)
            return self.queue

        def check(done: bool, found: set[str]) -> None:
            self.assertIn(found, [set()] if done else [set(), {"x@b.example"}])

        self.makeQueue = filled  # type: ignore[method-assign]
        self.tryEach(lambda: self.queue.done(self.queue.getWaiting()[0]), check)


class ForgettingTests(PowerCutTests):
    """
    The power is cut, and what was not synced is lost.
    """

    def makeDisk(self) -> CountingDisk:
        """
        Make a disk that can lose things.
        """
        return ForgetfulDisk()

    def forget(self) -> None:
        """
        Nothing that was not synced is on the disk.
        """
        assert isinstance(self.disk, ForgetfulDisk)
        self.disk.forget()

    def test_P1_messageByLines(self) -> None:
        """
        A message that came line by line is there once its Deferred fired.
        """
        self.receive(b"first")
        self.forget()
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
        self.forget()
        self.assertEqual(self.restart().nextDue(), NOW + 60)

    def test_P4_deliveredIsNotForgotten(self) -> None:
        """
        A name that is done with does not come back.
        """
        (name,) = self.add("x@b.example")
        self.queue.setRelaying(name)
        self.settle(self.queue.done(name, DELIVERED))
        self.forget()
        self.assertEqual(self.restart().getWaiting(), [])

    def test_P3_lostFirstClaimCostsACount(self) -> None:
        """
        A first claim that was never synced is lost, and only that.
        """
        self.receive(b"first")
        (name,) = self.queue.getWaiting()
        self.queue.setRelaying(name)
        self.forget()
        self.assertEqual(self.restart().letter(name).attempts, 0)
