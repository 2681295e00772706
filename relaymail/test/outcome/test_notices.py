# -*- test-case-name: relaymail.test.outcome.test_notices -*-
"""
Tests for L{relaymail.outcome.notices}, read back with the standard library's
parser.
"""

from __future__ import annotations

from dataclasses import replace
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import Envelope, Parameters
from relaymail.outcome.notices import (
    MAX_LINE,
    MAX_ORIGINAL,
    Notice,
    compose,
    envelopeOf,
    mayNotify,
)
from relaymail.outcomes import Bounce
from relaymail.replies import Phase, Reply, Trouble, TroubleKind

REFUSED = Bounce(
    "5.1.1",
    Phase.RCPT,
    Reply(550, (b"5.1.1 <bob@d.example>: no such user", b"5.1.1 really")),
    "mx1.d.example",
    "192.0.2.1",
    "TLSv1.3",
)
UNKNOWN = Bounce(
    "5.1.2",
    Phase.RESOLVE,
    Trouble(Phase.RESOLVE, TroubleKind.NO_SUCH_DOMAIN, "x.example"),
)
EXPIRED = Bounce(
    "4.4.7",
    Phase.CONNECT,
    Trouble(Phase.CONNECT, TroubleKind.TIMEOUT),
    "mx2.d.example",
    "2001:db8::1",
    expired=True,
)
ORIGINAL = b"From: alice@a.example\r\nSubject: hello\r\n\r\nWords.\r\n"
NOTICE = Notice(
    "relay.example",
    "alice@a.example",
    [("bob@d.example", REFUSED)],
    ORIGINAL,
    1_000_000_000.0,
    1_000_000_100.5,
    "token7",
)


def parse(content: bytes) -> EmailMessage:
    """
    Read a notice.
    """
    return BytesParser(policy=policy.default).parsebytes(content)


def partsOf(content: bytes) -> list[EmailMessage]:
    """
    Give the three parts of a notice.
    """
    return cast(list[EmailMessage], parse(content).get_payload())


def fieldsOf(content: bytes) -> list[EmailMessage]:
    """
    Give the groups of fields of a notice's second part.
    """
    return cast(list[EmailMessage], partsOf(content)[1].get_payload())


class NoticeCase(SynchronousTestCase):
    """
    What the tests of notices share.
    """

    def assertCanonical(self, content: bytes) -> None:
        """
        Check that a message has only CRLF line ends, no NUL, no line that is
        too long, and parses without a defect.
        """
        bare = content.replace(b"\r\n", b"")
        self.assertNotIn(b"\r", bare)
        self.assertNotIn(b"\n", bare)
        self.assertNotIn(b"\0", bare)
        self.assertTrue(content.endswith(b"\r\n"))
        longest = max(map(len, content.split(b"\r\n")))
        self.assertLessEqual(longest, MAX_LINE)
        message = parse(content)
        self.assertEqual(message.defects, [])
        self.assertEqual(len(cast(list[Any], message.get_payload())), 3)


