# -*- test-case-name: relaymail.test.intake.test_received -*-
"""
Tests for L{relaymail.intake.received}.
"""

from __future__ import annotations

from dataclasses import replace
from email import message_from_bytes

from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import Client, Entrance
from relaymail.errors import Refused
from relaymail.intake.received import Header, Stamp, readHeader

_CLIENT = Client("192.0.2.7", 1234, "client.example", True)
_STAMP = Stamp(_CLIENT, "relay.example", "abc123", 1_000_000_000.0, "c@d")
_FULL = Header(0, True, True, True)


class StampTests(SynchronousTestCase):
    """
    What the relay writes on top of a message.
    """

    def test_received(self) -> None:
        """
        The Received field tells who, by whom, how, which and when (RFC 5321
        4.4).
        """
        self.assertEqual(
            _STAMP.fields(_FULL),
            b"Received: from client.example ([192.0.2.7])\r\n"
            b"\tby relay.example with ESMTP id abc123\r\n"
            b"\tfor <c@d>;\r\n"
            b"\tSun, 09 Sep 2001 01:46:40 +0000\r\n",
        )

    def test_ways(self) -> None:
        """
        The way it came is told: HELO, EHLO, TLS, IPv6, a UNIX socket; without
        a single recipient nobody is named.
        """
        for client, parts in (
            (replace(_CLIENT, esmtp=False), ["with SMTP id"]),
            (replace(_CLIENT, tls="TLSv1.3"), ["with ESMTPS id", "(using TLSv1.3)"]),
            (replace(_CLIENT, host="2001:db8::1"), ["([IPv6:2001:db8::1])"]),
            (replace(_CLIENT, host=""), ["from client.example\r\n\tby"]),
        ):
            text = replace(_STAMP, client=client, recipient="").received()
            for part in parts:
                self.assertIn(part, text)
            self.assertNotIn("for <", text)

    def test_protocols(self) -> None:
        """
        The registered names (RFC 3848, RFC 6531 4.3) are used; who authenticated
        is not told.
        """
        for tls, user, utf8, lmtp, name in (
            ("", "u", False, False, "ESMTPA"),
            ("TLSv1.3", "u", False, False, "ESMTPSA"),
            ("", "", True, False, "UTF8SMTP"),
            ("TLSv1.3", "", True, False, "UTF8SMTPS"),
            ("", "u", True, False, "UTF8SMTPA"),
            ("TLSv1.3", "u", True, False, "UTF8SMTPSA"),
            ("", "", False, True, "LMTP"),
            ("TLSv1.3", "", False, True, "LMTPS"),
            ("", "u", False, True, "LMTPA"),
            ("TLSv1.3", "u", False, True, "LMTPSA"),
            ("TLSv1.3", "u", True, True, "UTF8LMTPSA"),
        ):
            entrance = Entrance.LMTP if lmtp else Entrance.RELAY
            client = replace(
                _CLIENT, tls=tls, user=user and "secret-name", entrance=entrance
            )
            text = replace(_STAMP, client=client, utf8=utf8).received()
            self.assertIn(f" with {name} id", text)
            self.assertNotIn("secret", text)

    def test_international(self) -> None:
        """
        A recipient that is not ASCII is named only in mail that may hold it.
        """
        stamp = replace(_STAMP, recipient="ü@d")
        self.assertNotIn(b"for", stamp.fields(_FULL))
        self.assertIn("for <ü@d>".encode(), replace(stamp, utf8=True).fields(_FULL))

    def test_A03_helo(self) -> None:
        """
        What a client calls itself cannot end a comment, a line or the field.
        """
        wild = replace(_CLIENT, helo="x)(;\r\nBcc: all\x1b[2J" + "y" * 500)
        text = replace(_STAMP, client=wild).received()
        self.assertEqual(text.count("\r\n"), 4)
        self.assertIn("from x?????Bcc:?all?[2Jyyy", text)
        self.assertLess(len(text), 600)

    def test_trustedGetsDateAndMessageId(self) -> None:
        """
        What is missing is added for trusted clients, and for nobody else.
        """
        missing = Header(0, False, False, True)
        trusted = replace(_STAMP, client=replace(_CLIENT, trusted=True))
        message = message_from_bytes(trusted.fields(missing) + b"Subject: x\r\n\r\n")
        self.assertEqual(message["date"], "Sun, 09 Sep 2001 01:46:40 +0000")
        self.assertEqual(message["message-id"], "<1000000000.abc123@relay.example>")
        self.assertEqual(trusted.fields(_FULL), _STAMP.fields(_FULL))
        for client in (
            replace(_CLIENT, user="u"),
            replace(_CLIENT, entrance=Entrance.SUBMISSION),
        ):
            fields = replace(_STAMP, client=client).fields(missing)
            self.assertIn(b"\r\nDate: ", fields)
            self.assertIn(b"\r\nMessage-ID: ", fields)
        self.assertEqual(_STAMP.fields(missing), _STAMP.fields(_FULL))

    def test_noHeader(self) -> None:
        """
        A content that has no header keeps its first line in the body.
        """
        for content in (b"hello\r\nworld\r\n", b" x: y\r\n", b"", b"y\r\n" * 40):
            header = readHeader(content, 100, 50)
            message = message_from_bytes(_STAMP.fields(header) + content)
            self.assertEqual(message.get_payload(), content.decode())
            self.assertEqual(message.keys(), ["Received"])


