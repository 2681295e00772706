"""
Tests for L{relaymail.route.memory}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.route import memory
from relaymail.route.hosts import Host
from relaymail.route.memory import (
    BAD_TIME,
    MAX_HOSTS,
    SLOW_TIME,
    TURNING,
    AddressMemory,
    NamedHosts,
)

A, B, C = Host("a"), Host("b"), Host("c")


class NamedHostsTests(SynchronousTestCase):
    """
    Hosts that did not work come after the others, for a while.
    """

    def setUp(self) -> None:
        """
        Begin without knowing anything.
        """
        self.named = NamedHosts()

    def test_orderIsTheOperators(self) -> None:
        """
        Nothing known, the order is the one given.
        """
        self.assertEqual(self.named.inOrder([C, A, B], 0.0), [C, A, B])

    def test_badOnesComeLast(self) -> None:
        """
        The bad ones keep their order among themselves.
        """
        self.named.markBad(A, 0.0)
        self.named.markBad(B, 0.0)
        self.assertEqual(self.named.inOrder([A, B, C], 1.0), [C, A, B])

    def test_badnessPasses(self) -> None:
        """
        After a while, or one success, a host is as good as any.
        """
        self.named.markBad(A, 0.0)
        self.assertEqual(self.named.inOrder([A, B], BAD_TIME - 1), [B, A])
        self.assertEqual(self.named.inOrder([A, B], BAD_TIME), [A, B])
        self.named.markBad(A, 100.0)
        self.named.markGood(A)
        self.assertEqual(self.named.inOrder([A, B], 101.0), [A, B])

    def test_bounded(self) -> None:
        """
        Hosts whose time is over are forgotten before there are too many.
        """
        for number in range(MAX_HOSTS):
            self.named.markBad(Host(f"h{number}"), 0.0)
        self.named.markBad(A, BAD_TIME)
        self.assertEqual(len(self.named._badUntil), 1)
        self.assertEqual(self.named.inOrder([A, B], BAD_TIME), [B, A])


class AddressMemoryTests(SynchronousTestCase):
    """
    Addresses that did not connect come after the others of their host, for a while.
    """

    def setUp(self) -> None:
        """
        Begin without knowing anything.
        """
        self.memory = AddressMemory()

    def test_nothingKnown(self) -> None:
        """
        IPv4 begins, and the families take turns.
        """
        found = self.memory.inOrder(["192.0.2.1", "192.0.2.2", "2001:db8::1"], 0.0)
        self.assertEqual(found, ["192.0.2.1", "2001:db8::1", "192.0.2.2"])

    def test_D02_failedOnesComeLast(self) -> None:
        """
        What failed comes last until its time is over, or it connects.
        """
        both = ["192.0.2.1", "2001:db8::1"]
        self.memory.noteFailed("192.0.2.1", 0.0)
        self.assertEqual(self.memory.inOrder(both, SLOW_TIME - 1), both[::-1])
        self.assertEqual(self.memory.inOrder(both, SLOW_TIME), both)
        self.memory.noteReached("192.0.2.1", [], 1.0)
        self.assertEqual(self.memory.inOrder(both, 1.0), both)

    def test_D02_allFailed(self) -> None:
        """
        Where all failed all are tried, in their order.
        """
        both = ["192.0.2.1", "2001:db8::1"]
        for address in both:
            self.memory.noteFailed(address, 0.0)
        self.assertEqual(self.memory.inOrder(both, 1.0), both)

    def test_D02_overtakenOnesComeLast(self) -> None:
        """
        So does what was too slow.
        """
        both = ["192.0.2.1", "2001:db8::1"]
        self.memory.noteReached("2001:db8::1", ["192.0.2.1"], 0.0)
        self.assertEqual(self.memory.inOrder(both, 1.0), both[::-1])

    def test_familyTurns(self) -> None:
        """
        When several hosts in a row were had by IPv6 only it begins, for a while.
        """
        other = ["192.0.2.99", "2001:db8::99"]
        for number in range(TURNING):
            self.assertEqual(self.memory.inOrder(other, 0.0), other)
            slow = [f"192.0.2.{number}"]
            self.memory.noteReached(f"2001:db8::{number}", slow, 0.0)
        self.assertEqual(self.memory.inOrder(other, SLOW_TIME - 1), other[::-1])
        self.assertEqual(self.memory.inOrder(other, SLOW_TIME), other)

    def test_familyTurnsBack(self) -> None:
        """
        So it does the other way.
        """
        other = ["192.0.2.99", "2001:db8::99"]
        for number in range(TURNING):
            slow = [f"192.0.2.{number}"]
            self.memory.noteReached(f"2001:db8::{number}", slow, 0.0)
        for number in range(TURNING):
            self.assertEqual(self.memory.inOrder(other, 1.0), other[::-1])
            slow = [f"2001:db8::{number}"]
            self.memory.noteReached(f"192.0.2.{number}", slow, 1.0)
        self.assertEqual(self.memory.inOrder(other, 1.0), other)

    def test_familyThatWorksStays(self) -> None:
        """
        One host that is had by the first family is enough for it to stay, and what
        fails within the other one says nothing of the first.
        """
        other = ["192.0.2.99", "2001:db8::99"]
        for _ in range(TURNING):
            self.memory.noteReached("2001:db8::1", ["192.0.2.1"], 0.0)
            self.memory.noteReached("192.0.2.2", [], 0.0)
            self.memory.noteReached("2001:db8::3", ["2001:db8::2"], 0.0)
        self.assertEqual(self.memory.inOrder(other, 0.0), other)

    def test_A07_bounded(self) -> None:
        """
        The first are forgotten where there are too many.
        """
        self.patch(memory, "MAX_SLOW", 3)
        for number in range(5):
            self.memory.noteFailed(f"192.0.2.{number}", 0.0)
        both = ["192.0.2.0", "192.0.2.1", "192.0.2.2", "192.0.2.9"]
        found = self.memory.inOrder(both, 1.0)
        self.assertEqual(found, ["192.0.2.0", "192.0.2.1", "192.0.2.9", "192.0.2.2"])


class BadHostTests(SynchronousTestCase):
    """
    Tests for L{NamedHosts.isBad}.
    """

    def test_isBad(self) -> None:
        """
        A host is bad until its time is over.
        """
        named = NamedHosts()
        self.assertFalse(named.isBad(A, 0.0))
        named.markBad(A, 0.0)
        self.assertTrue(named.isBad(A, BAD_TIME - 1))
        self.assertFalse(named.isBad(A, BAD_TIME))

    def test_tried(self) -> None:
        """
        One that was bad, and is tried, is so for the others until it works; any other
        is none the worse.
        """
        named = NamedHosts()
        named.noteTried(A, 0.0)
        self.assertFalse(named.isBad(A, 0.0))
        named.markBad(A, 0.0)
        named.noteTried(A, BAD_TIME)
        self.assertTrue(named.isBad(A, BAD_TIME))
        named.markGood(A)
        self.assertFalse(named.isBad(A, BAD_TIME))
