# -*- test-case-name: relaymail.test.endtoend.test_recipients -*-
"""
Tests for what becomes of the single recipients of a message, and for what
senders are told.
"""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage, Message
from typing import Any

from relaymail.test.endtoend.harness import (
    MESSAGE,
    RECIPIENT,
    SENDER,
    EndToEndTestCase,
    submit,
)
from relaymail.test.endtoend.processes import until
from relaymail.testing.servers import KEYWORDS, Received, SMTPServer

GOOD, LATER = "good@one.example", "later@one.example"
NEVER, MANY = "never@one.example", "many@one.example"
ONE_BY_ONE = [word for word in KEYWORDS if word != "PIPELINING"]


def parsed(message: Received) -> EmailMessage:
    """
    Read a message.
    """
    found: Any = email.message_from_bytes(message.content, policy=email.policy.default)
    return found  # type: ignore[no-any-return]


def partsOf(notice: EmailMessage) -> list[Message]:
    """
    Give the parts of a notice.
    """
    parts: list[Message] = list(notice.iter_parts())
    return parts


class MixedTests(EndToEndTestCase):
    """
    RCPT answered 250, 451, 550 and 552 in one transaction.
    """

    async def mixed(self, keywords: list[str]) -> SMTPServer:
        """
        Send a message to four recipients with four fates, and wait until
        nothing is left of it.
        """
        server = self.startServer(
            {
                f"RCPT {LATER}": ["451 4.2.1 Come back", "250 2.1.5 Ok"],
                f"RCPT {NEVER}": "550 5.1.1 Nobody of that name",
                f"RCPT {MANY}": ["552 5.5.3 Too many recipients", "250 2.1.5 Ok"],
            },
            keywords=keywords,
        )
        relay = self.startRelay(smartHosts=[server.address], retry="1s")
        await submit(self.portOf(relay), SENDER, [GOOD, LATER, NEVER, MANY])
        await server.whenReceived(4)
        await until(lambda: not relay.queue.getRelayed(), "all is settled")
        self.assertEqual(relay.queue.getWaiting(), [])
        self.assertIsNone(relay.queue.nextDue())
        self.assertEqual(len(server.received), 4)
        return server

    def check(self, server: SMTPServer) -> None:
        """
        Check that one was delivered, two were sent again, and the sender was
        told of the fourth only.
        """
        mail = [m for m in server.received if m.sender]
        (notice,) = (m for m in server.received if not m.sender)
        self.assertEqual([m.recipients for m in mail], [(GOOD,), (MANY,), (LATER,)])
        self.assertContents(mail)
        first, many, later = (m.at for m in mail)
        self.assertLess(many - first, 0.5, "552 is tried again at once")
        self.assertGreater(later - first, 0.7, "451 waits for its time")
        self.assertEqual(notice.recipients, (SENDER,))
        status = partsOf(parsed(notice))[1].as_string()
        self.assertEqual(status.count("Final-Recipient:"), 1)
        self.assertIn(f"Final-Recipient: rfc822; {NEVER}", status)
        self.assertIn("550 5.1.1 Nobody of that name", status)

    async def test_D15_D16_pipelined(self) -> None:
        """
        One delivery, two sent again, one notice that names only the 550.
        """
        self.check(await self.mixed(list(KEYWORDS)))

    async def test_D15_D16_oneByOne(self) -> None:
        """
        The same with a server that has no PIPELINING.
        """
        self.check(await self.mixed(ONE_BY_ONE))

    async def test_D19_allRefused(self) -> None:
        """
        Where every recipient is refused no data is sent, also when they were
        in one group with DATA.
        """
        server = self.startServer(
            {"RCPT": "550 5.1.1 Nobody", f"RCPT {SENDER}": "250 2.1.5 Ok"}
        )
        relay = self.startRelay(smartHosts=[server.address])
        await submit(self.portOf(relay), SENDER, [GOOD, NEVER])
        (notice,) = await server.whenReceived(1)
        status = partsOf(parsed(notice))[1].as_string()
        self.assertEqual(status.count("Action: failed"), 2)
        await until(lambda: not relay.queue.getRelayed(), "all is settled")
        self.assertEqual(len(server.received), 1)


