# -*- test-case-name: relaymail.test.queue.spool.test_changes -*-
"""
What may be asked of a spool's database: that mail comes, stands somewhere or
goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any

from relaymail.envelopes import NO_PARAMETERS, Envelope
from relaymail.outcomes import Bounce, Delivered, Outcome, Removed
from relaymail.queue.said import originText, saysMore
from relaymail.queue.spool.bodies import Bodies, Body
from relaymail.queue.spool.rows import Stand, Transaction
from relaymail.queue.spool.saying import columnsOf
from relaymail.queue.spool.triage import Kind

_TOLD = "UPDATE recipient SET told = 1 WHERE id = ?"

#: The totals of mail that goes when its sender has been told.
NEED_NOTICE = frozenset(("bounced", "expired"))


class Change:
    """
    One change of a spool.
    """

    @property
    def kind(self) -> Kind:
        """
        What it is where there is little room.
        """
        return Kind.RECORD

    def isQuick(self, bodies: Bodies) -> bool:
        """
        See L{IChange.isQuick<relaymail.queue.spool.rows.IChange.isQuick>}.
        """
        return True

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


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where a recipient stands when it arrives.

    @ivar address: The forward-path.
    @ivar destination: Its domain.
    @ivar due: When it is due, in seconds.
    @ivar lease: Until when it is claimed; L{None}: it rests.
    @ivar attempts: How many attempts were begun.
    @ivar status: The enhanced status of the last outcome, or empty.
    @ivar reply: What was said last, or empty.
    @ivar isTold: Whether its sender was told that it is late.
    """

    address: str
    destination: str
    due: float
    lease: float | None
    attempts: int = 0
    status: str = ""
    reply: str = ""
    isTold: bool = False


class Arrival(Change):
    """
    A message comes, for all its recipients or for none.

    @ivar body: Its content, once it is prepared.
    """

    body: Body

    def __init__(
        self,
        message: int,
        envelope: Envelope,
        places: Sequence[Place],
        content: bytes | IO[bytes],
        arrived: float,
        source: Sequence[str] = (),
    ) -> None:
        """
        @param message: The number of the message, which is that of its first
            recipient.
        @param content: Left alone until it is stored.
        @param arrived: When, in seconds.
        @param source: The names it had in another queue.
        """
        self.message = message
        self.places = places
        self._envelope = envelope
        self._content = content
        self._arrived = arrived
        self._source = source
        self._isRead = False
        self._start = 0

    @property
    def kind(self) -> Kind:
        """
        See L{Change.kind}.
        """
        return Kind.MAIL if self._envelope.sender else Kind.NOTICE

    def isQuick(self, bodies: Bodies) -> bool:
        """
        See L{Change.isQuick}.
        """
        return isinstance(self._content, bytes) and bodies.fits(self._content)

    def prepare(self, bodies: Bodies) -> None:
        """
        Read the content, or write it into a file.
        """
        if not isinstance(self._content, bytes):
            self._rewind(self._content)
        self.body = bodies.store(self.message, self._content)

    def _rewind(self, content: IO[bytes]) -> None:
        # A batch that failed is tried again, turn by turn: what was read then
        # is the content all the same.
        if self._isRead:
            content.seek(self._start)
            return
        # What cannot go back is read once: then it cannot be tried again.
        with suppress(OSError):
            self._start = content.tell()
        self._isRead = True

    def gather(self, transaction: Transaction) -> None:
        """
        A message and its recipients.
        """
        message, body, envelope = self.message, self.body, self._envelope
        sender = envelope.sender
        row = (
            message,
            len(self.places),
            sender,
            body.size,
            envelope.parameters.body,
            body.eightBit,
            self._arrived,
            body.data,
        )
        recipients = transaction.recipients
        # Nearly all mail says nothing.
        mayBeSaying = (
            envelope.parameters is not NO_PARAMETERS
            or envelope.recipientParameters
            or self._source
        )
        isSaying = mayBeSaying and self._isSaying
        if isSaying:
            recipients = []
            said = columnsOf(envelope.parameters)
            transaction.saying.append(((*row, *said), recipients))
        else:
            transaction.messages.append(row)
        origin = originText(envelope.origin)
        for number, place in enumerate(self.places, message):
            recipient = (
                number,
                message,
                place.address,
                place.destination,
                place.due,
                place.attempts,
                place.lease,
                place.status,
                place.reply,
                origin,
            )
            if isSaying:
                said = self._saidOf(number - message, place)
                recipient = (*recipient, *said)
            recipients.append(recipient)
            transaction.queued[place.destination] += 1
            if place.lease is None:
                transaction.resting[place.destination] += 1
        kind = "accepted" if sender else "generated"
        transaction.totals[kind] += len(self.places)
        for name in self._source:
            transaction.database.execute("INSERT INTO imported VALUES (?)", (name,))

    @property
    def _isSaying(self) -> bool:
        """
        Whether more is to be written of it than of others.
        """
        envelope = self._envelope
        if envelope.recipientParameters or saysMore(envelope.parameters):
            return True
        return bool(self._source) and any(place.isTold for place in self.places)

    def _saidOf(self, index: int, place: Place) -> tuple[Any, ...]:
        said = self._envelope.parametersOf(index)
        return (said.orcpt, said.notify, place.isTold)

    def undo(self, bodies: Bodies) -> None:
        """
        Remove the file.
        """
        bodies.remove(self.message)


