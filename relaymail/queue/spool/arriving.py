# -*- test-case-name: relaymail.test.queue.spool.test_spool -*-
"""
Mail on its way into a spool.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaymail.envelopes import NO_PARAMETERS, Envelope
from relaymail.queue.said import heldUntil
from relaymail.queue.spool.backlog import Backlog
from relaymail.queue.spool.bodies import Kept
from relaymail.queue.spool.catalogue import Catalogue, Holding
from relaymail.queue.spool.changes import Arrival, Change, Place
from relaymail.queue.spool.numbers import Numbers
from relaymail.queue.spool.upkeep import Forgetting
from relaymail.queue.window import LEASE


@dataclass(frozen=True, slots=True)
class Arrived:
    """
    A message that was taken.

    @ivar names: The names of its recipients.
    @ivar entries: Those of them that are in the window; the others rest.
    """

    names: list[str]
    entries: dict[str, Holding]


class Arriving:
    """
    Takes mail.
    """

    log = Logger()

    def __init__(
        self,
        backlog: Backlog,
        numbers: Numbers,
        kept: Kept,
        catalogue: Catalogue,
        submit: Callable[[Change], Deferred[None]],
    ) -> None:
        """
        @param backlog: Knows which destinations have room in the window.
        @param numbers: Gives numbers.
        @param kept: Keeps contents in memory.
        @param catalogue: Reads the others back.
        @param submit: Has a change made.
        """
        self._backlog = backlog
        self._numbers = numbers
        self._kept = kept
        self._catalogue = catalogue
        self._submit = submit

    def take(
        self, envelope: Envelope, content: bytes | IO[bytes], now: float
    ) -> Deferred[Arrived]:
        """
        Take a message for all its recipients.

        @param now: The time, in seconds.

        @return: Fires when it would survive a power cut.
        """
        message = self._number(len(envelope.recipients))
        said = envelope.parameters
        until = None if said is NO_PARAMETERS else heldUntil(said, now)
        places = [
            self._placeFor(address, now, until) for address in envelope.recipients
        ]
        change = Arrival(message, envelope, places, content, now)
        return self._submit(change).addCallbacks(
            self._cbArrived,
            self._ebArrived,
            callbackArgs=(change, envelope, now),
            errbackArgs=(places,),
        )

    def adopt(
        self,
        envelope: Envelope,
        places: Sequence[Place],
        content: bytes | IO[bytes],
        arrived: float,
        source: Sequence[str],
    ) -> Deferred[None]:
        """
        Take a message over from another queue: its recipients rest.

        @param arrived: When it was accepted, in seconds.
        @param source: The names it had there.

        @return: Fires when it would survive a power cut.
        """
        message = self._number(len(places))
        change = Arrival(message, envelope, places, content, arrived, source)
        return self._submit(change).addCallback(lambda _: self._adopted(change))

    def imported(self) -> set[str]:
        """
        Give the names that L{adopt} was told and L{forgetImported} has not
        forgotten.
        """
        return self._catalogue.imported()

    def forgetImported(self) -> Deferred[None]:
        """
        Forget the names that L{adopt} was told.
        """
        return self._submit(Forgetting())

    def _adopted(self, change: Arrival) -> None:
        for number, place in enumerate(change.places, change.message):
            self._backlog.rests(place.destination, place.due, number)

    def _number(self, count: int) -> int:
        first, wider = self._numbers.take(count)
        if wider is not None:
            self._submit(wider).addErrback(self._notReserved)
        return first

    def _placeFor(self, address: str, now: float, until: float | None) -> Place:
        """
        Say where a new name stands: it is born claimed, in the window, unless
        its destination has enough there.

        @param until: Until when it is not to be sent; L{None}: at once.
        """
        destination = address.rpartition("@")[2].lower()
        if until is not None:
            return Place(address, destination, until, None)
        if not self._backlog.roomFor(destination):
            return Place(address, destination, now, None)
        self._backlog.hold(destination)
        return Place(address, destination, now, now + LEASE)

    def _cbArrived(
        self, _: None, change: Arrival, envelope: Envelope, now: float
    ) -> Arrived:
        message, body = change.message, change.body
        inWindow = sum(place.lease is not None for place in change.places)
        data = self._kept.take(message, inWindow, body.data)
        isApart = body.data is None
        content = self._catalogue.content(
            message, body.size, body.eightBit, isApart, data
        )
        names: list[str] = []
        entries: dict[str, Holding] = {}
        for number, place in enumerate(change.places, message):
            names.append(str(number))
            if place.lease is None:
                self._backlog.rests(place.destination, place.due, number)
                continue
            entries[str(number)] = Holding(
                now,
                parameters=envelope.parameters,
                envelope=(envelope.sender, place.address),
                content=content,
                origin=envelope.origin,
                id=number,
                message=message,
                recipients=len(change.places),
                destination=place.destination,
                isApart=isApart,
            )
            if envelope.recipientParameters:
                entries[str(number)].recipientParameters = envelope.parametersOf(
                    number - message
                )
        return Arrived(names, entries)

    def _ebArrived(self, failure: Failure, places: Sequence[Place]) -> Failure:
        for place in places:
            if place.lease is not None:
                self._backlog.release(place.destination)
        return failure

    def _notReserved(self, failure: Failure) -> None:
        self._numbers.notReserved()
        self.log.failure("Cannot reserve numbers for names", failure)
