"""
Tests for L{relaymail.dialogue.sasl.preparing}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.sasl.errors import UnusableSecret
from relaymail.dialogue.sasl.preparing import prepared, saslprep


class SASLprepTests(SynchronousTestCase):
    """
    Tests for L{saslprep}.
    """

    def test_examples(self) -> None:
        """
        The examples of RFC 4013 3 come out.
        """
        for text, wanted in (
            ("I\u00adX", "IX"),
            ("user", "user"),
            ("USER", "USER"),
            ("\u00aa", "a"),
            ("\u2168", "IX"),
        ):
            self.assertEqual(saslprep(text), wanted)
        for text in ("\x07", "\u06271"):
            self.assertRaises(UnusableSecret, saslprep, text)

    def test_spaces(self) -> None:
        """
        Other spaces are spaces (RFC 4013 2.1).
        """
        self.assertEqual(saslprep("a\u00a0b\u3000c d"), "a b c d")

    def test_empty(self) -> None:
        """
        Nothing, or what becomes nothing, is no password.
        """
        for text in ("", "\u00ad"):
            self.assertRaises(UnusableSecret, saslprep, text)

    def test_unassigned(self) -> None:
        """
        What Unicode 3.2 does not know may be said, but not kept (RFC 4013 2.5).
        """
        self.assertEqual(saslprep("\U0001f600x"), "\U0001f600x")
        self.assertRaises(UnusableSecret, saslprep, "\U0001f600x", isStored=True)

    def test_directions(self) -> None:
        """
        From right to left all the way, or not at all (RFC 3454 6).
        """
        self.assertEqual(saslprep("\u05d0\u05d1"), "\u05d0\u05d1")
        self.assertRaises(UnusableSecret, saslprep, "\u05d0x\u05d1")

    def test_A09_octets(self) -> None:
        """
        What is no UTF-8 is refused, and is not in the error.
        """
        self.assertEqual(prepared("pä".encode()), "pä".encode())
        error = self.assertRaises(UnusableSecret, prepared, b"secret\xff")
        self.assertNotIn("secret", repr(error))
        self.assertIsNone(error.__cause__)
        self.assertTrue(error.__suppress_context__)

    @given(st.text(max_size=20))
    @settings(max_examples=100, deadline=None)
    def test_again(self, text: str) -> None:
        """
        What was prepared stays as it is when it is prepared again.
        """
        try:
            once = saslprep(text)
        except UnusableSecret:
            return
        self.assertEqual(saslprep(once), once)
