"""
Tests for L{relaymail.dialogue.transaction}.
"""

from __future__ import annotations

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.actions import Answer, AskRecipient, AskSender, Store, TakeData
from relaymail.dialogue.answers import answer
from relaymail.dialogue.server import Offer, ServerDialogue
from relaymail.dialogue.stuffing import DotStuffer
from relaymail.dialogue.transaction import (
    Action,
    Break,
    Finish,
    Say,
    SendBody,
    SendNothing,
    Transaction,
)
from relaymail.dialogue.unstuffing import Unstuffing
from relaymail.envelopes import Envelope
from relaymail.replies import Phase, Reply

SIZE = (b"SIZE=10", b"BODY=8BITMIME")


def reply(code: int) -> Reply:
    """
    Make a reply.
    """
    return Reply(code, (b"said",))


class Case(SynchronousTestCase):
    """
    Plays the server of a transaction.
    """

    def begin(self, *paths: bytes, pipelined: bool = True) -> None:
        """
        Begin a transaction.
        """
        self.transaction = Transaction(b"<a@b>", paths, SIZE, pipelined)
        self.actions = self.transaction.begin()

    def hear(self, *codes: int) -> list[Action]:
        """
        Say replies; with a window of 1, go on after MAIL as the hands do.
        """
        actions: list[Action] = []
        for code in codes:
            phase = self.transaction.phase
            actions += self.transaction.heard(reply(code))
            if not self.transaction._pipelined and phase is Phase.MAIL and not actions:
                actions += self.transaction.nameNext()
            if any(isinstance(a, SendBody | SendNothing) for a in actions):
                self.transaction.bodySent()
        return actions


