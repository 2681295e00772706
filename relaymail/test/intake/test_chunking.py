# -*- test-case-name: relaymail.test.intake.test_chunking -*-
"""
Tests for messages in chunks (RFC 3030), by the hands of the intake.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.answers import answer
from relaymail.errors import Refused
from relaymail.intake.acceptance import NetworkAcceptance
from relaymail.intake.content import PIECE
from relaymail.intake.limits import Limits
from relaymail.test.intake.harness import (
    CONTENT,
    MAIL,
    RCPT,
    STRANGER,
    Intake,
    Judge,
    Peer,
)

_OPEN = NetworkAcceptance("127.0.0.0/8")
_OPEN.acceptRecipient = lambda *a: None  # type: ignore[method-assign]

_HELLO = b"EHLO client.example\r\n"


def bdat(data: bytes, last: bytes = b"") -> bytes:
    """
    Give a chunk.
    """
    return b"BDAT %d%b\r\n%b" % (len(data), last, data)


class ChunkTests(SynchronousTestCase):
    """
    Chunks become a message.
    """

    def setUp(self) -> None:
        """
        Make an intake that takes any octets.
        """
        self.intake = Intake(Limits(memory=2000, headerBytes=500, messageSize=9000))
        self.intake.queue.isBinarySafe = True  # type: ignore[attr-defined]
        self.settle()

    def settle(self, acceptance: NetworkAcceptance | None = None) -> None:
        """
        Let the factory look at its queue.
        """
        factory = self.intake.factory
        factory.settingsChanged(
            acceptance or factory.acceptance, "relay.example", factory.limits, None
        )

    def begun(self, mail: bytes = MAIL, stranger: bool = False) -> Peer:
        """
        Connect a client that gave a sender and a recipient.
        """
        peer = self.intake.connect(STRANGER) if stranger else self.intake.connect()
        peer.say(_HELLO + mail + RCPT)
        return peer

    def test_pipelined(self) -> None:
        """
        A whole group in one write is one message, with its Received field.
        """
        peer = self.intake.connect()
        group = MAIL + RCPT + bdat(CONTENT[:20]) + bdat(b"") + bdat(CONTENT[20:])
        codes = peer.codes(_HELLO + group + b"BDAT 0 LAST\r\n" + b"QUIT\r\n")
        self.assertEqual(codes, ["250"] * 7 + ["221"])
        ((_, content),) = self.intake.queue.added
        self.assertTrue(content.startswith(b"Received: "))
        self.assertTrue(content.endswith(CONTENT))

    def test_A01_nothingIsACommand(self) -> None:
        """
        What looks like the end of data, or like commands, is content; what follows
        the octets announced is a command.
        """
        evil = b"A: b\r\n\r\n.\r\nQUIT\r\n..\r\nBDAT 5\r\n"
        for size in (1, 2, 7, 1000):
            peer = self.begun()
            data = bdat(evil, b" LAST") + b"NOOP\r\n"
            for at in range(0, len(data), size):
                peer.protocol.dataReceived(data[at : at + size])
            self.assertEqual(peer.codes(), ["250", "250"])
            self.assertTrue(self.intake.queue.added[-1][1].endswith(evil))

    def test_A05_large(self) -> None:
        """
        A message that does not fit in memory comes from a file.
        """
        self.intake = Intake(Limits(memory=2000, headerBytes=500))
        peer = self.begun()
        line = b"x" * 70 + b"\r\n"
        peer.say(bdat(b"A: b\r\n\r\n"))
        for _ in range(200):
            peer.say(bdat(line * 10))
            self.assertLess(self.intake.factory.memory.used, 2 * PIECE)
        self.assertEqual(peer.codes(bdat(b"", b" LAST")), ["250"])
        self.assertTrue(self.intake.queue.added[0][1].endswith(b"\r\n" + line * 2000))

    def test_A01_outOfOrder(self) -> None:
        """
        Chunks that may not be sent are thrown away and nothing is out of step.
        """
        peer = self.intake.connect()
        stray = bdat(b"QUIT\r\n" * 10)
        codes = peer.codes(stray + _HELLO + stray + MAIL + stray + b"NOOP\r\n")
        self.assertEqual(codes, ["503", "250", "503", "250", "503", "250"])
        self.assertEqual(self.intake.factory.memory.used, 0)

    def test_A01_tooLarge(self) -> None:
        """
        Chunks over the limit are thrown away, those behind them too.
        """
        peer = self.begun()
        self.assertEqual(peer.codes(bdat(b"x\r\n" * 1000)), ["250"])
        self.assertEqual(
            peer.codes(bdat(b"QUIT\r\n" * 2000) + bdat(b"QUIT\r\n", b" LAST")),
            ["552", "503"],
        )
        self.assertEqual(peer.codes(MAIL + RCPT + bdat(b"x", b" LAST")), ["250"] * 3)
        self.assertTrue(self.intake.queue.added[0][1].endswith(b"\r\n\r\nx\r\n"))

    def test_A01_bareLineEnds(self) -> None:
        """
        Line ends that stand alone are refused from the network, and made whole for
        our own; cut anywhere.
        """
        self.settle(_OPEN)
        for data in (b"a\nb", b"a\rb", b"a\r", b"\n"):
            peer = self.begun(stranger=True)
            self.assertTrue(
                peer.say(bdat(data[:1]) + bdat(data[1:], b" LAST"))
                .splitlines()[-1]
                .startswith("550 5.6.0")
            )
            self.assertEqual(self.intake.queue.added, [])
        peer = self.begun()
        peer.say(bdat(b"A: b\r") + bdat(b"\n\r\nx\ny\r", b" LAST"))
        content = self.intake.queue.added[0][1]
        self.assertTrue(content.endswith(b"A: b\r\n\r\nx\r\ny\r\n"))

    def test_A01_dataAfterwards(self) -> None:
        """
        A message that was refused leaves nothing to the next, in chunks or not.
        """
        self.settle(_OPEN)
        peer = self.begun(stranger=True)
        self.assertEqual(peer.codes(b"DATA\r\na\nb\r\n.\r\n"), ["354", "550"])
        peer.say(MAIL + RCPT + bdat(b"one\r\n", b" LAST"))
        peer.say(MAIL + RCPT + bdat(b"two\r\n") + b"RSET\r\n")
        self.assertEqual(self.intake.factory.memory.used, 0)
        peer.say(MAIL + RCPT + b"DATA\r\nthree\r\n.\r\n")
        bodies = [
            content.rpartition(b"\r\n\r\n")[2] for _, content in self.intake.queue.added
        ]
        self.assertEqual(bodies, [b"one\r\n", b"three\r\n"])

    def test_binary(self) -> None:
        """
        What is no lines stays as it is, from anybody (RFC 3030 3).
        """
        self.settle(_OPEN)
        octets = b"A: b\r\n\r\n" + bytes(range(256)) * 10 + b"\n.\n\r"
        mail = MAIL.rstrip() + b" BODY=BINARYMIME\r\n"
        peer = self.begun(mail, stranger=True)
        self.assertEqual(peer.codes(b"DATA\r\n"), ["503"])
        self.assertEqual(peer.codes(bdat(octets, b" LAST")), ["250"])
        envelope, content = self.intake.queue.added[0]
        self.assertEqual(envelope.parameters.body, "BINARYMIME")
        self.assertTrue(content.endswith(octets))

    def test_refusedEarly(self) -> None:
        """
        A message that cannot be taken any more is refused at once, and what was
        pipelined behind is thrown away.
        """
        peer = self.begun()
        header = bdat(b"X: 1\r\n" * 500)
        codes = peer.codes(header + bdat(b"x", b" LAST") + b"NOOP\r\n")
        self.assertEqual(codes, ["552", "503", "250"])

    def test_P3_cutShort(self) -> None:
        """
        A message without its last chunk is no message.
        """
        peer = self.begun()
        peer.say(bdat(CONTENT) + b"BDAT 100 LAST\r\nx")
        peer.vanish()
        self.assertEqual(self.intake.queue.added, [])
        self.assertEqual(self.intake.factory.memory.used, 0)
        self.assertEqual(self.intake.clock.getDelayedCalls(), [])

    def test_A05_time(self) -> None:
        """
        A chunk that trickles, and a message that has no end, are given up.
        """
        peer = self.begun()
        peer.say(b"BDAT 1000\r\n")
        for _ in range(18):
            peer.say(b"x")
            self.intake.clock.advance(10)
        self.assertTrue(peer.heard().startswith("421 4.4.2"))
        peer = self.begun()
        for _ in range(15):
            peer.say(bdat(b"x\r\n"))
            self.intake.clock.advance(240)
        self.assertEqual(peer.codes()[-1], "421")

    def test_P1_answerOnlyWhenDurable(self) -> None:
        """
        The last chunk is answered once the queue has the message, and what is
        pipelined behind it waits.
        """
        self.intake.queue.slow = True
        peer = self.begun()
        self.assertEqual(peer.say(bdat(CONTENT, b" LAST") + b"NOOP\r\n"), "")
        self.intake.queue.waits[0].callback(["7"])
        self.assertEqual(peer.codes(), ["250", "250"])

    def test_lateJudgement(self) -> None:
        """
        Chunks that were pipelined behind recipients wait for their judgement, and
        everything is answered in order.
        """
        judge = Judge()
        intake = Intake(acceptance=judge)
        intake.queue.slow = True
        peer = intake.connect()
        group = MAIL + RCPT * 2 + bdat(b"NOOP\r\n") + bdat(b"", b" LAST") + b"NOOP\r\n"
        self.assertEqual(peer.codes(_HELLO + group), ["250"])
        for question in range(2):
            judge.asked[question].callback(None)
        self.assertEqual(peer.codes(), ["250"] * 4)
        intake.queue.waits[0].callback(["1"])
        self.assertEqual(peer.codes(), ["250", "250"])
        self.assertTrue(intake.queue.added[0][1].endswith(b"NOOP\r\n"))

    def test_A01_lateRefusal(self) -> None:
        """
        Where nobody is accepted the chunks behind are thrown away.
        """
        judge = Judge()
        intake = Intake(acceptance=judge)
        peer = intake.connect()
        peer.say(_HELLO + MAIL + RCPT + bdat(b"QUIT\r\n", b" LAST") + b"NOOP\r\n")
        judge.asked[0].callback(None)
        judge.asked[1].errback(Refused(answer(550, "5.1.1", "Nobody")))
        self.assertEqual(peer.codes(), ["250", "550", "503", "250"])
