"""
Tests for L{relaymail.dialogue.patience}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.patience import PATIENCE, scaled
from relaymail.replies import Phase

#: RFC 5321 4.5.3.2.1 to 4.5.3.2.6, in seconds.
LEAST = {
    Phase.GREETING: 300,
    Phase.MAIL: 300,
    Phase.RCPT: 300,
    Phase.DATA: 120,
    Phase.BODY: 180,
    Phase.FINAL: 600,
}


class PatienceTests(SynchronousTestCase):
    """
    Tests for L{PATIENCE}.
    """

    def test_D30_atLeastTheStandards(self) -> None:
        """
        No phase is given less than the standard asks for.
        """
        for phase, seconds in LEAST.items():
            self.assertGreaterEqual(PATIENCE[phase], seconds, phase)

    def test_D30_everyPhaseOfASession(self) -> None:
        """
        Every phase in which something is awaited has a bound.
        """
        unbounded = set(Phase) - set(PATIENCE)
        self.assertEqual(unbounded, {Phase.RESOLVE, Phase.IDLE})

    def test_scaled(self) -> None:
        """
        Tests and near hosts are given a fraction.
        """
        self.assertEqual(scaled(0.01)[Phase.FINAL], PATIENCE[Phase.FINAL] * 0.01)
        self.assertEqual(set(scaled(2)), set(PATIENCE))
