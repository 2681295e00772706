# -*- test-case-name: relaymail.test.interop.test_postfixtaking -*-
"""
Postfix takes mail from the relay.
"""

from __future__ import annotations

import smtplib
from email import message_from_bytes
from hashlib import sha256
from typing import Any

from relaymail.test.endtoend.harness import MESSAGE, RECIPIENT, SENDER, SOON
from relaymail.test.endtoend.processes import until
from relaymail.test.interop.dovecots import Dovecot
from relaymail.test.interop.postfixes import Postfix, mailboxes
from relaymail.test.interop.programs import largeMessage
from relaymail.test.interop.receivers import (
    BODY,
    DOMAINS,
    PASSWORD,
    USER,
    ReceiverTestCase,
)
from relaymail.test.interop.standins import Between, Owners
from relaymail.testing.tokens import TokenServer

#: All that can happen to octets.
BINARY = bytes(range(256)) + b"\r\n.\r\n\r\r\n\n" + b"\0" * 2000
#: A message with a part of any octets.
BINARY_MESSAGE = (
    b"From: a@sender.example\r\nTo: b@one.example\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="cut"\r\n\r\n'
    b"--cut\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n"
    b"--cut\r\nContent-Type: application/octet-stream\r\n"
    b"Content-Transfer-Encoding: binary\r\n\r\n" + BINARY + b"\r\n--cut--\r\n"
)


class PostfixTestCase(ReceiverTestCase):
    """
    Starts one that delivers what is for our recipient and our sender.
    """

    async def start(self, **settings: str) -> Postfix:
        """
        Start one.
        """
        told = {**mailboxes(self.place, *DOMAINS), **settings}
        postfix: Postfix = await self.started(Postfix, told)
        return postfix


class PlainTests(PostfixTestCase):
    """
    Mail as it always was.
    """

    async def test_plain(self) -> None:
        """
        Mail arrives as it was sent.
        """
        await self.start()
        content = await self.sent()
        self.assertIn(b"(Postfix) with ESMTP id", content)

    async def test_large(self) -> None:
        """
        A large message arrives octet for octet.
        """
        await self.start()
        self.begin()
        content = largeMessage(6000)
        await self.give(content=content, mail=["BODY=8BITMIME"])
        (arrived,) = await self.taken()
        body = content.partition(b"\r\n\r\n")[2].replace(b"\r\n", b"\n")
        self.assertTrue(arrived.endswith(b"\n\n" + body))

    async def test_session(self) -> None:
        """
        Many messages in one session.
        """
        await self.start()
        await self.giveMany("smtp")


