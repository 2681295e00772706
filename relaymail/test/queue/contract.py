"""
What every queue does, as tests that are run for each: the contract of
L{IQueue<relaymail.interfaces.IQueue>}.
"""

from __future__ import annotations

import io
import pickle
from typing import IO, TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from relaymail.envelopes import Envelope
from relaymail.interfaces import IContent, IQueue
from relaymail.outcomes import Delivered, Retry
from relaymail.queue.pickles import loadEnvelope
from relaymail.replies import Phase, Reply

#: Some moment of the day this was written, in seconds of the epoch.
NOW = 1_700_000_000.0
MESSAGE = b"Subject: one\r\n\r\nfirst\r\n.second\r\n"
RETRY = Retry("4.3.0", Phase.RCPT, Reply(451, (b"4.3.0 later",)))
DELIVERED = Delivered("2.0.0", Phase.FINAL, Reply(250, (b"ok",)))

if TYPE_CHECKING:
    _Test = SynchronousTestCase
else:
    # The contract alone is not a test.
    _Test = object


class QueueContract(_Test):
    """
    Mixed into a L{SynchronousTestCase
    <twisted.trial.unittest.SynchronousTestCase>}, with C{makeQueue}.
    """

    clock: Clock
    queue: Any

    def makeQueue(self) -> Any:
        """
        Make an empty queue that tells its time by C{self.clock}.
        """
        raise NotImplementedError

    def settle(self, result: Deferred[Any] | None) -> Any:
        """
        Have what was asked for written.

        @return: What it came to.
        """
        raise NotImplementedError

    def restart(self) -> Any:
        """
        Let the process die, and begin again; what goes with the process just
        goes on.
        """
        return self.queue

    def setUp(self) -> None:
        """
        Begin with an empty queue.
        """
        super().setUp()
        self.clock = Clock()
        self.clock.advance(NOW)
        self.queue = self.makeQueue()
        self.queue.noisy = False

    def add(
        self,
        *recipients: str,
        content: bytes | IO[bytes] = MESSAGE,
        sender: str = "from@a.example",
    ) -> list[str]:
        """
        Have a message taken.
        """
        names: list[str] = self.settle(
            self.queue.add(Envelope(sender, recipients), content)
        )
        return names

    def receive(self, *lines: bytes, recipient: str = "to@b.example") -> None:
        """
        Have a message taken the seed's way.
        """
        envelope, message = self.queue.createNewMessage()
        with envelope:
            pickle.dump(["from@a.example", recipient], envelope)
        for line in lines:
            message.lineReceived(line)
        self.settle(message.eomReceived())

    def test_provides(self) -> None:
        """
        It provides L{IQueue}.
        """
        verifyObject(IQueue, self.queue)

    def test_empty(self) -> None:
        """
        A new queue has no names, and nothing comes due.
        """
        self.queue.readDirectory()
        self.assertEqual([self.queue.getWaiting(), self.queue.getRelayed()], [[], []])
        self.assertFalse(self.queue.hasWaiting())
        self.assertIsNone(self.queue.nextDue())

    def test_addGivesANamePerRecipient(self) -> None:
        """
        The names come in the recipients' order, and wait in it.
        """
        names = self.add("x@b.example", "y@b.example")
        self.assertEqual(self.queue.getWaiting(), names)
        self.assertTrue(self.queue.hasWaiting())
        self.assertEqual(
            [self.queue.getEnvelope(name) for name in names],
            [["from@a.example", "x@b.example"], ["from@a.example", "y@b.example"]],
        )

    def test_letter(self) -> None:
        """
        A letter is the seed's list and knows where it stands.
        """
        (name,) = self.add("x@b.example")
        letter = self.queue.letter(name)
        self.assertEqual(letter[:2], ["from@a.example", "x@b.example"])
        self.assertEqual((letter.attempts, letter.arrived), (0, NOW))
        self.assertEqual(
            letter.file.read().replace(b"\r\n", b"\n"), MESSAGE.replace(b"\r\n", b"\n")
        )
        letter.file.close()
        verifyObject(IContent, letter.content)

    def test_fileRewinds(self) -> None:
        """
        A letter's file can be read again from its start, in parts, by lines.
        """
        (name,) = self.add("x@b.example")
        with self.queue.letter(name).file as file:
            self.assertEqual(file.tell(), 0)
            self.assertEqual(file.read(7), b"Subject")
            self.assertEqual(file.tell(), 7)
            file.seek(0)
            self.assertEqual(file.readline().rstrip(), b"Subject: one")
            self.assertEqual([line.rstrip() for line in file][-1], b".second")
            self.assertEqual(file.read(1), b"")

    def test_contentsOfOneMessageAreEqual(self) -> None:
        """
        Names of one message have equal contents and keys, others do not.
        """
        one, two = self.add("x@b.example", "y@b.example")
        (other,) = self.add("x@b.example")
        key, content = self.queue.contentKey, lambda n: self.queue.letter(n).content
        self.assertEqual(key(one), key(two))
        self.assertNotEqual(key(one), key(other))
        self.assertEqual(content(one), content(two))
        self.assertNotEqual(content(one), content(other))

    def test_contentKnowsItself(self) -> None:
        """
        The size is that of what is read, and a byte above 127 is noticed.
        """
        (plain,) = self.add("x@b.example")
        (eight,) = self.add("x@b.example", content=b"caf\xc3\xa9\r\n")
        content = self.queue.letter(plain).content
        self.assertEqual(content.size, len(content.open().read()))
        self.assertFalse(content.eightBit)
        self.assertTrue(self.queue.letter(eight).content.eightBit)

    def test_addReadsAFileFromWhereItStands(self) -> None:
        """
        The content may be a file; what was read of it before is left out.
        """
        file = io.BytesIO(b"skipped" + MESSAGE)
        file.seek(7)
        (name,) = self.add("x@b.example", content=file)
        self.assertTrue(self.queue.letter(name).file.read().startswith(b"Subject"))

    def test_claim(self) -> None:
        """
        A claimed name no longer waits, and its attempt is counted.
        """
        (name,) = self.add("x@b.example")
        self.settle(self.queue.setRelaying(name))
        self.assertEqual(self.queue.getWaiting(), [])
        self.assertEqual(self.queue.getRelayed(), [name])
        self.assertEqual(self.queue.letter(name).attempts, 1)

    def test_claimOfTheUnclaimable(self) -> None:
        """
        What does not wait cannot be claimed, nor what is not claimed given
        back, nor what is not there be done with.
        """
        (name,) = self.add("x@b.example")
        self.assertRaises(KeyError, self.queue.setWaiting, name)
        self.settle(self.queue.setRelaying(name))
        self.assertRaises(KeyError, self.queue.setRelaying, name)
        for method in ("done", "letter", "getEnvelope", "contentKey", "outline"):
            self.assertRaises(KeyError, getattr(self.queue, method), "nobody")

    def test_outline(self) -> None:
        """
        What decides when a name goes where is known without its content.
        """
        one, two = self.add("x@b.example", "y@c.example")
        self.settle(self.queue.setRelaying(two))
        self.settle(self.queue.setWaiting(two))
        outline = self.queue.outline(two)
        self.assertEqual(
            (outline.sender, outline.recipient, outline.attempts, outline.arrived),
            ("from@a.example", "y@c.example", 1, NOW),
        )
        self.assertEqual(outline.key, self.queue.outline(one).key)
        self.assertNotEqual(outline.key, self.queue.outline(*self.add("x@d.e")).key)

    def test_newestWaiting(self) -> None:
        """
        What began to wait last is the first of the newest.
        """
        names = self.add("x@b.example", "y@b.example") + self.add("z@b.example")
        self.settle(self.queue.setRelaying(names[0]))
        self.settle(self.queue.setWaiting(names[0]))
        newest = list(self.queue.newestWaiting())
        self.assertEqual(newest, [names[0], names[2], names[1]])
        self.assertEqual(newest[::-1], self.queue.getWaiting())

    def test_postpone(self) -> None:
        """
        A name that is postponed waits no longer, and does again when it is due;
        no attempt is counted.
        """
        (name,) = self.add("x@b.example")
        self.settle(self.queue.postpone(name, NOW + 60))
        self.assertEqual((self.queue.getWaiting(), self.queue.getRelayed()), ([], []))
        self.assertEqual(self.queue.nextDue(), NOW + 60)
        self.assertEqual(list(self.queue.getResting()), [name])
        self.assertRaises(KeyError, self.queue.postpone, name, NOW + 90)
        self.clock.advance(60)
        self.queue.readDirectory()
        self.assertEqual(self.queue.getWaiting(), [name])
        self.assertEqual(self.queue.letter(name).attempts, 0)

    def test_lookAgain(self) -> None:
        """
        What was postponed waits again when it is looked at again, and what
        rests for another reason does not.
        """
        one, two = self.add("x@b.example", "y@c.example")
        self.settle(self.queue.postpone(one, NOW + 60))
        self.settle(self.queue.setRelaying(two))
        self.settle(self.queue.setWaiting(two, NOW + 60, RETRY))
        self.queue.lookAgain()
        self.clock.advance(0)
        self.assertEqual(self.queue.getWaiting(), [one])
        self.queue.lookAgain()
        self.clock.advance(0)
        self.assertEqual(self.queue.getWaiting(), [one])

    def test_unclaim(self) -> None:
        """
        A name whose attempt had not begun waits again, and that attempt does not
        count; one that is not claimed is left as it is.
        """
        (name,) = self.add("x@b.example")
        for rest in (None, NOW - 60):
            self.settle(self.queue.setRelaying(name))
            before = self.queue.letter(name).attempts
            self.queue.unclaim(name)
            self.assertEqual(self.queue.getWaiting(), [name])
            self.assertEqual(self.queue.outline(name).attempts, before - 1)
            self.assertRaises(KeyError, self.queue.unclaim, name)
            self.assertEqual(self.queue.outline(name).attempts, before - 1)
            self.settle(self.queue.setRelaying(name))
            self.assertEqual(self.queue.letter(name).attempts, before)
            self.settle(self.queue.setWaiting(name, rest))

    def test_giveBackAtOnce(self) -> None:
        """
        A name given back without a time waits at once, as in the seed.
        """
        (name,) = self.add("x@b.example")
        self.settle(self.queue.setRelaying(name))
        self.settle(self.queue.setWaiting(name))
        self.assertEqual(self.queue.getWaiting(), [name])
        self.assertEqual(self.queue.getRelayed(), [])

    def test_restUntilDue(self) -> None:
        """
        A name given back with a time waits from then on.
        """
        (name,) = self.add("x@b.example")
        self.settle(self.queue.setRelaying(name))
        self.settle(self.queue.setWaiting(name, NOW + 60, RETRY))
        self.assertEqual(self.queue.nextDue(), NOW + 60)
        self.clock.advance(59)
        self.queue.readDirectory()
        self.assertFalse(self.queue.hasWaiting())
        self.clock.advance(1)
        self.queue.readDirectory()
        self.assertEqual(self.queue.getWaiting(), [name])
        self.assertIsNone(self.queue.nextDue())
        self.settle(self.queue.setRelaying(name))
        self.assertEqual(self.queue.letter(name).attempts, 2)

    def test_dueEarliestFirst(self) -> None:
        """
        Resting names come due in the order of their times.
        """
        names = self.add("x@b.example", "y@b.example", "z@b.example")
        for name, rest in zip(names, (30, 10, 20), strict=True):
            self.settle(self.queue.setRelaying(name))
            self.settle(self.queue.setWaiting(name, NOW + rest))
        self.clock.advance(30)
        self.queue.readDirectory()
        self.assertEqual(self.queue.getWaiting(), [names[1], names[2], names[0]])

    def test_addMessageWakes(self) -> None:
        """
        L{IQueue.addMessage} makes a resting name wait, and leaves a claimed
        one alone.
        """
        resting, claimed = self.add("x@b.example", "y@b.example")
        for name in (resting, claimed):
            self.settle(self.queue.setRelaying(name))
        self.settle(self.queue.setWaiting(resting, NOW + 60))
        self.queue.addMessage(resting)
        self.queue.addMessage(claimed)
        self.assertEqual(self.queue.getWaiting(), [resting])
        self.clock.advance(60)
        self.queue.readDirectory()
        self.assertEqual(self.queue.getWaiting(), [resting])
        self.assertIsNone(self.queue.nextDue())

    def test_done(self) -> None:
        """
        A name that is done with is nowhere; its path serves as well.
        """
        one, two = self.add("x@b.example", "y@b.example")
        self.settle(self.queue.setRelaying(one))
        self.settle(self.queue.done(self.queue.getPath(one), DELIVERED))
        self.queue.readDirectory()
        self.assertEqual(
            (self.queue.getWaiting(), self.queue.getRelayed()), ([two], [])
        )
        self.assertRaises(KeyError, self.queue.done, one)
        self.assertIn(b"first", self.queue.letter(two).file.read())

    def test_doneWhileResting(self) -> None:
        """
        A resting name that is done with never comes due.
        """
        (name,) = self.add("x@b.example")
        self.settle(self.queue.setRelaying(name))
        self.settle(self.queue.setWaiting(name, NOW + 60))
        self.settle(self.queue.done(name))
        self.clock.advance(60)
        self.queue.readDirectory()
        self.assertFalse(self.queue.hasWaiting())
        self.assertIsNone(self.queue.nextDue())

    def test_listsAreSnapshots(self) -> None:
        """
        What was given can be walked while names are claimed.
        """
        self.add("x@b.example", "y@b.example", "z@b.example")
        for name in self.queue.getWaiting():
            self.settle(self.queue.setRelaying(name))
        for name in self.queue.getRelayed():
            self.settle(self.queue.setWaiting(name))
        self.assertEqual(len(self.queue.getWaiting()), 3)

    def test_createNewMessage(self) -> None:
        """
        A message received the seed's way waits once it is complete.
        """
        self.receive(b"Subject: two", b"", b".dot", recipient="to@b.example")
        (name,) = self.queue.getWaiting()
        self.assertEqual(
            self.queue.getEnvelope(name), ["from@a.example", "to@b.example"]
        )
        letter = self.queue.letter(name)
        self.assertEqual(
            letter.file.read().splitlines(), [b"Subject: two", b"", b".dot"]
        )
        self.assertEqual(letter.arrived, NOW)

    def test_lostMessageIsNotTaken(self) -> None:
        """
        A message whose connection was lost never was.
        """
        envelope, message = self.queue.createNewMessage()
        with envelope:
            pickle.dump(["from@a.example", "to@b.example"], envelope)
        message.lineReceived(b"half")
        message.connectionLost()
        self.queue.readDirectory()
        self.assertFalse(self.queue.hasWaiting())

    def test_getEnvelopeFile(self) -> None:
        """
        The envelope file is what an app of the seed unpickles.
        """
        (name,) = self.add("x@b.example")
        with self.queue.getEnvelopeFile(name) as file:
            self.assertEqual(
                loadEnvelope(file.read()), ["from@a.example", "x@b.example"]
            )

    def test_onWaiting(self) -> None:
        """
        Who wants to know is told of mail that came, and of what came due.
        """
        told: list[int] = []
        self.queue.onWaiting = lambda: told.append(len(self.queue.getWaiting()))
        (name,) = self.add("x@b.example")
        self.assertEqual(told, [1])
        self.receive(b"body")
        self.assertEqual(told, [1, 2])
        self.settle(self.queue.setRelaying(name))
        self.settle(self.queue.setWaiting(name, NOW + 5))
        self.queue.readDirectory()
        self.assertEqual(told, [1, 2])
        self.clock.advance(5)
        self.queue.readDirectory()
        self.assertEqual(told, [1, 2, 2])

    def test_P7_setAsideIsLoudAndTheRestGoesOn(self) -> None:
        """
        A name that is set aside is logged with the reason and never offered
        again; the others are.
        """
        bad, good = self.add("x@b.example", "y@b.example")
        with capturedLogs() as events:
            self.queue.setAside(bad, "it is broken")
        told = [e for e in events if e.get("why") == "it is broken"]
        self.assertEqual(
            [(e["log_level"], e["name"]) for e in told], [(LogLevel.error, bad)]
        )
        self.queue.readDirectory()
        self.assertEqual(self.queue.getWaiting(), [good])
        self.assertRaises(KeyError, self.queue.letter, bad)

    def test_stop(self) -> None:
        """
        A queue can be stopped.
        """
        self.add("x@b.example")
        self.settle(self.queue.stop())
