# -*- test-case-name: relaymail.test.outcome.test_notices -*-
"""
Tests for L{relaymail.outcome.notices}, read back with the standard library's
parser.
"""

from __future__ import annotations

from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from email.parser import BytesParser
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import Envelope, Parameters
from relaymail.headers import headerOf, isTLSOptional
from relaymail.outcome.notices import (
    MAX_LINE,
    MAX_ORIGINAL,
    News,
    Notice,
    Told,
    compose,
    envelopeOf,
    mayNotify,
)
from relaymail.outcomes import Bounce, Delivered, Retry
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
    [Told("bob@d.example", REFUSED)],
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
            NOTICE, told=[Told("bob@d.example", REFUSED), Told("c@x.example", UNKNOWN)]
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
        content = compose(replace(NOTICE, told=[Told("bob@d.example", EXPIRED)]))
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
        fields = fieldsOf(compose(replace(NOTICE, told=[Told("b@d", outcome)])))[1]
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
        self.assertRaises(ValueError, compose, replace(NOTICE, told=[]))


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
            content = compose(replace(NOTICE, told=[Told("b@d.example", outcome)]))
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
                told=[Told(evil, outcome)],
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


def told(recipient: str, orcpt: str = "", outcome: Any = REFUSED) -> Told:
    """
    Tell of a recipient.
    """
    return Told(recipient, outcome, orcpt)


class AskedTests(NoticeCase):
    """
    What senders have asked for (RFC 3461).
    """

    def parts(self, **changes: Any) -> list[EmailMessage]:
        """
        Write a notice, and give its parts.
        """
        content = compose(replace(NOTICE, **changes))
        self.assertCanonical(content)
        return partsOf(content)

    def fields(self, **changes: Any) -> list[EmailMessage]:
        """
        Give the groups of fields of its second part.
        """
        return cast(list[EmailMessage], self.parts(**changes)[1].get_payload())

    def test_envelopeId(self) -> None:
        """
        The sender's name of the transaction comes back, in one line.
        """
        parameters = Parameters(envid="QQ+3141 59\r\nX: y")
        message, _ = self.fields(parameters=parameters)
        self.assertEqual(message["Original-Envelope-Id"], "QQ+3141 59 X: y")
        self.assertIsNone(self.fields()[0]["Original-Envelope-Id"])

    def test_originalRecipient(self) -> None:
        """
        So does the recipient that the sender named, before what became of it.
        """
        _, recipient = self.fields(told=[told("b@x.example", "rfc822;Bob@d.example")])
        self.assertEqual(
            recipient.keys()[:3], ["Original-Recipient", "Final-Recipient", "Action"]
        )
        self.assertEqual(recipient["Original-Recipient"], "rfc822;Bob@d.example")
        self.assertIsNone(self.fields()[1]["Original-Recipient"])

    def test_whatIsReturned(self) -> None:
        """
        RET says how much comes back (RFC 3461 4.3); of what has not failed it is
        the header.
        """
        for ret, kind in (
            ("", "message/rfc822"),
            ("FULL", "message/rfc822"),
            ("HDRS", "text/rfc822-headers"),
        ):
            part = self.parts(parameters=Parameters(ret=ret))[2]
            self.assertEqual(part.get_content_type(), kind)
        for news in (News.DELAYED, News.RELAYED, News.DELIVERED):
            part = self.parts(parameters=Parameters(ret="FULL"), news=news)[2]
            self.assertEqual(part.get_content_type(), "text/rfc822-headers")
            self.assertNotIn("Words.", str(part))

    def test_headerOfWhatIsForTLSOnly(self) -> None:
        """
        Of mail that may go over TLS only no more than the header comes back,
        whatever RET says (RFC 8689 5); the notice itself goes as the message would.
        """
        said = Parameters(ret="FULL", requireTLS=True)
        part = self.parts(parameters=said)[2]
        self.assertEqual(part.get_content_type(), "text/rfc822-headers")
        notice = replace(NOTICE, parameters=said)
        envelope = envelopeOf(notice, compose(notice))
        self.assertEqual(envelope.parameters, Parameters(requireTLS=True))

    def test_TLSRequired(self) -> None:
        """
        Of mail that goes where the protection that is wanted cannot be had the
        notice does so, too, and says it; but not of mail that may go over TLS only.
        """
        for said, isOptional in (
            (Parameters(tlsOptional=True), True),
            (Parameters(requireTLS=True, tlsOptional=True), False),
            (Parameters(), False),
        ):
            for news in News:
                notice = replace(NOTICE, parameters=said, news=news)
                content = compose(notice)
                field = parse(content)["TLS-Required"]
                self.assertEqual(field, "No" if isOptional else None)
                self.assertIs(isTLSOptional(headerOf(content)), isOptional)
                parameters = envelopeOf(notice, content).parameters
                self.assertIs(parameters.tlsOptional, isOptional)
                self.assertIs(parameters.requireTLS, said.requireTLS)

    def test_D32_delayed(self) -> None:
        """
        One that tells of a delay says until when it goes on.
        """
        late = Retry(
            "4.4.1", Phase.CONNECT, Trouble(Phase.CONNECT, TroubleKind.REFUSED)
        )
        each = Told("b@x.example", late, until=1_000_300_000.0)
        content = compose(replace(NOTICE, told=[each], news=News.DELAYED))
        self.assertCanonical(content)
        self.assertEqual(parse(content)["Subject"], "Your message is delayed")
        fields = fieldsOf(content)[1]
        self.assertEqual(fields["Action"], "delayed")
        self.assertEqual(fields["Status"], "4.4.1")
        self.assertEqual(fields["Will-Retry-Until"], "Wed, 12 Sep 2001 13:06:40 +0000")
        words = partsOf(content)[0].get_content()
        self.assertIn("is tried until Wed, 12 Sep 2001", words)
        self.assertIn("being tried again", " ".join(words.split()))

    def test_relayed(self) -> None:
        """
        One that tells of a delivery has a status of success, whatever was noted.
        """
        for news, status in (
            (News.RELAYED, "2.1.5"),
            (News.DELIVERED, "2.1.5"),
            (News.DELIVERED, "bad"),
            (News.RELAYED, "4.0.0"),
        ):
            done = Delivered(status, Phase.FINAL, Reply(250, (b"Ok",)), "mx.d.example")
            fields = self.fields(told=[told("b@x.example", outcome=done)], news=news)[1]
            self.assertEqual(fields["Action"], news.value)
            self.assertTrue(fields["Status"].startswith("2."))
            self.assertIsNone(fields["Will-Retry-Until"])

    def test_tooLate(self) -> None:
        """
        Words for what was not delivered by the time that was asked for.
        """
        outcome = replace(REFUSED, status="5.4.7")
        words, report, _ = self.parts(told=[told("b@x.example", outcome=outcome)])
        self.assertIn("by the time that was asked for", words.get_content())
        self.assertIn("Status: 5.4.7", str(report))


