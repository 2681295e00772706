"""
Tests for L{relaymail.deliver.esmtpclient}.
"""

from __future__ import annotations

import base64
import hmac
from typing import Any

from OpenSSL import SSL
from twisted.internet import ssl
from twisted.internet.error import ConnectionAborted, ConnectionLost
from twisted.mail._except import (
    AUTHDeclinedError,
    AuthenticationError,
    AUTHRequiredError,
    EHLORequiredError,
    SMTPConnectError,
    SMTPTLSError,
    TLSRequiredError,
)

from relaymail.dialogue.patience import PATIENCE
from relaymail.protections import TLSResult
from relaymail.replies import Phase, Reply, Trouble, TroubleKind
from relaymail.route.peers import Problem
from relaymail.smtp import (
    CramMD5ClientAuthenticator,
    LOGINAuthenticator,
    PLAINAuthenticator,
)
from relaymail.test.deliver.smtpclients import (
    GREETING,
    ClientCase,
    ESends,
    Mail,
    Relays,
    Wire,
)

SECRET = b"correct horse"
MAIL = [b"MAIL FROM:<from@example.com>"]
QUIT = [b"QUIT"]


def b64(text: bytes) -> bytes:
    """
    Encode, without importing it everywhere.
    """
    return base64.b64encode(text)


class HeloFallbackTests(ClientCase):
    """
    Servers that do not know EHLO.
    """

    def test_D07_fallsBack(self) -> None:
        """
        5yz to EHLO leads to HELO.
        """
        for code in (500, 501, 502, 504, 550):
            client = self.connect(ESends, Mail())
            self.assertEqual(self.hear(GREETING), [b"EHLO me.example.com"])
            self.assertEqual(self.hear(b"%d what" % code), [b"HELO me.example.com"])
            self.assertEqual(self.hear(b"250-hi", b"250 SIZE"), MAIL)
            self.assertEqual((client.errors, client.evidence), ([], None))

    def test_D07_onlyOnce(self) -> None:
        """
        HELO refused too is the end: it is not said for ever.
        """
        client = self.toEhlo(ESends, Mail())
        self.hear(b"502 what")
        self.assertEqual(self.hear(b"502 what"), [])
        self.assertTrue(self.wire.disconnecting)
        self.assertIsInstance(client.errors[0], SMTPConnectError)
        self.assertEqual(client.evidence, Reply(502, (b"what",)))

    def test_D07_notWhereMoreIsNeeded(self) -> None:
        """
        It does not where TLS or authentication is required, or it is not
        wanted.
        """
        for name, value in (
            ("requireTransportSecurity", True),
            ("requireAuthentication", True),
            ("heloFallback", False),
        ):
            client = self.toEhlo(ESends, Mail(), **{name: value})
            self.assertEqual(self.hear(b"502 what"), QUIT)
            self.assertIsInstance(client.errors[0], EHLORequiredError)
            self.assertEqual(client.evidence, Reply(502, (b"what",)))
            self.assertEqual(client.evidencePhase, Phase.EHLO)

    def test_D08_notForTemporaryRefusals(self) -> None:
        """
        4yz and nonsense do not say that EHLO is unknown.
        """
        for code in (421, 450, 354):
            client = self.toEhlo(ESends, Mail())
            self.assertEqual(self.hear(b"%d wait" % code), [])
            self.assertTrue(self.wire.disconnecting)
            self.assertEqual(client.evidence, Reply(code, (b"wait",)))
            self.assertIsInstance(client.errors[0], SMTPConnectError)