class ComposeTests(NoticeCase):
    """
    What a notice looks like.
    """

    def test_header(self) -> None:
        """
        The fields that RFC 3464 2, RFC 6522 3 and RFC 3834 5 ask for.
        """
        content = compose(NOTICE)
        self.assertCanonical(content)
        message = parse(content)
        self.assertEqual(message["From"], "MAILER-DAEMON@relay.example")
        self.assertEqual(message["To"], "alice@a.example")
        self.assertEqual(message["Date"], "Sun, 09 Sep 2001 01:48:20 +0000")
        self.assertEqual(message["Message-ID"], "<token7.notice@relay.example>")
        self.assertEqual(message["Auto-Submitted"], "auto-replied")
        self.assertEqual(message["MIME-Version"], "1.0")
        self.assertEqual(message.get_content_type(), "multipart/report")
        self.assertEqual(message.get_param("report-type"), "delivery-status")

    def test_D15_fieldsForEachRecipient(self) -> None:
        """
        One notice lists several recipients, each with its own fields.
        """
        notice = replace(
            NOTICE, failures=[("bob@d.example", REFUSED), ("c@x.example", UNKNOWN)]
        )
        whole, bob, c = fieldsOf(compose(notice))
        self.assertEqual(whole["Reporting-MTA"], "dns; relay.example")
        self.assertEqual(whole["Arrival-Date"], "Sun, 09 Sep 2001 01:46:40 +0000")
        self.assertEqual(bob["Final-Recipient"], "rfc822; bob@d.example")
        self.assertEqual(bob["Action"], "failed")
        self.assertEqual(bob["Status"], "5.1.1")
        self.assertEqual(bob["Remote-MTA"], "dns; mx1.d.example")
        self.assertEqual(
            bob["Diagnostic-Code"],
            "smtp; 550 5.1.1 <bob@d.example>: no such user 5.1.1 really",
        )
        self.assertEqual(bob["Last-Attempt-Date"], "Sun, 09 Sep 2001 01:48:20 +0000")
        self.assertEqual(c["Final-Recipient"], "rfc822; c@x.example")
        self.assertEqual(c["Status"], "5.1.2")
        self.assertIsNone(c["Remote-MTA"])
        self.assertTrue(c["Diagnostic-Code"].startswith("X-Relaymail; no such domain"))

    def test_D31_expiredSaysSo(self) -> None:
        """
        Expired mail has status 4.4.7, and the last error stands in it.
        """
        content = compose(replace(NOTICE, failures=[("bob@d.example", EXPIRED)]))
        fields = fieldsOf(content)[1]
        self.assertEqual(fields["Status"], "4.4.7")
        self.assertIn("timed out while connecting", fields["Diagnostic-Code"])
        self.assertIn("too long", partsOf(content)[0].get_content())

    def test_wordsForPeople(self) -> None:
        """
        The first part says who, where, when and the remote's own words.
        """
        words = partsOf(compose(NOTICE))[0].get_content()
        for told in (
            "<bob@d.example>",
            "mx1.d.example (192.0.2.1) answered, while sending RCPT TO:",
            "550 5.1.1 <bob@d.example>: no such user",
        ):
            self.assertIn(told, words)

    def test_addressWithoutHostName(self) -> None:
        """
        A host known by its address only is a literal in Remote-MTA; a bounce
        without evidence has no Diagnostic-Code.
        """
        outcome = Bounce("bad", Phase.MAIL, None, "", "192.0.2.9")
        fields = fieldsOf(compose(replace(NOTICE, failures=[("b@d", outcome)])))[1]
        self.assertEqual(fields["Remote-MTA"], "dns; [192.0.2.9]")
        self.assertEqual(fields["Status"], "5.0.0")
        self.assertIsNone(fields["Diagnostic-Code"])

    def test_timesNoCalendarHas(self) -> None:
        """
        A clock gone mad does not stop a notice.
        """
        for time in (-1e30, 1e30, float("inf"), float("nan")):
            self.assertCanonical(compose(replace(NOTICE, now=time, arrived=time)))

    def test_P5_noticeIsOrdinaryMail(self) -> None:
        """
        A notice is queued like any other mail, from the null sender.
        """
        self.assertEqual(
            envelopeOf(NOTICE, compose(NOTICE)),
            Envelope("", ("alice@a.example",), Parameters()),
        )
        eight = replace(NOTICE, original="Subject: ä\r\n\r\n".encode())
        self.assertEqual(
            envelopeOf(eight, compose(eight)).parameters, Parameters("8BITMIME")
        )

    def test_P5_neverANoticeOfANotice(self) -> None:
        """
        The null sender is told nothing.
        """
        self.assertFalse(mayNotify(""))
        self.assertFalse(mayNotify("<>"))
        self.assertTrue(mayNotify("alice@a.example"))
        self.assertRaises(ValueError, compose, replace(NOTICE, sender=""))
        self.assertRaises(ValueError, compose, replace(NOTICE, failures=[]))


