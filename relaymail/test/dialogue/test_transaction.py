"""
Tests for L{relaymail.dialogue.transaction}.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.actions import Answer, AskRecipient, AskSender, Store, TakeData
from relaymail.dialogue.answers import answer
from relaymail.dialogue.asking import Form, Terms
from relaymail.dialogue.server import Offer, ServerDialogue
from relaymail.dialogue.stuffing import DotStuffer
from relaymail.dialogue.transaction import (
    NO_TERMS,
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

SIZE = Terms((), (b"SIZE=10", b"BODY=8BITMIME"), Form.AS_IT_IS)
NEEDED = Terms((b"SMTPUTF8",), (b"SIZE=10",), Form.AS_IT_IS)
CHUNKED = Terms((b"BODY=BINARYMIME",), (), Form.CHUNKED)


def reply(code: int) -> Reply:
    """
    Make a reply.
    """
    return Reply(code, (b"said",))


class Case(SynchronousTestCase):
    """
    Plays the server of a transaction.
    """

    def begin(
        self, *paths: bytes, pipelined: bool = True, terms: Terms = SIZE, **kw: Any
    ) -> None:
        """
        Begin a transaction.
        """
        self.transaction = Transaction(b"<a@b>", paths, terms, pipelined, **kw)
        self.actions = self.transaction.begin()

    def hear(self, *codes: int) -> list[Action]:
        """
        Say replies; with a window of 1, go on after MAIL as the hands do.
        """
        actions: list[Action] = []
        for code in codes:
            phase = self.transaction.phase
            new = self.transaction.heard(reply(code))
            if not self.transaction._pipelined and phase is Phase.MAIL and not new:
                new = self.transaction.nameNext()
            if any(isinstance(a, SendBody | SendNothing) for a in new):
                self.transaction.bodySent()
            actions += new
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
        said: list[Action] = [*self.actions]
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


class ParameterTests(Case):
    """
    What is said with MAIL and RCPT, and said again without.
    """

    def test_recipients(self) -> None:
        """
        Each RCPT has its own, with either window.
        """
        own = (b" NOTIFY=NEVER", b"")
        self.begin(b"<c@d>", b"<e@f>", rcptParameters=own)
        [say] = self.actions
        assert isinstance(say, Say)
        self.assertEqual(
            say.lines[1:3], (b"RCPT TO:<c@d> NOTIFY=NEVER", b"RCPT TO:<e@f>")
        )
        self.begin(pipelined=False)
        self.transaction.addressTo((b"<c@d>",), own)
        wanted = Say((b"RCPT TO:<c@d> NOTIFY=NEVER",), Phase.RCPT)
        self.assertEqual(self.hear(250), [wanted])

    def test_D14_neededStay(self) -> None:
        """
        What is needed is said again, what may be left out is not, with RCPT
        neither; 555 to what is needed is for good.
        """
        self.begin(b"<c@d>", terms=NEEDED, rcptParameters=(b" NOTIFY=NEVER",))
        lines = (b"MAIL FROM:<a@b> SMTPUTF8", b"RCPT TO:<c@d>", b"DATA")
        self.assertEqual(self.hear(555, 503, 503), [Say(lines, Phase.MAIL)])
        self.assertTrue(self.transaction.isBare)
        self.assertEqual(self.hear(555, 503, 503), [Finish(reply(555), Phase.MAIL)])
        only = Terms((b"SMTPUTF8",), (), Form.AS_IT_IS)
        self.begin(b"<c@d>", terms=only)
        self.assertEqual(self.hear(555, 503, 503), [Finish(reply(555), Phase.MAIL)])

    def test_D14_recipientsOnceMoreWithout(self) -> None:
        """
        555 to MAIL may be for what RCPT would say, too: neither says it again.
        """
        self.begin(pipelined=False, terms=NEEDED)
        self.hear(555, 250)
        self.transaction.addressTo((b"<c@d>",), (b" NOTIFY=NEVER",))
        self.assertEqual(
            self.transaction.nameNext(), [Say((b"RCPT TO:<c@d>",), Phase.RCPT)]
        )

    def test_D14_overasked(self) -> None:
        """
        555 to a RCPT with parameters is told.
        """
        for own, code, wanted in (
            ((b" NOTIFY=NEVER",), 555, True),
            ((b" NOTIFY=NEVER",), 550, False),
            ((), 555, False),
        ):
            self.begin(b"<c@d>", rcptParameters=own)
            self.hear(250, code, 503)
            self.assertIs(self.transaction.isOverasked, wanted)


class ChunkTests(Case):
    """
    Messages in chunks (RFC 3030).
    """

    def test_noData(self) -> None:
        """
        DATA is not said: the chunks follow the last recipient.
        """
        for pipelined in (True, False):
            self.begin(b"<c@d>", b"<e@f>", terms=CHUNKED, pipelined=pipelined)
            if pipelined:
                lines = (
                    b"MAIL FROM:<a@b> BODY=BINARYMIME",
                    b"RCPT TO:<c@d>",
                    b"RCPT TO:<e@f>",
                )
                self.assertEqual(self.actions, [Say(lines, Phase.MAIL)])
            self.hear(250, 550)
            self.assertEqual(self.hear(250), [SendBody()])
            self.assertEqual(self.hear(250), [Finish(reply(250), Phase.FINAL)])

    def test_D19_nobodyAccepted(self) -> None:
        """
        Nobody accepted, or the sender refused: not a byte is sent.
        """
        for pipelined in (True, False):
            self.begin(b"<c@d>", terms=CHUNKED, pipelined=pipelined)
            self.assertEqual(self.hear(250, 550)[-1], Finish(reply(550), Phase.RCPT))
        self.begin(b"<c@d>", terms=CHUNKED)
        self.assertEqual(self.hear(550, 503), [Finish(reply(550), Phase.MAIL)])

    def test_D18_D21_noGoAhead(self) -> None:
        """
        354 to chunks is out of step.
        """
        self.begin(b"<c@d>", terms=CHUNKED)
        self.hear(250, 250)
        self.assertEqual(self.hear(354), [Break(reply(354), Phase.FINAL)])

    def test_D22_refusedEarly(self) -> None:
        """
        A refusal before the last byte ends the session too.
        """
        self.begin(b"<c@d>", terms=CHUNKED)
        for code in (250, 250):
            self.transaction.heard(reply(code))
        self.assertIs(self.transaction.phase, Phase.BODY)
        wanted = Finish(reply(552), Phase.BODY, broken=True)
        self.assertEqual(self.transaction.heard(reply(552)), [wanted])


class LMTPTests(Case):
    """
    A reply to the message for each recipient (RFC 2033 4.2).
    """

    def test_D27_countedStrictly(self) -> None:
        """
        There is one for each recipient that was accepted, in their order.
        """
        for pipelined in (True, False):
            self.begin(b"<1@d>", b"<2@d>", b"<3@d>", lmtp=True, pipelined=pipelined)
            self.hear(250, 250, 550, 250, 354)
            self.assertEqual(self.hear(452), [])
            self.assertIs(self.transaction.phase, Phase.FINAL)
            self.assertEqual(self.hear(250), [Finish(reply(250), Phase.FINAL)])
            self.assertEqual(self.transaction.finals, [reply(452), reply(250)])

    def test_D27_allRefused(self) -> None:
        """
        Where none is positive the last one decides.
        """
        self.begin(b"<1@d>", b"<2@d>", lmtp=True)
        self.hear(250, 250, 250, 354, 552)
        self.assertEqual(self.hear(450), [Finish(reply(450), Phase.FINAL)])

    def test_D25_D27_outOfStep(self) -> None:
        """
        What is no reply to a message breaks the session; what was said before
        stands.
        """
        self.begin(b"<1@d>", b"<2@d>", lmtp=True)
        self.hear(250, 250, 250, 354, 250)
        self.assertEqual(self.hear(354), [Break(reply(354), Phase.FINAL)])
        self.assertEqual(self.transaction.finals, [reply(250)])

    def test_D19_D27_noLoneDot(self) -> None:
        """
        To a dot for nobody there are no replies: a host that asks for it is out of
        step.
        """
        self.begin(b"<1@d>", lmtp=True)
        self.assertEqual(self.hear(250, 550, 354), [Break(reply(354), Phase.DATA)])


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
        transaction = Transaction(b"<a@b.example>", recipients, NO_TERMS, pipelined)
        lines: deque[bytes] = deque()
        stored: list[tuple[Envelope, bytes]] = []
        todo: deque[Action] = deque(transaction.begin())
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
