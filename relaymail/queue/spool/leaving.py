# -*- test-case-name: relaymail.test.queue.spool.test_spool -*-
"""
Names that are on their way out of a spool, until that is written.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaymail.queue.spool.changes import Change

#: How long to wait before what could not be written is tried again, in seconds.
TRY_AGAIN = 60.0


class Leaving:
    """
    The names that are gone, whether that is written or not: none of them is
    mail any more as long as this process lives.

    @ivar names: Those for which it is not written yet.
    """

    log = Logger()

    def __init__(
        self,
        submit: Callable[[Change], Deferred[None]],
        later: Callable[[float, Callable[[], None]], IDelayedCall],
    ) -> None:
        """
        @param submit: Has a change made.
        @param later: Has something called in so many seconds.
        """
        self.names: set[str] = set()
        self._submit = submit
        self._later = later
        self._stuck: dict[str, Change] = {}
        self._call: IDelayedCall | None = None
        self._isStopped = False

    def submit(
        self, name: str, change: Change, mayStay: bool = False
    ) -> Deferred[None]:
        """
        Have a name taken out.

        @param mayStay: Whether it stays mail where that fails; else it is tried
            again until it does not.

        @return: Fires when it would survive a power cut, or fails as it did.
        """
        self.names.add(name)
        written = self._submit(change)
        written.addCallbacks(
            self._gone,
            self._failed,
            callbackArgs=(name,),
            errbackArgs=(name, change, mayStay),
        )
        return written

    def stop(self) -> None:
        """
        Try what is left once more, and then nothing.
        """
        self._isStopped = True
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._tryAgain()

    def _gone(self, _: None, name: str) -> None:
        self.names.discard(name)

    def _failed(
        self, failure: Failure, name: str, change: Change, mayStay: bool
    ) -> Failure:
        if mayStay:
            self.names.discard(name)
            return failure
        self.log.failure(
            "Cannot take {name} out of the spool; it is not sent again, and that is "
            "tried again in {seconds} s",
            failure,
            name=name,
            seconds=TRY_AGAIN,
        )
        self._stuck[name] = change
        if not self._isStopped and (self._call is None or not self._call.active()):
            self._call = self._later(TRY_AGAIN, self._tryAgain)
        return failure

    def _tryAgain(self) -> None:
        stuck, self._stuck = self._stuck, {}
        for name, change in stuck.items():
            self.submit(name, change).addErrback(lambda _: None)
