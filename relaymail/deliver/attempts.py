# -*- test-case-name: relaymail.test.deliver.test_attempts -*-
"""
Attempts: one batch of names over one route.

The class is public as L{relaymail.relaymanager}'s, where the relaying manager
looks it up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from relaymail.addresses import quotePath
from relaymail.deliver.bounces import queueNotice
from relaymail.deliver.resuming import wasStale
from relaymail.deliver.settlement import Settlement, nameIn
from relaymail.deliver.standing import StandingMixin
from relaymail.deliver.times import beganAt
from relaymail.envelopes import Letter
from relaymail.errors import MalformedAddress
from relaymail.interfaces import IAttempt, IQueue
from relaymail.outcome import verdicts
from relaymail.outcome.news import endOf, isDelayNews, isTooLate, mayNotify
from relaymail.outcome.verdicts import Fate
from relaymail.outcomes import Bounce, Outcome, Removed, Retry
from relaymail.replies import Phase, Trouble, TroubleKind
from relaymail.route.hosts import Route
from relaymail.route.troubles import troubleOf
from relaymail.route.walk import Walk

#: How long the seed's way to wait after trouble is, in seconds; a queue that is
#: an L{IQueue} waits as the relaying manager's C{retryAt} says.
BACK_OFF = 30
#: What stands for an outcome that nobody noted.
_UNEXPLAINED_RETRY = Retry("4.4.2", Phase.IDLE, Trouble(Phase.IDLE, TroubleKind.LOST))
_UNEXPLAINED_BOUNCE = Bounce("5.0.0", Phase.FINAL)


@implementer(IAttempt)
class _AttemptManager(StandingMixin):
    """
    One batch of names over one route.

    @ivar manager: The relaying manager.
    @ivar noisy: Whether informational messages are logged.
    @ivar reactor: Where calls are scheduled.
    @ivar takesPart: Whether the queue is an L{IQueue}.
    """

    _log = Logger()
    _relay: Any = None
    _given = 0
    _claims: Deferred[Any] | None = None
    _coming: Sequence[str] = ()
    _claimedNow: Sequence[str] = ()
    _expecting: Any = None

    def __init__(self, manager: Any, noisy: bool = True, reactor: Any = None) -> None:
        """
        @param manager: The relaying manager.
        @param noisy: Whether informational messages are logged.
        @param reactor: Where to schedule calls; L{None} for the global one.
        """
        if reactor is None:
            from twisted.internet import reactor
        self.manager = manager
        self.noisy = noisy
        self.reactor = reactor
        self.takesPart = IQueue.providedBy(manager.queue)
        self._completionDeferreds: list[Deferred[None]] = []
        listener = getattr(manager, "onOutcome", None)
        self._settlement = Settlement(manager.queue, listener)

    @property
    def isStopping(self) -> bool:
        """
        Whether nothing new is to be begun.
        """
        return bool(getattr(self.manager, "isStopping", False))

    def getCompletionDeferred(self) -> Deferred[None]:
        """
        Give a Deferred that fires when the attempt is over.
        """
        done: Deferred[None] = Deferred()
        self._completionDeferreds.append(done)
        return done

    # What the relaying manager says.

    def begin(self, relay: Any, route: Route) -> None:
        """
        Try the first host.

        @param relay: The factory.
        @param route: The hosts.
        """
        if relay not in self.manager.managed:
            # Given up while the hosts were looked up.
            return
        self._relay, self._mayRecover = relay, route.mayRecover
        self._walk = Walk(route, self._whyInClear)
        self.routeLane = route.lane
        self._goOn(relay)

    def standBack(self, relay: Any) -> None:
        """
        Give all names back as they were before the attempt: other connections are to
        carry them.

        @param relay: The factory.
        """
        queue = self.manager.queue
        giveBack = getattr(queue, "unclaim", queue.setWaiting)
        for name in self.manager.managed.pop(relay, ()):
            giveBack(name)
        self._end()

    def waitForClaims(self, writes: Sequence[Deferred[None]]) -> None:
        """
        Send nothing of what was taken last before its claims are written.
        """
        self._claims = DeferredList(writes)

    def failRoute(self, relay: Any, failure: Failure) -> None:
        """
        Give up: no host could be named, or none connected to.

        @param relay: The factory.
        @param failure: Why.
        """
        if relay not in self.manager.managed:
            return
        self._relay = relay
        trouble = troubleOf(failure, Phase.RESOLVE)
        self._routeFailed(trouble, getattr(failure.value, "applied", ()))
        self.noteSession(relay, trouble.phase, trouble, 0)
        self._walk = None
        self.notifyDone(relay)

    # What a relayer asks.

    def openLetter(self, path: str) -> Letter | None:
        """
        See L{IAttempt.openLetter}.
        """
        name = nameIn(path)
        letter = self._settlement.open(name)
        if letter is None:
            self._leaveOut(name)
            return None
        try:
            quotePath(letter.sender, letter.parameters.utf8)
            quotePath(letter.recipient, letter.parameters.utf8)
        except MalformedAddress as e:
            trouble = Trouble(Phase.MAIL, TroubleKind.UNSENDABLE, str(e))
            self._settle(self._relay, path, self.judge(Phase.MAIL, trouble))
            return None
        if letter.parameters.deliverBy and isTooLate(letter.parameters, self._now()):
            trouble = Trouble(Phase.MAIL, TroubleKind.LATE)
            self._settle(self._relay, path, self.judge(Phase.MAIL, trouble))
            return None
        return letter

    def moreMessages(self, relay: Any) -> Sequence[str]:
        """
        See L{IAttempt.moreMessages}.
        """
        if self._claimedNow:
            claimed, self._claimedNow = self._claimedNow, ()
            return claimed
        limit = self.manager.maxMessagesPerConnection - self._given
        if self.isStopping or limit < 1 or self._coming:
            return ()
        paths: list[str] = self.manager.takeMore(self, relay, limit)
        self._given += len(paths)
        claims, self._claims = self._claims, None
        if claims is None or claims.called:
            return paths
        self._coming = paths
        claims.addCallback(lambda _: self._claimed(relay))
        return ()

    def waitForMessages(self, relay: Any, relayer: Any) -> bool:
        """
        See L{IAttempt.waitForMessages}.
        """
        if self._coming:
            self._expecting = relayer
            return True
        if self.isStopping or self._given >= self.manager.maxMessagesPerConnection:
            return False
        kept: bool = self.manager.keep(self, relay, relayer)
        return kept

    def tryNextHost(self, relay: Any) -> bool:
        """
        See L{IAttempt.tryNextHost}.
        """
        names = self.manager.managed.get(relay)
        if not names or self._walk is None or self._ended is None or self.isStopping:
            return False
        phase, evidence = self._ended
        self._tlsFailed = ""
        if phase is Phase.STARTTLS and wasStale(relay, evidence):
            self._walk.again()
            return self._goOn(relay)
        verdict = verdicts.judge(phase, evidence, lastHost=self._isLastHost())
        self._noteStates(verdict, evidence)
        self._mayRecover |= verdict.status.startswith("4")
        if phase is Phase.STARTTLS and self._tryInClear(evidence):
            self._ended = None
        elif verdict.fate is Fate.AGAIN:
            self._walk.again()
        elif verdict.fate is not Fate.NEXT_HOST:
            return False
        return self._goOn(relay)

    # What a relayer tells.

    def noteOutcome(self, relay: Any, path: str, outcome: Outcome) -> None:
        """
        See L{IAttempt.noteOutcome}.
        """
        self._settlement.note(nameIn(path), outcome)

    def notifySuccess(self, relay: Any, message: str) -> None:
        """
        Settle a name that was delivered.

        @param relay: The factory.
        @param message: The path.
        """
        if self.noisy:
            self._log.info("success sending {path}, removing from queue", path=message)
        self._finish(relay, message)

    def notifyFailure(self, relay: Any, message: str) -> None:
        """
        Settle a name that is never delivered: tell its sender, unless that is
        the null one.

        @param relay: The factory.
        @param message: The path.
        """
        if self.noisy:
            self._log.info("could not relay {path}", path=message)
        name = nameIn(message)
        if not self.takesPart:
            queueNotice(self.manager.queue, name)
            return self._finish(relay, self.manager.queue.getPath(name))
        self.manager.managed[relay].remove(name)
        letter = self._settlement.letter(name)
        if letter is not None:
            outcome = self._settlement.noted(name, Bounce, _UNEXPLAINED_BOUNCE)
            self._settlement.failed(name, letter, outcome, self.manager.bounces)
            self.manager.flushSoon()

    def notifyRetry(self, relay: Any, path: str) -> None:
        """
        See L{IAttempt.notifyRetry}.
        """
        name = nameIn(path)
        letter = self._settlement.letter(name)
        if letter is None:
            return self._leaveOut(name)
        outcome = self._settlement.noted(name, Retry, _UNEXPLAINED_RETRY)
        when = self.manager.retryAt(letter, outcome)
        if when is None:
            isLate = isTooLate(letter.parameters, self._now())
            end = verdicts.late if isLate else verdicts.expired
            self.noteOutcome(relay, path, end(outcome))
            return self.notifyFailure(relay, path)
        self.manager.managed[relay].remove(name)
        self._letRest(name, letter, outcome, when)
        self.manager.wake()

    def notifyDone(self, relay: Any) -> None:
        """
        The connection is no more, or there was none: go on at the next host,
        or give back what is left.

        @param relay: The factory.
        """
        if self.takesPart:
            if self.tryNextHost(relay):
                return
            self._settleWhatIsLeft(relay)
        for name in self.manager.managed.get(relay, ()):
            if self.noisy:
                self._log.info("Setting {name} waiting", name=name)
            self.manager.queue.setWaiting(name)
        self.manager.managed.pop(relay, None)
        self._end()

    def notifyNoConnection(self, relay: Any) -> None:
        """
        No host was reached: wait before the names are tried again.

        @param relay: The factory.
        """
        names = self.manager.managed.get(relay)
        if names is None:
            self._log.info("notifyNoConnection passed unknown relay!")
            return
        if self.noisy:
            self._log.info("Backing off on delivery of {names}", names=names)
        if self.takesPart:
            if self._ended is None:
                trouble = Trouble(Phase.CONNECT, TroubleKind.UNREACHABLE)
                self._ended = (Phase.CONNECT, trouble)
            return
        self.reactor.callLater(BACK_OFF, setAllWaiting, self.manager.queue, names)
        del self.manager.managed[relay]

    def _finish(self, relay: Any, message: str) -> None:
        """
        Take a name out of the queue, and out of what is being relayed.

        @param relay: The factory.
        @param message: The path.
        """
        name = nameIn(message)
        self.manager.managed[relay].remove(name)
        if self.takesPart:
            isFinal = self.host is not None and self.host.lmtp
            bounces, isTimed = self.manager.bounces, self._keepsTime
            if self._settlement.delivered(name, bounces, isTimed, isFinal):
                self.manager.flushSoon()
        else:
            self.manager.queue.done(message)

    # How it is done.

    def _end(self) -> None:
        waiting, self._completionDeferreds = self._completionDeferreds, []
        for done in waiting:
            done.callback(None)

    def _claimed(self, relay: Any) -> None:
        paths, self._coming = self._coming, ()
        relayer, self._expecting = self._expecting, None
        if relayer is None:
            # It asked ahead, and is still at its last message.
            self._claimedNow = paths
        elif paths and relay in self.manager.managed:
            relayer.resume(paths)

    def _goOn(self, relay: Any) -> bool:
        host = self._walk.goOn() if self._walk is not None else None
        if host is None:
            return False
        manager = self.manager
        names = manager.managed[relay]
        self._coming, self._claimedNow, self._expecting = (), (), None
        relay.messages = [manager.queue.getPath(name) for name in names]
        self._given, self._ended = len(names), None
        self.address = self.tls = ""
        try:
            manager._cbExchange(host.name, host.port or manager.PORT, relay)
        except Exception:
            relay.clientConnectionFailed(None, Failure())
        return True

    def _settleWhatIsLeft(self, relay: Any) -> None:
        names = list(self.manager.managed.get(relay, ()))
        if not names or self.isStopping:
            return
        lost = Trouble(Phase.CONNECT, TroubleKind.LOST)
        phase, evidence = self._ended or (Phase.CONNECT, lost)
        verdict = verdicts.judge(phase, evidence, mayRecover=self._mayRecover)
        self._noteStates(verdict, evidence)
        outcome = self._outcomeOf(verdict, phase, evidence)
        for name in names:
            path = self.manager.queue.getPath(name)
            self._settle(relay, path, outcome)

    def _settle(self, relay: Any, path: str, outcome: Outcome | None) -> None:
        self.noteOutcome(relay, path, outcome or _UNEXPLAINED_RETRY)
        if isinstance(outcome, Bounce):
            self.notifyFailure(relay, path)
        elif isinstance(outcome, Removed):
            name = nameIn(path)
            self.manager.managed[relay].remove(name)
            self._settlement.discarded(name, outcome)
        else:
            self.notifyRetry(relay, path)

    def _letRest(self, name: str, letter: Letter, outcome: Retry, when: float) -> None:
        manager = self.manager
        if letter.isTold or not mayNotify(letter.sender):
            return self._settlement.retried(name, letter, outcome, when)
        asked, said = letter.parameters, letter.recipientParameters
        began = beganAt(letter.arrived, asked)
        if not isDelayNews(asked, said, began, self._now(), manager.delayNotice):
            return self._settlement.retried(name, letter, outcome, when)
        until = endOf(asked, began + manager.expireAfter)
        bounces = manager.bounces
        self._settlement.delayed(name, letter, outcome, bounces, when, until)
        manager.flushSoon()
        return None

    def _now(self) -> float:
        now: float = self.manager.queue.clock.seconds()
        return now

    def _leaveOut(self, name: str) -> None:
        names = self.manager.managed.get(self._relay, [])
        if name in names:
            names.remove(name)


def setAllWaiting(queue: Any, names: Iterable[str]) -> None:
    """
    Give names back to a queue, the seed's way.
    """
    for name in names:
        queue.setWaiting(name)
