# -*- test-case-name: relaymail.test.test_submission -*-
"""
Tests for L{relaymail.submission}.
"""

from __future__ import annotations

import re
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import compat32, default

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import MalformedAddress, MalformedMessage
from relaymail.machines import Machines
from relaymail.submission import MAX_RECIPIENTS, canonical, compose


class CanonicalTests(SynchronousTestCase):
    """
    Tests for L{canonical}.
    """

    def test_lineEnds(self) -> None:
        """
        Every line end becomes CRLF, and the last line has one.
        """
        self.assertEqual(canonical(b"a\nb\rc\r\nd"), b"a\r\nb\r\nc\r\nd\r\n")
        self.assertEqual(canonical(b"a\r\n"), b"a\r\n")
        self.assertEqual(canonical(b""), b"\r\n")

    @given(st.text(alphabet="a.\r\n\x00\x0b\x85\u2028", max_size=30))
    @settings(deadline=None, max_examples=50)
    def test_A01_noBareLineEnds(self, text: str) -> None:
        """
        No CR stands without LF and no LF without CR, whatever is given; and
        what is canonical stays as it is.
        """
        data = canonical(text)
        self.assertIsNone(re.search(rb"\r(?!\n)|(?<!\r)\n", data))
        self.assertTrue(data.endswith(b"\r\n"))
        self.assertEqual(canonical(data), data)

    def test_text(self) -> None:
        """
        Text is sent as UTF-8; what UTF-8 cannot hold is refused.
        """
        self.assertEqual(canonical("é"), b"\xc3\xa9\r\n")
        self.assertRaises(MalformedMessage, canonical, "\ud800")

    def test_emailMessage(self) -> None:
        """
        A message of the standard library is written out.
        """
        message = EmailMessage()
        message["Subject"] = "one"
        message.set_content("From here\nto there\n")
        data = canonical(message)
        self.assertIn(b"Subject: one\r\n", data)
        self.assertIn(b"\r\n\r\nFrom here\r\nto there\r\n", data)

    def test_A03_encodedLineEnds(self) -> None:
        """
        A line end that is encoded in a field begins no field of its own.
        """
        for name, text in (
            ("Subject", "=?utf-8?q?a=0D=0ATo:_evil?="),
            ("Subject", "=?utf-8?q?a=0D=0A=0D=0Abody?= b"),
            ("X-A", "=?utf-8?b?YQpiCg==?= c"),
        ):
            message = EmailMessage()
            message["From"] = "a@b.example"
            message[name] = text
            message.set_content("x")
            self.assertRaises(MalformedMessage, canonical, message)

    def test_folded(self) -> None:
        """
        A field that is folded is none, whoever folds it.
        """
        message = EmailMessage()
        message["Subject"] = " ".join(["café"] * 100)
        message["To"] = ", ".join(f"someone.{n}@b.example" for n in range(100))
        message.set_content("x")
        written = canonical(message)
        for policy in (default, compat32):
            read = message_from_bytes(written, policy=policy)
            self.assertEqual(canonical(read), written)

    def test_noMessage(self) -> None:
        """
        What is no message is refused.
        """
        self.assertRaises(MalformedMessage, canonical, 7)


class TLSRequiredTests(SynchronousTestCase):
    """
    Programs say in the header that the protection on the way may be done without.
    """

    def test_field(self) -> None:
        """
        It is seen in the header only, with any line ends (RFC 8689 3), and stays.
        """
        for content, isOptional in (
            (b"A: b\nTLS-Required: No\n\nx", True),
            (b"A: b\n\nTLS-Required: No\n", False),
            (b"no header\nTLS-Required: No\n", False),
            (b"A: b\nTLS-Required: Yes\n\nx", False),
        ):
            for machines in (None, Machines("b.example")):
                envelope, data = compose("", "a@b.example", content, machines, 0.0, "1")
                self.assertIs(envelope.parameters.tlsOptional, isOptional, content)
                self.assertIn(b"TLS-Required: ", data)


