# -*- test-case-name: relaymail.test.route.sts.test_book -*-
"""
The policies of MTA-STS that are known, in memory and on the disk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from twisted.internet.defer import (
    CancelledError,
    Deferred,
    TimeoutError,
    gatherResults,
    maybeDeferred,
    succeed,
)
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaymail.errors import RouteError
from relaymail.replies import Phase, Trouble, TroubleKind, printable
from relaymail.route.sts.ages import refreshAfter, refreshAgainAfter
from relaymail.route.sts.cache import MAX_POLICIES, Cache, endOf
from relaymail.route.sts.storing import Damaged, Kept, PolicyStore

#: How many files are read at a time: who writes the queue meanwhile waits for them.
CHUNK = 100
#: How long mail waits for what is kept on the disk to be read, in seconds, before it
#: is left for later: the disk may have much else to do after a start.
READ_PATIENCE = 40.0
#: What an alarm about the directory is known by.
ALARM = "mta-sts"

#: Runs a function that may take its time, and gives a Deferred for its result.
Run = Callable[[Callable[[], Any]], Deferred[Any]]
#: Is told what is the matter with something, by its key; L{None}: nothing any more.
Tell = Callable[[str, str | None], None]


class Book:
    """
    What is known of the policies of domains, and kept.

    @ivar store: Where they are kept.
    @ivar chance: Gives a number from 0 up to, but not including, 1.
    """

    log = Logger()

    def __init__(
        self,
        clock: Any,
        store: PolicyStore,
        run: Run,
        tell: Tell,
        chance: Callable[[], float],
    ) -> None:
        """
        @param clock: Tells the time.
        @param store: See C{store}.
        @param run: Runs what reads and writes files, in a thread.
        @param tell: Is told when policies cannot be kept.
        @param chance: See C{chance}.
        """
        self.store = store
        self.chance = chance
        self._clock, self._run, self._tell = clock, run, tell
        self._cache = Cache()
        self._writing: set[Deferred[Any]] = set()
        self._loading: Deferred[None] | None = None
        self._unread: list[Deferred[None]] = []

    def __len__(self) -> int:
        return len(self._cache)

    def now(self) -> float:
        """
        Tell the time, in seconds of the epoch.
        """
        return float(self._clock.seconds())

    # What is known.

    def get(self, domain: str) -> Kept | None:
        """
        Give what is known of a domain, where that still holds.
        """
        return self._cache.get(domain, self.now())

    def use(self, domain: str) -> Kept | None:
        """
        Do as L{get}, for mail that goes there.
        """
        self._cache.use(domain, self.now())
        return self.get(domain)

    def put(self, kept: Kept) -> None:
        """
        Keep something, on the disk, too.
        """
        self._keep(kept)
        self._write(partial(self.store.save, kept))

    def due(self, limit: int) -> list[str]:
        """
        Give the domains whose policies are to be had anew, and forget those that hold
        no more.  What is given is given again some time later, unless it was had by
        then.

        @param limit: The most to give.
        """
        now = self.now()
        for name in self._cache.over(now):
            self._cache.drop(name)
            self._write(partial(self.store.forget, name))
        found = self._cache.due(now, limit)
        for kept in found:
            wait = refreshAgainAfter(endOf(kept) - now, self.chance())
            self._cache.postpone(kept.domain, now + wait)
        return [kept.domain for kept in found]

    def counts(self) -> Mapping[str, int]:
        """
        Count the policies, by their modes.
        """
        return Counter(kept.policy.mode.value for kept in self._cache)

    def _keep(self, kept: Kept) -> None:
        due = kept.fetched + refreshAfter(kept.policy.maxAge, self.chance())
        for name in self._cache.put(kept, due):
            self.log.warn(
                "There is no room for the policy of {domain}: more than {most}, or "
                "long ones, are kept; it is fetched again when mail goes there",
                domain=name,
                most=MAX_POLICIES,
            )
            self._write(partial(self.store.forget, name))

    # What is on the disk.

    def open(self) -> None:
        """
        Read what is kept on the disk.
        """
        self._loading = loading = Deferred.fromCoroutine(self._load())
        loading.addBoth(self._loaded)

    def whenRead(self, timer: Any = None) -> Deferred[None]:
        """
        Wait for what is kept on the disk: without it mail that has waited for the
        start would go unprotected.

        @param timer: An C{IReactorTime} provider; L{None}: it is waited without end.

        @return: Fires when it was read, or cannot be.  Fails with L{RouteError} when
            that takes too long, or is not to be any more.
        """
        if self._loading is None:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._unread.append(waiting)
        if timer is not None:
            waiting.addTimeout(READ_PATIENCE, timer)
        return waiting.addErrback(_unread)

    def close(self) -> Deferred[None]:
        """
        Read no more.

        @return: Fires when what is to be kept is written.
        """
        if self._loading is not None:
            self._loading.cancel()
        # These have their errors handled already.
        written: Deferred[Any] = gatherResults(list(self._writing))
        return written.addCallback(lambda _: None)

    def _write(self, function: Callable[[], None]) -> None:
        writing = maybeDeferred(self._run, function)
        self._writing.add(writing)
        writing.addCallbacks(lambda _: self._tell(ALARM, None), self._unkept)
        writing.addCallback(lambda _: self._writing.discard(writing))

    def _unkept(self, failure: Failure) -> None:
        error = failure.value
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        self._tell(
            ALARM,
            f"the policies of other domains cannot be kept in {self.store.path}: "
            f"{printable(why)}; mail is protected by them until the relay is "
            "restarted, but see to it: the directory is to belong to the user that "
            "the relay runs as and to nobody else, and to have room",
        )

    async def _load(self) -> None:
        names = await self._run(self.store.names)
        for first in range(0, len(names), CHUNK):
            chunk = names[first : first + CHUNK]
            for kept in await self._run(partial(self.store.load, chunk)):
                if isinstance(kept, Damaged):
                    self._leaveOut(kept)
                elif self.get(kept.domain) is None:
                    self._keep(self._notOfTheFuture(kept))

    def _notOfTheFuture(self, kept: Kept) -> Kept:
        """
        Mend what was written before the clock was set back: it would hold for longer
        than it may.
        """
        now = self.now()
        return replace(kept, fetched=min(kept.fetched, now), used=min(kept.used, now))

    def _leaveOut(self, damaged: Damaged) -> None:
        self.log.error(
            "A policy in {path} is left out: {why}; it is fetched again when mail goes "
            "to its domain",
            path=self.store.path,
            why=printable(str(damaged)),
        )

    def _loaded(self, result: Any) -> None:
        self._loading = None
        isEnded = isinstance(result, Failure) and result.check(CancelledError)
        if isinstance(result, Failure) and not isEnded:
            self._unkept(result)
        unread, self._unread = self._unread, []
        for waiting in unread:
            if waiting.called:
                continue
            if isEnded:
                waiting.cancel()
            else:
                waiting.callback(None)


def _unread(failure: Failure) -> None:
    failure.trap(TimeoutError, CancelledError)
    told = "the policies (MTA-STS) that are kept on the disk are not read yet"
    raise RouteError(Trouble(Phase.RESOLVE, TroubleKind.LOCAL, told))