class SecurityTests(PostfixTestCase):
    """
    TLS and AUTH.
    """

    async def startTLS(self, **settings: str) -> Postfix:
        """
        Start one with a certificate.
        """
        key, certificate = self.certified()
        return await self.start(
            smtpd_tls_chain_files=f"{key}, {certificate}",
            smtpd_tls_security_level="may",
            smtpd_tls_received_header="yes",
            smtpd_tls_loglevel="1",
            **settings,
        )

    async def test_verified(self) -> None:
        """
        Mail goes over TLS with a certificate that is checked.
        """
        postfix = await self.startTLS()
        place = f"127.0.0.1:{postfix.port}"
        url = f"smtp+starttls://{place}?tls=verified&ca-file={self.ca}"
        content = await self.sent(url)
        self.assertIn(b"(using TLSv1.3 with cipher", content)
        self.assertIn(b"with ESMTPS id", content)

    async def test_implicitTLS(self) -> None:
        """
        Mail goes over TLS from the first octet on.
        """
        postfix = await self.startTLS(smtpd_tls_wrappermode="yes")
        url = f"smtps://127.0.0.1:{postfix.port}?ca-file={self.ca}"
        content = await self.sent(url)
        self.assertIn(b"with ESMTPS id", content)

    async def test_unverified(self) -> None:
        """
        It gets no mail where nobody vouches for it, for a user or without.
        """
        postfix = await self.startTLS()
        place = f"127.0.0.1:{postfix.port}"
        self.begin(f"smtp+starttls://{place}?tls=verified")
        await self.give()
        await until(lambda: self.outcomes("retry"), "the mail is kept")
        self.assertNotIn("from=<", postfix.said)

    async def authenticates(
        self, offered: str, used: str, kept: str = f"{{PLAIN}}{PASSWORD}"
    ) -> None:
        """
        Check that the relay says who it is.

        @param offered: What Postfix offers, whom Dovecot tells who somebody is.
        @param used: What the relay must use.
        @param kept: How Dovecot keeps the password.
        """
        postfix = await self.startAuthenticating(offered, kept)
        await self.sent(self.login())
        await self.says(postfix, f"sasl_method={used}, sasl_username={USER}")

    async def startAuthenticating(
        self, offered: str, kept: str, tokens: str = ""
    ) -> Postfix:
        """
        Start one that takes mail from users only.

        @param offered: See L{authenticates}.
        @param kept: See there.
        @param tokens: Where Dovecot asks whose a token is.
        """
        place = self.place / "dovecot"
        place.mkdir()
        dovecot = Dovecot(place, {USER: kept}, offered, tokens=tokens)
        self.addCleanup(dovecot.stop)
        await self.listening(dovecot.port, dovecot)
        return await self.startTLS(
            smtpd_sasl_auth_enable="yes",
            smtpd_sasl_type="dovecot",
            smtpd_sasl_path=str(dovecot.auth),
            smtpd_sasl_security_options="noanonymous",
            smtpd_tls_auth_only="yes",
            smtpd_client_restrictions="permit_sasl_authenticated, reject",
            smtpd_error_sleep_time="0",
        )

    async def test_SCRAMSHA256(self) -> None:
        """
        The relay takes the best mechanism of all that are offered.
        """
        all_ = "login plain cram-md5 scram-sha-1 scram-sha-256"
        await self.authenticates(all_, "SCRAM-SHA-256")

    async def test_SCRAMSHA1(self) -> None:
        """
        It takes SCRAM-SHA-1 where that is the best.
        """
        await self.authenticates("login plain cram-md5 scram-sha-1", "SCRAM-SHA-1")

    async def test_CRAMMD5(self) -> None:
        """
        It takes CRAM-MD5 where that is the best.
        """
        await self.authenticates("login plain cram-md5", "CRAM-MD5")

    async def test_PLAIN(self) -> None:
        """
        It takes PLAIN where that is the best.
        """
        await self.authenticates("login plain", "PLAIN")

    async def test_LOGIN(self) -> None:
        """
        It takes LOGIN where there is nothing else.
        """
        await self.authenticates("login", "LOGIN")

    async def test_next(self) -> None:
        """
        It takes the next mechanism where the best is refused: Dovecot cannot check
        SCRAM nor CRAM-MD5 with a password that it keeps in another way.
        """
        kept = "{SHA256.HEX}" + sha256(PASSWORD.encode("utf-8")).hexdigest()
        await self.authenticates("scram-sha-256 cram-md5 plain", "PLAIN", kept)

    async def test_OAUTHBEARER(self) -> None:
        """
        It shows a token that it was given (RFC 7628), of which Dovecot asks whose it
        is.
        """
        await self.showsToken("plain oauthbearer", "OAUTHBEARER")

    async def test_XOAUTH2(self) -> None:
        """
        It does so in the older way where there is no other.
        """
        await self.showsToken("plain xoauth2", "XOAUTH2")

    async def showsToken(self, offered: str, used: str) -> None:
        """
        Check that the relay shows a token, and which.
        """
        tokens = TokenServer().start()
        self.addCleanup(tokens.stop)
        asked = Owners(tokens, USER)
        url = asked.start(self)
        postfix = await self.startAuthenticating(offered, "{PLAIN}another", url)
        told = self.place / "refresh"
        told.write_text("refresh-1\n")
        told.chmod(0o600)
        host = {
            "url": f"smtp+starttls://127.0.0.1:{postfix.port}",
            "user": USER,
            "ca-file": self.ca,
            "oauth2": {
                "token-url": tokens.url,
                "client-id": "client-1",
                "refresh-token-file": str(told),
            },
        }
        await self.sent(host)
        self.assertEqual(asked.shown, ["token-1"])
        await self.says(postfix, f"sasl_method={used}, sasl_username={USER}")

    async def test_A09_wrongPassword(self) -> None:
        """
        Where our password is wrong, mail waits, and nothing bounces.
        """
        postfix = await self.startAuthenticating("plain login", "{PLAIN}another")
        self.begin(self.login())
        await self.give()
        await until(lambda: self.outcomes("retry"), "the mail is kept")
        await self.says(postfix, "SASL PLAIN authentication failed")
        self.assertEqual(self.outcomes("bounced"), [])
        self.assertNotIn("from=<", postfix.said)


