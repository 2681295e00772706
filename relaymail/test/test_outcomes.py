# -*- test-case-name: relaymail.test.test_outcomes -*-
"""
Tests for L{relaymail.outcomes}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.outcomes import Bounce, Delivered, Outcome, Removed, Retry
from relaymail.replies import Phase, Reply


class OutcomeTests(SynchronousTestCase):
    """
    Outcomes are a closed set of values.
    """

    def test_closed(self) -> None:
        """
        There are four.
        """
        # A slotted dataclass is made twice: names, not classes, are compared.
        self.assertEqual(
            {kind.__name__ for kind in Outcome.__subclasses__()},
            {kind.__name__ for kind in (Delivered, Retry, Bounce, Removed)},
        )

    def test_text(self) -> None:
        """
        The evidence in one line, or nothing.
        """
        reply = Reply(250, (b"2.0.0", b"ok\r\n"))
        self.assertEqual(Delivered("2.0.0", Phase.FINAL, reply).text, "250 2.0.0 ok")
        self.assertEqual(Removed("5.0.0", Phase.IDLE).text, "")

    def test_values(self) -> None:
        """
        Equal ones are one, other kinds are others, and none can be changed.
        """
        retry = Retry("4.0.0", Phase.MAIL)
        self.assertEqual(retry, Retry("4.0.0", Phase.MAIL))
        self.assertNotEqual(retry, Bounce("4.0.0", Phase.MAIL))
        self.assertNotEqual(retry, Retry("4.0.0", Phase.MAIL, ambiguous=True))
        self.assertEqual(len({retry, Retry("4.0.0", Phase.MAIL)}), 1)
        self.assertRaises(AttributeError, setattr, retry, "status", "2.0.0")
