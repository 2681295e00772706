# -*- test-case-name: relaymail.test.deliver.test_work -*-
"""
Tests for L{relaymail.deliver.work}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaymail.addresses import domainOf
from relaymail.deliver.work import Work
from relaymail.envelopes import Envelope
from relaymail.errors import QueueFull, UnreadableEntry
from relaymail.queue.memory import MemoryQueue


class WorkTests(SynchronousTestCase):
    """
    Tests for L{Work}.
    """

    def setUp(self) -> None:
        self.queue = MemoryQueue(Clock())
        self.queue.onWaiting = self.announced
        self.work = Work(self.queue, domainOf)
        self.work.lanes.batch = 10

    def announced(self) -> None:
        """
        There are new names.
        """
        self.work.isStale = True

    def put(self, *recipients: str) -> list[str]:
        """
        Queue a message.
        """
        d = self.queue.add(Envelope("a@example.com", recipients), b"x\r\n")
        return self.successResultOf(d)

    def test_placedByLane(self) -> None:
        """
        What waits is sorted into lanes, in its order.
        """
        b, c, d = self.put("b@one.example", "c@two.example", "d@ONE.example")
        self.work.placeNew()
        self.assertEqual(self.work.take("one.example", 10).names, [b, d])
        self.assertEqual(self.work.take("two.example", 10).names, [c])
        self.assertEqual(self.queue.getRelayed(), [b, d, c])

    def test_onlyNewNamesAreLookedAt(self) -> None:
        """
        What was placed is not read again, and nothing is while nobody
        announced anything.
        """
        self.put("b@one.example")
        self.work.placeNew()
        read: list[str] = []
        getEnvelope = self.queue.getEnvelope

        def reading(name: Any) -> list[Any]:
            read.append(name)
            return getEnvelope(name)

        self.patch(self.queue, "getEnvelope", reading)
        self.work.placeNew()
        self.assertEqual(read, [])
        (name,) = self.put("c@one.example")
        self.work.placeNew()
        self.work.placeAll()
        self.assertEqual(read, [name])
        self.assertEqual(self.work.lanes.waiting("one.example"), 2)

    def test_silentQueueIsAlwaysAsked(self) -> None:
        """
        A queue that announces nothing is asked each time.
        """
        self.queue.onWaiting = None
        self.work.placeNew()
        self.put("b@one.example")
        self.work.placeNew()
        self.assertEqual(len(self.work.lanes), 1)

    def test_limit(self) -> None:
        """
        No more than the limit is claimed.
        """
        names = [self.put("b@one.example")[0] for _ in range(3)]
        self.work.placeNew()
        self.assertEqual(self.work.take("one.example", 2).names, names[:2])
        self.assertEqual(self.queue.getWaiting(), names[2:])

    def test_P3_goneMeanwhile(self) -> None:
        """
        What is no longer there is passed over.
        """
        names = self.put("b@one.example", "c@one.example")
        self.work.placeNew()
        self.queue.done(names[0])
        self.assertEqual(self.work.take("one.example", 10).names, names[1:])

    def test_P6_unwrittenClaims(self) -> None:
        """
        A claim that could not be written is one all the same, and logged.
        """
        claim = self.queue.setRelaying

        def unwritten(name: Any) -> Any:
            claim(name)
            return fail(QueueFull("no room"))

        self.patch(self.queue, "setRelaying", unwritten)
        names = self.put("b@one.example")
        self.work.placeNew()
        taken = self.work.take("one.example", 10)
        self.assertEqual(taken.names, names)
        self.assertEqual([self.successResultOf(d) for d in taken.writes], [None])
        self.assertEqual(len(self.flushLoggedErrors(QueueFull)), 1)

    def test_P7_unreadable(self) -> None:
        """
        What cannot be read is set aside, and the rest is placed.
        """
        bad, _ = self.put("b@one.example", "c@one.example")
        self.queue._entries[bad].envelope = None
        self.work.placeNew()
        self.assertEqual(self.work.lanes.waiting("one.example"), 1)
        self.assertEqual(list(self.queue.aside), [bad])
        self.assertEqual(len(self.flushLoggedErrors(UnreadableEntry)), 1)

    def test_P6_unreadableForNow(self) -> None:
        """
        What cannot be read for want of descriptors stays, and is placed when
        it can be.
        """
        getEnvelope = self.queue.getEnvelope

        def failing(name: Any) -> Any:
            raise QueueFull("no descriptors")

        self.put("b@one.example")
        self.queue.getEnvelope = failing  # type: ignore[method-assign, assignment]
        self.work.placeNew()
        self.assertEqual((len(self.work.lanes), self.queue.aside), (0, {}))
        self.queue.getEnvelope = getEnvelope  # type: ignore[method-assign]
        self.work.placeAll()
        self.assertEqual(len(self.work.lanes), 1)
        self.flushLoggedErrors(QueueFull)
