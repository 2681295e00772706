"""
Tests for L{relaymail.deliver.rehearsing}.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.protocols import tls
from zope.interface import implementer

from relaymail.deliver.rehearsing import (
    WHOLE_PATIENCE,
    Plan,
    Step,
    mechanismsTold,
    rehearse,
)
from relaymail.dialogue.sasl.choosing import Means
from relaymail.errors import TokenError
from relaymail.identities import ITokens
from relaymail.route.hosts import Bearer, Credentials, Host, TLSNeed
from relaymail.test.certificates import writeCertificate
from relaymail.test.stories.harness import FIRST, StoryTestCase
from relaymail.testing.servers import Act, SMTPServer

USER, PASSWORD = "me", "correct-horse"
NAME = "mx.example.org"
STEPS = ["resolve", "connect", "greeting", "EHLO", "STARTTLS", "TLS", "EHLO"]
STEPS += ["mechanisms", "AUTH", "AUTH"]


@implementer(ITokens)
class Tokens:
    """
    Gives what it is told to.
    """

    def __init__(self, *given: Any) -> None:
        self.given = list(given)
        self.refusals: list[bytes] = []

    def token(self) -> Deferred[bytes]:
        """
        Give the next one.
        """
        given = self.given.pop(0)
        return fail(given) if isinstance(given, Exception) else succeed(given)

    def refused(self, token: bytes) -> None:
        """
        Learn that one was refused.
        """
        self.refusals.append(token)


class RehearsalTests(StoryTestCase):
    """
    Sessions that send no mail.
    """

    def setUp(self) -> None:
        """
        Have a certificate.
        """
        super().setUp()
        key, self.caFile = writeCertificate(Path(self.mktemp()), NAME)
        self.context = DefaultOpenSSLContextFactory(key, self.caFile)
        self.steps: list[Step] = []
        self.world.zones[NAME] = {"A": [FIRST]}

    def server(self, answers: Any = None, **more: Any) -> SMTPServer:
        """
        Put a host there.
        """
        more = {"contextFactory": self.context, **more}
        server: SMTPServer = self.world.host(FIRST, answers, **more)
        return server

    def host(self, **more: Any) -> Host:
        """
        Describe it.
        """
        usual: dict[str, Any] = {
            "tls": TLSNeed.VERIFIED,
            "caFile": self.caFile,
            "credentials": Credentials(USER, PASSWORD.encode()),
        }
        return Host(NAME, 25, named=True, **{**usual, **more})

    def rehearse(self, host: Host, seconds: float = 5) -> bool:
        """
        Go through a session.
        """
        connector = self.world.manager._theConnector()
        plan = Plan(host, 25, "relay.example.com", lambda: "good for an hour")
        done = rehearse(plan, connector, self.steps.append)
        self.world.run(seconds)
        isKnown: bool = self.successResultOf(done)
        self.assertEqual(self.world.queue._entries, {})
        return isKnown

    def told(self, name: str) -> list[str]:
        """
        Give what was told of steps of a name.
        """
        return [step.told for step in self.steps if step.name == name]

    def test_all(self) -> None:
        """
        Each step is told, and no mail is sent.
        """
        server = self.server(users={USER: PASSWORD})
        self.assertTrue(self.rehearse(self.host()))
        self.assertEqual(
            [step.name for step in self.steps],
            STEPS,
        )
        self.assertTrue(all(step.isDone for step in self.steps))
        self.assertEqual(self.told("resolve"), [FIRST])
        (tls,) = self.told("TLS")
        self.assertTrue(tls.startswith("TLSv1.3, "), tls)
        self.assertIn(f"the certificate is valid for {NAME}; issued by CN=", tls)
        self.assertIn("STARTTLS", self.told("EHLO")[0])
        self.assertIn("AUTH PLAIN LOGIN", self.told("EHLO")[1])
        self.assertEqual(
            self.told("mechanisms"),
            ["offered: PLAIN, LOGIN; tried in this order: PLAIN, LOGIN"],
        )
        self.assertEqual(self.told("AUTH"), ["PLAIN is tried", "235 2.7.0 Welcome"])
        verbs = [line.split()[0] for line in server.sessions[0].commands]
        self.assertEqual(verbs, ["EHLO", "STARTTLS", "EHLO", "AUTH", "QUIT"])

    def test_A09_refused(self) -> None:
        """
        What is refused is told in the host's words, and without the password, even
        where the host says it.
        """
        answers = {"AUTH": f"535 5.7.8 {PASSWORD} is wrong"}
        self.server(answers, users={USER: "other"})
        self.assertFalse(self.rehearse(self.host()))
        self.assertFalse(self.steps[-1].isDone)
        self.assertIn("535 5.7.8 (secret) is wrong", self.told("AUTH"))
        self.assertNotIn(PASSWORD, repr(self.steps))

    def test_token(self) -> None:
        """
        A token is asked for, and what is known of it is told, but not the token.
        """
        self.server(tokens=lambda user, token: token == "token-1")
        bearer = Bearer(USER, "account", Tokens(b"token-1"))
        self.assertTrue(self.rehearse(self.host(credentials=bearer)))
        self.assertEqual(self.told("token"), ["good for an hour"])
        self.assertNotIn("token-1", repr(self.steps))

    def test_tokenRefused(self) -> None:
        """
        What the host says of a token that it refuses is told.
        """
        self.server(tokens=lambda user, token: False)
        tokens = Tokens(b"token-1", TokenError("it is asked for again in a minute"))
        host = self.host(credentials=Bearer(USER, "account", tokens))
        self.assertFalse(self.rehearse(host))
        said = " ".join(self.told("AUTH"))
        self.assertIn('334 {"status": "invalid_token"', said)
        self.assertIn("535 5.7.8", said)
        self.assertIn("it is asked for again in a minute", self.told("token")[-1])
        self.assertEqual(tokens.refusals, [b"token-1"])

    def test_noToken(self) -> None:
        """
        Why there is no token is told.
        """
        self.server(tokens=lambda user, token: True)
        tokens = Tokens(TokenError("sign in again", isLasting=True))
        host = self.host(credentials=Bearer(USER, "account", tokens))
        self.assertFalse(self.rehearse(host))
        self.assertFalse(self.steps[-1].isDone)
        self.assertIn("sign in again", self.steps[-1].told)

    def test_A02_unverified(self) -> None:
        """
        Where nobody looks at the certificate no secret is given, and it is told so.
        """
        server = self.server(users={USER: PASSWORD})
        self.assertFalse(self.rehearse(self.host(tls=TLSNeed.ENCRYPTED)))
        self.assertIn("nobody looked at the certificate", self.told("TLS")[0])
        (told,) = self.told("mechanisms")
        self.assertIn("PLAIN (secrets are not given over a connection", told)
        self.assertNotIn("AUTH PLAIN", " ".join(server.sessions[0].commands))

    def test_wrongCertificate(self) -> None:
        """
        A certificate that is not valid ends it, and it is told which.
        """
        self.server(users={USER: PASSWORD})
        self.assertFalse(self.rehearse(self.host(caFile=None)))
        self.assertFalse(self.steps[-1].isDone)
        self.assertIn("certificate", self.steps[-1].told)

    def test_implicitTLS(self) -> None:
        """
        TLS from the first byte is told, too.
        """
        self.patch(tls, "_get_default_clock", lambda: self.world.network)
        self.server(users={USER: PASSWORD}, implicitTLS=True)
        self.assertTrue(self.rehearse(self.host(implicitTLS=True)))
        self.assertEqual(len(self.told("TLS")), 1)

    def test_notReached(self) -> None:
        """
        Nobody by that name, nobody there, or nobody who speaks.
        """
        self.world.zones[NAME] = {}
        self.assertFalse(self.rehearse(self.host()))
        self.assertEqual(self.steps[-1].name, "resolve")
        self.world.zones[NAME] = {"A": ["192.0.2.99"]}
        self.assertFalse(self.rehearse(self.host(), 60))
        self.assertEqual(self.steps[-1].name, "connect")
        self.world.zones[NAME] = {"A": [FIRST]}
        self.server({"CONNECT": ""})
        self.assertFalse(self.rehearse(self.host(), 60))
        self.assertEqual(self.steps[-1].name, "greeting")
        self.assertIn("timed out", self.steps[-1].told)

    def test_hangsUp(self) -> None:
        """
        A host that hangs up is told of at the step it was at.
        """
        self.server({"EHLO": Act.CLOSE})
        self.assertFalse(self.rehearse(self.host()))
        self.assertEqual(self.steps[-1].name, "EHLO")
        self.assertIn("connection lost", self.steps[-1].told)

    def test_A06_bounded(self) -> None:
        """
        It ends, however slow the host is.
        """
        waiting: Deferred[bytes] = Deferred()

        class Slow(Tokens):
            """
            Gives nothing.
            """

            def token(self) -> Deferred[bytes]:
                """
                Wait.
                """
                return waiting

        self.server(tokens=lambda user, token: True)
        host = self.host(credentials=Bearer(USER, "account", Slow()))
        self.assertFalse(self.rehearse(host, WHOLE_PATIENCE + 60))
        self.assertFalse(self.steps[-1].isDone)


class MechanismTests(StoryTestCase):
    """
    Why mechanisms are used, or not.
    """

    def test_whys(self) -> None:
        """
        Each that is not tried has a reason.
        """
        means = Means(b"me", True, False, True, {})
        offered = [b"XOAUTH2", b"GSSAPI", b"SCRAM-SHA-256-PLUS", b"PLAIN\x1b"]
        told = mechanismsTold(offered, [], means)
        self.assertIn("XOAUTH2 (it is for tokens)", told)
        self.assertIn("GSSAPI (unknown here)", told)
        self.assertIn("SCRAM-SHA-256-PLUS (it needs TLS that can be bound to)", told)
        self.assertNotIn("\x1b", told)
        bearing = Means(b"me", False, True, True, {})
        told = mechanismsTold([b"LOGIN"], [], bearing)
        self.assertIn("LOGIN (it is for passwords)", told)
        self.assertIn("offers none", mechanismsTold([], [], means))
