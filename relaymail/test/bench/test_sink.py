# -*- test-case-name: relaymail.test.bench.test_sink -*-
"""
Tests for L{relaymail.bench.sink}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.bench.mail import content, envelope, marker
from relaymail.bench.sink import MAX_COMMANDS, MAX_HEAD, Book, Session

TAG = "0123456789abcdef"
MESSAGES, RECIPIENTS = 3, 2


def transaction(number: int, tag: str = TAG) -> bytes:
    """
    Give all that a client sends for a message, in one piece.
    """
    head = b"Received: by relay.example\r\n" + marker(tag) + b"%08d" % number
    return b"".join(envelope(RECIPIENTS)) + head + content(400, tag)


class SessionTests(SynchronousTestCase):
    """
    Tests for L{Session} and L{Book}.
    """

    def setUp(self) -> None:
        """
        Make the sink of a run.
        """
        self.book = Book(TAG, MESSAGES, RECIPIENTS)
        self.session = Session()

    def send(self, *pieces: bytes) -> list[bytes]:
        """
        Send octets, and give the codes that are answered.
        """
        told = b"".join(self.session.received(p, self.book) for p in pieces)
        return [line[:4] for line in told.split(b"\r\n")[:-1]]

    def test_hello(self) -> None:
        """
        A client may send its commands together.
        """
        told = self.session.received(b"EHLO a.example\r\n", self.book)
        self.assertIn(b"250-PIPELINING\r\n", told)

    @settings(deadline=None, max_examples=50)
    @given(st.lists(st.integers(1, 2000), max_size=8))
    def test_anyPieces(self, cuts: list[int]) -> None:
        """
        However the octets are cut, each delivery is written down once.
        """
        self.setUp()
        text = b"EHLO a\r\n" + transaction(0) + transaction(2) + b"QUIT\r\n"
        ends = [*sorted(cut for cut in set(cuts) if cut < len(text)), len(text)]
        pieces = [text[a:b] for a, b in zip([0, *ends], ends, strict=False)]
        one = [b"250 ", b"250 ", b"250 ", b"354 ", b"250 "]
        hello = [b"250-", b"250-", b"250-", b"250 "]
        self.assertEqual(self.send(*pieces), [*hello, *one, *one, b"221 "])
        self.assertEqual([bool(n) for n in self.book.arrived], [1, 1, 0, 0, 1, 1])
        self.assertEqual((self.book.count, self.book.duplicates), (4, 0))
        self.assertFalse(self.session.open)

    def test_octetByOctet(self) -> None:
        """
        Octet by octet, it is the same.
        """
        self.send(*(bytes([octet]) for octet in transaction(1)))
        self.assertEqual(self.book.count, RECIPIENTS)

    def test_duplicates(self) -> None:
        """
        A delivery that comes again is counted apart.
        """
        self.send(transaction(1), transaction(1))
        self.assertEqual((self.book.count, self.book.duplicates), (2, 2))

    def test_otherMail(self) -> None:
        """
        Mail of another run, and mail without a number, is taken and not
        counted; nor is a number that the run does not have.
        """
        told = self.send(
            transaction(1, "fedcba9876543210"),
            b"MAIL FROM:<>\r\nRCPT TO:<x@y.example>\r\nDATA\r\n.\r\n",
            transaction(MESSAGES),
        )
        self.assertEqual(told.count(b"354 "), 3)
        self.assertEqual(self.book.count, 0)

    def test_reset(self) -> None:
        """
        A transaction that was given up leaves no recipients behind.
        """
        sender, first, *_ = envelope(RECIPIENTS)
        self.send(sender + first + b"RSET\r\n")
        self.send(sender + first + b"DATA\r\n" + marker(TAG) + b"00000000\r\n.\r\n")
        self.assertEqual((self.book.count, self.book.duplicates), (1, 0))

    def test_largeMail(self) -> None:
        """
        Of a large message nothing is kept.
        """
        self.send(b"".join(envelope(1)) + marker(TAG) + b"00000000\r\n")
        for _ in range(5):
            self.send(b"x" * MAX_HEAD)
        self.assertLess(len(self.session._buffer), 10)
        self.send(b"x" * MAX_HEAD * 2 + b"\r\n.\r\n")
        self.assertEqual(self.book.count, 1)

    def test_endlessCommand(self) -> None:
        """
        A command without an end ends the session.
        """
        self.send(b"x" * (MAX_COMMANDS + 1))
        self.assertFalse(self.session.open)
