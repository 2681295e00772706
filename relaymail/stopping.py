# -*- test-case-name: relaymail.test.test_service -*-
"""
How a relay stops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

if TYPE_CHECKING:
    from relaymail.intake.server import IntakeFactory
    from relaymail.oauth2.accounts import Accounts
    from relaymail.siren import Siren

#: How long each of the two steps of stopping that wait may take, in seconds:
#: more than the intake gives its clients, and service managers kill after 60
#: to 90.
STOP_PATIENCE = 15.0


class StopMixin:
    """
    A relay that stops: step by step, and each within a bound.
    """

    log: ClassVar[Logger]
    queue: Any
    manager: Any
    intake: IntakeFactory
    siren: Siren
    _accounts: Accounts
    _reactor: Any
    _worker: Any
    _reader: Any
    _open: bool
    _hasQueue: bool

    if TYPE_CHECKING:

        def _stopListening(self) -> Deferred[None]: ...

    def stopService(self) -> Deferred[None]:
        """
        Take no more mail, let what is under way end or put it back, write
        what is to be written, and give up the queue: all within a bound.
        """
        services: Any = super()
        stopped = services.stopService()
        return Deferred.fromCoroutine(self._stop(stopped))

    async def _stop(self, children: Any) -> None:
        if not self._open:
            return
        self._open = self._hasQueue = False
        self.siren.stop()
        await self._within("closing the ports", self._stopListening)
        await gatherResults(
            [
                self._within("ending the sessions of clients", self.intake.stop),
                self._within("ending what is being delivered", self.manager.stop),
                self._within("ending what asks for tokens", self._accounts.stop),
            ]
        )
        if await self._within("writing the queue", self.queue.stop):
            self._stopWorkers()
        else:
            # To end the threads is to wait for what hangs in them; as daemons they
            # do not keep the process.
            self._worker = self._reader = None
        # What waits for the queue is left alone where that hangs.
        ended: Deferred[Any] = Deferred()
        children.chainDeferred(ended)
        await self._within("ending what runs beside", lambda: ended)
        self.log.info("The relay has stopped")

    def _within(self, what: str, step: Callable[[], Any]) -> Deferred[bool]:
        """
        Do one step of stopping; one that fails or hangs does not keep the
        next ones from being done.

        @return: Fires with whether it was done.
        """

        def failed(failure: Failure) -> bool:
            self.log.failure(
                "While stopping, {what} failed; going on", failure, what=what
            )
            return False

        d = maybeDeferred(step).addTimeout(STOP_PATIENCE, self._reactor)
        return d.addCallbacks(lambda _: True, failed)

    def _stopWorkers(self) -> None:
        workers = self._worker, self._reader
        self._worker = self._reader = None
        for worker in workers:
            if worker is not None:
                worker.stop()
