"""
Tests for L{relaymail.deliver.authenticating}: the best mechanism, and tokens.

The mechanisms that are registered are in the tests of
L{relaymail.deliver.esmtpclient}.
"""

from __future__ import annotations

import base64
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import ssl
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.ssl import optionsForClientTLS
from twisted.internet.task import Clock
from twisted.mail._except import (
    AUTHDeclinedError,
    AuthenticationError,
    AUTHRequiredError,
)
from twisted.protocols.basic import LineReceiver
from zope.interface import implementer

from relaymail.bindings import bindingsOf
from relaymail.deliver import authenticating
from relaymail.dialogue.patience import PATIENCE
from relaymail.dialogue.sasl.scram import SHA256, verifierOf
from relaymail.dialogue.sasl.scramserver import SCRAMServer
from relaymail.errors import TokenError
from relaymail.identities import ITokens
from relaymail.replies import Phase, Reply, Trouble, TroubleKind
from relaymail.test.deliver.smtpclients import ClientCase, Mail, Relays
from relaymail.test.test_bindings import connectTLS
from relaymail.testing.certificates import KeyKind, selfSigned

SECRET = b"correct horse"
VERIFIER = verifierOf(SHA256, SECRET, b"salt", 4096)
MAIL = [b"MAIL FROM:<from@example.com>"]
QUIT = [b"QUIT"]


def b64(text: bytes) -> bytes:
    """
    Encode.
    """
    return base64.b64encode(text)


@implementer(ITokens)
class Tokens:
    """
    Gives tokens of a list, and notes which were refused.
    """

    def __init__(self, *tokens: bytes | Deferred[bytes]) -> None:
        self.tokens = list(tokens)
        self.noted: list[bytes] = []

    def token(self) -> Deferred[bytes]:
        """
        Give the next.
        """
        token = self.tokens.pop(0)
        return token if isinstance(token, Deferred) else succeed(token)

    def refused(self, token: bytes) -> None:
        """
        Note it.
        """
        self.noted.append(token)


class BestCase(ClientCase):
    """
    Offers mechanisms to a client that uses the best.
    """

    def offer(self, mechanisms: bytes, **kw: Any) -> list[bytes]:
        """
        Connect, greet, and offer mechanisms.
        """
        self.patch(authenticating, "_makeNonce", lambda: b"client")
        kw = {"requireAuthentication": True, **kw}
        client = self.toEhlo(Relays, Mail(), arguments=(SECRET, None), **kw)
        client.useBest(b"tim")
        return self.hear(b"250-hi", b"250 AUTH " + mechanisms)

    def assertTrouble(self, kind: TroubleKind, words: str) -> None:
        """
        Check why the session ended.
        """
        evidence = self.client.evidence
        assert isinstance(evidence, Trouble), evidence
        self.assertEqual((evidence.phase, evidence.kind), (Phase.AUTH, kind))
        self.assertIn(words, evidence.text)


