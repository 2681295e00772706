# -*- test-case-name: relaymail.test.dialogue.test_bothsecured -*-
"""
The client and the server of the relay, talking to each other over a network in
memory: TLS, and who the client is.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from zope.interface import implementer

from relaymail.deliver import authenticating
from relaymail.envelopes import Entrance, Envelope, Parameters, RecipientParameters
from relaymail.identities import ITokens
from relaymail.intake.authentication import Authentication
from relaymail.intake.checkers import UserRealm, UsersPortal
from relaymail.intake.credentials import IBearerToken
from relaymail.route.hosts import Bearer, Credentials, Host, TLSNeed
from relaymail.test.certificates import writeCertificate
from relaymail.test.dialogue.bothsides import (
    BINARY,
    CONTENT,
    NAME,
    TO,
    BothSidesTestCase,
)
from relaymail.test.intake.test_authentication import Checker
from relaymail.test.intake.test_checkers import CheckerCase
from relaymail.test.intake.test_users import line
from relaymail.test.stories.harness import SENDER, Logged


@implementer(ITokens)
class Tokens:
    """
    Has one token.
    """

    def token(self) -> Deferred[bytes]:
        """
        Give it.
        """
        return succeed(b"some.token")

    def refused(self, token: bytes) -> None:
        """
        Nothing is done about that.
        """


class Only(Authentication):
    """
    Knows one mechanism of those it could.
    """

    only = ""

    def mechanisms(self, *on: Any) -> tuple[str, ...]:
        """
        Give it.
        """
        return tuple(each for each in super().mechanisms(*on) if each == self.only)


class SecuredTestCase(BothSidesTestCase, CheckerCase):
    """
    Two relays, the second one with TLS and users.
    """

    def setUp(self) -> None:
        """
        Make a certificate; there are no threads in memory.
        """
        super().setUp()
        self.patch(authenticating, "deferToThread", maybeDeferred)
        key, self.certificate = writeCertificate(Path(self.mktemp()), NAME)
        self.context = DefaultOpenSSLContextFactory(key, self.certificate)

    def secured(self, **more: Any) -> Host:
        """
        Give what the first one is told of the second.
        """
        return Host(
            NAME,
            tls=TLSNeed.VERIFIED,
            named=True,
            caFile=self.certificate,
            **more,
        )


class TLSTests(SecuredTestCase):
    """
    RFC 3207, and what needs it.
    """

    def test_startTLS(self) -> None:
        """
        All is said again under TLS, and only there is there mail.
        """
        self.serve(contextFactory=self.context, host=self.secured())
        self.assertPassed(self.pass_())
        self.assertEqual(len(self.said(b"EHLO")), 2)
        self.assertEqual(len(self.said(b"STARTTLS")), 1)
        self.assertIn(b" with ESMTPS id ", self.there.added[0][1])

    def test_requireTLS(self) -> None:
        """
        RFC 8689: it is said, and kept, and no more than the header may come back.
        """
        self.serve(contextFactory=self.context, host=self.secured())
        envelope = self.pass_(Parameters(requireTLS=True))
        kept = Parameters(requireTLS=True, ret="HDRS")
        self.assertPassed(replace(envelope, parameters=kept))
        self.assertIn(b" REQUIRETLS", self.said(b"MAIL")[0])

    def test_everything(self) -> None:
        """
        All at once, in chunks.
        """
        self.serve(contextFactory=self.context, host=self.secured())
        parameters = Parameters(
            "BINARYMIME", "HDRS", "id 1", utf8=True, requireTLS=True, priority=3
        )
        own = RecipientParameters("SUCCESS,DELAY", "utf-8;käthe@bücher.example")
        self.assertPassed(
            self.pass_(
                parameters, own, content=BINARY, to=("käthe@xn--bcher-kva.example",)
            ),
            BINARY,
        )


class AuthTests(SecuredTestCase):
    """
    RFC 4954, by each mechanism.
    """

    user, password = "tom@example.com", b"pw"

    def portal(self) -> Portal:
        """
        Make one that can check each mechanism of a password.
        """
        return UsersPortal(self.usersFile(line(self.user, "pw", isClear=True)), None)

    def authenticate(
        self,
        mechanism: str,
        credentials: Any,
        *,
        tls: bool = True,
        portal: Portal | None = None,
    ) -> None:
        """
        Pass a message on, having said who the first relay is.
        """
        authentication = Only(portal or self.portal(), self.world.machine, NAME)
        authentication.only = mechanism
        if tls:
            host = self.secured(credentials=credentials)
        else:
            host = Host(
                NAME,
                tls=TLSNeed.NEVER,
                named=True,
                credentials=credentials,
                authInClear=True,
            )
        self.serve(
            Entrance.SUBMISSION,
            contextFactory=self.context if tls else None,
            authentication=authentication,
            allowsClearAuth=True,
            host=host,
        )
        self.assertPassed(self.pass_())
        (said,) = self.said(b"AUTH")
        self.assertTrue(said.startswith(b"AUTH " + mechanism.encode()), said)
        with_ = b" with ESMTPSA id " if tls else b" with ESMTPA id "
        self.assertIn(with_, self.there.added[0][1])

    def test_passwords(self) -> None:
        """
        PLAIN (RFC 4616), LOGIN, CRAM-MD5 (RFC 2195) and SCRAM-SHA-256 (RFC 7677),
        in clear where the operator says so.
        """
        known = Credentials(self.user, self.password)
        for mechanism in ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"):
            self.setUp()
            self.authenticate(mechanism, known, tls=False)
        for mechanism in ("PLAIN", "LOGIN", "CRAM-MD5"):
            self.setUp()
            self.authenticate(mechanism, known)

    def test_A02_takenOutOfTheOffer(self) -> None:
        """
        Where somebody in between takes the bound mechanism out of what the server
        offers, the server notices (RFC 5802 6).
        """
        known = Credentials(self.user, self.password)
        with self.assertRaises(ValueError), Logged() as logged:
            self.authenticate("SCRAM-SHA-256", known)
        self.assertEqual(self.said(b"MAIL"), [])
        self.assertIn("somebody between us and the server", logged.outcomes[0])

    def test_bound(self) -> None:
        """
        SCRAM-SHA-256-PLUS: both ends take the same of the connection (RFC 9266).
        """
        known = Credentials(self.user, self.password)
        self.authenticate("SCRAM-SHA-256-PLUS", known)

    def test_token(self) -> None:
        """
        OAUTHBEARER (RFC 7628).
        """
        portal = Portal(UserRealm(), [Checker(self.user.encode(), IBearerToken)])
        known = Bearer(self.user, "account", Tokens())
        self.authenticate("OAUTHBEARER", known, portal=portal)

    def test_wrong(self) -> None:
        """
        With a password that is wrong nothing bounces, and nothing is sent.
        """
        authentication = Authentication(self.portal(), self.world.machine, NAME)
        wrong = Credentials(self.user, b"wrong")
        self.serve(
            Entrance.SUBMISSION,
            contextFactory=self.context,
            authentication=authentication,
            host=self.secured(credentials=wrong),
        )
        names: list[str] = []
        added = self.world.queue.add(Envelope(SENDER, (TO,)), CONTENT)
        added.addCallback(names.extend)
        self.world.run(5)
        self.assertEqual(self.there.added, [])
        self.assertEqual(self.said(b"MAIL"), [])
        self.assertRetried(*names)
