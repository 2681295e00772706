# -*- test-case-name: relaymail.test.test_worker -*-
"""
The thread that writes the queue.

Twisted's pool of threads asks a lock and a coordinator for each job, while the
reactor's thread waits for Python's own lock.  For a single thread a queue will do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

_T = TypeVar("_T")

_Job = tuple[Callable[[], Any], "Deferred[Any]"]


class Worker:
    """
    One thread that writes the queue, so that the reactor never waits for the
    disk, and two writes never happen at a time.
    """

    def __init__(self, reactor: Any) -> None:
        """
        @param reactor: Where it is told what became of a function.
        """
        self._reactor = reactor
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._isStopped = False
        # A disk that hangs must not keep the process from ending.
        self._thread = threading.Thread(
            target=self._work, name="relaymail-queue", daemon=True
        )
        self._thread.start()

    def run(self, function: Callable[[], _T]) -> Deferred[_T]:
        """
        Run a function in the thread.

        @return: Fires in the reactor's thread with what it returned, or fails
            with what it raised.

        @raise RuntimeError: When the thread was ended.
        """
        if self._isStopped:
            raise RuntimeError("the thread was ended; the function is not run")
        done: Deferred[_T] = Deferred()
        self._jobs.put((function, done))
        return done

    def stop(self) -> None:
        """
        End the thread, which must have nothing left to do.
        """
        self._isStopped = True
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        while self._workOnce():
            pass

    def _workOnce(self) -> bool:
        # What a job holds is let go when this returns, not with the next job.
        job = self._jobs.get()
        if job is None:
            return False
        function, done = job
        result: Any
        try:
            result = function()
        except BaseException:
            result = Failure()
        self._reactor.callFromThread(done.callback, result)
        return True
