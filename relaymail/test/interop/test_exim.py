# -*- test-case-name: relaymail.test.interop.test_exim -*-
"""
Exim takes mail from the relay, and gives it mail.
"""

from __future__ import annotations

import re
import smtplib
from typing import Any

from twisted.internet.threads import deferToThread

from relaymail.test.endtoend.harness import MESSAGE, RECIPIENT, SENDER, submit
from relaymail.test.interop.exims import Exim
from relaymail.test.interop.programs import largeMessage
from relaymail.test.interop.receivers import (
    BODY,
    PASSWORD,
    USER,
    ReceiverTestCase,
)
from relaymail.test.interop.senders import CLEAR_USER, SenderTestCase
from relaymail.test.interop.senders import USER as SENDING_USER

#: Its authenticators for one user with a password.
_AUTHENTICATORS = {
    "PLAIN": """
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if eq{{$auth2/$auth3}}{{{user}/{password}}}}}
  server_set_id = $auth2
""",
    "LOGIN": """
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${{if eq{{$auth1/$auth2}}{{{user}/{password}}}}}
  server_set_id = $auth1
""",
    "CRAM-MD5": """
cram_md5:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = ${{if eq{{$auth1}}{{{user}}}{{{password}}}fail}}
  server_set_id = $auth1
""",
}
#: Its client's, for one user.
_CLIENTS = """
begin authenticators
cram_md5:
  driver = cram_md5
  public_name = CRAM-MD5
  client_name = {cramUser}
  client_secret = {password}
plain:
  driver = plaintext
  public_name = PLAIN
  client_send = ^{user}^{password}
"""


