# -*- test-case-name: relaymail.test.test_replies -*-
"""
Tests for L{relaymail.replies}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.replies import (
    MAX_TEXT,
    Phase,
    Reply,
    Trouble,
    TroubleKind,
    printable,
)


class ReplyTests(SynchronousTestCase):
    """
    What a reply says.
    """

    def test_firstDigit(self) -> None:
        """
        Only the first digit counts (RFC 5321 4.2.1).
        """
        for code in (199, 200, 299, 300, 399, 400, 499, 500, 599, 600):
            reply = Reply(code)
            self.assertEqual(reply.positive, code in (200, 299))
            self.assertEqual(reply.transient, code in (400, 499))
            self.assertEqual(reply.permanent, code in (500, 599))

    def test_status(self) -> None:
        """
        The enhanced status is read at the start of the text only, and ignored
        where its class disagrees (RFC 3463 2).
        """
        cases: dict[bytes, str | None] = {
            b"5.1.1 no such user": "5.1.1",
            b"5.1.1": "5.1.1",
            b"5.7.1000 no": None,
            b"4.1.1 later": None,
            b"no 5.1.1": None,
            b"5.1.1no": None,
            b"": None,
        }
        for line, status in cases.items():
            self.assertEqual(Reply(550, (line,)).status, status, line)
        self.assertIsNone(Reply(550).status)

    def test_text(self) -> None:
        """
        All lines as one, code first.
        """
        self.assertEqual(Reply(250, (b"a", b"b")).text, "250 a b")
        self.assertEqual(Reply(250).text, "250")


class TroubleTests(SynchronousTestCase):
    """
    What a trouble says.
    """

    def test_text(self) -> None:
        """
        The kind, the phase and the detail, for a person.
        """
        trouble = Trouble(Phase.CONNECT, TroubleKind.TIMEOUT)
        self.assertEqual(trouble.text, "timed out while connecting")
        detailed = Trouble(Phase.CONNECT, TroubleKind.TIMEOUT, "30 s\r\n")
        self.assertEqual(detailed.text, "timed out while connecting: 30 s")

    def test_decided(self) -> None:
        """
        What somebody decided happened while nothing was tried.
        """
        refused = Trouble(Phase.RESOLVE, TroubleKind.POLICY, "Nobody is there")
        self.assertEqual(
            refused.text, "a rule of this relay refuses it: Nobody is there"
        )
        discarded = Trouble(Phase.RESOLVE, TroubleKind.DISCARDED)
        self.assertEqual(discarded.text, "a rule of this relay throws it away")
        wanted = Trouble(Phase.MAIL, TroubleKind.NO_REQUIRETLS)
        self.assertNotIn(Phase.MAIL.value, wanted.text)


class PrintableTests(SynchronousTestCase):
    """
    Text from outside is made safe.
    """

    def test_A03_separatorsBecomeSpaces(self) -> None:
        """
        No character that ends a line, moves a cursor or turns the writing
        survives.
        """
        self.assertEqual(
            printable("a\r\nb\0c\x1bd\x85e\u2028f\u202eg\x7fh"), "a  b c d e f g h"
        )

    def test_bytesThatAreNoText(self) -> None:
        """
        Bytes that are not UTF-8 are shown as escapes.
        """
        self.assertEqual(printable(b"\xffa"), "\\xffa")

    def test_A03_bounded(self) -> None:
        """
        What is too long is cut and says so.
        """
        self.assertEqual(printable("x" * MAX_TEXT), "x" * MAX_TEXT)
        self.assertEqual(printable("xxxxx", 4), "xxx…")

    @settings(deadline=None, max_examples=50)
    @given(st.one_of(st.text(), st.binary()), st.integers(min_value=1, max_value=20))
    def test_A03_alwaysSafe(self, text: bytes | str, limit: int) -> None:
        """
        The result is printable, bounded, and stays itself.
        """
        safe = printable(text, limit)
        self.assertTrue(safe.isprintable())
        self.assertLessEqual(len(safe), limit)
        self.assertEqual(printable(safe, limit), safe)