class OriginalTests(NoticeCase):
    """
    What is given back of the message.
    """

    def third(self, original: bytes) -> tuple[str, str, bytes]:
        """
        Give the type, the encoding and the bytes of the third part.
        """
        content = compose(replace(NOTICE, original=original))
        self.assertCanonical(content)
        part = partsOf(content)[2]
        boundary = cast(str, parse(content).get_boundary()).encode()
        raw = content.split(b"\r\n--" + boundary)[3]
        return (
            part.get_content_type(),
            str(part["Content-Transfer-Encoding"]),
            raw.partition(b"\r\n\r\n")[2],
        )

    def test_whole(self) -> None:
        """
        A short message is given back byte for byte.
        """
        self.assertEqual(self.third(ORIGINAL), ("message/rfc822", "7bit", ORIGINAL))

    def test_lineEnds(self) -> None:
        """
        LF and bare CR become CRLF.
        """
        given_ = ORIGINAL.replace(b"\r\n", b"\n") + b"a\rb"
        self.assertEqual(self.third(given_)[2], ORIGINAL + b"a\r\nb")

    def test_eightBit(self) -> None:
        """
        Bytes over 127 are kept and declared, on the outside too.
        """
        original = ORIGINAL + b"\xff\xe4\r\n"
        self.assertEqual(self.third(original), ("message/rfc822", "8bit", original))
        message = parse(compose(replace(NOTICE, original=original)))
        self.assertEqual(message["Content-Transfer-Encoding"], "8bit")

    def test_tooLong(self) -> None:
        """
        Of a long message the header is given back.
        """
        header, _, _ = ORIGINAL.partition(b"\r\n\r\n")
        kind, _, given_ = self.third(ORIGINAL + b"x\r\n" * MAX_ORIGINAL)
        self.assertEqual((kind, given_), ("text/rfc822-headers", header + b"\r\n"))

    def test_endlessHeader(self) -> None:
        """
        A header without an end is bounded too.
        """
        kind, _, given_ = self.third(b"X: y\r\n" * MAX_ORIGINAL)
        self.assertEqual(kind, "text/rfc822-headers")
        self.assertLess(len(given_), MAX_ORIGINAL * 2)

    def test_longLineAndNUL(self) -> None:
        """
        What may not stand unencoded in a part leaves only the header.
        """
        for body in (b"x" * 999, b"a\0b"):
            kind, _, given_ = self.third(ORIGINAL + body)
            self.assertEqual(kind, "text/rfc822-headers")
            self.assertNotIn(body, given_)
        kind, _, given_ = self.third(b"X: \0" + b"y" * 2000 + b"\n\nbody")
        self.assertEqual(given_, b"X: ?" + b"y" * (MAX_LINE - 4) + b"\r\n")

    def test_empty(self) -> None:
        """
        A message without a byte is no trouble.
        """
        self.assertEqual(self.third(b""), ("message/rfc822", "7bit", b""))

    @settings(deadline=None, max_examples=50)
    @given(
        st.lists(
            st.sampled_from(
                [b"\r", b"\n", b"\r\n", b"\0", b"--=_token7_0=", b".", b"X: y", b"\xff"]
            ),
            max_size=30,
        ).map(b"".join)
    )
    def test_alwaysCanonical(self, original: bytes) -> None:
        """
        Whatever the message, the notice is canonical and has three parts.
        """
        self.assertCanonical(compose(replace(NOTICE, original=original)))


class InjectionTests(NoticeCase):
    """
    Text from outside stays in its line.
    """

    def test_A03_replyCannotAddFieldsOrParts(self) -> None:
        """
        Line ends in what the remote said are no line ends in the notice, and
        its length is bounded.
        """
        evil = "5.1.1 no\r\nStatus: 2.0.0\r\n\r\n--=_token7_0=\u2028\x85\x00x".encode()
        for text in (evil, evil * 100, b"y" * 5000, "ä€".encode() * 900):
            outcome = replace(REFUSED, evidence=Reply(550, (text,)))
            content = compose(replace(NOTICE, failures=[("b@d.example", outcome)]))
            self.assertCanonical(content)
            self.assertEqual(fieldsOf(content)[1].get_all("Status"), ["5.1.1"])
            self.assertEqual(len(fieldsOf(content)), 2)
            self.assertLess(len(content), 5000)

    def test_A03_namesCannotAddFields(self) -> None:
        """
        Addresses, hosts, status and token cannot either.
        """
        evil = "x\r\nBcc: all@example\r\n\r\n"
        outcome = replace(REFUSED, status=evil, host=evil, address=evil)
        content = compose(
            replace(
                NOTICE,
                sender=evil,
                reportingHost=evil,
                token=evil * 20,
                failures=[(evil, outcome)],
            )
        )
        self.assertCanonical(content)
        self.assertIsNone(parse(content)["Bcc"])
        for group in fieldsOf(content):
            self.assertIsNone(group["Bcc"])
        self.assertNotIn(b"\nBcc", content)

    def test_A03_boundaryIsNotInTheParts(self) -> None:
        """
        A message that knows the boundary cannot end its part.
        """
        original = ORIGINAL + b"--=_token7_0=\r\n--=_token7_1=--\r\n"
        content = compose(replace(NOTICE, original=original))
        self.assertCanonical(content)
        self.assertEqual(parse(content).get_boundary(), "=_token7_2=")
