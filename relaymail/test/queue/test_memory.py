"""
Tests for L{relaymail.queue.memory}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import UnreadableEntry
from relaymail.queue.memory import MemoryQueue
from relaymail.test.queue.contract import QueueContract
from relaymail.test.queue.inspection import InspectionContract
from relaymail.test.queue.saying import SayingContract


class MemoryQueueTests(
    InspectionContract, SayingContract, QueueContract, SynchronousTestCase
):
    """
    L{MemoryQueue} is a queue.
    """

    def makeQueue(self) -> Any:
        """
        Make it.
        """
        return MemoryQueue(self.clock)

    def settle(self, result: Deferred[Any] | None) -> Any:
        """
        It is written at once.
        """
        return None if result is None else self.successResultOf(result)

    def test_messageWithoutAnEnvelope(self) -> None:
        """
        A message whose envelope was not written is not taken.
        """
        envelope, message = self.queue.createNewMessage()
        envelope.close()
        self.failureResultOf(message.eomReceived(), UnreadableEntry)
        self.assertFalse(self.queue.hasWaiting())

    def test_contentIsAsGiven(self) -> None:
        """
        The content keeps its CRLF.
        """
        (name,) = self.add("x@b.example")
        self.assertIn(b"one\r\n\r\n", self.queue.letter(name).file.read())

    def test_asideKeepsTheReason(self) -> None:
        """
        What was set aside can be asked for.
        """
        (name,) = self.add("x@b.example")
        self.queue.setAside(name, "why not")
        self.assertEqual(self.queue.aside, {name: "why not"})
