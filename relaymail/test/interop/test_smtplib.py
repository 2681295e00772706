# -*- test-case-name: relaymail.test.interop.test_smtplib -*-
"""
Python's C{smtplib} gives mail to the relay.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from email.policy import SMTPUTF8
from typing import Any

from twisted.internet.threads import deferToThread

from relaymail.test.endtoend.harness import (
    CLIENT_PATIENCE,
    MESSAGE,
    RECIPIENT,
    SENDER,
    payload,
)
from relaymail.test.interop.senders import (
    CLEAR_USER,
    LMTP,
    PASSWORD,
    USER,
    SenderTestCase,
)

INTERNATIONAL = "jürgen@bücher.example"


class SmtplibTestCase(SenderTestCase):
    """
    Talks to the relay in a thread, for smtplib waits.
    """

    async def talk(
        self, kind: str, send: Callable[[Any], Any], make: Any = smtplib.SMTP
    ) -> Any:
        """
        Connect to a port of the relay and do something.

        @param kind: The kind of the port.
        @param send: What to do, given the client.
        @param make: The class of the client.
        """
        port = self.portFor(kind)
        more = {"context": self.context()} if make is smtplib.SMTP_SSL else {}

        def connected() -> Any:
            with make("127.0.0.1", port, timeout=CLIENT_PATIENCE, **more) as client:
                return send(client)

        return await deferToThread(connected)

    def context(self) -> ssl.SSLContext:
        """
        Make what TLS begins with: it looks at the certificate, and at the name in it.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.ca)
        return context


class AuthenticationTests(SmtplibTestCase):
    """
    AUTH (RFC 4954).
    """

    async def authenticate(self, mechanism: str, user: str, *, isTLS: bool) -> str:
        """
        Say who it is in one way, and send the usual message.

        @return: What the relay offers for AUTH.
        """

        def send(client: smtplib.SMTP) -> str:
            if isTLS:
                client.starttls(context=self.context())
            client.ehlo()
            client.user, client.password = user, PASSWORD
            way = getattr(client, f"auth_{mechanism.lower().replace('-', '_')}")
            client.auth(mechanism, way)
            client.sendmail(SENDER, [RECIPIENT], MESSAGE)
            return client.esmtp_features["auth"]

        offered: str = await self.talk("submission", send)
        await self.arrivesWith("ESMTPSA" if isTLS else "ESMTPA")
        self.assertContents(self.server.received)
        self.assertFrom(user)
        return offered

    async def test_PLAIN(self) -> None:
        """
        PLAIN over TLS.
        """
        self.beginForUsers()
        await self.authenticate("PLAIN", USER, isTLS=True)

    async def test_later(self) -> None:
        """
        PLAIN said only when it is asked for (RFC 4954 4).
        """
        self.beginForUsers()

        def send(client: smtplib.SMTP) -> None:
            client.starttls(context=self.context())
            client.ehlo()
            client.user, client.password = USER, PASSWORD
            client.auth("PLAIN", client.auth_plain, initial_response_ok=False)
            client.sendmail(SENDER, [RECIPIENT], MESSAGE)

        await self.talk("submission", send)
        await self.arrivesWith("ESMTPSA")
        self.assertFrom(USER)

    async def test_LOGIN(self) -> None:
        """
        LOGIN over TLS.
        """
        self.beginForUsers()
        await self.authenticate("LOGIN", USER, isTLS=True)

    async def test_CRAMMD5(self) -> None:
        """
        CRAM-MD5 without TLS, where no password is taken in clear.
        """
        self.beginForUsers()
        offered = await self.authenticate("CRAM-MD5", CLEAR_USER, isTLS=False)
        self.assertEqual(offered.split(), ["SCRAM-SHA-256", "CRAM-MD5"])

    async def test_implicitTLS(self) -> None:
        """
        C{login} over TLS from the first octet on (RFC 8314 3.3).
        """
        self.beginForUsers()

        def send(client: smtplib.SMTP) -> None:
            client.login(CLEAR_USER, PASSWORD)
            client.sendmail(SENDER, [RECIPIENT], MESSAGE)

        await self.talk("submissions", send, smtplib.SMTP_SSL)
        await self.arrivesWith("ESMTPSA")
        self.assertFrom(CLEAR_USER)

    async def test_anotherMechanism(self) -> None:
        """
        C{login} tries CRAM-MD5 first, for which the password of most users is not
        kept, and then goes on to the next.
        """
        self.beginForUsers()

        def send(client: smtplib.SMTP) -> list[str]:
            client.starttls(context=self.context())
            client.login(USER, PASSWORD)
            client.sendmail(SENDER, [RECIPIENT], MESSAGE)
            return client.esmtp_features["auth"].split()

        self.assertIn("CRAM-MD5", await self.talk("submission", send))
        await self.arrivesWith("ESMTPSA")
        self.assertFrom(USER)
        self.assertIn("CRAM-MD5 as me@sender.example", "\n".join(self.logged()))

    async def test_refused(self) -> None:
        """
        Whoever says a wrong password gets C{SMTPAuthenticationError}, and may send
        nothing.
        """
        self.beginForUsers()

        def send(client: smtplib.SMTP) -> tuple[int, int]:
            client.starttls(context=self.context())
            client.ehlo()
            client.user, client.password = USER, "wrong mule"
            with self.assertRaises(smtplib.SMTPAuthenticationError) as caught:
                client.auth("PLAIN", client.auth_plain)
            with self.assertRaises(smtplib.SMTPSenderRefused) as refused:
                client.sendmail(SENDER, [RECIPIENT], MESSAGE)
            return caught.exception.smtp_code, refused.exception.smtp_code

        self.assertEqual(await self.talk("submission", send), (535, 530))
        self.assertEqual(self.relay.queue.getRelayed(), [])
        self.assertEqual(self.relay.queue.getWaiting(), [])


