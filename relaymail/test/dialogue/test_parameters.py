# -*- test-case-name: relaymail.test.dialogue.test_parameters -*-
"""
Tests for L{relaymail.dialogue.parameters}.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.parameters import (
    NOTHING,
    MailSaid,
    parametersOf,
    readMail,
    readRcpt,
)
from relaymail.envelopes import (
    NOTHING_SAID,
    DeliverBy,
    Parameters,
    RecipientParameters,
)
from relaymail.errors import Refused

_ALL = frozenset(
    {"SIZE", "8BITMIME", "BINARYMIME", "SMTPUTF8", "DSN", "REQUIRETLS", "AUTH"}
    | {"FUTURERELEASE", "DELIVERBY", "MT-PRIORITY"}
)


class _Cases(SynchronousTestCase):
    def refusal(self, call: Callable[..., object], *on: object) -> str:
        """
        Give the reply that a call refuses with.
        """
        text: str = self.assertRaises(Refused, call, *on).reply.text
        return text


class MailTests(_Cases):
    """
    The parameters of MAIL.
    """

    def test_nothing(self) -> None:
        """
        Where nothing is said nothing is made.
        """
        self.assertIs(readMail(b""), NOTHING)
        self.assertIs(readRcpt(b""), NOTHING_SAID)

    def test_read(self) -> None:
        """
        Each is read as its RFC writes it.
        """
        for text, said in (
            (b"SIZE=0 body=binarymime", MailSaid(0, "BINARYMIME")),
            (b"RET=hdrs ENVID=a+2Bb+20c", MailSaid(ret="HDRS", envid="a+b c")),
            (b"ENVID=" + b"x" * 100, MailSaid(envid="x" * 100)),
            (b"SMTPUTF8 REQUIRETLS", MailSaid(utf8=True, requireTLS=True)),
            (b"HOLDFOR=000000060", MailSaid(holdFor=60)),
            (
                b"HOLDUNTIL=2001-09-09T01:46:40Z",
                MailSaid(holdUntil=1_000_000_000),
            ),
            (
                b"HOLDUNTIL=2001-09-09T03:46:40.5+02:00",
                MailSaid(holdUntil=1_000_000_000.5),
            ),
            (b"BY=120;R", MailSaid(by=DeliverBy(120, True))),
            (b"BY=-5;nt", MailSaid(by=DeliverBy(-5, False, True))),
            (b"BY=+5;RT", MailSaid(by=DeliverBy(5, True, True))),
            (b"MT-PRIORITY=-9", MailSaid(priority=-9)),
            (b"MT-PRIORITY=0", MailSaid(priority=0)),
            (b"AUTH=<>", NOTHING),
            (b"AUTH=a+2Bb@c.example", MailSaid(submitter="a+b@c.example")),
        ):
            self.assertEqual(readMail(text, _ALL), said, text)

    def test_wrong(self) -> None:
        """
        A wrong value, a missing one, one too many or a parameter twice is 501.
        """
        for text in (
            b"SIZE", b"SIZE=1x", b"BODY=9BIT", b"RET=ALL", b"RET", b"ENVID",
            b"ENVID=a+2b", b"ENVID=+0D+0A", b"ENVID=+C3+BC", b"ENVID=+FF",
            b"ENVID=" + b"x" * 101, b"SMTPUTF8=1", b"REQUIRETLS=YES",
            b"HOLDFOR=", b"HOLDFOR=-1", b"HOLDFOR=1234567890", b"HOLDUNTIL=now",
            b"HOLDUNTIL=2001-02-30T00:00:00Z", b"HOLDUNTIL=2001-09-09T01:46:40",
            b"HOLDFOR=1 HOLDUNTIL=2001-09-09T01:46:40Z", b"BY=0;R", b"BY=-1;R",
            b"BY=1", b"BY=1;X", b"BY=1;TR", b"MT-PRIORITY=10", b"MT-PRIORITY=+1",
            b"MT-PRIORITY=-0", b"MT-PRIORITY=01", b"AUTH=", b"AUTH=a", b"AUTH",
            b"RET=FULL RET=FULL", b"SMTPUTF8 smtputf8", b"SIZE=1 SIZE=2",
            b"=", b"SIZE=1=2", b"RET=\xc5\xbfULL",
        ):  # fmt: skip
            self.assertIn("501 5.5.4", self.refusal(readMail, text, _ALL), text)

    def test_unknown(self) -> None:
        """
        A parameter that nobody knows, or of an extension that is not offered, is
        555.
        """
        for text in (b"XYZZY", b"XYZZY=1", b"SOLICIT=a:b"):
            self.assertIn("555 5.5.4", self.refusal(readMail, text, _ALL), text)
        for text in (
            b"RET=FULL", b"ENVID=1", b"SMTPUTF8", b"HOLDFOR=1", b"BY=1;R",
            b"MT-PRIORITY=1", b"AUTH=<>", b"REQUIRETLS", b"RET=WRONG",
        ):  # fmt: skip
            self.assertIn("555 5.5.4", self.refusal(readMail, text), text)
        self.assertIn("501 5.5.4", self.refusal(readMail, b"BODY=BINARYMIME"))

    def test_requireTLSInClear(self) -> None:
        """
        REQUIRETLS in clear, where TLS can be had, is told to need it.
        """
        said = self.refusal(readMail, b"REQUIRETLS", {"STARTTLS"})
        self.assertIn("530 5.7.10", said)

    def test_A05_many(self) -> None:
        """
        There are so many parameters, and no more.
        """
        self.assertIn("501", self.refusal(readMail, b"RET=FULL " * 21, _ALL))

    @settings(deadline=None, max_examples=100)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(
                    b"SIZE= BODY= RET= ENVID= BY= HOLDUNTIL= HOLDFOR= MT-PRIORITY= "
                    b"AUTH= NOTIFY= ORCPT= ORCPT=utf-8; SMTPUTF8 ?".split()
                ),
                st.one_of(
                    st.binary(max_size=30),
                    st.text("0123456789+-;:TRNZ\\x{}A<>=@.,", max_size=30).map(
                        str.encode
                    ),
                ),
            ),
            max_size=4,
        )
    )
    def test_A03_anyBytes(self, words: list[tuple[bytes, bytes]]) -> None:
        """
        Whatever is said, it is read or refused, and what is read can be shown.
        """
        text = b" ".join(keyword + value for keyword, value in words)
        try:
            said = readMail(text, _ALL)
            self.assertTrue((said.envid + said.submitter).isprintable())
        except Refused as e:
            self.assertTrue(e.reply.permanent)
        try:
            self.assertTrue(readRcpt(text, _ALL, utf8=True).orcpt.isprintable())
        except Refused as e:
            self.assertTrue(e.reply.permanent)


class KeptTests(_Cases):
    """
    What is kept of what MAIL said.
    """

    def test_times(self) -> None:
        """
        Times are told as those of the clock, which is asked only for them.
        """
        asked = []

        def now() -> float:
            asked.append(1)
            return 1000.0

        said = MailSaid(body="7BIT", ret="FULL", envid="x", priority=3)
        self.assertEqual(
            parametersOf(said, now, 0, 0), Parameters("7BIT", "FULL", "x", priority=3)
        )
        self.assertEqual(asked, [])
        by = MailSaid(holdFor=60, by=DeliverBy(90, True, True))
        self.assertEqual(
            parametersOf(by, now, 60, 0),
            Parameters(holdUntil=1060.0, deliverBy=DeliverBy(1090.0, True, True)),
        )
        self.assertEqual(len(asked), 1)

    def test_bounds(self) -> None:
        """
        What is held for too long (RFC 4865 4), or cannot be delivered so soon (RFC
        2852 4.1), is refused.
        """
        for said, code in (
            (MailSaid(holdFor=61), "501 5.5.4"),
            (MailSaid(holdUntil=1060.5), "501 5.5.4"),
            (MailSaid(by=DeliverBy(9, True)), "553 5.5.4"),
        ):
            text = self.refusal(parametersOf, said, lambda: 1000.0, 60, 10)
            self.assertIn(code, text)
        late = MailSaid(by=DeliverBy(-9, False))
        kept = parametersOf(late, lambda: 1000.0, 60, 10)
        self.assertEqual(kept.deliverBy, DeliverBy(991.0))


class RcptTests(_Cases):
    """
    The parameters of RCPT (RFC 3461 4.1, 4.2).
    """

    def test_read(self) -> None:
        """
        What is notified comes in one order, the original recipient decoded.
        """
        for text, said in (
            (b"NOTIFY=never", RecipientParameters("NEVER")),
            (b"NOTIFY=DELAY,failure", RecipientParameters("FAILURE,DELAY")),
            (
                b"ORCPT=rfc822;a+2Bb@c NOTIFY=SUCCESS",
                RecipientParameters("SUCCESS", "rfc822;a+b@c"),
            ),
            (
                b"ORCPT=utf-8;j\\x{F6}rg@c",
                RecipientParameters("", "utf-8;jörg@c"),
            ),
        ):
            self.assertEqual(readRcpt(text, {"DSN"}), said)

    def test_international(self) -> None:
        """
        Only where MAIL said SMTPUTF8 an original recipient may be UTF-8 (RFC 6533
        3).
        """
        text = "ORCPT=utf-8;jörg@c".encode()
        self.assertEqual(readRcpt(text, {"DSN"}, utf8=True).orcpt, "utf-8;jörg@c")
        self.assertIn("501", self.refusal(readRcpt, text, {"DSN"}))

    def test_foreignOriginal(self) -> None:
        """
        One that is not ASCII and is said to be, as Postfix does it, is taken for what
        it is.
        """
        said = readRcpt(b"ORCPT=rfc822;j+C3+B6rg@c", {"DSN"}, utf8=True)
        self.assertEqual(said.orcpt, "utf-8;jörg@c")

    def test_wrong(self) -> None:
        """
        What is wrong is 501, what is not offered 555.
        """
        for text in (
            b"NOTIFY=", b"NOTIFY", b"NOTIFY=NEVER,DELAY", b"NOTIFY=ALWAYS",
            b"NOTIFY=,", b"ORCPT=a@b", b"ORCPT=;a", b"ORCPT=rfc822;", b"ORCPT=r c;a",
            b"ORCPT=rfc822;a+0Ab", b"ORCPT=rfc822;+C3", b"ORCPT=x400;+C3+BC",
            b"ORCPT=utf-8;a\\x{2028}", b"ORCPT=utf-8;\\x{D800}",
            b"ORCPT=utf-8;\\x{FFFFFF}", b"ORCPT=rfc822;" + b"x" * 500,
            b"NOTIFY=NEVER NOTIFY=NEVER",
        ):  # fmt: skip
            self.assertIn("501 5.5.4", self.refusal(readRcpt, text, {"DSN"}), text)
        self.assertIn("555", self.refusal(readRcpt, b"NOTIFY=NEVER"))
        self.assertIn("555", self.refusal(readRcpt, b"SIZE=1", {"DSN", "SIZE"}))
