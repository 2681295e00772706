"""
Tests for L{relaymail.queue.records}.
"""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import Parameters
from relaymail.queue.records import (
    MAX_RECORD,
    Journal,
    Record,
    formatJournal,
    formatRecord,
    isName,
    parseJournal,
    parseRecord,
    recordOf,
)
from relaymail.replies import MAX_TEXT, printable

_SECONDS = st.floats(0, 1e12, allow_nan=False)
_RECORDS = st.builds(
    Record,
    _SECONDS,
    _SECONDS,
    st.integers(0, 1000),
    st.booleans(),
    st.sampled_from(["", "4.3.0", "5.123.456"]),
    st.text().map(printable),
    st.sampled_from([Parameters(), Parameters("8BITMIME")]),
)


class RecordTests(SynchronousTestCase):
    """
    L{formatRecord} and L{parseRecord} agree, and damage is noticed.
    """

    @settings(deadline=None, max_examples=50)
    @given(_RECORDS)
    def test_roundTrip(self, record: Record) -> None:
        """
        What is written is read.
        """
        self.assertEqual(parseRecord(formatRecord(record)), record)

    def test_longestText(self) -> None:
        """
        The longest text fits, whatever its characters.
        """
        record = Record(1.0, 2.0, 3, True, "4.0.0", "\U0001f600" * MAX_TEXT)
        self.assertLess(len(formatRecord(record)), MAX_RECORD)
        self.assertEqual(parseRecord(formatRecord(record)), record)

    @settings(deadline=None, max_examples=50)
    @given(st.binary(max_size=200))
    def test_P7_garbageIsMissing(self, data: bytes) -> None:
        """
        What is no record is as good as none.
        """
        self.assertIsNone(parseRecord(data))
        self.assertIsNone(parseJournal(data))

    def test_P7_wrongTypesAreMissing(self) -> None:
        """
        Numbers that are none, or beyond belief, make it damaged.
        """
        good = {"arrived": 1, "due": 2.5, "attempts": 3}
        self.assertEqual(parseRecord(json.dumps(good).encode()), Record(1.0, 2.5, 3))
        for field, value in (
            ("arrived", "1"),
            ("arrived", None),
            ("due", True),
            ("due", float("nan")),
            ("due", float("inf")),
            ("due", 10**400),
            ("attempts", -1),
            ("attempts", 1.5),
            ("attempts", True),
            ("attempts", 10**9),
        ):
            data = json.dumps({**good, field: value}).encode()
            self.assertEqual((field, value, parseRecord(data)), (field, value, None))

    def test_A03_textIsMadePrintable(self) -> None:
        """
        Text that somebody put in a record is one printable line.
        """
        data = b'{"arrived":1,"due":2,"attempts":0,"text":"a\\r\\nb","status":7}'
        record = parseRecord(data)
        assert record is not None
        self.assertEqual((record.text, record.status), ("a  b", ""))

    def test_unknownFieldsAreIgnored(self) -> None:
        """
        A later version may say more.
        """
        data = b'{"arrived":1,"due":2,"attempts":0,"colour":"red","body":"X"}'
        self.assertEqual(parseRecord(data), Record(1.0, 2.0))


class JournalTests(SynchronousTestCase):
    """
    L{formatJournal} and L{parseJournal} agree.
    """

    def test_roundTrip(self) -> None:
        """
        What is written is read.
        """
        for tell in ((), ("c-T7", "1_2.5_3_4-T12")):
            journal = Journal(("1_2.5_3_4", "b"), ("c",), tell)
            self.assertEqual(parseJournal(formatJournal(journal)), journal)

    def test_whatIsNoDraft(self) -> None:
        """
        Only drafts of records become records.
        """
        self.assertEqual(recordOf("1_2.5_3_4-T12"), "1_2.5_3_4-S")
        for name in ("c", "c-T", "c-H", "-T7", "../c-T7", "c-T7x"):
            self.assertIsNone(recordOf(name), name)
            data = json.dumps({"arrive": [], "leave": [], "tell": [name]}).encode()
            self.assertIsNone(parseJournal(data))

    def test_A08_pathsAreRefused(self) -> None:
        """
        A journal cannot name a file outside of the directory.
        """
        for name in ("../x", "/etc/passwd", ".", "a/b", "", 7, None):
            data = json.dumps({"arrive": [], "leave": [name]}).encode()
            self.assertIsNone(parseJournal(data))


class NameTests(SynchronousTestCase):
    """
    L{isName} tells what a name may look like.
    """

    def test_names(self) -> None:
        """
        The seed's names are good.
        """
        self.assertTrue(isName("4711_1700000000.123456_0_140587506839312"))

    def test_A08_noNames(self) -> None:
        """
        What hides, walks or breaks a line is not.
        """
        for name in ("", ".x", "a/b", "a\n", "a b", "é", "-x", "x" * 201, "a\0"):
            self.assertFalse(isName(name), name)
