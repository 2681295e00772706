# -*- test-case-name: relaymail.test.test_bounce -*-
"""
Tests for L{relaymail.bounce}.
"""

from __future__ import annotations

from email import message_from_bytes
from email.message import Message
from io import BytesIO, StringIO
from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from relaymail import bounce

ORIGINAL = b"From: alice@a.example\nSubject: hello\n\nWords.\n"


class GenerateBounceTests(SynchronousTestCase):
    """
    L{bounce.generateBounce} keeps what Twisted documents.
    """

    def assertBounce(self, result: tuple[bytes, bytes, bytes]) -> Message:
        """
        Check sender, recipient and header, and give the message.
        """
        sender, recipient, content = result
        self.assertEqual((sender, recipient), (b"", b"alice@a.example"))
        message = message_from_bytes(content)
        self.assertEqual(message["From"], "postmaster@d.example")
        self.assertEqual(message["To"], "alice@a.example")
        self.assertEqual(
            message["Subject"], "Returned Mail: see transcript for details"
        )
        self.assertTrue(message.is_multipart())
        return message

    def test_bytesAndText(self) -> None:
        """
        Files and addresses are taken as bytes and as text.
        """
        self.assertBounce(
            bounce.generateBounce(
                BytesIO(ORIGINAL), b"alice@a.example", b"bob@d.example"
            )
        )
        self.assertBounce(
            bounce.generateBounce(
                StringIO(ORIGINAL.decode()), "alice@a.example", "bob@d.example"
            )
        )

    def test_transcript(self) -> None:
        """
        A transcript is the first part; without one it names the recipient.
        """
        for transcript in ("What {happened}", b"What {happened}"):
            message = self.assertBounce(
                bounce.generateBounce(
                    BytesIO(ORIGINAL), "alice@a.example", "bob@d.example", transcript
                )
            )
            first = cast(list[Message], message.get_payload())[0]
            self.assertEqual(first.get_payload(), "What {happened}\n")
        content = bounce.generateBounce(
            BytesIO(ORIGINAL), "alice@a.example", "bob@d.example"
        )[2]
        self.assertIn(b"could not be delivered to bob@d.example", content)

    def test_readsFromWhereTheFileStands(self) -> None:
        """
        What was read of the message before is not in the bounce, the rest is
        there to its end.
        """
        file = BytesIO(b"envelope\n" + ORIGINAL + b"x\n" * 100_000)
        file.readline()
        content = bounce.generateBounce(file, "alice@a.example", "bob@d.example")[2]
        self.assertNotIn(b"envelope", content)
        self.assertTrue(content.endswith(b"\n" + ORIGINAL + b"x\n" * 100_000))

    def test_bytesThatAreNoText(self) -> None:
        """
        Bytes that are not of the encoding go through as they are.
        """
        content = bounce.generateBounce(
            BytesIO(ORIGINAL + b"\xff\xfe\n"), "alice@a.example", "bob@d.example"
        )[2]
        self.assertTrue(content.endswith(b"\xff\xfe\n"))
        _, recipient, _ = bounce.generateBounce(
            BytesIO(ORIGINAL), b"\xe4@a.example", b"\xe4@d.example"
        )
        self.assertEqual(recipient, b"\xe4@a.example")

    def test_recipientWithoutDomain(self) -> None:
        """
        Without a domain the whole recipient stands for it.
        """
        for failedTo, sender in (
            ("bob", "postmaster@bob"),
            ("Bob <bob@d.example>", "postmaster@d.example"),
        ):
            content = bounce.generateBounce(BytesIO(ORIGINAL), "a@b", failedTo)[2]
            self.assertEqual(message_from_bytes(content)["From"], sender)

    def test_A03_addressesCannotAddFields(self) -> None:
        """
        Line ends in an address are no line ends in the bounce.
        """
        evil = "x@d.example\r\nBcc: all@example"
        content = bounce.generateBounce(BytesIO(ORIGINAL), evil, evil)[2]
        self.assertNotIn(b"\nBcc", content)

    def test_formatIsLookedUpWhenCalled(self) -> None:
        """
        An app may replace the format.
        """
        self.patch(bounce, "BOUNCE_FORMAT", "for {failedTo} {failedAddress}\n")
        self.assertEqual(
            bounce.generateBounce(BytesIO(b"m"), "a@b", "c@d")[2], b"for c@d c@d\nm"
        )
