# -*- test-case-name: relaymail.test.machines.test_machines -*-
"""
Tests for L{relaymail.machines}.
"""

from __future__ import annotations

from email import message_from_bytes

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import ConfigurationError, MalformedAddress
from relaymail.machines import MAX_FIELDS, Machines
from relaymail.submission import canonical

NOTHING = Machines(hostname="relay.example")
FULL = Machines(
    "Example.org",
    {"root": ["ann@example.org", "bob@example.net"], "postmaster": "root"},
    {"root@host.internal": "server@example.org", "@*.internal": "@example.org"},
    "relay.example",
)

_LINES = st.sampled_from(
    [
        b"From: root (Cron Daemon)\r\n",
        b"From: Ann <ann@a.internal>\r\n",
        b"To: root, bob@b.internal\r\n",
        b"Cc: a@\r\n",
        b"Reply-To: t: x@a.internal,\r\n root;\r\n",
        b"Subject: root@host.internal\r\n",
        b"Date: today\r\n",
        b"message-id:<1@2>\r\n",
        b"\r\n",
        b"body From: x@a.internal\r\n",
        b"From:\r\n",
    ]
)


class AddressTests(SynchronousTestCase):
    """
    Addresses get what is missing.
    """

    def test_qualify(self) -> None:
        """
        What has no domain gets the origin, what has one is checked.
        """
        for address, whole in (
            ("root", "root@example.org"),
            ('"a@b"', '"a@b"@example.org'),
            ("a@B.Example", "a@b.example"),
            ("Postmaster", "Postmaster@example.org"),
        ):
            self.assertEqual(FULL.qualify(address), whole)

    def test_noOrigin(self) -> None:
        """
        Without an origin only postmaster needs no domain (RFC 5321 4.1.1.3).
        """
        self.assertEqual(NOTHING.qualify("postMaster"), "postMaster@relay.example")
        error = self.assertRaises(MalformedAddress, NOTHING.qualify, "root")
        self.assertIn("no origin is configured", str(error))

    @given(st.text(alphabet='ab@."\r\n\0 <>%!\u2028', max_size=12))
    @settings(deadline=None, max_examples=200)
    def test_A03_qualify(self, address: str) -> None:
        """
        What is given is one address without control characters, or refused; a
        second time changes nothing.
        """
        try:
            whole = FULL.qualify(address)
        except MalformedAddress as e:
            self.assertTrue(str(e).isprintable())
            return
        self.assertRegex(whole, r"\A[ -~]+@[a-z.]+\Z")
        self.assertEqual(FULL.qualify(whole), whole)

    def test_resolve(self) -> None:
        """
        Local names become what they stand for; each address comes once, in the
        order they were given.
        """
        self.assertEqual(
            FULL.resolve(["x@y.example", "root", "Postmaster", "bob@example.NET"]),
            ("x@y.example", "ann@example.org", "bob@example.net"),
        )
        for local in ("root@relay.example", "ROOT@localhost", "root@example.org"):
            self.assertEqual(
                FULL.resolve([local]), ("ann@example.org", "bob@example.net")
            )
        self.assertEqual(FULL.resolve(["root@other.example"]), ("root@other.example",))
        self.assertRaises(MalformedAddress, FULL.resolve, ["a@b", "a b"])

    def test_rewriteSender(self) -> None:
        """
        Senders are rewritten, the null one is not.
        """
        self.assertEqual(FULL.rewriteSender("root@host.internal"), "server@example.org")
        self.assertEqual(FULL.rewriteSender("a@b.internal"), "a@example.org")
        self.assertEqual(FULL.rewriteSender(""), "")

    def test_empty(self) -> None:
        """
        It is known where nothing is to be done.
        """
        self.assertTrue(NOTHING.isEmpty)
        self.assertFalse(FULL.isEmpty)
        aliases = Machines("", {"root": "a@b"}, {}, "relay.example")
        self.assertFalse(aliases.isEmpty)
        self.assertFalse(aliases.changesHeaders)
        self.assertEqual(aliases.expand("root@relay.example"), ("a@b",))
        self.assertEqual(aliases.resolve(["Root"]), ("a@b",))
        self.assertRaises(MalformedAddress, aliases.resolve, ["toor"])

    def test_wrong(self) -> None:
        """
        What cannot be used is told.
        """
        error = self.assertRaises(ConfigurationError, Machines, "a b")
        self.assertIn("the origin cannot be used", str(error))
        error = self.assertRaises(ConfigurationError, Machines, hostname="a..b")
        self.assertIn("the host name cannot be used", str(error))
        error = self.assertRaises(ConfigurationError, Machines, "", {"root": "ops"})
        self.assertIn("no origin", str(error))


