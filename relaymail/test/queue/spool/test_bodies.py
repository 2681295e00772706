"""
Tests for L{relaymail.queue.spool.bodies}.
"""

from __future__ import annotations

import errno
import io
from typing import IO

from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import QueueError, QueueFull, UnreadableEntry
from relaymail.queue.room import Taken
from relaymail.queue.spool.bodies import Body, Kept, SpoolContent
from relaymail.test.queue.spool.spools import EVERY_BYTE, RowsTestCase


class BodiesTests(RowsTestCase):
    """
    L{relaymail.queue.spool.bodies.Bodies} keeps small contents in rows and
    large ones in files.
    """

    def test_threshold(self) -> None:
        """
        What has the largest size is in a row, one byte more is in a file,
        whether it comes as bytes or as a file.
        """
        for size, isApart in ((0, False), (350, False), (351, True)):
            data = b"x" * size
            contents: list[bytes | IO[bytes]] = [data, io.BytesIO(data)]
            for number, content in enumerate(contents):
                body = self.bodies.store(number, content)
                kept = None if isApart else data
                self.assertEqual(body, Body(size, False, kept))
                self.assertEqual(self.bodies.has(number, size), isApart)

    def test_bytesAreBytes(self) -> None:
        """
        Every byte is kept, in a row and in a file, and eight bits are noticed
        wherever they are.
        """
        for content in (EVERY_BYTE[:100] + b"\xff", b"\0\r\n\n\r" * 10, EVERY_BYTE):
            body = self.bodies.store(1, io.BytesIO(content))
            stored = body.data
            if stored is None:
                with self.bodies.open(1) as file:
                    stored = file.read()
            self.assertEqual((stored, body.size), (content, len(content)))
            self.assertEqual(body.eightBit, not content.isascii())

    def test_eightBitAtTheEnd(self) -> None:
        """
        A byte above 127 is noticed in the last piece of a large content.
        """
        self.assertTrue(self.bodies.store(1, b"x" * 200_000 + b"\x80").eightBit)

    def test_readFromWhereItStands(self) -> None:
        """
        What was read of a file before is left out.
        """
        file = io.BytesIO(b"skipped" + b"y" * 400)
        file.seek(7)
        self.assertEqual(self.bodies.store(1, file).size, 400)
        self.assertTrue(self.bodies.has(1, 400))

    def test_P6_footprint(self) -> None:
        """
        What is in a row is on the disk twice, what is in a file once.
        """
        for size, most in ((350, Taken(700)), (351, Taken(351, 1))):
            with open(self.mktemp(), "w+b") as file:
                file.write(b"x" * size)
                file.flush()
                self.assertEqual(self.bodies.footprint(file), most)
        self.assertEqual(self.bodies.footprint(b"x" * 300), Taken(600))
        self.assertEqual(self.bodies.footprint(io.BytesIO(b"x")), Taken())

    def test_syncOnce(self) -> None:
        """
        The directory is synced after files were written, and else not.
        """
        self.bodies.store(1, b"small")
        self.bodies.sync()
        self.assertEqual(self.steps, [])
        self.bodies.store(2, b"x" * 400)
        self.bodies.sync()
        self.bodies.sync()
        self.assertEqual(
            [step for step, path in self.steps if path == "/contents"], ["sync"]
        )

    def test_syncIsTriedAgain(self) -> None:
        """
        A sync that failed is not forgotten.
        """
        self.bodies.store(2, b"x" * 400)
        self.disk.fail("sync", errno.EIO)
        self.assertRaises(QueueError, self.bodies.sync)
        self.bodies.sync()
        self.assertIn("/contents/2", self.disk.durable())

    def test_whatHasTheNameGives(self) -> None:
        """
        A file that was left behind gives way.
        """
        self.disk.plant("/contents/1", b"left behind")
        self.bodies.store(1, b"x" * 400)
        self.assertEqual(self.disk.files()["/contents/1"], b"x" * 400)

    def test_noRoom(self) -> None:
        """
        A disk that is full is said to be full.
        """
        self.disk.fail("finish", errno.ENOSPC)
        self.assertRaises(QueueFull, self.bodies.store, 1, b"x" * 400)

    def test_numbers(self) -> None:
        """
        Only what is named by a number is a content.
        """
        self.disk.plant("/contents/notes.txt", b"")
        self.bodies.store(17, b"x" * 400)
        self.assertEqual(self.bodies.numbers(), [17])
        self.bodies.remove(17)
        self.bodies.remove(17)
        self.assertEqual(self.bodies.numbers(), [])

    def test_hasIsOfTheSize(self) -> None:
        """
        A file of another size, no file and no plain file are not it.
        """
        self.bodies.store(1, b"x" * 400)
        self.disk.plant("/contents/2")
        found = [
            self.bodies.has(*each) for each in ((1, 400), (1, 399), (2, 0), (3, 0))
        ]
        self.assertEqual(found, [True, False, False, False])

    def test_A08_linksAreNotOpened(self) -> None:
        """
        What is not a plain file is not read.
        """
        self.disk.plant("/contents/2")
        self.assertRaises(UnreadableEntry, self.bodies.open, 2)


class SpoolContentTests(SynchronousTestCase):
    """
    L{SpoolContent} is opened when it is read.
    """

    def test_keptIsNotOpened(self) -> None:
        """
        Bytes in memory need no opener.
        """
        content = SpoolContent(1, 3, False, lambda message: self.fail("no"), b"abc")
        self.assertEqual(content.open().read(), b"abc")

    def test_othersAreOpenedByTheFirstRead(self) -> None:
        """
        Opening alone asks for nothing.
        """
        asked: list[int] = []

        def opener(message: int) -> io.BytesIO:
            asked.append(message)
            return io.BytesIO(b"abc")

        file = SpoolContent(7, 3, False, opener).open()
        self.assertEqual(asked, [])
        self.assertEqual((file.read(), asked), (b"abc", [7]))

    def test_equalByMessage(self) -> None:
        """
        Contents of one message are equal, others not.
        """
        one, same, other = (
            SpoolContent(number, 1, False, lambda message: io.BytesIO())
            for number in (1, 1, 2)
        )
        self.assertEqual((one, hash(one)), (same, hash(same)))
        self.assertNotEqual(one, other)


class KeptTests(SynchronousTestCase):
    """
    L{Kept} bounds the memory.
    """

    def test_bound(self) -> None:
        """
        What does not fit is not kept, until there is room again: when the
        last name of the other is forgotten.
        """
        kept = Kept(10)
        self.assertEqual(kept.take(1, 2, b"123456"), b"123456")
        self.assertIsNone(kept.take(2, 1, b"12345"))
        kept.release(1)
        self.assertIsNone(kept.take(2, 1, b"12345"))
        kept.release(1)
        self.assertEqual(kept.take(2, 1, b"1234567890"), b"1234567890")

    def test_nobodysIsNotKept(self) -> None:
        """
        Nothing is kept for no name, nor what is in a file.
        """
        kept = Kept(10)
        self.assertIsNone(kept.take(1, 0, b"123456"))
        self.assertIsNone(kept.take(1, 1, None))
        kept.release(1)
        self.assertIsNotNone(kept.take(2, 1, b"1234567890"))
