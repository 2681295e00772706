"""
Tests for L{relaymail.queue.directory}: the contract, and what the seed says.
"""

from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import Envelope
from relaymail.errors import QueueFull, QueueLocked
from relaymail.queue.directory import PUT_BACK, Queue
from relaymail.test.queue.contract import DELIVERED, MESSAGE, NOW
from relaymail.test.queue.directories import (
    BOUNCE,
    DirectoryContract,
    MemoryDirectoryContract,
    runNow,
)
from relaymail.test.queue.inspection import InspectionContract
from relaymail.test.queue.saying import SayingContract


class InlineDirectoryTests(
    InspectionContract, SayingContract, DirectoryContract, SynchronousTestCase
):
    """
    L{Queue} is a queue when it writes at once.
    """

    mayHold = False


class TurnDirectoryTests(
    InspectionContract, SayingContract, DirectoryContract, SynchronousTestCase
):
    """
    L{Queue} is a queue when it writes turn by turn.
    """

    mayHold = False

    run_ = staticmethod(runNow)


class InlineMemoryTests(MemoryDirectoryContract, SynchronousTestCase):
    """
    L{Queue} is a queue on a disk in memory.
    """


class TurnMemoryTests(MemoryDirectoryContract, SynchronousTestCase):
    """
    L{Queue} is a queue there when it writes turn by turn.
    """

    run_ = staticmethod(runNow)

    def test_addAndDoneOfOneTurnShareOneJournal(self) -> None:
        """
        A notice and the name that it replaces are changed together.
        """
        (name,) = self.add("x@b.example")
        self.queue.setRelaying(name)
        self.steps.clear()
        notice = Envelope("", ("from@a.example",))
        added = self.queue.add(notice, MESSAGE)
        done = self.queue.done(name, BOUNCE)
        self.assertEqual(self.steps, [])
        self.clock.advance(0)
        (new,) = self.successResultOf(added)
        self.successResultOf(done)
        journals = [s for s, p in self.steps if s == "rename" and p[-2:] == "-J"]
        self.assertEqual(len(journals), 1)
        self.assertEqual(self.files(), [f"{new}-D", f"{new}-H"])

    def test_oneSyncOfTheDirectoryForATurn(self) -> None:
        """
        Twenty messages of one turn share one sync of the directory.
        """
        self.steps.clear()
        envelope = Envelope("a@a.example", ("x@b.example",))
        added = [self.queue.add(envelope, MESSAGE) for _ in range(20)]
        self.clock.advance(0)
        for each in added:
            self.successResultOf(each)
        syncs = [p for s, p in self.steps if s == "sync"]
        self.assertEqual(syncs, [self.directory])

    def test_P5_bounceWithoutNoticeIsPutBack(self) -> None:
        """
        When the notice cannot be taken the name it replaces is not removed:
        it rests, and is tried again.
        """
        (name,) = self.add("x@b.example")
        self.queue.setRelaying(name)
        self.disk.fail("finish", errno.ENOSPC, "-C")
        added = self.queue.add(Envelope("", ("from@a.example",)), MESSAGE)
        done = self.queue.done(name, BOUNCE)
        self.clock.advance(0)
        self.failureResultOf(added, QueueFull)
        self.failureResultOf(done, QueueFull)
        self.assertEqual(self.files(), [f"{name}-D", f"{name}-H"])
        self.assertEqual(self.queue.nextDue(), NOW + PUT_BACK)
        self.clock.advance(PUT_BACK)
        self.queue.readDirectory()
        self.assertEqual(self.queue.getWaiting(), [name])

    def test_P6_fullDiskStillDrains(self) -> None:
        """
        With no room for mail or journal, what was delivered in the same turn
        is removed all the same.
        """
        (name,) = self.add("x@b.example")
        self.queue.setRelaying(name)
        self.disk.fail("finish", errno.ENOSPC, "-J0")
        added = self.queue.add(Envelope("a@a.example", ("x@b.example",)), MESSAGE)
        done = self.queue.done(name, DELIVERED)
        self.clock.advance(0)
        self.failureResultOf(added, QueueFull)
        self.successResultOf(done)
        self.assertEqual(self.files(), [])

    def test_leavingAndArrivingNamesAreNotOffered(self) -> None:
        """
        What is being written or removed is no mail, whatever a listing finds.
        """
        (name,) = self.add("x@b.example")
        self.queue.setRelaying(name)
        done = self.queue.done(name, DELIVERED)
        self.queue.readDirectory()
        self.assertEqual(self.queue.getWaiting(), [])
        self.clock.advance(0)
        self.successResultOf(done)

    def test_P10_stopWritesWhatIsAsked(self) -> None:
        """
        L{Queue.stop} fires when all is written, and gives the lock up.
        """
        self.queue.lock()
        added = self.queue.add(Envelope("a@a.example", ("x@b.example",)), MESSAGE)
        stopped = self.queue.stop()
        self.assertNoResult(stopped)
        self.clock.advance(0)
        self.successResultOf(added)
        self.successResultOf(stopped)
        self.reopen().lock()


