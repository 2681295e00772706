# -*- test-case-name: relaymail.test.intake.test_entrances -*-
"""
Tests for the intake by kinds of ports.
"""

from __future__ import annotations

from twisted.internet.address import UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import Entrance
from relaymail.errors import QueueFull
from relaymail.test.intake.harness import (
    CONTENT,
    LOCAL,
    MAIL,
    RCPT,
    STRANGER,
    Intake,
)

_LHLO = b"LHLO client.example\r\n"


class LMTPTests(SynchronousTestCase):
    """
    A port of RFC 2033.
    """

    def test_wholeGroup(self) -> None:
        """
        A pipelined session is answered in order, the message for each recipient.
        """
        intake = Intake()
        peer = intake.connect(entrance=Entrance.LMTP)
        codes = peer.codes(
            _LHLO + MAIL + RCPT + b"RCPT TO:<bad>\r\n" + RCPT + b"DATA\r\n" + CONTENT
            + b".\r\n" + MAIL + RCPT + b"BDAT 3 LAST\r\nx\r\nQUIT\r\n"
        )  # fmt: skip
        self.assertEqual(
            " ".join(codes), "250 250 250 501 250 354 250 250 250 250 250 221"
        )
        self.assertEqual(len(intake.queue.added), 2)
        self.assertIn(b" with LMTP id ", intake.queue.added[0][1])

    def test_P6_queueFull(self) -> None:
        """
        What the queue cannot take is told for each recipient.
        """
        intake = Intake()
        intake.queue.trouble = QueueFull("full")
        peer = intake.connect(entrance=Entrance.LMTP)
        peer.say(_LHLO + MAIL + RCPT + b"RCPT TO:<e@f.example>\r\nDATA\r\n")
        self.assertEqual(peer.codes(CONTENT + b".\r\n"), ["452", "452"])

    def test_A04_strangers(self) -> None:
        """
        Who may use it is judged as elsewhere.
        """
        peer = Intake().connect(STRANGER, entrance=Entrance.LMTP)
        self.assertEqual(peer.codes(_LHLO + MAIL + RCPT), ["250", "250", "550"])


class SubmissionTests(SynchronousTestCase):
    """
    A port of RFC 6409.
    """

    def test_A04_networksDoNotCount(self) -> None:
        """
        Trusted networks must say who they are as well; UNIX sockets need not.
        """
        for address, codes in (
            (LOCAL, ["530", "503"]),
            (UNIXAddress(None), ["250"] * 2),
        ):
            peer = Intake().connect(address, entrance=Entrance.SUBMISSION)
            peer.say(b"EHLO c\r\n")
            self.assertEqual(peer.codes(MAIL + RCPT), codes)