class BestTests(BestCase):
    """
    Tests for C{useBest}.
    """

    first = b"n,,n=tim,r=client"

    def begin(self) -> SCRAMServer:
        """
        Offer SCRAM, and give the server's side of it, which knows Tim.
        """
        said = self.offer(b"PLAIN SCRAM-SHA-256")
        self.assertEqual(said, [b"AUTH SCRAM-SHA-256 " + b64(self.first)])
        server = SCRAMServer(SHA256, b"server", {}, isBound=False)
        server.respond(self.first)
        return server

    def prove(self) -> bytes:
        """
        The same, and let the client prove itself.

        @return: The server's signature.
        """
        server: Any = self.begin()
        challenge = server.judged(VERIFIER).data
        [proof] = self.hear(b"334 " + b64(challenge))
        signature: bytes = server.respond(base64.b64decode(proof)).data
        return signature

    def test_SCRAM(self) -> None:
        """
        The client is proved, then the server, then the mail goes (RFC 5802 5, RFC
        4954 4).
        """
        signature = self.prove()
        self.assertEqual(self.hear(b"334 " + b64(signature)), [b""])
        self.assertEqual(self.hear(b"235 2.7.0 welcome"), MAIL)

    def test_challengeLikeTheSecret(self) -> None:
        """
        A challenge may have the letters of a short secret in it, and is taken as it
        is; only in the log they are left out.
        """
        self.begin()
        self.client.secret = b"Z"
        challenge = b"r=clientserver,s=c2FsdA==,i=4096"
        self.assertIn(b"Z", b64(challenge))
        [proof] = self.hear(b"334 " + b64(challenge))
        self.assertTrue(base64.b64decode(proof).startswith(b"c=biws,r=clientserver,p="))
        self.assertNotIn(b"Z", self.client.log.str().split(b"<<< 334")[1])

    def test_wrongSignature(self) -> None:
        """
        To a server that does not know the password nothing more is said, by no
        weaker mechanism either.
        """
        self.prove()
        self.assertEqual(self.hear(b"334 " + b64(b"v=" + b64(b"x" * 32))), [])
        self.assertTrue(self.wire.disconnecting)
        self.assertTrouble(TroubleKind.AUTH, "the server does not know the password")
        self.assertIsInstance(self.client.errors[0], AuthenticationError)
        self.assertEqual(self.hear(b"535 no", b"235 yes"), [])

    def test_noSignature(self) -> None:
        """
        Nor to one that says yes before it has shown that.
        """
        self.begin()
        self.assertEqual(self.hear(b"235 yes"), [])
        self.assertTrue(self.wire.disconnecting)
        self.assertTrouble(TroubleKind.AUTH, "without showing that it knows it")

    def test_signatureWithTheReply(self) -> None:
        """
        The signature may come with the yes.
        """
        signature = self.prove()
        self.assertEqual(self.hear(b"235 " + b64(signature)), MAIL)

    def test_tooFewIterations(self) -> None:
        """
        One that wants to see the password hashed too few times gets no answer.
        """
        self.begin()
        challenge = b"r=clientserver,s=c2FsdA==,i=1"
        self.assertEqual(self.hear(b"334 " + b64(challenge)), [])
        self.assertTrue(self.wire.disconnecting)
        self.assertTrouble(TroubleKind.AUTH, "iteration count")

    def manyIterations(self) -> list[tuple[Any, Deferred[Any]]]:
        """
        Have the server want the password hashed very often.

        @return: What was given to a thread, and what tells when it is done.
        """
        begun: list[tuple[Any, Deferred[Any]]] = []

        def inThread(work: Any) -> Deferred[Any]:
            begun.append((work, Deferred()))
            return begun[-1][1]

        self.patch(authenticating, "deferToThread", inThread)
        self.begin()
        challenge = b"r=clientserver,s=c2FsdA==,i=30000"
        self.assertEqual(self.hear(b"334 " + b64(challenge)), [])
        return begun

    def test_A06_manyIterations(self) -> None:
        """
        A server may want the password hashed so often that it takes long: others do
        not wait meanwhile.
        """
        [(work, done)] = self.manyIterations()
        self.assertIs(self.client.phase, Phase.AUTH)
        done.callback(work())
        [proof] = self.said()
        self.assertTrue(base64.b64decode(proof).startswith(b"c=biws,r=clientserver,p="))

    def test_A06_talksMeanwhile(self) -> None:
        """
        What a server says while it is to wait is no answer to anything.
        """
        [(work, done)] = self.manyIterations()
        self.assertNotIn(MAIL[0], self.hear(b"235 yes"))
        done.callback(work())
        self.assertEqual(self.said(), [])

    def test_A06_gone(self) -> None:
        """
        Nor is anything said to one that has gone.
        """
        [(work, done)] = self.manyIterations()
        self.lose(ConnectionLost())
        done.callback(work())
        self.assertEqual(self.said(), [])

    def test_D11_next(self) -> None:
        """
        The next best is tried where one is refused, with PLAIN in both its forms.
        """
        self.begin()
        [plain] = self.hear(b"535 no such password here")
        self.assertEqual(plain, b"AUTH PLAIN " + b64(b"tim\0tim\0" + SECRET))
        [plain] = self.hear(b"535 no")
        self.assertEqual(plain, b"AUTH PLAIN " + b64(b"\0tim\0" + SECRET))
        self.assertEqual(self.hear(b"235 yes"), MAIL)

    def test_D11_refusedAndHungUp(self) -> None:
        """
        A server that hangs up behind a refusal did it for that.
        """
        for end in (b"421 too many", None):
            self.begin()
            self.hear(b"535 wrong")
            if end is None:
                self.lose(ConnectionLost())
            else:
                self.hear(end)
            self.hear(b"421 too many") if end else None
            self.assertEqual(self.client.evidence, Reply(535, (b"wrong",)))
            self.assertEqual(self.client.evidencePhase, Phase.AUTH)

    def test_unsayable(self) -> None:
        """
        A password that one mechanism cannot say may be said by another.
        """
        said = self.offer(b"PLAIN SCRAM-SHA-256", secret=b"\xff")
        self.assertEqual(said, [b"AUTH PLAIN " + b64(b"tim\0tim\0\xff")])
        said = self.offer(b"SCRAM-SHA-256", secret=b"\xff")
        self.assertEqual(said, [])
        self.assertTrouble(TroubleKind.AUTH, "no UTF-8")

    def test_A09_A02_notInClear(self) -> None:
        """
        Without TLS that was verified, or leave, nothing is said; all that could be
        is named.
        """
        said = self.offer(b"SCRAM-SHA-256 PLAIN", authenticateInClear=False)
        self.assertEqual(said, QUIT)
        [error] = self.client.errors
        self.assertIsInstance(error, AUTHRequiredError)
        for words in (b"SCRAM-SHA-256", b"LOGIN", b"not over a connection like this"):
            self.assertIn(words, error.resp)

    def test_A09_notInLogs(self) -> None:
        """
        No message of SCRAM's is in the log.
        """
        signature = self.prove()
        self.hear(b"334 " + b64(signature))
        self.hear(b"535 no")
        log = self.client.log.str()
        self.assertIn(b"AUTH SCRAM-SHA-256 (response)", log)
        for secret in (b64(self.first), SECRET, b64(b"tim\0tim\0" + SECRET)):
            self.assertNotIn(secret, log)


