# -*- test-case-name: relaymail.test.stories.test_starttls -*-
"""
TLS that is offered, needed, broken, or of somebody else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.protocols import tls

from relaymail.route.hosts import Credentials, Host, TLSNeed
from relaymail.test.certificates import writeCertificate
from relaymail.test.stories.harness import (
    FIRST,
    SECOND,
    SENDER,
    Logged,
    StoryTestCase,
)
from relaymail.testing.servers import KEYWORDS, Act, SMTPServer

OFFERING = (*KEYWORDS, "STARTTLS")


class TLSTestCase(StoryTestCase):
    """
    A story with certificates.

    @ivar certificate: The path of the certificate of mx.example.org.
    """

    def setUp(self) -> None:
        super().setUp()
        key, self.certificate = writeCertificate(Path(self.mktemp()), "mx.example.org")
        self.context = DefaultOpenSSLContextFactory(key, self.certificate)

    def smartHost(self, name: str = "mx.example.org", **options: Any) -> None:
        """
        Send all mail to one named host.
        """
        self.set(smartHosts=(Host(name, named=True, **options),))
        self.world.zones[name] = {"A": [FIRST]}

    def tlsHost(self, answers: Any = None) -> SMTPServer:
        """
        Put a host there whose TLS works.
        """
        return self.world.host(FIRST, answers, contextFactory=self.context)


class OfferedTests(TLSTestCase):
    """
    Tests for TLS that is used where it is offered.
    """

    def test_offered(self) -> None:
        """
        TLS that is offered is used, whosever certificate it is, and the log
        says so.
        """
        mx = self.tlsHost()
        with Logged() as logged:
            self.relayed()
        self.assertTrue(mx.received[0].session.isTLS)
        self.assertIn(" tls=TLSv1.3 ", logged.outcomes[0])
        self.assertEmpty()

    def test_notOffered(self) -> None:
        """
        Without it mail goes in clear.
        """
        mx = self.world.host(FIRST)
        self.relayed()
        self.assertEqual(len(mx.received), 1)

    def assertInClear(self, **answers: Any) -> None:
        """
        The same host is tried once more at once, without TLS.
        """
        mx = self.world.host(FIRST, answers, keywords=OFFERING)
        with Logged() as logged:
            self.relayed(seconds=0)
        self.assertEqual([m.session for m in mx.received], [mx.sessions[1]])
        self.assertNotIn("STARTTLS", mx.sessions[1].commands)
        self.assertIn(" tls=- ", logged.outcomes[0])
        self.assertIn(" attempts=1 ", logged.outcomes[0])
        self.assertEmpty()

    def test_D09_brokenHandshakeGoesInClear(self) -> None:
        """
        A handshake that fails: once more in clear (RFC 7435).
        """
        self.assertInClear()

    def test_D09_454GoesInClear(self) -> None:
        """
        So does a STARTTLS that is refused for now.
        """
        self.assertInClear(STARTTLS="454 4.7.0 TLS not available")

    def test_D09_refusedForGoodGoesInClear(self) -> None:
        """
        Or for good.
        """
        self.assertInClear(STARTTLS="502 5.5.1 What?")

    def test_D09_garbageGoesInClear(self) -> None:
        """
        Or answered with what is no TLS.
        """
        self.assertInClear(STARTTLS="220 Go on\nHELLO HELLO HELLO HELLO")

    def test_D09_onlyOnce(self) -> None:
        """
        If that does not work either it is the next host's turn.
        """
        self.twoHosts()
        second = self.world.host(SECOND)
        self.world.host(FIRST, {"MAIL": "451 Later"}, keywords=OFFERING)
        self.relayed()
        self.assertEqual(
            [host for host, _ in self.world.network.tried], [FIRST, FIRST, SECOND]
        )
        self.assertEqual(len(second.received), 1)

    def test_A02_neverInClearWithCredentials(self) -> None:
        """
        A host that gets a password is not spoken to in clear because its TLS
        is broken.
        """
        self.smartHost(tls=TLSNeed.OFFERED, credentials=Credentials("u", b"secret"))
        mx = self.world.host(FIRST, keywords=(*OFFERING, "AUTH PLAIN"))
        self.assertRetried(*self.relayed())
        self.assertEqual(len(mx.sessions), 1)
        self.assertFalse([c for c in mx.sessions[0].commands if "AUTH" in c])


class NeededTests(TLSTestCase):
    """
    Tests for TLS that is needed.
    """

    def test_encrypted(self) -> None:
        """
        ENCRYPTED does not look at the certificate.
        """
        self.smartHost("other.example.org", tls=TLSNeed.ENCRYPTED)
        mx = self.tlsHost()
        self.relayed()
        self.assertTrue(mx.received[0].session.isTLS)

    def test_D09_neededAndNotOffered(self) -> None:
        """
        Where it is needed and not offered no mail goes, and the name rests.
        """
        self.smartHost(tls=TLSNeed.ENCRYPTED)
        mx = self.world.host(FIRST)
        self.assertRetried(*self.relayed())
        self.assertFalse([c for c in mx.sessions[0].commands if "MAIL" in c])

    def test_D09_neededAndBroken(self) -> None:
        """
        Where it is needed and broken it is not tried in clear: next host.
        """
        first = Host("mx1.example.org", tls=TLSNeed.ENCRYPTED, named=True)
        second = Host("mx2.example.org", tls=TLSNeed.NEVER, named=True)
        self.twoHosts()
        self.set(smartHosts=(first, second))
        mx1 = self.world.host(FIRST, keywords=OFFERING)
        mx2 = self.world.host(SECOND)
        self.relayed()
        self.assertEqual((len(mx1.received), len(mx2.received)), (0, 1))
        self.assertEqual(len(mx1.sessions), 1)

    def test_verified(self) -> None:
        """
        VERIFIED takes a certificate for the name from whom it trusts.
        """
        self.smartHost(tls=TLSNeed.VERIFIED, caFile=self.certificate)
        mx = self.tlsHost()
        self.relayed()
        self.assertEqual(len(mx.received), 1)

    def test_implicitTLS(self) -> None:
        """
        TLS that starts with the connection (RFC 8314 3) is TLS before the
        greeting, and no STARTTLS follows.
        """
        self.patch(tls, "_get_default_clock", lambda: self.world.network)
        self.smartHost(
            tls=TLSNeed.VERIFIED, caFile=self.certificate, implicitTLS=True, port=465
        )
        mx = self.world.host(FIRST, contextFactory=self.context, implicitTLS=True)
        with Logged() as logged:
            self.relayed()
        self.assertEqual(len(mx.received), 1)
        self.assertNotIn("STARTTLS", mx.sessions[0].commands)
        self.assertEqual(self.world.network.tried, [(FIRST, 465)])
        self.assertIn(" tls=TLSv1.3 ", logged.outcomes[0])

    def assertNotTrusted(self, mx: SMTPServer) -> None:
        """
        Nothing was said to a host once it had shown its certificate.
        """
        self.assertEqual(mx.received, [])
        said = [c for session in mx.sessions for c in session.commands]
        self.assertFalse([c for c in said if "MAIL" in c or "AUTH" in c])

    def test_D09_certificateForAnotherName(self) -> None:
        """
        One for another name is refused, before EHLO, and the mail waits.
        """
        self.smartHost(
            "other.example.org", tls=TLSNeed.VERIFIED, caFile=self.certificate
        )
        mx = self.tlsHost()
        with Logged() as logged:
            names = self.relayed()
        self.assertRetried(*names)
        self.assertNotTrusted(mx)
        self.assertIn(" status=4.7.5 ", logged.outcomes[0])

    def test_D09_certificateOfNobody(self) -> None:
        """
        One that nobody trusted signed is refused.
        """
        self.smartHost(tls=TLSNeed.VERIFIED)
        mx = self.tlsHost()
        self.assertRetried(*self.relayed())
        self.assertNotTrusted(mx)

    def test_badFileOfCertificatesRetries(self) -> None:
        """
        A file of certificates that cannot be used is the operator's to mend:
        the mail waits, and nothing is sent.
        """
        path = self.mktemp()
        for content in (None, b"", b"-----END CERTIFICATE-----"):
            self.setUp()
            if content is not None:
                Path(path).write_bytes(content)
            self.smartHost(tls=TLSNeed.VERIFIED, caFile=path)
            mx = self.tlsHost()
            self.assertRetried(*self.relayed())
            self.assertNotTrusted(mx)

    def test_hostNameWithUnderscoreRetries(self) -> None:
        """
        A host whose name no certificate can have is not the mail's fault.
        """
        self.smartHost("mx_1.example.org", tls=TLSNeed.VERIFIED)
        mx = self.tlsHost()
        self.assertRetried(*self.relayed())
        self.assertNotTrusted(mx)


class CredentialsTests(TLSTestCase):
    """
    Tests for smart hosts that want to know who is there.
    """

    def setUp(self) -> None:
        super().setUp()
        self.smartHost(
            tls=TLSNeed.VERIFIED,
            caFile=self.certificate,
            credentials=Credentials("user", b"secret"),
        )

    def test_A09_passwordIsGivenAndNotLogged(self) -> None:
        """
        The password goes to the host, and into no log line.
        """
        mx = self.tlsHost()
        mx.users["user"] = "secret"
        with Logged() as logged:
            self.relayed()
        self.assertEqual(mx.received[0].session.user, "user")
        self.assertNotIn("secret", "".join(map(repr, logged.events)))
        self.assertNotIn("c2VjcmV0", "".join(map(repr, logged.events)))

    def test_D11_wrongPasswordNeverBounces(self) -> None:
        """
        Mail is not bounced for our wrong password.
        """
        mx = self.tlsHost()
        mx.users["user"] = "other"
        with Logged() as logged:
            self.assertRetried(*self.relayed())
        self.assertIn("535 5.7.8", logged.outcomes[0])

    def test_D11_noAuthOfferedRetries(self) -> None:
        """
        Nor because the host does not want to know who is there.
        """
        mx = self.tlsHost()
        self.assertRetried(*self.relayed())
        self.assertEqual(mx.received, [])

    def test_A02_notOverTLSThatWasNotVerified(self) -> None:
        """
        A password is not given over TLS with a certificate that nobody looked
        at.
        """
        self.smartHost(
            tls=TLSNeed.ENCRYPTED, credentials=Credentials("user", b"secret")
        )
        mx = self.tlsHost()
        mx.users["user"] = "secret"
        self.assertRetried(*self.relayed())
        self.assertFalse([c for c in mx.sessions[0].commands if "AUTH" in c])

    def test_senderIsTold(self) -> None:
        """
        Also notices go to the smart host.
        """
        mx = self.tlsHost({"RCPT b@example.org": "550 No"})
        mx.users["user"] = "secret"
        self.relayed()
        self.assertEqual([m.recipients for m in mx.received], [(SENDER,)])

    def test_closedWithinTheHandshake(self) -> None:
        """
        A connection that ends within the handshake is a retry.
        """
        self.tlsHost({"STARTTLS": Act.CLOSE})
        self.assertRetried(*self.relayed())
