# -*- test-case-name: relaymail.test.deliver.test_times -*-
"""
Tests for L{relaymail.deliver.times}.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from relaymail.deliver.times import beganAt, inTime, isOver
from relaymail.envelopes import NO_PARAMETERS, DeliverBy, Parameters

HELD = Parameters(holdUntil=500.0)
RETURNED = Parameters(deliverBy=DeliverBy(1000.0, returns=True))
TOLD = Parameters(deliverBy=DeliverBy(1000.0))


class TimesTests(SynchronousTestCase):
    """
    How long a message is tried.
    """

    def test_beganAt(self) -> None:
        """
        The time of what was held back begins when that ends (RFC 4865 4).
        """
        self.assertEqual(beganAt(100.0, NO_PARAMETERS), 100.0)
        self.assertEqual(beganAt(100.0, Parameters()), 100.0)
        self.assertEqual(beganAt(100.0, HELD), 500.0)
        self.assertEqual(beganAt(600.0, HELD), 600.0)

    def test_isOver(self) -> None:
        """
        It is over at the expiry, counted from then.
        """
        for parameters, over in ((NO_PARAMETERS, 110), (TOLD, 110), (HELD, 510)):
            self.assertFalse(isOver(100, parameters, 10, over - 1))
            self.assertTrue(isOver(100, parameters, 10, over))

    def test_isOverByTheSender(self) -> None:
        """
        Or when its sender said, if it is then to be returned (RFC 2852 4.1.4).
        """
        self.assertFalse(isOver(100, RETURNED, 5000, 999))
        self.assertTrue(isOver(100, RETURNED, 5000, 1000))
        self.assertFalse(isOver(100, TOLD, 5000, 1000))
        both = replace(RETURNED, holdUntil=2000.0)
        self.assertTrue(isOver(100, both, 5000, 1000))

    def test_inTime(self) -> None:
        """
        What is to be delivered by a time is looked at then; after that it is
        returned, or goes on as any other.
        """
        self.assertEqual(inTime(1500, HELD, 600), 1500)
        for parameters in (RETURNED, TOLD):
            self.assertEqual(inTime(800, parameters, 600), 800)
            self.assertEqual(inTime(1500, parameters, 600), 1000)
        self.assertIsNone(inTime(1500, RETURNED, 1000))
        self.assertEqual(inTime(1500, TOLD, 1000), 1500)