class HeaderTests(SynchronousTestCase):
    """
    Headers say what envelopes say.
    """

    def test_rewriteHeader(self) -> None:
        """
        From, Sender and Reply-To are rewritten, To and Cc only get their
        domains; what cannot be read, and everything else, stays.
        """
        before = (
            b"Received: from root@host.internal\r\n"
            b"FROM : root@host.internal (Cron Daemon)\r\n"
            b"Sender: root\r\n"
            b"Reply-To: Ann\r\n <ann@A.Internal>\r\n"
            b"To: root, root@host.internal\r\n"
            b"Cc: one two\r\n"
            b"Bcc: root\r\n"
        )
        after = (
            b"Received: from root@host.internal\r\n"
            b"FROM : server@example.org (Cron Daemon)\r\n"
            b"Sender: root@example.org\r\n"
            b"Reply-To: Ann\r\n <ann@example.org>\r\n"
            b"To: root@example.org, root@host.internal\r\n"
            b"Cc: one two\r\n"
            b"Bcc: root\r\n"
        )
        self.assertEqual(FULL.rewriteHeader(before), after)
        self.assertEqual(NOTHING.rewriteHeader(before), before)

    def test_A05_manyFields(self) -> None:
        """
        What is read of a header is bounded; the rest stays as it is.
        """
        header = b"From: root\r\n" * 30_000
        rewritten = FULL.rewriteHeader(header)
        fields = rewritten.split(b"\r\n")
        self.assertEqual(fields[0], b"From: root@example.org")
        self.assertEqual(fields[-2], b"From: root")
        changed = fields.count(fields[0])
        self.assertLessEqual(changed * len(b"From: root"), MAX_FIELDS)

    def test_asWritten(self) -> None:
        """
        An address that is not rewritten stays as it was written, its case too.
        """
        header = b"From: Ann@Example.COM\r\nSender: (c) a . b @ Example.com\r\n"
        self.assertEqual(FULL.rewriteHeader(header), header)

    def test_noHeader(self) -> None:
        """
        What does not begin with a field has no header.
        """
        for text in (b"", b"Hello\r\nFrom: root\r\n", b"From root Mon\r\n"):
            self.assertEqual(FULL.rewriteHeader(text), text)

    def test_complete(self) -> None:
        """
        Date and Message-ID are added where they are missing (RFC 6409 8.1,
        8.3), From where its value is given, all on top.
        """
        message = message_from_bytes(
            FULL.complete(b"Subject: x\r\n\r\nbody\r\n", 1e9, "ab1", "root (Cron)")
        )
        self.assertEqual(message["date"], "Sun, 09 Sep 2001 01:46:40 +0000")
        self.assertEqual(message["message-id"], "<1000000000.ab1@relay.example>")
        self.assertEqual(message["from"], "root@example.org (Cron)")
        self.assertEqual(message.get_payload(), "body\r\n")
        whole = b"From: a@b\r\nDate: x\r\nMessage-Id: <y>\r\n\r\nDate: z\r\n"
        self.assertEqual(NOTHING.complete(whole, 1e9, "ab1", "c@d"), whole)
        self.assertNotIn(b"From", NOTHING.complete(b"To: x\r\n", 1e9, "ab1"))

    def test_noHeaderGetsOne(self) -> None:
        """
        A message without header keeps its first line in the body.
        """
        for text in (b"Hello\r\n", b"\r\nHello\r\n", b"\r\n"):
            message = message_from_bytes(NOTHING.complete(text, 1e9, "ab1"))
            self.assertEqual(len(message.keys()), 2)
            self.assertEqual(message.get_payload(), text.decode().removeprefix("\r\n"))

    @given(st.lists(_LINES, max_size=8))
    @settings(deadline=None, max_examples=200)
    def test_A03_complete(self, lines: list[bytes]) -> None:
        """
        No line is broken, none is lost, the body stays, and a second time
        changes nothing.
        """
        content = canonical(b"".join(lines))
        once = FULL.complete(content, 1e9, "ab1", "root")
        self.assertEqual(canonical(once), once)
        self.assertEqual(FULL.complete(once, 2e9, "cd2", "ann"), once)
        body = content.partition(b"\r\n\r\n")[2]
        self.assertTrue(once.endswith(body))
        before, after = content.count(b"\r\n"), once.count(b"\r\n")
        self.assertIn(after - before, range(5))