class NoticeTests(EndToEndTestCase):
    """
    What senders are told of.
    """

    async def test_D14_report(self) -> None:
        """
        The sender of refused mail gets a C{multipart/report} (RFC 3462, RFC
        3464) with the server's words and the original.
        """
        server = self.startServer({f"MAIL {SENDER}": "550 5.7.1 Not from you"})
        relay = self.startRelay(smartHosts=[server.address])
        await submit(self.portOf(relay))
        (received,) = await server.whenReceived(1)
        self.assertEqual((received.sender, received.recipients), ("", (SENDER,)))
        notice = parsed(received)
        self.assertEqual(notice.get_content_type(), "multipart/report")
        self.assertEqual(notice.get_param("report-type"), "delivery-status")
        self.assertEqual(notice["To"], SENDER)
        self.assertEqual(notice["Auto-Submitted"].split()[0], "auto-replied")
        self.assertTrue(notice["Date"] and notice["Message-ID"] and notice["From"])
        words, status, original = partsOf(notice)
        self.assertEqual(words.get_content_type(), "text/plain")
        self.assertIn(RECIPIENT, words.as_string())
        self.assertEqual(status.get_content_type(), "message/delivery-status")
        fields = status.as_string()
        for field in (
            "Reporting-MTA: dns; relay.example",
            f"Final-Recipient: rfc822; {RECIPIENT}",
            "Action: failed",
            "Status: 5.7.1",
            "Diagnostic-Code: smtp; 550 5.7.1 Not from you",
        ):
            self.assertIn(field, fields)
        self.assertEqual(original.get_content_type(), "message/rfc822")
        inner = received.content.partition(b"Content-Type: message/rfc822")[2]
        self.assertIn(MESSAGE, inner)

    async def test_noNoticeOfNotice(self) -> None:
        """
        A notice that is refused is dropped, and the log says so.
        """
        server = self.startServer({"RCPT": "550 5.1.1 Nobody here"})
        relay = self.startRelay(smartHosts=[server.address])
        await submit(self.portOf(relay))
        await until(lambda: len(self.bounced()) == 2, "the notice bounced")
        self.assertIn("from=<>", self.bounced()[1])
        await until(lambda: not relay.queue.getRelayed(), "all is settled")
        self.assertEqual(server.received, [])
        senders = [
            line
            for session in server.sessions
            for line in session.commands
            if line.startswith("MAIL")
        ]
        self.assertEqual(len(senders), 2)

    async def test_noNoticeForTheNullSender(self) -> None:
        """
        Nobody is told of what had no sender (RFC 5321 4.5.5).
        """
        server = self.startServer({"RCPT": "550 5.1.1 Nobody here"})
        relay = self.startRelay(smartHosts=[server.address])
        await submit(self.portOf(relay), "")
        await until(self.bounced, "it bounced")
        await until(lambda: not relay.queue.getRelayed(), "all is settled")
        self.assertEqual(len(self.bounced()), 1)
        self.assertEqual(server.received, [])

    async def test_D31_expired(self) -> None:
        """
        Mail that was refused until its time ran out bounces as the result of
        an attempt, with the last words that were heard.
        """
        server = self.startServer({f"MAIL {SENDER}": "451 4.3.2 Not today"})
        relay = self.startRelay(smartHosts=[server.address], retry="1s", expire="1s")
        await submit(self.portOf(relay))
        (notice,) = await server.whenReceived(1)
        fields = partsOf(parsed(notice))[1].as_string()
        self.assertIn("Status: 4.4.7", fields)
        self.assertIn("451 4.3.2 Not today", fields)

    def bounced(self) -> list[str]:
        """
        Give the log lines of what bounced.
        """
        return [line for line in self.logged() if line.startswith("bounced id=")]
