# -*- test-case-name: relaymail.test.testing.test_cases -*-
"""
A trial test case for tests in which things break as they are told to.
"""

from __future__ import annotations

import gc
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import QueueError
from relaymail.testing.crashes import Crash


class WorldTestCase(SynchronousTestCase):
    """
    A test in which machines go down and disks fail: what is logged because of
    that does not fail the test, any other error that is logged does.
    """

    def run(self, result: Any = None) -> Any:
        """
        Run the test.
        """
        # What was there before is not looked through again after each test.
        gc.freeze()
        try:
            return super().run(result)
        finally:
            gc.unfreeze()

    def tearDown(self) -> None:
        """
        Let go what the faults that were asked for have left in the log.
        """
        # A Deferred that a crash was left in says so when it is collected.
        gc.collect()
        self.flushLoggedErrors(Crash, QueueError, OSError)
