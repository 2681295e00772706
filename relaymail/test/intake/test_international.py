# -*- test-case-name: relaymail.test.intake.test_international -*-
"""
Tests for L{relaymail.intake.international}, in an intake.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import Envelope, Parameters
from relaymail.intake.limits import Limits
from relaymail.test.intake.harness import Intake


def queued(mail: str, rcpt: str, content: bytes, memory: int = 1000) -> Envelope:
    """
    Send a message with SMTPUTF8, and give the envelope that is queued.
    """
    intake = Intake(Limits(memory=memory, headerBytes=500))
    peer = intake.connect()
    peer.say(b"EHLO c\r\n" + f"MAIL FROM:<{mail}> SMTPUTF8 RET=FULL\r\n".encode())
    peer.say(f"RCPT TO:<{rcpt}>\r\nDATA\r\n".encode())
    assert peer.codes(content + b"\r\n.\r\n") == ["250"]
    return intake.queue.added[0][0]


class NeedTests(SynchronousTestCase):
    """
    Mail is told to need SMTPUTF8 only where it does.
    """

    def test_addresses(self) -> None:
        """
        An address that is not ASCII needs it; a domain does not, for it has
        A-labels.
        """
        for mail, rcpt, needs in (
            ("ü@b.example", "c@d.example", True),
            ("a@b.example", "ü@d.example", True),
            ("a@bücher.example", "c@bücher.example", False),
            ("", "c@d.example", False),
        ):
            envelope = queued(mail, rcpt, b"A: b\r\n\r\nc")
            self.assertEqual(envelope.parameters, Parameters(ret="FULL", utf8=needs))

    def test_content(self) -> None:
        """
        So do headers that are not ASCII, those of parts included; a plain body
        does not.
        """
        for content, needs in (
            ("Subject: ü\r\n\r\nx", True),
            ("Subject: u\r\n\r\nü", False),
            ("Content-Type: text/plain\r\n\r\nü", False),
            ("Content-Type: multipart/mixed; boundary=x\r\n\r\nü", True),
            ("Content-Type:\r\n message/rfc822\r\n\r\nü", True),
            ("Content-Type: multipart/mixed\r\n\r\nu", False),
            ("X-Content-Type: multipart/mixed\r\n\r\nü", False),
            ("ü", False),
        ):
            for padding, memory in ((0, 1000), (5000, 100)):
                data = content.encode() + b"\r\n" + b"x\r\n" * padding
                envelope = queued("a@b.example", "c@d.example", data, memory)
                self.assertEqual(envelope.parameters.utf8, needs, content)

    def test_notSaid(self) -> None:
        """
        Without SMTPUTF8 a header that is not ASCII is taken as it is.
        """
        intake = Intake()
        peer = intake.connect()
        peer.say(b"EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n")
        codes = peer.codes("DATA\r\nSubject: ü\r\n\r\nx\r\n.\r\n".encode())
        self.assertEqual(codes, ["354", "250"])
        self.assertFalse(intake.queue.added[0][0].parameters.utf8)
