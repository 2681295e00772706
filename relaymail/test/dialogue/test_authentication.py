# -*- test-case-name: relaymail.test.dialogue.test_authentication -*-
"""
Tests for L{relaymail.dialogue.authentication} and
L{relaymail.dialogue.serving.authenticating}.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.actions import Authenticate, Respond
from relaymail.dialogue.answers import answer
from relaymail.dialogue.authentication import (
    MAX_AUTH_LINE,
    challengeLine,
    parseAuth,
    parseResponse,
)
from relaymail.dialogue.server import State
from relaymail.errors import Refused
from relaymail.test.dialogue.talking import OFFER, Client, Known

_DENIED = answer(535, "5.7.8", "Denied")


def client(*usable: str, later: tuple[str, ...] = ()) -> Client:
    """
    Give a client that has said EHLO and can use some mechanisms.
    """
    return Client(OFFER, Known(usable=usable, later=later)).upTo(b"EHLO c")


class LineTests(SynchronousTestCase):
    """
    Lines of RFC 4954 4.
    """

    def test_auth(self) -> None:
        """
        A mechanism, with an initial response, an empty one, or none.
        """
        for argument, said in (
            (b"plain", ("PLAIN", None)),
            (b"SCRAM-SHA-256-PLUS =", ("SCRAM-SHA-256-PLUS", b"")),
            (b"PLAIN AGEAYg==", ("PLAIN", b"\0a\0b")),
        ):
            self.assertEqual(parseAuth(argument), said)

    def test_wrong(self) -> None:
        """
        What is no mechanism or no base64 is refused.
        """
        for argument, code in (
            (b"", "501 5.5.4"),
            (b"PL@IN", "501 5.5.4"),
            (b"X" * 21, "501 5.5.4"),
            (b"PLAIN ===", "501 5.5.2"),
            (b"PLAIN a b", "501 5.5.2"),
            (b"PLAIN \xff", "501 5.5.2"),
        ):
            refused = self.assertRaises(Refused, parseAuth, argument)
            self.assertTrue(refused.reply.text.startswith(code), argument)
        for line, code in ((b"*", "501 5.7.0"), (b"!", "501 5.5.2")):
            refused = self.assertRaises(Refused, parseResponse, line)
            self.assertTrue(refused.reply.text.startswith(code), line)
        self.assertEqual(parseResponse(b""), b"")

    def test_challenge(self) -> None:
        """
        A challenge is base64 behind 334, an empty one nothing.
        """
        self.assertEqual(challengeLine(b"Name:"), b"334 TmFtZTo=\r\n")
        self.assertEqual(challengeLine(b""), b"334 \r\n")

    @settings(deadline=None, max_examples=50)
    @given(st.binary(max_size=60))
    def test_anyBytes(self, line: bytes) -> None:
        """
        Whatever is said is read or refused.
        """
        for parse in (parseAuth, parseResponse):
            try:
                parse(line)  # type: ignore[operator]
            except Refused as e:
                self.assertTrue(e.reply.permanent)


class ExchangeTests(SynchronousTestCase):
    """
    AUTH in a session.
    """

    def test_offered(self) -> None:
        """
        The mechanisms that can be used are offered, in their order.
        """
        said = client("B", "A").say(b"EHLO c")
        self.assertIn("AUTH B A\r\n", said)
        self.assertNotIn("AUTH", client(later=("A",)).say(b"EHLO c"))
        self.assertIn(" AUTH", client("A").say(b"HELP"))

    def test_oneStep(self) -> None:
        """
        With an initial response it may be one step; once is enough.
        """
        talk = client("PLAIN")
        self.assertEqual(talk.say(b"AUTH plain AGEAYg=="), "")
        self.assertEqual(talk.asked, [Authenticate("PLAIN", b"\0a\0b")])
        said = talk.follow(talk.dialogue.authenticated("a"))
        self.assertEqual(said, "235 2.7.0 Authenticated\r\n")
        self.assertEqual(talk.dialogue.user, "a")
        self.assertTrue(talk.say(b"AUTH PLAIN").startswith("503 5.5.1"))
        talk.upTo(b"MAIL FROM:<a@b> AUTH=<>")

    def test_challenges(self) -> None:
        """
        Challenges and responses go to and fro; in between nothing is a command.
        """
        talk = client("LOGIN")
        talk.say(b"AUTH LOGIN")
        said = talk.follow(talk.dialogue.challenged(b"User:"))
        self.assertEqual(said, "334 VXNlcjo=\r\n")
        self.assertEqual(talk.say(b"QUIT"), "")
        self.assertEqual(talk.asked[-1], Respond(b"AB\x13"))
        self.assertIs(talk.dialogue.state, State.ASKING_USER)

    def test_cancel(self) -> None:
        """
        A client may give up (RFC 4954 4), and what is no response is told so.
        """
        for line, code in ((b"*", "501 5.7.0"), (b"-", "501 5.5.2")):
            talk = client("LOGIN")
            talk.say(b"AUTH LOGIN")
            talk.follow(talk.dialogue.challenged(b""))
            self.assertTrue(talk.say(line).startswith(code))
            self.assertIs(talk.dialogue.state, State.READY)
            talk.upTo(b"MAIL FROM:<a@b>")

    def test_longLines(self) -> None:
        """
        Responses may be of 12288 octets (RFC 4954 4), other commands may not.
        """
        long = b64encode(b"x" * 9000)
        talk = client("OAUTHBEARER")
        talk.say(b"AUTH OAUTHBEARER " + long)
        self.assertEqual(talk.asked[-1], Authenticate("OAUTHBEARER", b"x" * 9000))
        said = client("A").say(b"NOOP " + b"x" * 5000)
        self.assertTrue(said.startswith("500 5.5.2"), said)
        said = client("A").say(b"AUTH A " + b"x" * MAX_AUTH_LINE)
        self.assertTrue(said.startswith("500 5.5.2"), said)
        talk = client("A")
        talk.say(b"AUTH A")
        talk.follow(talk.dialogue.challenged(b""))
        self.assertIn("500 5.5.6", talk.follow(talk.dialogue.overlong()))
        self.assertTrue(talk.closed)

    def test_outOfOrder(self) -> None:
        """
        Not before EHLO, not inside a transaction.
        """
        talk = Client(OFFER, Known(usable=("A",)))
        self.assertTrue(talk.say(b"AUTH A").startswith("503 5.5.1"))
        self.assertTrue(talk.upTo(b"HELO c").say(b"AUTH A").startswith("503 5.5.1"))
        talk.upTo(b"EHLO c", b"MAIL FROM:<a@b>")
        self.assertTrue(talk.say(b"AUTH A").startswith("503 5.5.1"))
        talk.upTo(b"RCPT TO:<c@d>")
        self.assertTrue(talk.say(b"AUTH A").startswith("503 5.5.1"))

    def test_mechanisms(self) -> None:
        """
        What is not known, or is for TLS only, is told so.
        """
        self.assertTrue(client("A").say(b"AUTH B").startswith("504 5.5.4"))
        talk = client("A", later=("A", "B"))
        self.assertTrue(talk.say(b"AUTH B").startswith("538 5.7.11"))
        talk = client(later=("B",))
        self.assertTrue(talk.say(b"AUTH B").startswith("538 5.7.11"))
        self.assertTrue(client().say(b"AUTH B").startswith("502 5.5.1"))

    def test_A05_failures(self) -> None:
        """
        After so many failures the session ends; failures of our own do not count.
        """
        talk = client("A")
        for _ in range(5):
            talk.say(b"AUTH A =")
            talk.follow(talk.dialogue.refused(answer(454, "4.7.0", "Later")))
        for _ in range(OFFER.authFailures - 1):
            talk.say(b"AUTH A =")
            said = talk.follow(talk.dialogue.refused(_DENIED))
            self.assertEqual(said, "535 5.7.8 Denied\r\n")
        talk.say(b"AUTH A =")
        last = talk.follow(talk.dialogue.refused(_DENIED)).splitlines()
        self.assertEqual([line[:9] for line in last], ["535 5.7.8", "421 4.7.0"])
        self.assertTrue(talk.closed)

    def test_A05_endless(self) -> None:
        """
        A client is not asked, nor asks, without end.
        """
        offer = replace(OFFER, idleCommands=10)
        for challenge in (True, False):
            talk = Client(offer, Known(usable=("A",))).upTo(b"EHLO c")
            talk.say(b"AUTH A")
            for _ in range(20):
                if challenge:
                    talk.follow(talk.dialogue.challenged(b""))
                    said = talk.say(b"")
                else:
                    talk.follow(talk.dialogue.refused(answer(454, "4.7.0", "Later")))
                    said = talk.say(b"AUTH A")
                if talk.closed:
                    break
            self.assertTrue(talk.closed)
            self.assertTrue(said.startswith("421 4.7.0"), said)

    def test_A02_forgotten(self) -> None:
        """
        Who a client said it is in clear is forgotten under TLS.
        """
        talk = client("A")
        talk.say(b"AUTH A =")
        talk.follow(talk.dialogue.authenticated("a"))
        talk.upTo(b"STARTTLS")
        self.assertEqual(talk.dialogue.user, "")

    def test_A09_secretsAreNotShown(self) -> None:
        """
        What a client responds is in no representation of an action.
        """
        for action in (Authenticate("PLAIN", b"secret"), Respond(b"secret")):
            self.assertNotIn("secret", repr(action))

    def test_priority(self) -> None:
        """
        Who has said who it is may have precedence.
        """
        talk = client("A")
        talk.say(b"AUTH A =")
        talk.follow(talk.dialogue.authenticated("a"))
        self.assertIn("250 2.1.0", talk.say(b"MAIL FROM:<a@b> MT-PRIORITY=4"))

    def test_P10_leaving(self) -> None:
        """
        A session that is asked who it is ends when the service stops.
        """
        talk = Client(replace(OFFER), Known(usable=("A",))).upTo(b"EHLO c")
        talk.say(b"AUTH A =")
        talk.follow(talk.dialogue.challenged(b""))
        self.assertIn("421 4.3.2", talk.follow(talk.dialogue.leave()))
