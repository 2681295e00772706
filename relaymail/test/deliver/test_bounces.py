# -*- test-case-name: relaymail.test.deliver.test_bounces -*-
"""
Tests for L{relaymail.deliver.bounces}.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.defer import fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaymail.deliver.bounces import Bounces
from relaymail.envelopes import Envelope, Parameters, RecipientParameters
from relaymail.errors import QueueFull, UnreadableEntry
from relaymail.outcome.news import News
from relaymail.outcomes import Bounce, Retry
from relaymail.queue.memory import MemoryQueue
from relaymail.replies import Phase, Reply, Trouble, TroubleKind

NO_WAY = Bounce(
    "5.7.30", Phase.RESOLVE, Trouble(Phase.RESOLVE, TroubleKind.NO_REQUIRETLS)
)
SECURE = Parameters(requireTLS=True)
SECRET = b"Subject: hush\r\nMessage-ID: <1@example.com>\r\n\r\ny\r\n"
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


class ProtectedTests(SynchronousTestCase):
    """
    Notices are protected on their way as what they tell of (RFC 8689 5).
    """

    def setUp(self) -> None:
        self.queue = MemoryQueue(Clock())
        self.bounces = Bounces(self.queue)

    def add(
        self,
        parameters: Parameters,
        sender: str = "a@example.com",
        content: bytes = b"",
    ) -> list[str]:
        """
        Queue a message of which something was said.
        """
        envelope = Envelope(sender, ("b@x.example", "c@x.example"), parameters)
        content = (
            content or b"Subject: hush\r\nMessage-ID: <1@example.com>\r\n\r\ny\r\n"
        )
        return self.successResultOf(self.queue.add(envelope, content))

    def end(self, names: list[str], outcome: Bounce) -> list[str]:
        """
        Let names fail, and give those that wait then.
        """
        for name in names:
            self.queue.setRelaying(name)
            self.bounces.add(name, self.queue.letter(name), outcome)
        self.bounces.flush("relay.example")
        self.assertEqual(self.queue.getRelayed(), [])
        return self.queue.getWaiting()

    def textOf(self, name: str) -> bytes:
        """
        Give what a message says.
        """
        return self.queue.letter(name).content.open().read()

    def test_requireTLS(self) -> None:
        """
        The notice may go over TLS only, too.
        """
        (name,) = self.end(self.add(SECURE), FAILED)
        outline = self.queue.outline(name)
        self.assertEqual((outline.sender, outline.recipient), ("", "a@example.com"))
        self.assertEqual(outline.parameters, SECURE)
        self.assertIn(b"hush", self.textOf(name))

    def test_tlsOptional(self) -> None:
        """
        One of mail that goes also where TLS is broken does so, too, and says it.
        """
        (name,) = self.end(self.add(Parameters(tlsOptional=True)), FAILED)
        parameters = self.queue.outline(name).parameters
        self.assertEqual(parameters, Parameters(tlsOptional=True))
        self.assertIn(b"\r\nTLS-Required: No\r\n", self.textOf(name))

    def test_replaced(self) -> None:
        """
        Where there is no such way for the notice, something takes its place that
        says nothing of the message, and may go in clear.
        """
        (notice,) = self.end(self.add(SECURE), FAILED)
        (name,) = self.end([notice], NO_WAY)
        outline = self.queue.outline(name)
        self.assertEqual(outline.sender, "")
        self.assertEqual(outline.recipient, "postmaster@example.com")
        self.assertEqual(outline.parameters, Parameters())
        text = self.textOf(name)
        self.assertIn(b"<1@example.com>", text)
        self.assertIn(b"5.1.1", text)
        for word in (b"hush", b"x.example", b"a@example.com", b"Nobody"):
            self.assertNotIn(word, text)

    def test_onceAtMost(self) -> None:
        """
        Nothing takes the place of that: it is gone when it fails.
        """
        names = self.end(self.add(SECURE), FAILED)
        names = self.end(names, NO_WAY)
        self.assertEqual(self.end(names, NO_WAY), [])
        self.assertEqual(self.queue.getResting(), {})

    def test_inOneTurn(self) -> None:
        """
        It is added, and then the notice goes, which says that it is not to go
        without.
        """
        names = self.end(self.add(SECURE), FAILED)
        calls: list[Any] = []
        add, done = self.queue.add, self.queue.done
        self.queue.add = lambda *a: calls.append("add") or add(*a)  # type: ignore
        self.queue.done = lambda *a: calls.append(a) or done(*a)  # type: ignore
        self.end(names, NO_WAY)
        self.assertEqual(calls, ["add", (names[0], replace(NO_WAY, isReplaced=True))])

    def test_P5_noRoom(self) -> None:
        """
        Where it is not taken the notice stays, to fail again later.
        """
        names = self.end(self.add(SECURE), FAILED)
        add = self.queue.add
        self.queue.add = lambda *a: fail(QueueFull("no"))  # type: ignore
        self.assertEqual(self.end(names, NO_WAY), [])
        self.assertEqual(list(self.queue.getResting()), names)
        self.flushLoggedErrors(QueueFull)
        self.queue.add = add  # type: ignore[method-assign]
        self.queue._wait(names[0])
        (name,) = self.end(names, NO_WAY)
        recipient = self.queue.outline(name).recipient
        self.assertEqual(recipient, "postmaster@example.com")

    def test_onlyForWantOfTLS(self) -> None:
        """
        A notice that fails for something else is gone, as any other.
        """
        self.assertEqual(self.end(self.end(self.add(SECURE), FAILED), FAILED), [])

    def test_onlyOwn(self) -> None:
        """
        So are notices of others, and mail without a sender that is no notice.
        """
        notice = self.textOf(self.end(self.add(SECURE), FAILED)[0])
        self.queue = MemoryQueue(Clock())
        self.bounces = Bounces(self.queue)
        for content in (b"Received: from x by y; z\r\n" + notice, b"x\r\n"):
            names = self.add(SECURE, "", content)
            self.assertEqual(self.end(names, NO_WAY), [])

    def test_unreadable(self) -> None:
        """
        A notice that cannot be read any more is gone.
        """
        names = self.end(self.add(SECURE), FAILED)

        def broken() -> Any:
            raise UnreadableEntry("gone")

        letter = self.queue.letter(names[0])
        letter.content = type("Broken", (), {"open": staticmethod(broken)})()
        self.queue.setRelaying(names[0])
        self.bounces.add(names[0], letter, NO_WAY)
        self.bounces.flush("relay.example")
        self.assertEqual(len(self.flushLoggedErrors(UnreadableEntry)), 1)
        self.assertEqual(self.queue._entries, {})
