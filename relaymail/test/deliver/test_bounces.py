# -*- test-case-name: relaymail.test.deliver.test_bounces -*-
"""
Tests for L{relaymail.deliver.bounces}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaymail.deliver.bounces import Bounces
from relaymail.envelopes import Envelope, Parameters, RecipientParameters
from relaymail.errors import QueueFull
from relaymail.outcome.news import News
from relaymail.outcomes import Bounce, Retry
from relaymail.queue.memory import MemoryQueue
from relaymail.replies import Phase, Reply

FAILED = Bounce("5.1.1", Phase.RCPT, Reply(550, (b"5.1.1 Nobody",)), "mx.example")


class BouncesTests(SynchronousTestCase):
    """
    Tests for L{Bounces}.
    """

    def setUp(self) -> None:
        self.queue = MemoryQueue(Clock())
        self.bounces = Bounces(self.queue)

    def failed(self, sender: str, *recipients: str) -> list[str]:
        """
        Let a message fail for all its recipients.
        """
        d = self.queue.add(Envelope(sender, recipients), b"Subject: x\r\n\r\ny\r\n")
        names = self.successResultOf(d)
        for name in names:
            self.queue.setRelaying(name)
            self.bounces.add(name, self.queue.letter(name), FAILED)
        return names

    def notices(self) -> list[tuple[str, bytes]]:
        """
        Give for whom the notices in the queue are, and what they say.
        """
        letters = map(self.queue.letter, self.queue.getWaiting())
        return [(x.recipient, x.content.open().read()) for x in letters]

    def test_oneNoticeForAMessage(self) -> None:
        """
        All failures of a message come to one notice, and its names are done.
        """
        self.failed("a@example.com", "b@x.example", "c@x.example")
        self.bounces.flush("relay.example")
        ((to, text),) = self.notices()
        self.assertEqual(to, "a@example.com")
        for words in (
            b"Final-Recipient: rfc822; b@x.example",
            b"Final-Recipient: rfc822; c@x.example",
            b"Reporting-MTA: dns; relay.example",
            b"Diagnostic-Code: smtp; 550 5.1.1 Nobody",
            b"Subject: x",
        ):
            self.assertIn(words, text)
        self.assertEqual(self.queue.getRelayed(), [])

    def test_oneNoticeEach(self) -> None:
        """
        Each message has its own.
        """
        self.failed("a@example.com", "b@x.example")
        self.failed("d@example.com", "b@x.example")
        self.bounces.flush("relay.example")
        self.assertEqual(
            [to for to, _ in self.notices()], ["a@example.com", "d@example.com"]
        )

    def test_onlyOnce(self) -> None:
        """
        What was told is not told again.
        """
        self.failed("a@example.com", "b@x.example")
        self.bounces.flush("relay.example")
        self.bounces.flush("relay.example")
        self.assertEqual(len(self.notices()), 1)

    def test_nobodyToTell(self) -> None:
        """
        The null sender is not told; the names are done.
        """
        self.failed("", "b@x.example")
        self.bounces.flush("relay.example")
        self.assertEqual((self.notices(), self.queue._entries), ([], {}))

    def test_NEVER(self) -> None:
        """
        Who wants to hear nothing is not told, and the names are done; one notice
        has the others.
        """
        said = tuple(RecipientParameters(x) for x in ("NEVER", "FAILURE", "SUCCESS"))
        recipients = ("b@x.example", "c@x.example", "d@x.example")
        envelope = Envelope("a@example.com", recipients, recipientParameters=said)
        for name in self.successResultOf(self.queue.add(envelope, b"y\r\n")):
            self.queue.setRelaying(name)
            self.bounces.add(name, self.queue.letter(name), FAILED)
        self.bounces.flush("relay.example")
        ((_, text),) = self.notices()
        self.assertEqual(text.count(b"Final-Recipient:"), 1)
        self.assertIn(b"rfc822; c@x.example", text)
        self.assertEqual(self.queue.getRelayed(), [])

    def test_foreignAddresses(self) -> None:
        """
        A notice of internationalised mail is such (RFC 6533 4).
        """
        self.failed("jörg@example.com", "b@x.example")
        self.bounces.flush("relay.example")
        (name,) = self.queue.getWaiting()
        letter = self.queue.letter(name)
        self.assertEqual(letter.recipient, "jörg@example.com")
        self.assertEqual(letter.parameters, Parameters("8BITMIME", utf8=True))

    def test_D32_toldFirst(self) -> None:
        """
        Of mail that is late it is noted that its sender was told before it rests,
        and after the notice was added, all in one turn.
        """
        calls: list[str] = []
        for each in ("add", "told", "setWaiting"):
            self.patch(self.queue, each, self.noted(each, calls))
        (name,) = self.successResultOf(
            self.queue.add(Envelope("a@example.com", ("b@x.example",)), b"y\r\n")
        )
        self.queue.setRelaying(name)
        del calls[:]
        late = Retry("4.3.0", Phase.MAIL, Reply(451, (b"Later",)))
        self.bounces.add(
            name, self.queue.letter(name), late, News.DELAYED, 60.0, 500_000.0
        )
        self.bounces.flush("relay.example")
        self.assertEqual(calls, ["add", "told", "setWaiting"])
        ((_, text),) = self.notices()
        self.assertIn(b"Will-Retry-Until: Tue, 06 Jan 1970", text)
        self.assertEqual(self.queue.nextDue(), 60.0)
        self.assertTrue(self.queue.letter(name).isTold)

    def test_D32_notRemembered(self) -> None:
        """
        Nobody is told that mail is late by a queue that could not remember it: he
        would be with each attempt.
        """
        (name,) = self.successResultOf(
            self.queue.add(Envelope("a@example.com", ("b@x.example",)), b"y\r\n")
        )
        self.queue.setRelaying(name)

        class Older:
            """
            A queue that was written before there was such a notice.
            """

            def __getattr__(older, name: str) -> Any:
                if name == "told":
                    raise AttributeError(name)
                return getattr(self.queue, name)

        bounces = Bounces(Older())
        late = Retry("4.3.0", Phase.MAIL, Reply(451, (b"Later",)))
        bounces.add(name, self.queue.letter(name), late, News.DELAYED, 60.0, 5e5)
        bounces.flush("relay.example")
        self.assertEqual(self.notices(), [])
        self.assertEqual(self.queue.nextDue(), 60.0)

    def noted(self, name: str, calls: list[str]) -> Any:
        """
        Give a method of the queue that is noted when it is called.
        """
        method = getattr(self.queue, name)

        def call(*args: Any) -> Any:
            calls.append(name)
            return method(*args)

        return call

    def test_P5_noRoom(self) -> None:
        """
        A notice that is not taken leaves the names in the queue, to fail again
        later.
        """
        names = self.failed("a@example.com", "b@x.example")
        self.queue.add = lambda *a: fail(QueueFull("no"))  # type: ignore
        self.bounces.flush("relay.example")
        self.assertEqual(self.queue.getRelayed(), [])
        self.assertEqual(list(self.queue._entries), names)
        due = self.queue.nextDue()
        self.assertTrue(due and due > 0)
        self.assertEqual(len(self.flushLoggedErrors(QueueFull)), 1)

    def test_P5_whatRaises(self) -> None:
        """
        So where the queue raises; other messages go on.
        """
        bad = self.failed("a@example.com", "b@x.example")
        add = self.queue.add
        calls: list[Any] = []

        def failing(*args: Any) -> Any:
            calls.append(args)
            if len(calls) == 1:
                raise RuntimeError("a queue that does not work")
            return add(*args)

        self.queue.add = failing  # type: ignore[method-assign, assignment]
        self.failedAgain("d@example.com", add)
        self.bounces.flush("relay.example")
        self.assertEqual([to for to, _ in self.notices()], ["d@example.com"])
        self.assertIn(bad[0], self.queue._entries)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def failedAgain(self, sender: str, add: Any) -> None:
        """
        Let another message fail.
        """
        names = self.successResultOf(add(Envelope(sender, ("b@x.example",)), b"z\r\n"))
        self.queue.setRelaying(names[0])
        self.bounces.add(names[0], self.queue.letter(names[0]), FAILED)

    def test_unreadableOriginal(self) -> None:
        """
        A content that cannot be read does not keep the sender from being told.
        """
        self.failed("a@example.com", "b@x.example")
        ((settled,),) = self.bounces._settled.values()

        class Broken:
            size = 1
            eightBit = False

            def open(self) -> Any:
                raise OSError("a bad sector")

        settled.letter.content = Broken()  # type: ignore[assignment]
        self.bounces.flush("relay.example")
        self.assertEqual(len(self.notices()), 1)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
