"""
Tests for L{relaymail.dialogue.asking}.
"""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.asking import Form, Terms, askFor, askForRecipient
from relaymail.dialogue.extensions import Extensions, parseExtensions
from relaymail.dialogue.xtext import decodeUnitext, decodeXtext
from relaymail.envelopes import (
    NO_PARAMETERS,
    DeliverBy,
    Parameters,
    RecipientParameters,
)
from relaymail.replies import Reply, TroubleKind


def offers(*keywords: bytes) -> Extensions:
    """
    Make what a host offers.
    """
    return parseExtensions(Reply(250, (b"mx.example.org", *keywords)))


ALL = offers(
    b"SIZE 1000",
    b"8BITMIME",
    b"SMTPUTF8",
    b"DSN",
    b"REQUIRETLS",
    b"MT-PRIORITY MIXER",
    b"DELIVERBY 60",
    b"BINARYMIME",
    b"CHUNKING",
    b"FUTURERELEASE 1000 2030-01-01T00:00:00Z",
)
NOTHING = offers()


class Case(SynchronousTestCase):
    """
    Asks.
    """

    def words(self, said: Parameters, host: Extensions = ALL, **kw: Any) -> list[bytes]:
        """
        Give all that is said with MAIL.
        """
        terms = askFor(said, host, **kw)
        assert isinstance(terms, Terms), terms
        return [*terms.needed, *terms.optional]

    def needed(self, said: Parameters, **kw: Any) -> tuple[bytes, ...]:
        """
        Give what cannot be left out.
        """
        terms = askFor(said, ALL, **kw)
        assert isinstance(terms, Terms), terms
        return terms.needed


class ContentTests(Case):
    """
    What is said of the content.
    """

    def test_size(self) -> None:
        """
        The size is said where it is known and the host wants it (RFC 1870 3).
        """
        self.assertEqual(self.words(NO_PARAMETERS, size=10), [b"SIZE=10"])
        self.assertEqual(self.words(NO_PARAMETERS, offers(b"SIZE"), size=9**9),
                         [b"SIZE=387420489"])  # fmt: skip
        self.assertEqual(self.words(NO_PARAMETERS), [])
        self.assertEqual(self.words(NO_PARAMETERS, NOTHING, size=10), [])

    def test_tooLarge(self) -> None:
        """
        A message larger than the host takes is not offered (RFC 1870 6.1).
        """
        for said in (NO_PARAMETERS, Parameters(utf8=True)):
            self.assertIs(askFor(said, ALL, size=1001), TroubleKind.TOO_LARGE)
            self.assertIn(b"SIZE=1000", self.words(said, size=1000))

    def test_eightBit(self) -> None:
        """
        Bytes above 127 are announced (RFC 6152 3); a host without 8BITMIME gets
        them converted, and no size, which is another then.
        """
        terms = askFor(NO_PARAMETERS, ALL, size=5, eightBit=True)
        self.assertEqual(terms, Terms((), (b"SIZE=5", b"BODY=8BITMIME"), Form.AS_IT_IS))
        terms = askFor(NO_PARAMETERS, offers(b"SIZE"), size=5, eightBit=True)
        self.assertEqual(terms, Terms((), (), Form.SEVEN_BIT))
        # Whoever says so without a reason is not believed.
        self.assertEqual(self.words(Parameters("8BITMIME"), size=5), [b"SIZE=5"])

    def test_binary(self) -> None:
        """
        BINARYMIME needs CHUNKING too (RFC 3030 3), and cannot be left out; a host
        that lacks either gets a conversion.
        """
        said = Parameters("BINARYMIME")
        terms = askFor(said, ALL, size=5, eightBit=True)
        self.assertEqual(
            terms, Terms((b"BODY=BINARYMIME",), (b"SIZE=5",), Form.CHUNKED)
        )
        for keyword in (b"BINARYMIME", b"CHUNKING", b"8BITMIME"):
            terms = askFor(said, offers(keyword, b"SIZE"), size=5)
            self.assertEqual(terms, Terms((), (), Form.SEVEN_BIT))


