# -*- test-case-name: relaymail.test.intake.test_connection -*-
"""
Tests for L{relaymail.intake.connection}: the hands of the server dialogue.
"""

from __future__ import annotations

from twisted.internet.address import UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.answers import answer
from relaymail.envelopes import Envelope, Origin, Parameters
from relaymail.errors import QueueFull, QueueUnusable, Refused
from relaymail.intake.acceptance import NetworkAcceptance
from relaymail.intake.limits import Limits
from relaymail.test.intake.harness import (
    CONTENT,
    MAIL,
    RCPT,
    STRANGER,
    TO_DATA,
    Intake,
    Judge,
    Peer,
)

_OPEN = NetworkAcceptance("127.0.0.0/8")
_OPEN.acceptRecipient = lambda *a: None  # type: ignore[method-assign]

#: What is answered to TO_DATA.
TO_DATA_CODES = ["250", "250", "250", "354"]


class DeliveryTests(SynchronousTestCase):
    """
    A message goes into the queue.
    """

    def test_whole(self) -> None:
        """
        Envelope and content arrive, with the Received field on top.
        """
        intake = Intake()
        peer = intake.connect()
        peer.say(b"EHLO client.example\r\n")
        peer.say(b"MAIL FROM:<a@b.example> BODY=8BITMIME\r\n" + RCPT + b"DATA\r\n")
        said = peer.say(CONTENT.replace(b"hello", b"..dot\r\n...") + b".\r\n")
        self.assertEqual(said, "250 2.0.0 Ok: queued as Q1\r\n")
        ((envelope, content),) = intake.queue.added
        self.assertEqual(
            envelope,
            Envelope(
                "a@b.example",
                ("c@d.example",),
                Parameters("8BITMIME"),
                origin=Origin("127.0.0.1"),
            ),
        )
        received, _, rest = content.partition(b"+0000\r\n")
        self.assertTrue(
            received.startswith(b"Received: from client.example ([127.0.0.1])\r\n\tby ")
        )
        self.assertIn(b"for <c@d.example>;\r\n\tSun, 09 Sep 2001 01:46:40", received)
        self.assertEqual(rest, CONTENT.replace(b"hello", b".dot\r\n.."))
        self.assertTrue(peer.wire.noDelay)

    def test_pipelined(self) -> None:
        """
        Two messages and all commands in one write are answered one by one.
        """
        intake = Intake()
        message = MAIL + RCPT + b"DATA\r\n" + CONTENT + b".\r\n"
        codes = intake.connect().codes(b"EHLO c\r\n" + message * 2 + b"QUIT\r\n")
        self.assertEqual(codes, ["250"] + ["250", "250", "354", "250"] * 2 + ["221"])
        self.assertEqual(len(intake.queue.added), 2)

    def test_A05_oneByteAtATime(self) -> None:
        """
        However it is cut, it is the same message.
        """
        intake = Intake()
        peer = intake.connect()
        for octet in TO_DATA + CONTENT + b".\r\nQUIT\r\n":
            peer.protocol.dataReceived(b"%c" % octet)
        self.assertEqual(peer.codes(), ["250", "250", "250", "354", "250", "221"])
        self.assertTrue(intake.queue.added[0][1].endswith(CONTENT))

    def test_large(self) -> None:
        """
        A message that does not fit in memory comes from a file.
        """
        intake = Intake(Limits(memory=1000, headerBytes=500))
        body = b"x" * 70 + b"\r\n"
        peer = intake.connect()
        peer.say(TO_DATA)
        for _ in range(100):
            peer.say(body * 10)
        self.assertEqual(peer.codes(b".\r\n"), ["250"])
        self.assertTrue(intake.queue.added[0][1].endswith(b"\r\n\r\n" + body * 1000))

    def test_unixSocket(self) -> None:
        """
        Who comes by a UNIX socket is trusted.
        """
        intake = Intake()
        peer = intake.connect(UNIXAddress(None))
        self.assertEqual(peer.codes(TO_DATA + b"x\r\n.\r\n")[-1], "250")
        self.assertIn(b"Message-ID: ", intake.queue.added[0][1])

    def test_A04_strangers(self) -> None:
        """
        Who does not come from the networks cannot have mail relayed, in no
        way of writing it.
        """
        intake = Intake()
        peer = intake.connect(STRANGER)
        peer.say(b"EHLO [127.0.0.1]\r\n" + MAIL)
        for path in (
            b"c@d.example", b"@relay.example:c@d.example", b"c%d@relay.example",
            b'"c@d"@relay.example', b"c@[192.0.2.1]", b"c@D.EXAMPLE.", b"postmaster",
        ):  # fmt: skip
            said = peer.say(b"RCPT TO:<" + path + b">\r\n")
            self.assertTrue(said.startswith("550 5.7.1"), (path, said))
        for path in (b"c@d@relay.example", b"d.example!c"):
            said = peer.say(b"RCPT TO:<" + path + b">\r\n")
            self.assertTrue(said.startswith("501 5.1.3"), (path, said))
        self.assertTrue(peer.say(b"DATA\r\n").startswith("554 5.5.1"))

    def test_A04_proxy(self) -> None:
        """
        Trust is judged by the address that is told once the client speaks:
        before, a proxy's is told.
        """
        intake = Intake()
        peer = intake.connect()
        peer.wire.peerAddr = STRANGER
        self.assertIn("550 5.7.1", peer.say(b"EHLO c\r\n" + MAIL + RCPT))

    def test_A04_loop(self) -> None:
        """
        A message with more than 100 Received fields is a loop.
        """
        intake = Intake()
        hops = b"Received: from a by b; now\r\n"
        for count, code in ((100, "250 2.0.0"), (101, "554 5.4.6")):
            peer = intake.connect()
            peer.say(TO_DATA)
            said = peer.say(hops * count + b"\r\nx\r\n.\r\n")
            self.assertTrue(said.startswith(code), said)
        self.assertEqual(len(intake.queue.added), 1)