class STARTTLSTests(ClientCase):
    """
    Tests for STARTTLS (RFC 3207).
    """

    context = ssl.ClientContextFactory()

    def offer(self, *lines: bytes, **kw: Any) -> list[bytes]:
        """
        Connect with a context, greet and answer EHLO.
        """
        self.toEhlo(Relays, Mail(), arguments=(SECRET, self.context), **kw)
        return self.hear(b"250-hi", *lines, b"250 HELP")

    def test_begins(self) -> None:
        """
        STARTTLS is said where it is offered, in any case; EHLO follows.
        """
        self.assertEqual(self.offer(b"250-StartTLS"), [b"STARTTLS"])
        self.assertEqual(self.hear(b"220 go"), [b"EHLO me.example.com"])
        self.assertIs(self.wire.context, self.context)

    def test_A02_clearTextIsThrownAway(self) -> None:
        """
        What came in clear behind the 220 counts for nothing.
        """
        self.offer(b"250-STARTTLS")
        said = self.hear(b"220 go", b"250-hi", b"250-PIPELINING", b"250 AUTH PLAIN")
        self.assertEqual(said, [b"EHLO me.example.com"])
        self.assertEqual(self.hear(b"250 hi"), MAIL)
        self.offer(b"250-STARTTLS")
        self.client.dataReceived(b"220 go\r\n250 PIPE")
        self.said()
        self.client.dataReceived(b"LINING\r\n")
        self.assertTrue(self.wire.disconnecting)

    def test_D10_A02_keywordsAreForgotten(self) -> None:
        """
        What was offered in clear is not used under TLS.
        """
        self.offer(b"250-STARTTLS", b"250-PIPELINING", b"250-SIZE", b"250-AUTH PLAIN")
        self.client.registerAuthenticator(PLAINAuthenticator(b"tim"))
        self.hear(b"220 go")
        self.assertEqual(dict(self.client.extensions.keywords), {})
        self.assertEqual(self.hear(b"250 hi"), MAIL)

    def test_D10_ehloFailsUnderTLS(self) -> None:
        """
        EHLO refused under TLS, where that is needed for more, is the end.
        """
        self.offer(b"250-STARTTLS", requireAuthentication=True)
        self.hear(b"220 go")
        self.client.handshakeCompleted()
        self.assertEqual(self.hear(b"502 what"), QUIT)
        self.assertEqual(self.client.evidencePhase, Phase.EHLO)

    def test_A02_notOfferedTwice(self) -> None:
        """
        Under TLS it is not said again.
        """
        self.offer(b"250-STARTTLS")
        self.hear(b"220 go")
        self.assertEqual(self.hear(b"250-hi", b"250 STARTTLS"), MAIL)

    def test_A02_required(self) -> None:
        """
        Nothing is sent in clear where TLS is required and not offered.
        """
        for context in (self.context, None):
            client = self.toEhlo(
                Relays, Mail(), arguments=(None, context), requireTransportSecurity=True
            )
            offered = b"250 STARTTLS" if context is None else b"250 HELP"
            self.assertEqual(self.hear(b"250-hi", offered), QUIT)
            self.assertIsInstance(client.errors[0], TLSRequiredError)
            assert isinstance(client.evidence, Trouble)
            self.assertEqual(client.evidence.kind, TroubleKind.TLS)

    def test_D09_A02_refused(self) -> None:
        """
        STARTTLS refused: nothing goes on in clear, required or not.
        """
        for code in (454, 500, 250):
            said = self.offer(b"250-STARTTLS")
            self.assertEqual(self.hear(b"%d no" % code), QUIT, said)
            self.assertIsInstance(self.client.errors[0], SMTPTLSError)
            self.assertEqual(self.client.evidencePhase, Phase.STARTTLS)

    def test_D09_A02_cannotStart(self) -> None:
        """
        A context that cannot be used: nothing goes on in clear.
        """
        self.offer(b"250-STARTTLS")

        def startTLS(context: object) -> None:
            raise RuntimeError("no such cipher")

        self.patch(self.wire, "startTLS", startTLS)
        self.assertEqual(self.hear(b"220 go"), QUIT)
        self.assertIsInstance(self.client.errors[0], SMTPTLSError)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_D09_handshakeFails(self) -> None:
        """
        What ends the connection before the handshake is done is noted as TLS's.
        """
        self.offer(b"250-STARTTLS", phaseTimeouts=PATIENCE)
        self.hear(b"220 go")
        self.lose(ValueError("certificate verify failed"))
        assert isinstance(self.client.evidence, Trouble)
        self.assertEqual(self.client.evidence.kind, TroubleKind.TLS)
        self.assertEqual(self.client.evidencePhase, Phase.STARTTLS)

    def test_D09_handshakeTimesOut(self) -> None:
        """
        The handshake has a limit; EHLO behind it has its own.
        """
        self.offer(b"250-STARTTLS", phaseTimeouts=PATIENCE)
        self.hear(b"220 go")
        self.clock.advance(PATIENCE[Phase.STARTTLS] - 1)
        self.client.handshakeCompleted()
        self.assertEqual(self.client.phase, Phase.EHLO)
        self.clock.advance(PATIENCE[Phase.EHLO])
        self.assertEqual(self.client.evidence, Trouble(Phase.EHLO, TroubleKind.TIMEOUT))

    def look(self, problem: Problem | None) -> Any:
        """
        Give what looks at hosts, and notes what it was shown.
        """
        self.shown: list[Any] = []

        def check(handle: Any) -> Problem | None:
            self.shown.append(handle)
            return problem

        return check

    def test_A02_EHLOWaitsForTheCheck(self) -> None:
        """
        Where more is to be seen than the handshake sees, EHLO is written when it was
        seen, and not behind the handshake.
        """
        self.offer(b"250-STARTTLS", peerCheck=self.look(None), phaseTimeouts=PATIENCE)
        self.assertEqual(self.hear(b"220 go"), [])
        self.assertEqual((self.client.phase, self.shown), (Phase.STARTTLS, []))
        self.client.handshakeCompleted()
        self.assertEqual(self.shown, [self.context])
        self.assertEqual(self.said(), [b"EHLO me.example.com"])
        self.assertEqual(self.client.phase, Phase.EHLO)
        self.assertEqual(self.hear(b"250 hi"), MAIL)

    def test_A02_D09_notTheHost(self) -> None:
        """
        To one that is not the host nothing is said, and what it says is not heard;
        also where TLS begins with the connection.
        """
        problem = Problem(TLSResult.WRONG_NAME, "it is another")
        wanted = Trouble(
            Phase.STARTTLS, TroubleKind.TLS, "it is another", TLSResult.WRONG_NAME
        )
        for isImplicit in (False, True):
            if isImplicit:
                self.connect(Relays, Mail(), arguments=(SECRET, self.context))
                self.client.peerCheck = self.look(problem)
            else:
                self.offer(b"250-STARTTLS", peerCheck=self.look(problem))
                self.hear(b"220 go")
            self.client.handshakeCompleted()
            self.assertTrue(self.wire.disconnected)
            self.assertEqual(self.client.evidence, wanted)
            self.assertEqual(self.client.evidencePhase, Phase.STARTTLS)
            self.assertEqual(self.hear(GREETING, b"250 hi", b"250 hi"), [])
            self.lose(ConnectionAborted())
            self.assertEqual(self.client.evidence, wanted)

    def test_D09_results(self) -> None:
        """
        Whatever ends the handshake has a name in reports, and so has TLS that is not
        to be had (RFC 8460 4.3).
        """
        for answer, result in (
            (b"454 no", TLSResult.NO_STARTTLS),
            (b"what?", TLSResult.FAILED),
        ):
            self.offer(b"250-STARTTLS", phaseTimeouts=PATIENCE)
            self.hear(answer)
            self.assertIs(getattr(self.client.evidence, "result", None), result)
        for end in (
            lambda: self.lose(ConnectionLost()),
            lambda: self.lose(SSL.Error([("", "", "wrong version number")])),
            lambda: self.clock.advance(PATIENCE[Phase.STARTTLS]),
        ):
            self.offer(b"250-STARTTLS", phaseTimeouts=PATIENCE)
            self.hear(b"220 go")
            end()
            self.assertIs(
                getattr(self.client.evidence, "result", None), TLSResult.FAILED
            )
        self.toEhlo(Relays, Mail(), requireTransportSecurity=True)
        self.hear(b"250 hi")
        self.assertIs(
            getattr(self.client.evidence, "result", None), TLSResult.NO_STARTTLS
        )
        self.assertIn("does not offer STARTTLS", str(self.client.evidence))

    def test_handshakeOfImplicitTLS(self) -> None:
        """
        A handshake before the greeting changes nothing.
        """
        client = self.connect(ESends, Mail())
        client.handshakeCompleted()
        self.assertEqual(client.phase, Phase.GREETING)

    def test_tlsMode(self) -> None:
        """
        C{tlsMode} works as in Twisted, and warns.
        """
        client = self.connect(ESends, Mail())
        self.assertIs(client.tlsMode, False)
        client.tlsMode = True
        self.assertIs(client._tlsMode, True)
        self.assertEqual(len(self.flushWarnings()), 2)


