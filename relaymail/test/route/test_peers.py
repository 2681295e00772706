# -*- test-case-name: relaymail.test.route.test_peers -*-
"""
Tests for L{relaymail.route.peers}.
"""

from __future__ import annotations

from OpenSSL import crypto
from twisted.trial.unittest import SynchronousTestCase

from relaymail.protections import TLSResult
from relaymail.route.peers import (
    MAX_NAMES_TOLD,
    Code,
    isAddress,
    nameProblem,
    problemOf,
    referencesOf,
)
from relaymail.testing.certificates import Throwaway, ThrowawayCA, selfSigned


def loaded(certificate: Throwaway) -> crypto.X509:
    """
    Give it as OpenSSL has it.
    """
    return crypto.load_certificate(crypto.FILETYPE_ASN1, certificate.certificateDER)


class ProblemTests(SynchronousTestCase):
    """
    Tests for L{problemOf}.
    """

    def test_words(self) -> None:
        """
        It says which certificate it is, and what to make of it.
        """
        old = loaded(selfSigned("mx.example.org", expired=True))
        found = problemOf(Code.CERT_HAS_EXPIRED, 0, old)
        self.assertIs(found.result, TLSResult.EXPIRED)
        told = "the host's certificate has expired on 2021-01-01"
        self.assertEqual(found.why, told)
        authority = loaded(ThrowawayCA("Some\nbody").certificate)
        found = problemOf(Code.CERT_NOT_YET_VALID, 1, authority)
        self.assertIs(found.result, TLSResult.NOT_TRUSTED)
        self.assertEqual(
            found.why,
            "a certificate (Some body) behind the host's is not valid yet, but from "
            "2020-01-01 on",
        )

    def test_results(self) -> None:
        """
        Reports call an unknown issuer so, and what nobody thought of a failure.
        """
        for code in set(Code) - {Code.CERT_HAS_EXPIRED}:
            self.assertIs(problemOf(code, 0, None).result, TLSResult.NOT_TRUSTED, code)
        found = problemOf(999, 0, None)
        self.assertIs(found.result, TLSResult.FAILED)
        self.assertIn("999", found.why)


class NameTests(SynchronousTestCase):
    """
    Tests for L{nameProblem}.
    """

    def test_anyIsEnough(self) -> None:
        """
        One name of either side that matches one of the other is enough; addresses
        match addresses.
        """
        for has, wanted in (
            (("a.example",), ("a.example",)),
            (("a.example", "b.example"), ("c.example", "B.example.")),
            (("*.a.example",), ("b.a.example",)),
            (("192.0.2.1",), ("x.example", "192.0.2.1")),
            (("2001:db8::1",), ("2001:db8::1",)),
            (("xn--bcher-kva.example",), ("bücher.example",)),
            (("a.example",), ("mx_1.example", "a.example")),
            (("*.example", "*", "a.example"), ("a.example",)),
        ):
            certificate = loaded(selfSigned(*has))
            self.assertIsNone(nameProblem(certificate, wanted), (has, wanted))

    def test_none(self) -> None:
        """
        Else it says for whom it is.
        """
        for has, wanted in (
            (("a.example",), ("b.example",)),
            (("*.b.example",), ("a.a.b.example",)),
            (("*.b.example",), ("b.example",)),
            (("*.example",), ("a.example",)),
            (("m*.b.example",), ("mx.b.example",)),
            (("a.example",), ("192.0.2.1",)),
        ):
            problem = nameProblem(loaded(selfSigned(*has)), wanted)
            assert problem is not None, (has, wanted)
            self.assertIs(problem.result, TLSResult.WRONG_NAME)
            self.assertIn(f"is for {has[0]}, not for {wanted[0]}", problem.why)

    def test_manyNames(self) -> None:
        """
        It names a few of many.
        """
        names = [f"{n}.example" for n in range(50)]
        problem = nameProblem(loaded(selfSigned(*names)), ("x.example",))
        assert problem is not None
        told = f"2.example and {50 - MAX_NAMES_TOLD} more, not for x.example"
        self.assertTrue(problem.why.endswith(told), problem.why)

    def test_noNames(self) -> None:
        """
        A certificate without names is for nobody: its subject is no name (RFC 6125
        6.4.4, RFC 9525 2).
        """
        authority = loaded(ThrowawayCA("mx.example").certificate)
        problem = nameProblem(authority, ("mx.example",))
        assert problem is not None
        self.assertIs(problem.result, TLSResult.WRONG_NAME)
        self.assertIn("is for no name at all", problem.why)

    def test_noNameThatCouldMatch(self) -> None:
        """
        Where no name can be in a certificate, none matches.
        """
        problem = nameProblem(loaded(selfSigned("a.example")), ("mx_1.example",))
        assert problem is not None
        self.assertIs(problem.result, TLSResult.WRONG_NAME)

    def test_noReference(self) -> None:
        """
        Names that no certificate can have are refused where there are no others.
        """
        self.assertRaises(UnicodeError, referencesOf, ("mx_1.example", "a..b"))
        self.assertRaises(UnicodeError, referencesOf, ())
        self.assertEqual(len(referencesOf(("mx_1.example", "a.example"))), 1)

    def test_addresses(self) -> None:
        """
        An address is known from a name.
        """
        self.assertTrue(isAddress("192.0.2.1"))
        self.assertTrue(isAddress("2001:db8::1"))
        self.assertFalse(isAddress("192.0.2.1.example"))
