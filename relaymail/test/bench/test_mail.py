# -*- test-case-name: relaymail.test.bench.test_mail -*-
"""
Tests for L{relaymail.bench.mail}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.bench.mail import (
    DIGITS,
    MIN_SIZE,
    Work,
    content,
    envelope,
    marker,
    recipientOf,
)

TAG = "0123456789abcdef"


class MailTests(SynchronousTestCase):
    """
    Tests for the mail that is sent.
    """

    @settings(deadline=None, max_examples=50)
    @given(st.integers(MIN_SIZE, 5000))
    def test_size(self, size: int) -> None:
        """
        A message has the size that was asked for, one octet less where that
        would cut a line end, and is well formed.
        """
        text = marker(TAG) + b"7" * DIGITS + content(size, TAG)
        self.assertTrue(text.endswith(b"\r\n.\r\n"))
        message = text[: -len(b".\r\n")]
        self.assertIn(size - len(message), (0, 1))
        lines = message.split(b"\r\n")
        self.assertEqual(lines[-1], b"")
        self.assertIn(b"", lines[:-1])
        self.assertFalse(any(line.startswith(b".") for line in lines))
        self.assertLess(max(map(len, lines)), 999)

    def test_envelope(self) -> None:
        """
        Each recipient's place in the message can be read from its command.
        """
        sender, *recipients, data = envelope(12)
        self.assertTrue(sender.startswith(b"MAIL FROM:<"))
        self.assertEqual(data, b"DATA\r\n")
        self.assertEqual([recipientOf(line) for line in recipients], list(range(12)))

    def test_otherRecipient(self) -> None:
        """
        A recipient that is not ours has no place.
        """
        self.assertEqual(recipientOf(b"RCPT TO:<postmaster@sink.example>"), -1)
        self.assertEqual(recipientOf(b"RCPT"), -1)

    def test_deliveries(self) -> None:
        """
        Each recipient of each message is one delivery.
        """
        self.assertEqual(Work(messages=3, recipients=4).deliveries, 12)
