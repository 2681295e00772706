# -*- test-case-name: relaymail.test.route.test_dane -*-
"""
Tests for L{relaymail.route.dane}.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.protections import TLSResult
from relaymail.route.dane import (
    MAX_ANCHORS,
    MAX_BARE_KEYS,
    MAX_CHAIN,
    Checked,
    MalformedCertificate,
    check,
    comparable,
    isNamed,
    publicKeyIn,
)
from relaymail.route.tlsa import TLSA
from relaymail.testing.certificates import (
    KeyKind,
    Purpose,
    Throwaway,
    ThrowawayCA,
    selfSigned,
)

NAME = "mx.example.org"
#: Every way in which a record can compare (RFC 6698 2.1.2, 2.1.3).
WAYS = [(selector, matching) for selector in (0, 1) for matching in (0, 1, 2)]


class Authorities:
    """
    Some that know each other, made once: it takes a moment.
    """

    def __init__(self, kind: KeyKind = KeyKind.ED25519) -> None:
        self.root = ThrowawayCA("Root", kind)
        self.between = self.root.intermediate("Between")
        self.host = self.between.issue(NAME)
        # Those of the host, the one between, and the root's, as for DANE-TA.
        self.all = self.host.sending(self.between.certificate, self.root.certificate)
        self.other = ThrowawayCA("Other", kind)


AUTHORITIES = Authorities()


@dataclass(frozen=True)
class Row:
    """
    One row of the table.

    @ivar why: What is special about it.
    @ivar shown: What the host shows.
    @ivar records: Its records.
    @ivar wanted: What comes of it; L{None}: it is the host.
    @ivar names: The names that its certificate may have.
    """

    why: str
    shown: Throwaway
    records: Sequence[TLSA]
    wanted: TLSResult | None
    names: tuple[str, ...] = (NAME,)


def checked(row: Row) -> Checked:
    """
    Check a row.
    """
    return check(row.shown.sent, row.records, row.names)


class DANETests(SynchronousTestCase):
    """
    The tables.
    """

    def assertRows(self, rows: Sequence[Row]) -> None:
        """
        Each comes out as it says.
        """
        for row in rows:
            found = checked(row)
            result = None if found.problem is None else found.problem.result
            told = f"{row.why}: {found}"
            self.assertEqual(result, row.wanted, told)
            self.assertEqual(found.record is None, found.problem is not None, told)
            if found.problem is not None:
                self.assertTrue(found.problem.why.isprintable(), told)

    def test_hosts(self) -> None:
        """
        DANE-EE(3), by every selector and matching type: it matches its own
        certificate, and no other's (RFC 7672 3.1.1).
        """
        one = selfSigned(NAME)
        for way in WAYS:
            mine, other = one.tlsa(3, *way), selfSigned(NAME).tlsa(3, *way)
            rows = [
                Row(f"own {way}", one, [mine], None),
                Row(f"other {way}", one, [other], TLSResult.FAILED),
                Row(f"both {way}", one, [other, mine], None),
            ]
            self.assertRows(rows)

    def test_hostsNamesAndDates(self) -> None:
        """
        With DANE-EE(3) names and dates do not count, nor who signed it, nor what it
        is for, nor what is sent behind it (RFC 7672 3.1.1, RFC 7671 5.1).
        """
        old = selfSigned("other.example", expired=True)
        code = AUTHORITIES.between.issue("x.example", purpose=Purpose.CODE)
        alone = AUTHORITIES.host.sending()
        for way in WAYS:
            rows = [
                Row("expired, for another", old, [old.tlsa(3, *way)], None),
                Row("another purpose", code, [code.tlsa(3, *way)], None),
                Row("chain missing", alone, [alone.tlsa(3, *way)], None),
            ]
            self.assertRows(rows)

    def test_hostsOwnOnly(self) -> None:
        """
        DANE-EE(3) names the host's own certificate, not one behind it.
        """
        found = AUTHORITIES
        for way in WAYS:
            record = found.between.certificate.tlsa(3, *way)
            row = Row(f"behind {way}", found.all, [record], TLSResult.FAILED)
            self.assertRows([row])

    def test_anchors(self) -> None:
        """
        DANE-TA(2), by every selector and matching type: any of those behind the
        host's may be the anchor, whether it signed itself or not (RFC 7672 3.1.2).
        """
        found = AUTHORITIES
        for way in WAYS:
            root = found.root.certificate.tlsa(2, *way)
            between = found.between.certificate.tlsa(2, *way)
            other = found.other.certificate.tlsa(2, *way)
            failed = TLSResult.NOT_TRUSTED if way == (0, 0) else TLSResult.FAILED
            rows = [
                Row(f"root {way}", found.all, [root], None),
                Row(f"between {way}", found.all, [between], None),
                Row(f"not theirs {way}", found.all, [other], failed),
                Row(f"one of two {way}", found.all, [other, root], None),
                Row(f"no root sent {way}", found.host, [between], None),
            ]
            self.assertRows(rows)

    def test_anchorsAndKeys(self) -> None:
        """
        So it is with keys of every kind.
        """
        for kind in KeyKind:
            found = Authorities(kind)
            for way in WAYS:
                if kind is KeyKind.RSA and way[0]:
                    # There is one RSA key for all authorities.
                    continue
                root = found.root.certificate.tlsa(2, *way)
                row = Row(f"{kind} {way}", found.all, [root], None)
                self.assertRows([row])
            bare = found.root.certificate.tlsa(2, 1, 0)
            self.assertRows([Row(f"{kind} bare", found.host, [bare], None)])

    def test_anchorsInAnyOrder(self) -> None:
        """
        The order of what is sent behind the host's own makes no difference, nor what
        has nothing to do with it.
        """
        found = AUTHORITIES
        root, between = found.root.certificate, found.between.certificate
        mixed = found.host.sending(found.other.certificate, root, between)
        for way in WAYS:
            rows = [
                Row("mixed", mixed, [root.tlsa(2, *way)], None),
                Row("mixed", mixed, [between.tlsa(2, *way)], None),
            ]
            self.assertRows(rows)

    def test_anchorsNames(self) -> None:
        """
        With DANE-TA(2) the host's certificate is for one of the names (RFC 7672
        3.2.1), also by a wildcard, and says what it is for instead.
        """
        found = AUTHORITIES
        record = [found.root.certificate.tlsa(2, 1, 1)]
        wild = found.between.issue("*.example.org")
        wild = wild.sending(found.between.certificate, found.root.certificate)
        deep = ("a.mx.example.org",)
        rows = [
            Row("first", found.all, record, None, (NAME, "example.org")),
            Row("second", found.all, record, None, ("example.net", NAME)),
            Row("case", found.all, record, None, (NAME.upper(),)),
            Row("dot", found.all, record, None, (NAME + ".",)),
            Row("none", found.all, record, TLSResult.WRONG_NAME, ("example.org",)),
            Row("wildcard", wild, record, None),
            Row("two labels", wild, record, TLSResult.WRONG_NAME, deep),
        ]
        self.assertRows(rows)
        problem = checked(rows[4]).problem
        assert problem is not None
        self.assertEqual(
            problem.why,
            "the host's certificate is for mx.example.org, not for example.org",
        )

    def test_anchorsDates(self) -> None:
        """
        With DANE-TA(2) all of the path is valid today.
        """
        found = AUTHORITIES
        root = found.root.certificate
        old = found.between.issue(NAME, expired=True)
        old = old.sending(found.between.certificate, root)
        gone = found.root.intermediate("Gone", expired=True)
        under = gone.issue(NAME).sending(gone.certificate, root)
        rows = [
            Row("host's", old, [root.tlsa(2, 0, 1)], TLSResult.EXPIRED),
            Row("between", under, [root.tlsa(2, 0, 1)], TLSResult.EXPIRED),
            Row("anchor", under, [gone.certificate.tlsa(2, 0, 1)], TLSResult.EXPIRED),
        ]
        self.assertRows(rows)
        for row, told in zip(
            rows, ("the host's", "(Gone) behind the host's"), strict=False
        ):
            problem = checked(row).problem
            assert problem is not None
            self.assertIn(told, problem.why)
            self.assertIn("has expired on 2021-01-01", problem.why)

    def test_anchorsThen(self) -> None:
        """
        Today is when it is said to be.
        """
        found = AUTHORITIES
        record = found.root.certificate.tlsa(2, 0, 1)
        results = []
        for year in (2019, 2026, 2101):
            now = datetime(year, 1, 2, tzinfo=UTC)
            problem = check(found.all.sent, [record], (NAME,), now).problem
            results.append(problem and problem.result)
        wanted = [TLSResult.NOT_TRUSTED, None, TLSResult.EXPIRED]
        self.assertEqual(results, wanted)

    def test_anchorsThatAreNone(self) -> None:
        """
        One whose certificate says that it is no authority vouches for nobody, at the
        end of the path as little as in between; nor does one that did not sign what
        is under it; nor is the host its own authority.
        """
        found = AUTHORITIES
        root = found.root.certificate
        fake = found.root.intermediate("Fake", mayIssue=False)
        under = fake.issue(NAME).sending(fake.certificate, root)
        foreign = found.host.sending(found.other.certificate)
        alone = selfSigned(NAME)
        untrusted = TLSResult.NOT_TRUSTED
        for way in WAYS:
            rows = [
                Row("between", under, [root.tlsa(2, *way)], untrusted),
                Row("end", under, [fake.certificate.tlsa(2, *way)], untrusted),
                Row(
                    "foreign",
                    foreign,
                    [found.other.certificate.tlsa(2, *way)],
                    untrusted,
                ),
            ]
            self.assertRows(rows)
            if way != (1, 0):
                row = Row("own", alone, [alone.tlsa(2, *way)], TLSResult.FAILED)
                self.assertRows([row])

    def test_anchorsPurpose(self) -> None:
        """
        A certificate that is not for servers is none of a server's.
        """
        found = AUTHORITIES
        root = found.root.certificate
        for purpose, wanted in (
            (Purpose.ANY, None),
            (Purpose.SERVER, None),
            (Purpose.CLIENT, TLSResult.NOT_TRUSTED),
            (Purpose.CODE, TLSResult.NOT_TRUSTED),
        ):
            shown = found.between.issue(NAME, purpose=purpose)
            shown = shown.sending(found.between.certificate, root)
            row = Row(purpose.value, shown, [root.tlsa(2, 0, 1)], wanted)
            self.assertRows([row])

    def test_anchorsNotSent(self) -> None:
        """
        An anchor that stands in a record as a whole need not be sent (RFC 7671
        5.2.2, 5.2.3); one of which there is only a digest is not known.  One in
        between that is not sent is missing.
        """
        found = AUTHORITIES
        root, between = found.root.certificate, found.between.certificate
        alone = found.host.sending()
        whole, key = (0, 0), (1, 0)
        for way in WAYS:
            missing = {
                whole: TLSResult.NOT_TRUSTED,
                key: TLSResult.FAILED,
            }.get(way, TLSResult.FAILED)
            isGiven = way in (whole, key)
            rows = [
                Row(
                    f"root not sent {way}",
                    found.host,
                    [root.tlsa(2, *way)],
                    None if isGiven else TLSResult.FAILED,
                ),
                Row(
                    f"the only one not sent {way}",
                    alone,
                    [between.tlsa(2, *way)],
                    None if isGiven else TLSResult.FAILED,
                ),
                Row(f"one between missing {way}", alone, [root.tlsa(2, *way)], missing),
            ]
            self.assertRows(rows)

    def test_bareKeysStillCheckNamesAndDates(self) -> None:
        """
        Where a key stands in a record, and signed the host's own certificate, that is
        for the right name, valid today, and for servers all the same.
        """
        root = ThrowawayCA("Root")
        key = [root.certificate.tlsa(2, 1, 0)]
        client = root.issue(NAME, purpose=Purpose.CLIENT)
        rows = [
            Row("well", root.issue(NAME), key, None),
            Row("name", root.issue("x.example"), key, TLSResult.WRONG_NAME),
            Row("date", root.issue(NAME, expired=True), key, TLSResult.EXPIRED),
            Row("purpose", client, key, TLSResult.NOT_TRUSTED),
            Row("not by it", selfSigned(NAME), key, TLSResult.FAILED),
        ]
        self.assertRows(rows)

    def test_bareKeysAreBounded(self) -> None:
        """
        No more than a few keys are tried on each signature.
        """
        root = ThrowawayCA("Root")
        wanted = root.certificate.tlsa(2, 1, 0)
        others = [selfSigned(NAME).tlsa(2, 1, 0) for _ in range(MAX_BARE_KEYS)]
        shown = root.issue(NAME)
        few = Row("few", shown, [*others[1:], wanted], None)
        many = Row("many", shown, [*others, wanted], TLSResult.FAILED)
        self.assertRows([few, many])

    def test_A05_anchorsAreBounded(self) -> None:
        """
        No more than a few authorities are tried, each of them once.
        """
        found = AUTHORITIES
        wanted = found.root.certificate.tlsa(2, 0, 0)
        others = [
            ThrowawayCA("Other").certificate.tlsa(2, 0, 0) for _ in range(MAX_ANCHORS)
        ]
        rows = [
            Row("few", found.all, [*others[1:], *others[1:], wanted], None),
            Row("many", found.all, [*others, wanted], TLSResult.NOT_TRUSTED),
        ]
        self.assertRows(rows)

    def test_chainIsBounded(self) -> None:
        """
        What comes after so many certificates is not looked at.
        """
        found = AUTHORITIES
        root = found.root.certificate
        rows = []
        for more, wanted in ((1, None), (2, TLSResult.FAILED)):
            behind = [found.other.certificate] * (MAX_CHAIN - 3 + more - 1)
            shown = found.host.sending(found.between.certificate, *behind, root)
            rows.append(Row(str(more), shown, [root.tlsa(2, 0, 1)], wanted))
        self.assertRows(rows)

    def test_eitherUsage(self) -> None:
        """
        With records of both usages each counts, in any order, and DANE-EE(3) goes
        first: it asks for less.
        """
        found = AUTHORITIES
        anchor = found.root.certificate.tlsa(2, 0, 1)
        own = found.host.tlsa(3, 1, 1)
        wrong = selfSigned(NAME).tlsa(3, 1, 1)
        elsewhere = ("x.example",)
        rows = [
            Row("own", found.all, [anchor, own], None, elsewhere),
            Row("anchor", found.all, [wrong, anchor], None),
            Row("anchor", found.all, [anchor, wrong], None),
            Row("name", found.all, [wrong, anchor], TLSResult.WRONG_NAME, elsewhere),
        ]
        self.assertRows(rows)
        self.assertEqual(checked(rows[0]).record, own)
        self.assertEqual(checked(rows[1]).record, anchor)

    def test_unusable(self) -> None:
        """
        Records of other usages, selectors and matching types, and digests that are
        too short, count for nothing; where there are no others, that is what is
        wrong (RFC 7672 2.2).
        """
        own = selfSigned(NAME)
        good = own.tlsa(3, 1, 1)
        bad = [
            replace(good, usage=0),
            replace(good, usage=1),
            replace(good, usage=255),
            replace(good, selector=2),
            replace(good, matching=3),
            replace(good, data=good.data[:-1]),
            replace(good, data=b""),
        ]
        rows = [Row(str(each), own, [each], TLSResult.TLSA_INVALID) for each in bad]
        rows += [
            Row("none", own, [], TLSResult.TLSA_INVALID),
            Row("one good", own, [*bad, good], None),
        ]
        self.assertRows(rows)

    def test_rubbishInWholeRecords(self) -> None:
        """
        What stands in a record as a whole and is neither certificate nor key matches
        nothing, and keeps no other record from matching.
        """
        found = AUTHORITIES
        good = found.root.certificate.tlsa(2, 0, 1)
        for selector in (0, 1):
            rubbish = TLSA(2, selector, 0, b"\x30\x03rubbish")
            rows = [
                Row("alone", found.all, [rubbish], TLSResult.FAILED),
                Row("beside", found.all, [rubbish, good], None),
            ]
            self.assertRows(rows)

    def test_strongestDigest(self) -> None:
        """
        Of digests of the same thing only the strongest count (RFC 7671 9), whatever
        stands beside them; what is there as a whole counts always.
        """
        own, other = selfSigned(NAME), selfSigned(NAME)
        weak, strong = own.tlsa(3, 1, 1), other.tlsa(3, 1, 2)
        rows = [
            Row("forged", own, [weak, strong], TLSResult.FAILED),
            Row("of the other", own, [weak, other.tlsa(3, 0, 2)], None),
            Row("whole", own, [own.tlsa(3, 1, 0), strong], None),
        ]
        self.assertRows(rows)
        self.assertEqual(comparable([weak, strong]), (strong,))

    def test_nothingShown(self) -> None:
        """
        A host without a certificate is not the one.
        """
        found = check((), [selfSigned(NAME).tlsa(3, 1, 1)], (NAME,))
        assert found.problem is not None
        self.assertIs(found.problem.result, TLSResult.FAILED)

    def test_rubbishShown(self) -> None:
        """
        What is no certificate matches nothing, and raises nothing.
        """
        own = selfSigned(NAME)
        for records in (
            [own.tlsa(3, 1, 1)],
            [own.tlsa(2, 1, 0)],
            [AUTHORITIES.root.certificate.tlsa(2, 0, 0)],
        ):
            for shown in (b"", b"rubbish", own.certificateDER[:100]):
                found = check((shown,), records, (NAME,))
                assert found.problem is not None, shown
                self.assertIs(found.problem.result, TLSResult.FAILED)

    def test_publicKeys(self) -> None:
        """
        The public key is what stands in the certificate, whatever its kind.
        """
        for kind in KeyKind:
            own = selfSigned(NAME, kind=kind)
            self.assertEqual(publicKeyIn(own.certificateDER), own.keyDER)

    @settings(max_examples=50, deadline=None)
    @given(st.data())
    def test_publicKeyOfAnything(self, data: st.DataObject) -> None:
        """
        Bytes that were changed or cut give a key or an error, and never match.
        """
        own = AUTHORITIES.host
        whole = bytearray(own.certificateDER)
        for _ in range(data.draw(st.integers(0, 3))):
            at = data.draw(st.integers(0, len(whole) - 1))
            whole[at] = data.draw(st.integers(0, 255))
        given = bytes(whole[: data.draw(st.integers(0, len(whole)))])
        try:
            found = publicKeyIn(given)
        except MalformedCertificate:
            return
        self.assertIn(found, given)
        isSame = found == own.keyDER
        self.assertEqual(isNamed(given, own.tlsa(3, 1, 1)), isSame)