class TakingTests(ReceiverTestCase):
    """
    What the relay gives it.
    """

    async def startTLS(self, *mechanisms: str) -> Exim:
        """
        Start one with a certificate.

        @param mechanisms: In which ways one may say who one is; whoever does not
            may not give mail, where there are any.
        """
        key, certificate = self.certified()
        settings = f"tls_certificate = {certificate}\ntls_privatekey = {key}\n"
        parts = [
            _AUTHENTICATORS[each].format(user=USER, password=PASSWORD)
            for each in mechanisms
        ]
        told = "begin authenticators\n" + "".join(parts) if parts else ""
        acl = "users" if parts else "everybody"
        exim: Exim = await self.started(Exim, settings, told, acl=acl)
        return exim

    async def test_plain(self) -> None:
        """
        Mail arrives as it was sent, and the commands came in a group (RFC 2920).
        """
        exim = await self.started(Exim)
        await self.sent()
        # It says L of a group, and L- of what could have been one.
        log = rf"<= {SENDER} H=.*relay\.example.* P=esmtp L S="
        await self.saysLike(exim, log)

    async def test_session(self) -> None:
        """
        Many messages in one session.
        """
        await self.started(Exim, "smtp_accept_queue_per_connection = 0\n")
        await self.giveMany("smtp")

    async def test_verified(self) -> None:
        """
        Mail goes over TLS with a certificate that is checked.
        """
        exim = await self.startTLS()
        place = f"127.0.0.1:{exim.port}"
        url = f"smtp+starttls://{place}?tls=verified&ca-file={self.ca}"
        await self.sent(url)
        await self.saysLike(exim, r"P=esmtps L X=TLS1\.3")

    async def authenticates(self, used: str, *offered: str) -> None:
        """
        Check that the relay says who it is.
        """
        exim = await self.startTLS(*offered)
        await self.sent(self.login())
        authenticator = used.lower().replace("-", "_")
        await self.saysLike(exim, rf"P=esmtpsa .*A={authenticator}:{USER} ")

    async def test_CRAMMD5(self) -> None:
        """
        The relay takes CRAM-MD5 where that is the best.
        """
        await self.authenticates("CRAM-MD5", "LOGIN", "PLAIN", "CRAM-MD5")

    async def test_PLAIN(self) -> None:
        """
        It takes PLAIN where that is the best.
        """
        await self.authenticates("PLAIN", "LOGIN", "PLAIN")

    async def test_LOGIN(self) -> None:
        """
        It takes LOGIN where there is nothing else.
        """
        await self.authenticates("LOGIN", "LOGIN")

    async def test_success(self) -> None:
        """
        Exim says that it has delivered what the sender wants to be told of, under
        the names that the sender gave (RFC 3461).
        """
        await self.started(Exim)
        self.begin()
        await self.give(
            mail=["RET=HDRS", "ENVID=a+2Bb"],
            rcpt=["NOTIFY=SUCCESS", "ORCPT=rfc822;c@elsewhere.example"],
        )
        # It writes the envelope's name as it was said, as xtext.
        self.assertReported(
            await self.report(),
            "Reporting-MTA: dns; exim.example",
            "Original-Envelope-ID: a+2Bb",
            "Original-Recipient: rfc822;c@elsewhere.example",
            "Action: delivered",
        )

    async def test_international(self) -> None:
        """
        Internationalised mail arrives (RFC 6531).
        """
        exim = await self.started(Exim)
        self.begin()
        content = "Subject: Grüße\r\n".encode() + MESSAGE
        to, sender = "δοκιμή@one.example", "jürgen@sender.example"
        options = ["SMTPUTF8", "BODY=8BITMIME"]
        await self.give([to], content, options, sender=sender)
        (arrived,) = await self.taken()
        text = arrived.decode("utf-8")
        self.assertIn(f"Envelope-to: {to}\n", text)
        self.assertIn(f"Return-path: <{sender}>\n", text)
        self.assertIn("\nSubject: Grüße\n", text)
        await self.saysLike(exim, r"P=utf8esmtp ")

    async def test_eightBit(self) -> None:
        """
        Eight bits stay as they are (RFC 6152).
        """
        await self.started(Exim)
        self.begin()
        await self.give(content=MESSAGE + b"\xe4\xff\r\n", mail=["BODY=8BITMIME"])
        (content,) = await self.taken()
        self.assertTrue(content.endswith(BODY + b"\xe4\xff\n"), content)

    async def test_oneIsRefused(self) -> None:
        """
        In a group of commands (RFC 2920) the one recipient bounces that is refused.
        """
        await self.started(Exim)
        self.begin()
        refused = "refused@one.example"
        await self.give(["c@one.example", refused, "d@one.example"])
        report = await self.report()
        self.assertReported(report, f"Final-Recipient: rfc822; {refused}")
        self.assertReported(report, "Action: failed", "Status: 5.1.1")
        contents = await self.taken(3)
        both = [c for c in contents if c.endswith(BODY)]
        self.assertEqual(len(both), 2)


