# -*- test-case-name: relaymail.test.endtoend.test_submission -*-
"""
Tests for the ports where people hand in mail, and for those of LMTP, with what
Python's own library has as clients.
"""

from __future__ import annotations

import os
import smtplib
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread

from relaymail.configuration import configure
from relaymail.errors import ConfigurationError
from relaymail.intake.users import lineFor
from relaymail.service import Relay
from relaymail.test.certificates import writeCertificate
from relaymail.test.directories import shortDirectory
from relaymail.test.endtoend.harness import (
    CLIENT_PATIENCE,
    LOCAL,
    MESSAGE,
    RECIPIENT,
    SENDER,
    EndToEndTestCase,
)
from relaymail.test.endtoend.test_proxied import (
    HEADERS,
    Announcing,
    anyCertificate,
)

USER, PASSWORD = "me", "correct horse"
#: Each is a port that the system chooses; what they are called must differ.
SMTP, SUBMISSION, SUBMISSIONS, LMTP = (
    "tcp:0:interface=127.0.0.1",
    "tcp:port=0:interface=127.0.0.1",
    "tcp:0:backlog=50:interface=127.0.0.1",
    "tcp:0:backlog=51:interface=127.0.0.1",
)
OTHER = "c@one.example"


class EntrancesTestCase(EndToEndTestCase):
    """
    A relay with ports of all kinds.
    """

    def setUp(self) -> None:
        """
        Write a certificate, and a file of users.
        """
        super().setUp()
        self.key, self.cert = writeCertificate(self.directory, "127.0.0.1")
        self.users = self.directory / "users"
        self.write(USER, PASSWORD)
        self.server = self.startServer()

    def write(self, user: str, password: str) -> None:
        """
        Write a file of one user.
        """
        line = lineFor(user, password.encode(), iterations=4096)
        other = Path(f"{self.users}.new")
        other.touch(0o600)
        other.write_text(f"# who may send\n{line}\n")
        os.replace(other, self.users)

    def settings(self, **more: Any) -> dict[str, Any]:
        """
        Give what the relay is told: nobody may relay without saying who it is.
        """
        return {
            "queue": self.directory / "spool",
            **LOCAL,
            "smtp": SMTP,
            "submission": SUBMISSION,
            "submissions": SUBMISSIONS,
            "networks": "192.0.2.0/24",
            "smartHosts": [self.server.address],
            "users": self.users,
            "tlsKey": self.key,
            "tlsCert": self.cert,
            **more,
        }

    def start(self, **more: Any) -> Relay:
        """
        Start one.
        """
        return self.startRelay(**self.settings(**more))

    def port(self, relay: Relay, kind: str) -> int:
        """
        Give the port of a kind.
        """
        openings = zip(relay.addresses, relay.openings, strict=True)
        (port,) = (at.port for at, opening in openings if opening.kind == kind)
        assert isinstance(port, int)
        return port

    async def talk(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """
        Talk to the relay, in a thread.
        """
        return await deferToThread(function, *arguments)


def handIn(
    make: Callable[[], smtplib.SMTP], user: str = USER, password: str = PASSWORD
) -> str:
    """
    Hand in a message, where a name is given after saying who it is from.

    @param make: Makes a client.

    @return: What the relay has against it, in a code.
    """
    with make() as client:
        try:
            if user:
                client.login(user, password)
            client.sendmail(SENDER, [RECIPIENT], MESSAGE)
        except smtplib.SMTPResponseException as e:
            return str(e.smtp_code)
        except smtplib.SMTPNotSupportedError:
            return "no AUTH"
    return ""


def overSTARTTLS(port: int) -> smtplib.SMTP:
    """
    Begin TLS in the session.
    """
    client = smtplib.SMTP("127.0.0.1", port, timeout=CLIENT_PATIENCE)
    client.starttls(context=anyCertificate())
    return client


def overTLS(port: int) -> smtplib.SMTP:
    """
    Begin with TLS.
    """
    context = anyCertificate()
    return smtplib.SMTP_SSL("127.0.0.1", port, timeout=CLIENT_PATIENCE, context=context)


class SubmissionTests(EntrancesTestCase):
    """
    People hand in mail.
    """

    async def test_startTLS(self) -> None:
        """
        By STARTTLS and a password, and the field says so.
        """
        port = self.port(self.start(), "submission")
        self.assertEqual(await self.talk(handIn, lambda: overSTARTTLS(port)), "")
        (received,) = await self.server.whenReceived(1)
        trace = received.content.partition(b"\r\nFrom:")[0]
        self.assertIn(b" with ESMTPSA", trace)

    async def test_implicitTLS(self) -> None:
        """
        With TLS from the first octet on it is the same, and there is no STARTTLS.
        """
        port = self.port(self.start(), "submissions")
        self.assertEqual(await self.talk(handIn, lambda: overTLS(port)), "")
        (received,) = await self.server.whenReceived(1)
        trace = received.content.partition(b"\r\nFrom:")[0]
        self.assertIn(b" with ESMTPSA", trace)

        def offers() -> dict[str, str]:
            with overTLS(port) as client:
                client.ehlo()
                return client.esmtp_features

        found = await self.talk(offers)
        self.assertNotIn("starttls", found)
        # The channel is bound to the connection here, too (RFC 9266).
        self.assertIn("SCRAM-SHA-256-PLUS", found["auth"])

    async def test_A04_whoDoesNotSay(self) -> None:
        """
        Who does not say who it is, or not rightly, hands in nothing, also from a
        network that may relay elsewhere.
        """
        relay = self.start(networks="127.0.0.0/8")
        port = self.port(relay, "submission")
        self.assertEqual(await self.talk(handIn, lambda: overSTARTTLS(port), ""), "530")
        wrong = (lambda: overSTARTTLS(port), USER, "wrong mule")
        self.assertEqual(await self.talk(handIn, *wrong), "535")
        self.assertNotIn("mule", "\n".join(self.logged()))

    async def test_A02_inClear(self) -> None:
        """
        A password is not taken in clear: what says it is not offered.
        """
        port = self.port(self.start(), "submission")

        def offered() -> str:
            with smtplib.SMTP("127.0.0.1", port, timeout=CLIENT_PATIENCE) as client:
                client.ehlo()
                return str(client.esmtp_features.get("auth", ""))

        found = await self.talk(offered)
        self.assertNotIn("PLAIN", found)
        self.assertNotIn("LOGIN", found)

    async def test_newUser(self) -> None:
        """
        The file of users is read again when it has changed.
        """
        port = self.port(self.start(), "submissions")
        self.write("you", "battery staple")
        you = (lambda: overTLS(port), "you", "battery staple")
        self.assertEqual(await self.talk(handIn, *you), "")
        self.assertEqual(await self.talk(handIn, lambda: overTLS(port)), "535")

    async def test_reload(self) -> None:
        """
        A certificate that replaces another is that of the next connection, before a
        reload and behind it; a file of users that cannot be used is taken with nothing
        else.
        """
        relay = self.start()
        port = self.port(relay, "submissions")
        before = await self.talk(certificate, port)
        writeCertificate(self.directory, "127.0.0.1")
        after = await self.talk(certificate, port)
        self.assertNotEqual(after, before)
        await relay.reload(configure(**self.settings()))
        self.assertEqual(await self.talk(certificate, port), after)
        other = self.directory / "others"
        other.touch(0o600)
        other.write_text("me without a colon\n")
        told = configure(**self.settings(users=other))
        await self.assertFailure(relay.reload(told), ConfigurationError)
        self.assertEqual(await self.talk(handIn, lambda: overTLS(port)), "")

    async def test_announced(self) -> None:
        """
        A proxy says first whom it speaks for, in clear, before TLS too; the client
        authenticates as ever.
        """
        relay = self.start(proxies="127.0.0.1")
        for name, header in HEADERS.items():
            port = self.port(relay, "submissions")
            made = await self.talk(handIn, lambda: Announcing(header, port, True))  # noqa: B023
            self.assertEqual(made, "", name)
        told = [line for line in self.logged() if "taken from 192.0.2.1" in line]
        self.assertEqual(len(told), len(HEADERS))


def certificate(port: int) -> bytes | None:
    """
    Give the certificate that a port shows.
    """
    with overTLS(port) as client:
        assert isinstance(client.sock, ssl.SSLSocket)
        return client.sock.getpeercert(binary_form=True)


class LMTPTests(EntrancesTestCase):
    """
    A relay of one's own site hands on mail.
    """

    def deliver(self, host: str, port: int = 0) -> tuple[Any, bytes]:
        """
        Give a message for two.

        @return: Who was refused, and what EHLO is called.
        """
        with smtplib.LMTP(host, port) as client:
            refused = client.sendmail(SENDER, [RECIPIENT, OTHER], MESSAGE)
            # The library reads one of the replies to the message.
            code, _ = client.getreply()
            return refused, b"%d" % code

    async def test_tcp(self) -> None:
        """
        Each recipient has its reply to the message.
        """
        relay = self.start(lmtp=LMTP, networks="127.0.0.0/8")
        port = self.port(relay, "lmtp")
        self.assertEqual(await self.talk(self.deliver, "127.0.0.1", port), ({}, b"250"))
        received = await self.server.whenReceived(1)
        self.assertIn(b" with LMTP", received[0].content.partition(b"\r\nFrom:")[0])

    async def test_unixSocket(self) -> None:
        """
        So it is by a UNIX socket, whose mode says who may connect.
        """
        path = shortDirectory(self) / "lmtp"
        self.start(lmtp=f"unix:{path}:mode=600")
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(await self.talk(self.deliver, str(path)), ({}, b"250"))
        await self.server.whenReceived(1)
