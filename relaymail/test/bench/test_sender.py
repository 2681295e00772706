# -*- test-case-name: relaymail.test.bench.test_sender -*-
"""
Tests for L{relaymail.bench.sender}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaymail.bench.mail import Work
from relaymail.bench.sender import MAX_REFUSED, MAX_REPLY, Load, Phase, Sender
from relaymail.bench.sink import Book, Session

TAG = "0123456789abcdef"
GREETING = b"220 relay.example ESMTP\r\n"
PLAIN = b"250-relay.example\r\n250 SIZE 0\r\n"
PIPELINING = b"250-relay.example\r\n250-PIPELINING\r\n250 SIZE 0\r\n"


class SenderTests(SynchronousTestCase):
    """
    Tests for L{Sender}.
    """

    def begin(self, **work: Any) -> Sender:
        """
        Make a sender of some messages.
        """
        self.load = Load(Work(size=300, **work), TAG)
        return Sender(self.load, self.load.take())

    def heard(self, sender: Sender, data: bytes) -> bytes:
        """
        Give a sender a reply, and give what it writes then.
        """
        sender.received(data)
        written = b"".join(sender.out)
        sender.out.clear()
        return written

    def test_pipelining(self) -> None:
        """
        The commands of a message are one write where the relay allows that,
        and the content waits for all the replies.
        """
        sender = self.begin(messages=1, recipients=2)
        self.assertEqual(self.heard(sender, GREETING), b"EHLO source.example\r\n")
        commands = self.heard(sender, PIPELINING)
        self.assertEqual(commands.count(b"\r\n"), 4)
        self.assertEqual(self.heard(sender, b"250 a\r\n250 b\r\n250 c\r\n35"), b"")
        text = self.heard(sender, b"4 go\r\n")
        self.assertTrue(text.startswith(b"X-Relaymail-Bench: " + TAG.encode()))
        self.assertTrue(text.endswith(b"\r\n.\r\n"))
        self.assertEqual(self.load.count, 0)
        self.assertEqual(self.heard(sender, b"250 queued\r\n"), b"QUIT\r\n")
        self.assertEqual(self.load.count, 1)
        self.assertGreaterEqual(self.load.accepted[0], self.load.began)
        self.heard(sender, b"221 bye\r\n")
        self.assertFalse(sender.open)
        self.assertEqual(self.load.refused, 0)

    def test_onePipeliningLineIsLast(self) -> None:
        """
        The extension counts on the last line, too.
        """
        sender = self.begin(messages=1)
        self.heard(sender, GREETING)
        told = self.heard(sender, b"250-relay.example\r\n250 PIPELINING\r\n")
        self.assertTrue(told.endswith(b"DATA\r\n"))

    def test_oneByOne(self) -> None:
        """
        A relay that does not offer it gets each command alone.
        """
        sender = self.begin(messages=1)
        self.heard(sender, GREETING)
        told = [self.heard(sender, reply) for reply in (PLAIN, b"250\r\n", b"250\r\n")]
        self.assertEqual([line[:4] for line in told], [b"MAIL", b"RCPT", b"DATA"])
        self.assertEqual([line.count(b"\r\n") for line in told], [1, 1, 1])
        self.assertIn(TAG.encode(), self.heard(sender, b"354\r\n"))

    def test_againstTheSink(self) -> None:
        """
        One connection carries as many messages as it should, and the sink
        counts them all.
        """
        sender = self.begin(messages=5, recipients=3, perConnection=4)
        book, session = Book(TAG, 5, 3), Session()
        told = GREETING
        while sender.open:
            told = session.received(self.heard(sender, told), book)
        self.assertEqual((self.load.count, book.count), (4, 12))
        self.assertEqual(self.load.take(), 4)

    def test_refused(self) -> None:
        """
        A message that is refused costs its connection; the first refusal is
        kept, with what was asked.
        """
        sender = self.begin(messages=2)
        self.heard(sender, GREETING + PIPELINING)
        self.assertEqual(self.heard(sender, b"250\r\n452 full\r\n354\r\n"), b"")
        self.assertFalse(sender.open)
        self.load.refuse("later")
        self.assertEqual(self.load.refused, 2)
        self.assertEqual(
            self.load.refusal,
            "452 full (waiting for the replies to MAIL, RCPT and DATA)",
        )

    def test_nothingTakenAnyMore(self) -> None:
        """
        A relay that refuses many messages in a row gets no more; all the others
        count as refused.
        """
        load = Load(Work(messages=5000), TAG)
        for _ in range(MAX_REFUSED - 1):
            load.refuse("no")
        load.accept(load.take())
        for _ in range(MAX_REFUSED):
            self.assertGreater(load.take(), 0)
            load.refuse("no")
        self.assertEqual(load.take(), -1)
        self.assertEqual(load.refused, 4999 + MAX_REFUSED - 1)

    def test_byeDoesNotMatter(self) -> None:
        """
        A connection that ends when all is sent refuses nothing.
        """
        sender = self.begin(messages=1)
        for told in (GREETING, PIPELINING, b"250\r\n250\r\n354\r\n", b"250\r\n"):
            self.heard(sender, told)
        sender.fail("the connection was cut")
        self.assertEqual((self.load.count, self.load.refused), (1, 0))

    def test_endlessReply(self) -> None:
        """
        A reply without an end is a refusal.
        """
        sender = self.begin(messages=1)
        self.heard(sender, b"2" * (MAX_REPLY + 1))
        self.assertFalse(sender.open)
        self.assertEqual(self.load.refused, 1)

    def test_paced(self) -> None:
        """
        Paced, each message asks for its turn and waits for it.
        """
        sender = self.begin(messages=2, perConnection=0, paced=True)
        asked: list[int] = []
        self.patch(Load, "ask", lambda load: asked.append(load.count))
        self.heard(sender, GREETING)
        self.assertEqual(self.heard(sender, PIPELINING), b"")
        self.assertIs(sender.phase, Phase.PACE)
        sender.go()
        self.heard(sender, b"")
        self.heard(sender, b"250\r\n250\r\n354\r\n")
        self.assertEqual(self.heard(sender, b"250 queued\r\n"), b"")
        self.assertEqual(asked, [0, 1])