class GivingTests(SenderTestCase):
    """
    What it gives to the relay.
    """

    async def start(self, port: int, **more: Any) -> Exim:
        """
        Start one that gives all its mail to a port of the relay.
        """
        exim = Exim(self.place, relay=port, **more)
        self.addCleanup(exim.stop)
        await self.listening(exim.port, exim)
        return exim

    async def gives(self, options: str, protocol: str, chunks: bool) -> None:
        """
        Check that a message goes over once.

        @param options: How it gives it.
        @param protocol: What the relay says of that.
        @param chunks: Whether it is to go in chunks.
        """
        relay = self.begin()
        exim = await self.start(self.portOf(relay), options=options)
        to = ["b@one.example", "c@one.example"]
        await submit(exim.port, SENDER, to)
        await self.says(exim, "Completed")
        received = await self.arrivesWith(protocol)
        self.assertEqual(sorted(received.recipients), to)
        body = MESSAGE.partition(b"\r\n\r\n")[2]
        self.assertTrue(received.content.endswith(b"\r\n\r\n" + body))
        # It says K where it sent by BDAT.
        mark = " K" if chunks else ""
        told = re.findall(rf"[=-]> (\S+) .*{mark} C=.250 2\.0\.0 Ok: queued", exim.said)
        self.assertEqual(sorted(told), to, exim.said)
        self.assertEqual(" K C=" in exim.said, chunks)

    async def test_P4_inClear(self) -> None:
        """
        In clear it closes its side of the connection behind QUIT, before the reply to
        the message: it gets that all the same, and does not send it again.
        """
        await self.gives("hosts_avoid_tls = *", "ESMTP", True)

    async def test_P4_withData(self) -> None:
        """
        The same with DATA.
        """
        options = "hosts_avoid_tls = *\n  hosts_try_chunking ="
        await self.gives(options, "ESMTP", False)

    async def test_starttls(self) -> None:
        """
        It sends over TLS in chunks (RFC 3030).
        """
        await self.gives("", "ESMTPS", True)

    async def test_large(self) -> None:
        """
        A large message comes in many chunks, octet for octet.
        """
        relay = self.begin()
        exim = await self.start(self.portOf(relay), options="hosts_avoid_tls = *")
        content = largeMessage(6000)
        await submit(exim.port, content=content)
        (received,) = await self.arrives()
        self.assertTrue(received.content.endswith(content.partition(b"\r\n\r\n")[2]))
        await self.saysLike(exim, r"=> .* K C=")

    async def test_CRAMMD5(self) -> None:
        """
        It says who it is with CRAM-MD5 in clear.
        """
        await self.authenticates(CLEAR_USER, "cram_md5", "ESMTPA", "")

    async def test_PLAIN(self) -> None:
        """
        It says who it is with PLAIN over TLS with a certificate that it checks.
        """
        options = "hosts_require_tls = *\n  tls_verify_hosts = *"
        await self.authenticates(SENDING_USER, "plain", "ESMTPSA", options)

    async def authenticates(
        self, user: str, authenticator: str, protocol: str, options: str
    ) -> None:
        """
        Check that mail arrives of one that says who it is.
        """
        self.beginForUsers()
        parts = _CLIENTS.format(user=user, cramUser=user, password=PASSWORD)
        if authenticator == "plain":
            parts = parts.replace("public_name = CRAM-MD5", "public_name = NONE")
        told = [options] if options else ["hosts_avoid_tls = *"]
        told.append("hosts_require_auth = *")
        if options:
            told.append(f"tls_verify_certificates = {self.ca}")
            told.append("tls_verify_cert_hostnames =")
        exim = await self.start(
            self.portFor("submission"), parts=parts, options="\n  ".join(told)
        )
        await submit(exim.port)
        await self.arrivesWith(protocol)
        self.assertFrom(user)
        await self.says(exim, "=>")
        await self.saysLike(exim, rf"=> .* A={authenticator}")

    async def test_parameters(self) -> None:
        """
        What it was told of a message and its recipient goes through it and the
        relay: DSN (RFC 3461) and SMTPUTF8.
        """
        relay = self.begin()
        exim = await self.start(self.portOf(relay))
        sender, to = "jürgen@sender.example", "δοκιμή@one.example"

        def send() -> None:
            with smtplib.SMTP("127.0.0.1", exim.port) as client:
                client.sendmail(
                    sender,
                    [to],
                    "Subject: Grüße\r\n".encode() + MESSAGE,
                    ["SMTPUTF8", "BODY=8BITMIME", "RET=HDRS", "ENVID=ab"],
                    ["NOTIFY=SUCCESS,FAILURE", f"ORCPT=rfc822;{RECIPIENT}"],
                )

        await deferToThread(send)
        received = await self.arrivesWith("UTF8SMTPS")
        self.assertIn("\r\nSubject: Grüße\r\n".encode(), received.content)
        (mail,), (rcpt,) = self.said("MAIL"), self.said("RCPT")
        self.assertTrue({"SMTPUTF8", "RET=HDRS", "ENVID=ab"} <= {*mail.split()}, mail)
        words = {"NOTIFY=SUCCESS,FAILURE", f"ORCPT=rfc822;{RECIPIENT}"}
        self.assertTrue(words <= {*rcpt.split()}, rcpt)
