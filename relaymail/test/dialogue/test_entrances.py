# -*- test-case-name: relaymail.test.dialogue.test_entrances -*-
"""
Tests for what the kind of port changes in L{relaymail.dialogue.server}.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.answers import answer
from relaymail.dialogue.server import State
from relaymail.envelopes import Entrance
from relaymail.test.dialogue.talking import OFFER, Client, Known

_TO_RCPT = (b"LHLO c", b"MAIL FROM:<a@b>", b"RCPT TO:<c@d>")


def lmtp() -> Client:
    """
    Give a client of an LMTP port.
    """
    return Client(OFFER, entrance=Entrance.LMTP)


class LMTPTests(SynchronousTestCase):
    """
    RFC 2033.
    """

    def test_hello(self) -> None:
        """
        LHLO stands in the place of HELO and EHLO (RFC 2033 4.1).
        """
        client = lmtp()
        said = client.follow(client.dialogue.greeting())
        self.assertEqual(said, "220 relay.example LMTP\r\n")
        for line in (b"HELO c", b"EHLO c"):
            self.assertEqual(client.say(line)[:30], "500 5.5.1 This port is for LMT")
        self.assertIn("Say LHLO", client.say(b"MAIL FROM:<a@b>"))
        self.assertIn("250-PIPELINING", client.say(b"LHLO c"))
        self.assertTrue(client.say(b"HELP").startswith("214 2.0.0 LHLO MAIL"))
        said = Client().say(b"LHLO c")
        self.assertEqual(said, "500 5.5.1 This port is for SMTP: say EHLO\r\n")

    def test_noRecipients(self) -> None:
        """
        Without a recipient DATA is 503 (RFC 2033 4.2).
        """
        client = lmtp().upTo(*_TO_RCPT[:2])
        client.say(b"RCPT TO:<no@d>")
        self.assertTrue(client.say(b"DATA").startswith("503 5.5.1"))

    def test_eachRecipient(self) -> None:
        """
        The message is answered once for each RCPT that was accepted, the same one
        again included, and for no other.
        """
        client = lmtp().upTo(*_TO_RCPT, b"RCPT TO:<e@f>", b"RCPT TO:<c@D>")
        client.say(b"RCPT TO:<no@d>")
        client.upTo(b"DATA")
        client.follow(client.dialogue.dataEnded())
        said = client.follow(client.dialogue.queued("7"))
        self.assertEqual(said, "250 2.0.0 Ok: queued as 7\r\n" * 3)
        client.upTo(*_TO_RCPT[1:], b"DATA")
        client.follow(client.dialogue.dataEnded())
        said = client.follow(client.dialogue.queued("8"))
        self.assertEqual(said.count("\r\n"), 1)

    def test_refused(self) -> None:
        """
        So it is where the message is refused, by us or by the queue.
        """
        client = lmtp().upTo(*_TO_RCPT, b"RCPT TO:<e@f>", b"DATA")
        refusal = answer(554, "5.4.6", "Loop")
        said = client.follow(client.dialogue.dataEnded(refusal))
        self.assertEqual(said, "554 5.4.6 Loop\r\n" * 2)
        client.upTo(*_TO_RCPT[1:], b"RCPT TO:<e@f>", b"DATA")
        client.follow(client.dialogue.dataEnded())
        said = client.follow(client.dialogue.refused(answer(452, "4.3.1", "Full")))
        self.assertEqual(said, "452 4.3.1 Full\r\n" * 2)

    def test_A05_recipientAgain(self) -> None:
        """
        One recipient cannot be named without end, for each has its reply.
        """
        client = lmtp().upTo(*_TO_RCPT, *_TO_RCPT[2:] * (OFFER.recipients - 1))
        self.assertTrue(client.say(_TO_RCPT[2]).startswith("452 4.5.3"))

    def test_chunks(self) -> None:
        """
        Of chunks only the last one has a reply for each recipient.
        """
        client = lmtp().upTo(*_TO_RCPT, b"RCPT TO:<e@f>")
        client.say(b"BDAT 5")
        said = client.follow(client.dialogue.chunkEnded())
        self.assertEqual(said.count("\r\n"), 1)
        client.say(b"BDAT 5 LAST")
        client.follow(client.dialogue.chunkEnded())
        said = client.follow(client.dialogue.queued("9"))
        self.assertEqual(said.count("250 2.0.0 Ok"), 2)

    def test_A01_tooLargeChunks(self) -> None:
        """
        So it has where it is the one that is too much, or the next replies would be
        taken for answers to it.
        """
        client = lmtp().upTo(*_TO_RCPT, b"RCPT TO:<e@f>")
        client.say(b"BDAT 5")
        client.follow(client.dialogue.chunkEnded())
        client.say(b"BDAT %d LAST" % OFFER.messageSize)
        said = client.follow(client.dialogue.chunkEnded())
        self.assertEqual(said.count("552 5.3.4"), 2)
        client.upTo(*_TO_RCPT[1:], b"RCPT TO:<e@f>")
        client.say(b"BDAT %d" % (OFFER.messageSize + 1))
        said = client.follow(client.dialogue.chunkEnded())
        self.assertEqual(said.count("552 5.3.4"), 1)
        client.say(b"BDAT 1 LAST")
        said = client.follow(client.dialogue.chunkEnded())
        self.assertEqual(said.count("503 5.5.1"), 1)

    def test_A05_sameAgain(self) -> None:
        """
        How often the same recipient is said is bounded as well: each time asks for
        one more reply.
        """
        client = lmtp().upTo(*_TO_RCPT)
        for _ in range(OFFER.recipients - 1):
            self.assertEqual(client.say(_TO_RCPT[2])[:3], "250")
        self.assertEqual(client.say(_TO_RCPT[2])[:9], "452 4.5.3")


class SubmissionTests(SynchronousTestCase):
    """
    RFC 6409.
    """

    def test_A04_networksDoNotCount(self) -> None:
        """
        Who has not said who it is sends nothing, wherever it comes from (RFC 6409
        4.3); a program of this host is known.
        """
        for around, code in (
            (Known(), "530 5.7.0"),
            (Known(trusted=True), "530 5.7.0"),
            (Known(local=True), "250 2.1.0"),
        ):
            client = Client(OFFER, around, Entrance.SUBMISSION).upTo(b"EHLO c")
            said = client.say(b"MAIL FROM:<a@b>")
            self.assertTrue(said.startswith(code), said)

    def test_authenticated(self) -> None:
        """
        Who has, does.
        """
        client = Client(replace(OFFER), Known(), Entrance.SUBMISSION).upTo(b"EHLO c")
        client.dialogue.user = "u"
        client.upTo(b"MAIL FROM:<a@b>")
        self.assertIs(client.dialogue.state, State.MAIL)