class HeaderTests(SynchronousTestCase):
    """
    What is looked for in a header.
    """

    def test_fields(self) -> None:
        """
        Fields are found whatever their case, only in the header, and only as
        names.
        """
        self.assertEqual(
            readHeader(
                b"RECEIVED: a\r\nReceived-SPF: x\r\nreceived : b\r\nDATE: y\r\n"
                b"Subject: Message-ID: x\r\n\r\nMessage-ID: <a>\r\nReceived: no\r\n",
                100,
                1000,
            ),
            Header(2, True, False, True),
        )
        self.assertEqual(
            readHeader(b"Message-Id: <a>\r\n", 9, 99), Header(0, False, True, True)
        )
        self.assertEqual(
            readHeader(b"\r\nDate: x\r\n", 9, 99), Header(0, False, False, True)
        )

    def test_A04_loop(self) -> None:
        """
        A message that has come through too many hosts is refused.
        """
        hops = b"Received: from a by b; now\r\n"
        self.assertEqual(readHeader(hops * 100 + b"\r\n", 100, 10_000).hops, 100)
        refused = self.assertRaises(Refused, readHeader, hops * 101, 100, 10_000)
        self.assertIn("554 5.4.6", refused.reply.text)

    def test_A05_headerBytes(self) -> None:
        """
        A header over the limit is refused; a body over it is not.
        """
        fields = b"X: 1\r\n" * 100_000
        refused = self.assertRaises(Refused, readHeader, fields, 100, 262_144)
        self.assertIn("552 5.3.4", refused.reply.text)
        self.assertEqual(readHeader(b"X: 1\r\n\r\n" + fields, 100, 262_144).hops, 0)
        exact = b"X: 3\r\n" + b"\r\n" + b"body"
        readHeader(exact, 100, 6)
        self.assertRaises(Refused, readHeader, exact, 100, 5)

    def test_tlsRequired(self) -> None:
        """
        Whether it says that its protection may be done without is read with the
        rest.
        """
        for content, isOptional in (
            (b"A: b\r\nTLS-REQUIRED: no\r\n\r\nx", True),
            (b"TLS-Required: no", True),
            (b"A: b\r\n\r\nTLS-Required: no\r\n", False),
            (b"TLS-Required: no\r\nTLS-Required: no\r\n\r\n", False),
        ):
            header = readHeader(content, 9, 99)
            self.assertIs(header.isTLSOptional, isOptional, content)
