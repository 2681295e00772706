"""
Tests for L{relaymail.queue.matching}.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaymail.inspection import Listed, NameState, Selection
from relaymail.queue.matching import matches

FOUND = Listed(
    name="7",
    message="1",
    sender="Ann.Lee+x@A.example",
    recipient="bob_1@b.example",
    destination="b.example",
    size=1000,
    arrived=100.0,
    attempts=1,
    due=300.0,
    state=NameState.RESTING,
    reply="452 Mailbox 100% full",
)


class MatchingTests(SynchronousTestCase):
    """
    What is meant.
    """

    def assertMeant(self, isMeant: bool, **parts: Any) -> None:
        """
        It is meant by what is said, or not.
        """
        self.assertIs(matches(Selection(**parts), FOUND, 200.0), isMeant, parts)

    def test_meant(self) -> None:
        """
        It is meant where all that is said is true of it.
        """
        for parts in (
            {},
            {"names": ("8", "7")},
            {"sender": "ann.lee+x@a.EXAMPLE"},
            {"sender": "<Ann.Lee+x@A.example>"},
            {"sender": "@a.example"},
            {"sender": "ann*@*.example"},
            {"sender": "**"},
            {"sender": "A*e*+*@*e"},
            {"sender": "ann.lee+x@a.example*"},
            {"recipient": "BOB_1@b.example"},
            {"domain": "B.Example."},
            {"olderThan": 100.0},
            {"youngerThan": 100.0},
            {"largerThan": 1000},
            {"smallerThan": 1000},
            {"state": NameState.RESTING},
            {"reply": "MAILBOX 100%"},
            {"sender": "@a.example", "largerThan": 1, "reply": "full"},
        ):
            self.assertMeant(True, **parts)

    def test_notMeant(self) -> None:
        """
        It is not where one thing is not.
        """
        for parts in (
            {"names": ("8",)},
            {"sender": "<>"},
            {"sender": "a.example"},
            {"sender": "ann?lee*"},
            {"sender": "ann.lee+x@a.example*a.example"},
            {"sender": "lee*"},
            {"sender": "*lee"},
            {"sender": "*ann*ann*"},
            {"sender": "*e*e*e*e*e*"},
            {"recipient": "bobx1@b.example"},
            {"domain": "example"},
            {"olderThan": 101.0},
            {"youngerThan": 99.0},
            {"largerThan": 1001},
            {"smallerThan": 999},
            {"state": NameState.WAITING},
            {"reply": "mail*full"},
            {"sender": "@a.example", "largerThan": 1, "reply": "empty"},
        ):
            self.assertMeant(False, **parts)

    def test_A05_manyParts(self) -> None:
        """
        However many parts there are to look for, it takes no time.
        """
        found = replace(FOUND, sender=f"{'a' * 60}@b.example")
        for wanted, isMeant in (("*a" * 30 + "b*", False), ("*a" * 60 + "*", True)):
            selection = Selection(sender=wanted)
            self.assertIs(matches(selection, found, 200.0), isMeant)
