# -*- test-case-name: relaymail.test.test_errors -*-
"""
Tests for L{relaymail.errors}.
"""

from __future__ import annotations

import inspect

from twisted.trial.unittest import SynchronousTestCase

from relaymail import errors
from relaymail.replies import Phase, Reply, Trouble, TroubleKind


class ErrorTests(SynchronousTestCase):
    """
    What relaymail raises.
    """

    def test_oneBase(self) -> None:
        """
        Every error can be caught as relaymail's.
        """
        for name, error in inspect.getmembers(errors, inspect.isclass):
            if issubclass(error, Exception):
                self.assertTrue(issubclass(error, errors.RelayMailError), name)
                self.assertTrue(error.__doc__, name)

    def test_badInputIsAValueError(self) -> None:
        """
        What is wrong with a value is a C{ValueError} for apps.
        """
        for error in (
            errors.MalformedAddress,
            errors.MalformedMessage,
            errors.ConfigurationError,
        ):
            self.assertTrue(issubclass(error, ValueError))

    def test_routeErrorCarriesItsTrouble(self) -> None:
        """
        The message is the trouble's, and the trouble is there to be judged.
        """
        trouble = Trouble(Phase.RESOLVE, TroubleKind.NULL_MX)
        error = errors.RouteError(trouble)
        self.assertIs(error.trouble, trouble)
        self.assertEqual(str(error), trouble.text)

    def test_refusedCarriesItsReply(self) -> None:
        """
        The message is the reply's.
        """
        reply = Reply(550, (b"5.7.1 no relay",))
        error = errors.Refused(reply)
        self.assertIs(error.reply, reply)
        self.assertEqual(str(error), "550 5.7.1 no relay")
