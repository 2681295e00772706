"""
Tests for L{relaymail.route.troubles}.
"""

from __future__ import annotations

import errno

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import defer, error
from twisted.names import dns
from twisted.names.error import (
    DNSFormatError,
    DNSNameError,
    DNSQueryRefusedError,
    DNSQueryTimeoutError,
    DNSServerError,
    DomainError,
)
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import MalformedAddress, RouteError
from relaymail.protections import TLSResult
from relaymail.replies import Phase, Trouble, TroubleKind
from relaymail.route.aliases import CanonicalNameLoop
from relaymail.route.peers import Problem
from relaymail.route.troubles import (
    CertificateRefused,
    NoMX,
    NullMX,
    isNoSuchName,
    troubleOf,
    wordsOf,
)


def _kind(reason: BaseException, phase: Phase = Phase.CONNECT) -> TroubleKind:
    return troubleOf(Failure(reason), phase).kind


class TroubleOfTests(SynchronousTestCase):
    """
    L{troubleOf} says in plain words what a failure is.
    """

    def test_D02_connecting(self) -> None:
        """
        What can go wrong with a connection has its kind.
        """
        for reason, kind in (
            (error.ConnectionRefusedError(), TroubleKind.REFUSED),
            (ConnectionRefusedError(), TroubleKind.REFUSED),
            (error.TimeoutError(), TroubleKind.TIMEOUT),
            (error.TCPTimedOutError(), TroubleKind.TIMEOUT),
            (defer.TimeoutError(), TroubleKind.TIMEOUT),
            (TimeoutError(), TroubleKind.TIMEOUT),
            (error.NoRouteError(), TroubleKind.UNREACHABLE),
            (error.ConnectError(), TroubleKind.UNREACHABLE),
            (OSError(errno.ENETUNREACH, "no"), TroubleKind.UNREACHABLE),
            (error.ConnectionLost(), TroubleKind.LOST),
            (error.ConnectionDone(), TroubleKind.LOST),
            (error.ConnectionAborted(), TroubleKind.LOST),
            (ConnectionResetError(), TroubleKind.LOST),
            (defer.CancelledError(), TroubleKind.LOST),
            (SSL.Error([("x", "y", "unknown ca")]), TroubleKind.TLS),
            (VerificationError([]), TroubleKind.TLS),
            (MalformedAddress("x"), TroubleKind.UNSENDABLE),
        ):
            self.assertIs(_kind(reason), kind, repr(reason))

    def test_D01_resolving(self) -> None:
        """
        "There is none" and "no answer" are told apart; unknown is no answer.
        """
        for reason, kind in (
            (DNSNameError(), TroubleKind.NO_SUCH_DOMAIN),
            (DomainError(), TroubleKind.NO_SUCH_DOMAIN),
            (error.DNSLookupError(), TroubleKind.NO_SUCH_DOMAIN),
            (NoMX("x"), TroubleKind.NO_SUCH_DOMAIN),
            (NullMX("x"), TroubleKind.NULL_MX),
            (DNSServerError(), TroubleKind.NO_ANSWER),
            (DNSFormatError(), TroubleKind.NO_ANSWER),
            (DNSQueryRefusedError(), TroubleKind.NO_ANSWER),
            (DNSQueryTimeoutError(1), TroubleKind.NO_ANSWER),
            (defer.TimeoutError(), TroubleKind.NO_ANSWER),
            (defer.CancelledError(), TroubleKind.NO_ANSWER),
            (error.ConnectionRefusedError(), TroubleKind.NO_ANSWER),
            (CanonicalNameLoop(), TroubleKind.NO_ANSWER),
        ):
            self.assertIs(_kind(reason, Phase.RESOLVE), kind, repr(reason))

    def test_routeError(self) -> None:
        """
        A route error has its trouble already.
        """
        trouble = Trouble(Phase.RESOLVE, TroubleKind.LOOP, "x")
        self.assertIs(troubleOf(Failure(RouteError(trouble)), Phase.MAIL), trouble)

    def test_unknown(self) -> None:
        """
        What is not known is this relay's own failure.
        """
        self.assertIs(_kind(ZeroDivisionError()), TroubleKind.LOCAL)
        self.assertIs(_kind(KeyError("x"), Phase.RESOLVE), TroubleKind.LOCAL)
        self.assertIs(_kind(error.ConnectBindError()), TroubleKind.LOCAL)

    def test_A03_detail(self) -> None:
        """
        The detail is one printable, bounded line, and says something.
        """
        told = troubleOf(Failure(ValueError("a\r\nb\x00" + "x" * 9999)), Phase.BODY)
        self.assertTrue(told.detail.isprintable())
        self.assertLessEqual(len(told.detail), 512)
        tls = troubleOf(Failure(SSL.Error([("x", "y", "unknown ca")])), Phase.STARTTLS)
        self.assertIn("(unknown ca)", tls.detail)
        named = troubleOf(Failure(VerificationError([])), Phase.STARTTLS)
        self.assertEqual(named.detail, "the host's certificate is for another name")
        self.assertEqual(
            troubleOf(Failure(KeyboardInterrupt()), Phase.BODY).detail,
            "KeyboardInterrupt",
        )
        message = dns.Message(rCode=dns.ESERVER)
        served = troubleOf(Failure(DNSServerError(message)), Phase.RESOLVE)
        self.assertEqual(served.detail, "DNSServerError, answer code 2")

    def test_D09_wordsForOpenSSLs(self) -> None:
        """
        What OpenSSL says is told in words, with its own behind them; of what is not
        known there are its own alone, and what ended without any says that.
        """
        for said, told in (
            ("wrong version number", "the host does not speak TLS here"),
            ("tlsv1 alert protocol version", "no TLS that is new enough"),
            ("sslv3 alert handshake failure", "none of the ciphers and keys"),
            ("SSL/TLS ALERT HANDSHAKE FAILURE", "none of the ciphers and keys"),
            ("tlsv13 alert certificate required", "client-cert and client-key"),
            ("key values mismatch", "the key is not that of the certificate"),
        ):
            failed = SSL.Error([("SSL routines", "", said)])
            self.assertIn(told, wordsOf(failed))
            self.assertTrue(wordsOf(failed).endswith(f" ({said})"), said)
            trouble = troubleOf(Failure(failed), Phase.STARTTLS)
            self.assertIs(trouble.result, TLSResult.FAILED)
        self.assertEqual(wordsOf(SSL.Error([("x", "y", "brand new")])), "brand new")
        self.assertEqual(wordsOf(SSL.Error([])), "TLS ended without a word")
        self.assertEqual(wordsOf(ValueError("so")), "so")
        self.assertEqual(wordsOf(ValueError()), "ValueError")

    def test_D09_refusedCertificates(self) -> None:
        """
        A certificate that was refused has its own words, and the name that reports
        use.
        """
        problem = Problem(TLSResult.EXPIRED, "it is old")
        trouble = troubleOf(Failure(CertificateRefused(problem)), Phase.STARTTLS)
        wanted = Trouble(
            Phase.STARTTLS, TroubleKind.TLS, "it is old", TLSResult.EXPIRED
        )
        self.assertEqual(trouble, wanted)
        other = troubleOf(Failure(VerificationError([])), Phase.STARTTLS)
        self.assertIs(other.result, TLSResult.WRONG_NAME)
        none = troubleOf(Failure(error.ConnectionLost()), Phase.STARTTLS)
        self.assertIsNone(none.result)

    def test_isNoSuchName(self) -> None:
        """
        Only an answer says that there is none.
        """
        self.assertTrue(isNoSuchName(DNSNameError()))
        self.assertFalse(isNoSuchName(DNSServerError()))
        self.assertFalse(isNoSuchName(None))