class ParametersTests(PostfixTestCase):
    """
    What is said of a message and its recipients.
    """

    async def test_success(self) -> None:
        """
        Postfix says that it has delivered what the sender wants to be told of,
        under the names that the sender gave (RFC 3461 4.2, 4.4).
        """
        await self.start()
        self.begin()
        await self.give(
            mail=["RET=HDRS", "ENVID=a+2Bb"],
            rcpt=["NOTIFY=SUCCESS", "ORCPT=rfc822;c@elsewhere.example"],
        )
        report = await self.report()
        self.assertReported(
            report,
            "Reporting-MTA: dns; postfix.example",
            "Original-Envelope-Id: a+b",
            "Original-Recipient: rfc822;c@elsewhere.example",
            "Action: delivered",
        )
        kinds = [part.get_content_type() for part in report.walk()]
        self.assertIn("text/rfc822-headers", kinds)

    async def test_notAsked(self) -> None:
        """
        Who wants to be told of nothing is told of nothing, though it cannot be
        delivered.
        """
        refused = _answering("550 5.1.1 Nobody")
        await self.start(smtpd_recipient_restrictions=refused)
        self.begin()
        await self.give([RECIPIENT, "c@one.example"], rcpt=["NOTIFY=NEVER"])
        await self.taken()
        self.assertEqual(len(self.outcomes("bounced")), 1)
        self.assertEqual(self.relay.queue.getWaiting(), [])

    async def test_relayed(self) -> None:
        """
        Where it cannot pass that on, the relay says that it went into the unknown
        (RFC 3461 5.2.2).
        """
        await self.start(smtpd_discard_ehlo_keywords="dsn")
        self.begin()
        await self.give(mail=["ENVID=ab"], rcpt=["NOTIFY=SUCCESS"])
        self.assertReported(
            await self.report(),
            "Reporting-MTA: dns; relay.example",
            "Original-Envelope-Id: ab",
            "Action: relayed",
        )

    async def test_international(self) -> None:
        """
        Internationalised mail arrives (RFC 6531).
        """
        await self.start()
        self.begin()
        content = "Subject: Grüße\r\n".encode() + MESSAGE
        to, sender = "δοκιμή@one.example", "jürgen@sender.example"
        options = ["SMTPUTF8", "BODY=8BITMIME"]
        await self.give([to], content, options, sender=sender)
        (arrived,) = await self.taken()
        text = arrived.decode("utf-8")
        self.assertIn(f"Return-Path: <{sender}>\n", text)
        self.assertIn(f"Delivered-To: {to}\n", text)
        self.assertIn("with UTF8SMTP id", text)
        self.assertIn("\nSubject: Grüße\n", text)

    async def test_noSMTPUTF8(self) -> None:
        """
        It bounces where Postfix has no SMTPUTF8; what needs none goes.
        """
        await self.start(smtputf8_enable="no")
        self.begin()
        await self.give(["δοκιμή@one.example"], mail=["SMTPUTF8"])
        self.assertReported(await self.report(), "Action: failed", "Status: 5.6.7")
        await self.give()
        await self.taken(2)

    async def test_eightBit(self) -> None:
        """
        Eight bits stay as they are (RFC 6152).
        """
        await self.start()
        self.begin()
        await self.give(content=MESSAGE + b"\xe4\xff\r\n", mail=["BODY=8BITMIME"])
        (content,) = await self.taken()
        self.assertTrue(content.endswith(BODY + b"\xe4\xff\n"), content)

    async def test_sevenBit(self) -> None:
        """
        They are converted for a Postfix that cannot take them, and decode to what
        they were.
        """
        await self.start(smtpd_discard_ehlo_keywords="8bitmime")
        self.begin()
        header, _, body = MESSAGE.partition(b"\r\n\r\n")
        header += b"\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit"
        body += "Größe\r\n".encode()
        content = header + b"\r\n\r\n" + body
        await self.give(content=content, mail=["BODY=8BITMIME"])
        (arrived,) = await self.taken()
        self.assertTrue(arrived.isascii(), arrived)
        message = message_from_bytes(arrived)
        decoded = message.get_payload(decode=True)
        assert isinstance(decoded, bytes)
        self.assertEqual(decoded.replace(b"\r\n", b"\n"), BODY + "Größe\n".encode())

    async def test_binary(self) -> None:
        """
        What came in chunks of any octets (RFC 3030) is converted, for Postfix takes
        chunks, and no such octets: a part decodes to what it was.
        """
        await self.start()
        self.begin()
        half = len(BINARY_MESSAGE) // 2
        first, second = BINARY_MESSAGE[:half], BINARY_MESSAGE[half:]
        await self.talk(lambda c: sendChunks(c, first, second))
        (arrived,) = await self.taken()
        self.assertTrue(arrived.isascii(), arrived)
        parts: Any = message_from_bytes(arrived).get_payload()
        text, part = parts
        self.assertEqual(part.get_payload(decode=True), BINARY)
        words = text.get_payload(decode=True)
        self.assertEqual(words.strip(), "Grüße".encode())