class DurabilityTests(SynchronousTestCase):
    """
    What 250 means.
    """

    def test_P1_answerOnlyWhenDurable(self) -> None:
        """
        Nothing is answered to the end of the data before the queue says that
        the message is safe.
        """
        intake = Intake()
        intake.queue.slow = True
        peer = intake.connect()
        peer.say(TO_DATA)
        self.assertEqual(peer.say(CONTENT + b".\r\n"), "")
        intake.clock.advance(500)
        self.assertEqual(peer.heard(), "")
        intake.queue.waits[0].callback(["77", "78"])
        self.assertEqual(peer.heard(), "250 2.0.0 Ok: queued as 77\r\n")

    def test_P1_commandsBehindWait(self) -> None:
        """
        What was pipelined behind the data is looked at after its answer only.
        """
        intake = Intake()
        intake.queue.slow = True
        peer = intake.connect()
        peer.say(TO_DATA)
        self.assertEqual(peer.say(CONTENT + b".\r\nNOOP\r\n" + MAIL), "")
        self.assertEqual(peer.say(b"QUIT\r\n"), "")
        intake.queue.waits[0].callback(["77"])
        self.assertEqual(peer.codes(), ["250", "250", "250", "221"])

    def test_P4_clientIsDone(self) -> None:
        """
        A client that closes its side behind QUIT, as Exim does, gets all replies,
        however late: without them it would send the message again.
        """
        intake = Intake(acceptance=Judge())
        judge = intake.factory.acceptance
        assert isinstance(judge, Judge)
        intake.queue.slow = True
        peer = intake.connect()
        codes = peer.codes(TO_DATA + CONTENT + b".\r\nNOOP\r\nQUIT\r\n")
        peer.protocol.readConnectionLost()
        for _ in range(2):
            self.assertFalse(peer.wire.closed)
            judge.asked.pop().callback(None)
        self.assertEqual((judge.cancelled, codes + peer.codes()), (0, TO_DATA_CODES))
        intake.clock.advance(10)
        self.assertFalse(peer.wire.closed)
        intake.queue.waits[0].callback(["77"])
        self.assertEqual(peer.codes(), ["250", "250", "221"])
        self.assertTrue(peer.wire.disconnecting)

    def test_P4_clientIsDoneWithoutQUIT(self) -> None:
        """
        The same where it does not say QUIT, and where it did not read the replies
        till then.
        """
        intake = Intake()
        for number in range(2):
            peer = intake.connect()
            peer.wire.clog()
            peer.say(TO_DATA + CONTENT + b".\r\n" + MAIL)
            peer.protocol.readConnectionLost()
            self.assertFalse(peer.wire.closed)
            peer.wire.unclog()
            self.assertEqual(peer.codes(), [*TO_DATA_CODES, "250", "250"])
            self.assertTrue(peer.wire.disconnecting)
            self.assertEqual(len(intake.queue.added), number + 1)

    def test_P4_clientGoesAway(self) -> None:
        """
        Where nothing is left to answer the session is over at once, and half a
        message is none.
        """
        intake = Intake()
        for said in (b"", b"EHLO c\r\nMA", TO_DATA, TO_DATA + CONTENT + b"."):
            peer = intake.connect()
            peer.say(said)
            peer.protocol.readConnectionLost()
            self.assertTrue(peer.wire.disconnecting, said)
            self.assertFalse(peer.say(b".\r\n"))
        self.assertEqual(intake.queue.added, [])

    def test_P1_queueTooSlow(self) -> None:
        """
        When the queue does not answer in time the connection is cut without
        an answer: none would be true.
        """
        intake = Intake()
        intake.queue.slow = True
        peer = intake.connect()
        peer.say(TO_DATA + CONTENT + b".\r\n")
        intake.clock.advance(600)
        self.assertEqual(peer.heard(), "")
        self.assertTrue(peer.wire.aborting)

    def test_P2_refusedIsNeverAdded(self) -> None:
        """
        What is refused at the end of the data does not reach the queue, and
        the session goes on.
        """
        intake = Intake(
            Limits(messageSize=2000, headerBytes=500, hops=1, textLine=100),
            acceptance=_OPEN,
        )
        for data, code in (
            (b"a\nb\r\n", "550 5.6.0"),
            (b"a\rb\r\n", "550 5.6.0"),
            (b"x" * 99 + b"\r\n", "550 5.6.0"),
            (b"Received: x\r\n" * 2, "554 5.4.6"),
            (b"X: y\r\n" * 100, "552 5.3.4"),
            ((b"x" * 70 + b"\r\n") * 30, "552 5.3.4"),
        ):
            peer = intake.connect(STRANGER)
            peer.say(TO_DATA)
            said = peer.say(data + b".\r\nNOOP\r\n")
            self.assertTrue(said.startswith(code), (data, said))
            self.assertTrue(said.endswith("250 2.0.0 Ok\r\n"), said)
            peer.vanish()
        self.assertEqual(intake.queue.added, [])

    def test_P2_refusedRecipient(self) -> None:
        """
        A refused recipient is not in the envelope that is added.
        """

        class Picky(NetworkAcceptance):
            def acceptRecipient(self, client: object, a: str, to: str) -> None:
                if to.startswith("no"):
                    raise Refused(answer(550, "5.1.1", "No such user"))

        intake = Intake(acceptance=Picky())
        peer = intake.connect()
        codes = peer.codes(
            b"EHLO c\r\n" + MAIL + b"RCPT TO:<no@x>\r\n" + RCPT + b"DATA\r\nx\r\n.\r\n"
        )
        self.assertEqual(codes, ["250", "250", "550", "250", "354", "250"])
        self.assertEqual(intake.queue.added[0][0].recipients, ("c@d.example",))

    def test_P3_clientVanishesInTheData(self) -> None:
        """
        A message without its end is no message.
        """
        intake = Intake()
        peer = intake.connect()
        peer.say(TO_DATA + CONTENT)
        peer.vanish()
        self.assertEqual(intake.queue.added, [])
        self.assertEqual(intake.clock.getDelayedCalls(), [])

    def test_P3_clientVanishesBeforeTheAnswer(self) -> None:
        """
        A client that goes before the queue has answered changes nothing.
        """
        for fail in (False, True):
            intake = Intake()
            intake.queue.slow = True
            peer = intake.connect()
            peer.say(TO_DATA + CONTENT + b".\r\n")
            peer.vanish()
            (wait,) = intake.queue.waits
            self.assertFalse(wait.called)
            if fail:
                wait.errback(QueueFull("full"))
            else:
                wait.callback(["1"])
            self.assertEqual(peer.heard(), "")

    def test_P6_queueFull(self) -> None:
        """
        A queue that is full is told as a shortage, now or later.
        """
        intake = Intake()
        intake.queue.slow = True
        peer = intake.connect()
        peer.say(TO_DATA + CONTENT + b".\r\n")
        intake.queue.waits[0].errback(QueueFull("no inodes"))
        self.assertTrue(peer.heard().startswith("452 4.3.1"))
        intake.queue.trouble = QueueFull("no inodes")
        peer.say(MAIL + RCPT + b"DATA\r\n")
        self.assertTrue(peer.say(b"x\r\n.\r\n").startswith("452 4.3.1"))

    def test_P6_noRoomIsToldAtMail(self) -> None:
        """
        Where the queue knows that it has no room, or that it can take nothing,
        MAIL is refused for now.
        """
        intake = Intake()
        intake.queue.room = False
        peer = intake.connect()
        peer.say(b"EHLO c\r\n")
        self.assertTrue(peer.say(MAIL).startswith("452 4.3.1"))
        intake.queue.damage = QueueUnusable("row 7 is missing")
        self.assertTrue(peer.say(MAIL).startswith("451 4.3.0"))
        intake.queue.damage, intake.queue.room = None, True
        self.assertEqual(peer.codes(MAIL), ["250"])

    def test_queueFails(self) -> None:
        """
        Any other failure is logged, and the client told to come again.
        """
        intake = Intake()
        intake.queue.trouble = RuntimeError("broken")
        peer = intake.connect()
        said = peer.say(TO_DATA + CONTENT + b".\r\nNOOP\r\n").splitlines()
        self.assertTrue(said[-2].startswith("451 4.3.0"), said)
        self.assertEqual(said[-1], "250 2.0.0 Ok")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class FramingTests(SynchronousTestCase):
    """
    Nothing inside a message is a command.
    """

    smuggled = b"MAIL FROM:<evil@x>\r\nRCPT TO:<e@x>\r\nDATA\r\nevil\r\n"

    def send(self, intake: Intake, peer: Peer, between: bytes, size: int) -> list[str]:
        """
        Send a message that holds a false end, in pieces.
        """
        peer.say(TO_DATA)
        data = b"a: b\r\n\r\nx" + between + self.smuggled + b"\r\n.\r\n"
        for at in range(0, len(data), size):
            peer.protocol.dataReceived(data[at : at + size])
        return peer.codes()

    def test_A01_smuggling(self) -> None:
        """
        A false end of the data is refused with the whole message, or is a
        part of it for trusted networks; what follows it is never a command.
        """
        for between in (
            b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n",
            b"\r\r\n.\r\r\n", b"\n\r\n.\n\r", b"\r\n.\0\r\n", b"\r\n\0.\r\n",
        ):  # fmt: skip
            for size in (1, 3, 1000):
                intake = Intake(acceptance=_OPEN)
                bare = between.replace(b"\r\n", b"")
                expected = "550" if b"\r" in bare or b"\n" in bare else "250"
                codes = self.send(intake, intake.connect(STRANGER), between, size)
                self.assertEqual(codes, [expected], (between, size))
                codes = self.send(intake, intake.connect(), between, size)
                self.assertEqual(codes, ["250"])
                content = intake.queue.added[-1][1]
                self.assertIn(b"MAIL FROM:<evil@x>\r\n", content)
                rest = content.replace(b"\r\n", b"")
                self.assertNotIn(b"\r", rest)
                self.assertNotIn(b"\n", rest)

    def test_A01_longLine(self) -> None:
        """
        A line of 10 MB is refused at the end of the data; what is in it and
        behind it in the data is no command.
        """
        intake = Intake()
        peer = intake.connect()
        peer.say(TO_DATA)
        for _ in range(160):
            self.assertEqual(peer.say(b"x" * 65536), "")
        self.assertEqual(peer.say(b"\r\nQUIT\r\n"), "")
        self.assertEqual(peer.codes(b".\r\nNOOP\r\n"), ["552", "250"])
        peer.say(MAIL + RCPT + b"DATA\r\n")
        peer.say(b"x" * 5000 + b"\r\nRSET\r\n")
        self.assertTrue(peer.say(b".\r\n").startswith("550 5.6.0"))
        self.assertEqual(intake.queue.added, [])

    def test_A03_controlCharacters(self) -> None:
        """
        CR, LF and NUL in commands are refused; NUL in content is content.
        """
        intake = Intake()
        peer = intake.connect()
        for line in (b"EHLO a\0b", b"EHLO a\nb", b"EHLO a\rb", b"MAIL FROM:<a\0@b>"):
            self.assertTrue(peer.say(line + b"\r\n").startswith("500 5.5.2"))
        peer.say(TO_DATA)
        self.assertEqual(peer.codes(b"a: b\r\n\r\na\0b\r\n.\r\n"), ["250"])
        self.assertTrue(intake.queue.added[0][1].endswith(b"a\0b\r\n"))

    def test_A03_helo(self) -> None:
        """
        What a client calls itself is one harmless word in the Received field.
        """
        intake = Intake()
        peer = intake.connect()
        peer.say(TO_DATA.replace(b"client.example", b"x)\x28;by<y>"))
        peer.say(CONTENT + b".\r\n")
        self.assertTrue(
            intake.queue.added[0][1].startswith(b"Received: from x???by?y? (")
        )


