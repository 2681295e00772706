# -*- test-case-name: relaymail.test.queue.test_durability -*-
"""
Names on their way out of a directory queue.  Their files may still be there,
and are not to be taken for mail.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaymail.outcomes import Outcome
from relaymail.queue.changes import Change, Removal
from relaymail.queue.writer import Writer

#: How long to wait before what could not be removed is tried again, in
#: seconds: a disk that is repaired by hand is not repaired sooner.
TRY_AGAIN = 60.0


class Removals:
    """
    The names whose removal was asked for and is not finished.
    """

    log = Logger()

    def __init__(
        self,
        make: Callable[[str, Outcome | None], Removal],
        writer: Writer[Change],
        later: Callable[[float, Callable[[], None]], IDelayedCall],
    ) -> None:
        """
        @param make: Makes the change that removes a name.
        @param writer: What makes changes.
        @param later: Has something called in so many seconds.
        """
        self._make = make
        self._writer = writer
        self._later = later
        self._leaving: set[str] = set()
        self._stuck: set[str] = set()
        self._hidden: set[str] = set()
        self._refused: dict[str, Change] = {}
        self._call: IDelayedCall | None = None
        self._isStopped = False

    def __contains__(self, name: str) -> bool:
        gone = name in self._leaving or name in self._stuck or name in self._hidden
        return gone or name in self._refused

    @property
    def refused(self) -> list[str]:
        """
        The names of refused mail whose files could not be taken away yet.
        """
        return list(self._refused)

    def hide(self, name: str) -> None:
        """
        Never take what is stored for a name for mail again.
        """
        self._hidden.add(name)

    def remove(self, name: str, outcome: Outcome | None = None) -> Deferred[None]:
        """
        Remove what is stored for a name.

        @return: Fires when that would survive a power cut.  When it fails and
            the name is not in here, nothing was done because a notice that is
            to take its place was not taken; else it is tried again.
        """
        change = self._make(name, outcome)
        self._leaving.add(name)
        removed = self._writer.submit(change)
        removed.addCallbacks(
            self._cbRemoved,
            self._ebRemoved,
            callbackArgs=(name,),
            errbackArgs=(name, change),
        )
        return removed

    def withdraw(self, change: Change) -> None:
        """
        Never take for mail what was refused and could not be taken away; that
        is tried again.

        @param change: The arrival that failed.
        """
        self._refused.update(dict.fromkeys(change.arrive, change))
        self._putOff()

    def stop(self) -> None:
        """
        Try nothing more: what is left is found by the next who starts.
        """
        self._isStopped = True
        if self._call is not None and self._call.active():
            self._call.cancel()

    def _putOff(self) -> None:
        if self._isStopped:
            return
        if self._call is None or not self._call.active():
            self._call = self._later(TRY_AGAIN, self._tryAgain)

    def _tryAgain(self) -> None:
        stuck, self._stuck = self._stuck, set()
        for name in stuck:
            self.remove(name).addErrback(lambda _: None)
        refused = {id(change): change for change in self._refused.values()}
        for change in refused.values():
            if change.withdrawal is not None:
                self._writer.submit(change.withdrawal).addCallbacks(
                    self._cbWithdrawn, self._ebWithdrawn, callbackArgs=(change,)
                )

    def _ebWithdrawn(self, _: Failure) -> None:
        self._putOff()

    def _cbWithdrawn(self, _: None, change: Change) -> None:
        for name in change.arrive:
            self._refused.pop(name, None)

    def _cbRemoved(self, _: None, name: str) -> None:
        self._leaving.discard(name)

    def _ebRemoved(self, failure: Failure, name: str, change: Removal) -> Failure:
        self._leaving.discard(name)
        if change.begun or not change.needsNotice:
            self._stuck.add(name)
            self._putOff()
            self.log.failure(
                "Cannot remove {name}; it is not sent again, and removing it is "
                "tried again in {seconds} s",
                failure,
                name=name,
                seconds=TRY_AGAIN,
            )
        return failure
