# -*- test-case-name: relaymail.test.intake.test_content -*-
"""
Tests for L{relaymail.intake.content}.
"""

from __future__ import annotations

from io import BytesIO
from typing import IO

from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.answers import answer
from relaymail.errors import Refused
from relaymail.intake.content import PIECE, Collection, Memory
from relaymail.intake.limits import Limits

_LIMITS = Limits(memory=100, headerBytes=20, messageSize=1000)


class CollectionTests(SynchronousTestCase):
    """
    A message is collected in bounded memory.
    """

    def setUp(self) -> None:
        """
        Note the heads that are stamped and the files that are opened.
        """
        self.heads: list[bytes] = []
        self.files: list[BytesIO] = []

    def collection(
        self, limits: Limits = _LIMITS, memory: Memory | None = None
    ) -> Collection:
        """
        Make one.
        """

        def stamp(head: bytes) -> bytes:
            self.heads.append(head)
            if head.startswith(b"no"):
                raise Refused(answer(554, "5.4.6", "Loop"))
            return b"Stamp: 1\r\n"

        def openFile() -> IO[bytes]:
            self.files.append(BytesIO())
            return self.files[-1]

        return Collection(stamp, limits, openFile, memory)

    def test_small(self) -> None:
        """
        A small message stays in memory, its stamp before it.
        """
        collection = self.collection()
        collection.write(b"A: b\r\n")
        collection.write(b"\r\nbody\r\n")
        self.assertIsNone(collection.finish())
        self.assertEqual(collection.content, b"Stamp: 1\r\nA: b\r\n\r\nbody\r\n")
        self.assertEqual(self.files, [])

    def test_large(self) -> None:
        """
        A larger one is in a file, stamped once, and the file is closed.
        """
        collection = self.collection()
        body = bytes(range(256)) * 3
        for octet in body:
            collection.write(b"%c" % octet)
        self.assertIsNone(collection.finish())
        content = collection.content
        assert not isinstance(content, bytes)
        self.assertEqual(content.read(), b"Stamp: 1\r\n" + body)
        self.assertEqual(self.heads, [body[:22]])
        collection.close()
        self.assertTrue(self.files[0].closed)

    def test_A05_memoryOfAll(self) -> None:
        """
        Where all messages together take much, each goes to a file as soon as
        its header is there; what is let go no longer counts, but what the queue
        is writing does.
        """
        limits = Limits(memory=1000, headerBytes=20, allMemory=300)
        memory = Memory()
        first, second, third = (self.collection(limits, memory) for _ in range(3))
        first.write(b"A: b\r\n\r\n" + b"x" * 200)
        second.write(b"C" * 200)
        self.assertEqual((memory.used, self.files), (408, []))
        second.write(b": d\r\n\r\n")
        self.assertEqual((memory.used, len(self.files)), (208, 1))
        third.write(b"E: f\r\n\r\n" + b"x" * 50)
        self.assertEqual((memory.used, len(self.files)), (266, 1))
        for collection in (first, second, third):
            self.assertIsNone(collection.finish())
        held = [c.content for c in (first, third) if isinstance(c.content, bytes)]
        self.assertEqual(memory.used, sum(map(len, held)))
        self.assertTrue(self.files[0].read().startswith(b"Stamp: 1\r\nCCC"))
        for collection in (first, second, third):
            collection.close()
        self.assertEqual(memory.used, 0)

    def test_A05_memoryOfOneThatIsCut(self) -> None:
        """
        A message that does not come to its end, or is refused, takes nothing.
        """
        memory = Memory()
        first, second = (self.collection(memory=memory) for _ in range(2))
        first.write(b"x" * 50)
        first.close()
        second.write(b"x" * 50)
        second.refuse(answer(554, "5.4.6", "Loop"))
        second.write(b"x" * 50)
        self.assertEqual(memory.used, 0)

    def test_A05_pieces(self) -> None:
        """
        What is in a file already is written in small pieces.
        """
        limits = Limits(memory=PIECE * 4, headerBytes=20)
        memory = Memory()
        collection = self.collection(limits, memory)
        most = 0
        for _ in range(100):
            collection.write(b"x" * (PIECE // 4))
            if self.files:
                most = max(most, memory.used)
        self.assertTrue(self.files)
        self.assertLessEqual(most, PIECE)

    def test_A05_P6_headerWithoutEnd(self) -> None:
        """
        Where memory is short a message that is all header is refused for now.
        """
        limits = Limits(memory=PIECE * 4, headerBytes=PIECE * 4, allMemory=PIECE)
        memory = Memory()
        collection = self.collection(limits, memory)
        collection.write(b"A: b\r\n" * (PIECE // 6 + 2))
        refusal = collection.finish()
        assert refusal is not None
        self.assertIn("452 4.3.1", refusal.text)
        self.assertEqual((memory.used, self.files), (0, []))

    def test_A05_messageSize(self) -> None:
        """
        A message over the limit is refused, and what there is of it let go.
        """
        collection = self.collection()
        for _ in range(20):
            collection.write(b"x" * 99)
        refusal = collection.finish()
        assert refusal is not None
        self.assertIn("552 5.3.4", refusal.text)
        self.assertEqual(collection.content, b"")
        self.assertTrue(self.files[0].closed)

    def test_anySize(self) -> None:
        """
        With 0 any size is taken.
        """
        collection = self.collection(Limits(messageSize=0, memory=10, headerBytes=5))
        for _ in range(50):
            collection.write(b"x" * 99)
        self.assertIsNone(collection.finish())

    def test_refusedByStamp(self) -> None:
        """
        The stamp may refuse, in memory and in a file.
        """
        for size in (10, 500):
            collection = self.collection()
            collection.write(b"no" * size)
            refusal = collection.finish()
            assert refusal is not None
            self.assertIn("554 5.4.6", refusal.text)
        self.assertEqual(self.files, [])

    def test_P6_noRoomForTheFile(self) -> None:
        """
        When the file cannot be written the message is refused for now, and
        that is logged.
        """

        def full() -> IO[bytes]:
            raise OSError(28, "No space left on device")

        collection = Collection(lambda head: b"", _LIMITS, full)
        collection.write(b"x" * 500)
        collection.write(b"x" * 100)
        refusal = collection.finish()
        assert refusal is not None
        self.assertIn("452 4.3.1", refusal.text)
