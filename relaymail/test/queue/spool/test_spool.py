"""
Tests for L{relaymail.queue.spool.spool}.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from relaymail.queue.spool.spool import Spool
from relaymail.test.queue.contract import QueueContract


class SpoolContractTests(QueueContract, SynchronousTestCase):
    """
    L{Spool} is a queue.
    """

    def makeQueue(self) -> Any:
        """
        Make it.
        """
        os.mkdir(directory := self.mktemp(), 0o700)
        spool = Spool(directory + "/queue", self.clock)
        spool.lock()
        self.addCleanup(spool.stop)
        return spool

    def settle(self, result: Deferred[Any] | None) -> Any:
        """
        It is written at once.
        """
        return None if result is None else self.successResultOf(result)
