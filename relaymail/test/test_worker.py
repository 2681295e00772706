"""
Tests for L{relaymail.worker}, with its thread.
"""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaymail.worker import Worker

#: How long the thread is waited for before the test fails, in seconds.
PATIENCE = 10.0


class Told:
    """
    A reactor that is told things by a thread, and does them when asked to.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Callable[..., Any], Any]] = SimpleQueue()

    def callFromThread(self, function: Callable[..., Any], *on: Any) -> None:
        """
        Note it.
        """
        self._calls.put((function, on))

    def turn(self) -> None:
        """
        Do the next.
        """
        function, on = self._calls.get(timeout=PATIENCE)
        function(*on)


class WorkerTests(SynchronousTestCase):
    """
    Functions are run in another thread, one after the other.
    """

    def setUp(self) -> None:
        """
        Begin the thread.
        """
        self.reactor = Told()
        self.worker = Worker(self.reactor)
        self.addCleanup(self.worker.stop)

    def test_result(self) -> None:
        """
        What a function returns is told in the reactor's thread; it is run in
        one that does not keep the process.
        """
        d = self.worker.run(threading.current_thread)
        self.assertNoResult(d)
        self.reactor.turn()
        thread = self.successResultOf(d)
        self.assertIsNot(thread, threading.current_thread())
        self.assertTrue(thread.daemon)

    def test_inOrder(self) -> None:
        """
        Functions are run in the order in which they were given.
        """
        done: list[int] = []
        for number in range(5):
            self.worker.run(partial(done.append, number))
        for _ in range(5):
            self.reactor.turn()
        self.assertEqual(done, [0, 1, 2, 3, 4])

    def test_failure(self) -> None:
        """
        What a function raises is told, whatever it is, and the next one is run.
        """
        for error in (OSError, SystemExit):

            def fail(error: type[BaseException] = error) -> None:
                raise error("no")

            failed, fine = self.worker.run(fail), self.worker.run(lambda: 1)
            self.reactor.turn()
            self.reactor.turn()
            self.failureResultOf(failed, error)
            self.assertEqual(self.successResultOf(fine), 1)

    def test_letsGo(self) -> None:
        """
        Nothing is held of a function that was run.
        """

        class Content:
            def __call__(self) -> None:
                pass

        content = Content()
        seen = weakref.ref(content)
        self.worker.run(content)
        del content
        self.reactor.turn()
        # It may be on its way to wait for the next one still.
        self.worker.run(lambda: None)
        self.reactor.turn()
        gc.collect()
        self.assertIsNone(seen())

    def test_stopped(self) -> None:
        """
        Once it is ended there is no thread, and a function is refused.
        """
        worker = Worker(self.reactor)
        d = worker.run(threading.current_thread)
        worker.stop()
        self.reactor.turn()
        self.assertFalse(self.successResultOf(d).is_alive())
        self.assertRaises(RuntimeError, worker.run, lambda: None)
