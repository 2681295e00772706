# -*- test-case-name: relaymail.test.queue.spool.test_leaving -*-
"""
Names that are on their way out of a spool, until that is written.

What could not be written for want of room is often written a second later, and
where something else has been written there may be room already.  So it is tried
again soon, then seldom, and soon again whenever a write succeeds.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaymail.queue.spool.changes import Change
from relaymail.queue.spool.schema import QueueDamaged

#: How long to wait before what could not be written is tried again, in seconds:
#: at first, and twice as long each time that it fails again, up to the longest.
SOONEST = 1.0
LONGEST = 60.0
#: How many names are tried again in one transaction: on a disk that is nearly full
#: there is room for a small one first, and it makes room for the next.
PORTION = 200


class Leaving:
    """
    The names that are gone, whether that is written or not: none of them is
    mail any more as long as this process lives.

    @ivar names: Those for which it is not written yet.
    """

    log = Logger()

    def __init__(
        self, submit: Callable[[Change], Deferred[None]], clock: IReactorTime
    ) -> None:
        """
        @param submit: Has a change made.
        @param clock: Tells when it is tried again.
        """
        self.names: set[str] = set()
        self._submit = submit
        self._clock = clock
        self._stuck: dict[str, Change] = {}
        self._call: IDelayedCall | None = None
        self._delay = SOONEST
        # When something was tried again last.
        self._tried = clock.seconds() - SOONEST
        # Whether it was said that this try failed.
        self._isTold = False
        self._isStopped = False

    @property
    def isStuck(self) -> bool:
        """
        Whether there is anything to be tried again.
        """
        return self._call is not None

    def submit(
        self, name: str, change: Change, mayStay: bool = False
    ) -> Deferred[None]:
        """
        Have a name taken out.

        @param mayStay: Whether it stays mail where that fails; else it is tried
            again until it does not, but where the spool is damaged: then it is
            only remembered that it is gone.

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

    def wrote(self) -> None:
        """
        Be told that something else has been written: what is stuck is tried
        again at once, but not so often that a disk on which only that cannot be
        written is kept busy.
        """
        since = self._clock.seconds() - self._tried
        self._hasten(min(max(SOONEST - since, 0.0), SOONEST))

    def stop(self) -> None:
        """
        Try what is left once more, and then nothing.
        """
        self._isStopped = True
        if self._call is not None:
            self._call.cancel()
            self._call = None
        for name, change in self._stuck.items():
            self.submit(name, change).addErrback(lambda _: None)
        self._stuck = {}

    def _gone(self, _: None, name: str) -> None:
        self.names.discard(name)

    def _failed(
        self, failure: Failure, name: str, change: Change, mayStay: bool
    ) -> Failure:
        if mayStay:
            self.names.discard(name)
            return failure
        self.log.failure(
            "Cannot take {name} out of the spool; it is not sent again",
            failure,
            name=name,
        )
        self._keep(failure, name, change)
        return failure

    def _keep(self, failure: Failure, name: str, change: Change) -> None:
        """
        Have a change tried again.
        """
        if failure.check(QueueDamaged) or self._isStopped:
            return
        self._stuck[name] = change
        self._callLater()

    def _callLater(self) -> None:
        if self._call is None:
            self._call = self._clock.callLater(self._delay, self._tryAgain)

    def _hasten(self, seconds: float) -> None:
        self._delay = SOONEST
        if self._call is not None:
            soon = self._clock.seconds() + seconds
            if soon < self._call.getTime():
                self._call.reset(seconds)

    def _tryAgain(self) -> None:
        """
        Try some of what is stuck, the longest first.
        """
        self._call = None
        self._isTold = False
        self._tried = self._clock.seconds()
        self._delay = min(2 * self._delay, LONGEST)
        names = list(islice(self._stuck, PORTION))
        portion = [(name, self._stuck.pop(name)) for name in names]
        if self._stuck:
            self._callLater()
        for name, change in portion:
            self._submit(change).addCallbacks(
                self._goneAfterAll,
                self._failedAgain,
                callbackArgs=(name,),
                errbackArgs=(name, change),
            )

    def _goneAfterAll(self, _: None, name: str) -> None:
        self._gone(None, name)
        # That made room for the others.
        self._hasten(0.0)

    def _failedAgain(self, failure: Failure, name: str, change: Change) -> None:
        if not self._isTold:
            self._isTold = True
            self.log.warn(
                "{names} names that are gone cannot be taken out of the spool yet, "
                "which is tried again in {seconds} s: {why}",
                names=len(self.names),
                seconds=self._delay,
                why=failure.getErrorMessage(),
            )
        self._keep(failure, name, change)
