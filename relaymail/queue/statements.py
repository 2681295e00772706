# -*- test-case-name: relaymail.test.queue.test_restart -*-
"""
Writing down where names stand.  That is never the mail itself: losing it means
at worst that a name is tried too early after a restart.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaymail.errors import QueueFull
from relaymail.queue.changes import Change, PassingStatement, Statement, Telling
from relaymail.queue.disk import Disk
from relaymail.queue.records import Record
from relaymail.queue.window import LEASE, Entry
from relaymail.queue.writer import Writer


class Statements:
    """
    Writes the records of a directory queue.
    """

    log = Logger()

    def __init__(
        self, disk: Disk, base: str, writer: Writer[Change], number: Callable[[], int]
    ) -> None:
        """
        @param disk: Where to.
        @param base: The directory's path with a separator at its end.
        @param writer: What makes changes.
        @param number: Gives a number that it gave nobody before.
        """
        self._disk = disk
        self._base = base
        self._writer = writer
        self._number = number

    def claim(self, name: str, entry: Entry, now: float) -> Deferred[None] | None:
        """
        Write that a name is claimed, and its next time should nobody report.

        @param now: The time, in seconds.

        @return: Fires when that would survive a power cut; L{None} where
            nobody needs to wait.  It fails where the disk does, but not where
            that is only full: the queue must be able to drain.
        """
        if entry.bornClaimed:
            entry.bornClaimed = False
            return None
        kind = Statement if entry.stated else PassingStatement
        claimed = self._write(kind, name, entry, now + LEASE, claimed=True)
        if kind is PassingStatement:
            claimed.addErrback(self._complain, name)
            return None
        return claimed.addErrback(self._passFull, name)

    def rest(self, name: str, entry: Entry, due: float) -> Deferred[None]:
        """
        Write that a name rests.

        @param due: Until when, in seconds.

        @return: Fires when that would survive a power cut, or cannot be
            written, which is logged.
        """
        resting = self._write(Statement, name, entry, due, claimed=False)
        return resting.addErrback(self._complain, name)

    def tell(
        self, name: str, entry: Entry, due: float, claimed: bool
    ) -> Deferred[None]:
        """
        Write that the sender of a name was told that it is late, unless a notice
        that is added in the same turn is not taken.

        @param due: When it is due, in seconds.
        @param claimed: Whether it is claimed.

        @return: Fires when that would survive a power cut.
        """
        return self._write(Telling, name, entry, due, claimed)

    def restate(self, name: str, entry: Entry, due: float, claimed: bool) -> None:
        """
        Write again where a name stands; if that cannot be written, it is logged.

        @param due: When it is due, in seconds.
        @param claimed: Whether it is claimed.
        """
        written = self._write(Statement, name, entry, due, claimed)
        written.addErrback(self._complain, name)

    def _write(
        self, kind: type[Statement], name: str, entry: Entry, due: float, claimed: bool
    ) -> Deferred[None]:
        entry.stated = True
        record = Record(
            entry.arrived,
            due,
            entry.attempts,
            claimed,
            entry.status,
            entry.text,
            entry.parameters,
            entry.recipientParameters,
            entry.isTold,
            entry.origin,
        )
        change = kind(self._disk, self._base, name, record, self._number())
        return self._writer.submit(change)

    def _passFull(self, failure: Failure, name: str) -> None:
        if not isinstance(failure.value, QueueFull):
            failure.raiseException()
        self._complain(failure, name)

    def _complain(self, failure: Failure, name: str) -> None:
        self.log.failure("Cannot write where {name} stands", failure, name=name)
