# -*- test-case-name: relaymail.test.dialogue.test_xclient -*-
"""
Tests for L{relaymail.dialogue.xclient} and L{relaymail.dialogue.serving.acting}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.actions import ActFor
from relaymail.dialogue.answers import answer
from relaymail.dialogue.server import State
from relaymail.dialogue.xclient import ActedFor, parseXclient
from relaymail.errors import Refused
from relaymail.test.dialogue.talking import OFFER, Client, Known


class ParseTests(SynchronousTestCase):
    """
    What XCLIENT says.
    """

    def test_read(self) -> None:
        """
        Each attribute is read, and what is not known is empty.
        """
        for text, said in (
            (
                b"NAME=spike.porcupine.org ADDR=168.100.189.2 PORT=40000",
                ActedFor("spike.porcupine.org", "168.100.189.2", 40000),
            ),
            (b"ADDR=IPV6:2001:DB8:0::1", ActedFor(addr="2001:db8::1")),
            (b"addr=[UNAVAILABLE] name=[TEMPUNAVAIL]", ActedFor("", "")),
            (b"PORT=[UNAVAILABLE]", ActedFor(port=0)),
            (
                b"PROTO=esmtp HELO=c.example LOGIN=a+20b",
                ActedFor(proto="ESMTP", helo="c.example", login="a b"),
            ),
        ):
            self.assertEqual(parseXclient(text), said)

    def test_A03_wrong(self) -> None:
        """
        What is none of these is refused.
        """
        for text in (
            b"", b"NAME", b"NAME=", b"NAME=a NAME=b", b"COLOUR=red", b"ADDR=1.2.3",
            b"ADDR=2001:db8::1", b"ADDR=IPV6:1.2.3.4", b"ADDR=IPV6:fe80::1%eth0",
            b"PORT=65536", b"PORT=-1", b"PORT=" + b"9" * 200, b"PROTO=LMTP",
            b"HELO=a+20b", b"NAME=a+0D+0Ab", b"LOGIN=+FF", b"NAME=" + b"x" * 256,
            b"NAME=a  ADDR=1.2.3.4", b"NAME=\xff",
        ):  # fmt: skip
            refused = self.assertRaises(Refused, parseXclient, text)
            self.assertIn("501 5.5.4", refused.reply.text)

    @settings(deadline=None, max_examples=50)
    @given(st.sampled_from([b"NAME=", b"ADDR=", b"PORT=", b""]), st.binary(max_size=40))
    def test_anyBytes(self, lead: bytes, text: bytes) -> None:
        """
        Whatever is said is read or refused.
        """
        try:
            said = parseXclient(lead + text)
        except Refused as e:
            self.assertTrue(e.reply.permanent)
        else:
            self.assertTrue((said.name or "").isprintable())


class SessionTests(SynchronousTestCase):
    """
    XCLIENT in a session.
    """

    def client(self) -> Client:
        """
        Give a proxy.
        """
        return Client(OFFER, Known(proxy=True))

    def test_A04_othersMayNot(self) -> None:
        """
        For everybody else the verb is not spoken, and not offered.
        """
        client = Client()
        self.assertTrue(client.say(b"XCLIENT ADDR=127.0.0.1").startswith("502 5.5.1"))
        self.assertNotIn("XCLIENT", client.say(b"EHLO c"))
        client.upTo(b"MAIL FROM:<a@b>")
        self.assertTrue(client.say(b"XCLIENT ADDR=127.0.0.1").startswith("502 5.5.1"))
        self.assertNotIn("XCLIENT", client.say(b"HELP"))

    def test_newSession(self) -> None:
        """
        The session begins anew, with a greeting.
        """
        client = self.client().upTo(b"EHLO c")
        self.assertIn("XCLIENT NAME ADDR PORT PROTO HELO LOGIN", client.say(b"EHLO c"))
        self.assertEqual(client.say(b"XCLIENT ADDR=192.0.2.1 LOGIN=u"), "")
        said = ActedFor(addr="192.0.2.1", login="u")
        self.assertEqual(client.asked, [ActFor(said)])
        told = client.follow(client.dialogue.accepted())
        self.assertEqual(told, "220 relay.example ESMTP\r\n")
        self.assertIs(client.dialogue.state, State.START)
        self.assertEqual(client.dialogue.helo, "")
        self.assertEqual(client.dialogue.user, "u")
        self.assertTrue(client.say(b"MAIL FROM:<a@b>").startswith("503"))

    def test_A04_clientIsNoProxy(self) -> None:
        """
        A proxy may say it in several commands; once something else is said nobody may
        say it again, for that may be what its client says.
        """
        client = self.client().upTo(b"EHLO c")
        for said in (b"XCLIENT ADDR=192.0.2.1", b"XCLIENT LOGIN=u"):
            self.assertEqual(client.say(said), "")
            client.follow(client.dialogue.accepted())
        self.assertNotIn("XCLIENT", client.say(b"EHLO d"))
        for before in (b"NOOP", b"RSET", b"EHLO c", b"MAIL FROM:<a@b>"):
            client.upTo(before)
            told = client.say(b"XCLIENT ADDR=127.0.0.1")
            self.assertTrue(told.startswith("502 5.5.1"), told)

    def test_helo(self) -> None:
        """
        Where the proxy says what the client called itself, that is said.
        """
        for proto, esmtp in (("ESMTP", True), ("SMTP", False)):
            client = self.client()
            client.say(f"XCLIENT HELO=d.example PROTO={proto}".encode())
            client.follow(client.dialogue.accepted())
            self.assertIs(client.dialogue.state, State.READY)
            self.assertEqual(client.dialogue.helo, "d.example")
            self.assertIs(client.dialogue.esmtp, esmtp)

    def test_A05_endless(self) -> None:
        """
        A proxy that brings no mail does not go on without end.
        """
        client = self.client()
        for _ in range(OFFER.idleCommands + OFFER.errors):
            client.say(b"XCLIENT ADDR=192.0.2.1")
            client.follow(client.dialogue.accepted())
        self.assertTrue(client.say(b"XCLIENT NAME=a").startswith("421 4.7.0"))

    def test_inTransaction(self) -> None:
        """
        In a transaction it is out of order.
        """
        client = self.client().upTo(b"EHLO c", b"MAIL FROM:<a@b>")
        self.assertTrue(client.say(b"XCLIENT ADDR=192.0.2.1").startswith("503 5.5.1"))

    def test_tooMany(self) -> None:
        """
        Where there are too many of the client the session ends.
        """
        client = self.client().upTo(b"EHLO c")
        client.say(b"XCLIENT ADDR=192.0.2.1")
        said = client.follow(client.dialogue.refused(answer(421, "4.7.0", "Many")))
        self.assertTrue(said.startswith("421 4.7.0"))
        self.assertTrue(client.closed)
