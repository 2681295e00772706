"""
Tests for L{relaymail.queue.inspecting}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import Envelope
from relaymail.errors import UnreadableEntry
from relaymail.inspection import Listed, Page, Selection
from relaymail.queue.inspecting import BLINK
from relaymail.queue.memory import MemoryQueue
from relaymail.queue.window import Entry


class BoundTests(SynchronousTestCase):
    """
    How long it takes.
    """

    def setUp(self) -> None:
        """
        Begin with some names, and with an answer that takes its time.
        """
        self.queue = MemoryQueue(Clock())
        self.queue.noisy = False
        for number in range(12):
            envelope = Envelope("a@a.example", (f"x@d{number}.example",))
            self.successResultOf(self.queue.add(envelope, b"x\r\n"))
        self.seconds = 0.0

        def timer() -> float:
            self.seconds += BLINK / 5
            return self.seconds

        self.queue.timer = timer

    def test_look(self) -> None:
        """
        A search that takes too long goes on when it is asked again.
        """
        page = self.successResultOf(self.queue.look(Selection(sender="b@*")))
        self.assertEqual((page.entries, page.isComplete), ((), False))
        times = 1
        while page.next is not None:
            self.assertFalse(page.isComplete)
            page = self.successResultOf(
                self.queue.look(Selection(sender="b@*"), 100, page.next)
            )
            times += 1
        self.assertEqual((page, times), (Page(()), 3))

    def test_counts(self) -> None:
        """
        What nobody has looked at is counted as far as there is time.
        """
        counts, all_ = self.successResultOf(self.queue.destinations(5))
        self.assertEqual((len(counts), all_), (5, 12))
        for entry in list(self.queue._entries.values())[2:]:
            entry.envelope = None
        self.assertLess(self.successResultOf(self.queue.destinations())[1], 12)
        shape = self.successResultOf(self.queue.shape())
        self.assertTrue(shape.isSampled)
        self.assertLess(shape.total.total, 12)


class UnreadableTests(SynchronousTestCase):
    """
    What cannot be read.
    """

    def test_unreadable(self) -> None:
        """
        A name that cannot be read is found all the same.
        """
        queue = MemoryQueue(Clock())
        queue.noisy = False
        queue._store(Entry(5.0))
        self.assertRaises(UnreadableEntry, queue.getEnvelope, "1")
        found = self.successResultOf(queue.entry("1"))
        assert isinstance(found, Listed)
        self.assertEqual((found.sender, found.recipient, found.size), ("", "", 0))
        self.assertEqual(found.arrived, 5.0)
