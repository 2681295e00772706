# -*- test-case-name: relaymail.test.queue.spool.test_orders -*-
"""
What an operator may ask of a spool's database.

Whoever gives an order may know the name from long ago: the row is read where it is
changed, after all that is written with it, and the counters follow what it says
then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from relaymail.queue.said import heldUntil
from relaymail.queue.spool.bodies import Bodies
from relaymail.queue.spool.changes import Change, Departure
from relaymail.queue.spool.recipients import Row, findRow
from relaymail.queue.spool.rows import Transaction
from relaymail.queue.spool.saying import parametersOf

_TURN = (
    "UPDATE recipient SET due = ?, attempts = ?, lease = ?, status = ?, reply = ?, "
    "aside = ?, held = ?, since = coalesce(?, since), told = ?, released = ? "
    "WHERE id = ?"
)
_STANDS = (
    "SELECT lease IS NULL, held IS NOT NULL, aside IS NOT NULL FROM recipient "
    "WHERE id = ?"
)
#: The first to be due are the first to be hastened.  What was never tried rests
#: because its sender wants that (RFC 4865).
_HASTEN = (
    "UPDATE recipient SET due = ?2 WHERE id IN (SELECT id FROM recipient "
    "WHERE destination = ?1 AND lease IS NULL AND due > ?2 AND attempts > 0 "
    "ORDER BY due LIMIT ?3)"
)
_SUSPEND = (
    "INSERT INTO suspension VALUES (?1, ?2) "
    "ON CONFLICT (destination) DO UPDATE SET why = ?2"
)
_RESUME = "DELETE FROM suspension WHERE destination = ?"

#: Gives what is to become of a row; L{None}: that cannot be asked of it.
Turn = Callable[[Row], Row | None]


class Order(Change):
    """
    One row is to stand elsewhere.

    @ivar row: How it stands then; L{None}: there is none of which that can be
        asked.
    """

    def __init__(self, number: int, turn: Turn) -> None:
        """
        @param number: That of the recipient.
        @param turn: Gives what is to become of it.
        """
        self.row: Row | None = None
        self._number = number
        self._turn = turn

    def isQuick(self, bodies: Bodies) -> bool:
        """
        See L{Change.isQuick}: the row may be anywhere on the disk.
        """
        return False

    def gather(self, transaction: Transaction) -> None:
        """
        The row is read when the others are written.
        """
        transaction.reads.append(partial(self._carryOut, transaction))

    def _carryOut(self, transaction: Transaction) -> None:
        row = findRow(transaction.database, self._number, withAside=True)
        self.row = None if row is None else self._turn(row)
        if row is None or self.row is None or self.row == row:
            return
        _count(transaction, row, -1)
        _count(transaction, self.row, 1)
        transaction.database.execute(_TURN, _valuesOf(row, self.row))


def _count(transaction: Transaction, row: Row, by: int) -> None:
    if row.aside is not None:
        transaction.totals["aside"] += by
        return
    transaction.queued[row.destination] += by
    if row.lease is None:
        transaction.resting[row.destination] += by
    if row.held is not None:
        transaction.held[row.destination] += by


def _valuesOf(before: Row, row: Row) -> tuple[object, ...]:
    since = None if row.arrived == before.arrived else row.arrived
    stand = (row.due, row.attempts, row.lease, row.status, row.reply)
    return (*stand, row.aside, row.held, since, row.told, row.released, row.id)


def held(why: str) -> Turn:
    """
    Keep it back.

    @param why: Why, in words.
    """
    return lambda row: (
        None if row.aside is not None else replace(row, lease=0.0, held=why)
    )


def released(now: float) -> Turn:
    """
    Keep it back no longer; it goes at once, unless its sender wants it later.

    @param now: The time, in seconds.
    """

    def turn(row: Row) -> Row | None:
        if row.aside is not None or row.held is None:
            return None if row.aside is not None else row
        due = heldUntil(parametersOf(row), now) or now
        return replace(row, lease=None, held=None, due=due, released=1)

    return turn


def hastened(now: float) -> Turn:
    """
    Let it be due, unless it is kept back.

    @param now: The time, in seconds.
    """

    def turn(row: Row) -> Row | None:
        if row.aside is not None or row.held is not None:
            return None if row.aside is not None else row
        return replace(row, lease=None, due=min(row.due, now))

    return turn


def renewed(now: float) -> Turn:
    """
    Begin anew with it, wherever it stood.

    @param now: The time, in seconds.
    """
    return lambda row: replace(
        row,
        arrived=now,
        attempts=0,
        due=now,
        lease=None,
        status="",
        reply="",
        aside=None,
        held=None,
        told=0,
        released=0,
    )


def claimed(until: float) -> Turn:
    """
    Claim it.  What is kept back stays so in its row, for the time when whoever
    claimed it is no more.

    @param until: How long the claim is good for, in seconds.
    """

    def turn(row: Row) -> Row | None:
        if row.aside is not None or row.held is not None:
            return None if row.aside is not None else row
        return replace(row, lease=until)

    return turn


class Withdrawal(Departure):
    """
    A recipient goes that is not in the window: its row says where it stood.
    """

    def isQuick(self, bodies: Bodies) -> bool:
        """
        See L{Change.isQuick}: the row may be anywhere on the disk.
        """
        return False

    def gather(self, transaction: Transaction) -> None:
        """
        One row goes, perhaps two.
        """
        found = transaction.database.execute(_STANDS, (self.id,)).fetchone()
        isAside = False
        if found is not None:
            rests, held, isAside = map(bool, found)
            self.stand.rests, self.stand.held = rests, held and not isAside
        super().gather(transaction)
        if isAside:
            transaction.queued[self.destination] += 1
            transaction.totals["aside"] -= 1


class Hastening(Change):
    """
    Some of what rests for a destination is due.

    @ivar count: How many there were.
    """

    def __init__(self, destination: str, now: float, limit: int) -> None:
        """
        @param destination: Its domain.
        @param now: The time, in seconds.
        @param limit: How many at most.
        """
        self.count = 0
        self._asked = (destination, now, limit)

    def isQuick(self, bodies: Bodies) -> bool:
        """
        See L{Change.isQuick}: what rests may be anywhere on the disk.
        """
        return False

    def gather(self, transaction: Transaction) -> None:
        """
        The rows are changed when the others are written.
        """
        transaction.reads.append(partial(self._hasten, transaction))

    def _hasten(self, transaction: Transaction) -> None:
        self.count = transaction.database.execute(_HASTEN, self._asked).rowcount


class Suspending(Change):
    """
    It is remembered that a destination is suspended, or no longer.
    """

    def __init__(self, destination: str, why: str | None) -> None:
        """
        @param destination: Its domain.
        @param why: Why; L{None}: it is suspended no longer.
        """
        self._destination = destination
        self._why = why

    def gather(self, transaction: Transaction) -> None:
        """
        One row comes or goes.
        """
        if self._why is None:
            transaction.database.execute(_RESUME, (self._destination,))
        else:
            transaction.database.execute(_SUSPEND, (self._destination, self._why))
