# -*- test-case-name: relaymail.test.queue.spool.test_operating -*-
"""
What an operator tells a spool.

A name that an order is about is nowhere in memory until that is written; then it
rests in the database, and comes back as all that rests does, or stays there.
"""

from __future__ import annotations

from collections.abc import Generator

from twisted.internet.defer import Deferred, fail, inlineCallbacks, succeed
from twisted.python.failure import Failure

from relaymail.errors import NameBusy
from relaymail.queue.spool.catalogue import Holding
from relaymail.queue.spool.orders import (
    Hastening,
    Order,
    Suspending,
    Turn,
    claimed,
    hastened,
    held,
    released,
    renewed,
)
from relaymail.queue.spool.searching import isNumber
from relaymail.queue.spool.settling import SpoolSettling
from relaymail.queue.spool.window import Moving
from relaymail.queue.window import LEASE

#: How many names are hastened in one transaction: some ten milliseconds of work,
#: for each has its place in an index.
PORTION = 500


class SpoolOperating(SpoolSettling):
    """
    What L{IInspectable<relaymail.inspection.IInspectable>} tells a spool.
    """

    _suspensions: dict[str, str]

    def hasten(self, name: str) -> Deferred[None]:
        """
        See L{IInspectable.hasten<relaymail.inspection.IInspectable.hasten>}.
        """
        if name in self.waiting:
            return succeed(None)
        return self._order(name, hastened(self.clock.seconds()))

    def hold(self, name: str, why: str) -> Deferred[None]:
        """
        See L{IInspectable.hold<relaymail.inspection.IInspectable.hold>}.
        """
        return self._order(name, held(why))

    def release(self, name: str) -> Deferred[None]:
        """
        See L{IInspectable.release<relaymail.inspection.IInspectable.release>}.
        """
        if name in self._entries and name not in self.relayed:
            # Nobody keeps back what is in the window.
            return succeed(None)
        return self._order(name, released(self.clock.seconds()))

    def requeue(self, name: str) -> Deferred[None]:
        """
        See L{IInspectable.requeue<relaymail.inspection.IInspectable.requeue>}.
        """
        return self._order(name, renewed(self.clock.seconds()))

    def claim(self, name: str) -> Deferred[None] | None:
        """
        See L{IInspectable.claim<relaymail.inspection.IInspectable.claim>}.
        """
        if name not in self._entries:
            until = self.clock.seconds() + LEASE
            return self._order(name, claimed(until), isClaim=True)
        self._checkTrouble()
        self._checkFree(name)
        self._withdraw(name)
        self.relayed[name] = 1
        return None

    @inlineCallbacks
    def hastenAll(self, destination: str) -> Generator[Deferred[None], None, int]:
        """
        See L{IInspectable.hastenAll
        <relaymail.inspection.IInspectable.hastenAll>}.
        """
        self._checkTrouble()
        now, count = self.clock.seconds(), 0
        while not self._isStopping:
            change = Hastening(destination, now, PORTION)
            yield self._submit(change)
            count += change.count
            if change.count:
                self._backlog.rests(destination, now)
                self._reading.fill()
                self._tell()
            if change.count < PORTION:
                break
        return count

    # What is suspended.

    def suspensions(self) -> dict[str, str]:
        """
        See L{IInspectable.suspensions
        <relaymail.inspection.IInspectable.suspensions>}.
        """
        return dict(self._suspensions)

    def suspend(self, destination: str, why: str) -> Deferred[None]:
        """
        See L{IInspectable.suspend<relaymail.inspection.IInspectable.suspend>}.
        """
        self._suspensions[destination] = why
        return self._submit(Suspending(destination, why))

    def resume(self, destination: str) -> Deferred[None] | None:
        """
        See L{IInspectable.resume<relaymail.inspection.IInspectable.resume>}.
        """
        if self._suspensions.pop(destination, None) is None:
            return None
        return self._submit(Suspending(destination, None))

    # How an order is carried out.

    def _order(self, name: str, turn: Turn, isClaim: bool = False) -> Deferred[None]:
        try:
            self._checkTrouble()
            self._checkFree(name)
        except Exception:
            return fail()
        self._moving[name] = self._takeOut(name)
        order = Order(int(name), turn)
        return self._submit(order).addCallbacks(
            self._ordered,
            self._notOrdered,
            callbackArgs=(name, order, isClaim),
            errbackArgs=(name,),
        )

    def _checkFree(self, name: str) -> None:
        """
        See that an order may be given about a name.
        """
        if not isNumber(name) or name in self._leaving.names:
            raise KeyError(name)
        if name in self.relayed:
            raise NameBusy(f"{name} is being sent; try again when that is over")
        self._checkStill(name)

    def _takeOut(self, name: str) -> Moving:
        """
        Take a name out of the window, if it is there.
        """
        if name not in self._entries:
            return Moving()
        due, isPostponed = self._resting.due.get(name), name in self._postponed
        self._withdraw(name)
        return Moving(self._forget(name), due, isPostponed)

    def _ordered(self, _: None, name: str, order: Order, isClaim: bool) -> None:
        del self._moving[name]
        row = order.row
        if row is None:
            raise KeyError(name)
        if isClaim:
            if not self._meetRow(row):
                raise KeyError(name)
            self.relayed[name] = 1
            return
        if row.lease is None:
            self._backlog.rests(row.destination, row.due, row.id)
        self._reading.fill()
        self._tell()

    def _notOrdered(self, failure: Failure, name: str) -> Failure:
        """
        Put a name back where it was.
        """
        moving = self._moving.pop(name)
        if moving.entry is not None:
            self._putBack(name, moving.entry, moving)
        elif moving.missed is not None:
            row = moving.missed
            self._backlog.rests(row.destination, row.due, row.id)
        self._reading.fill()
        self._tell()
        return failure

    def _putBack(self, name: str, entry: Holding, moving: Moving) -> None:
        self._comeBack(name, entry)
        if moving.due is None:
            self._wait(name)
            return
        self._resting.add(name, moving.due)
        if moving.isPostponed:
            self._postponed[name] = None
