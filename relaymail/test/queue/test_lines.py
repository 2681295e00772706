"""
Tests for L{relaymail.queue.lines}.
"""

from __future__ import annotations

import pickle
from typing import IO, Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.mail.interfaces import IMessageSMTP
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from relaymail.envelopes import Envelope
from relaymail.errors import QueueFull, UnreadableEntry
from relaymail.queue import lines
from relaymail.queue.lines import EnvelopeFile, LinesMessage, beginMessage


class EnvelopeFileTests(SynchronousTestCase):
    """
    L{EnvelopeFile} remembers what it held.
    """

    def test_remembers(self) -> None:
        """
        What was written is there after it is closed, however often it is.
        """
        file = EnvelopeFile()
        self.assertEqual(file.pickled, b"")
        with file:
            file.write(b"some")
            file.write(b"thing")
        file.close()
        self.assertTrue(file.closed)
        self.assertEqual(file.pickled, b"something")


class LinesMessageTests(SynchronousTestCase):
    """
    L{LinesMessage} is a message once it is complete.
    """

    def setUp(self) -> None:
        """
        Begin with somebody who takes messages.
        """
        self.taken: list[tuple[Envelope, bytes]] = []
        self.files: list[IO[bytes]] = []
        self.answer: Deferred[list[str]] = succeed(["the-name"])

    def add(self, envelope: Envelope, file: IO[bytes]) -> Deferred[list[str]]:
        """
        Take a message.
        """
        self.taken.append((envelope, file.read()))
        self.files.append(file)
        return self.answer

    def begin(
        self, envelope: object = ("from@a.example", "to@b.example"), *content: bytes
    ) -> LinesMessage:
        """
        Begin a message whose envelope is complete.
        """
        file, message = beginMessage(self.add)
        with file:
            pickle.dump(envelope, file)
        for line in content:
            message.lineReceived(line)
        return message

    def test_provides(self) -> None:
        """
        It is what the seed's apps expect.
        """
        verifyObject(IMessageSMTP, self.begin())

    def test_lines(self) -> None:
        """
        Each line gets its end, and what is in a line is left as it is.
        """
        message = self.begin(
            ["from@a.example", "to@b.example"], b"one", b"", b".dot", b"\0\xff\ra\n"
        )
        self.assertEqual(self.successResultOf(message.eomReceived()), "the-name")
        content = b"one\r\n\r\n.dot\r\n\0\xff\ra\n\r\n"
        envelope = Envelope("from@a.example", ("to@b.example",))
        self.assertEqual(self.taken, [(envelope, content)])

    def test_empty(self) -> None:
        """
        A message may have no line.
        """
        self.successResultOf(self.begin().eomReceived())
        self.assertEqual(self.taken[0][1], b"")

    def test_A05_largeOnesAreNotInMemory(self) -> None:
        """
        A large message goes to a file, and is whole.
        """
        self.patch(lines, "IN_MEMORY", 100)
        message = self.begin(("me@a.example", "you@b.example"), b"x" * 90)
        file: Any = message._file
        self.assertFalse(file._rolled)
        message.lineReceived(b"y" * 90)
        self.assertTrue(file._rolled)
        self.successResultOf(message.eomReceived())
        self.assertEqual(self.taken[0][1], b"x" * 90 + b"\r\n" + b"y" * 90 + b"\r\n")

    def test_fileIsLeftUntilItIsAnswered(self) -> None:
        """
        The content is let go when it was taken, and not before.
        """
        self.answer = Deferred()
        done = self.begin().eomReceived()
        self.assertNoResult(done)
        self.assertFalse(self.files[0].closed)
        self.answer.callback(["late"])
        self.assertEqual(self.successResultOf(done), "late")
        self.assertTrue(self.files[0].closed)

    def test_P2_refused(self) -> None:
        """
        What was not taken fails as it did, and is let go.
        """
        self.answer = fail(QueueFull("no room"))
        done = self.begin().eomReceived()
        self.failureResultOf(done, QueueFull)
        self.assertTrue(self.files[0].closed)

    def test_raises(self) -> None:
        """
        So is what could not even be asked for.
        """

        def refuse(envelope: Envelope, file: IO[bytes]) -> Deferred[list[str]]:
            raise QueueFull("no room")

        file, message = beginMessage(refuse)
        with file:
            pickle.dump(["from@a.example", "to@b.example"], file)
        self.failureResultOf(message.eomReceived(), QueueFull)
        self.assertTrue(message._file.closed)

    def test_P7_envelopes(self) -> None:
        """
        An envelope that is none, or that was not closed, is not taken; nothing
        in it is run.
        """
        bad: tuple[object, ...] = (["one"], ["a", "b", "c"], 7, print)
        for envelope in bad:
            done = self.begin(envelope).eomReceived()
            self.failureResultOf(done, UnreadableEntry)
        _, message = beginMessage(self.add)
        self.failureResultOf(message.eomReceived(), UnreadableEntry)
        self.assertEqual(self.taken, [])

    def test_lost(self) -> None:
        """
        What is not complete is thrown away.
        """
        message = self.begin(("me@a.example", "you@b.example"), b"half")
        message.connectionLost()
        message.connectionLost()
        self.assertEqual(self.taken, [])
        self.assertTrue(message._file.closed)
