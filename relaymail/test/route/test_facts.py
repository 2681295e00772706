# -*- test-case-name: relaymail.test.route.test_facts -*-
"""
Tests for L{relaymail.route.facts}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.route.facts import (
    Aim,
    Assurance,
    Exchange,
    Reach,
    TLSASet,
    asksTLSA,
    basesOf,
    isAddress,
)
from relaymail.route.levels import TLSLevel
from relaymail.route.terms import Terms
from relaymail.route.tlsa import TLSA

GOOD = TLSA(3, 1, 1, b"\1" * 32)
#: Of the usage that RFC 7672 3.1.3 leaves out.
ODD = TLSA(1, 1, 1, b"\1" * 32)

#: By level: whether DANE and MTA-STS are looked for, for usual mail, for mail
#: that may go over TLS only, and for mail for which it is not required.
ASKED = {
    TLSLevel.NONE: ("--", "DS", "--"),
    TLSLevel.OPPORTUNISTIC: ("-S", "DS", "--"),
    TLSLevel.ENCRYPT: ("-S", "DS", "--"),
    TLSLevel.VERIFY: ("-S", "-S", "-S"),
    TLSLevel.DANE: ("DS", "DS", "--"),
    TLSLevel.DANE_ONLY: ("D-", "D-", "D-"),
}


def aimAt(level: TLSLevel, requireTLS: bool = False, tlsOptional: bool = False) -> Aim:
    """
    Make an aim.
    """
    return Aim("example.org", Terms(level), requireTLS, tlsOptional)


class AimTests(SynchronousTestCase):
    """
    Tests for L{Aim}: what is asked for.
    """

    def test_whatIsAskedFor(self) -> None:
        """
        What is asked for is what can change something at that level, and no more.
        """
        for level, rows in ASKED.items():
            aims = (aimAt(level), aimAt(level, True), aimAt(level, False, True))
            for aim, row in zip(aims, rows, strict=True):
                found = "-D"[aim.usesDANE] + "-S"[aim.usesSTS]
                self.assertEqual((level, found), (level, row), aim)

    def test_bothWishes(self) -> None:
        """
        RFC 8689 4.1: a message that may go over TLS only, and says that TLS is not
        required, is protected.
        """
        for level in TLSLevel:
            both, strict = aimAt(level, True, True), aimAt(level, True)
            self.assertTrue(both.usesPolicies)
            self.assertEqual(both.usesDANE, strict.usesDANE)
            self.assertEqual(both.usesSTS, strict.usesSTS)

    def test_literal(self) -> None:
        """
        An address literal is no domain that could have a policy of MTA-STS.
        """
        self.assertFalse(Aim("[192.0.2.1]").usesSTS)
        self.assertTrue(Aim("example.org").usesSTS)


class TLSATests(SynchronousTestCase):
    """
    Tests for L{asksTLSA}, L{basesOf} and L{TLSASet}.
    """

    def test_asked(self) -> None:
        """
        RFC 7672 2.2.1: they are asked for of hosts that are known for certain, where
        the level has use for them.
        """
        dane, usual = aimAt(TLSLevel.DANE), aimAt(TLSLevel.OPPORTUNISTIC)
        signed, implicit = Exchange(isSecure=True), Exchange(isImplicit=True)
        self.assertTrue(asksTLSA(dane, signed, "mx.example.org"))
        self.assertTrue(asksTLSA(dane, implicit, "example.org"))
        self.assertTrue(asksTLSA(dane, implicit, "Example.ORG."))
        self.assertFalse(asksTLSA(dane, implicit, "evil.example"))
        self.assertFalse(asksTLSA(dane, Exchange(), "mx.example.org"))
        self.assertFalse(asksTLSA(usual, signed, "mx.example.org"))
        self.assertFalse(asksTLSA(dane, signed, "192.0.2.1"))
        self.assertFalse(asksTLSA(dane, signed, "2001:db8::1"))

    def test_rfc7672_2_2_2_bases(self) -> None:
        """
        RFC 7672 2.2.2: the name that a signed chain of aliases leads to, then the
        name itself; of a chain that is not signed all along, the name itself, if its
        own alias is; of no other the first name that is not signed.
        """
        secure, insecure = Assurance.SECURE, Assurance.INSECURE
        for reach, expected in (
            (Reach(secure), ("mx.example.org",)),
            (Reach(secure, "C.example."), ("c.example", "mx.example.org")),
            (Reach(secure, "c.example", True), ("c.example", "mx.example.org")),
            (Reach(secure, "mx.Example.org"), ("mx.example.org",)),
            (Reach(insecure), ()),
            (Reach(insecure, "c.example"), ()),
            (Reach(insecure, "c.example", True), ("mx.example.org",)),
            (Reach(insecure, "", True), ()),
            (Reach(Assurance.FAILED), ()),
            (Reach(Assurance.FAILED, "c.example", True), ()),
        ):
            self.assertEqual(basesOf("MX.example.org.", reach), expected, reach)

    def test_decides(self) -> None:
        """
        The first name of which there are signed records, or of which it is not known,
        is the last that is asked for, whatever its records are worth.
        """
        for assurance, records, expected in (
            (Assurance.SECURE, (GOOD,), True),
            (Assurance.SECURE, (ODD,), True),
            (Assurance.SECURE, (), False),
            (Assurance.INSECURE, (GOOD,), False),
            (Assurance.INSECURE, (), False),
            (Assurance.FAILED, (), True),
        ):
            known = TLSASet("mx.example.org", assurance, records)
            self.assertEqual(known.decides, expected, known)

    def test_usable(self) -> None:
        """
        RFC 7672 3.1: some of the records mean nothing, the others do.
        """
        known = TLSASet("mx.example.org", Assurance.SECURE, (ODD, GOOD))
        self.assertEqual(known.usable, (GOOD,))

    def test_address(self) -> None:
        """
        What stands for a host may be its address.
        """
        for name, expected in (
            ("192.0.2.1", True),
            ("2001:db8::1", True),
            ("::1", True),
            ("mx.example.org", False),
            ("mx1", False),
            ("1.example", False),
        ):
            self.assertEqual(isAddress(name), expected, name)
