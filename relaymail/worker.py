# -*- test-case-name: relaymail.test.test_service -*-
"""
The thread that writes the queue.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

_T = TypeVar("_T")


class _DaemonThread(threading.Thread):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs, daemon=True)


class Worker:
    """
    One thread that writes the queue, so that the reactor never waits for the
    disk, and two writes never happen at a time.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(1, 1, name="relaymail-queue")
        # A disk that hangs must not keep the process from ending.
        self._pool.threadFactory = _DaemonThread
        self._pool.start()

    def run(self, function: Callable[[], _T]) -> Deferred[_T]:
        """
        Run a function in the thread.
        """
        d: Deferred[_T] = deferToThreadPool(self._reactor, self._pool, function)
        return d

    def stop(self) -> None:
        """
        End the thread, which must have nothing left to do.
        """
        self._pool.stop()