class NeededTests(Case):
    """
    What a host must have.
    """

    def test_utf8(self) -> None:
        """
        SMTPUTF8 is said where it is needed, and only there (RFC 6531 3.4, 3.5).
        """
        self.assertEqual(self.needed(Parameters(utf8=True)), (b"SMTPUTF8",))
        self.assertNotIn(b"SMTPUTF8", self.words(NO_PARAMETERS))
        wanted = TroubleKind.NO_SMTPUTF8
        self.assertIs(askFor(Parameters(utf8=True), NOTHING), wanted)

    def test_utf8BringsEightBit(self) -> None:
        """
        A host with SMTPUTF8 takes eight bits, whatever else it says (RFC 6531
        3.1): such a header could not be converted.
        """
        host = offers(b"SMTPUTF8")
        terms = askFor(Parameters(utf8=True), host, eightBit=True)
        self.assertEqual(terms, Terms((b"SMTPUTF8",), (b"BODY=8BITMIME",),
                                      Form.AS_IT_IS))  # fmt: skip

    def test_requireTLS(self) -> None:
        """
        REQUIRETLS needs the keyword and TLS that was verified (RFC 8689 4.2.1).
        """
        said = Parameters(requireTLS=True)
        self.assertEqual(self.needed(said, isVerified=True), (b"REQUIRETLS",))
        wanted = TroubleKind.NO_REQUIRETLS
        self.assertIs(askFor(said, ALL), wanted)
        self.assertIs(askFor(said, NOTHING, isVerified=True), wanted)

    def test_deliverByReturns(self) -> None:
        """
        In mode R the rest of the time is said (RFC 2852 4.1.4.2); a host that
        promises no time, or not this one, cannot take it, and none when it is
        over.
        """
        said = Parameters(deliverBy=DeliverBy(1120.5, returns=True))
        self.assertEqual(self.needed(said, now=1000.0), (b"BY=120;R",))
        self.assertEqual(self.needed(said, now=1060.0), (b"BY=60;R",))
        wanted = TroubleKind.NO_DELIVERBY
        self.assertIs(askFor(said, ALL, now=1061.0), wanted)
        self.assertIs(askFor(said, NOTHING, now=1000.0), wanted)
        for host in (ALL, NOTHING):
            self.assertIs(askFor(said, host, now=1120.0), TroubleKind.LATE)

    def test_D14_whatAHostLacks(self) -> None:
        """
        A host that does not know what is needed, though it offered it, cannot
        take the message: why is told by what was needed first.
        """
        for said, wanted in (
            (Parameters("BINARYMIME", utf8=True), TroubleKind.NO_CONVERSION),
            (Parameters(utf8=True, requireTLS=True), TroubleKind.NO_SMTPUTF8),
            (Parameters(requireTLS=True), TroubleKind.NO_REQUIRETLS),
            (Parameters(deliverBy=DeliverBy(99, True)), TroubleKind.NO_DELIVERBY),
        ):
            terms = askFor(said, ALL, isVerified=True)
            assert isinstance(terms, Terms)
            self.assertIs(terms.lacking, wanted)


