# -*- test-case-name: relaymail.test.stories.test_protectednotices -*-
"""
How notices are protected on their way (RFC 8689 5), at a smart host under TLS.
"""

from __future__ import annotations

from typing import Any

from relaymail.envelopes import Envelope, Parameters
from relaymail.test.stories.harness import FIRST, SENDER
from relaymail.test.stories.test_starttls import TLSTestCase
from relaymail.testing.doubles import CONTENT
from relaymail.testing.servers import Received, SMTPServer

USUAL = ("PIPELINING", "8BITMIME", "DSN")
SECURE = Parameters(requireTLS=True)
REFUSED = {"RCPT b@example.org": "550 5.1.1 Nobody"}
POSTMASTER = "postmaster@example.com"
SECRET = b"Message-ID: <1@example.com>\r\n" + CONTENT


class ProtectedTests(TLSTestCase):
    """
    Mail that fails, with what was said of it.
    """

    def told(
        self,
        parameters: Parameters,
        *keywords: str,
        sender: str = SENDER,
        content: bytes = SECRET,
        answers: Any = None,
    ) -> list[Received]:
        """
        Let a message fail at a smart host that can do some things, and give what
        that host got.
        """
        self.smartHost(caFile=self.certificate)
        self.host: SMTPServer = self.world.host(
            FIRST,
            REFUSED if answers is None else answers,
            keywords=(*USUAL, *keywords),
            contextFactory=self.context,
        )
        envelope = Envelope(sender, ("b@example.org",), parameters)
        self.world.queue.add(envelope, content)
        self.world.run(10)
        return self.host.received

    def mails(self) -> list[str]:
        """
        Give the MAIL commands that the host heard.
        """
        lines = [line for s in self.host.sessions for line in s.commands]
        return [line for line in lines if line.startswith("MAIL")]

    def test_sameWayBack(self) -> None:
        """
        The notice of what may go over TLS only goes so, and says so to the host.
        """
        (notice,) = self.told(SECURE, "REQUIRETLS")
        self.assertEqual((notice.sender, notice.recipients), ("", (SENDER,)))
        self.assertTrue(notice.session.isTLS)
        self.assertIn(b"multipart/report", notice.content)
        self.assertIn(b"<1@example.com>", notice.content)
        self.assertTrue(all("REQUIRETLS" in line for line in self.mails()))
        self.assertEqual(len(self.mails()), 2)
        self.assertEmpty()

    def test_A02_noWayBack(self) -> None:
        """
        Where there is none, something else comes that says nothing of it.
        """
        (redacted,) = self.told(SECURE)
        self.assertEqual(redacted.recipients, (POSTMASTER,))
        self.assertEqual(redacted.sender, "")
        for word in (SENDER.encode(), b"example.org", b"Subject: hi", b"Hello"):
            self.assertNotIn(word, redacted.content.partition(b"\r\n\r\n")[2])
        self.assertIn(b"<1@example.com>", redacted.content)
        self.assertFalse(any("REQUIRETLS" in line for line in self.mails()))
        self.assertEmpty()

    def test_postmasterRefuses(self) -> None:
        """
        If that fails, too, it is all: nobody is told of it.
        """
        answers = {"RCPT": "550 5.1.1 Nobody"}
        self.assertEqual(self.told(SECURE, answers=answers), [])
        self.assertEqual(len(self.mails()), 1)
        self.assertEmpty()

    def test_noticeOfAnother(self) -> None:
        """
        A notice that came in and may go over TLS only is gone where it cannot, as
        any other that fails.
        """
        trace = b"Received: from x by y; Thu, 01 Jan 2026 00:00:00 +0000\r\n"
        self.assertEqual(self.told(SECURE, sender="", content=trace + SECRET), [])
        self.assertEmpty()

    def test_TLSRequired(self) -> None:
        """
        The notice of mail that goes where TLS is broken says that it does so, too.
        """
        content = b"TLS-Required: No\r\n" + SECRET
        (notice,) = self.told(Parameters(tlsOptional=True), content=content)
        self.assertEqual(notice.recipients, (SENDER,))
        header = notice.content.partition(b"\r\n\r\n")[0]
        self.assertIn(b"\r\nTLS-Required: No\r\n", header)
        self.assertEmpty()
