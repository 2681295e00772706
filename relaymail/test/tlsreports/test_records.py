"""
Tests for L{relaymail.tlsreports.records}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.tlsreports.records import MAX_PLACES, NOWHERE, Places, parseRecords


class RecordTests(SynchronousTestCase):
    """
    Where a domain wants reports (RFC 8460 3).
    """

    def assertPlaces(self, record: bytes, *places: str) -> None:
        """
        Check what is read of one record.
        """
        found = parseRecords([record])
        self.assertEqual((*found.addresses, *found.urls), places, record)

    def test_mail(self) -> None:
        """
        An address gets reports by mail; what stands for a character is that.
        """
        self.assertPlaces(b"v=TLSRPTv1; rua=mailto:tls@example.org", "tls@example.org")
        self.assertPlaces(
            b"v=TLSRPTv1;rua=MAILTO:a%2Bb@example.org;", "a+b@example.org"
        )
        self.assertPlaces(
            b"v=TLSRPTv1; rua=mailto:a@b.example?subject=x", "a@b.example"
        )

    def test_https(self) -> None:
        """
        A URL gets them over HTTPS.
        """
        url = "https://reports.example.org/v1/tlsrpt"
        self.assertPlaces(b"v=TLSRPTv1; rua=" + url.encode(), url)

    def test_several(self) -> None:
        """
        There may be several, each told once, and not without end.
        """
        self.assertPlaces(
            b"v=TLSRPTv1; rua=mailto:a@b.example ,https://c.example/"
            b", mailto:a@b.example",
            "a@b.example",
            "https://c.example/",
        )
        many = b",".join(b"mailto:a%d@b.example" % n for n in range(MAX_PLACES + 3))
        found = parseRecords([b"v=TLSRPTv1; rua=" + many])
        self.assertEqual(len(found.addresses), MAX_PLACES)

    def test_otherFields(self) -> None:
        """
        Fields that nobody knows are passed over.
        """
        record = b"v=TLSRPTv1; x=1; rua=mailto:a@b.example; y=rua"
        self.assertPlaces(record, "a@b.example")

    def test_nothing(self) -> None:
        """
        What is no record of this version, or names no place, leads nowhere.
        """
        for record in (
            b"",
            b"v=TLSRPTv2; rua=mailto:a@b.example",
            b"v=TLSRPTv10; rua=mailto:a@b.example",
            b"rua=mailto:a@b.example; v=TLSRPTv1",
            b"v=TLSRPTv1",
            b"v=TLSRPTv1; rua=",
            b"v=TLSRPTv1; rua=http://c.example/",
            b"v=TLSRPTv1; rua=https:///x",
            b"v=TLSRPTv1; rua=https://me:hush@c.example/",
            b"v=TLSRPTv1; rua=https://c.example/a b",
            b"v=TLSRPTv1; rua=mailto:nobody",
            b"v=TLSRPTv1; rua=mailto:a%0d%0aRCPT@b.example",
            b"v=TLSRPTv1; rua=mailto:a%ff@b.example",
            b"v=TLSRPTv1; rua=mailto:a@b.example" + b" " * 5000,
        ):
            self.assertPlaces(record)
        self.assertFalse(NOWHERE)

    def test_twoRecords(self) -> None:
        """
        Where there are two of this version neither counts; others do not matter.
        """
        one, two = b"v=TLSRPTv1; rua=mailto:a@b.example", b"v=TLSRPTv1;"
        self.assertEqual(parseRecords([one, two]), NOWHERE)
        found = parseRecords([b"v=spf1 -all", one])
        self.assertEqual(found, Places(("a@b.example",)))

    @settings(deadline=None, max_examples=50)
    @given(st.lists(st.binary(max_size=60), max_size=3), st.binary(max_size=60))
    def test_anything(self, others: list[bytes], text: bytes) -> None:
        """
        No bytes make it fail.
        """
        found = parseRecords([*others, b"v=TLSRPTv1; rua=" + text])
        self.assertLessEqual(len(found.addresses) + len(found.urls), MAX_PLACES)
