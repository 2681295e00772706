# -*- test-case-name: relaymail.test.dialogue.test_xtext -*-
"""
Tests for L{relaymail.dialogue.xtext}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.xtext import (
    decodeUnitext,
    decodeXtext,
    encodeUnitext,
    encodeXtext,
)


class XtextTests(SynchronousTestCase):
    """
    Text in parameters.
    """

    def test_known(self) -> None:
        """
        What may not stand there is written in hexadecimal (RFC 3461 4).
        """
        self.assertEqual(encodeXtext("a+b=c d"), b"a+2Bb+3Dc+20d")
        self.assertEqual(decodeXtext("a+2Bb+3Dc+20d"), "a+b=c d")

    def test_malformed(self) -> None:
        """
        What is no xtext is refused.
        """
        for text in ("a b", "a+2", "a+2b", "a=b", "é", "+FF", "+"):
            self.assertRaises(ValueError, decodeXtext, text)

    def test_unitext(self) -> None:
        """
        An address that is not ASCII has a form that is (RFC 6533 3).
        """
        self.assertEqual(encodeUnitext("é+@x"), b"\\x{E9}\\x{2B}@x")
        self.assertEqual(decodeUnitext("\\x{E9}\\x{2B}@x"), "é+@x")
        self.assertEqual(decodeUnitext("é@x"), "é@x")
        self.assertEqual(decodeUnitext("é+2B41@x"), "é+41@x")

    def test_malformedUnitext(self) -> None:
        """
        What is in no form of RFC 6533 is refused.
        """
        for text in ("a b", "\\x{zz}", "a=b", "\\", "\\x{110000}"):
            self.assertRaises(ValueError, decodeUnitext, text)

    def test_A03_decodedOnce(self) -> None:
        """
        What comes out is not decoded again.
        """
        self.assertEqual(decodeUnitext("é\\x{2B}41@x"), "é+41@x")

    @settings(deadline=None, max_examples=50)
    @given(st.text(st.characters(exclude_categories=["Cs"])))
    def test_roundTrip(self, text: str) -> None:
        """
        What is encoded comes back.
        """
        self.assertEqual(decodeXtext(encodeXtext(text).decode("ascii")), text)
        self.assertEqual(decodeUnitext(encodeUnitext(text).decode("ascii")), text)
