# -*- test-case-name: relaymail.test.intake.test_tlsrequired -*-
"""
Tests that TLS-Required: No is seen on the way in (RFC 8689 3), behind DATA and in
chunks, and that nothing of the message changes.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import Entrance, Envelope
from relaymail.intake.limits import Limits
from relaymail.test.intake.harness import MAIL, RCPT, Intake, Peer

FIELD = b"TLS-Required: No\r\n"
HEADER = b"Date: x\r\nMessage-ID: <1@x>\r\n"
#: More than is in memory.
LARGE = b"x" * 70 + b"\r\n"


class TLSRequiredTests(SynchronousTestCase):
    """
    Messages with the field, and such as only look like it.
    """

    limits = Limits(memory=1000, headerBytes=600)

    def setUp(self) -> None:
        """
        Begin with an intake.
        """
        self.intake = Intake(self.limits, contextFactory=object())

    def queued(
        self, content: bytes, peer: Peer | None = None, mail: bytes = MAIL
    ) -> Envelope:
        """
        Have a message taken behind DATA, and give the envelope that is queued.
        """
        if peer is None:
            peer = self.intake.connect()
            peer.say(b"EHLO c\r\n")
        peer.say(mail + RCPT + b"DATA\r\n")
        stuffed = content.replace(b"\r\n.", b"\r\n..")
        self.assertEqual(peer.codes(stuffed + b".\r\n"), ["250"])
        envelope, found = self.intake.queue.added[-1]
        self.assertTrue(found.endswith(content), found[:500])
        return envelope

    def test_data(self) -> None:
        """
        It is seen in the header, wherever it stands there, and not in the body.
        """
        for content, isOptional in (
            (FIELD + HEADER + b"\r\n.x\r\n", True),
            (HEADER + FIELD + b"\r\nx\r\n", True),
            (HEADER + b"tls-required:\r\n (why)\r\n no\r\n\r\nx\r\n", True),
            (HEADER + FIELD, True),
            (HEADER + FIELD + b"\r\n" + LARGE * 1000, True),
            (HEADER + b"\r\n" + FIELD, False),
            (b"\r\n" + FIELD, False),
            (b"no header\r\n" + FIELD, False),
            (HEADER + b"Subject: x\r\n " + FIELD + b"\r\nx\r\n", False),
            (HEADER + FIELD + FIELD + b"\r\nx\r\n", False),
            (HEADER + b"TLS-Required: Yes\r\n\r\nx\r\n", False),
            (HEADER + b"\r\n" + LARGE * 1000 + FIELD, False),
        ):
            envelope = self.queued(content)
            self.assertIs(envelope.parameters.tlsOptional, isOptional, content[:200])
            self.assertEqual(envelope.origin.host, "127.0.0.1")

    def test_nextMessage(self) -> None:
        """
        It is said of one message only.
        """
        peer = self.intake.connect()
        peer.say(b"EHLO c\r\n")
        found = [
            self.queued(HEADER + more + b"\r\nx\r\n", peer).parameters.tlsOptional
            for more in (FIELD, b"", FIELD)
        ]
        self.assertEqual(found, [True, False, True])

    def test_requireTLS(self) -> None:
        """
        Where MAIL said REQUIRETLS it counts for nothing (RFC 8689 4.1).
        """
        peer = self.intake.connect()
        peer.say(b"EHLO c\r\nSTARTTLS\r\n")
        peer.say(b"EHLO c\r\n")
        mail = MAIL.replace(b"\r\n", b" REQUIRETLS RET=HDRS\r\n")
        said = self.queued(HEADER + FIELD + b"\r\nx\r\n", peer, mail).parameters
        self.assertEqual((said.requireTLS, said.tlsOptional), (True, False))
        said = self.queued(HEADER + FIELD + b"\r\nx\r\n", peer).parameters
        self.assertEqual((said.requireTLS, said.tlsOptional), (False, True))

    def test_nullSender(self) -> None:
        """
        A notice of another relay that says so is like other mail.
        """
        envelope = self.queued(HEADER + FIELD + b"\r\n", mail=b"MAIL FROM:<>\r\n")
        self.assertTrue(envelope.parameters.tlsOptional)

    def test_chunks(self) -> None:
        """
        In chunks it is seen however they are cut, with SMTPUTF8, too.
        """
        content = HEADER + FIELD + b"Subject: \xc3\xbc\r\n\r\nx\r\n"
        for mail in (b" BODY=8BITMIME", b" SMTPUTF8", b""):
            for cut in (1, 40, len(HEADER + FIELD) - 1):
                peer = self.intake.connect()
                peer.say(b"EHLO c\r\n" + MAIL.replace(b"\r\n", mail + b"\r\n") + RCPT)
                for piece, word in ((content[:cut], b""), (content[cut:], b" LAST")):
                    peer.say(b"BDAT %d%b\r\n%b" % (len(piece), word, piece))
                envelope, found = self.intake.queue.added[-1]
                self.assertTrue(found.endswith(content))
                self.assertTrue(envelope.parameters.tlsOptional)
                self.assertIs(envelope.parameters.utf8, mail == b" SMTPUTF8")

    def test_lmtp(self) -> None:
        """
        So it is of mail that comes by LMTP.
        """
        peer = self.intake.connect(entrance=Entrance.LMTP)
        peer.say(b"LHLO c\r\n")
        said = self.queued(HEADER + FIELD + b"\r\nx\r\n", peer).parameters
        self.assertTrue(said.tlsOptional)
