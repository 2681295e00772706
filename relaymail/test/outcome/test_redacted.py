# -*- test-case-name: relaymail.test.outcome.test_redacted -*-
"""
Tests for L{relaymail.outcome.redacted}.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import Envelope, Parameters
from relaymail.outcome.news import News, Notice, Told
from relaymail.outcome.notices import MAX_LINE, compose
from relaymail.outcome.redacted import isForWantOfTLS, redactedOf
from relaymail.outcomes import Bounce, Delivered, Outcome, Retry
from relaymail.replies import Phase, Reply, Trouble, TroubleKind
from relaymail.test.outcome.test_notices import REFUSED, UNKNOWN, parse

ORIGINAL = (
    b"From: Alice <alice@a.example>\r\nTo: bob@d.example\r\nSubject: hush\r\n"
    b"Message-ID: <1.secret@mail.a.example>\r\n\r\nWords.\r\n"
)
NOTICE = Notice(
    "relay.example",
    "alice@a.example",
    [
        Told("bob@d.example", REFUSED, "rfc822;bobby@old.example"),
        Told("carol@x.example", UNKNOWN),
        Told("dave@d.example", REFUSED),
    ],
    ORIGINAL,
    1_000_000_000.0,
    1_000_000_100.5,
    "token7",
    parameters=Parameters(requireTLS=True, envid="my envelope"),
)
NOW = 1_000_500_000.0
TO = "alice@a.example"


def made(
    notice: Notice = NOTICE, to: str = "alice@a.example"
) -> tuple[Envelope, bytes]:
    """
    Make what takes the place of a notice.
    """
    found = redactedOf(compose(notice), to, "relay.example", NOW, "token8")
    assert found is not None
    return found


class RedactedTests(SynchronousTestCase):
    """
    What takes the place of a notice.
    """

    def assertCanonical(self, content: bytes) -> None:
        """
        Check that a message has only CRLF line ends, no line that is too long, and
        parses without a defect.
        """
        bare = content.replace(b"\r\n", b"")
        self.assertFalse({*b"\r\n\0"} & set(bare))
        self.assertLessEqual(max(map(len, content.split(b"\r\n"))), MAX_LINE)
        message = parse(content)
        self.assertEqual((message.defects, message.is_multipart()), ([], False))

    def test_whatItSays(self) -> None:
        """
        It is for the postmaster of the sender's domain, names the message by its
        Message-ID, and says of which kinds the failures were (RFC 8689 5).
        """
        envelope, content = made()
        self.assertEqual(envelope, Envelope("", ("postmaster@a.example",)))
        self.assertCanonical(content)
        message = parse(content)
        self.assertEqual(message["To"], "postmaster@a.example")
        self.assertEqual(message["From"], "MAILER-DAEMON@relay.example")
        self.assertEqual(message["Message-ID"], "<token8.notice@relay.example>")
        self.assertEqual(message["Auto-Submitted"], "auto-replied")
        text = str(message.get_payload())
        self.assertIn("    Message-ID: <1.secret@mail.a.example>\r\n", text)
        self.assertIn("    Status: 5.1.1 (an address)\r\n", text)
        self.assertIn("    Status: 5.1.2 (an address)\r\n", text)
        self.assertEqual(text.count("Status:"), 2)

    def test_A03_nothingElse(self) -> None:
        """
        Nothing else of the message is in it, nor who it was for, nor what hosts
        said, nor when it came, nor how its sender called it.
        """
        _, content = made()
        for word in (
            *(b"alice", b"Alice", b"bob", b"carol", b"dave", b"hush", b"Words"),
            *(b"d.example", b"x.example", b"old.example", b"mx1", b"192.0.2.1"),
            *(b"no such user", b"my envelope", b"token7", b"46:40", b"Sep 2001 01:4"),
        ):
            self.assertNotIn(word, content)

    def test_otherNames(self) -> None:
        """
        A Message-ID may be folded; one that is none, or none there is, is not shown.
        """
        usual = b"Message-ID: <1.secret@mail.a.example>"
        for field, shown in (
            (b"message-id :\r\n\t<a@b>", b"<a@b>"),
            (b"Message-ID: a b@c", b"none that can be shown"),
            (b"Message-ID: <a b>", b"none that can be shown"),
            (b"Message-ID: <" + b"x" * 300 + b">", b"none that can be shown"),
            (b"X-Message-ID: <a@b>", b"none that can be shown"),
            (b"Subject: x\r\n\r\nMessage-ID: <a@b>", b"none that can be shown"),
        ):
            notice = replace(NOTICE, original=ORIGINAL.replace(usual, field))
            _, content = made(notice)
            self.assertIn(b"    Message-ID: " + shown + b"\r\n", content)

    def test_asTheDirectoryHasIt(self) -> None:
        """
        Lines that end in LF are as good.
        """
        notice = compose(NOTICE).replace(b"\r\n", b"\n")
        found = redactedOf(notice, "alice@a.example", "relay.example", NOW, "token8")
        self.assertEqual(found, made())

    def test_foreign(self) -> None:
        """
        A domain that is not ASCII makes it such mail; a notice whose own parts are
        not ASCII does not.
        """
        envelope, content = made(to="alice@bücher.example")
        self.assertEqual(envelope.recipients, ("postmaster@bücher.example",))
        self.assertEqual(envelope.parameters, Parameters("8BITMIME", utf8=True))
        self.assertEqual(parse(content)["To"], "postmaster@bücher.example")
        notice = replace(NOTICE, told=[Told("jörg@d.example", REFUSED)])
        envelope, content = made(notice)
        self.assertEqual(envelope.parameters, Parameters())
        self.assertIn(b"Status: 5.1.1", content)

    def test_notThese(self) -> None:
        """
        What came in, what tells of something else, and what is no notice has none,
        and so has one that itself took a notice's place.
        """
        own = compose(NOTICE)
        for content in (
            b"Received: from x by y; z\r\n" + own,
            b"",
            own[:100],
            own.replace(b"boundary=", b"bound="),
            ORIGINAL,
            made()[1],
            *(compose(replace(NOTICE, news=n)) for n in News if n is not News.FAILED),
        ):
            found = redactedOf(content, "alice@a.example", "h", NOW, "t")
            self.assertIsNone(found, content)
        self.assertIsNone(redactedOf(own, "alice", "h", NOW, "t"))

    @given(st.binary(max_size=200), st.text(max_size=40))
    @settings(deadline=None, max_examples=50)
    def test_A03_anything(self, original: bytes, said: str) -> None:
        """
        Whatever the message was and a host said, it is one message, with no more
        than one Message-ID and one status in it.
        """
        evidence = Reply(550, (said.encode("utf-8", "replace"),))
        bounce = Bounce("5.1.1", Phase.RCPT, evidence, "h.example")
        notice = replace(
            NOTICE, told=[Told("bob@d.example", bounce)], original=original
        )
        envelope, content = made(notice)
        self.assertCanonical(content)
        self.assertEqual(envelope, Envelope("", ("postmaster@a.example",)))
        self.assertEqual(content.count(b"    Message-ID: "), 1)
        self.assertEqual(content.count(b"    Status: "), 1)


class WantTests(SynchronousTestCase):
    """
    For want of TLS.
    """

    def test_isForWantOfTLS(self) -> None:
        """
        It is where the host cannot promise it, in our words or its own, or TLS
        failed as long as it was tried; not where something else is wrong, or it is
        tried again.
        """

        def bounce(kind: TroubleKind, **more: Any) -> Bounce:
            return Bounce("5.9.9", Phase.MAIL, Trouble(Phase.MAIL, kind), **more)

        refusal = Reply(550, (b"5.7.30 REQUIRETLS needed",))
        tls = Trouble(Phase.STARTTLS, TroubleKind.TLS)
        table: tuple[tuple[Outcome, bool], ...] = (
            (bounce(TroubleKind.NO_REQUIRETLS), True),
            (bounce(TroubleKind.NO_REQUIRETLS, expired=True), True),
            (bounce(TroubleKind.TLS, expired=True), True),
            (bounce(TroubleKind.TLS), False),
            (bounce(TroubleKind.TIMEOUT, expired=True), False),
            (bounce(TroubleKind.OPERATOR), False),
            (Bounce("5.7.30", Phase.MAIL, refusal), True),
            (Bounce("5.1.1", Phase.RCPT, Reply(550, (b"5.1.1 No",))), False),
            (Bounce("5.7.30", Phase.MAIL), True),
            (Retry("4.7.30", Phase.MAIL, tls), False),
            (Delivered("2.0.0", Phase.FINAL), False),
        )
        for outcome, isFor in table:
            self.assertIs(isForWantOfTLS(outcome), isFor, outcome)