class StartTLSTests(SynchronousTestCase):
    """
    STARTTLS, by the hands.
    """

    def test_A02_newSession(self) -> None:
        """
        Under TLS the session begins anew, and the version is told.
        """
        context = object()
        intake = Intake(contextFactory=context)
        peer = intake.connect()
        self.assertIn("STARTTLS", peer.say(b"EHLO before\r\n"))
        self.assertTrue(peer.say(b"STARTTLS\r\n").startswith("220 2.0.0"))
        self.assertIs(peer.wire.tls, context)
        self.assertTrue(peer.say(MAIL).startswith("503 5.5.1"))
        self.assertNotIn("STARTTLS", peer.say(TO_DATA))
        peer.say(CONTENT + b".\r\n")
        content = intake.queue.added[0][1]
        self.assertIn(
            b"from client.example ([127.0.0.1])\r\n\t(using TLSv1.3)", content
        )
        self.assertIn(b"with ESMTPS id", content)

    def test_A02_injection(self) -> None:
        """
        Commands that came in clear behind STARTTLS are never obeyed: the
        session ends without TLS.
        """
        intake = Intake(contextFactory=object())
        peer = intake.connect()
        said = peer.say(b"EHLO c\r\nSTARTTLS\r\n" + TO_DATA + CONTENT + b".\r\n")
        self.assertTrue(said.splitlines()[-1].startswith("503 5.5.1"), said)
        self.assertIsNone(peer.wire.tls)
        self.assertTrue(peer.wire.closed)
        self.assertEqual(peer.say(b"NOOP\r\n"), "")
        self.assertEqual(intake.queue.added, [])

    def test_A02_halfALineBehind(self) -> None:
        """
        The same for a part of a line.
        """
        peer = Intake(contextFactory=object()).connect()
        self.assertIn("503 5.5.1", peer.say(b"EHLO c\r\nSTARTTLS\r\nR"))
        self.assertTrue(peer.wire.closed)

    def test_notOffered(self) -> None:
        """
        Without a context there is no STARTTLS.
        """
        peer = Intake().connect()
        self.assertNotIn("STARTTLS", peer.say(b"EHLO c\r\n"))
        self.assertIn("502 5.5.1", peer.say(b"STARTTLS\r\n"))


