"""
Tests for L{relaymail.intake.authentication} and L{relaymail.intake.credentials}: the
client's mechanisms against the portal.
"""

from __future__ import annotations

from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from zope.interface import implementer
from zope.interface.verify import verifyObject

from relaymail.dialogue.sasl import (
    CramMD5ClientAuthenticator,
    LOGINAuthenticator,
    OAUTHBEARERAuthenticator,
    PLAINAuthenticator,
    SCRAMAuthenticator,
)
from relaymail.dialogue.sasl.errors import ServerNotProven
from relaymail.dialogue.sasl.scram import NOT_OFFERED, SHA256, UNBOUND, Channel
from relaymail.envelopes import Client
from relaymail.errors import ConfigurationError, Refused
from relaymail.identities import Authenticated, Challenge, IAuthentication, IExchange
from relaymail.intake.acceptance import NetworkAcceptance
from relaymail.intake.authentication import Authentication, fromFile
from relaymail.intake.checkers import Overloaded, UserRealm, UsersPortal
from relaymail.intake.credentials import IBearerToken, IScramCredentials
from relaymail.intake.guarding import FailureGuard
from relaymail.test.intake.test_checkers import CheckerCase, Threads
from relaymail.test.intake.test_users import line

BINDINGS = {"tls-exporter": b"keys"}
CLIENT = Client("192.0.2.9")


@implementer(ICredentialsChecker)
class Checker:
    """
    Checks as it is told.

    @ivar answer: What it answers, or raises.
    """

    def __init__(self, answer: Any, *interfaces: Any) -> None:
        self.credentialInterfaces = interfaces
        self.answer = answer
        self.asked: list[Any] = []

    def requestAvatarId(self, credentials: Any) -> Any:
        """
        Answer.
        """
        self.asked.append(credentials)
        return fail(self.answer) if isinstance(self.answer, Exception) else self.answer


def scram(user: bytes = b"tim", channel: Channel = UNBOUND) -> SCRAMAuthenticator:
    """
    Make a client for SCRAM.
    """
    return SCRAMAuthenticator(user, SHA256, lambda: b"client", channel)


