"""
Tests for L{relaymail.dialogue.replyreader}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.replyreader import (
    MAX_BYTES,
    MAX_LINES,
    MalformedReply,
    ReplyReader,
    withoutSecrets,
)
from relaymail.replies import Reply


class ReplyReaderTests(SynchronousTestCase):
    """
    Tests for L{ReplyReader}.
    """

    def setUp(self) -> None:
        """
        Make a reader.
        """
        self.reader = ReplyReader()

    def test_oneLine(self) -> None:
        """
        A line with a space behind its code is a reply.
        """
        self.assertEqual(self.reader.read(b"250 ok"), Reply(250, (b"ok",)))

    def test_codeAlone(self) -> None:
        """
        So is a code with nothing behind it.
        """
        self.assertEqual(self.reader.read(b"250"), Reply(250, (b"",)))

    def test_D03_severalLines(self) -> None:
        """
        Lines with a hyphen go before the last.
        """
        self.assertIsNone(self.reader.read(b"220-one"))
        self.assertEqual(self.reader.lines, [b"one"])
        self.assertEqual(self.reader.read(b"220 two"), Reply(220, (b"one", b"two")))
        self.assertEqual(self.reader.lines, [])

    def test_nextReply(self) -> None:
        """
        Nothing of a reply is left for the next.
        """
        self.reader.read(b"220-one")
        self.reader.read(b"220 two")
        self.assertEqual(self.reader.read(b"550 no"), Reply(550, (b"no",)))

    def test_usual(self) -> None:
        """
        What is usually said is the same reply each time it is said, also
        behind verbose talk; within a reply it is a line of that.
        """
        first = self.reader.read(b"250 2.1.5 Ok")
        self.assertEqual(first, Reply(250, (b"2.1.5 Ok",)))
        for _ in range(3):
            for _ in range(MAX_LINES):
                self.reader.read(b"050 " + b"x" * (MAX_BYTES // 2 // MAX_LINES))
            self.assertIs(self.reader.read(b"250 2.1.5 Ok"), first)
        self.reader.read(b"250-one")
        self.assertEqual(
            self.reader.read(b"250 2.1.5 Ok"), Reply(250, (b"one", b"2.1.5 Ok"))
        )

    def test_verboseTalk(self) -> None:
        """
        A line whose code begins with 0 is no reply.
        """
        self.assertIsNone(self.reader.read(b"050 connecting"))
        self.assertEqual(self.reader.read(b"250 ok"), Reply(250, (b"ok",)))

    def test_D06_garbage(self) -> None:
        """
        What is no reply line is refused.
        """
        for line in (b"", b"25", b"hello there", b"2500 ok", b"-250 ok", b"2 50",
                     b"250_ok", b" 250 ok", b"\xb2\xb5\xb0 ok", b"+25 ok"):  # fmt: skip
            self.assertRaises(MalformedReply, ReplyReader().read, line)

    def test_garbageIsToldInOneBoundedLine(self) -> None:
        """
        What is said of it is bounded and printable.
        """
        error = self.assertRaises(MalformedReply, self.reader.read, b"\x1b[2J" * 5000)
        self.assertTrue(str(error).isprintable())
        self.assertLess(len(str(error)), 150)

    def test_A06_wrongCodeWithin(self) -> None:
        """
        All lines of a reply have one code.
        """
        self.reader.read(b"250-one")
        self.assertRaises(MalformedReply, self.reader.read, b"550 two")

    def test_A06_endlessLines(self) -> None:
        """
        A reply has a bounded number of lines.
        """
        for _ in range(MAX_LINES):
            self.reader.read(b"220-")
        self.assertRaises(MalformedReply, self.reader.read, b"220-")

    def test_A06_endlessBytes(self) -> None:
        """
        A reply has a bounded number of bytes.
        """
        line = b"220-" + b"x" * 16_000
        for _ in range(MAX_BYTES // len(line)):
            self.reader.read(line)
        self.assertRaises(MalformedReply, self.reader.read, line)

    def test_A06_endlessTalk(self) -> None:
        """
        So has what is said instead of a reply.
        """

        def talk() -> None:
            for _ in range(MAX_BYTES):
                self.reader.read(b"000-")

        self.assertRaises(MalformedReply, talk)

    @settings(deadline=None, max_examples=100)
    @given(st.lists(st.binary(max_size=12)))
    def test_anyLines(self, lines: list[bytes]) -> None:
        """
        Whatever comes, it is a reply, a part of one, or refused.
        """
        reader = ReplyReader()
        for line in lines:
            try:
                reply = reader.read(line)
            except MalformedReply:
                return
            self.assertTrue(reply is None or 100 <= reply.code <= 999)


class SecretTests(SynchronousTestCase):
    """
    Tests for L{withoutSecrets}.
    """

    def test_A09_saidBack(self) -> None:
        """
        Neither a response nor what is in it stands in a line that is shown; the code
        stays.
        """
        line = b"535 no dG9w, that is top"
        self.assertEqual(
            withoutSecrets(line, b"dG9w", b"top"),
            b"535 no (response), that is (secret)",
        )
        self.assertEqual(withoutSecrets(b"535 535", b"5", None)[:3], b"535")
        self.assertEqual(withoutSecrets(line, b"", b"top"), line)
