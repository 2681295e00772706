# -*- test-case-name: relaymail.test.intake.test_names -*-
"""
Tests for L{relaymail.intake.names}, in an intake.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.intake.limits import DEFAULT_LIMITS, Limits
from relaymail.machines import Machines
from relaymail.test.intake.harness import LOCAL, STRANGER, Intake, Peer

_MACHINES = Machines(
    "example.org",
    {"root": ["ann@example.org", "bob@example.net"], "one": "ann@example.org"},
    {"@*.internal": "@example.org"},
    "relay.example",
)
_CONTENT = (
    b"From: root (Cron Daemon)\r\nTo: root\r\nDate: today\r\n"
    b"Message-ID: <1@x>\r\n\r\nFrom: root\r\n.\r\n"
)


def intakeOf(machines: Machines | None, limits: Limits = DEFAULT_LIMITS) -> Intake:
    """
    Make an intake that knows of machines.
    """
    intake = Intake(limits)
    intake.factory.machines = machines
    return intake


def greeted(intake: Intake, stranger: bool = False) -> Peer:
    """
    Connect a client that has said EHLO.
    """
    peer = intake.connect(STRANGER if stranger else LOCAL)
    peer.say(b"EHLO client.example\r\n")
    return peer


class TrustedNamesTests(SynchronousTestCase):
    """
    Our own clients may leave out what strangers must say.
    """

    def test_trusted(self) -> None:
        """
        A sender and recipients without domain are taken, names become the
        addresses they stand for, the header says the same, and the body stays.
        """
        intake = intakeOf(_MACHINES)
        peer = greeted(intake)
        commands = b"MAIL FROM:<root>\r\nRCPT TO:<Root>\r\nRCPT TO:<x@y.example>\r\n"
        self.assertEqual(peer.codes(commands), ["250"] * 3)
        self.assertEqual(peer.codes(b"DATA\r\n" + _CONTENT), ["354", "250"])
        [(envelope, content)] = intake.queue.added
        self.assertEqual(envelope.sender, "root@example.org")
        self.assertEqual(
            envelope.recipients,
            ("ann@example.org", "bob@example.net", "x@y.example"),
        )
        self.assertNotIn(b"for <", content)
        self.assertTrue(
            content.endswith(
                b"\r\nFrom: root@example.org (Cron Daemon)\r\n"
                b"To: root@example.org\r\nDate: today\r\n"
                b"Message-ID: <1@x>\r\n\r\nFrom: root\r\n"
            )
        )

    def test_rewritten(self) -> None:
        """
        Senders are rewritten, with their parameters; the null one is not.
        """
        intake = intakeOf(_MACHINES)
        for sender in (b"a@b.internal", b""):
            peer = greeted(intake)
            peer.say(b"MAIL FROM:<%s> BODY=8BITMIME\r\nRCPT TO:<one>\r\n" % sender)
            self.assertEqual(peer.codes(b"DATA\r\n" + _CONTENT), ["354", "250"])
        first, second = (envelope for envelope, _ in intake.queue.added)
        self.assertEqual(first.sender, "a@example.org")
        self.assertEqual(first.parameters.body, "8BITMIME")
        self.assertEqual(second.sender, "")

    def test_A04_strangers(self) -> None:
        """
        For others nothing is put in, and no name of ours is known.
        """
        intake = intakeOf(_MACHINES)
        peer = greeted(intake, stranger=True)
        self.assertEqual(peer.codes(b"MAIL FROM:<root>\r\n"), ["501"])
        self.assertEqual(peer.codes(b"MAIL FROM:<a@b.internal>\r\n"), ["250"])
        self.assertEqual(peer.codes(b"RCPT TO:<root>\r\n"), ["501"])
        said = peer.say(b"RCPT TO:<postmaster>\r\nRCPT TO:<root@example.org>\r\n")
        self.assertEqual(said.count("550 5.7.1"), 2)

    def test_noOrigin(self) -> None:
        """
        Without origin or machines addresses without domain are refused, except
        postmaster (RFC 5321 4.1.1.3).
        """
        aliases = Machines("", {"postmaster": "ann@example.org"}, {}, "relay.example")
        for machines in (None, Machines(hostname="relay.example"), aliases):
            intake = intakeOf(machines)
            peer = greeted(intake)
            self.assertEqual(peer.codes(b"MAIL FROM:<root>\r\n"), ["501"])
            peer.say(b"MAIL FROM:<a@b.example>\r\n")
            self.assertEqual(peer.codes(b"RCPT TO:<root>\r\n"), ["501"])
            self.assertEqual(peer.codes(b"RCPT TO:<Postmaster>\r\n"), ["250"])
            self.assertEqual(peer.codes(b"DATA\r\n" + _CONTENT), ["354", "250"])
            [(envelope, content)] = intake.queue.added
            expected = (
                "ann@example.org" if machines is aliases else "Postmaster@relay.example"
            )
            self.assertEqual(envelope.recipients, (expected,))
            self.assertIn(b"\r\nFrom: root (Cron Daemon)\r\n", content)

    def test_A05_recipients(self) -> None:
        """
        What a name becomes counts against the limit; what is there already
        does not.
        """
        intake = intakeOf(_MACHINES, Limits(recipients=2))
        peer = greeted(intake)
        peer.say(b"MAIL FROM:<root>\r\n")
        self.assertEqual(
            peer.codes(b"RCPT TO:<x@y.example>\r\nRCPT TO:<root>\r\nRCPT TO:<one>\r\n"),
            ["250", "452", "250"],
        )
        self.assertEqual(peer.codes(b"RCPT TO:<ann@example.org>\r\n"), ["250"])
        peer.say(b"DATA\r\n" + _CONTENT)
        [(envelope, _)] = intake.queue.added
        self.assertEqual(envelope.recipients, ("x@y.example", "ann@example.org"))

    def test_A03_names(self) -> None:
        """
        What is neither an address nor a local name is refused as ever.
        """
        peer = greeted(intakeOf(_MACHINES))
        for path in (b"a b", b"a@", b"@b", b"a..b", b"a@b@c", b"<root>", b"a\\r"):
            said = peer.codes(b"MAIL FROM:<%s>\r\n" % path)
            self.assertEqual(said, ["501"], path)

    def test_largeMessage(self) -> None:
        """
        The header of a message that is in a file is rewritten too.
        """
        intake = intakeOf(_MACHINES, Limits(memory=300, headerBytes=300))
        peer = greeted(intake)
        peer.say(b"MAIL FROM:<root>\r\nRCPT TO:<one>\r\nDATA\r\n")
        body = b"x" * 900 + b"\r\n"
        self.assertEqual(
            peer.codes(b"From: root\r\n\r\n" + body * 3 + b".\r\n"), ["250"]
        )
        [(_, content)] = intake.queue.added
        end = b"\r\nFrom: root@example.org\r\n\r\n" + body * 3
        self.assertTrue(content.endswith(end))
        self.assertEqual(intake.factory.memory.used, 0)
