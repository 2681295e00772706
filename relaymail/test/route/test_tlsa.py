"""
Tests for L{relaymail.route.tlsa}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.route.tlsa import TLSA, parseTLSA


class TLSATests(SynchronousTestCase):
    """
    Records, and which of them mean something between mail hosts.
    """

    def test_usable(self) -> None:
        """
        DANE-TA(2) and DANE-EE(3), of a certificate or a key, whole or as a digest of
        the right length (RFC 7672 3.1).
        """
        for usage in (2, 3):
            for selector in (0, 1):
                for matching, length in ((0, 7), (1, 32), (2, 64)):
                    record = TLSA(usage, selector, matching, b"x" * length)
                    self.assertTrue(record.isUsable, str(record))

    def test_unusable(self) -> None:
        """
        PKIX-TA(0) and PKIX-EE(1) (RFC 7672 3.1.3), unknown numbers, and digests of
        the wrong length are not.
        """
        for record in (
            TLSA(0, 1, 1, b"x" * 32),
            TLSA(1, 1, 1, b"x" * 32),
            TLSA(4, 1, 1, b"x" * 32),
            TLSA(3, 2, 1, b"x" * 32),
            TLSA(3, 1, 3, b"x" * 32),
            TLSA(3, 1, 1, b"x" * 31),
            TLSA(3, 1, 2, b"x" * 32),
            TLSA(3, 1, 0, b""),
        ):
            self.assertFalse(record.isUsable, str(record))

    def test_shown(self) -> None:
        """
        One is shown as it stands in a zone file.
        """
        self.assertEqual(str(TLSA(3, 1, 1, b"\x00\xab")), "3 1 1 00ab")

    @settings(deadline=None, max_examples=50)
    @given(st.binary(max_size=80))
    def test_parsing(self, data: bytes) -> None:
        """
        Any bytes are a record, or too few for one.
        """
        record = parseTLSA(data)
        if len(data) < 4:
            self.assertIsNone(record)
        else:
            assert record is not None
            given = bytes((record.usage, record.selector, record.matching))
            self.assertEqual(given + record.data, data)
