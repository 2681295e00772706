"""
Tests for a directory queue on a disk that fails, at each operation in turn:
nothing that was taken is lost, what failed was not taken, and it goes on when
the disk is repaired.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import Envelope
from relaymail.errors import QueueError, QueueFull
from relaymail.queue.directory import PUT_BACK
from relaymail.queue.listing import RELIST
from relaymail.queue.recovery import ORPHAN
from relaymail.queue.removals import TRY_AGAIN
from relaymail.test.queue.contract import DELIVERED, MESSAGE, NOW, RETRY
from relaymail.test.queue.directories import (
    BOUNCE,
    MemoryDirectoryContract,
    runNow,
)

#: More operations than any of these actions makes.
MANY = 200
#: How a disk fails: it breaks, is full, or descriptors have run out.
ERRORS = (errno.EIO, errno.ENOSPC, errno.EMFILE)
#: The mail that is there before: one that was added, one that came by lines.
ADDED, FOUND = "added@b.example", "found@b.example"
#: The mail that comes.
NEW = ("x@b.example", "y@b.example", "z@b.example")

#: What was asked for.
Asked = dict[str, Deferred[Any]]
#: What of that was done.
Results = dict[str, bool]


class FailureTests(MemoryDirectoryContract, SynchronousTestCase):
    """
    One operation fails, each in turn.

    @ivar times: How often; L{None} until the disk is repaired.
    """

    times: int | None = 1
    run_ = staticmethod(runNow)

    def tryEach(
        self, action: Callable[[], Asked], check: Callable[[Results], None]
    ) -> None:
        """
        Let each operation of C{action} fail in each way, repair the disk, and
        check.  Then the machine crashes, and it is checked once more.
        """
        for error in ERRORS:
            for after in range(MANY):
                self.fill()
                self.disk.fail("*", error, times=self.times, after=after)
                results = self.settleAll(action())
                self.disk.repair()
                self.flushLoggedErrors(QueueError)
                self.goOn()
                check(results)
                self.assertWhole()
                self.die()
                self.restart()
                check(results)
                self.assertWhole()
                if not self.disk.failures:
                    break
            else:
                self.fail("it never came to its end")

    def die(self) -> None:
        """
        Cut the power.
        """
        self.disk.cutPower()

    def fill(self) -> None:
        """
        Begin with a queue that holds some mail.
        """
        self.clock.rightNow = NOW
        self.queue = self.makeQueue()
        (self.added,) = self.add(ADDED)
        self.receive(*MESSAGE.splitlines(), recipient=FOUND)
        (self.found,) = {*self.queue.getWaiting()} - {self.added}

    def settleAll(self, asked: Asked) -> Results:
        """
        Let a turn end.

        @return: What became of each thing that was asked for: whether it was
            done.
        """
        told: dict[str, Any] = {}
        for what, result in asked.items():
            result.addBoth(partial(told.__setitem__, what))
        self.clock.advance(0)
        self.assertEqual(told.keys(), asked.keys())
        for result in told.values():
            if isinstance(result, Failure):
                result.trap(QueueError)
        return {w: not isinstance(result, Failure) for w, result in told.items()}

    def goOn(self) -> None:
        """
        Let time pass, so that whatever is tried again is.
        """
        for seconds in (RELIST, TRY_AGAIN, PUT_BACK, TRY_AGAIN, ORPHAN):
            self.clock.advance(seconds + 1)
            self.queue.readDirectory()
            self.clock.advance(0)

    def recipients(self) -> set[str]:
        """
        Give the recipients whose mail is in the queue, whether it waits,
        rests or is claimed.
        """
        return {self.queue.getEnvelope(name)[1] for name in self.queue._entries}

    def assertWhole(self) -> None:
        """
        Whatever is in the queue can be read, and it takes more mail.
        """
        for name in list(self.queue._entries):
            read = self.queue.letter(name).file.read()
            self.assertEqual(read, MESSAGE.replace(b"\r\n", b"\n"))
        (name,) = self.add("more@b.example")
        self.settle(self.queue.setRelaying(name))
        self.settle(self.queue.done(name, DELIVERED))

    def ask(self, method: str, *args: Any) -> Deferred[Any]:
        """
        Ask the queue for something that may fail at once.
        """
        return maybeDeferred(getattr(self.queue, method), *args)

    def checkAdded(self, results: Results) -> None:
        """
        The mail that came is there for everybody, or was refused and is there
        for nobody.
        """
        there = set(NEW) if results["add"] else set()
        self.assertEqual(self.recipients(), {ADDED, FOUND} | there)

    def test_P2_add(self) -> None:
        """
        Mail is taken for all recipients, or refused.
        """
        envelope = Envelope("a@a.example", NEW)
        self.tryEach(
            lambda: {"add": self.ask("add", envelope, MESSAGE)}, self.checkAdded
        )

    def test_P2_messageByLines(self) -> None:
        """
        So is mail that comes by lines.
        """

        def receive() -> Asked:
            return {"add": maybeDeferred(self.receiveOne)}

        def check(results: Results) -> None:
            there = {NEW[0]} if results["add"] else set()
            self.assertEqual(self.recipients(), {ADDED, FOUND} | there)

        self.tryEach(receive, check)

    def receiveOne(self) -> Deferred[Any]:
        """
        Receive a message by lines as a server does, which loses the
        connection when a line cannot be taken.
        """
        envelope, message = self.queue.createNewMessage()
        try:
            with envelope:
                envelope.write(b"(lp0\nVa@a.example\np1\naVx@b.example\np2\na.")
            for line in MESSAGE.splitlines():
                message.lineReceived(line)
        except OSError as e:
            message.connectionLost()
            raise QueueFull("the envelope was not written") from e
        except QueueError:
            message.connectionLost()
            raise
        done: Deferred[Any] = message.eomReceived()
        return done

    def test_P3_claimAndRest(self) -> None:
        """
        A claim and a next time that cannot be written cost no mail, and a
        name whose claim failed is as good as before.
        """

        def attempt() -> Asked:
            results: Asked = {}
            for name in (self.added, self.found):
                results[name] = claimed = self.ask("setRelaying", name)
                claimed.addCallback(partial(self.restThen, name))
            return results

        def check(results: Results) -> None:
            self.assertEqual(self.recipients(), {ADDED, FOUND})

        self.tryEach(attempt, check)

    def restThen(self, name: str, _: object) -> Deferred[None] | None:
        """
        Give back a name that is claimed.
        """
        rested: Deferred[None] | None = self.queue.setWaiting(name, NOW + 60, RETRY)
        return rested

    def test_P6_whatRestsIsOffered(self) -> None:
        """
        After a next time that could not be written the name is offered all
        the same.
        """

        def attempt() -> Asked:
            name = self.found
            return {"rest": self.ask("setWaiting", name, NOW + 60, RETRY)}

        def check(results: Results) -> None:
            self.assertEqual(self.recipients(), {ADDED, FOUND})
            self.assertIn(self.found, self.queue.getWaiting())

        fill = self.fill

        def claimed() -> None:
            fill()
            self.settle(self.queue.setRelaying(self.found))

        self.fill = claimed  # type: ignore[method-assign]
        self.tryEach(attempt, check)

    def test_P4_done(self) -> None:
        """
        What was delivered is not offered again, though its files could not be
        removed at first.
        """

        def deliver() -> Asked:
            return {"done": self.ask("done", self.added, DELIVERED)}

        def check(results: Results) -> None:
            self.assertEqual(self.recipients(), {FOUND})

        self.tryEach(deliver, check)

    def test_P5_bounce(self) -> None:
        """
        A notice comes and the name it tells of goes, or neither.
        """
        notice = Envelope("", ("from@a.example",))

        def bounce() -> Asked:
            added = self.ask("add", notice, MESSAGE)
            if isinstance(getattr(added, "result", None), Failure):
                # Who asks sees that at once, and does not ask for the other.
                return {"add": added}
            return {"add": added, "done": self.ask("done", self.added, BOUNCE)}

        def check(results: Results) -> None:
            there = {"from@a.example"} if results["add"] else {ADDED}
            self.assertEqual(self.recipients(), {FOUND} | there)

        self.tryEach(bounce, check)

    def test_P5_noticeOfDelay(self) -> None:
        """
        A name does not know of a notice that did not come.
        """
        notice = Envelope("", ("from@a.example",))

        def tell() -> Asked:
            added = self.ask("add", notice, MESSAGE)
            if isinstance(getattr(added, "result", None), Failure):
                return {"add": added}
            return {"add": added, "told": self.ask("told", self.added)}

        def check(results: Results) -> None:
            came = {"from@a.example"} if results["add"] else set()
            self.assertEqual(self.recipients(), {FOUND, ADDED} | came)
            if not results["add"]:
                self.assertFalse(self.queue.letter(self.added).isTold)

        self.tryEach(tell, check)


class BrokenTests(FailureTests):
    """
    The disk fails from some operation on, until it is repaired.
    """

    times = None


class NeverRepairedTests(MemoryDirectoryContract, SynchronousTestCase):
    """
    The disk fails from some operation on, and the machine crashes before it
    is repaired.  What was refused may be found then, for whoever sent it keeps
    it; what was taken is.
    """

    run_ = staticmethod(runNow)

    def test_P3_nothingTakenIsLost(self) -> None:
        """
        Mail that was taken is there, for everybody; a name that bounced is
        there, or its notice is.
        """
        notice, mail = Envelope("", ("from@a.example",)), Envelope("a@a.example", NEW)
        for die in ("kill", "cutPower"):
            for error in ERRORS:
                for after in range(MANY):
                    self.queue = self.makeQueue()
                    (bounced,) = self.add(ADDED)
                    self.queue.lock()
                    self.disk.fail("*", error, times=None, after=after)
                    told = self.queue.add(notice, MESSAGE)
                    taken = self.queue.add(mail, MESSAGE)
                    if not isinstance(getattr(told, "result", None), Failure):
                        self.ask(bounced)
                    self.clock.advance(0)
                    results = [isinstance(d.result, list) for d in (told, taken)]
                    getattr(self.disk, die)()
                    self.disk.repair()
                    self.flushLoggedErrors(QueueError)
                    for each in (told, taken):
                        each.addErrback(lambda _: None)
                    self.restart()
                    self.check(*results)
                    if not self.disk.failures:
                        break
                else:
                    self.fail("it never came to its end")

    def ask(self, name: str) -> None:
        """
        Have a name that bounced removed.
        """
        self.queue.done(name, BOUNCE).addErrback(lambda _: None)

    def check(self, isTold: bool, isTaken: bool) -> None:
        """
        See what is there.
        """
        names = self.queue.getWaiting()
        there = {self.queue.getEnvelope(name)[1] for name in names}
        if isTaken:
            self.assertEqual(there & {*NEW}, {*NEW})
        if isTold:
            self.assertIn("from@a.example", there)
        self.assertTrue(there & {"from@a.example", ADDED}, there)
        for name in names:
            self.assertIn(b"first", self.queue.letter(name).file.read())
