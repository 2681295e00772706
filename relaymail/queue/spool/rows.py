# -*- test-case-name: relaymail.test.queue.spool.test_rows -*-
"""
The rows of a spool, and the transaction that writes them.

All that is asked for in some turns of the reactor is one transaction: the rows of
a batch go to the database in a few statements, however many they are, and the
counters are kept with them.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from relaymail.errors import QueueError
from relaymail.queue.spool.bodies import Bodies
from relaymail.queue.spool.schema import PATIENCE, translated
from relaymail.queue.spool.triage import IKind, salvage
from relaymail.queue.writer import Results

_NEW_MESSAGE = (
    "INSERT INTO message (id, recipients, sender, size, body, eightbit, arrived, "
    "content) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
#: The same for what says more.
_NEW_SAYING_MESSAGE = (
    "INSERT INTO message (id, recipients, sender, size, body, eightbit, arrived, "
    "content, ret, envid, utf8, requiretls, options) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_NEW_RECIPIENT = (
    "INSERT INTO recipient (id, message, address, destination, due, attempts, lease, "
    "status, reply, origin) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_NEW_SAYING_RECIPIENT = (
    "INSERT INTO recipient (id, message, address, destination, due, attempts, lease, "
    "status, reply, origin, orcpt, notify, told) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_UPDATE = (
    "UPDATE recipient SET due = ?, attempts = ?, lease = ?, status = ?, reply = ?, "
    "aside = ? WHERE id = ?"
)
_GONE = "DELETE FROM recipient WHERE id = ?"
_LAST_GONE = (
    "DELETE FROM message WHERE id = ?1 AND NOT EXISTS "
    "(SELECT 1 FROM recipient WHERE id >= ?1 AND id < ?1 + ?2)"
)
_THERE = "SELECT 1 FROM message WHERE id = ?"
_QUEUED = (
    "INSERT INTO destination (name, queued, resting) VALUES (?1, ?2, ?3) "
    "ON CONFLICT (name) DO UPDATE SET queued = queued + ?2, resting = resting + ?3"
)
#: The name is there already.
_HELD = "UPDATE destination SET held = held + ? WHERE name = ?"
_TOTAL = (
    "INSERT INTO total VALUES (?1, ?2) ON CONFLICT (name) DO "
    "UPDATE SET count = count + ?2"
)


@dataclass(slots=True)
class Stand:
    """
    What whoever writes knows of a recipient: it is not asked for again when its
    row changes, and what could not be written is not believed.

    @ivar rests: Whether its row says that it rests.
    @ivar held: Whether it says that an operator keeps it back.
    """

    rests: bool = False
    held: bool = False


@dataclass(slots=True)
class Transaction:
    """
    What a batch comes to, gathered so that each kind of row is written at once.

    @ivar database: Where to.
    @ivar bodies: Where contents are.
    @ivar messages: The messages that come, and so on for what else there is.
    @ivar saying: The messages that say more than others, each with its recipients.
    @ivar perhapsLast: The messages that lose recipients, and how many they had.
    @ivar apart: Those of them whose content is in a file of its own.
    @ivar queued: By how many more or fewer recipients each destination has.
    @ivar resting: And how many of them rest.
    @ivar held: And how many an operator keeps back.
    @ivar totals: What was counted.
    @ivar reads: What is to be read once all is written.
    @ivar after: What is to be done once that is certain.
    """

    database: sqlite3.Connection
    bodies: Bodies
    messages: list[tuple[Any, ...]] = field(default_factory=list)
    recipients: list[tuple[Any, ...]] = field(default_factory=list)
    saying: list[tuple[tuple[Any, ...], list[tuple[Any, ...]]]] = field(
        default_factory=list
    )
    updates: list[tuple[Any, ...]] = field(default_factory=list)
    gone: list[tuple[int]] = field(default_factory=list)
    perhapsLast: dict[int, int] = field(default_factory=dict)
    apart: set[int] = field(default_factory=set)
    queued: Counter[str] = field(default_factory=Counter)
    resting: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    totals: Counter[str] = field(default_factory=Counter)
    reads: list[Callable[[], None]] = field(default_factory=list)
    after: list[Callable[[sqlite3.Connection], None]] = field(default_factory=list)
    _before: list[tuple[Stand, bool, bool]] = field(default_factory=list)

    def move(self, stand: Stand, destination: str, rests: bool) -> None:
        """
        Note that a recipient comes to rest, or does not rest any more; nobody
        keeps it back.
        """
        self.resting[destination] += rests - stand.rests
        if stand.held:
            self.held[destination] -= 1
        self._before.append((stand, stand.rests, stand.held))
        stand.rests, stand.held = rests, False

    def forget(self) -> None:
        """
        Nothing was written: all stand where they stood.
        """
        for stand, rested, held in reversed(self._before):
            stand.rests, stand.held = rested, held

    def write(self) -> None:
        """
        Write what was gathered, and then read.
        """
        many = self.database.executemany
        if self.messages:
            many(_NEW_MESSAGE, self.messages)
            many(_NEW_RECIPIENT, self.recipients)
        if self.saying:
            for message, recipients in self.saying:
                self.database.execute(_NEW_SAYING_MESSAGE, message)
                many(_NEW_SAYING_RECIPIENT, recipients)
        if self.updates:
            many(_UPDATE, self.updates)
        if self.gone:
            many(_GONE, self.gone)
            many(_LAST_GONE, list(self.perhapsLast.items()))
        for read in self.reads:
            read()
        self._count()

    def _count(self) -> None:
        touched = sorted(self.queued.keys() | self.resting.keys())
        changed = [
            (name, self.queued[name], self.resting[name])
            for name in touched
            if self.queued[name] or self.resting[name]
        ]
        if changed:
            self.database.executemany(_QUEUED, changed)
        if self.held:
            held = [(count, name) for name, count in sorted(self.held.items())]
            self.database.executemany(_HELD, held)
        if self.totals:
            self.database.executemany(_TOTAL, sorted(self.totals.items()))

    def clear(self) -> None:
        """
        Remove the files of the messages that are gone, once that is certain.
        """
        for message in self.apart:
            if self.database.execute(_THERE, (message,)).fetchone() is None:
                self.bodies.remove(message)


class ILog(Protocol):
    """
    Sees to the log of the database.

    @ivar damage: Why nothing may be written any more, or L{None}.
    """

    damage: Exception | None

    def wrote(self, database: sqlite3.Connection, transaction: Transaction) -> None:
        """
        Be told of a transaction that has been committed.
        """

    def failed(self, database: sqlite3.Connection, error: Exception) -> bool:
        """
        Be told of one that failed, and of which nothing is left.

        @return: Whether to try again.
        """


class IChange(IKind, Protocol):
    """
    One change of a spool.
    """

    def isQuick(self, bodies: Bodies) -> bool:
        """
        Tell whether L{prepare} and L{gather} wait for no disk.
        """

    def prepare(self, bodies: Bodies) -> None:
        """
        Write what is not in the database.
        """

    def gather(self, transaction: Transaction) -> None:
        """
        Add what it is to a transaction.
        """

    def undo(self, bodies: Bodies) -> None:
        """
        Take away what L{prepare} has written.
        """


def commit(
    database: sqlite3.Connection,
    bodies: Bodies,
    turns: Sequence[Sequence[IChange]],
    log: ILog | None = None,
) -> Results:
    """
    Make changes, and wait until they would survive a power cut.  Where they
    cannot be made together, each turn is tried by itself, and without what there
    is no room for (L{salvage}): one message that is too large is no reason to
    refuse another, or to forget what was delivered.

    @param database: Where to.
    @param bodies: Where contents are.
    @param turns: The changes.
    @param log: Sees to the log; L{None}: SQLite does.

    @return: For each change of each turn, in order, what went wrong or
        L{None}.
    """
    attempt = Attempt(database, bodies, turns, log)
    attempt.begin()
    return attempt.results()


def start(
    database: sqlite3.Connection,
    bodies: Bodies,
    turns: Sequence[Sequence[IChange]],
    log: ILog | None = None,
) -> Callable[[], Results]:
    """
    Begin what L{commit} does, as far as it takes no time: the rows are written
    in memory, by whoever calls this.  Two threads that hand Python's lock to
    each other for every statement are slower than one.

    @return: Does the rest, in a thread that may wait for the disk.
    """
    attempt = Attempt(database, bodies, turns, log)
    if attempt.isQuick:
        attempt.begin(isPatient=False)
    return attempt.results


class Attempt:
    """
    Some turns, as one transaction.
    """

    def __init__(
        self,
        database: sqlite3.Connection,
        bodies: Bodies,
        turns: Sequence[Sequence[IChange]],
        log: ILog | None = None,
    ) -> None:
        """
        @param database: Where to.
        @param bodies: Where contents are.
        @param turns: The changes.
        @param log: Sees to the log; L{None}: SQLite does.
        """
        self._log = log
        self._database = database
        self._bodies = bodies
        self._turns = turns
        self._changes = [change for turn in turns for change in turn]
        self._transaction = Transaction(database, bodies)
        self._isBegun = False
        self._error: Exception | None = None
        self._mayTryAgain = False

    @property
    def isQuick(self) -> bool:
        """
        Whether writing it, but for the commit, waits for no disk.
        """
        return all(change.isQuick(self._bodies) for change in self._changes)

    def begin(self, isPatient: bool = True) -> None:
        """
        Write all, without making it durable.

        @param isPatient: Whether to wait for somebody else who writes; else
            L{results} does.
        """
        try:
            self._begin(isPatient)
        except Exception as e:
            isBusy = getattr(e, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
            if isPatient or not isBusy or self._database.in_transaction:
                self._isBegun, self._error = True, e

    def _begin(self, isPatient: bool) -> None:
        if self._log is not None and self._log.damage is not None:
            raise self._log.damage
        for change in self._changes:
            change.prepare(self._bodies)
        self._bodies.sync()
        if isPatient:
            with _waiting(self._database):
                self._database.execute("BEGIN IMMEDIATE")
        else:
            self._database.execute("BEGIN IMMEDIATE")
        self._isBegun = True
        for change in self._changes:
            change.gather(self._transaction)
        self._transaction.write()

    def results(self) -> Results:
        """
        Make it durable, and say what became of each change.
        """
        if not self._isBegun:
            self.begin()
        error = self._finish()
        if self._mayTryAgain and self._again(self._turns) is None:
            error = None
        if error is not None:
            return salvage(self._again, self._turns, error)
        return [None] * len(self._changes)

    def _again(self, turns: Sequence[Sequence[IChange]]) -> Exception | None:
        attempt = Attempt(self._database, self._bodies, turns, self._log)
        attempt.begin()
        return attempt._finish()

    def _finish(self) -> Exception | None:
        try:
            if self._error is not None:
                raise self._error
            self._database.execute("COMMIT")
        except Exception as e:
            self._transaction.forget()
            _tidy(_rollback, self._database)
            for change in self._changes:
                _tidy(change.undo, self._bodies)
            # Else nothing could be written as long as their directory is broken,
            # however little it had to do with these.
            self._bodies.takeBack()
            if self._log is not None:
                self._mayTryAgain = self._log.failed(self._database, e)
            return translated(e, "write the spool")
        _tidy(self._transaction.clear)
        for act in self._transaction.after:
            act(self._database)
        if self._log is not None:
            self._log.wrote(self._database, self._transaction)
        return None


@contextmanager
def _waiting(database: sqlite3.Connection) -> Iterator[None]:
    """
    Wait meanwhile for somebody else who writes.
    """
    database.execute(f"PRAGMA busy_timeout = {int(PATIENCE * 1000)}")
    try:
        yield
    finally:
        database.execute("PRAGMA busy_timeout = 0")


def _rollback(database: sqlite3.Connection) -> None:
    if database.in_transaction:
        database.execute("ROLLBACK")


def _tidy(function: Callable[..., None], *arguments: Any) -> None:
    """
    Do what is only tidying up: what is left is found at the next start.
    """
    try:
        function(*arguments)
    except (sqlite3.Error, QueueError):
        return