class ForeignTests(NoticeCase):
    """
    Notices of internationalised mail (RFC 6533).
    """

    def foreign(self, **changes: Any) -> tuple[list[Message], Envelope]:
        """
        Write a notice, and give its parts and its envelope.
        """
        notice = replace(NOTICE, **changes)
        content = compose(notice)
        self.assertCanonical(content)
        parts = cast(list[Message], message_from_bytes(content).get_payload())
        return parts, envelopeOf(notice, content)

    def test_recipient(self) -> None:
        """
        A recipient that is not ASCII stands as it is, with its type, beside those
        that are: in the body, and so the notice goes by hosts that take no
        internationalised mail.
        """
        both = [told("jörg@d.example", "utf-8;Jürgen@d.example"), told("b@d.example")]
        (words, report, original), envelope = self.foreign(told=both)
        self.assertEqual(envelope.parameters, Parameters("8BITMIME"))
        self.assertEqual(
            [part.get_content_type() for part in (words, report, original)],
            ["text/plain", "message/global-delivery-status", "message/rfc822"],
        )
        self.assertEqual(words.get_content_charset(), "utf-8")
        text = compose(replace(NOTICE, told=both)).decode()
        self.assertIn("Original-Recipient: utf-8;Jürgen@d.example\r\n", text)
        self.assertIn("Final-Recipient: utf-8; jörg@d.example\r\n", text)
        self.assertIn("Final-Recipient: rfc822; b@d.example\r\n", text)

    def test_sender(self) -> None:
        """
        So does the sender, and then the notice is internationalised itself.
        """
        notice = replace(NOTICE, sender="jörg@a.example")
        content = compose(notice)
        self.assertIn("To: jörg@a.example\r\n".encode(), content)
        self.assertTrue(envelopeOf(notice, content).parameters.utf8)
        self.assertEqual(len(partsOf(content)), 3)

    def test_original(self) -> None:
        """
        An internationalised message comes back as one, whole or its header.
        """
        original = "Subject: Grüße\r\n\r\n".encode() + b"\xe4\r\n"
        for ret, kind in (("", "message/global"), ("HDRS", "message/global-headers")):
            parts, envelope = self.foreign(
                original=original, parameters=Parameters(utf8=True, ret=ret)
            )
            self.assertEqual(parts[1].get_content_type(), "message/delivery-status")
            self.assertEqual(parts[2].get_content_type(), kind)
            self.assertEqual(parts[2]["Content-Transfer-Encoding"], "8bit")
            self.assertEqual(envelope.parameters, Parameters("8BITMIME"))

    def test_badUTF8(self) -> None:
        """
        A header that is no UTF-8 comes back without what is wrong in it.
        """
        notice = replace(
            NOTICE,
            original=b"Subject: \xe4" + "ä".encode() + b"\r\n\r\nx\r\n",
            parameters=Parameters(utf8=True),
        )
        self.assertIn("\r\n\r\nSubject: ä\r\n".encode(), compose(notice))

    def test_asciiAllTheSame(self) -> None:
        """
        Internationalised mail with nothing but ASCII in it has an ordinary notice;
        so has mail that is not, whatever its header has.
        """
        (_, report, original), envelope = self.foreign(parameters=Parameters(utf8=True))
        self.assertEqual(report.get_content_type(), "message/delivery-status")
        self.assertEqual(original.get_content_type(), "message/rfc822")
        self.assertEqual(envelope.parameters, Parameters())
        _, envelope = self.foreign(original=b"Subject: \xe4\r\n\r\n")
        self.assertEqual(envelope.parameters, Parameters("8BITMIME"))

    def test_A03_longForeignText(self) -> None:
        """
        Text that is long in UTF-8 stays in its line.
        """
        for text in ("ä" * 600, "\U0001f600" * 600, "ä\u2028x: y\r\nz" * 90):
            parts, _ = self.foreign(
                told=[told(text + "@d.example", "utf-8;" + text)],
                sender=text,
                reportingHost=text,
            )
            self.assertIsNone(parts[1]["x"])
