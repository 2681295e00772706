# -*- test-case-name: relaymail.test.interop.test_dovecot -*-
"""
Dovecot takes mail from the relay by LMTP, and gives it that of its users.
"""

from __future__ import annotations

import smtplib
from pathlib import Path

from twisted.internet.threads import deferToThread

from relaymail.test.endtoend.harness import (
    CLIENT_PATIENCE,
    MESSAGE,
    RECIPIENT,
    SENDER,
)
from relaymail.test.endtoend.processes import until
from relaymail.test.interop.dovecots import Dovecot
from relaymail.test.interop.programs import contentsIn, largeMessage
from relaymail.test.interop.receivers import BODY, PASSWORD, ReceiverTestCase
from relaymail.test.interop.senders import ELSEWHERE, SenderTestCase

FULL, UNKNOWN = "full@one.example", "unknown@one.example"
#: Its users: one has room for ten octets, and the notices come to the last.
_USERS = {
    RECIPIENT: "::::::",
    FULL: "::::::userdb_quota_rule=*:bytes=10B",
    SENDER: "::::::",
}


class LMTPTests(ReceiverTestCase):
    """
    LMTP (RFC 2033): each recipient has a reply of its own.
    """

    async def start(self) -> Dovecot:
        """
        Start one.
        """
        dovecot: Dovecot = await self.started(Dovecot, _USERS)
        return dovecot

    def box(self, user: str) -> list[bytes]:
        """
        Give what is in somebody's mailbox.
        """
        place: Path = self.server.mail / user
        return contentsIn(place)

    async def fare(self, url: str) -> None:
        """
        Check that of three recipients one gets the message; of the others one is
        refused before the message, and one behind it.
        """
        self.begin(url)
        await self.give([UNKNOWN, RECIPIENT, FULL])
        await until(lambda: len(self.outcomes("bounced")) == 2, "two bounce")
        await until(lambda: len(self.outcomes("delivered")) >= 1, "one arrives")
        (content,) = self.box(RECIPIENT)
        self.assertTrue(content.endswith(b"\n\n" + BODY), content)
        self.assertEqual((self.box(FULL), self.box(UNKNOWN)), ([], []))
        await until(self._areTold, "the sender is told")
        await until(self._isEmpty, "it is settled")
        told = b"".join(self.box(SENDER)).replace(b"\r\n", b"\n")
        self.assertRegex(
            told,
            rb"Final-Recipient: rfc822; unknown@one.example\n"
            rb"Action: failed\nStatus: 5.1.1\n",
        )
        self.assertRegex(
            told,
            rb"Final-Recipient: rfc822; full@one.example\n"
            rb"Action: failed\nStatus: 5.2.2\n",
        )
        self.assertEqual(told.count(b"Final-Recipient"), 2)

    def _areTold(self) -> bool:
        told = b"".join(self.box(SENDER))
        return told.count(b"Final-Recipient") == 2

    async def test_tcp(self) -> None:
        """
        Over TCP.
        """
        dovecot = await self.start()
        await self.fare(f"lmtp://127.0.0.1:{dovecot.port}")

    async def test_unix(self) -> None:
        """
        By a UNIX socket.
        """
        dovecot = await self.start()
        await self.fare(f"lmtp+unix://{dovecot.socket}")

    async def test_delivered(self) -> None:
        """
        Where the sender wants to be told, the relay says that it is delivered: it is
        in the mailbox, and LMTP has no DSN here (RFC 3461 5.2.2).
        """
        dovecot = await self.start()
        self.begin(f"lmtp://127.0.0.1:{dovecot.port}")
        await self.give(mail=["ENVID=ab"], rcpt=["NOTIFY=SUCCESS"])
        report = await self.report()
        self.assertReported(report, "Original-Envelope-Id: ab", "Action: delivered")
        self.assertReported(report, "Reporting-MTA: dns; relay.example")

    async def test_session(self) -> None:
        """
        Many messages in one session.
        """
        await self.start()
        await self.giveMany("lmtp")

    async def test_many(self) -> None:
        """
        Messages one after the other, in one session: the replies belong to their
        recipients.
        """
        dovecot = await self.start()
        self.begin(f"lmtp://127.0.0.1:{dovecot.port}", maxConnections=1)
        for number in range(5):
            content = MESSAGE + b"number %d\r\n" % number
            await self.give([FULL, RECIPIENT], content, rcpt=["NOTIFY=NEVER"])
        await until(lambda: len(self.outcomes("delivered")) == 5, "all arrive")
        await until(lambda: len(self.outcomes("bounced")) == 5, "all bounce")
        ends = sorted(content.splitlines()[-1] for content in self.box(RECIPIENT))
        self.assertEqual(ends, [b"number %d" % number for number in range(5)])
        self.assertEqual(self.box(FULL), [])


class SubmissionTests(SenderTestCase):
    """
    Its submission server, which hands on what its users give it.
    """

    async def start(self, **settings: str) -> Dovecot:
        """
        Start a relay that trusts nobody, and one in front of it.
        """
        relay = self.begin(networks=ELSEWHERE, xclient="127.0.0.1", **settings)
        users = {SENDER: f"{{PLAIN}}{PASSWORD}::::::"}
        dovecot = Dovecot(self.place, users, relay=self.portOf(relay))
        self.addCleanup(dovecot.stop)
        await self.listening(dovecot.submission, dovecot)
        return dovecot

    async def give(self, dovecot: Dovecot, content: bytes = MESSAGE) -> None:
        """
        Give it a message.
        """

        def send() -> None:
            port = dovecot.submission
            with smtplib.SMTP("127.0.0.1", port, timeout=CLIENT_PATIENCE) as client:
                client.login(SENDER, PASSWORD)
                client.sendmail(SENDER, [RECIPIENT], content)

        try:
            await deferToThread(send)
        except smtplib.SMTPException as e:
            raise AssertionError(f"{e}: {dovecot.said}{self.logged()}") from None

    async def test_xclient(self) -> None:
        """
        It says with XCLIENT who its user is, who may send mail by that, and sends in
        chunks (RFC 3030).
        """
        dovecot = await self.start()
        await self.give(dovecot)
        received = await self.arrivesWith("ESMTPA")
        self.assertFrom(SENDER)
        body = MESSAGE.partition(b"\r\n\r\n")[2]
        self.assertTrue(received.content.endswith(b"\r\n\r\n" + body))
        said = dovecot.saidToRelay
        self.assertIn(b" LOGIN=" + SENDER.encode("ascii"), said)
        self.assertIn(b"BDAT ", said)

    async def test_large(self) -> None:
        """
        A large message comes octet for octet.
        """
        dovecot = await self.start()
        content = largeMessage(6000)
        await self.give(dovecot, content)
        (received,) = await self.arrives()
        self.assertTrue(received.content.endswith(content.partition(b"\r\n\r\n")[2]))
        self.assertIn(b"BDAT ", dovecot.saidToRelay)