class TokensTests(BestCase):
    """
    Tests for clients with tokens (RFC 7628).
    """

    both = b"PLAIN XOAUTH2 OAUTHBEARER"

    def bearer(self, token: bytes) -> bytes:
        """
        Give how OAUTHBEARER shows a token.
        """
        return b"AUTH OAUTHBEARER " + b64(
            b"n,a=tim,\x01auth=Bearer " + token + b"\x01\x01"
        )

    def xoauth2(self, token: bytes) -> bytes:
        """
        Give how XOAUTH2 does.
        """
        return b"AUTH XOAUTH2 " + b64(b"user=tim\x01auth=Bearer " + token + b"\x01\x01")

    def test_shown(self) -> None:
        """
        The token is shown, never the password.
        """
        said = self.offer(self.both, tokens=Tokens(b"one"))
        self.assertEqual(said, [self.bearer(b"one")])
        self.assertEqual(self.hear(b"235 yes"), MAIL)
        said = self.offer(b"PLAIN XOAUTH2", tokens=Tokens(b"one"))
        self.assertEqual(said, [self.xoauth2(b"one")])
        self.assertEqual(self.offer(b"PLAIN", tokens=Tokens(b"one")), QUIT)
        self.assertIn(b"[OAUTHBEARER, XOAUTH2]", self.client.errors[0].resp)

    def test_waits(self) -> None:
        """
        It may take a while to get one.
        """
        token: Deferred[bytes] = Deferred()
        self.assertEqual(self.offer(self.both, tokens=Tokens(token)), [])
        self.assertEqual(self.client.phase, Phase.AUTH)
        token.callback(b"one")
        self.assertEqual(self.said(), [self.bearer(b"one")])

    def test_D30_waitIsBounded(self) -> None:
        """
        But not for ever.
        """
        cancelled: list[object] = []
        token: Deferred[bytes] = Deferred(cancelled.append)
        self.offer(self.both, tokens=Tokens(token), phaseTimeouts=PATIENCE)
        self.clock.advance(PATIENCE[Phase.AUTH] + 1)
        self.assertTrouble(TroubleKind.TIMEOUT, "authenticating")
        self.lose()
        self.assertEqual(cancelled, [token])
        self.assertEqual(self.said(), [])

    def test_connectionLost(self) -> None:
        """
        Nobody waits for a token whose connection is gone, or is going.
        """
        cancelled: list[object] = []
        for ends in (self.lose, lambda: self.hear(b"421 bye")):
            token: Deferred[bytes] = Deferred(cancelled.append)
            self.offer(self.both, tokens=Tokens(token))
            ends()
            self.assertEqual(len(cancelled), 1)
            cancelled.clear()
            self.said()
        self.assertEqual(self.client.evidence, Reply(421, (b"bye",)))

    def test_noToken(self) -> None:
        """
        Why there is none is told, and the mail waits.
        """
        error = TokenError("consent has expired: run relaymail auth")
        self.assertEqual(self.offer(self.both, tokens=Tokens(fail(error))), QUIT)
        self.assertTrouble(TroubleKind.AUTH, "consent has expired")
        self.assertEqual(self.client.errors[0].code, 454)

    def test_A09_otherError(self) -> None:
        """
        Of another error its kind alone is told.
        """
        said = self.offer(self.both, tokens=Tokens(fail(KeyError("s3cret"))))
        self.assertEqual(said, QUIT)
        self.assertTrouble(TroubleKind.AUTH, "KeyError")
        self.assertNotIn("s3cret", self.client.evidence.text)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_D11_error(self) -> None:
        """
        A token that is not taken is acknowledged (RFC 7628 3.2.3), told, and another
        one is tried once; another mechanism would not help.
        """
        tokens = Tokens(b"one", b"two")
        self.offer(self.both, tokens=tokens)
        said = self.hear(b"334 " + b64(b'{"status":"invalid_token"}'))
        self.assertEqual(said, [b"AQ=="])
        self.assertEqual(self.hear(b"535 5.7.8 no"), [self.bearer(b"two")])
        self.assertEqual(tokens.noted, [b"one"])
        self.assertEqual(self.hear(b"235 yes"), MAIL)

    def test_D11_bothMechanisms(self) -> None:
        """
        Where it is not said why, both mechanisms are tried with both tokens, and then
        the session is over.
        """
        tokens = Tokens(b"one", b"two")
        self.offer(self.both, tokens=tokens)
        self.assertEqual(self.hear(b"535 no"), [self.xoauth2(b"one")])
        self.assertEqual(self.hear(b"535 no"), [self.bearer(b"two")])
        self.assertEqual(self.hear(b"535 no"), [self.xoauth2(b"two")])
        self.assertEqual(self.hear(b"535 not so"), QUIT)
        self.assertEqual(tokens.noted, [b"one", b"two"])
        self.assertEqual(self.client.evidence, Reply(535, (b"not so",)))
        self.assertEqual(self.client.evidencePhase, Phase.AUTH)
        self.assertIsInstance(self.client.errors[0], AUTHDeclinedError)

    def test_D11_sameToken(self) -> None:
        """
        The same token again is not tried again.
        """
        self.offer(b"XOAUTH2", tokens=Tokens(b"one", b"one"))
        self.assertEqual(self.hear(b"535 no"), QUIT)
        self.assertEqual(self.client.evidence, Reply(535, (b"no",)))

    def test_D11_notTheToken(self) -> None:
        """
        A mechanism that is not known, or a server that has no time, says nothing
        against the token.
        """
        tokens = Tokens(b"one")
        self.offer(self.both, tokens=tokens)
        self.assertEqual(self.hear(b"504 what"), [self.xoauth2(b"one")])
        self.assertEqual(self.hear(b"454 later"), QUIT)
        self.assertEqual(tokens.noted, [])
        self.assertEqual(self.client.evidence, Reply(454, (b"later",)))

    def test_longToken(self) -> None:
        """
        One that does not fit into the command is sent after it (RFC 4954 4).
        """
        token = b"x" * 2000
        self.assertEqual(
            self.offer(b"XOAUTH2", tokens=Tokens(token)), [b"AUTH XOAUTH2"]
        )
        [said] = self.hear(b"334 ")
        self.assertEqual(said, self.xoauth2(token).split()[-1])
        self.assertEqual(self.hear(b"235 yes"), MAIL)
        for length in range(330, 360):
            [said] = self.offer(b"XOAUTH2", tokens=Tokens(b"x" * length))
            self.assertLessEqual(len(said) + 2, 512)

    def test_A09_notInLogs(self) -> None:
        """
        No token is in the log or the evidence, also where the server says it back.
        """
        token = b"eyJtoken.long.enough"
        self.offer(b"XOAUTH2", tokens=Tokens(token, token))
        self.hear(b"334 " + b64(b"{}"))
        self.hear(b"535 " + token + b" is bad: " + self.xoauth2(token))
        [error] = self.client.errors
        places = [self.client.log.str(), error.resp, error.log]
        places += [self.client.evidence.text.encode(), str(error).encode()]
        for place in places:
            for secret in (token, self.xoauth2(token).split()[-1]):
                self.assertNotIn(secret, place)

    def test_refusedFails(self) -> None:
        """
        A failure of what gives the tokens does not hold up the session.
        """

        class Failing(Tokens):
            def refused(self, token: bytes) -> None:
                """
                Fail.
                """
                raise ValueError("no")

        self.offer(b"XOAUTH2", tokens=Failing(b"one", b"two"))
        self.assertEqual(self.hear(b"535 no"), [self.xoauth2(b"two")])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)


