# -*- test-case-name: relaymail.test.deliver.test_connections -*-
"""
Tests for L{relaymail.deliver.connections}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaymail.deliver.connections import KeptConnections


class Relayer:
    """
    What is told to resume or to leave.
    """

    def __init__(self) -> None:
        self.told: list[Any] = []

    def resume(self, paths: Any) -> None:
        """
        Go on.
        """
        self.told.append(list(paths))

    def leave(self) -> None:
        """
        Go.
        """
        self.told.append("leave")


class Attempt:
    """
    What has more messages.
    """

    def moreMessages(self, relay: Any) -> list[str]:
        """
        Give one, named as the factory.
        """
        return [f"for {relay}"]


class KeptTests(SynchronousTestCase):
    """
    Tests for L{KeptConnections}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.kept = KeptConnections()
        self.relayers = {name: Relayer() for name in ("one", "two")}
        for name, relayer in self.relayers.items():
            self.kept.keep(Attempt(), name, relayer, self.clock, 10)
            self.clock.advance(1)

    def test_leaveAfterTheWait(self) -> None:
        """
        Each leaves when its own wait is over.
        """
        self.clock.advance(8)
        self.assertEqual(self.relayers["one"].told, ["leave"])
        self.assertEqual((len(self.kept), self.relayers["two"].told), (1, []))
        self.clock.advance(1)
        self.assertEqual((len(self.kept), self.relayers["two"].told), (0, ["leave"]))

    def test_resume(self) -> None:
        """
        One that resumes gets what its attempt has, waits no longer, and
        cannot be resumed twice.
        """
        first = next(iter(self.kept))
        self.kept.resume(first)
        self.kept.resume(first)
        self.clock.advance(100)
        self.assertEqual(self.relayers["one"].told, [["for one"]])

    def test_oldest(self) -> None:
        """
        The one that has waited longest goes first; without any, nothing
        happens.
        """
        self.kept.letOldestGo()
        self.assertEqual(self.relayers["one"].told, ["leave"])
        self.assertEqual(self.relayers["two"].told, [])
        self.kept.letOldestGo()
        self.kept.letOldestGo()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_forget(self) -> None:
        """
        One that is forgotten is told nothing; a second time, and a stranger,
        are no error.
        """
        self.assertIsNotNone(self.kept.forget("one"))
        self.assertIsNone(self.kept.forget("one"))
        self.assertIsNone(self.kept.forget("three"))
        self.kept.letGo("one")
        self.clock.advance(100)
        self.assertEqual(self.relayers["one"].told, [])

    def test_iterationBearsChanges(self) -> None:
        """
        Connections may go while they are looked at.
        """
        for each in self.kept:
            self.kept.letGo(each.relay)
        self.assertEqual(len(self.kept), 0)