class ChunksTests(PostfixTestCase):
    """
    BDAT (RFC 3030).
    """

    async def test_bdat(self) -> None:
        """
        Postfix takes the chunks that the relay sends. It does not offer BINARYMIME,
        without which the relay sends none: here somebody in between says that it
        does.
        """
        postfix = await self.start()
        between = Between(postfix.port)
        self.begin(f"smtp://127.0.0.1:{between.start(self)}")
        await self.talk(lambda c: sendChunks(c, MESSAGE[:100], MESSAGE[100:]))
        (content,) = await self.taken()
        self.assertTrue(content.endswith(b"\n\n" + BODY), content)
        self.assertRegex(between.said, rb"\r\nBDAT \d+ LAST\r\n")
        self.assertNotIn(b"\r\nDATA\r\n", between.said)


class RecipientsTests(PostfixTestCase):
    """
    Who takes it, and how much of it.
    """

    async def test_tooLarge(self) -> None:
        """
        A message that is larger than Postfix takes bounces before any of it is
        said (RFC 1870).
        """
        postfix = await self.start(message_size_limit="70000")
        self.begin()
        await self.give(content=MESSAGE + b"long line\r\n" * 9000)
        self.assertReported(await self.report(), "Action: failed", "Status: 5.3.4")
        await self.says(postfix, "from=<>")
        self.assertNotIn(f"from=<{SENDER}>", postfix.said)

    async def test_many(self) -> None:
        """
        A message for many goes in transactions of 100.
        """
        postfix = await self.start()
        self.begin()
        await self.give([f"u{number}@one.example" for number in range(150)])
        contents = await self.taken(150)
        self.assertEqual(len(contents), 150)
        for count in (50, 100):
            await self.says(postfix, f"nrcpt={count} (queue active)")

    async def test_oneIsRefused(self) -> None:
        """
        Of three recipients the one bounces that is refused.
        """
        refused = _answering("550 5.1.1 Nobody")
        await self.start(smtpd_recipient_restrictions=refused)
        self.begin()
        others = ["c@one.example", "d@one.example"]
        await self.give([others[0], RECIPIENT, others[1]])
        self.assertReported(
            await self.report(),
            f"Final-Recipient: rfc822; {RECIPIENT}",
            "Action: failed",
            "Status: 5.1.1",
            "Diagnostic-Code: smtp; 550 5.1.1",
        )
        contents = await self.taken(3)
        for to in others:
            line = f"\nDelivered-To: {to}\n".encode()
            self.assertEqual(len([c for c in contents if line in c]), 1)

    async def test_oneIsDeferred(self) -> None:
        """
        One that is refused for now waits, and the other gets the message once.
        """
        later = _answering("450 4.2.1 Later")
        await self.start(smtpd_recipient_restrictions=later)
        self.begin(retry=SOON)
        await self.give([RECIPIENT, "c@one.example"])
        await until(lambda: len(self.outcomes("retry")) > 1, "it is tried again")
        contents = await self.arrived(self.server.mail)
        self.assertEqual(len(contents), 1)


def _answering(words: str) -> str:
    """
    Give the restriction by which our recipient has a reply of its own.
    """
    return f"check_recipient_access inline:{{{{{RECIPIENT} = {words}}}}}"


def sendChunks(client: smtplib.SMTP, first: bytes, second: bytes) -> None:
    """
    Give a message of any octets in two chunks.
    """
    mail, rcpt = f"MAIL FROM:<{SENDER}> BODY=BINARYMIME", f"RCPT TO:<{RECIPIENT}>"
    for line in (mail, rcpt):
        code, said = client.docmd(line)
        assert code == 250, said
    for chunk, last in ((first, b""), (second, b" LAST")):
        client.send(b"BDAT %d%s\r\n" % (len(chunk), last) + chunk)
        code, said = client.getreply()
        assert code == 250, said