class AnythingTests(BestCase):
    """
    Servers that say anything.
    """

    lines = st.one_of(
        st.sampled_from(
            [b"235 yes", b"535 no", b"504 what", b"454 later", b"421 bye", b"334 "]
        ),
        st.binary(max_size=30).map(lambda said: b"334 " + b64(said)),
        st.from_regex(rb"[2345][0-9][0-9][ -][ -~]{0,20}", fullmatch=True),
        st.just(b"334 " + b64(b"r=clientserver,s=c2FsdA==,i=4096")),
    )

    @given(st.lists(lines, max_size=8), st.booleans())
    @settings(max_examples=100, deadline=None)
    def test_A06_anything(self, lines: list[bytes], hasToken: bool) -> None:
        """
        Nothing is raised, no more is said than there are mechanisms, and by SCRAM
        alone no server is given mail that has not shown that it knows the password.
        """
        if hasToken:
            self.offer(TokensTests.both, tokens=Tokens(b"one", b"two", b"three"))
        else:
            self.offer(b"SCRAM-SHA-256 SCRAM-SHA-1 SCRAM-SHA-256-PLUS")
        said = self.hear(*lines)
        commands = [line for line in said if line.startswith(b"AUTH")]
        self.assertLessEqual(len(commands), 3)
        if not hasToken:
            self.assertNotIn(MAIL[0], said)
        if MAIL[0] in said:
            self.assertTrue(any(line.startswith(b"235") for line in lines))


