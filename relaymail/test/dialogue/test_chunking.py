# -*- test-case-name: relaymail.test.dialogue.test_chunking -*-
"""
Tests for L{relaymail.dialogue.serving.chunking}.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.actions import DropMessage, Store, TakeChunk
from relaymail.dialogue.answers import answer
from relaymail.dialogue.server import State
from relaymail.envelopes import Envelope, Parameters
from relaymail.test.dialogue.talking import OFFER, Client

_TO_RCPT = (b"EHLO c", b"MAIL FROM:<a@b>", b"RCPT TO:<c@d>")
_ENVELOPE = Envelope("a@b", ("c@d",))


class ChunkingTests(SynchronousTestCase):
    """
    RFC 3030 2.
    """

    def test_message(self) -> None:
        """
        Each chunk is answered, and the last one as the message.
        """
        client = Client().upTo(*_TO_RCPT)
        self.assertEqual(client.say(b"BDAT 10"), "")
        self.assertEqual(client.asked[-1], TakeChunk(10, False, _ENVELOPE))
        said = client.follow(client.dialogue.chunkEnded())
        self.assertEqual(said, "250 2.0.0 10 octets received\r\n")
        self.assertEqual(client.say(b"BDAT 0 LAST"), "")
        self.assertEqual(client.asked[-1], TakeChunk(0, True, _ENVELOPE))
        self.assertEqual(client.dialogue.chunkEnded(), (Store(_ENVELOPE),))
        self.assertIn("250", client.follow(client.dialogue.queued("1")))
        self.assertIs(client.dialogue.state, State.READY)

    def test_between(self) -> None:
        """
        Between chunks nothing is said of the transaction but its end (RFC 3030 2).
        """
        for line in (b"DATA", b"MAIL FROM:<x@y>", b"RCPT TO:<x@y>", b"STARTTLS"):
            client = self.begun()
            self.assertTrue(client.say(line).startswith("503 5.5.1"), line)
            self.assertIs(client.dialogue.state, State.CHUNKS)
        for line in (b"RSET", b"EHLO c", b"HELO c"):
            client = self.begun().upTo(line)
            self.assertEqual(client.asked[-1], DropMessage())
            self.assertIs(client.dialogue.state, State.READY)
        client = self.begun().upTo(b"NOOP", b"QUIT")
        self.assertTrue(client.closed)

    def test_A01_outOfOrder(self) -> None:
        """
        Octets that nobody may send now are read and thrown away, whatever was said
        before.
        """
        for lines, state in (
            ((), State.START),
            ((b"HELO c",), State.READY),
            ((b"EHLO c",), State.READY),
            (_TO_RCPT[:2], State.MAIL),
            ((b"HELO c", *_TO_RCPT[1:]), State.RCPT),
        ):
            client = Client().upTo(*lines)
            self.assertEqual(client.say(b"BDAT 7 LAST"), "")
            self.assertEqual(client.asked[-1], TakeChunk(7, True))
            said = client.follow(client.dialogue.chunkEnded())
            self.assertTrue(said.startswith("503 5.5.1"), said)
            self.assertIs(client.dialogue.state, state)

    def test_A01_tooLarge(self) -> None:
        """
        Chunks that are more than a message may have are thrown away, and the
        message with them.
        """
        client = self.begun()
        self.assertEqual(client.say(b"BDAT 991"), "")
        self.assertEqual(client.asked[-2:], [DropMessage(), TakeChunk(991, False)])
        said = client.follow(client.dialogue.chunkEnded())
        self.assertTrue(said.startswith("552 5.3.4"), said)
        client.say(b"BDAT 1 LAST")
        said = client.follow(client.dialogue.chunkEnded())
        self.assertTrue(said.startswith("503 5.5.1"), said)
        client = self.begun()
        client.say(b"BDAT 990")
        self.assertEqual(client.asked[-1], TakeChunk(990, False, _ENVELOPE))

    def test_A01_absurd(self) -> None:
        """
        What is not a size, or would take for ever to throw away, ends the session.
        """
        for line, code in (
            (b"BDAT -1", "501 5.5.4"),
            (b"BDAT", "501 5.5.4"),
            (b"BDAT x LAST", "501 5.5.4"),
            (b"BDAT 99999999999", "552 5.3.4"),
        ):
            client = Client().upTo(*_TO_RCPT)
            self.assertTrue(client.say(line).startswith(code))
            self.assertTrue(client.closed)

    def test_anySize(self) -> None:
        """
        Where any size is taken there is no bound.
        """
        client = Client(replace(OFFER, messageSize=0)).upTo(*_TO_RCPT)
        client.say(b"BDAT 99999999999")
        self.assertEqual(client.asked[-1], TakeChunk(99999999999, False, _ENVELOPE))

    def test_refused(self) -> None:
        """
        A message may be refused at any of its chunks.
        """
        for line in (b"BDAT 1", b"BDAT 1 LAST"):
            client = Client().upTo(*_TO_RCPT)
            client.say(line)
            refusal = answer(554, "5.4.6", "Loop")
            said = client.follow(client.dialogue.chunkEnded(refusal))
            self.assertEqual(said, "554 5.4.6 Loop\r\n")
            self.assertIs(client.dialogue.state, State.READY)

    def test_binary(self) -> None:
        """
        What is no lines cannot come behind DATA (RFC 3030 3).
        """
        client = Client(replace(OFFER, isBinarySafe=True)).upTo(
            b"EHLO c", b"MAIL FROM:<a@b> BODY=BINARYMIME", b"RCPT TO:<c@d>"
        )
        self.assertTrue(client.say(b"DATA").startswith("503 5.5.1"))
        client.say(b"BDAT 5 LAST")
        envelope = replace(_ENVELOPE, parameters=Parameters("BINARYMIME"))
        self.assertEqual(client.asked[-1], TakeChunk(5, True, envelope))

    def test_A05_empty(self) -> None:
        """
        Chunks of nothing, without end, are no progress.
        """
        client = Client(replace(OFFER, idleCommands=10)).upTo(*_TO_RCPT)
        for _ in range(9 + OFFER.errors):
            client.say(b"BDAT 0")
            client.follow(client.dialogue.chunkEnded())
        self.assertTrue(client.say(b"BDAT 0").startswith("421 4.7.0"))

    def test_P10_leaving(self) -> None:
        """
        A chunk under way is answered before the session ends.
        """
        client = Client().upTo(*_TO_RCPT)
        client.say(b"BDAT 5")
        self.assertEqual(client.dialogue.leave(), ())
        said = client.follow(client.dialogue.chunkEnded()).splitlines()
        self.assertEqual([line[:3] for line in said], ["250", "421"])
        client = self.begun()
        self.assertIn("421 4.3.2", client.follow(client.dialogue.leave()))

    def begun(self) -> Client:
        """
        Give a client that sent a chunk of 10 octets.
        """
        client = Client().upTo(*_TO_RCPT)
        client.say(b"BDAT 10")
        client.follow(client.dialogue.chunkEnded())
        return client
