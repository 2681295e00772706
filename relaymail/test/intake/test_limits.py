# -*- test-case-name: relaymail.test.intake.test_limits -*-
"""
Tests for L{relaymail.intake.limits}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.server import Offer
from relaymail.intake.limits import DEFAULT_LIMITS, Limits


class LimitsTests(SynchronousTestCase):
    """
    The bounds keep what the standard asks for.
    """

    def test_minimums(self) -> None:
        """
        No default is under a minimum of RFC 5321 4.5.3.
        """
        limits = DEFAULT_LIMITS
        self.assertGreaterEqual(limits.commandLine, 512)
        self.assertGreaterEqual(limits.textLine, 1000)
        self.assertGreaterEqual(limits.messageSize, 65536)
        self.assertGreaterEqual(limits.recipients, 100)
        self.assertGreaterEqual(limits.hops, 100)
        self.assertGreaterEqual(limits.commandSeconds, 300)

    def test_offer(self) -> None:
        """
        What the dialogue is told is what the bounds say.
        """
        limits = Limits(messageSize=1, recipients=2, errors=3, idleCommands=4)
        self.assertEqual(
            limits.offer("h", tls=True),
            Offer("h", 1, 2, 3, 4, True, holdSeconds=604_800, deliverBySeconds=0),
        )
