"""
Tests for L{relaymail.deliver.session} and L{relaymail.deliver.transfer}: servers that
are slow, gone, out of step or hostile.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.mail._except import SMTPProtocolError, SMTPTimeoutError

from relaymail.dialogue.patience import PATIENCE
from relaymail.replies import Phase, Reply, Trouble, TroubleKind
from relaymail.test.deliver.smtpclients import (
    ACCEPTED,
    GREETING,
    PIPELINING,
    ClientCase,
    ESends,
    Mail,
    Relays,
    Sends,
)

BIG = Mail(content=b"x" * 70 + b"\r\n", isSized=False)


class OutOfStepTests(ClientCase):
    """
    Replies that answer nothing.
    """

    def assertBroken(self, client: Any, phase: Phase) -> None:
        """
        The session was closed, in a phase, and nothing is delivered, whatever
        is said then.
        """
        self.assertTrue(self.wire.disconnecting)
        self.assertEqual(client.evidencePhase, phase)
        [error] = client.errors
        self.assertIsInstance(error, SMTPProtocolError)
        self.hear(b"250 ok", b"250 ok", b"354 go", b"250 ok")
        self.lose()
        self.assertEqual((client.told, len(client.errors)), ([], 1))
        self.assertEqual(client.transactions, 0)

    def test_D26_replyBehind354(self) -> None:
        """
        A reply in the same segment as the 354 is never that to the dot.
        """
        for behind in (b"250 taken", b"250-tak", b"2"):
            for kind in (Sends, Relays):
                client = self.toEhlo(kind, Mail())
                self.hear(PIPELINING)
                if kind is Sends:
                    self.hear(b"250 ok")
                    self.hear(b"250 ok")
                    client.dataReceived(b"354 go\r\n" + behind)
                else:
                    client.dataReceived(ACCEPTED + b"\r\n" + behind)
                self.assertNotIn(b".", self.said())
                self.assertBroken(client, Phase.DATA)

    def test_D26_D22_earlySuccess(self) -> None:
        """
        Neither is one that comes while the message is sent.
        """
        client = self.toFinal(Relays, BIG)
        self.wire.producer.resumeProducing()
        self.hear(b"250 taken")
        self.assertTrue(self.wire.disconnected, "the rest would still be written")
        self.assertBroken(client, Phase.BODY)

    def test_D26_earlyBegin(self) -> None:
        """
        Nor one that begins while the message is sent, and ends behind the dot.
        """
        for begin in (b"250-tak\r\n", b"250 ta"):
            client = self.toFinal(Relays, BIG)
            self.wire.producer.resumeProducing()
            client.dataReceived(begin)
            self.wire.pull()
            self.assertNotIn(b".", self.said())
            self.assertBroken(client, Phase.BODY)

    def test_D26_betweenMessages(self) -> None:
        """
        More than the reply to the dot ends the session before the next
        message; the one that was taken stays so.
        """
        client = self.toFinal(Relays, Mail(), Mail())
        self.assertEqual(self.hear(b"250 taken", b"250 and more"), [])
        self.assertTrue(self.wire.disconnecting)
        self.assertEqual([told.code for told in client.told], [250])
        self.assertEqual(len(client.mails), 1)

    def test_D26_whileIdle(self) -> None:
        """
        What comes while the connection is kept for the next message ends it.
        """

        class Keeps(Relays):
            def _nothingToSend(self) -> None:
                self._await(Phase.IDLE, (), self.smtpState_disconnect)

        client = self.toFinal(Keeps, Mail())
        self.hear(b"250 ok")
        self.assertEqual(client.phase, Phase.IDLE)
        self.hear(b"421 too long idle")
        self.assertTrue(self.wire.disconnecting)
        self.assertEqual(client.evidence, Reply(421, (b"too long idle",)))
        self.assertEqual(client.evidencePhase, Phase.IDLE)

    def test_D26_forgiving(self) -> None:
        """
        Where surplus is forgiven, it shows at DATA at the latest.
        """
        for kind in (Sends, ESends):
            client = self.toFinal(kind, Mail(), Mail())
            if kind is Sends:
                client = self.toEhlo(Sends, Mail(), Mail())
                for line in (b"250 hi", b"250 ok", b"250 ok", b"354 go"):
                    self.hear(line)
            self.hear(b"250 taken", b"250 and more")
            for _ in range(6):
                self.hear(b"250 ok")
            self.assertTrue(self.wire.disconnecting)
            self.assertEqual([told.code for told in client.told], [250])

    def test_D18_D26_deaf(self) -> None:
        """
        Once the session is out of step nothing counts that is said, also where
        a subclass does not close it.
        """

        class Stubborn(Relays):
            def sendError(self, exc: BaseException) -> None:
                self.errors.append(exc)

        for lines in ([b"250 ok", b"250 ok", b"250 ok"], [b"250 ok", b"what?"]):
            client = self.toGroup(Stubborn, Mail())
            self.hear(*lines, b"250 ok")
            for line in (b"250 ok", b"354 go", b"250 taken", b"250 taken"):
                self.assertEqual(self.hear(line), [])
            self.assertEqual((client.told, len(client.errors)), ([], 1))
            self.assertEqual(client._buffer, b"")

    def test_D21_successInsteadOf354(self) -> None:
        """
        2yz to DATA: the message is not sent.
        """
        client = self.toGroup(Relays, Mail())
        self.assertEqual(self.hear(b"250 ok", b"250 ok", b"250 ok"), [])
        self.assertBroken(client, Phase.DATA)
        client = self.toEhlo(Sends, Mail())
        self.hear(b"250 hi")
        self.hear(b"250 ok")
        self.hear(b"250 ok")
        self.assertEqual(self.hear(b"250 ok"), [])
        self.assertBroken(client, Phase.DATA)

    def test_D18_wrongKindOfReply(self) -> None:
        """
        354, 1yz, 6yz, 421 and garbage to RCPT end the session.
        """
        for line in (b"354 go", b"150 wait", b"650 ?", b"421 bye", b"hello?"):
            client = self.toGroup(Relays, Mail())
            self.hear(b"250 ok", line)
            self.assertBroken(client, Phase.RCPT)

    def test_D22_earlyRefusal(self) -> None:
        """
        A complete refusal while the message is sent is told; the session is
        over and no dot is sent.
        """
        client = self.toFinal(Relays, BIG, Mail())
        self.wire.producer.resumeProducing()
        self.said()
        self.hear(b"552 too big")
        self.assertEqual((client.told[0].code, client.told[0].accepted), (552, 1))
        self.assertEqual(client.evidence, Reply(552, (b"too big",)))
        self.assertEqual(client.evidencePhase, Phase.RSET, "others would bounce")
        self.wire.pull()
        self.lose()
        self.assertNotIn(b".", self.said())
        self.assertEqual((len(client.told), client.errors), (1, []))

    def test_D22_earlyGarbage(self) -> None:
        """
        What is no reply is not told as one.
        """
        client = self.toFinal(Relays, BIG)
        self.wire.producer.resumeProducing()
        self.hear(b"5")
        self.assertBroken(client, Phase.BODY)


class LossTests(ClientCase):
    """
    A connection that ends.
    """

    def test_D25_lostBehindTheDot(self) -> None:
        """
        The end of the connection, garbage or silence in place of the reply to
        the dot is noted in its phase: the server may have the message.
        """
        for reason in (ConnectionDone(), ConnectionLost()):
            client = self.toFinal(Relays, Mail())
            self.lose(reason)
            assert isinstance(client.evidence, Trouble)
            self.assertEqual(client.evidence.kind, TroubleKind.LOST)
            self.assertEqual(client.evidencePhase, Phase.FINAL)
            self.assertIsNotNone(client._transaction)
            self.assertEqual(client.told, [])
        for line in (b"what?", b"354 go", b"250"):
            client = self.toFinal(Relays, Mail())
            if line == b"250":
                client.dataReceived(line)
            else:
                self.hear(line)
            self.lose()
            self.assertEqual((client.evidencePhase, client.told), (Phase.FINAL, []))

    def test_D25_timedOutBehindTheDot(self) -> None:
        """
        So is silence.
        """
        client = self.toFinal(Relays, Mail(), phaseTimeouts=PATIENCE)
        self.clock.advance(PATIENCE[Phase.FINAL])
        self.lose()
        self.assertEqual(client.evidence, Trouble(Phase.FINAL, TroubleKind.TIMEOUT))
        self.assertEqual(client.evidencePhase, Phase.FINAL)

    def test_D29_reused(self) -> None:
        """
        A connection that ends at the second MAIL is told as that, with how many
        messages went over it before.
        """
        for line in (b"421 enough", None):
            client = self.toFinal(Relays, Mail(), Mail())
            self.hear(b"250 ok")
            if line is not None:
                self.hear(line)
            self.lose()
            self.assertEqual((client.evidencePhase, client.transactions),
                             (Phase.MAIL, 1))  # fmt: skip
            self.assertEqual((len(client.told), len(client.mails)), (1, 1))

    def test_D22_lostInTheMessage(self) -> None:
        """
        A connection that ends while the message is sent is told as lost, not as
        a failure of ours.
        """
        client = self.toFinal(Relays, BIG)
        self.wire.producer.resumeProducing()
        self.lose(ConnectionLost())
        assert isinstance(client.evidence, Trouble)
        self.assertEqual(client.evidence.kind, TroubleKind.LOST)
        self.assertEqual(client.evidencePhase, Phase.BODY)
        self.assertIsNone(client.mailFile)

    def test_A06_resetAnywhere(self) -> None:
        """
        Wherever the connection ends, the evidence says where, and no clock
        runs on.
        """
        script = [
            (Phase.GREETING, GREETING),
            (Phase.EHLO, PIPELINING),
            (Phase.MAIL, b"250 ok"),
            (Phase.RCPT, b"250 ok"),
            (Phase.DATA, b"354 go"),
            (Phase.FINAL, b"250 ok"),
            (Phase.QUIT, b""),
        ]
        for count, (phase, _) in enumerate(script):
            client = self.connect(Relays, Mail(), phaseTimeouts=PATIENCE)
            for _, line in script[:count]:
                self.hear(line)
            self.assertEqual(client.phase, phase)
            self.lose()
            self.assertEqual(client.evidencePhase, phase)
            self.assertEqual(self.clock.getDelayedCalls(), [])


class PatienceTests(ClientCase):
    """
    Time runs out.
    """

    def assertTimedOut(self, client: Any, phase: Phase) -> None:
        """
        The session ends when the time of its phase is over, and not before.
        """
        self.assertEqual(client.phase, phase)
        self.clock.advance(PATIENCE[phase] - 1)
        self.assertFalse(self.wire.disconnecting, phase)
        self.clock.advance(1)
        self.assertTrue(self.wire.disconnected, phase)
        self.assertEqual(client.evidence, Trouble(phase, TroubleKind.TIMEOUT))
        self.assertIsInstance(client.errors[-1], SMTPTimeoutError)
        self.lose()
        self.assertEqual(len(client.errors), 1)

    def test_D30_everyPhase(self) -> None:
        """
        Every phase has its own limit.
        """
        script = [
            (Phase.GREETING, GREETING),
            (Phase.EHLO, b"250 hi"),
            (Phase.MAIL, b"250 ok"),
            (Phase.RCPT, b"250 ok"),
            (Phase.DATA, b"354 go"),
            (Phase.FINAL, b"250 ok"),
            (Phase.QUIT, b""),
        ]
        for count, (phase, _) in enumerate(script):
            client = self.connect(Relays, Mail(), phaseTimeouts=PATIENCE)
            for _, line in script[:count]:
                self.clock.advance(100)
                self.hear(line)
            self.assertTimedOut(client, phase)

    def test_D30_pipelined(self) -> None:
        """
        In a group too, each reply has its own limit.
        """
        script = [
            (Phase.MAIL, b"250 ok"),
            (Phase.RCPT, b"250 ok"),
            (Phase.DATA, b"354 go"),
            (Phase.FINAL, b""),
        ]
        for count, (phase, _) in enumerate(script):
            client = self.toGroup(Relays, Mail(), phaseTimeouts=PATIENCE)
            for _, line in script[:count]:
                self.clock.advance(100)
                self.hear(line)
            self.assertTimedOut(client, phase)

    def test_A06_D30_absolute(self) -> None:
        """
        A byte or a line now and then does not buy more time.
        """
        client = self.connect(Relays, Mail(), phaseTimeouts=PATIENCE)
        for octet in b"220-" + b"x" * 5:
            self.clock.advance(30)
            client.dataReceived(bytes([octet]))
        self.assertFalse(self.wire.disconnecting)
        self.clock.advance(30)
        self.assertTrue(self.wire.disconnected)
        client = self.connect(Relays, Mail(), phaseTimeouts=PATIENCE)
        for _ in range(10):
            self.hear(b"220-wait")
            self.clock.advance(30)
        self.assertTrue(self.wire.disconnected)
        self.assertEqual(client.evidencePhase, Phase.GREETING)

    def test_A06_D22_peerThatDoesNotRead(self) -> None:
        """
        A message that does not move is given up; one that moves is not, however
        long it takes.
        """
        mail = Mail(content=b"x" * 400_000, isSized=False)
        client = self.toFinal(Relays, mail, phaseTimeouts=PATIENCE)
        for _ in range(5):
            self.wire.producer.resumeProducing()
            self.clock.advance(PATIENCE[Phase.BODY] - 1)
            self.assertFalse(self.wire.disconnecting)
        self.clock.advance(1)
        self.assertTrue(self.wire.disconnected)
        self.assertEqual(client.evidence, Trouble(Phase.BODY, TroubleKind.TIMEOUT))

    def test_closeThatDoesNotEnd(self) -> None:
        """
        A peer that does not take what is still to be written is cut off, and
        the error told once.
        """
        client = self.connect(Relays, Mail(), phaseTimeouts=PATIENCE)
        self.hear(b"garbage")
        self.assertTrue(self.wire.disconnecting)
        self.clock.advance(PATIENCE[Phase.GREETING])
        self.assertTrue(self.wire.disconnected)
        self.assertEqual(len(client.errors), 1)

    def test_idleTimeout(self) -> None:
        """
        C{timeout} is that of the seed: any line begins it anew.
        """
        client = self.connect(Sends, Mail(), timeout=10)
        for _ in range(5):
            self.clock.advance(9)
            self.hear(b"220-wait")
        self.clock.advance(10)
        self.assertTrue(self.wire.disconnected)
        self.assertEqual(client.evidence, Trouble(Phase.GREETING, TroubleKind.TIMEOUT))

    def test_noTimeout(self) -> None:
        """
        By default a client waits for ever, as the seed's.
        """
        self.connect(Sends, Mail())
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ExhaustionTests(ClientCase):
    """
    A server that says too much.
    """

    def assertGivenUp(self, client: Any) -> None:
        """
        The session was closed because of garbage, once.
        """
        self.assertTrue(self.wire.disconnecting)
        assert isinstance(client.evidence, Trouble)
        self.assertEqual(client.evidence.kind, TroubleKind.GARBAGE)
        self.assertEqual(len(client.errors), 1)
        self.assertLess(len(client.log.str()), 200_000)

    def test_A06_endlessGreeting(self) -> None:
        """
        C{220-} without end.
        """
        client = self.connect(Relays, Mail())
        for _ in range(1000):
            client.dataReceived(b"220-hello\r\n" * 10)
        self.assertGivenUp(client)

    def test_A06_endlessLine(self) -> None:
        """
        A reply line of 10 MB: what comes is dropped.
        """
        client = self.connect(Relays, Mail())
        client.dataReceived(b"220-")
        for _ in range(160):
            client.dataReceived(b"x" * 65_536)
            self.assertLess(len(client._buffer), 100_000)
        self.assertGivenUp(client)

    def test_A06_wrongCodeWithin(self) -> None:
        """
        Another code within a reply.
        """
        client = self.connect(Relays, Mail())
        self.hear(b"220-a", b"250 b")
        self.assertGivenUp(client)

    def test_A06_extraRepliesToAGroup(self) -> None:
        """
        A reply more than there were commands delivers nothing.
        """
        client = self.toGroup(Relays, Mail())
        self.hear(b"250 ok", b"250 ok", b"250 ok", b"354 go", b"250 ok")
        self.assertTrue(self.wire.disconnecting)
        self.assertEqual((client.told, client.transactions), ([], 0))

    def test_A06_missingReplyToAGroup(self) -> None:
        """
        So does one less: the time runs out.
        """
        client = self.toGroup(Relays, Mail(), phaseTimeouts=PATIENCE)
        self.hear(b"250 ok", b"354 go")
        self.assertTrue(self.wire.disconnecting)
        client = self.toGroup(Relays, Mail(), phaseTimeouts=PATIENCE)
        self.hear(b"250 ok", b"250 ok")
        self.clock.advance(PATIENCE[Phase.DATA])
        self.assertTrue(self.wire.disconnected)
        self.assertEqual(client.told, [])

    @settings(deadline=None, max_examples=200)
    @given(
        st.lists(
            st.sampled_from(
                [b"250 ok", b"250-", b"354 go", b"421 bye", b"451 wait", b"550 no",
                 b"000 talk", b"hm", b"", b"220 hi", b"555 what", b"2"]
            ),
            max_size=14,
        ),
        st.booleans(),
        st.integers(1, 40),
    )  # fmt: skip
    def test_P2_A06_anything(
        self, lines: list[bytes], isPipelined: bool, step: int
    ) -> None:
        """
        Whatever a server says, in whatever segments: nothing is raised, no
        message is told twice, none is delivered whose dot was not written, and
        a closed session says nothing more.
        """
        client = self.toEhlo(Relays, Mail(), Mail())
        self.hear(PIPELINING if isPipelined else b"250 hi")
        stream = b"".join(line + b"\r\n" for line in lines)
        dots = 0
        for start in range(0, len(stream), step):
            isOver = self.wire.disconnecting
            client.dataReceived(stream[start : start + step])
            said = self.said()
            dots += said.count(b".")
            self.assertFalse(isOver and said)
        self.lose()
        self.assertLessEqual(len(client.told), 2)
        self.assertLessEqual(client.transactions, dots)