class AuthenticationCase(CheckerCase):
    """
    Lets clients authenticate.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        users = self.usersFile(
            line("tim", "pw"), line("tom@example.com", "pw", isClear=True)
        )
        self.authentication = self.of(UsersPortal(users, None))

    def of(self, portal: Portal, most: int = 100) -> Authentication:
        """
        Make one for a portal.
        """
        guard = FailureGuard(self.clock, most=most)
        return Authentication(portal, self.clock, "mx.example.org", guard)

    def portal(self, *checkers: Checker) -> Portal:
        """
        Make one.
        """
        return Portal(UserRealm(), checkers)

    def converse(
        self,
        mechanism: str,
        client: Any,
        secret: bytes,
        *,
        begins: bool = False,
        bindings: dict[str, bytes] | None = None,
        who: Client = CLIENT,
    ) -> Authenticated:
        """
        Let a client authenticate.

        @param begins: Whether it has an initial response.

        @raise Refused: When it is.
        """
        exchange = self.authentication.begin(mechanism, who, bindings or {})
        verifyObject(IExchange, exchange)
        response = client.initialResponse(secret) if begins else None
        for _ in range(6):
            answered = exchange.respond(response)
            answer: Any = self.successResultOf(answered.addErrback(lambda f: f.value))
            if isinstance(answer, Exception):
                raise answer
            if isinstance(answer, Authenticated):
                if hasattr(client, "accepted"):
                    client.accepted(b"")
                return answer
            assert isinstance(answer, Challenge)
            response = client.challengeResponse(secret, answer.data)
        raise AssertionError("no end")

    def assertRefused(self, text: str, *args: Any, **kw: Any) -> None:
        """
        Check how a client is refused.
        """
        with self.assertRaises(Refused) as raised:
            self.converse(*args, **kw)
        self.assertEqual(raised.exception.reply.text, text)


DENIED = "535 5.7.8 Authentication credentials invalid"
FAILURE = "454 4.7.0 Temporary authentication failure; try again later"
OUT = "454 4.7.0 Too many failed attempts; try again later"
MALFORMED = "501 5.5.2 That is no response of the mechanism's"


class MechanismsTests(AuthenticationCase):
    """
    Tests for L{Authentication}.
    """

    def test_offered(self) -> None:
        """
        What is offered can be checked; and what says the password only where nobody
        can read it.
        """
        verifyObject(IAuthentication, self.authentication)
        offered = self.authentication.mechanisms
        hidden = ("SCRAM-SHA-256", "CRAM-MD5")
        self.assertEqual(offered(False, {}), hidden)
        self.assertEqual(offered(True, {}), (*hidden, "PLAIN", "LOGIN"))
        self.assertEqual(
            offered(True, BINDINGS),
            ("SCRAM-SHA-256-PLUS", *hidden, "PLAIN", "LOGIN"),
        )

    def test_ownPortal(self) -> None:
        """
        Of an app's portal it is what its checkers can check.
        """
        for interface, wanted in (
            (IUsernamePassword, ("PLAIN", "LOGIN")),
            (IBearerToken, ("OAUTHBEARER",)),
            (IScramCredentials, ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")),
        ):
            made = self.of(self.portal(Checker(b"", interface)))
            self.assertEqual(made.mechanisms(True, BINDINGS), wanted)
        self.assertEqual(self.of(self.portal()).mechanisms(True, BINDINGS), ())

    def test_rightPassword(self) -> None:
        """
        Whoever knows the password is let in, by each mechanism.
        """
        bound = Channel.bound("tls-exporter", b"keys")
        for mechanism, client, begins, bindings in (
            ("PLAIN", PLAINAuthenticator(b"tim"), False, {}),
            ("LOGIN", LOGINAuthenticator(b"tim"), False, {}),
            ("SCRAM-SHA-256", scram(), True, {}),
            ("SCRAM-SHA-256", scram(), True, BINDINGS),
            ("SCRAM-SHA-256-PLUS", scram(channel=bound), True, BINDINGS),
        ):
            found = self.converse(
                mechanism, client, b"pw", begins=begins, bindings=bindings
            )
            self.assertEqual(found.user, "tim")
            self.assertEqual(getattr(found.acceptance, "user", ""), "tim")

    def test_passwordInClear(self) -> None:
        """
        Whose password is kept as it is may use them all.
        """
        name = b"tom@example.com"
        for mechanism, client, begins in (
            ("CRAM-MD5", CramMD5ClientAuthenticator(name), False),
            ("PLAIN", PLAINAuthenticator(name), False),
            ("SCRAM-SHA-256", scram(name), True),
        ):
            found = self.converse(mechanism, client, b"pw", begins=begins)
            self.assertEqual(found.user, "tom@example.com")

    def test_wrongPassword(self) -> None:
        """
        Who does not know the password, or is not there, is refused alike (RFC 4954
        6).
        """
        for user, password in ((b"tim", b"wrong"), (b"nobody", b"pw"), (b"tim", b"")):
            for mechanism, client in (
                ("PLAIN", PLAINAuthenticator(user)),
                ("LOGIN", LOGINAuthenticator(user)),
                ("CRAM-MD5", CramMD5ClientAuthenticator(user)),
            ):
                self.assertRefused(DENIED, mechanism, client, password)
            if password:
                self.assertRefused(
                    DENIED, "SCRAM-SHA-256", scram(user), password, begins=True
                )

    def test_otherConnection(self) -> None:
        """
        Nor is somebody let in who is in between, or changed what was offered (RFC
        5802 6).
        """
        bound = Channel.bound("tls-exporter", b"other keys")
        self.assertRefused(
            DENIED,
            "SCRAM-SHA-256-PLUS",
            scram(channel=bound),
            b"pw",
            begins=True,
            bindings=BINDINGS,
        )
        with self.assertRaises(ServerNotProven):
            self.converse(
                "SCRAM-SHA-256",
                scram(channel=NOT_OFFERED),
                b"pw",
                begins=True,
                bindings=BINDINGS,
            )

    def test_malformed(self) -> None:
        """
        What is no response of the mechanism's is told so.
        """
        for mechanism, said in (
            ("PLAIN", b"nonsense"),
            ("CRAM-MD5", b"early"),
            ("SCRAM-SHA-256", b"nonsense"),
        ):
            exchange = self.authentication.begin(mechanism, CLIENT, {})
            failure = self.failureResultOf(exchange.respond(said), Refused)
            self.assertEqual(failure.value.reply.text, MALFORMED)

    def test_challenge(self) -> None:
        """
        No two challenges are the same (RFC 2195 2).
        """
        said: set[bytes] = set()
        for _ in range(5):
            exchange = self.authentication.begin("CRAM-MD5", CLIENT, {})
            asked: Any = self.successResultOf(exchange.respond(None))
            said.add(asked.data)
        self.assertEqual(len(said), 5)
        self.assertTrue(said.pop().endswith(b"@mx.example.org>"))

    def test_A09_log(self) -> None:
        """
        Each failure is one line, with who and where from, and no secret.
        """
        with capturedLogs() as events:
            for mechanism, client, begins in (
                ("PLAIN", PLAINAuthenticator(b"t%sm" % (b"i" * 200)), False),
                ("SCRAM-SHA-256", scram(b"nobody"), True),
            ):
                self.assertRefused(DENIED, mechanism, client, b"s3cret", begins=begins)
        self.assertEqual(len(events), 2)
        self.assertEqual({event["host"] for event in events}, {"192.0.2.9"})
        self.assertEqual(events[1]["user"], "nobody")
        self.assertEqual(len(events[0]["user"]), 80)
        self.assertNotIn("s3cret", repr(events))

    def test_fromFile(self) -> None:
        """
        A path will do.
        """
        made = fromFile(self.usersFile(line("tim", "pw")).path, self.clock)
        offered = ("SCRAM-SHA-256", "PLAIN", "LOGIN")
        self.assertEqual(made.mechanisms(True, {}), offered)
        self.assertRaises(ConfigurationError, fromFile, self.mktemp(), self.clock)

    def test_threads(self) -> None:
        """
        A client waits while its password is hashed.
        """
        threads = Threads()
        users = self.usersFile(line("tim", "pw"))
        self.authentication = self.of(UsersPortal(users, threads))
        exchange = self.authentication.begin("PLAIN", CLIENT, {})
        answered = exchange.respond(b"\0tim\0pw")
        self.assertNoResult(answered)
        threads.run()
        self.assertIsInstance(self.successResultOf(answered), Authenticated)


class GuardedTests(AuthenticationCase):
    """
    Clients that fail too often.
    """

    def guess(self, text: str, user: bytes = b"tim", who: Client = CLIENT) -> None:
        """
        Try a wrong password.
        """
        self.assertRefused(text, "PLAIN", PLAINAuthenticator(user), b"wrong", who=who)

    def test_A05_out(self) -> None:
        """
        Who fails too often is not heard for a while, not with the right password
        either; others are.
        """
        self.authentication = self.of(self.authentication.portal, most=3)
        for _ in range(3):
            self.guess(DENIED)
        right = PLAINAuthenticator(b"tim")
        self.assertRefused(OUT, "PLAIN", right, b"pw")
        self.converse("PLAIN", right, b"pw", who=Client("192.0.2.10"))
        self.clock.advance(601)
        self.converse("PLAIN", right, b"pw")

    def test_anotherMechanism(self) -> None:
        """
        Programs that try all mechanisms, as C{smtplib} does, never fail too often with
        a right password: that of C{tim} is not kept as CRAM-MD5 needs it.
        """
        self.authentication = self.of(self.authentication.portal, most=3)
        for _ in range(5):
            cram = CramMD5ClientAuthenticator(b"tim")
            self.assertRefused(DENIED, "CRAM-MD5", cram, b"pw")
            self.converse("PLAIN", PLAINAuthenticator(b"tim"), b"pw")
            self.assertRefused(DENIED, "CRAM-MD5", cram, b"pw")
            self.converse("SCRAM-SHA-256", scram(), b"pw", begins=True)

    def test_A05_network(self) -> None:
        """
        In IPv6 the network counts, for whoever has one address has them all.
        """
        self.authentication = self.of(self.authentication.portal, most=3)
        for last in range(3):
            self.guess(DENIED, who=Client(f"2001:db8::{last}"))
        self.guess(OUT, who=Client("2001:db8::9"))

    def test_A05_unknownAddress(self) -> None:
        """
        Those whose address a proxy does not know are one, and not anybody.
        """
        self.authentication = self.of(self.authentication.portal, most=3)
        for _ in range(3):
            self.guess(DENIED, who=Client(""))
        self.guess(OUT, who=Client(""))
        self.guess(DENIED)

    def test_ownNetworks(self) -> None:
        """
        Whoever is trusted, or on this host, is not counted.
        """
        self.authentication = self.of(self.authentication.portal, most=3)
        for who in (Client("192.0.2.9", trusted=True), Client("", trusted=True)):
            for _ in range(5):
                self.guess(DENIED, who=who)

    def test_A05_token(self) -> None:
        """
        A wrong token counts though the client goes away before it is told.
        """
        checker = Checker(UnauthorizedLogin(), IBearerToken)
        self.authentication = self.of(self.portal(checker), most=1)
        exchange = self.authentication.begin("OAUTHBEARER", CLIENT, {})
        self.successResultOf(exchange.respond(b"n,,\x01auth=Bearer x\x01\x01"))
        self.assertTrue(self.authentication.guard.isOut("192.0.2.9"))


class PortalTests(AuthenticationCase):
    """
    Portals of apps.
    """

    def test_token(self) -> None:
        """
        A token is shown to its checker, which may say whose it is.
        """
        checker = Checker(b"tim", IBearerToken)
        self.authentication = self.of(self.portal(checker))
        for user in (b"tim", b""):
            client = OAUTHBEARERAuthenticator(user)
            found = self.converse("OAUTHBEARER", client, b"token", begins=True)
            self.assertEqual(found.user, "tim")
            self.assertEqual(checker.asked[-1].username, user)
            self.assertEqual(checker.asked[-1].token, b"token")

    def test_wrongToken(self) -> None:
        """
        One that is not taken is told in a challenge first (RFC 7628 3.2.3).
        """
        checker = Checker(UnauthorizedLogin(), IBearerToken)
        self.authentication = self.of(self.portal(checker))
        client = OAUTHBEARERAuthenticator(b"tim")
        self.assertRefused(DENIED, "OAUTHBEARER", client, b"token", begins=True)
        self.assertTrue(client.blamesSecret)

    def test_trouble(self) -> None:
        """
        A checker that cannot check fails the exchange, which is answered 454: nobody
        is let in or told that the password is wrong.
        """
        for checker in (
            Checker(OSError("no directory"), IUsernamePassword),
            Checker(OSError("no directory"), IScramCredentials),
        ):
            self.authentication = self.of(self.portal(checker))
            isScram = IScramCredentials in checker.credentialInterfaces
            mechanism = "SCRAM-SHA-256" if isScram else "PLAIN"
            client: Any = scram() if isScram else PLAINAuthenticator(b"tim")
            with self.assertRaises(OSError):
                self.converse(mechanism, client, b"pw", begins=isScram)
            self.assertFalse(self.authentication.guard.isOut("192.0.2.9"))

    def test_overloaded(self) -> None:
        """
        One that has too much to do is asked again later.
        """
        for interface, mechanism in (
            (IUsernamePassword, "PLAIN"),
            (IScramCredentials, "SCRAM-SHA-256"),
        ):
            self.authentication = self.of(self.portal(Checker(Overloaded(), interface)))
            isScram = mechanism != "PLAIN"
            client: Any = scram() if isScram else PLAINAuthenticator(b"tim")
            self.assertRefused(FAILURE, mechanism, client, b"pw", begins=isScram)

    def test_carelessChecker(self) -> None:
        """
        Nobody is let in by SCRAM who has not proved anything, whatever the checker
        says.
        """
        checker = Checker(b"tim", IScramCredentials)
        self.authentication = self.of(self.portal(checker))
        with self.assertRaises(TypeError):
            self.converse("SCRAM-SHA-256", scram(), b"pw", begins=True)
        users = self.usersFile(line("tim", "pw"))

        class Careless(Checker):
            def requestAvatarId(self, credentials: Any) -> Deferred[bytes]:
                """
                Take the proof for nothing.
                """
                proof: Deferred[Any] = credentials.prove(users.verifier("tim"))
                return proof.addCallback(lambda isRight: b"tim")

        self.authentication = self.of(self.portal(Careless(None, IScramCredentials)))
        self.assertRefused(DENIED, "SCRAM-SHA-256", scram(), b"wrong", begins=True)

    def test_unknownBySCRAM(self) -> None:
        """
        A checker may refuse at once who it does not know.
        """
        checker = Checker(UnauthorizedLogin(), IScramCredentials)
        self.authentication = self.of(self.portal(checker))
        self.assertRefused(DENIED, "SCRAM-SHA-256", scram(), b"pw", begins=True)

    def test_otherAvatars(self) -> None:
        """
        A realm that gives no L{IAcceptance} is an error.
        """

        class Realm:
            def requestAvatar(self, name: bytes, mind: object, *wanted: Any) -> Any:
                """
                Give nothing of use.
                """
                return wanted[0], object(), lambda: None

        realm: Any = Realm()
        portal = Portal(realm, [Checker(b"tim", IUsernamePassword)])
        self.authentication = self.of(portal)
        with self.assertRaises(TypeError):
            self.converse("PLAIN", PLAINAuthenticator(b"tim"), b"pw")

    def test_nobodyInParticular(self) -> None:
        """
        Nobody is let in of whom neither the client nor the portal says who it is.
        """

        class Realm:
            def requestAvatar(self, name: bytes, mind: object, *wanted: Any) -> Any:
                """
                Give one that does not say it.
                """
                return wanted[0], NetworkAcceptance(), lambda: None

        realm: Any = Realm()
        self.authentication = self.of(Portal(realm, [Checker(b"tim", IBearerToken)]))
        for user, isKnown in ((b"tim", True), (b"", False)):
            client = OAUTHBEARERAuthenticator(user)
            if isKnown:
                self.converse("OAUTHBEARER", client, b"token", begins=True)
                continue
            with self.assertRaises(TypeError):
                self.converse("OAUTHBEARER", client, b"token", begins=True)

    def test_goneWhileChecked(self) -> None:
        """
        A client that goes away is not waited for.
        """
        never: Deferred[bytes] = Deferred()
        self.authentication = self.of(self.portal(Checker(never, IUsernamePassword)))
        exchange = self.authentication.begin("PLAIN", CLIENT, {})
        answered = exchange.respond(b"\0tim\0pw")
        answered.addErrback(lambda failure: None)
        answered.cancel()
        self.assertTrue(never.called)
