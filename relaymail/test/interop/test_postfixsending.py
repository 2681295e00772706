# -*- test-case-name: relaymail.test.interop.test_postfixsending -*-
"""
Postfix gives mail to the relay.
"""

from __future__ import annotations

import smtplib
from typing import Any

from twisted.internet.threads import deferToThread

from relaymail.test.endtoend.harness import MESSAGE, RECIPIENT, SENDER, submit
from relaymail.test.endtoend.processes import until
from relaymail.test.interop.postfixes import Postfix
from relaymail.test.interop.programs import largeMessage
from relaymail.test.interop.senders import (
    CLEAR_USER,
    ELSEWHERE,
    HOSTNAME,
    LMTP,
    PASSWORD,
    USER,
    SenderTestCase,
)
from relaymail.testing.certificates import ThrowawayCA


class PostfixTests(SenderTestCase):
    """
    Postfix has the relay as its smart host.
    """

    async def postfix(self, port: int, **settings: str) -> Postfix:
        """
        Start one.

        @param port: Where it is to give its mail.
        """
        told = {"relayhost": f"[127.0.0.1]:{port}", **settings}
        postfix = Postfix(self.place, told)
        self.addCleanup(postfix.stop)
        await self.listening(postfix.port, postfix)
        return postfix

    def verifying(self, ca: str) -> dict[str, str]:
        """
        Give what has one look at the certificate of the relay, and at the name in it.

        @param ca: The path of the certificate of the authority that it trusts.
        """
        return {
            "smtp_tls_security_level": "secure",
            "smtp_tls_secure_cert_match": HOSTNAME,
            "smtp_tls_CAfile": ca,
            "smtp_tls_loglevel": "1",
        }

    def login(self, mechanism: str, user: str) -> dict[str, str]:
        """
        Give what has one say who it is, and log what it says.
        """
        return {
            "smtp_sasl_auth_enable": "yes",
            "smtp_sasl_password_maps": f"static:{{{user}:{PASSWORD}}}",
            "smtp_sasl_mechanism_filter": mechanism,
            "smtp_sasl_security_options": "noanonymous",
            "smtp_sasl_tls_security_options": "noanonymous",
            "debug_peer_list": "127.0.0.1",
        }

    async def give(self, postfix: Postfix, *given: Any, **more: Any) -> None:
        """
        Give it a message with C{smtplib}.
        """

        def send() -> None:
            with smtplib.SMTP("127.0.0.1", postfix.port, "client.example") as client:
                client.sendmail(*given, **more)

        await deferToThread(send)

    async def test_plain(self) -> None:
        """
        It sends in clear, and lines of dots stay as they are.
        """
        relay = self.begin()
        postfix = await self.postfix(self.portOf(relay))
        await submit(postfix.port)
        received = await self.arrivesWith("ESMTP")
        self.assertTrue(received.content.endswith(BODY), received.content)
        await self.says(postfix, "status=sent (250 2.0.0 Ok")

    async def test_large(self) -> None:
        """
        A large message comes octet for octet.
        """
        relay = self.begin()
        postfix = await self.postfix(self.portOf(relay))
        content = largeMessage(6000)
        await self.give(postfix, SENDER, [RECIPIENT], content, ["BODY=8BITMIME"])
        (received,) = await self.arrives()
        self.assertTrue(received.content.endswith(content.partition(b"\r\n\r\n")[2]))

    async def test_verified(self) -> None:
        """
        It sends over TLS with a certificate that it trusts.
        """
        relay = self.begin()
        postfix = await self.postfix(self.portOf(relay), **self.verifying(self.ca))
        await submit(postfix.port)
        await self.arrivesWith("ESMTPS")
        await self.says(postfix, "Verified TLS connection established to 127.0.0.1")

    async def test_unverified(self) -> None:
        """
        It sends nothing where it does not trust the certificate.
        """
        relay = self.begin()
        ca = ThrowawayCA().write(self.place / "other")
        postfix = await self.postfix(self.portOf(relay), **self.verifying(ca))
        await submit(postfix.port)
        await self.says(postfix, "status=deferred")
        await self.says(postfix, "Server certificate not verified")
        self.assertEqual(self.server.received, [])

    async def authenticates(
        self, mechanism: str, user: str, kind: str, **more: str
    ) -> None:
        """
        Check that mail arrives of one that says who it is.
        """
        self.beginForUsers()
        told = {**self.login(mechanism, user), **more}
        if "smtp_tls_security_level" in told or kind == "submissions":
            told = {**told, **self.verifying(self.ca)}
        postfix = await self.postfix(self.portFor(kind), **told)
        await submit(postfix.port)
        isTLS = "smtp_tls_security_level" in told
        await self.arrivesWith("ESMTPSA" if isTLS else "ESMTPA")
        self.assertFrom(user)
        await self.says(postfix, f": AUTH {mechanism}")

    async def test_PLAIN(self) -> None:
        """
        It says its password over TLS.
        """
        level = {"smtp_tls_security_level": "secure"}
        await self.authenticates("PLAIN", USER, "submission", **level)

    async def test_LOGIN(self) -> None:
        """
        It says its password over TLS from the first octet on.
        """
        wrapped = {"smtp_tls_wrappermode": "yes"}
        await self.authenticates("LOGIN", USER, "submissions", **wrapped)

    async def test_SCRAM(self) -> None:
        """
        It shows that it knows its password, without TLS.
        """
        await self.authenticates("SCRAM-SHA-256", USER, "submission")

    async def test_SCRAMoverTLS(self) -> None:
        """
        It does so over TLS, too, where it is offered to bind that to the connection,
        which it cannot.
        """
        level = {"smtp_tls_security_level": "secure"}
        await self.authenticates("SCRAM-SHA-256", USER, "submission", **level)

    async def test_CRAMMD5(self) -> None:
        """
        It shows that it knows its password as long ago.
        """
        await self.authenticates("CRAM-MD5", CLEAR_USER, "submission")

    async def test_parameters(self) -> None:
        """
        What it was told of a message and its recipients goes through it and the
        relay: DSN (RFC 3461), 8BITMIME and SMTPUTF8.
        """
        relay = self.begin()
        postfix = await self.postfix(self.portOf(relay))
        content = MESSAGE + "Größe\r\n".encode()
        await self.give(
            postfix,
            SENDER,
            [RECIPIENT],
            content,
            ["RET=HDRS", "ENVID=a+2Bb", "BODY=8BITMIME", "SMTPUTF8"],
            ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;c@one.example"],
        )
        (received,) = await self.arrives()
        self.assertTrue(received.content.endswith("Größe\r\n".encode()))
        (mail,), (rcpt,) = self.said("MAIL"), self.said("RCPT")
        self.assertTrue({"RET=HDRS", "ENVID=a+2Bb"} <= {*mail.split()}, mail)
        self.assertIn("BODY=8BITMIME", mail.split())
        words = {"NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;c@one.example"}
        self.assertTrue(words <= {*rcpt.split()}, rcpt)

    async def test_international(self) -> None:
        """
        Internationalised mail goes through it and the relay (RFC 6531). It names the
        original recipient as if that were ASCII, and the relay as what it is.
        """
        relay = self.begin()
        postfix = await self.postfix(self.portOf(relay))
        content = "Subject: Grüße\r\n".encode() + MESSAGE
        sender, to = "jürgen@sender.example", "δοκιμή@one.example"
        options = ["SMTPUTF8", "BODY=8BITMIME"]
        await self.give(postfix, sender, [to], content, options)
        received = await self.arrivesWith("UTF8SMTP")
        self.assertIn("\r\nSubject: Grüße\r\n".encode(), received.content)
        self.assertIn("SMTPUTF8", self.said("MAIL")[0].split())
        self.assertEqual(received.sender.encode("latin-1").decode("utf-8"), sender)
        (rcpt,) = self.said("RCPT")
        original = "".join(f"\\x{{{ord(letter):X}}}" for letter in "δοκιμή")
        self.assertIn(f"ORCPT=utf-8;{original}@one.example", rcpt.split())

    async def test_manyRecipients(self) -> None:
        """
        It gives a message to many recipients, in transactions of 50.
        """
        relay = self.begin()
        postfix = await self.postfix(self.portOf(relay))
        to = [f"u{number}@one.example" for number in range(120)]
        await submit(postfix.port, SENDER, to)
        await until(lambda: len(self._recipients()) >= len(to), "all arrive")
        self.assertEqual(sorted(self._recipients()), sorted(to))
        taken = [line for line in self.logged() if ": taken from " in line]
        counts = [line.rpartition("recipients=")[2] for line in taken]
        self.assertEqual(sorted(counts), ["20", "50", "50"])

    async def test_refused(self) -> None:
        """
        It bounces what the relay refuses, with the relay's reply, and keeps what it
        is to try later.
        """
        self.begin(networks=ELSEWHERE)
        postfix = await self.postfix(self.portOf(self.relay))
        await submit(postfix.port)
        await self.says(postfix, "status=bounced")
        await self.says(postfix, "said: 550 5.7.1")

    async def test_lmtp(self) -> None:
        """
        It speaks LMTP, and takes a reply for each recipient.
        """
        self.begin(lmtp=[LMTP])
        postfix = await self.postfix(0, **self._byLMTP(self.portFor("lmtp")))
        to = ["b@one.example", "c@one.example", "d@one.example"]
        await submit(postfix.port, SENDER, to)
        received = await self.arrivesWith("LMTP")
        self.assertEqual(sorted(received.recipients), to)
        await until(lambda: postfix.said.count("status=sent") == 3, "all are sent")
        self.assertEqual(postfix.said.count("status=sent (250 2.0.0 Ok: queued as"), 3)

    async def test_lmtpUNIX(self) -> None:
        """
        The same by a UNIX socket.
        """
        path = str(self.place / "lmtp")
        self.begin(lmtp=[f"unix:{path}:mode=666"])
        settings = {"default_transport": f"lmtp:unix:{path}", "relayhost": ""}
        postfix = await self.postfix(0, **settings)
        await submit(postfix.port)
        received = await self.arrivesWith("LMTP")
        self.assertTrue(received.content.endswith(BODY), received.content)

    def _byLMTP(self, port: int) -> dict[str, str]:
        place = f"lmtp:inet:[127.0.0.1]:{port}"
        return {"default_transport": place, "relayhost": ""}

    def _recipients(self) -> list[str]:
        return [to for each in self.server.received for to in each.recipients]


BODY = MESSAGE.partition(b"\r\n\r\n")[2]
