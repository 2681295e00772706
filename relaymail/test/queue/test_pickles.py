"""
Tests for L{relaymail.queue.pickles}.
"""

from __future__ import annotations

import os
import pickle

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import UnreadableEntry
from relaymail.queue.pickles import MAX_PICKLE, dumpEnvelope, loadEnvelope

#: What Python 2 wrote for C{["a@b", "c\xe9@d"]}, by protocol.
PYTHON_2 = (
    b"(lp0\nS'a@b'\np1\naS'c\\xe9@d'\np2\na.",
    b"]q\x00(U\x03a@bq\x01U\x04c\xe9@dq\x02e.",
    b"\x80\x02]q\x00(U\x03a@bq\x01U\x04c\xe9@dq\x02e.",
)


class _Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("false",)


class PicklesTests(SynchronousTestCase):
    """
    L{loadEnvelope} reads envelopes and nothing else.
    """

    def assertRefused(self, data: bytes) -> None:
        """
        It is not read.
        """
        self.assertRaises(UnreadableEntry, loadEnvelope, data)

    def test_everyProtocol(self) -> None:
        """
        An envelope of any protocol of Python 3 is read.
        """
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            for envelope in (["a@b", "c@d"], ("a@b", "c@d"), ["header", 7]):
                data = pickle.dumps(envelope, protocol)
                self.assertEqual(loadEnvelope(data), list(envelope))

    def test_bytes(self) -> None:
        """
        Byte strings are read as text.
        """
        self.assertEqual(
            loadEnvelope(pickle.dumps([b"a@b", "é@d".encode()], 4)), ["a@b", "é@d"]
        )

    def test_python2(self) -> None:
        """
        Spools that Python 2 wrote are read, whatever their encoding.
        """
        for data in PYTHON_2:
            self.assertEqual(loadEnvelope(data), ["a@b", "cé@d"])

    @settings(deadline=None, max_examples=50)
    @given(st.text(), st.one_of(st.text(), st.integers()))
    def test_roundTrip(self, sender: str, recipient: str | int) -> None:
        """
        What is written is read.
        """
        self.assertEqual(
            loadEnvelope(dumpEnvelope([sender, recipient])), [sender, recipient]
        )

    def test_A08_nothingRuns(self) -> None:
        """
        A pickle that names anything is refused before any of it is done.
        """
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            self.assertRefused(pickle.dumps([_Runs(), "x"], protocol))
        self.assertRefused(b"cos\nsystem\n(S'false'\ntR.")
        self.assertRefused(b"(ios\nsystem\nS'false'\n.")
        self.assertRefused(b"\x80\x02cbuiltins\nlist\n.")
        self.assertRefused(b"Pid\n.")

    def test_A08_nothingHuge(self) -> None:
        """
        Neither length nor memo index makes it take much memory.
        """
        self.assertRefused(pickle.dumps(["x" * MAX_PICKLE, "y"]))
        self.assertRefused(b"]r\xff\xff\xff\x7f.")
        self.assertRefused(b"]p2000000000\n.")
        self.assertRefused(b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7fabc.")

    def test_P7_otherThings(self) -> None:
        """
        What is no envelope is refused.
        """
        for thing in (None, [], ["a"], ["a", "b", "c"], {"a": "b"}, ["a", ["b"]]):
            self.assertRefused(pickle.dumps(thing))
        self.assertRefused(pickle.dumps(["a", 1.5]))

    @settings(deadline=None, max_examples=50)
    @given(st.binary(max_size=60))
    def test_P7_garbage(self, data: bytes) -> None:
        """
        Damaged files are one kind of error.
        """
        try:
            found = loadEnvelope(data)
        except UnreadableEntry:
            return
        self.assertEqual(len(found), 2)

    def test_P7_cutShort(self) -> None:
        """
        So are those that are cut short.
        """
        data = dumpEnvelope(["a@b", "c@d"])
        for end in range(len(data)):
            self.assertRefused(data[:end])