class InternationalTests(SmtplibTestCase):
    """
    SMTPUTF8 (RFC 6531).
    """

    async def test_addresses(self) -> None:
        """
        Addresses and a header in UTF-8 arrive as they were said; of a domain, its
        A-labels are said, which every host knows.
        """
        self.begin()
        message = EmailMessage(policy=SMTPUTF8)
        message["From"], message["To"] = INTERNATIONAL, "b@one.example"
        message["Subject"] = "Grüße"
        message.set_content("Hello\n")
        to = ["b@one.example", "δοκιμή@παράδειγμα.example"]
        await self.talk("smtp", lambda c: c.send_message(message, None, to))
        received = await self.arrivesWith("UTF8SMTP")
        self.assertIn("\r\nSubject: Grüße\r\n".encode(), received.content)
        (mail,) = self.said("MAIL")
        self.assertIn("SMTPUTF8", mail.split())
        said = [mail, *self.said("RCPT")]
        paths = [_path(line) for line in said]
        meant = [INTERNATIONAL, *to]
        self.assertEqual([_decoded(path) for path in paths], meant)
        self.assertEqual([_local(path) for path in paths], [*map(_local, meant)])


class LocalTests(SmtplibTestCase):
    """
    LMTP (RFC 2033).
    """

    async def test_lmtp(self) -> None:
        """
        C{smtplib.LMTP} gives a message; it reads one reply, and so gives it to one
        recipient.
        """
        self.begin(lmtp=[LMTP])
        await self.talk(
            "lmtp", lambda c: c.sendmail(SENDER, RECIPIENT, MESSAGE), smtplib.LMTP
        )
        await self.arrivesWith("LMTP")
        self.assertContents(self.server.received)

    async def test_unix(self) -> None:
        """
        The same by a UNIX socket.
        """
        path = str(self.place / "lmtp")
        self.begin(lmtp=[f"unix:{path}"])

        def send() -> None:
            with smtplib.LMTP(path, timeout=CLIENT_PATIENCE) as client:
                client.sendmail(SENDER, RECIPIENT, MESSAGE)

        await deferToThread(send)
        await self.arrivesWith("LMTP")
        self.assertContents(self.server.received)

    async def test_noEHLO(self) -> None:
        """
        Where LMTP is spoken, C{smtplib.SMTP} is not.
        """
        self.begin(lmtp=[LMTP])

        def send(client: smtplib.SMTP) -> Any:
            return [client.ehlo()[0], client.helo()[0]]

        for code in await self.talk("lmtp", send):
            self.assertEqual(code // 100, 5)


class ParameterTests(SmtplibTestCase):
    """
    What is said of a message and its recipients.
    """

    async def test_notices(self) -> None:
        """
        What the sender wants to be told goes on to the next host (RFC 3461).
        """
        self.begin()

        def send(client: smtplib.SMTP) -> None:
            client.sendmail(
                SENDER,
                [RECIPIENT],
                MESSAGE,
                ["RET=HDRS", "ENVID=a+2Bb"],
                ["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;c+2Bd@one.example"],
            )

        await self.talk("smtp", send)
        await self.arrives()
        (mail,), (rcpt,) = self.said("MAIL"), self.said("RCPT")
        self.assertTrue({"RET=HDRS", "ENVID=a+2Bb"} <= set(mail.split()), mail)
        words = {"NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;c+2Bd@one.example"}
        self.assertTrue(words <= set(rcpt.split()), rcpt)

    async def test_eightBit(self) -> None:
        """
        Eight bits stay as they are (RFC 6152).
        """
        self.begin()
        content = MESSAGE + b"\xff\xfe latin \xe4\r\n"
        await self.talk(
            "smtp",
            lambda c: c.sendmail(SENDER, [RECIPIENT], content, ["BODY=8BITMIME"]),
        )
        (received,) = await self.arrives()
        self.assertEqual(payload(received.content), content)
        self.assertIn("BODY=8BITMIME", self.said("MAIL")[0].split())


def _local(address: str) -> str:
    return address.partition("@")[0]


def _decoded(address: str) -> str:
    local, _, domain = address.partition("@")
    return f"{local}@{domain.encode('ascii').decode('idna')}"


def _path(line: str) -> str:
    return line.partition("<")[2].rpartition(">")[0].encode("latin-1").decode("utf-8")