class PipelinedTests(Case):
    """
    Tests for L{Transaction} where the window is the whole group.
    """

    def test_group(self) -> None:
        """
        MAIL, RCPT and DATA are one group (RFC 2920 3.1).
        """
        self.begin(b"<c@d>", b"<e@f>")
        lines = (
            b"MAIL FROM:<a@b> SIZE=10 BODY=8BITMIME",
            b"RCPT TO:<c@d>",
            b"RCPT TO:<e@f>",
            b"DATA",
        )
        self.assertEqual(self.actions, [Say(lines, Phase.MAIL)])

    def test_phases(self) -> None:
        """
        The phase is that of the reply to come.
        """
        self.begin(b"<c@d>")
        phases = []
        for code in (250, 250, 354, 250):
            phases.append(self.transaction.phase)
            self.hear(code)
        phases.append(self.transaction.phase)
        self.assertEqual(
            phases, [Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.FINAL, Phase.BODY]
        )

    def test_D12_D23_delivered(self) -> None:
        """
        2yz to MAIL and RCPT, 354, 2yz to the dot: the dot's reply decides.
        """
        self.begin(b"<c@d>")
        self.assertEqual(self.hear(250, 250, 354), [SendBody()])
        self.assertEqual(self.hear(250), [Finish(reply(250), Phase.FINAL)])

    def test_D15_D16_eachRecipientItsOwn(self) -> None:
        """
        Every recipient has its own reply, and one accepted is enough.
        """
        self.begin(b"<1@d>", b"<2@d>", b"<3@d>", b"<4@d>")
        self.assertEqual(self.hear(250, 250, 451, 550, 552, 354), [SendBody()])
        codes = [r.code for _, r in self.transaction.results]
        self.assertEqual(codes, [250, 451, 550, 552])
        self.assertEqual(self.transaction.accepted, 1)

    def test_D17_otherSuccesses(self) -> None:
        """
        251 and 252 accept; 551 refuses.
        """
        self.begin(b"<1@d>", b"<2@d>", b"<3@d>")
        self.hear(250, 251, 252, 551)
        self.assertEqual(self.transaction.accepted, 2)

    def test_D13_D14_mailRefused(self) -> None:
        """
        MAIL refused ends the transaction, once the whole group is answered,
        whatever is said to the rest of it.
        """
        for code in (451, 550, 552, 553):
            for rest in ((503, 503), (250, 503), (503, 554), (250, 451)):
                self.begin(b"<c@d>")
                self.assertEqual(
                    self.hear(code, *rest), [Finish(reply(code), Phase.MAIL)]
                )
                self.assertEqual(self.transaction.results, [])

    def test_D14_onceMoreWithoutParameters(self) -> None:
        """
        555 says MAIL once more without parameters, and then counts.
        """
        self.begin(b"<c@d>")
        lines = (b"MAIL FROM:<a@b>", b"RCPT TO:<c@d>", b"DATA")
        self.assertEqual(self.hear(555, 503, 503), [Say(lines, Phase.MAIL)])
        self.assertEqual(self.transaction.phase, Phase.MAIL)
        self.assertEqual(self.hear(555, 503, 503), [Finish(reply(555), Phase.MAIL)])

    def test_D14_acceptedWithoutParameters(self) -> None:
        """
        The second MAIL may be accepted; nothing of the first is left.
        """
        self.begin(b"<c@d>")
        self.hear(555, 250, 503)
        self.assertEqual(self.hear(250, 250, 354), [SendBody()])
        self.assertEqual(len(self.transaction.results), 1)
        self.assertEqual(self.hear(250), [Finish(reply(250), Phase.FINAL)])

    def test_D14_354AfterRefusedMail(self) -> None:
        """
        A server that refused MAIL and asks for the message all the same gets
        an empty one; then MAIL is said again.
        """
        self.begin(b"<c@d>")
        self.assertEqual(self.hear(555, 503, 354), [SendNothing()])
        lines = (b"MAIL FROM:<a@b>", b"RCPT TO:<c@d>", b"DATA")
        self.assertEqual(self.hear(503), [Say(lines, Phase.MAIL)])

    def test_D19_nobodyAccepted(self) -> None:
        """
        Nobody accepted, DATA refused: over, with the last refusal.
        """
        self.begin(b"<c@d>", b"<e@f>")
        self.assertEqual(
            self.hear(250, 550, 451, 554), [Finish(reply(451), Phase.RCPT)]
        )

    def test_D19_loneDot(self) -> None:
        """
        Nobody accepted, and 354: only a dot is sent, and whatever is said to
        it delivers nothing.
        """
        for code in (554, 250, 451):
            self.begin(b"<c@d>")
            self.assertEqual(self.hear(250, 550, 354), [SendNothing()])
            self.assertEqual(self.hear(code), [Finish(reply(550), Phase.RCPT)])

    def test_D20_dataRefused(self) -> None:
        """
        4yz and 5yz to DATA end the transaction for those accepted.
        """
        for code in (451, 554):
            self.begin(b"<c@d>")
            self.assertEqual(
                self.hear(250, 250, code), [Finish(reply(code), Phase.DATA)]
            )

    def test_D21_250InsteadOf354(self) -> None:
        """
        2yz to DATA: the message is not sent, the session is broken.
        """
        for code in (250, 220, 334):
            self.begin(b"<c@d>")
            self.assertEqual(
                self.hear(250, 250, code), [Break(reply(code), Phase.DATA)]
            )

    def test_D18_outOfStep(self) -> None:
        """
        What is no answer to MAIL or RCPT breaks the session.
        """
        for code in (354, 150, 654, 999, 421):
            self.begin(b"<c@d>")
            self.assertEqual(self.hear(code), [Break(reply(code), Phase.MAIL)])
            self.begin(b"<c@d>")
            self.assertEqual(self.hear(250, code), [Break(reply(code), Phase.RCPT)])

    def test_D22_earlyRefusal(self) -> None:
        """
        A refusal before the dot ends the transaction and the session; a 2yz
        there is no answer to anything.
        """
        for code, wanted in (
            (554, Finish(reply(554), Phase.BODY, broken=True)),
            (451, Finish(reply(451), Phase.BODY, broken=True)),
            (250, Break(reply(250), Phase.BODY)),
            (354, Break(reply(354), Phase.BODY)),
        ):
            self.begin(b"<c@d>")
            for before in (250, 250, 354):
                self.transaction.heard(reply(before))
            self.assertEqual(self.transaction.heard(reply(code)), [wanted])

    def test_D24_refusedAtTheEnd(self) -> None:
        """
        4yz and 5yz to the dot decide.
        """
        for code in (451, 421, 554):
            self.begin(b"<c@d>")
            self.hear(250, 250, 354)
            self.assertEqual(self.hear(code), [Finish(reply(code), Phase.FINAL)])

    def test_D25_garbageAtTheEnd(self) -> None:
        """
        Anything else to the dot breaks the session, in the phase of the dot.
        """
        for code in (354, 150, 777):
            self.begin(b"<c@d>")
            self.hear(250, 250, 354)
            self.assertEqual(self.hear(code), [Break(reply(code), Phase.FINAL)])

    def test_D26_surplus(self) -> None:
        """
        A reply when nothing is awaited breaks the session.
        """
        transaction = Transaction.standingAt(Phase.IDLE)
        self.assertEqual(transaction.heard(reply(250)), [Break(reply(250), Phase.IDLE)])

    def test_D26_oneTooMany(self) -> None:
        """
        A reply too many within the group shows at DATA: no dot was sent that it
        could be taken for an answer to.
        """
        self.begin(b"<c@d>")
        self.assertEqual(self.hear(250, 250, 250), [Break(reply(250), Phase.DATA)])


