# -*- test-case-name: relaymail.test.test_identities -*-
"""
Tests for L{relaymail.identities}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail import identities
from relaymail.identities import Challenge
from relaymail.route.hosts import Bearer


class IdentitiesTests(SynchronousTestCase):
    """
    Who somebody is.
    """

    def test_exports(self) -> None:
        """
        What is announced is there.
        """
        for name in identities.__all__:
            self.assertTrue(getattr(identities, name).__doc__, name)

    def test_challenge(self) -> None:
        """
        A challenge is a value.
        """
        self.assertEqual(Challenge(b"x"), Challenge(b"x"))

    def test_bearer(self) -> None:
        """
        Who has tokens of one account is one, wherever they come from; nothing of
        the source is shown.
        """
        one, two = Bearer("u", "a", object()), Bearer("u", "a", object())  # type: ignore[arg-type]
        self.assertEqual((one, hash(one)), (two, hash(two)))
        self.assertNotEqual(one, Bearer("u", "b", one.tokens))
        self.assertNotIn("object", repr(one))