@dataclass(frozen=True, slots=True)
class Standing(Change):
    """
    Where a recipient stands is written.

    @ivar id: Its number.
    @ivar destination: Its domain.
    @ivar due: When it is due, in seconds.
    @ivar attempts: How many attempts were begun.
    @ivar lease: Until when it is claimed; L{None}: it rests.
    @ivar status: The enhanced status of the last outcome, or empty.
    @ivar reply: What was said last, or empty.
    @ivar aside: Why it was set aside; L{None}: it was not.
    @ivar stand: Whether it rests.
    """

    id: int
    destination: str
    due: float
    attempts: int
    lease: float | None
    status: str = ""
    reply: str = ""
    aside: str | None = None
    stand: Stand = field(default_factory=Stand)

    def gather(self, transaction: Transaction) -> None:
        """
        One row changes.
        """
        transaction.updates.append(
            (
                self.due,
                self.attempts,
                self.lease,
                self.status,
                self.reply,
                self.aside,
                self.id,
            )
        )
        transaction.move(self.stand, self.destination, self.lease is None)
        if self.aside is not None:
            transaction.queued[self.destination] -= 1
            transaction.totals["aside"] += 1


@dataclass(frozen=True, slots=True)
class Telling(Change):
    """
    The sender of a recipient's mail was told that it is late.

    @ivar id: The recipient's number.
    """

    id: int

    @property
    def kind(self) -> Kind:
        """
        See L{Change.kind}: it is not true without the notice that says so.
        """
        return Kind.BOUNCE

    def gather(self, transaction: Transaction) -> None:
        """
        One row changes.
        """
        transaction.database.execute(_TOLD, (self.id,))


@dataclass(frozen=True, slots=True)
class Departure(Change):
    """
    A recipient goes; its message goes with the last.

    @ivar id: Its number.
    @ivar message: That of its message.
    @ivar recipients: How many the message had.
    @ivar destination: Its domain.
    @ivar why: What became of it, the name of a total.
    @ivar stand: Whether it rests.
    @ivar isApart: Whether the content is in a file of its own.
    """

    id: int
    message: int
    recipients: int
    destination: str
    why: str
    stand: Stand = field(default_factory=Stand)
    isApart: bool = False

    @property
    def kind(self) -> Kind:
        """
        See L{Change.kind}.
        """
        return Kind.BOUNCE if self.why in NEED_NOTICE else Kind.RECORD

    def gather(self, transaction: Transaction) -> None:
        """
        One row goes, perhaps two.
        """
        transaction.gone.append((self.id,))
        transaction.perhapsLast[self.message] = self.recipients
        transaction.queued[self.destination] -= 1
        transaction.move(self.stand, self.destination, False)
        transaction.totals[self.why] += 1
        if self.isApart:
            transaction.apart.add(self.message)


def totalOf(outcome: Outcome | None, sender: str) -> str:
    """
    Say under which total it counts that a name goes.
    """
    if isinstance(outcome, Delivered):
        return "delivered"
    if isinstance(outcome, Removed) and outcome.isDiscarded:
        return "discarded"
    if not isinstance(outcome, Bounce):
        return "removed"
    if not sender and not outcome.isReplaced:
        return "discarded"
    return "expired" if outcome.expired else "bounced"
