"""
Tests for L{relaymail.route.memory}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.route.hosts import Host
from relaymail.route.memory import BAD_TIME, MAX_HOSTS, NamedHosts

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
