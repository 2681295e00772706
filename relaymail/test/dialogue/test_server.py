# -*- test-case-name: relaymail.test.dialogue.test_server -*-
"""
Tests for L{relaymail.dialogue.server} and L{relaymail.dialogue.answers}: the
brain, with no transport.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.actions import (
    StartTLS,
    Store,
    TakeData,
)
from relaymail.dialogue.answers import MAX_LINES, answer, wire, withStatus
from relaymail.dialogue.server import Offer, ServerDialogue, State
from relaymail.envelopes import Envelope, Parameters
from relaymail.replies import Reply
from relaymail.test.dialogue.talking import OFFER, Client

_TO_RCPT = (b"EHLO c", b"MAIL FROM:<a@b>", b"RCPT TO:<c@d>")


class SequenceTests(SynchronousTestCase):
    """
    What may be said when.
    """

    def test_greeting(self) -> None:
        """
        The greeting has the name of the host and no enhanced code.
        """
        client = Client()
        self.assertEqual(
            client.follow(client.dialogue.greeting()), "220 relay.example ESMTP\r\n"
        )

    def test_wholeMessage(self) -> None:
        """
        A message walks through, and the next one begins anew.
        """
        client = Client()
        client.upTo(
            b"EHLO c", b"MAIL FROM:<a@b> BODY=8BITMIME SIZE=5",
            b"RCPT TO:<c@d>", b"RCPT TO:<e@f>", b"DATA",
        )  # fmt: skip
        envelope = Envelope("a@b", ("c@d", "e@f"), Parameters("8BITMIME"))
        self.assertEqual(client.asked[-1], TakeData(envelope))
        self.assertEqual(client.dialogue.dataEnded(), (Store(envelope),))
        self.assertIs(client.dialogue.state, State.SETTLING)
        self.assertEqual(
            client.follow(client.dialogue.queued("77")),
            "250 2.0.0 Ok: queued as 77\r\n",
        )
        client.upTo(b"MAIL FROM:<>", b"RCPT TO:<g@h>", b"DATA")
        self.assertEqual(client.asked[-1], TakeData(Envelope("", ("g@h",))))

    def test_ehlo(self) -> None:
        """
        EHLO tells what is offered; STARTTLS only where it can be had.
        """
        said = Client().say(b"EHLO c")
        self.assertIn("\r\n250-STARTTLS\r\n", said)
        self.assertNotIn("STARTTLS", Client(Offer("h")).say(b"EHLO c"))
        under = ServerDialogue(OFFER, tls=True).heard(b"EHLO c")
        self.assertNotIn("STARTTLS", repr(under))

    def test_table(self) -> None:
        """
        In every state, every verb that does not belong there is answered 503
        5.5.1 (DATA without recipients 554), and changes nothing.
        """
        states: dict[State, tuple[bytes, ...]] = {
            State.START: (),
            State.READY: _TO_RCPT[:1],
            State.MAIL: _TO_RCPT[:2],
            State.RCPT: _TO_RCPT,
        }
        belongs = {
            b"MAIL FROM:<a@b>": {State.READY},
            b"RCPT TO:<c@d>": {State.MAIL, State.RCPT},
            b"DATA": {State.RCPT},
            b"STARTTLS": {State.READY},
        }
        for state, lines in states.items():
            for line, where in belongs.items():
                client = Client().upTo(*lines)
                said = client.say(line)
                if state in where:
                    self.assertIn(said[0], "23", (state, line))
                    continue
                expected = "503 5.5.1"
                if state is State.MAIL and line == b"DATA":
                    expected = "554 5.5.1"
                self.assertEqual(said[:9], expected, (state, line))
                self.assertIs(client.dialogue.state, state)

    def test_always(self) -> None:
        """
        NOOP, VRFY, HELP, RSET, HELO and EHLO are answered in every state.
        """
        for at in range(len(_TO_RCPT) + 1):
            for line, code in (
                (b"NOOP x", "250 2.0.0"),
                (b"VRFY x", "252 2.0.0"),
                (b"VRFY", "501 5.5.4"),
                (b"HELP", "214 2.0.0"),
                (b"RSET", "250 2.0.0"),
                (b"HELO c", "250 relay"),
                (b"EHLO c", "250-relay"),
                (b"EHLO", "501 Say"),
                (b"QUIT", "221 2.0.0"),
                (b"QUIT now", "501 5.5.4"),
                (b"EXPN x", "502 5.5.1"),
                (b"AUTH PLAIN", "502 5.5.1"),
                (b"XYZZY", "500 5.5.1"),
            ):
                said = Client().upTo(*_TO_RCPT[:at]).say(line)
                self.assertTrue(said.startswith(code), (line, said))

    def test_help(self) -> None:
        """
        HELP names what may be said, and nothing else.
        """
        said = Client().say(b"HELP")
        self.assertIn(" HELO EHLO MAIL RCPT DATA BDAT ", said)
        self.assertIn(" STARTTLS", said)
        self.assertNotIn("AUTH", said)
        self.assertNotIn("STARTTLS", Client(tls=True).say(b"HELP"))

    def test_resetAndHelloForget(self) -> None:
        """
        RSET, HELO and EHLO forget the transaction (RFC 5321 4.1.4).
        """
        for line in (b"RSET", b"HELO c", b"EHLO c"):
            client = Client().upTo(*_TO_RCPT, line)
            self.assertIs(client.dialogue.state, State.READY)
            client.upTo(b"MAIL FROM:<x@y>", b"RCPT TO:<z@z>", b"DATA")
            self.assertEqual(client.asked[-1], TakeData(Envelope("x@y", ("z@z",))))

    def test_noHello(self) -> None:
        """
        RSET before HELO does not stand for HELO.
        """
        client = Client().upTo(b"RSET")
        self.assertIn("503 5.5.1", client.say(b"MAIL FROM:<a@b>"))

    def test_quit(self) -> None:
        """
        QUIT ends the session; what comes behind it is not heard.
        """
        client = Client().upTo(b"QUIT")
        self.assertTrue(client.closed)
        self.assertEqual(client.say(b"NOOP"), "")

    def test_size(self) -> None:
        """
        A size over the limit is refused at MAIL (RFC 1870 6.1).
        """
        client = Client().upTo(b"EHLO c")
        self.assertIn("552 5.3.4", client.say(b"MAIL FROM:<a@b> SIZE=1001"))
        client.upTo(b"MAIL FROM:<a@b> SIZE=1000")
        self.assertEqual(len(client.asked), 1)

    def test_recipientTwice(self) -> None:
        """
        The same recipient twice is one recipient.
        """
        client = Client().upTo(*_TO_RCPT, b"RCPT TO:<c@D.>", b"DATA")
        self.assertEqual(client.asked[-1], TakeData(Envelope("a@b", ("c@d",))))

    def test_askedOutOfTurn(self) -> None:
        """
        An answer that was not asked for is a fault of the caller.
        """
        dialogue = ServerDialogue(OFFER)
        calls: list[Callable[[], object]] = [
            dialogue.accepted,
            dialogue.dataEnded,
            lambda: dialogue.queued("1"),
            lambda: dialogue.refused(answer(550, "5.0.0", "No")),
        ]
        for call in calls:
            self.assertRaises(RuntimeError, call)


class RefusalTests(SynchronousTestCase):
    """
    What is refused, and what that leaves.
    """

    def test_P2_refusedRecipientIsNotInTheEnvelope(self) -> None:
        """
        Only accepted recipients are in the envelope.
        """
        client = Client().upTo(*_TO_RCPT)
        self.assertTrue(client.say(b"RCPT TO:<no@x>").startswith("550 5.0.0"))
        client.upTo(b"DATA")
        self.assertEqual(client.asked[-1], TakeData(Envelope("a@b", ("c@d",))))

    def test_P2_onlyRefusedRecipients(self) -> None:
        """
        With no recipient left there is no DATA.
        """
        client = Client().upTo(*_TO_RCPT[:2])
        client.say(b"RCPT TO:<no@x>")
        self.assertIn("554 5.5.1", client.say(b"DATA"))

    def test_refusedSender(self) -> None:
        """
        A refused sender begins no transaction.
        """
        client = Client().upTo(b"EHLO c")
        self.assertIn("550", client.say(b"MAIL FROM:<no@x>"))
        self.assertIn("503 5.5.1", client.say(b"RCPT TO:<c@d>"))

    def test_refusedContent(self) -> None:
        """
        A refusal at the end of the data forgets the transaction, and so does
        one by the queue.
        """
        client = Client().upTo(*_TO_RCPT, b"DATA")
        said = client.follow(client.dialogue.dataEnded(answer(550, "5.6.0", "Bad")))
        self.assertEqual(said, "550 5.6.0 Bad\r\n")
        client.upTo(*_TO_RCPT[1:], b"DATA")
        client.follow(client.dialogue.dataEnded())
        said = client.follow(client.dialogue.refused(Reply(250, (b"2.0.0 Ok",))))
        self.assertTrue(said.startswith("451 4.3.0"), said)
        self.assertIs(client.dialogue.state, State.READY)

    def test_A03_replyOfOneLine(self) -> None:
        """
        A refusal's text cannot make a second reply.
        """
        client = Client().upTo(b"EHLO c")
        said = client.say(b"MAIL FROM:<no@x>")
        self.assertEqual(said, "550 5.0.0 No  [31m  250 Yes\r\n")
        self.assertEqual(wire(withStatus(Reply(450))), b"450 4.0.0\r\n")

    def test_A03_repliesAreBounded(self) -> None:
        """
        Long replies are cut, in lines and in their length.
        """
        said = wire(Reply(550, (b"x" * 5000,) * 5000))
        self.assertEqual(said.count(b"\r\n"), MAX_LINES)
        self.assertLessEqual(max(map(len, said.split(b"\r\n"))), 510)

    def test_A03_controlCharactersInCommands(self) -> None:
        """
        NUL, CR and LF in a command are refused before it means anything.
        """
        client = Client(Offer("h", errors=100)).upTo(*_TO_RCPT[:2])
        for octet in (b"\0", b"\r", b"\n", b"\x7f"):
            said = client.say(b"RCPT TO:<a" + octet + b"@b>")
            self.assertTrue(said.startswith("500 5.5.2"), said)
        self.assertEqual(len(client.asked), 1)

    def test_A05_recipients(self) -> None:
        """
        Recipients over the limit are told to come later, and are no errors.
        """
        client = Client().upTo(*_TO_RCPT, b"RCPT TO:<1@d>", b"RCPT TO:<2@d>")
        for number in range(10):
            said = client.say(b"RCPT TO:<x%d@d>" % number)
            self.assertTrue(said.startswith("452 4.5.3"), said)
        client.upTo(b"DATA")
        last = client.asked[-1]
        assert isinstance(last, TakeData)
        self.assertEqual(len(last.envelope.recipients), 3)

    def test_A05_errors(self) -> None:
        """
        One error too many ends the session.
        """
        client = Client()
        for _ in range(OFFER.errors):
            self.assertIn("500 5.5.1", client.say(b"FOO"))
        self.assertIn("421 4.7.0", client.say(b"FOO"))
        self.assertTrue(client.closed)

    def test_A05_errorsAreForgiven(self) -> None:
        """
        A message that was taken forgives the errors before it.
        """
        client = Client().upTo(b"EHLO c")
        for _ in range(3):
            for _ in range(OFFER.errors):
                client.say(b"FOO")
            client.upTo(*_TO_RCPT[1:], b"DATA")
            client.follow(client.dialogue.dataEnded())
            client.follow(client.dialogue.queued("1"))
        self.assertFalse(client.closed)

    def test_A05_idleCommands(self) -> None:
        """
        Endless commands that bring no mail end the session.
        """
        client = Client(Offer("h", idleCommands=10, errors=4))
        for _ in range(14):
            client.upTo(b"NOOP")
        self.assertIn("421 4.7.0", client.say(b"NOOP"))
        self.assertTrue(client.closed)

    def test_A05_overlong(self) -> None:
        """
        A line without an end ends the session.
        """
        client = Client()
        self.assertIn("500 5.5.2", client.follow(client.dialogue.overlong()))
        self.assertTrue(client.closed)

    def test_A01_notSMTP(self) -> None:
        """
        What speaks HTTP ends the session: what follows is not commands.
        """
        for line in (b"POST / HTTP/1.1", b"GET /"):
            client = Client().upTo(*_TO_RCPT)
            self.assertIn("502 5.5.1", client.say(line))
            self.assertTrue(client.closed)

    def test_A04_strangeProxy(self) -> None:
        """
        So does the header of a proxy that nobody named: its client would be taken for
        it.
        """
        binary = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + b"\1" * 12
        for header in (
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25",
            b"PROXY UNKNOWN",
            binary,
        ):
            client = Client()
            said = [client.say(line) for line in header.split(b"\r\n")]
            self.assertIn("502 5.5.1", "".join(said))
            self.assertTrue(client.closed)


class StartTLSTests(SynchronousTestCase):
    """
    STARTTLS begins a new session (RFC 3207).
    """

    def test_A02_everythingIsForgotten(self) -> None:
        """
        Behind STARTTLS the client has said nothing yet.
        """
        client = Client().upTo(*_TO_RCPT, b"RSET", b"STARTTLS")
        self.assertEqual(client.asked[-1], StartTLS())
        self.assertEqual(client.dialogue.helo, "")
        self.assertFalse(client.dialogue.esmtp)
        self.assertIs(client.dialogue.state, State.START)
        self.assertIn("503 5.5.1", client.say(b"MAIL FROM:<a@b>"))
        self.assertNotIn("STARTTLS", client.say(b"EHLO c"))
        self.assertIn("503 5.5.1", client.say(b"STARTTLS"))

    def test_A02_bytesBehind(self) -> None:
        """
        What comes in clear behind STARTTLS ends the session.
        """
        client = Client().upTo(b"EHLO c")
        said = client.say(b"STARTTLS", behind=True)
        self.assertTrue(said.startswith("503 5.5.1"))
        self.assertTrue(client.closed)
        self.assertNotIn(StartTLS(), client.asked)

    def test_notOffered(self) -> None:
        """
        STARTTLS that is not offered, or has an argument, is refused.
        """
        self.assertIn("502 5.5.1", Client(Offer("h")).upTo(b"EHLO c").say(b"STARTTLS"))
        self.assertIn("501 5.5.4", Client().upTo(b"EHLO c").say(b"STARTTLS now"))


class LeavingTests(SynchronousTestCase):
    """
    The service stops, or the client is too slow.
    """

    def test_P10_idleSession(self) -> None:
        """
        Who may say something is told at once.
        """
        client = Client().upTo(*_TO_RCPT)
        self.assertIn("421 4.3.2", client.follow(client.dialogue.leave()))
        self.assertTrue(client.closed)

    def test_P10_messageUnderWay(self) -> None:
        """
        A message under way gets its own answer first.
        """
        client = Client().upTo(*_TO_RCPT, b"DATA")
        self.assertEqual(client.dialogue.leave(), ())
        self.assertEqual(len(client.dialogue.dataEnded()), 1)
        said = client.follow(client.dialogue.queued("9"))
        self.assertEqual(
            [line[:9] for line in said.splitlines()], ["250 2.0.0", "421 4.3.2"]
        )
        self.assertTrue(client.closed)

    def test_timedOut(self) -> None:
        """
        A slow client is told so.
        """
        client = Client()
        self.assertIn("421 4.4.2", client.follow(client.dialogue.timedOut()))
        self.assertTrue(client.closed)


class StatusTests(SynchronousTestCase):
    """
    Replies in general.
    """

    @settings(deadline=None, max_examples=100)
    @given(
        st.lists(
            st.sampled_from(
                [
                    b"EHLO c", b"HELO c", b"MAIL FROM:<a@b>", b"MAIL FROM:<no@b>",
                    b"RCPT TO:<c@d>", b"RCPT TO:<no@d>", b"RSET", b"NOOP", b"FOO",
                    b"DATA", b"VRFY a", b"HELP", b"QUIT", b"STARTTLS", b"\0", b"",
                ]
            ),
            max_size=25,
        )
    )  # fmt: skip
    def test_everyReplyHasAStatus(self, lines: list[bytes]) -> None:
        """
        Whatever is said in whatever order, every line is answered once, every
        reply has an enhanced code of its class (RFC 2034 4) where one belongs,
        and no message is taken without an accepted recipient.
        """
        client = Client()
        for line in lines:
            said = client.say(line)
            if client.dialogue.state is State.DATA:
                taken = client.asked[-1]
                assert isinstance(taken, TakeData)
                self.assertTrue(taken.envelope.recipients)
                self.assertNotIn("no@d", taken.envelope.recipients)
                client.follow(client.dialogue.dataEnded())
                client.follow(client.dialogue.queued("1"))
            elif not line.startswith((b"EHLO", b"HELO")) and said:
                self.assertEqual(said[0], said[4], said)
                self.assertEqual(said[5], ".", said)
            if client.closed:
                self.assertEqual(client.say(b"NOOP"), "")
                return
            self.assertTrue(said)