class PassedOnTests(Case):
    """
    What a host gets that may be left out.
    """

    def test_dsn(self) -> None:
        """
        RET and ENVID go to hosts with DSN (RFC 3461 5.2.1).
        """
        said = Parameters(ret="HDRS", envid="a+b=c d")
        self.assertEqual(self.words(said), [b"RET=HDRS", b"ENVID=a+2Bb+3Dc+20d"])
        self.assertEqual(self.words(said, NOTHING), [])
        self.assertEqual(self.needed(said), ())
        secret = Parameters(ret="FULL", requireTLS=True)
        # RFC 8689 5: of such mail no more than the header comes back.
        self.assertIn(b"RET=HDRS", self.words(secret, isVerified=True))

    def test_priority(self) -> None:
        """
        MT-PRIORITY goes on unless it is the usual one (RFC 6710 4).
        """
        self.assertEqual(self.words(Parameters(priority=-3)), [b"MT-PRIORITY=-3"])
        self.assertEqual(self.words(Parameters(priority=4)), [b"MT-PRIORITY=4"])
        self.assertEqual(self.words(Parameters(priority=0)), [])
        self.assertEqual(self.words(Parameters(priority=4), NOTHING), [])

    def test_deliverByNotifies(self) -> None:
        """
        In mode N the rest of the time goes on, over or not (RFC 2852 4.1.4.2),
        with T where each relay is to tell.
        """
        said = Parameters(deliverBy=DeliverBy(1000.0, traced=True))
        self.assertEqual(self.words(said, now=990.0), [b"BY=10;NT"])
        self.assertEqual(self.words(said, now=1030.0), [b"BY=-30;NT"])
        self.assertEqual(self.words(said, now=9e18), [b"BY=-999999999;NT"])
        self.assertEqual(self.words(said, NOTHING, now=990.0), [])

    def test_futureRelease(self) -> None:
        """
        HOLDUNTIL is not passed on: the message was held here (RFC 4865).
        """
        self.assertEqual(self.words(Parameters(holdUntil=5.0)), [])


class RecipientTests(SynchronousTestCase):
    """
    Tests for L{askForRecipient}.
    """

    def test_given(self) -> None:
        """
        What the sender said goes on (RFC 3461 5.2.1).
        """
        said = RecipientParameters("SUCCESS,DELAY", "rfc822;Bob+x@example.org")
        self.assertEqual(
            askForRecipient("b@example.org", said),
            b" NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob+2Bx@example.org",
        )

    def test_added(self) -> None:
        """
        Without an original recipient the address is it, in the form of RFC 6533
        3 where it is not ASCII.
        """
        said = RecipientParameters()
        self.assertEqual(askForRecipient("b@c", said), b" ORCPT=rfc822;b@c")
        self.assertEqual(
            askForRecipient("b\u00f6b@c", said), b" ORCPT=utf-8;b\\x{F6}b@c"
        )

    def test_tooLong(self) -> None:
        """
        What was short enough as UTF-8 and is not as ASCII is left out (RFC 3461 4.2).
        """
        said = RecipientParameters("NEVER", "utf-8;" + 240 * "\u00fc" + "@c")
        self.assertEqual(askForRecipient("b@c", said), b" NOTIFY=NEVER")
        said = RecipientParameters("NEVER", "utf-8;" + 80 * "\u00fc" + "@c")
        self.assertIn(b" ORCPT=", askForRecipient("b@c", said))

    @settings(deadline=None, max_examples=100)
    @given(st.text(max_size=40), st.sampled_from(["", "rfc822", "utf-8", "x400"]))
    def test_A03_oneWord(self, text: str, kind: str) -> None:
        """
        Whatever the original recipient is, it stays one word, in printable ASCII,
        that says the same.
        """
        said = RecipientParameters("", f"{kind};{text}" if kind else "")
        words = askForRecipient(text, said)
        self.assertTrue(re.fullmatch(rb" ORCPT=[!-<>-~]*", words), words)
        kind, _, encoded = words.decode()[7:].partition(";")
        decode = decodeUnitext if kind == "utf-8" else decodeXtext
        self.assertEqual(decode(encoded), text)

    @settings(deadline=None, max_examples=100)
    @given(st.text(max_size=40))
    def test_A03_envelopeIdentifier(self, text: str) -> None:
        """
        So does the name of the transaction.
        """
        terms = askFor(Parameters(envid="e" + text), ALL)
        assert isinstance(terms, Terms)
        [word] = terms.optional
        self.assertTrue(re.fullmatch(rb"ENVID=[!-<>-~]*", word), word)
        self.assertEqual(decodeXtext(word.decode()[6:]), "e" + text)