class LockStepTests(Case):
    """
    Tests for L{Transaction} with a window of 1.
    """

    def test_oneAtATime(self) -> None:
        """
        A command waits for the reply to the one before it.
        """
        self.begin(b"<c@d>", b"<e@f>", pipelined=False)
        said = [*self.actions]
        for code in (250, 250, 450):
            said += self.hear(code)
        self.assertEqual(
            said,
            [
                Say((b"MAIL FROM:<a@b> SIZE=10 BODY=8BITMIME",), Phase.MAIL),
                Say((b"RCPT TO:<c@d>",), Phase.RCPT),
                Say((b"RCPT TO:<e@f>",), Phase.RCPT),
                Say((b"DATA",), Phase.DATA),
            ],
        )

    def test_D19_nobodyAccepted(self) -> None:
        """
        Nobody accepted: DATA is not said.
        """
        self.begin(b"<c@d>", pipelined=False)
        self.assertEqual(self.hear(250, 550)[-1], Finish(reply(550), Phase.RCPT))

    def test_D14_D13_mailRefused(self) -> None:
        """
        MAIL refused: no RCPT is said.
        """
        for code in (451, 550):
            self.begin(b"<c@d>", pipelined=False)
            self.assertEqual(self.hear(code), [Finish(reply(code), Phase.MAIL)])

    def test_D14_onceMoreWithoutParameters(self) -> None:
        """
        555 says MAIL once more without parameters.
        """
        self.begin(b"<c@d>", pipelined=False)
        self.assertEqual(self.hear(555), [Say((b"MAIL FROM:<a@b>",), Phase.MAIL)])
        self.assertEqual(self.hear(555), [Finish(reply(555), Phase.MAIL)])

    def test_noRecipients(self) -> None:
        """
        Without recipients there is nothing to send.
        """
        self.begin(pipelined=False)
        [finish] = self.hear(250)
        assert isinstance(finish, Finish)
        self.assertEqual((finish.phase, finish.reply.code), (Phase.RCPT, 554))

    def test_standing(self) -> None:
        """
        A transaction can begin in the middle, for who said the rest by itself.
        """
        transaction = Transaction.standingAt(Phase.DATA)
        self.assertEqual(transaction.phase, Phase.DATA)
        self.assertEqual(transaction.heard(reply(354)), [SendBody()])
        transaction.bodySent()
        self.assertEqual(
            transaction.heard(reply(250)), [Finish(reply(250), Phase.FINAL)]
        )


class AnyReplyTests(Case):
    """
    What holds for any replies at all.
    """

    @settings(deadline=None, max_examples=300)
    @given(
        st.lists(
            st.sampled_from([250, 251, 354, 421, 450, 452, 550, 552, 555, 100, 600]),
            max_size=12,
        ),
        st.booleans(),
    )
    def test_P2_deliveredOnlyByTheDotsOwnReply(
        self, codes: list[int], pipelined: bool
    ) -> None:
        """
        Only a 2yz reply to the dot of a message, which is sent only after MAIL
        and a recipient were accepted and 354 was said, delivers.
        """
        self.begin(b"<c@d>", b"<e@f>", pipelined=pipelined)
        isSent = False
        for code in codes:
            phase = self.transaction.phase
            actions = self.hear(code)
            for action in actions:
                isSent |= action == SendBody()
                if isinstance(action, Finish) and action.reply.positive:
                    self.assertEqual((phase, isSent), (Phase.FINAL, True))
                    self.assertGreater(self.transaction.accepted, 0)
            if any(isinstance(a, Finish | Break) for a in actions):
                return


