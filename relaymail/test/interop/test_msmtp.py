# -*- test-case-name: relaymail.test.interop.test_msmtp -*-
"""
Msmtp gives mail to the relay.
"""

from __future__ import annotations

from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import Portal
from twisted.internet.defer import fail, succeed
from zope.interface import implementer

from relaymail.intake.checkers import UserRealm
from relaymail.intake.credentials import IBearerToken
from relaymail.test.endtoend.harness import MESSAGE, RECIPIENT, SENDER
from relaymail.test.interop.programs import find, run
from relaymail.test.interop.senders import (
    CLEAR_USER,
    ELSEWHERE,
    LMTP,
    PASSWORD,
    SUBMISSION,
    USER,
    SenderTestCase,
)


@implementer(ICredentialsChecker)
class _Tokens:
    """
    Knows one token.
    """

    credentialInterfaces = (IBearerToken,)

    def requestAvatarId(self, credentials: Any) -> Any:
        """
        Say whose it is.
        """
        isGood = credentials.token == b"token-1"
        return succeed(USER.encode()) if isGood else fail(UnauthorizedLogin())


class MsmtpTests(SenderTestCase):
    """
    Msmtp.
    """

    async def msmtp(
        self, port: int, *options: str, to: str = RECIPIENT, fails: bool = False
    ) -> str:
        """
        Have it send the usual message.

        @param fails: Whether it must not succeed.

        @return: What was said, as it shows it.
        """
        words = [find("msmtp"), "--host=127.0.0.1", f"--port={port}", "--debug"]
        words += [f"--from={SENDER}", "--timeout=15", *options, "--", to]
        given = MESSAGE.replace(b"\r\n", b"\n")
        done = await self.running(run, words, given, mayFail=fails)
        said: str = (done.stdout + done.stderr).decode("utf-8", "replace")
        self.assertEqual(bool(done.returncode), fails, said)
        return said

    def trust(self, *, begins: bool = False) -> tuple[str, ...]:
        """
        Give the options for TLS with a certificate that it checks.

        @param begins: Whether TLS begins with the connection.
        """
        starttls = "off" if begins else "on"
        trusted = f"--tls-trust-file={self.ca}"
        return ("--tls=on", f"--tls-starttls={starttls}", trusted)

    async def test_plain(self) -> None:
        """
        It sends in clear.
        """
        relay = self.begin()
        await self.msmtp(self.portOf(relay))
        await self.arrivesWith("ESMTP")
        self.assertContents(self.server.received)

    async def test_starttls(self) -> None:
        """
        It sends over TLS, with a certificate that it checks.
        """
        relay = self.begin()
        await self.msmtp(self.portOf(relay), *self.trust())
        await self.arrivesWith("ESMTPS")
        self.assertContents(self.server.received)

    async def test_authentication(self) -> None:
        """
        It says who it is in each way that both know, without TLS and over TLS of
        both kinds, and takes SCRAM-SHA-256 in clear where it is not told how.
        """
        self.beginForUsers()
        ways = [
            ("submission", "plain", "PLAIN", USER, "ESMTPSA", self.trust()),
            ("submission", "login", "LOGIN", USER, "ESMTPSA", self.trust()),
            ("submission", "cram-md5", "CRAM-MD5", CLEAR_USER, "ESMTPA", ()),
            ("submission", "scram-sha-256", "SCRAM-SHA-256", USER, "ESMTPA", ()),
            ("submission", "on", "SCRAM-SHA-256", CLEAR_USER, "ESMTPA", ()),
            (
                *("submissions", "scram-sha-256", "SCRAM-SHA-256", USER, "ESMTPSA"),
                self.trust(begins=True),
            ),
        ]
        for count, way in enumerate(ways, 1):
            kind, method, mechanism, user, protocol, options = way
            login = _login(method, user)
            said = await self.msmtp(self.portFor(kind), *login, *options)
            self.assertIn(f"--> AUTH {mechanism}", said)
            received = (await self.arrives(count))[-1]
            with_ = f"by relay.example with {protocol} id"
            self.assertIn(with_.encode("ascii"), received.content)
            self.assertFrom(user)
        self.assertContents(self.server.received)

    async def test_token(self) -> None:
        """
        It shows a token (RFC 7628) to a relay whose program knows those.
        """
        portal = Portal(UserRealm(), [_Tokens()])
        self.begin(portal=portal, networks=ELSEWHERE, submission=[SUBMISSION])
        port = self.portFor("submission")
        wrong = _login("oauthbearer", USER, "token-2")
        said = await self.msmtp(port, *wrong, *self.trust(), fails=True)
        self.assertIn("535 5.7.8", said)
        good = _login("oauthbearer", USER, "token-1")
        said = await self.msmtp(port, *good, *self.trust())
        self.assertIn("--> AUTH OAUTHBEARER", said)
        await self.arrivesWith("ESMTPSA")
        self.assertFrom(USER)

    async def test_refused(self) -> None:
        """
        It is told that its password is wrong, and gives up; and it says none where
        it would have to in clear.
        """
        self.beginForUsers()
        port = self.portFor("submission")
        wrong = _login("scram-sha-256", USER, "wrong mule")
        said = await self.msmtp(port, *wrong, fails=True)
        self.assertIn("535 5.7.8", said)
        for method in ("plain", "login"):
            said = await self.msmtp(port, *_login(method, USER), fails=True)
            self.assertNotIn("AUTH PLAIN", said.replace("AUTH LOGIN", "AUTH PLAIN"))
        self.assertEqual(self.server.received, [])

    async def test_notices(self) -> None:
        """
        What it asks to be told goes on to the next host (RFC 3461).
        """
        relay = self.begin()
        asked = ("--dsn-notify=success,failure", "--dsn-return=hdrs")
        await self.msmtp(self.portOf(relay), *asked)
        await self.arrives()
        (mail,), (rcpt,) = self.said("MAIL"), self.said("RCPT")
        self.assertIn("RET=HDRS", mail.split())
        self.assertIn("NOTIFY=SUCCESS,FAILURE", rcpt.split())

    async def test_lmtp(self) -> None:
        """
        It speaks LMTP, by a UNIX socket, too.
        """
        path = str(self.place / "lmtp")
        self.begin(lmtp=[LMTP, f"unix:{path}"])
        ways = [(self.portFor("lmtp"), ()), (24, (f"--socket={path}",))]
        for count, (port, options) in enumerate(ways, 1):
            await self.msmtp(port, "--protocol=lmtp", *options)
            received = (await self.arrives(count))[-1]
            self.assertIn(b"by relay.example with LMTP id", received.content)


def _login(method: str, user: str, password: str = PASSWORD) -> tuple[str, ...]:
    said = f"--passwordeval=echo '{password}'"
    return (f"--auth={method}", f"--user={user}", said)
