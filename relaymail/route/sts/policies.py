# -*- test-case-name: relaymail.test.route.sts.test_policies -*-
"""
The policies of MTA-STS of all destinations, at hand: asked for when mail goes there,
kept, and had anew in time.

Who can keep this relay from asking, in the DNS or on the way to a web server, must not
be able to end protection: what is known holds until its time is over, whatever the
last question came to (RFC 8461 3.3, 5.1).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from twisted.internet.defer import (
    CancelledError,
    Deferred,
    DeferredSemaphore,
    gatherResults,
    maybeDeferred,
    succeed,
)
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaymail.protections import TLSResult
from relaymail.replies import printable
from relaymail.route.destinations import DestinationPolicy
from relaymail.route.sts.ages import waitAfter
from relaymail.route.sts.book import Book, Run, Tell
from relaymail.route.sts.cache import endOf
from relaymail.route.sts.lookup import Record, lookupRecord, policyDomain
from relaymail.route.sts.policy import NOTHING, Found, STSMode, STSPolicy, Unfetched
from relaymail.route.sts.storing import Kept, PolicyStore
from relaymail.route.sts.telling import foundOf, timeText

#: How long mail waits for what is asked of its domain, in seconds, where nothing is
#: known of it, and where a policy is; then it goes by what is known (RFC 8461 5.1: a
#: fetch need not keep mail waiting), and the answer is for the next.
PATIENCE, KNOWN_PATIENCE = 20.0, 5.0
#: How many domains are asked at a time; more go by what is known of them.
MAX_ASKED = 1000
#: How many policies are fetched at a time for mail that waits, and to have them anew:
#: web servers that are slow must not keep the others from either.
MAX_FETCHES, MAX_REFRESHES = 50, 10
#: How often it is looked which are to be had anew, in seconds, and how many of them
#: are begun with then at the most: in a day more than are kept.
LOOK_EVERY, MAX_BEGUN = 60.0, 30
#: How soon a policy is fetched again whose id has not changed, in seconds, where mail
#: would be refused by it.
RECHECK_AFTER = 300.0
#: How soon anything is fetched again, in seconds, though the id is another one.
SOONEST = 60.0
#: How many domains are remembered of which a policy could not be had.
MAX_NOTES = 10_000


class _For(Enum):
    """
    What a domain is asked for.
    """

    MAIL = "mail goes there"
    REFUSAL = "mail would be refused by what is known"
    REFRESH = "what is known is to be known for longer"


@dataclass(frozen=True, slots=True)
class Note:
    """
    Why there is no newer policy of a domain.

    @ivar id: The id of the policy that could not be had; empty where there was none.
    @ivar problem: What is wrong, for reports.
    @ivar why: What is known beyond that.
    @ivar failures: How often in a row it could not be had.
    @ivar since: When that was last, in seconds of the epoch.
    @ivar until: Until when it is not tried again, in seconds of the epoch.
    """

    id: str
    problem: TLSResult | None
    why: str
    failures: int = 0
    since: float = 0.0
    until: float = 0.0


class Policies:
    """
    The policies of destinations.

    @cvar fetcherFactory: Makes what fetches them, for the reactor, the resolver and
        the addresses that may be connected to; L{None} for the usual.

    @ivar resolver: Looks up records and addresses.
    @ivar destinations: Which addresses are connected to; L{None} for all.
    @ivar failures: How often one could not be had, by what was wrong.
    @ivar fetched: How often one was had.
    """

    log = Logger()
    fetcherFactory: Any = None

    def __init__(
        self,
        resolver: Any,
        reactor: Any,
        store: PolicyStore,
        run: Run = maybeDeferred,
        *,
        clock: Any = None,
        destinations: DestinationPolicy | None = None,
        tell: Tell | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """
        @param resolver: See C{resolver}.
        @param reactor: Where web servers are asked, and what waits.
        @param store: Where policies are kept.
        @param run: Runs what reads and writes files, in a thread.
        @param clock: Tells the time; L{None}: the reactor.
        @param destinations: See C{destinations}.
        @param tell: Is told when policies cannot be kept.
        @param chance: Gives a number from 0 up to, but not including, 1.
        """
        self.resolver = resolver
        self.destinations = destinations
        self.failures: Counter[TLSResult] = Counter()
        self.fetched = 0
        self._reactor = reactor
        self._book = Book(clock or reactor, store, run, tell or _nobody, chance)
        self._notes: dict[str, Note] = {}
        self._waiting: dict[str, list[Deferred[None]]] = {}
        self._asking: dict[str, Deferred[None]] = {}
        self._fetching: set[str] = set()
        self._refreshing: set[str] = set()
        self._slots = DeferredSemaphore(MAX_FETCHES)
        self._refreshSlots = DeferredSemaphore(MAX_REFRESHES)
        self._fetcher: Any = None
        self._later: Any = None
        self._isStopped = False

    def __len__(self) -> int:
        return len(self._book)

    # What is asked.

    def policyFor(self, domain: str) -> Deferred[Found]:
        """
        Give the policy of a domain that mail goes to.

        @param domain: The domain, or an address literal, which has none.

        @return: Fires within L{PATIENCE} after what is kept on the disk was read.
            Fails with L{RouteError<relaymail.errors.RouteError>} when that takes long.
        """
        return self._found(domain, _For.MAIL)

    def recheck(self, domain: str) -> Deferred[Found]:
        """
        Give the policy of a domain after having looked whether there is another one
        by now: mail is not to be refused before that (RFC 8461 5.1).

        @param domain: The domain.

        @return: As of L{policyFor}.
        """
        return self._found(domain, _For.REFUSAL)

    def known(self, domain: str) -> Found:
        """
        Give what is known of the policy of a domain, and ask nobody.

        @param domain: The domain.
        """
        name = policyDomain(domain)
        return NOTHING if name is None else self._foundNow(name)

    def kept(self, domain: str) -> Kept | None:
        """
        Give what is kept of a domain, for people.
        """
        return self._book.get(domain)

    def _found(self, domain: str, why: _For) -> Deferred[Found]:
        name = policyDomain(domain)
        if name is None:
            return succeed(NOTHING)
        d = self._book.whenRead(self._reactor)
        d.addCallback(lambda _: self._asked(name, why))
        return d.addCallback(lambda _: self._foundNow(name))

    def _foundNow(self, name: str) -> Found:
        kept, note = self._book.use(name), self._notes.get(name)
        if kept is None and name in self._fetching:
            why = f"the policy of {name} has not come within {PATIENCE:.0f} seconds"
            return Found(problem=TLSResult.STS_FETCH, why=why)
        if note is None:
            return foundOf(kept)
        return foundOf(kept, note.problem, note.why)

    # Asking a domain.

    def _asked(self, name: str, why: _For) -> Deferred[None]:
        """
        Ask a domain, unless that is being done already.

        @return: Fires when it is done, or after L{PATIENCE}.
        """
        if self._isStopped or (
            name not in self._waiting and len(self._waiting) >= MAX_ASKED
        ):
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._waiting.setdefault(name, []).append(waiting)
        if name not in self._asking:
            self._ask(name, why)
        if waiting.called:
            return waiting
        patience = PATIENCE if self._book.get(name) is None else KNOWN_PATIENCE
        return waiting.addTimeout(patience, self._reactor, _goOn)

    def _ask(self, name: str, why: _For) -> None:
        asking = Deferred.fromCoroutine(self._look(name, why))
        self._asking[name] = asking
        asking.addErrback(self._broken, name).addCallback(self._answer, name)

    def _broken(self, failure: Failure, name: str) -> None:
        if not failure.check(CancelledError):
            # There is a mistake in here; mail goes by what is known.
            self.log.failure("{name} could not be asked for its policy", failure)

    def _answer(self, result: None, name: str) -> None:
        del self._asking[name]
        self._fetching.discard(name)
        self._refreshing.discard(name)
        for waiting in self._waiting.pop(name):
            if not waiting.called:
                waiting.callback(None)

    async def _look(self, name: str, why: _For) -> None:
        record = await lookupRecord(self.resolver, name)
        kept = self._book.get(name)
        id = _idOf(record, kept, why)
        if not id:
            self._noteRecord(name, record, kept)
        elif self._isWorth(name, id, kept, why):
            await self._fetch(name, id, why)
        elif kept is not None and kept.policy.id == id:
            self._forgetOther(name, id)

    def _isWorth(self, name: str, id: str, kept: Kept | None, why: _For) -> bool:
        """
        Tell whether a policy is to be fetched now.
        """
        note, now = self._notes.get(name), self._book.now()
        if note is not None and note.until > now:
            # Another id is tried sooner (RFC 8461 3.3: five minutes for each).
            isOther = note.id != id and now - note.since >= SOONEST
            if not isOther:
                return False
        if kept is None:
            return True
        age = now - kept.fetched
        if kept.policy.id != id:
            return age >= SOONEST
        return why is not _For.MAIL and age >= RECHECK_AFTER

    def _noteRecord(self, name: str, record: Record, kept: Kept | None) -> None:
        """
        Remember why there is no id, where that is strange.
        """
        why, note = record.why, self._notes.get(name)
        if not record.isKnown and note is not None and note.id:
            # What is known of its web server is still to be thought of.
            return
        if kept is not None and not why:
            why = f"{name} has no record of a policy any more"
        if why:
            self._note(name, Note("", None, why))
        else:
            self._notes.pop(name, None)

    def _note(self, name: str, note: Note) -> None:
        self._notes.pop(name, None)
        self._notes[name] = note
        while len(self._notes) > MAX_NOTES:
            del self._notes[next(iter(self._notes))]

    def _forgetOther(self, name: str, id: str) -> None:
        """
        Forget what was wrong with another policy than the one that is meant by now.
        """
        note = self._notes.get(name)
        if note is not None and note.id != id:
            del self._notes[name]

    # Fetching.

    async def _fetch(self, name: str, id: str, why: _For) -> None:
        self._fetching.add(name)
        slots = self._refreshSlots if why is _For.REFRESH else self._slots
        began = self._book.now()
        try:
            policy = await slots.run(self._fetchNow, name, id)
        except Unfetched as e:
            self._failed(name, id, e.result, e.why)
        else:
            self._took(name, policy, began)

    def _fetchNow(self, name: str, id: str) -> Deferred[STSPolicy]:
        if self._fetcher is None:
            factory = self.fetcherFactory or _usualFetcher
            self._fetcher = factory(self._reactor, self.resolver, self.destinations)
        policy: Deferred[STSPolicy] = self._fetcher.fetch(name, id)
        return policy

    def _took(self, name: str, policy: STSPolicy, began: float) -> None:
        before = self._book.get(name)
        self.fetched += 1
        self._notes.pop(name, None)
        kept = Kept(name, policy, began, began if before is None else before.used)
        self._book.put(kept)
        if before is None or before.policy.lines != policy.lines:
            self.log.info(
                "The policy of {domain} is {mode}, for {hosts}, until {end}",
                domain=name,
                mode=policy.mode.value,
                hosts=printable(", ".join(policy.patterns) or "no hosts", 200),
                end=timeText(endOf(kept)),
            )

    def _failed(self, name: str, id: str, result: TLSResult, why: str) -> None:
        now, note = self._book.now(), self._notes.get(name)
        failures = 1 if note is None or note.id != id else note.failures + 1
        until = now + waitAfter(failures, self._book.chance())
        self._note(name, Note(id, result, why, failures, now, until))
        self.failures[result] += 1
        kept = self._book.get(name)
        if kept is None:
            self.log.info(
                "{domain} has a policy that cannot be had, and mail goes as without "
                "one: {why}",
                domain=name,
                why=why,
            )
        elif kept.policy.mode is not STSMode.NONE:
            # RFC 8461 3.3: an administrator should hear of it.
            self.log.warn(
                "The policy of {domain} cannot be had anew, and the one that is known "
                "holds until {end}: {why}",
                domain=name,
                end=timeText(endOf(kept)),
                why=why,
            )

    # Having them anew.

    def _lookAround(self) -> None:
        self._later = self._reactor.callLater(LOOK_EVERY, self._lookAround)
        for name in self._book.due(MAX_BEGUN - len(self._refreshing)):
            if name not in self._asking:
                self._refreshing.add(name)
                self._waiting[name] = []
                self._ask(name, _For.REFRESH)

    # The beginning and the end.

    def start(self) -> None:
        """
        Read what is kept on the disk, and begin to have it anew in time.
        """
        self._book.open()
        self._later = self._reactor.callLater(LOOK_EVERY, self._lookAround)

    def settingsChanged(
        self, resolver: Any, destinations: DestinationPolicy | None
    ) -> None:
        """
        Ask others from now on.

        @param resolver: See C{resolver}.
        @param destinations: See C{destinations}.
        """
        self.resolver, self.destinations = resolver, destinations
        fetcher, self._fetcher = self._fetcher, None
        if fetcher is not None:
            fetcher.stop()

    def stop(self) -> Deferred[None]:
        """
        Ask nobody any more; who waits is told what is known.

        @return: Fires when what is to be kept is written, and nothing is open.
        """
        self._isStopped = True
        if self._later is not None:
            self._later.cancel()
            self._later = None
        for asking in list(self._asking.values()):
            asking.cancel()
        fetcher, self._fetcher = self._fetcher, None
        closing = [] if fetcher is None else [maybeDeferred(fetcher.stop)]
        ended: Deferred[Any] = gatherResults([self._book.close(), *closing])
        return ended.addCallback(lambda _: None)

    def counts(self) -> Mapping[str, int]:
        """
        Count the policies that are kept, by their modes.
        """
        return self._book.counts()


def _idOf(record: Record, kept: Kept | None, why: _For) -> str:
    """
    Say which policy to ask for: where the DNS does not answer the one that is known
    may be had anew.
    """
    if record.id or record.isKnown or kept is None or why is _For.MAIL:
        return record.id
    return kept.policy.id


def _nobody(key: str, text: str | None) -> None:
    # Tell nobody.
    pass


def _goOn(result: Any, patience: float) -> None:
    # Go on without what has not come.
    pass


def _usualFetcher(
    reactor: Any, resolver: Any, destinations: DestinationPolicy | None
) -> Any:
    # It takes a while to import, and few domains have a policy.
    from relaymail.route.sts.fetching import PolicyFetcher

    return PolicyFetcher(reactor, resolver, destinations)