class TwoSidedTests(SynchronousTestCase):
    """
    The client's dialogue against the server's, with nothing between them.
    """

    def talk(
        self, recipients: tuple[bytes, ...], content: bytes, pipelined: bool
    ) -> tuple[Finish, list[tuple[Envelope, bytes]]]:
        """
        Send one message.  The server refuses recipients that begin with C{no},
        and puts off those that begin with C{later}.
        """
        server = ServerDialogue(Offer("mx.example.org"))
        server.greeting()
        server.heard(b"EHLO me.example.com")
        transaction = Transaction(b"<a@b.example>", recipients, (), pipelined)
        lines: deque[bytes] = deque()
        stored: list[tuple[Envelope, bytes]] = []
        todo = deque(transaction.begin())
        received = b""
        while todo:
            match todo.popleft():
                case Say(said, _):
                    lines.extend(said)
                case SendBody() | SendNothing() as action:
                    stuffer, unstuffing = DotStuffer(), Unstuffing()
                    wire = stuffer.stuff(content) if action == SendBody() else b""
                    received = unstuffing.feed(wire + stuffer.end())
                    self.assertTrue(unstuffing.ended)
                    transaction.bodySent()
                    replies = self.serve(server, server.dataEnded(), received, stored)
                    todo.extend(a for r in replies for a in transaction.heard(r))
                case Finish() as finish:
                    return finish, stored
                case broken:
                    self.fail(f"out of step: {broken}")
            while lines:
                phase = transaction.phase
                heard = server.heard(lines.popleft(), behind=bool(lines))
                for r in self.serve(server, heard, b"", stored):
                    todo.extend(transaction.heard(r))
                if not pipelined and phase is Phase.MAIL and not todo:
                    todo.extend(transaction.nameNext())
        self.fail("the dialogue stopped")

    def serve(
        self,
        server: ServerDialogue,
        actions: tuple[object, ...],
        content: bytes,
        stored: list[tuple[Envelope, bytes]],
    ) -> list[Reply]:
        """
        Do what the server's dialogue wants, and give what it answers.
        """
        replies = []
        for action in actions:
            match action:
                case Answer(said):
                    replies.append(said)
                case AskSender():
                    replies += self.serve(server, server.accepted(), content, stored)
                case AskRecipient(_, recipient):
                    if recipient.startswith("no"):
                        then = server.refused(answer(550, "5.1.1", "No"))
                    elif recipient.startswith("later"):
                        then = server.refused(answer(451, "4.2.0", "Wait"))
                    else:
                        then = server.accepted()
                    replies += self.serve(server, then, content, stored)
                case Store(envelope):
                    stored.append((envelope, content))
                    replies += self.serve(server, server.queued("1"), content, stored)
                case TakeData():
                    pass
        return replies

    def test_delivered(self) -> None:
        """
        A message arrives as it was sent, with either window.
        """
        content = b".a\r\n..\r\n\r\n.\r\nb\r\n"
        for pipelined in (True, False):
            finish, stored = self.talk((b"<c@d.example>",), content, pipelined)
            self.assertEqual((finish.phase, finish.reply.code), (Phase.FINAL, 250))
            [(envelope, received)] = stored
            self.assertEqual(envelope.recipients, ("c@d.example",))
            self.assertEqual((envelope.sender, received), ("a@b.example", content))

    def test_D15_someRefused(self) -> None:
        """
        It arrives for those who were accepted.
        """
        to = (b"<no@d.example>", b"<c@d.example>", b"<later@d.example>")
        for pipelined in (True, False):
            finish, stored = self.talk(to, b"x\r\n", pipelined)
            self.assertEqual(finish.phase, Phase.FINAL)
            self.assertEqual(stored[0][0].recipients, ("c@d.example",))

    def test_D19_allRefused(self) -> None:
        """
        It arrives nowhere if nobody was accepted.
        """
        for pipelined in (True, False):
            finish, stored = self.talk((b"<no@d.example>",), b"x\r\n", pipelined)
            self.assertEqual((finish.phase, finish.reply.code), (Phase.RCPT, 550))
            self.assertEqual(stored, [])
