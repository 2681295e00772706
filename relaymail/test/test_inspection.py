# -*- test-case-name: relaymail.test.test_inspection -*-
"""
Tests for what people ask of a queue.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.inspection import AGE_BOUNDS, NameState, Selection, Shape


class SelectionTests(SynchronousTestCase):
    """
    Which names are meant.
    """

    def test_empty(self) -> None:
        """
        One that says nothing means every name.
        """
        self.assertTrue(Selection().isEmpty)

    def test_notEmpty(self) -> None:
        """
        One that says anything does not, also where it says nought.
        """
        for said in (
            Selection(names=("1",)),
            Selection(domain="example.org"),
            Selection(olderThan=0.0),
            Selection(state=NameState.HELD),
        ):
            self.assertFalse(said.isEmpty, said)


class ShapeTests(SynchronousTestCase):
    """
    What is queued, by age.
    """

    def test_empty(self) -> None:
        """
        There is one group of ages more than there are bounds.
        """
        self.assertEqual(len(Shape().total.ages), len(AGE_BOUNDS) + 1)