class _Server(LineReceiver):
    """
    A server that wants SCRAM bound to the connection.
    """

    said = b""

    def connectionMade(self) -> None:
        """
        Greet.
        """
        self.sendLine(b"220 hi")

    def lineReceived(self, line: bytes) -> None:
        """
        Answer.
        """
        word = line.split(b" ")[0]
        if word == b"EHLO":
            self.sendLine(b"250-hi")
            self.sendLine(b"250 AUTH PLAIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS")
            return
        if word == b"AUTH":
            self.said = line.split(b" ")[1]
            self.server = SCRAMServer(
                SHA256, b"server", bindingsOf(self.transport), isBound=True
            )
            self.server.respond(base64.b64decode(line.split(b" ")[2]))
            step: Any = self.server.judged(VERIFIER)
        elif word in (b"MAIL", b"QUIT"):
            self.said += b" " + word
            return
        elif not line:
            self.sendLine(b"235 yes")
            return
        else:
            step = self.server.respond(base64.b64decode(line))
        self.sendLine(b"334 " + b64(step.data))


class BoundTests(BestCase):
    """
    SCRAM over real TLS, bound to it.
    """

    def test_bound(self) -> None:
        """
        Both ends see the same connection (RFC 5802 6, RFC 9266).
        """
        certificate = selfSigned("mx.example.org", kind=KeyKind.P256)
        options = optionsForClientTLS("mx.example.org", trustRoot=certificate.trustRoot)
        client, server = Relays(SECRET, None, b"me.example.com"), _Server()
        client.prepare([Mail()])
        client.clock = Clock()
        client.requireAuthentication, client.authenticateInClear = True, False
        client.useBest(b"tim")
        connectTLS(certificate.contextFactory, options, client, server)
        self.assertEqual(server.said, b"SCRAM-SHA-256-PLUS MAIL")
        self.assertEqual(client.errors, [])

    def test_unverified(self) -> None:
        """
        Over TLS that was not verified nothing is said.
        """
        certificate = selfSigned("mx.example.org")
        client, server = Relays(SECRET, None, b"me.example.com"), _Server()
        client.prepare([Mail()])
        client.clock = Clock()
        client.requireAuthentication, client.authenticateInClear = True, False
        client.trustsTLS = False
        client.useBest(b"tim")
        unverified = ssl.ClientContextFactory()
        connectTLS(certificate.contextFactory, unverified, client, server)
        self.assertEqual(server.said, b" QUIT")
        self.assertIsInstance(client.errors[0], AUTHRequiredError)
