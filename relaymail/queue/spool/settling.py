# -*- test-case-name: relaymail.test.queue.spool.test_spool -*-
"""
What becomes of the names of a spool.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from relaymail.errors import NameBusy, QueueFull, UnreadableEntry
from relaymail.outcomes import Bounce, Outcome
from relaymail.queue.spool.catalogue import Holding
from relaymail.queue.spool.changes import (
    Change,
    Departure,
    Standing,
    Telling,
    totalOf,
)
from relaymail.queue.spool.inspecting import SpoolInspection
from relaymail.queue.spool.orders import Withdrawal
from relaymail.queue.window import LEASE, AnyPath, nameOf

#: How long a name rests whose notice could not be taken, in seconds.
PUT_BACK = 60.0


class SpoolSettling(SpoolInspection):
    """
    What L{IQueue<relaymail.interfaces.IQueue>} is told of names.
    """

    def setRelaying(self, message: AnyPath) -> Deferred[None] | None:
        """
        See L{IQueue.setRelaying<relaymail.interfaces.IQueue.setRelaying>}.
        The first claim is not written: what it would cost to lose it is one
        in the count of attempts.

        @raise QueueDamaged: When what becomes of it could not be written.
        """
        self._checkTrouble()
        name = nameOf(message)
        entry = self._holding(self._claim(name))
        if entry.attempts <= 1:
            return None
        now = self.clock.seconds()
        written = self._submit(self._standing(entry, now, now + LEASE))
        return written.addErrback(self._passFull, name)

    def setWaiting(
        self,
        message: AnyPath,
        when: float | None = None,
        outcome: Outcome | None = None,
    ) -> Deferred[None] | None:
        """
        See L{IQueue.setWaiting<relaymail.interfaces.IQueue.setWaiting>}.  If
        it cannot be written, that is logged, and the name rests all the same;
        it is only after a restart that it is tried too early.  One that was
        claimed while an operator kept it back is kept back again.
        """
        name = nameOf(message)
        entry = self._holding(self._giveBack(name, when, outcome))
        if entry.held is not None:
            # In its row it never stood elsewhere.
            self._forget(name)
            return None
        if when is None and outcome is None:
            return None
        due = self.clock.seconds() if when is None else when
        return self._rest(name, entry, due)

    def _rest(self, name: str, entry: Holding, when: float) -> Deferred[None]:
        isPostponed = name in self._postponed
        due = min(when, self.clock.seconds()) if isPostponed else when
        written = self._submit(self._standing(entry, due, None))
        written.addCallback(lambda _: self._letRest(name, due, when))
        return written.addErrback(self._complain, f"where {name} stands")

    def _standing(
        self, entry: Holding, due: float, lease: float | None, aside: str | None = None
    ) -> Standing:
        return Standing(
            entry.id,
            entry.destination,
            due,
            entry.attempts,
            lease,
            entry.status,
            entry.text,
            aside,
            entry.stand,
        )

    def _letRest(self, name: str, due: float, when: float) -> None:
        """
        Leave to the database what rests in it.
        """
        if self._resting.due.get(name) == when:
            entry = self._holding(self._entries[name])
            self._backlog.rests(entry.destination, due, entry.id, when)
            self._forget(name)
            self._reading.fill()

    def told(self, message: AnyPath) -> Deferred[None]:
        """
        See L{IQueue.told<relaymail.interfaces.IQueue.told>}.  If it cannot be
        written, or the notice that was added in the same turn was not taken,
        that is logged, and nobody counts as told.
        """
        name = nameOf(message)
        if name in self._leaving.names:
            raise KeyError(name)
        entry = self._entries.get(name)
        number = int(name) if entry else self._catalogue.row(name).id
        if entry is not None:
            entry.isTold = True
        return self._submit(Telling(number)).addErrback(self._notWarned, name)

    def _notWarned(self, failure: Failure, name: str) -> None:
        self.log.failure("Nobody was told that {name} is late", failure, name=name)
        entry = self._entries.get(name)
        if entry is not None:
            entry.isTold = False

    def done(
        self, message: AnyPath, outcome: Outcome | None = None
    ) -> Deferred[None] | None:
        """
        See L{IQueue.done<relaymail.interfaces.IQueue.done>}.  A name that
        cannot be removed is not offered again; but one that bounced without
        its notice being taken is tried again later.  One that was set aside may
        be removed, too.

        @raise NameBusy: When it is just being written where it stands.
        """
        name = nameOf(message)
        self._checkStill(name)
        if name in self._entries:
            kind, entry = Departure, self._forget(name)
        else:
            kind, entry = Withdrawal, self._anywhere(name)
        needsNotice = isinstance(outcome, Bounce) and (
            bool(entry.sender) or outcome.isReplaced
        )
        change = self._departure(kind, entry, outcome)
        departed = self._leaving.submit(name, change, mayStay=needsNotice)
        if needsNotice:
            departed.addErrback(self._notTold, name, entry)
        self._reading.fill()
        return departed

    def _checkStill(self, name: str) -> None:
        if name in self._moving:
            raise NameBusy(f"{name} is being written where it stands; try again")

    def _anywhere(self, name: str) -> Holding:
        """
        Give what is known of a name that is not in the window, also of one that
        was set aside.
        """
        if name in self._leaving.names:
            raise KeyError(name)
        row = self._catalogue.row(name, withAside=True)
        try:
            return self._catalogue.entry(row)
        except UnreadableEntry:
            return self._catalogue.remains(row)

    def _departure(
        self, kind: type[Departure], entry: Holding, outcome: Outcome | None
    ) -> Departure:
        return kind(
            entry.id,
            entry.message,
            entry.recipients,
            entry.destination,
            totalOf(outcome, entry.sender),
            entry.stand,
            entry.isApart,
        )

    def _notTold(self, failure: Failure, name: str, entry: Holding) -> Failure:
        # As long as there is no notice it is mail.
        if entry.held is None:
            self._comeBack(name, entry)
            self._resting.add(name, self.clock.seconds() + PUT_BACK)
            self._tell()
        return failure

    def _comeBack(self, name: str, entry: Holding) -> None:
        """
        Take a name back into the window, of which nothing is kept in memory any
        more.
        """
        content = entry.content
        assert content is not None
        entry.content = self._catalogue.content(
            entry.message, content.size, content.eightBit, entry.isApart
        )
        self._hold(name, entry)

    def setAside(self, message: AnyPath, why: str) -> None:
        """
        See L{IQueue.setAside<relaymail.interfaces.IQueue.setAside>}.
        """
        name = nameOf(message)
        self._checkStill(name)
        self.log.error("Setting aside {name}: {why}", name=name, why=why)
        entry = self._known(name)
        if name in self._entries:
            self._forget(name)
        change = self._standing(entry, entry.arrived, 0.0, why)
        # It says itself what cannot be written.
        self._leaving.submit(name, change).addErrback(lambda _: None)

    def _submit(self, change: Change) -> Deferred[None]:
        raise NotImplementedError

    def _passFull(self, failure: Failure, name: str) -> None:
        if not failure.check(QueueFull):
            failure.raiseException()
        self._complain(failure, f"the claim of {name}")

    def _complain(self, failure: Failure, what: str) -> None:
        self.log.failure("Cannot write {what}", failure, what=what)
