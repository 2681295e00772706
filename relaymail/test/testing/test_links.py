# -*- test-case-name: relaymail.test.testing.test_links -*-
"""
Tests for L{relaymail.testing.links}.
"""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.testing.links import MAX_LOSSES, RETRANSMISSION, Link


class LinkTests(SynchronousTestCase):
    """
    Tests for L{Link}.
    """

    @settings(deadline=None, max_examples=50)
    @given(st.binary(), st.integers(1, 9) | st.none(), st.booleans(), st.integers())
    def test_nothingIsLostInPieces(
        self, data: bytes, segment: int | None, ragged: bool, seed: int
    ) -> None:
        """
        The segments are what was written, none empty, none too large.
        """
        link = Link(segment=segment, ragged=ragged)
        pieces = list(link.pieces(data, random.Random(seed)))
        self.assertEqual(b"".join(pieces), data)
        self.assertTrue(all(0 < len(p) <= (segment or len(data)) for p in pieces))

    def test_byteWise(self) -> None:
        """
        A segment of one byte is one byte.
        """
        self.assertEqual(
            list(Link(segment=1).pieces(b"abc", random.Random(0))), [b"a", b"b", b"c"]
        )

    def test_delay(self) -> None:
        """
        What is not lost takes as long as the way; what is comes later, within
        a bound.
        """
        chance = random.Random(0)
        self.assertEqual(Link(latency=0.25).delay(chance), 0.25)
        bad = Link(latency=0.25, loss=0.5)
        delays = {bad.delay(chance) for _ in range(1000)}
        self.assertEqual(min(delays), 0.25)
        self.assertEqual(max(delays), 0.25 + MAX_LOSSES * RETRANSMISSION)

    def test_loses(self) -> None:
        """
        About as many datagrams are lost as is said.
        """
        chance = random.Random(0)
        lost = sum(Link(loss=0.3).loses(chance) for _ in range(1000))
        self.assertTrue(250 < lost < 350)
        self.assertFalse(any(Link().loses(chance) for _ in range(100)))

    def test_nonsense(self) -> None:
        """
        What can be no link is said to be none.
        """
        for nonsense in ({"latency": -1.0}, {"loss": 1.0}, {"segment": 0}):
            self.assertRaises(ValueError, Link, **nonsense)