class JudgementTests(SynchronousTestCase):
    """
    The acceptance may take its time.
    """

    def test_waits(self) -> None:
        """
        What is pipelined waits for each answer.
        """
        judge = Judge()
        peer = Intake(acceptance=judge).connect()
        self.assertEqual(peer.codes(b"EHLO c\r\n" + MAIL + RCPT + b"NOOP\r\n"), ["250"])
        judge.asked[0].callback(None)
        self.assertEqual(peer.codes(), ["250"])
        judge.asked[1].errback(Refused(answer(450, "4.7.1", "Greylisted")))
        self.assertEqual(
            peer.heard().splitlines(), ["450 4.7.1 Greylisted", "250 2.0.0 Ok"]
        )

    def test_fails(self) -> None:
        """
        Any other failure is logged and means: not now.
        """
        judge = Judge()
        peer = Intake(acceptance=judge).connect()
        peer.say(b"EHLO c\r\n" + MAIL)
        judge.asked[0].errback(ValueError("broken"))
        self.assertTrue(peer.heard().startswith("451 4.3.0"))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_vanishes(self) -> None:
        """
        A question is dropped when its client is gone.
        """
        judge = Judge()
        intake = Intake(acceptance=judge)
        peer = intake.connect()
        peer.say(b"EHLO c\r\n" + MAIL)
        peer.vanish()
        self.assertEqual(judge.cancelled, 1)
        self.assertEqual(intake.clock.getDelayedCalls(), [])

    def test_tooSlow(self) -> None:
        """
        A judgement that does not come ends the session.
        """
        intake = Intake(acceptance=Judge())
        peer = intake.connect()
        peer.say(b"EHLO c\r\n" + MAIL)
        intake.clock.advance(600)
        self.assertTrue(peer.heard().startswith("421"))
        self.assertTrue(peer.wire.closed)
