# -*- test-case-name: relaymail.test.testing.test_cases -*-
"""
Tests for L{relaymail.testing.cases}.
"""

from __future__ import annotations

from unittest import TestResult

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import QueueFull
from relaymail.testing.cases import WorldTestCase
from relaymail.testing.crashes import Crash

log = Logger()


def someTests() -> type[WorldTestCase]:
    """
    Give tests that are not run by themselves.
    """

    class SomeTests(WorldTestCase):
        def test_asked(self) -> None:
            try:
                raise QueueFull("as was asked")
            except QueueFull:
                log.failure("no room")

        def test_crash(self) -> None:
            left: Deferred[None] = Deferred()
            left.addCallback(lambda _: self._crash())
            left.callback(None)

        def _crash(self) -> None:
            raise Crash("here")

        def test_mistake(self) -> None:
            try:
                _ = 1 // 0
            except ZeroDivisionError:
                log.failure("a mistake")

    return SomeTests


class WorldTestCaseTests(SynchronousTestCase):
    """
    Tests for L{WorldTestCase}.
    """

    def run_(self, name: str) -> bool:
        """
        Run a test.

        @return: Whether it went well.
        """
        result = TestResult()
        someTests()(name).run(result)  # type: ignore[arg-type]
        self.assertEqual(result.testsRun, 1)
        return result.wasSuccessful()

    def test_asked(self) -> None:
        """
        What was asked for is no error.
        """
        self.assertTrue(self.run_("test_asked"))
        self.assertTrue(self.run_("test_crash"))
        self.flushLoggedErrors()

    def test_mistake(self) -> None:
        """
        What was not is one.
        """
        self.assertFalse(self.run_("test_mistake"))
        self.flushLoggedErrors(ZeroDivisionError)
