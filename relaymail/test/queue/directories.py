"""
What the tests of the directory queue have in common.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed

from relaymail.outcomes import Bounce
from relaymail.queue.directory import Queue
from relaymail.replies import Phase, Reply
from relaymail.test.queue.contract import QueueContract
from relaymail.test.queue.disks import CountingDisk
from relaymail.testing.crashes import Crash, CrashPoints
from relaymail.testing.disk import MemoryDisk

BOUNCE = Bounce("5.1.1", Phase.RCPT, Reply(550, (b"5.1.1 nobody",)))


T = TypeVar("T")


def runNow(function: Callable[[], T]) -> Deferred[T]:
    """
    What runs a batch in these tests: no thread.  When the machine is down
    there is nobody to answer.
    """
    try:
        return succeed(function())
    except Crash:
        return Deferred()


class DirectoryContract(QueueContract):
    """
    What the directory's tests have in common, on the real file system.
    """

    directory: str
    disk: Any
    run_: Any = None

    def makeQueue(self) -> Queue:
        """
        Make it in a directory of its own.
        """
        self.directory = os.path.abspath(self.mktemp())
        os.mkdir(self.directory, 0o755)
        self.disk = CountingDisk()
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


class MemoryDirectoryContract(DirectoryContract):
    """
    The same on a disk in memory.

    @ivar steps: What changed something on the disk: the operation and its
        path.
    """

    disk: MemoryDisk
    chance: random.Random | None = None

    def makeQueue(self) -> Queue:
        """
        Make it on a disk of its own.
        """
        self.directory = "/spool"
        self.points = CrashPoints()
        self.disk = MemoryDisk(self.clock.seconds, self.points, self.chance)
        self.disk.makeDirectory(self.directory)
        self.steps: list[tuple[str, str]] = []
        self.disk.onOperation = lambda step, path: self.steps.append((step, path))
        return self.reopen()

    def die(self) -> None:
        """
        Let the process or its machine die.
        """
        self.disk.kill()

    def restart(self) -> Queue:
        """
        Crash, unless that has happened, and begin again.
        """
        if not self.disk.isDown:
            self.die()
        self.disk.heal()
        self.points.heal()
        self.queue = queue = self.reopen()
        queue.lock()
        return queue

    def files(self) -> list[str]:
        """
        List the directory.
        """
        return sorted(self.disk.names(self.directory))
