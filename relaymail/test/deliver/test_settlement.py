# -*- test-case-name: relaymail.test.deliver.test_settlement -*-
"""
Tests for L{relaymail.deliver.settlement}.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import fail
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from relaymail.deliver.bounces import Bounces
from relaymail.deliver.settlement import Settlement, nameIn
from relaymail.envelopes import Envelope
from relaymail.errors import QueueFull, UnreadableEntry
from relaymail.outcomes import Bounce, Delivered, Retry
from relaymail.queue.memory import MemoryQueue
from relaymail.replies import Phase, Reply

DELIVERED = Delivered("2.0.0", Phase.FINAL, Reply(250, (b"2.0.0 Ok",)), "mx.example")
RETRY = Retry("4.2.0", Phase.RCPT, Reply(451, (b"4.2.0 Later",)), "mx.example")
BOUNCE = Bounce("5.1.1", Phase.RCPT, Reply(550, (b"5.1.1 No",)), "mx.example")


class SettlementTests(SynchronousTestCase):
    """
    Tests for L{Settlement}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.queue = MemoryQueue(self.clock)
        self.settlement = Settlement(self.queue)
        d = self.queue.add(Envelope("a@example.com", ("b@x.example",)), b"x\r\n")
        (self.name,) = self.successResultOf(d)
        self.queue.setRelaying(self.name)
        self.clock.advance(3)

    def told(self, do: Any, *args: Any) -> list[str]:
        """
        Do something, and give what was logged.
        """
        with capturedLogs() as events:
            do(*args)
        return [formatEvent(event) for event in events]

    def test_delivered(self) -> None:
        """
        What was delivered is gone, and one line says so.
        """
        self.settlement.open(self.name)
        self.settlement.note(self.name, DELIVERED)
        (line,) = self.told(self.settlement.delivered, self.name)
        self.assertTrue(line.startswith(f"delivered id={self.name} "), line)
        self.assertIn(" delay=3.0 attempts=1 ", line)
        self.assertEqual(self.queue._entries, {})

    def test_deliveredWithoutAnOutcome(self) -> None:
        """
        What an app calls delivered is gone too, without a line.
        """
        self.assertEqual(self.told(self.settlement.delivered, self.name), [])
        self.assertEqual(self.queue._entries, {})

    def test_retried(self) -> None:
        """
        What is tried again rests, and keeps what was said.
        """
        letter = self.queue.letter(self.name)
        (line,) = self.told(self.settlement.retried, self.name, letter, RETRY, 60.0)
        self.assertIn(" next=1970-01-01T00:01:00Z ", line)
        self.assertEqual(self.queue.nextDue(), 60.0)
        self.assertEqual(self.queue._entries[self.name].status, "4.2.0")

    def test_failed(self) -> None:
        """
        What failed is handed over, and stays claimed till its sender is told.
        """
        letter, bounces = self.queue.letter(self.name), Bounces(self.queue)
        args = (self.name, letter, BOUNCE, bounces)
        (line,) = self.told(self.settlement.failed, *args)
        self.assertTrue(line.startswith("bounced "), line)
        self.assertEqual(self.queue.getRelayed(), [self.name])

    def test_noted(self) -> None:
        """
        An outcome is only given where it is of the kind that is asked for.
        """
        self.settlement.note(self.name, RETRY)
        other = Bounce("5.0.0", Phase.FINAL)
        self.assertIs(self.settlement.noted(self.name, Bounce, other), other)
        self.assertIs(self.settlement.noted(self.name, Retry, RETRY), RETRY)
        self.settlement.forget(self.name)
        unknown = Retry("4.0.0", Phase.IDLE)
        self.assertIs(self.settlement.noted(self.name, Retry, unknown), unknown)

    def test_P7_unreadable(self) -> None:
        """
        A letter that cannot be read is set aside.
        """
        self.queue._entries[self.name].content = None
        self.assertIsNone(self.settlement.open(self.name))
        self.assertEqual(list(self.queue.aside), [self.name])
        self.assertEqual(len(self.flushLoggedErrors(UnreadableEntry)), 1)

    def test_open(self) -> None:
        """
        One that can be is given, the same each time.
        """
        letter = self.settlement.open(self.name)
        assert letter is not None
        self.assertEqual(letter[:2], ["a@example.com", "b@x.example"])
        self.assertIs(self.settlement.open(self.name), letter)

    def test_nameIn(self) -> None:
        """
        The name is the last part of a path, whatever that is given as.
        """
        for path, name in (
            ("7", "7"),
            (os.path.join("queue", "7"), "7"),
            (Path("queue", "7"), "7"),
            (b"queue/7", b"7"),
        ):
            self.assertEqual(nameIn(path), name)

    def test_P6_unwritten(self) -> None:
        """
        A settlement that cannot be written is logged, and nothing else.
        """
        for method, do in (
            ("done", lambda: self.settlement.delivered(self.name)),
            (
                "setWaiting",
                lambda: self.settlement.retried(
                    self.name, self.queue.letter(self.name), RETRY, 60.0
                ),
            ),
        ):
            self.patch(self.queue, method, lambda *a: fail(QueueFull("no room")))
            do()
            self.assertEqual(len(self.flushLoggedErrors(QueueFull)), 1, method)