class AuthTests(ClientCase):
    """
    Tests for AUTH (RFC 4954).
    """

    def offer(self, mechanisms: bytes, *authenticators: Any, **kw: Any) -> list[bytes]:
        """
        Connect, greet, and offer mechanisms.
        """
        kw = {"requireAuthentication": True, **kw}
        client = self.toEhlo(Relays, Mail(), arguments=(SECRET, None), **kw)
        for authenticator in authenticators:
            client.registerAuthenticator(authenticator(b"tim"))
        return self.hear(b"250-hi", b"250 AUTH " + mechanisms)

    def test_PLAIN(self) -> None:
        """
        PLAIN is one line; once more in its other form if it is refused.
        """
        first, second = b64(b"tim\0tim\0" + SECRET), b64(b"\0tim\0" + SECRET)
        self.assertEqual(
            self.offer(b"plain", PLAINAuthenticator), [b"AUTH PLAIN " + first]
        )
        self.assertEqual(self.client.phase, Phase.AUTH)
        self.assertEqual(self.hear(b"535 no"), [b"AUTH PLAIN " + second])
        self.assertEqual(self.hear(b"235 yes"), MAIL)

    def test_LOGIN(self) -> None:
        """
        LOGIN is two answers.
        """
        self.assertEqual(self.offer(b"LOGIN", LOGINAuthenticator), [b"AUTH LOGIN"])
        self.assertEqual(self.hear(b"334 " + b64(b"Username:")), [b64(b"tim")])
        self.assertEqual(self.hear(b"334 " + b64(b"Password:")), [b64(SECRET)])
        self.assertEqual(self.hear(b"235 yes"), MAIL)

    def test_CRAMMD5(self) -> None:
        """
        CRAM-MD5 answers a challenge.
        """
        said = self.offer(b"CRAM-MD5", CramMD5ClientAuthenticator)
        self.assertEqual(said, [b"AUTH CRAM-MD5"])
        digest = hmac.new(SECRET, b"<1@mx>", "md5").hexdigest().encode()
        self.assertEqual(self.hear(b"334 " + b64(b"<1@mx>")), [b64(b"tim " + digest)])
        self.assertEqual(self.hear(b"235 yes"), MAIL)

    def test_ourOrder(self) -> None:
        """
        The mechanism registered first is tried first, whatever the server's
        order.
        """
        all3 = CramMD5ClientAuthenticator, LOGINAuthenticator, PLAINAuthenticator
        self.assertEqual(self.offer(b"PLAIN LOGIN CRAM-MD5", *all3), [b"AUTH CRAM-MD5"])
        self.assertEqual(self.offer(b"PLAIN LOGIN", *all3), [b"AUTH LOGIN"])

    def test_D11_nextMechanism(self) -> None:
        """
        A mechanism refused for good leads to the next, and the last to the
        end.
        """
        self.offer(b"LOGIN CRAM-MD5", CramMD5ClientAuthenticator, LOGINAuthenticator)
        self.hear(b"334 " + b64(b"<1@mx>"))
        self.assertEqual(self.hear(b"504 not that"), [b"AUTH LOGIN"])
        self.hear(b"334 ")
        self.hear(b"334 ")
        self.assertEqual(self.hear(b"535 no"), QUIT)
        self.assertIsInstance(self.client.errors[0], AUTHDeclinedError)
        self.assertEqual(self.client.evidence, Reply(535, (b"no",)))
        self.assertEqual(self.client.evidencePhase, Phase.AUTH)

    def test_D11_temporary(self) -> None:
        """
        One that is refused for now is not: the next would be as well.
        """
        self.offer(b"LOGIN CRAM-MD5", CramMD5ClientAuthenticator, LOGINAuthenticator)
        self.assertEqual(self.hear(b"454 wait"), QUIT)
        self.assertIsInstance(self.client.errors[0], AuthenticationError)
        self.assertEqual(self.client.evidence, Reply(454, (b"wait",)))

    def test_A09_A02_notInClear(self) -> None:
        """
        The secret is not used in clear unless that is allowed, nor under TLS
        that was not verified.
        """
        self.assertEqual(
            self.offer(b"PLAIN", PLAINAuthenticator, authenticateInClear=False), QUIT
        )
        self.assertIsInstance(self.client.errors[0], AUTHRequiredError)
        assert isinstance(self.client.evidence, Trouble)
        self.assertEqual(self.client.evidence.kind, TroubleKind.AUTH)
        for trusts, wanted in ((False, b"QUIT"), (True, b"AUTH PLAIN")):
            self.toEhlo(
                Relays,
                Mail(),
                arguments=(SECRET, ssl.ClientContextFactory()),
                requireAuthentication=True,
                authenticateInClear=False,
                trustsTLS=trusts,
            )
            self.client.registerAuthenticator(PLAINAuthenticator(b"tim"))
            self.hear(b"250-hi", b"250 STARTTLS")
            self.hear(b"220 go")
            [said] = self.hear(b"250-hi", b"250 AUTH PLAIN")
            self.assertTrue(said.startswith(wanted))

    def test_notRequired(self) -> None:
        """
        Where it is not required the mail goes without it.
        """
        for kw in ({"authenticateInClear": False}, {"secret": b""}):
            said = self.offer(
                b"PLAIN", PLAINAuthenticator, requireAuthentication=False, **kw
            )
            self.assertEqual(said, MAIL)

    def test_noMechanism(self) -> None:
        """
        Where it is, and no mechanism is known to both, the mail does not go.
        """
        self.assertEqual(self.offer(b"GSSAPI", PLAINAuthenticator), QUIT)
        self.assertIsInstance(self.client.errors[0], AUTHRequiredError)
        self.assertIn(b"[PLAIN]", self.client.errors[0].resp)

    def test_D11_malformedChallenge(self) -> None:
        """
        A challenge that is no base64 is not answered (RFC 4954 4).
        """
        self.offer(b"LOGIN", LOGINAuthenticator)
        self.assertEqual(self.hear(b"334 x"), [b"*"])
        self.assertEqual(self.hear(b"501 cancelled"), QUIT)
        self.assertIsInstance(self.client.errors[0], AuthenticationError)

    def test_A06_endlessChallenges(self) -> None:
        """
        Neither is one too many.
        """
        self.offer(b"LOGIN", LOGINAuthenticator)
        said: list[bytes] = []
        for _ in range(20):
            said = self.hear(b"334 ")
            if said == [b"*"]:
                break
        self.assertEqual(said, [b"*"])

    def test_A09_notInLogs(self) -> None:
        """
        No response is in the log, or in an error, also where the server says
        it back.
        """
        plain = b64(b"tim\0tim\0" + SECRET), b64(b"\0tim\0" + SECRET)
        self.offer(b"PLAIN LOGIN", PLAINAuthenticator, LOGINAuthenticator)
        self.hear(b"502 unknown command AUTH PLAIN " + plain[0])
        self.hear(b"535-bad line:", b"535 AUTH PLAIN " + plain[1])
        self.hear(b"334 " + b64(b"Username:"))
        self.hear(b"334 " + b64(b"Password:"))
        self.hear(b"535 " + b64(SECRET) + b" is wrong, and so is " + SECRET)
        [error] = self.client.errors
        texts = [str(error), repr(error), self.client.evidence.text]
        places = [self.client.log.str(), error.resp, error.log]
        places += [text.encode() for text in texts]
        for place in places:
            for secret in (*plain, SECRET, b64(SECRET)):
                self.assertNotIn(secret, place)
        self.assertIn(b"AUTH PLAIN (response)", self.client.log.str())

    def test_A03_identityThatCannotBeSaid(self) -> None:
        """
        A NUL in the identity is told as an error of ours; nothing is written.
        """
        client = self.toEhlo(
            Relays, Mail(), arguments=(SECRET, None), requireAuthentication=True
        )
        client.registerAuthenticator(PLAINAuthenticator(b"tim\0root"))
        self.assertEqual(self.hear(b"250-hi", b"250 AUTH PLAIN"), [])
        self.assertTrue(self.wire.disconnecting)
        self.assertIsInstance(client.errors[0], AuthenticationError)
        assert isinstance(client.evidence, Trouble)
        self.assertEqual(client.evidence.kind, TroubleKind.AUTH)

    def test_unknownAttribute(self) -> None:
        """
        What is not there is an C{AttributeError}.
        """
        client: Any = self.connect(ESends)
        error = self.assertRaises(AttributeError, getattr, client, "nonsense")
        self.assertIn("nonsense", str(error))

    def test_transportOfTests(self) -> None:
        """
        The transport of these tests is not under TLS from its begin.
        """
        self.connect(ESends)
        self.assertIsInstance(self.wire, Wire)
        self.assertIs(self.client._tlsMode, False)