class ComposeTests(SynchronousTestCase):
    """
    Tests for L{compose}.
    """

    def test_envelope(self) -> None:
        """
        Addresses are put into their one form, given as bytes or str, one or
        several; the order stays.
        """
        envelope, data = compose(b"a@EXAMPLE.com", ["c@b.example", b"b@c.example"], "x")
        self.assertEqual(envelope.sender, "a@example.com")
        self.assertEqual(envelope.recipients, ("c@b.example", "b@c.example"))
        self.assertEqual(envelope.parameters.body, "")
        self.assertEqual(data, b"x\r\n")
        envelope, _ = compose(None, "c@b.example", "é")
        self.assertEqual(envelope.sender, "")
        self.assertEqual(envelope.recipients, ("c@b.example",))
        self.assertEqual(envelope.parameters.body, "8BITMIME")

    def test_A03_injection(self) -> None:
        """
        CR, LF and NUL in an address are refused.
        """
        for end in ("\r\n", "\n", "\r", "\0"):
            bad = f"a@example.com{end}RCPT TO:<b@example.com>"
            self.assertRaises(MalformedAddress, compose, bad, "b@example.com", "x")
            self.assertRaises(MalformedAddress, compose, "", [bad], "x")

    def test_recipients(self) -> None:
        """
        There is at least one recipient, and not more than the bound.
        """
        self.assertRaises(MalformedAddress, compose, "a@example.com", [], "x")
        many = ["b@example.com"] * (MAX_RECIPIENTS + 1)
        self.assertRaises(MalformedAddress, compose, "a@example.com", many, "x")

    def test_onceEach(self) -> None:
        """
        A recipient that is given again is one recipient.
        """
        envelope, _ = compose("", ["a@B.example", b"c@d", "a@b.example"], "x")
        self.assertEqual(envelope.recipients, ("a@b.example", "c@d"))

    def test_machines(self) -> None:
        """
        With what is known of machines, addresses get their domain, names become
        what they stand for, senders are rewritten, and the header gets what is
        missing.
        """
        machines = Machines(
            "example.org",
            {"root": ["ann@example.org", "bob@example.org"]},
            {"root@example.org": "ops@example.org"},
            "relay.example",
        )
        envelope, data = compose(
            b"root",
            [b"root", "bob@example.org"],
            "From: root\nSubject: x\n\nhi\n",
            machines,
            1e9,
            "ab1",
        )
        self.assertEqual(envelope.sender, "ops@example.org")
        self.assertEqual(envelope.recipients, ("ann@example.org", "bob@example.org"))
        self.assertEqual(
            data,
            b"Date: Sun, 09 Sep 2001 01:46:40 +0000\r\n"
            b"Message-ID: <1000000000.ab1@relay.example>\r\n"
            b"From: ops@example.org\r\nSubject: x\r\n\r\nhi\r\n",
        )
        envelope, _ = compose(None, "root", "x", machines)
        self.assertEqual(envelope.sender, "")

    def test_machinesRefuse(self) -> None:
        """
        What is no address is refused with them too, and so are too many.
        """
        machines = Machines("example.org", {"root": ["a@b", "c@d"]}, {}, "r.example")
        for sender, recipients in (
            (7, "b@example.com"),
            ("a b", "b@example.com"),
            ("a", ["b@example.com", None]),
            ("a", []),
            ("a", [f"a{n}" for n in range(MAX_RECIPIENTS - 1)] + ["root"]),
        ):
            self.assertRaises(
                MalformedAddress, compose, sender, recipients, "x", machines
            )

    def test_wrongTypes(self) -> None:
        """
        What is no address, and no list of them, is refused as such.
        """
        for sender, recipients in (
            (7, "b@example.com"),
            ("a@example.com", None),
            ("a@example.com", 7),
            ("a@example.com", ["b@example.com", None]),
        ):
            self.assertRaises(MalformedAddress, compose, sender, recipients, "x")

    def test_unwritable(self) -> None:
        """
        A message object that cannot be written out is refused as such.
        """
        message = Message()
        message["Subject"] = "one"
        message.set_payload("\udcff\u20ac", None)
        error = self.assertRaises(MalformedMessage, compose, "", "b@c.example", message)
        self.assertIn("nothing was queued", str(error))
