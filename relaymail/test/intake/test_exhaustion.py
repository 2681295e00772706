# -*- test-case-name: relaymail.test.intake.test_exhaustion -*-
"""
Tests for L{relaymail.intake.connection} and clients that take more of it than their
due (A05).
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from relaymail.intake.limits import Limits
from relaymail.test.intake.harness import (
    CONTENT,
    MAIL,
    TO_DATA,
    Intake,
    Judge,
)


class ExhaustionTests(SynchronousTestCase):
    """
    Everything that a client may ask for has a bound.
    """

    def test_A05_commandLine(self) -> None:
        """
        A command line of 10 MB ends the session at its first few KB.
        """
        peer = Intake().connect()
        self.assertTrue(peer.say(b"x" * 4000).startswith("500 5.5.2"))
        self.assertTrue(peer.wire.closed)
        for _ in range(160):
            self.assertEqual(peer.say(b"x" * 65536), "")
        self.assertEqual(peer.protocol._buffer, b"")

    def test_A05_headerFields(self) -> None:
        """
        100 000 header fields are refused at the end of the data.
        """
        intake = Intake()
        peer = intake.connect()
        peer.say(TO_DATA)
        for _ in range(100):
            peer.say(b"X: 1\r\n" * 1000)
        self.assertTrue(peer.say(b"\r\nx\r\n.\r\n").startswith("552 5.3.4"))
        self.assertEqual(intake.queue.added, [])

    def test_A05_recipients(self) -> None:
        """
        Of 1500 recipients 1000 are taken, the others told to come later, and
        the message goes to the 1000.
        """
        intake = Intake()
        peer = intake.connect()
        peer.say(b"EHLO c\r\n" + MAIL)
        rcpts = b"".join(b"RCPT TO:<u%d@d.example>\r\n" % n for n in range(1500))
        codes = peer.codes(rcpts)
        self.assertEqual(codes, ["250"] * 1000 + ["452"] * 500)
        self.assertEqual(peer.codes(b"DATA\r\nx\r\n.\r\n"), ["354", "250"])
        self.assertEqual(len(intake.queue.added[0][0].recipients), 1000)

    def test_A05_errors(self) -> None:
        """
        After 20 errors the next is the last.
        """
        peer = Intake().connect()
        codes = peer.codes(b"FOO\r\n" * 100)
        self.assertEqual(codes, ["500"] * 20 + ["421"])
        self.assertTrue(peer.wire.closed)

    def test_A05_commandTime(self) -> None:
        """
        A command has 300 seconds, however many bytes of it come.
        """
        intake = Intake()
        peer = intake.connect()
        for octet in b"NOOP xxxxxxxxxxxxxxxxxxxxxxxx":
            intake.clock.advance(10)
            peer.say(b"%c" % octet)
        self.assertFalse(peer.wire.closed)
        intake.clock.advance(10)
        self.assertTrue(peer.heard().startswith("421 4.4.2"))
        self.assertTrue(peer.wire.closed)

    def test_commandTimeBeginsAnew(self) -> None:
        """
        A session that goes on is not ended.
        """
        intake = Intake()
        peer = intake.connect()
        for _ in range(20):
            intake.clock.advance(299)
            self.assertEqual(peer.codes(b"NOOP\r\n"), ["250"])

    def test_A05_blockTime(self) -> None:
        """
        A message that trickles is given up: one byte in 10 seconds is not
        enough.
        """
        intake = Intake()
        peer = intake.connect()
        peer.say(TO_DATA)
        for _ in range(17):
            intake.clock.advance(10)
            peer.say(b"x")
        self.assertFalse(peer.wire.closed)
        intake.clock.advance(10)
        self.assertTrue(peer.heard().startswith("421 4.4.2"))
        self.assertEqual(intake.queue.added, [])

    def test_A05_messageTime(self) -> None:
        """
        A message has an hour in all.
        """
        intake = Intake()
        peer = intake.connect()
        peer.say(TO_DATA)
        for _ in range(35):
            intake.clock.advance(100)
            peer.say(b"x" * 1022 + b"\r\n")
        self.assertFalse(peer.wire.closed)
        intake.clock.advance(100)
        self.assertTrue(peer.heard().startswith("421 4.4.2"))

    def test_A05_lastWords(self) -> None:
        """
        Who does not read our last words is cut.
        """
        intake = Intake()
        peer = intake.connect()
        peer.say(b"QUIT\r\n")
        self.assertTrue(peer.wire.disconnecting)
        self.assertFalse(peer.wire.aborting)
        intake.clock.advance(10)
        self.assertTrue(peer.wire.aborting)

    def test_A05_clientThatDoesNotRead(self) -> None:
        """
        While a client does not read its replies nothing of what it sends is
        answered, and soon it is not read; it is given up like any slow one.
        """
        intake = Intake(Limits(readAhead=100))
        peer = intake.connect()
        peer.say(b"EHLO c\r\n")
        peer.wire.clog()
        self.assertEqual(peer.say(b"NOOP\r\n" * 3), "")
        self.assertEqual(peer.wire.producerState, "producing")
        self.assertEqual(peer.say(b"NOOP\r\n" * 30), "")
        self.assertEqual(peer.wire.producerState, "paused")
        peer.wire.unclog()
        self.assertEqual(peer.wire.producerState, "producing")
        self.assertEqual(peer.codes(), ["250"] * 33)
        peer.wire.clog()
        intake.clock.advance(310)
        self.assertTrue(peer.wire.closed)
        # A transport that is to close waits as long as it has a producer.
        self.assertIsNone(peer.wire.producer)
        intake.clock.advance(10)
        self.assertTrue(peer.wire.aborting)

    def test_writesBeforeTheHandshake(self) -> None:
        """
        A greeting that waits for a TLS handshake does not stop the handshake
        from being read.
        """
        peer = Intake().connect()
        peer.wire.clog()
        self.assertEqual(peer.wire.producerState, "producing")

    def test_A05_flood(self) -> None:
        """
        While an answer is awaited a flood of commands is soon not read any
        more; afterwards it is.
        """
        judge = Judge()
        intake = Intake(Limits(readAhead=1000, idleCommands=10**6), acceptance=judge)
        peer = intake.connect()
        peer.say(b"EHLO c\r\n" + MAIL)
        self.assertEqual(peer.say(b"NOOP\r\n" * 100), "")
        self.assertEqual(peer.wire.producerState, "producing")
        self.assertEqual(peer.say(b"NOOP\r\n" * 100), "")
        self.assertEqual(peer.wire.producerState, "paused")
        judge.asked[0].callback(None)
        self.assertEqual(peer.wire.producerState, "producing")
        self.assertEqual(peer.codes(), ["250"] * 201)

    def test_A05_bothReasons(self) -> None:
        """
        Reading goes on only when every reason to stop is gone.
        """
        judge = Judge()
        peer = Intake(Limits(readAhead=3), acceptance=judge).connect()
        peer.say(b"EHLO c\r\n" + MAIL + b"NOOP\r\n")
        peer.wire.clog()
        judge.asked[0].callback(None)
        self.assertEqual(peer.codes(), ["250"])
        self.assertEqual(peer.wire.producerState, "paused")
        peer.wire.unclog()
        self.assertEqual(peer.codes(), ["250"])

    def test_brokenQueueAnswer(self) -> None:
        """
        A queue that gives no names has broken its contract: the session is
        cut, for neither answer would be known to be true.
        """
        intake = Intake()
        intake.queue.slow = True
        peer = intake.connect()
        peer.say(TO_DATA + CONTENT + b".\r\n")
        done: Deferred[list[str]] = intake.queue.waits[0]
        done.callback([])
        self.assertEqual(peer.heard(), "")
        self.assertTrue(peer.wire.aborting)
        self.assertEqual(len(self.flushLoggedErrors(IndexError)), 1)
