"""
What the tests of the directory queue have in common.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed

from relaymail.outcomes import Bounce
from relaymail.queue.directory import Queue
from relaymail.replies import Phase, Reply
from relaymail.test.queue.contract import QueueContract
from relaymail.test.queue.disks import CountingDisk, PowerCut

BOUNCE = Bounce("5.1.1", Phase.RCPT, Reply(550, (b"5.1.1 nobody",)))


T = TypeVar("T")


def runNow(function: Callable[[], T]) -> Deferred[T]:
    """
    What runs a batch in these tests: no thread.  When the power is cut there
    is nobody to answer.
    """
    try:
        return succeed(function())
    except PowerCut:
        return Deferred()


class DirectoryContract(QueueContract):
    """
    What the directory's tests have in common.
    """

    run_: Any = None

    def makeDisk(self) -> CountingDisk:
        """
        Make the disk it is on.
        """
        return CountingDisk()

    def makeQueue(self) -> Queue:
        """
        Make it in a directory of its own.
        """
        self.directory = os.path.abspath(self.mktemp())
        os.mkdir(self.directory, 0o755)
        self.disk = self.makeDisk()
        return self.reopen()

    def reopen(self) -> Queue:
        """
        Open the same directory again, as the next process does.
        """
        queue = Queue(self.directory, self.clock, self.disk, self.run_)
        queue.noisy = False
        return queue

    def restart(self) -> Queue:
        """
        Crash: nothing is finished, the kernel takes the lock back.
        """
        lock = self.queue._lock
        if lock is not None:
            lock.release()
        self.queue = queue = self.reopen()
        queue.lock()
        return queue

    def files(self) -> list[str]:
        """
        List the directory.
        """
        return sorted(os.listdir(self.directory))

    def settle(self, result: Deferred[Any] | None) -> Any:
        """
        Let the turn end.
        """
        self.clock.advance(0)
        return None if result is None else self.successResultOf(result)
