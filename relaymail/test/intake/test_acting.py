# -*- test-case-name: relaymail.test.intake.test_acting -*-
"""
Tests for proxies that say for whom they speak, by the hands of the intake.
"""

from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import Entrance, Origin
from relaymail.intake.limits import Limits
from relaymail.intake.networks import parseNetworks
from relaymail.test.intake.harness import (
    CONTENT,
    LOCAL,
    MAIL,
    RCPT,
    STRANGER,
    Intake,
)

_PROXY = IPv4Address("TCP", "198.51.100.1", 25)
_EHLO = b"EHLO client.example\r\n"


def intakeWith(limits: Limits | None = None) -> Intake:
    """
    Make an intake behind a proxy.
    """
    return Intake(
        limits or Limits(), xclientNetworks=parseNetworks("198.51.100.0/24 127.0.0.1")
    )


class ActingTests(SynchronousTestCase):
    """
    XCLIENT on connections.
    """

    def test_A04_trust(self) -> None:
        """
        The address that is said decides, both ways.
        """
        intake = intakeWith()
        peer = intake.connect(_PROXY)
        self.assertEqual(peer.codes(_EHLO + MAIL + RCPT), ["250", "250", "550"])
        peer.say(b"RSET\r\nXCLIENT ADDR=127.0.0.9 PORT=77\r\n")
        codes = peer.codes(_EHLO + MAIL + RCPT + b"DATA\r\n" + CONTENT + b".\r\n")
        self.assertEqual(codes, ["250", "250", "250", "354", "250"])
        ((envelope, content),) = intake.queue.added
        self.assertIn(b"from client.example ([127.0.0.9])", content)
        self.assertEqual(envelope.origin, Origin("127.0.0.9"))
        self.assertEqual(peer.codes(b"XCLIENT ADDR=127.0.0.8\r\n"), ["502"])
        local = intake.connect(LOCAL)
        local.say(b"XCLIENT ADDR=[UNAVAILABLE]\r\n")
        self.assertEqual(local.codes(_EHLO + MAIL + RCPT), ["250", "250", "550"])

    def test_A04_strangers(self) -> None:
        """
        Others cannot say who they are this way, nor can a client behind a proxy.
        """
        peer = intakeWith().connect(STRANGER)
        self.assertEqual(peer.codes(b"XCLIENT ADDR=127.0.0.1\r\n"), ["502"])
        self.assertEqual(peer.codes(_EHLO + MAIL + RCPT), ["250", "250", "550"])
        peer = Intake().connect()
        self.assertEqual(peer.codes(b"XCLIENT ADDR=127.0.0.1\r\n"), ["502"])

    def test_A05_counted(self) -> None:
        """
        Connections are counted for the clients they are for.
        """
        intake = intakeWith(Limits(perAddress=2))
        peers = []
        for _ in range(3):
            peers.append(intake.connect(_PROXY))
            said = peers[-1].say(b"XCLIENT ADDR=192.0.2.1\r\n")
        self.assertTrue(said.startswith("421 4.7.0"))
        self.assertTrue(peers[-1].wire.closed)
        peers[0].vanish()
        self.assertEqual(
            intake.connect(_PROXY).codes(b"XCLIENT ADDR=192.0.2.1\r\n"), ["220"]
        )

    def test_login(self) -> None:
        """
        Who the proxy says has authenticated counts as such; what it says last is true.
        """
        peer = intakeWith().connect(_PROXY, entrance=Entrance.SUBMISSION)
        peer.say(b"XCLIENT ADDR=127.0.0.9 LOGIN=ali\r\n")
        self.assertEqual(peer.codes(_EHLO + MAIL), ["250", "250"])
        peer = intakeWith().connect(_PROXY, entrance=Entrance.SUBMISSION)
        peer.say(b"XCLIENT ADDR=127.0.0.9 LOGIN=ali\r\nXCLIENT ADDR=127.0.0.8\r\n")
        self.assertEqual(peer.codes(_EHLO + MAIL), ["250", "530"])

    def test_A04_loginRelays(self) -> None:
        """
        Whoever has authenticated to the proxy may send mail to everybody, from
        wherever that is; the next one that the proxy speaks for may not.
        """
        intake = intakeWith()
        peer = intake.connect(_PROXY)
        peer.say(b"XCLIENT ADDR=192.0.2.1 LOGIN=ali\r\n")
        codes = peer.codes(_EHLO + MAIL + RCPT + b"DATA\r\n" + CONTENT + b".\r\n")
        self.assertEqual(codes, ["250", "250", "250", "354", "250"])
        self.assertIn(b" with ESMTPA ", intake.queue.added[0][1])
        for login in (b"", b" LOGIN=[UNAVAILABLE]"):
            peer = intake.connect(_PROXY)
            peer.say(b"XCLIENT ADDR=192.0.2.1" + login + b"\r\n")
            self.assertEqual(peer.codes(_EHLO + MAIL + RCPT), ["250", "250", "550"])

    def test_pipelined(self) -> None:
        """
        What is pipelined behind it is answered in order.
        """
        codes = intakeWith().connect().codes(
            b"XCLIENT HELO=x.example PROTO=ESMTP ADDR=127.0.0.1\r\n"
            + MAIL + RCPT + b"BDAT 3 LAST\r\nx\r\nQUIT\r\n"
        )  # fmt: skip
        self.assertEqual(codes, ["220", "250", "250", "250", "221"])