class SeedTests(DirectoryContract, SynchronousTestCase):
    """
    L{Queue} keeps to what Twisted documents.
    """

    def test_members(self) -> None:
        """
        The seed's variables are there.
        """
        self.assertEqual(self.queue.directory, self.directory)
        self.assertEqual((self.queue.waiting, self.queue.relayed), ({}, {}))
        self.assertIsInstance(vars(self.queue)["n"], int)
        self.assertIs(Queue.noisy, True)

    def test_pathsOfAnyKind(self) -> None:
        """
        The directory and names may be bytes or a path; str comes out.
        """
        (name,) = self.add("x@b.example")
        for path in (os.fsencode(self.directory), Path(self.directory)):
            queue = Queue(path, self.clock)
            self.assertEqual(queue.directory, self.directory)
            self.assertEqual(queue.getWaiting(), [name])
        self.assertEqual(
            self.queue.getPath(name.encode()), os.path.join(self.directory, name)
        )

    def test_pickles(self) -> None:
        """
        A queue pickles its directory alone, and begins anew from it.
        """
        (name,) = self.add("x@b.example")
        self.assertEqual(self.queue.__getstate__(), {"directory": self.directory})
        again = Queue.__new__(Queue)
        again.__setstate__({"directory": os.fsencode(self.directory)})
        self.assertEqual(again.getWaiting(), [name])

    def test_noisy(self) -> None:
        """
        The seed's text is logged for each name that waits.
        """
        self.queue.noisy = True
        with capturedLogs() as events:
            self.queue.addMessage("somebody")
        self.assertIn("Set somebody waiting", [e.get("log_text") for e in events])

    def test_filesOfAMessage(self) -> None:
        """
        The files are the seed's: -H and -C, then -H and -D with LF.
        """
        envelope, message = self.queue.createNewMessage()
        with envelope:
            pickle.dump(["header", 7], envelope)
        message.lineReceived(b"body")
        name = os.path.basename(message.finalName)[:-2]
        self.assertEqual(self.files(), [f"{name}-C", f"{name}-H"])
        self.assertEqual(message.name, f"{self.directory}/{name}-C")
        self.assertEqual(self.successResultOf(message.eomReceived()), message.finalName)
        self.assertEqual(self.files(), [f"{name}-D", f"{name}-H"])
        self.assertEqual(Path(message.finalName).read_bytes(), b"body\n")
        self.assertEqual(self.queue.getEnvelope(name), ["header", 7])
        self.queue.setRelaying(name)
        self.queue.done(name)
        self.assertEqual(self.files(), [])

    def test_lostMessageLeavesNothing(self) -> None:
        """
        A message that is lost takes its files with it; one that is complete
        does not.
        """
        _, message = self.queue.createNewMessage()
        message.connectionLost()
        message.connectionLost()
        self.assertEqual(self.files(), [])
        self.receive(b"body")
        self.assertEqual(len(self.files()), 2)

    def test_addedContentHasLineFeeds(self) -> None:
        """
        CRLF is mapped to LF in the file, wherever a read ends.
        """
        data = b"\r\n" + b"x" * 65533 + b"\r\n\r\r\nlast\r"
        with open(self.mktemp(), "w+b") as file:
            file.write(data)
            file.seek(0)
            (name,) = self.add("x@b.example", content=file)
        stored = Path(self.queue.getPath(name) + "-D").read_bytes()
        self.assertEqual(stored, b"\n" + b"x" * 65533 + b"\n\r\nlast\r")

    def test_anotherProcessFeedsIt(self) -> None:
        """
        Mail that another queue put there is found by the next listing, and
        what somebody removed is forgotten.
        """
        other = self.reopen()
        other.noisy = False
        (name,) = self.successResultOf(
            other.add(Envelope("a@a.example", ("x@b.example",)), MESSAGE)
        )
        self.assertEqual(self.queue.getWaiting(), [])
        self.queue.readDirectory()
        self.assertEqual(self.queue.getWaiting(), [name])
        os.unlink(other.getPath(name) + "-D")
        self.queue.readDirectory()
        self.assertEqual(self.queue.getWaiting(), [])


class LockTests(DirectoryContract, SynchronousTestCase):
    """
    One process relays from a directory.
    """

    def test_claimTakesTheLock(self) -> None:
        """
        The first claim locks the directory, without a file in it, and
        another queue cannot claim until the first is stopped.
        """
        (name,) = self.add("x@b.example")
        other = self.reopen()
        self.queue.setRelaying(name)
        self.assertEqual(self.files(), [f"{name}-D", f"{name}-H"])
        self.assertRaises(QueueLocked, other.setRelaying, name)
        self.assertEqual(other.getWaiting(), [name])
        self.successResultOf(self.queue.stop())
        other.setRelaying(name)

    def test_lockTwice(self) -> None:
        """
        Its holder may take it again.
        """
        self.queue.lock()
        self.queue.lock()
