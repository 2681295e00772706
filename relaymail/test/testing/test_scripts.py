"""
Tests for L{relaymail.testing.scripts}.
"""

from __future__ import annotations

import random

from relaymail.test.testing.talk import TalkTestCase
from relaymail.testing.scripts import (
    Slip,
    acceptsEverything,
    busy,
    closesAfter,
    dropsAfterTheDot,
    endlessReply,
    fullMailbox,
    garbage,
    greylister,
    outOfStep,
    refusesRecipients,
    silentAfter,
    stripsSTARTTLS,
    tarpit,
    throttles,
)
from relaymail.testing.servers import KEYWORDS, SMTPServer

MAIL, RCPT = "MAIL FROM:<a@b>", "RCPT TO:<c@d>"
#: A whole transaction, to be said at once.
GROUP = (MAIL, RCPT, "DATA", "hello", ".")


class ScriptTests(TalkTestCase):
    """
    Says the lines of clients to each server, at once or one by one.
    """

    def bothWays(self, server: SMTPServer, *lines: str) -> list[str]:
        """
        Say lines in one session at once, and in another one by one; the
        answers must be the same.

        @return: The codes of the answers.
        """
        self.use(server)
        atOnce = self.codes(self.connect(), *lines)
        session = self.connect()
        byOne = [code for line in lines for code in self.codes(session, line)]
        self.assertEqual(atOnce, byOne)
        return atOnce

    def test_greylister(self) -> None:
        """
        Who is not known is asked to come again, as often as he likes, until
        the time is over; the sender and the recipient make a difference.
        """
        self.use(greylister(seconds=300))
        session = self.connect()
        self.assertEqual(self.codes(session, MAIL, RCPT, RCPT), ["250", "451", "451"])
        self.reactor.advance(299)
        self.assertEqual(self.say(session, RCPT)[0][:9], "451 4.7.1")
        self.reactor.advance(1)
        self.assertEqual(self.codes(session, RCPT), ["250"])
        self.assertEqual(self.codes(session, "RCPT TO:<e@d>"), ["451"])
        other = self.connect()
        self.assertEqual(self.codes(other, "MAIL FROM:<x@b>", RCPT), ["250", "451"])
        self.assertEqual(self.codes(self.connect(), MAIL, RCPT), ["250", "250"])
        self.assertEqual(self.codes(self.connect(), RCPT), ["503"])

    def test_greylisterNeedsNoSession(self) -> None:
        """
        What was refused at once is refused one by one.
        """
        said = self.bothWays(greylister(), *GROUP[:3])
        self.assertEqual(said, ["250", "451", "554"])

    def test_A06_tarpit(self) -> None:
        """
        Everything comes byte by byte, and nothing else until it is said.
        """
        self.use(tarpit(seconds=2))
        session = self.connect()
        self.assertEqual(self.heardBytes(session), b"")
        self.reactor.pump([2] * 3)
        self.assertEqual(self.heardBytes(session), b"220")
        self.assertEqual(self.say(session, *GROUP), [])
        self.reactor.pump([2] * 200)
        codes = [line[:3] for line in self.heard(session)]
        self.assertEqual(codes[-4:], ["250", "250", "354", "250"])
        self.assertEqual(len(self.server.received), 1)

    def test_closesAfter(self) -> None:
        """
        The MAIL after so many messages is answered 421, and that is all.
        """
        said = self.bothWays(closesAfter(2), *GROUP, *GROUP, MAIL, RCPT)
        self.assertEqual(said, [*["250", "250", "354", "250"] * 2, "421"])
        self.assertEqual(
            [s.transport.disconnecting for s in self.server.sessions], [True] * 2
        )

    def test_A02_stripsSTARTTLS(self) -> None:
        """
        STARTTLS is neither offered nor taken.
        """
        self.use(stripsSTARTTLS())
        session = self.connect()
        said = self.say(session, "EHLO me")
        self.assertIn("XXXXXXXA", said[-1])
        self.assertEqual(len(said), len(KEYWORDS) + 2)
        self.assertNotIn("STARTTLS", str(said))
        self.assertEqual(self.codes(session, "STARTTLS"), ["502"])

    def test_D25_dropsAfterTheDot(self) -> None:
        """
        The connection ends without an answer, so many times; the message was
        taken or not, as it is told.
        """
        for took in (True, False):
            self.use(dropsAfterTheDot(times=2, took=took))
            for _ in range(2):
                session = self.connect()
                self.assertEqual(self.codes(session, *GROUP), ["250", "250", "354"])
                self.assertTrue(session.transport.aborted)
            self.assertEqual(len(self.server.received), 2 * took)
            self.assertEqual([m.answer for m in self.server.received], [""] * 2 * took)
            session = self.connect()
            self.assertEqual(self.codes(session, *GROUP)[-1], "250")
            self.assertEqual(len(self.server.received), 2 * took + 1)

    def test_D21_acceptsEverything(self) -> None:
        """
        250, whatever it was; nothing is taken.
        """
        lines = ("EHLO me", *GROUP, "what?", "", "QUIT")
        self.assertEqual(self.bothWays(acceptsEverything(), *lines), ["250"] * 9)
        self.assertEqual(self.server.received, [])

    def test_A06_endlessReply(self) -> None:
        """
        The reply goes on as long as the client is there.
        """
        self.use(endlessReply("EHLO"))
        session = self.connect()
        self.say(session, "EHLO me", "QUIT")
        for _ in range(3):
            self.reactor.pump([0.1] * 10)
            said = self.heard(session)
            self.assertGreater(len(said), 100)
            self.assertEqual({line[:4] for line in said}, {"250-"})
        session.transport.producer.pauseProducing()
        self.reactor.pump([0.1] * 10)
        self.assertEqual(self.heard(session), [])
        session.transport.producer.resumeProducing()
        self.reactor.pump([0.1] * 10)
        self.assertNotEqual(self.heard(session), [])
        session.connectionLost()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_D26_outOfStep(self) -> None:
        """
        One reply too many, one too few, or one before its time; nothing is
        taken.
        """
        for slip, codes in (
            (Slip.SURPLUS, ["250", "250", "250", "354", "451"]),
            (Slip.MISSING, ["250", "354", "451"]),
            (Slip.EARLY, ["250", "250", "354", "250", "451"]),
        ):
            self.assertEqual(self.bothWays(outOfStep(slip), *GROUP), codes, slip)
            self.assertEqual(self.server.received, [])

    def test_D15_fullMailbox(self) -> None:
        """
        Only those that are full are refused, for now or for good.
        """
        lines = (MAIL, "RCPT TO:<C@D>", "RCPT TO:<e@d>")
        for code, status in ((452, "452 4.2.2"), (552, "552 5.2.2")):
            server = fullMailbox("c@d", code=code)
            self.assertEqual(self.bothWays(server, *lines), ["250", str(code), "250"])
            said = self.say(self.connect(), *lines)
            self.assertEqual(said[1][:9], status)
        self.assertRaises(KeyError, fullMailbox, code=250)

    def test_D13_throttles(self) -> None:
        """
        What is beyond the rate is refused until there is room again.
        """
        self.use(throttles(2, seconds=60))
        session = self.connect()
        self.codes(session, *GROUP)
        self.reactor.advance(30)
        self.assertEqual(self.codes(session, *GROUP)[0], "250")
        said = self.say(session, *GROUP[:3])
        self.assertEqual([line[:3] for line in said], ["450", "503", "554"])
        self.assertEqual(said[0][:9], "450 4.7.0")
        self.reactor.advance(30)
        self.assertEqual(self.codes(session, MAIL, "RSET", MAIL), ["250", "250", "450"])

    def test_D15_refusesRecipients(self) -> None:
        """
        Some are refused, or all, with the words that are told.
        """
        lines = (MAIL, RCPT, "RCPT TO:<e@d>", "DATA")
        self.assertEqual(
            self.bothWays(refusesRecipients("c@d"), *lines),
            ["250", "550", "250", "354"],
        )
        self.assertEqual(
            self.bothWays(refusesRecipients(reply="451 later"), *lines),
            ["250", "451", "451", "554"],
        )

    def test_D04_busy(self) -> None:
        """
        421 and the end of the connection.
        """
        self.use(busy())
        session = self.connect()
        self.assertEqual([line[:3] for line in self.heard(session)], ["421"])
        self.assertTrue(session.transport.disconnecting)

    def test_D05_busy(self) -> None:
        """
        554, and nothing but QUIT.
        """
        self.use(busy(554))
        session = self.connect()
        self.assertEqual([line[:3] for line in self.heard(session)], ["554"])
        self.assertEqual(self.codes(session, "EHLO me", MAIL), ["503", "503"])
        self.assertEqual(self.codes(session, "QUIT"), ["221"])
        self.assertTrue(session.transport.disconnecting)

    def test_D30_silentAfter(self) -> None:
        """
        A command has no answer, nor has any after it.
        """
        self.assertEqual(self.bothWays(silentAfter("RCPT"), *GROUP), ["250"])
        said = self.bothWays(silentAfter("."), *GROUP, "QUIT")
        self.assertEqual(said, ["250", "250", "354"])
        self.use(silentAfter("CONNECT"))
        self.assertEqual(self.heard(self.connect()), [])

    def test_D06_garbage(self) -> None:
        """
        What is said is no reply; with the same chance it is the same.
        """
        self.assertEqual(self.bothWays(garbage(), "EHLO me", "QUIT"), ["SSH", "SSH"])
        said = []
        for _ in range(2):
            self.use(garbage(random.Random(7)))
            session = self.connect()
            session.dataReceived(b"EHLO me\r\n")
            said.append(self.heardBytes(session))
        self.assertEqual(said[0], said[1])
        self.assertEqual(said[0].count(b"\r\n"), 2)
