# -*- test-case-name: relaymail.test.deliver.test_operating -*-
"""
What an operator tells a relaying manager to do with mail that is in the queue.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.python.failure import Failure

from relaymail.addresses import normalDomain
from relaymail.deliver.bounces import Bounces
from relaymail.deliver.protected import OnTLSSession
from relaymail.deliver.settlement import OnOutcome, Settlement
from relaymail.deliver.steering import SteeringMixin
from relaymail.errors import NotSupported, QueueError
from relaymail.inspection import IInspectable
from relaymail.outcome.verdicts import OPERATOR_STATUS
from relaymail.outcomes import Bounce, Removed
from relaymail.replies import Evidence, Phase, Trouble, TroubleKind
from relaymail.route.hosts import Host

#: Is told how it went to authenticate at a host: the host, and what came back
#: instead of a yes, or L{None} for that.
OnAuthentication = Callable[[Host, Evidence | None], None]


class OperatingMixin(SteeringMixin):
    """
    What becomes of mail by wish of an operator, for a relaying manager.

    @cvar onAuthentication: Is told how it went to authenticate at a host.
    @cvar onTLSSession: Is told how sessions with the hosts of destinations were
        protected, once of each.
    """

    bounces: Bounces
    isStopping: bool
    onOutcome: OnOutcome | None = None
    onAuthentication: OnAuthentication | None = None
    onTLSSession: OnTLSSession | None = None

    def noteAuthentication(self, host: Host, evidence: Evidence | None) -> None:
        """
        Hear how it went to authenticate at a host.

        @param host: The host.
        @param evidence: What came back instead of a yes; L{None} for that.
        """
        if self.onAuthentication is not None:
            self.onAuthentication(host, evidence)

    def flushSoon(self) -> None:
        """
        Tell the senders of what failed, at the end of this turn.
        """
        raise NotImplementedError

    def bounceNow(self, name: str, why: str) -> Deferred[None]:
        """
        Give up a name that waits, rests or is held, and tell its sender.

        @param why: Why, in words that the sender reads.

        @return: Fires when it is given up.  It fails with a L{KeyError} where
            there is no such name, with L{NameBusy <relaymail.errors.NameBusy>}
            where it is being sent, and with another L{QueueError
            <relaymail.errors.QueueError>} where it cannot be read.
        """
        outcome = Bounce(OPERATOR_STATUS, Phase.RESOLVE, _decided(why))
        return self._claimed(name).addCallback(lambda _: self._giveUp(name, outcome))

    def removeNow(self, name: str, why: str) -> Deferred[None]:
        """
        Remove a name that waits, rests, is held or was set aside; its sender is
        not told.

        @param why: Why, in words.

        @return: Fires when it is removed.  It fails as L{bounceNow} does, but
            it need not be readable.
        """
        outcome = Removed(OPERATOR_STATUS, Phase.RESOLVE, _decided(why))
        claimed = self._claimed(name)
        return claimed.addErrback(_passUnknown).addCallback(
            lambda _: self._remove(name, outcome)
        )

    def tryNow(
        self, name: str, destination: str, forgiven: set[Hashable] | None = None
    ) -> Deferred[None]:
        """
        Let a name be due now, also where its destination fails and would not be
        tried yet.  What an operator has suspended stays so.

        @param destination: The domain it is for.
        @param forgiven: What the same order has let be tried although it fails:
            once is enough, whatever number of names it is about.

        @return: Fires as L{IInspectable.hasten
            <relaymail.inspection.IInspectable.hasten>} does.
        """
        if not IInspectable.providedBy(self.queue):
            return fail(_notSupported())
        self.forgive(destination, forgiven)
        hastened: Deferred[None] = self.queue.hasten(name)
        return hastened

    def flush(self, destination: str) -> Deferred[int]:
        """
        Send to a destination now: it is suspended no longer, and all that rests
        for it is due, but what is held.

        @param destination: The domain.

        @return: Fires with how many names are due that were not.

        @raise MalformedAddress: When it is no domain.
        """
        self.resume(destination)
        if not IInspectable.providedBy(self.queue):
            return fail(_notSupported())
        hastened: Deferred[int] = self.queue.hastenAll(normalDomain(destination))
        return hastened

    def _claimed(self, name: str) -> Deferred[None]:
        if not IInspectable.providedBy(self.queue):
            return fail(_notSupported())
        if self.isStopping:
            return fail(QueueError(f"the relay is stopping; {name} was left alone"))
        claimed: Deferred[None] = maybeDeferred(lambda: self.queue.claim(name))
        return claimed

    def _giveUp(self, name: str, outcome: Bounce) -> None:
        settlement = Settlement(self.queue, self.onOutcome)
        letter = settlement.letter(name)
        if letter is None:
            raise QueueError(f"{name} cannot be read, so nobody was told; see the log")
        settlement.failed(name, letter, outcome, self.bounces)
        self.flushSoon()

    def _remove(self, name: str, outcome: Removed) -> Deferred[None]:
        removed = Settlement(self.queue, self.onOutcome).removed(name, outcome)
        return succeed(None) if removed is None else removed


def _decided(why: str) -> Trouble:
    return Trouble(Phase.RESOLVE, TroubleKind.OPERATOR, why)


def _passUnknown(failure: Failure) -> None:
    # What was set aside cannot be claimed; whether it is there, who removes it
    # will find.
    failure.trap(KeyError)


def _notSupported() -> NotSupported:
    return NotSupported("a queue of this kind cannot be told that; nothing was changed")
