# -*- test-case-name: relaymail.test.admin.test_asking -*-
"""
Where what is asked is answered: the relay, and what is known of it beyond what its
parts know.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.python.failure import Failure

from relaymail.admin.guarding import Refusal
from relaymail.admin.recent import Rates, RecentOutcomes
from relaymail.alarms import Alarm
from relaymail.errors import (
    ConfigurationError,
    MalformedAddress,
    MalformedMessage,
    NameBusy,
    NotSupported,
    QueueError,
    QueueFull,
)
from relaymail.inspection import DestinationCount, IInspectable, Listed
from relaymail.replies import printable

#: How many messages are given to the queue at a time: each is in memory.
MAX_SENDING = 4
#: What is called a policy that could be fetched.
FETCHED = "fetched"
#: What is called what came in.
ACCEPTED = "accepted"

#: Runs a function in a thread and gives a Deferred for what it returns.
Run = Callable[[Callable[[], Any]], Deferred[Any]]


@dataclass(frozen=True, slots=True)
class Policed:
    """
    How it is with the policies of MTA-STS of destinations.

    @ivar kept: How many are kept, by their modes.
    @ivar fetches: How often one was fetched since the relay was started, by what came
        of it: L{FETCHED}, or what RFC 8460 4.3.2.2 calls it.
    """

    kept: Mapping[str, int] = field(default_factory=dict)
    fetches: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Text:
    """
    An answer that is no JSON.

    @ivar kind: Its type.
    @ivar data: Its octets.
    """

    kind: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Stream:
    """
    An answer that is read while it is sent.

    @ivar kind: Its type.
    @ivar file: What to read; it is closed afterwards.
    """

    kind: str
    file: IO[bytes]


#: What an operation gives: a document, or one of the others.
Answer = Mapping[str, Any] | Text | Stream


@dataclass(slots=True)
class Desk:
    """
    What the operations are given.

    @ivar relay: The relay: C{queue}, C{manager}, C{intake}, C{configuration},
        C{addresses}, C{send}, C{reload}, C{started}.
    @ivar reactor: Tells the time where there is no queue, and ends waits.
    @ivar run: Runs what takes long, in a thread.
    @ivar recent: What became of mail lately.
    @ivar rates: How fast the counters of the queue grow.
    @ivar sending: Lets so many messages at a time be in memory.
    @ivar forgiven: What fails, and is tried all the same since somebody wanted
        mail to be tried now, a stretch of it at a time: each of them once.
    @ivar isStopping: Whether the relay is going down.
    @ivar describe: Gives the OpenAPI document.
    """

    relay: Any
    reactor: Any
    run: Run
    recent: RecentOutcomes = field(default_factory=RecentOutcomes)
    rates: Rates = field(default_factory=Rates)
    sending: DeferredSemaphore = field(
        default_factory=lambda: DeferredSemaphore(MAX_SENDING)
    )
    forgiven: set[Hashable] = field(default_factory=set)
    isStopping: bool = False
    describe: Callable[[], Mapping[str, Any]] = dict

    @property
    def queue(self) -> Any:
        """
        The queue.
        """
        return self.relay.queue

    @property
    def manager(self) -> Any:
        """
        The relaying manager.
        """
        return self.relay.manager

    def now(self) -> float:
        """
        Tell the time of the queue, in seconds of the epoch.
        """
        clock = getattr(self.relay.queue, "clock", None) or self.reactor
        seconds: float = clock.seconds()
        return seconds

    def inspectable(self) -> Any:
        """
        Give the queue, for what people ask of it.

        @raise Refusal: When it is of a kind that cannot be asked.
        """
        if not IInspectable.providedBy(self.queue):
            raise Refusal(
                409, "A queue of this kind cannot be looked into; a spool can."
            )
        return self.queue

    def largestMessage(self) -> int:
        """
        Say how large a message may be, in octets; 0: as large as it likes.
        """
        size: int = self.relay.intake.limits.messageSize
        return size

    def health(self) -> tuple[str, str]:
        """
        Say how the relay is: a word, and what is the matter.
        """
        if self.isStopping or self.manager.isStopping:
            return "stopping", "the relay is going down"
        try:
            hasRoom = self.queue.hasRoom()
        except QueueError as e:
            return "damaged", printable(str(e))
        if not hasRoom:
            return "full", "there is no room for more mail"
        return "running", ""

    def alarms(self) -> tuple[Alarm, ...]:
        """
        Give the alarms that sound.
        """
        siren = getattr(self.relay, "siren", None)
        return () if siren is None else tuple(siren.alarms)

    def dnssec(self) -> str | None:
        """
        Say what is known of the name servers, where mail is to be protected by DANE.
        """
        watch = getattr(self.relay, "watch", None)
        return None if watch is None else watch.state or None

    def policies(self) -> Policed:
        """
        Say how many policies of MTA-STS are kept, and how it went to fetch them.
        """
        known = getattr(self.manager, "policies", None)
        if known is None:
            return Policed()
        failures = {result.value: n for result, n in known.failures.items()}
        return Policed(dict(known.counts()), {FETCHED: known.fetched, **failures})

    def connections(self) -> dict[str, int]:
        """
        Say how many connections there are.
        """
        incoming = getattr(self.relay.intake, "connections", 0)
        return {"in": incoming, "out": len(self.manager.managed)}

    def connectionsTo(self, destination: str) -> int:
        """
        Say how many connections there are to a destination.
        """
        count = getattr(self.manager, "connectionsTo", None)
        return 0 if count is None else count(destination)

    async def found(self, name: str) -> Listed:
        """
        Say what is known of a name in the queue.

        @raise Refusal: When there is none.
        """
        entry: Listed | None = await self.inspectable().entry(name)
        if entry is None:
            raise noSuchName(name)
        return entry

    async def totals(self) -> dict[str, int]:
        """
        Say what was counted since the queue was made.
        """
        totals: dict[str, int] = dict(await self.inspectable().totals())
        accepted = totals.get("accepted", 0) + totals.get("generated", 0)
        self.rates.note(self.now(), {**self.recent.counts, ACCEPTED: accepted})
        return totals

    async def counted(self, limit: int) -> tuple[list[DestinationCount], int]:
        """
        Say which destinations have the most mail, and how many have any.
        """
        found: tuple[list[DestinationCount], int]
        found = await self.inspectable().destinations(limit)
        return found


def noSuchName(name: str) -> Refusal:
    """
    Say that there is no such name.
    """
    return Refusal(404, f"There is no {printable(name, 80)!r} in the queue.")


#: The errors that are the caller's to know, and their statuses; the first that
#: fits.
_STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (MalformedAddress, 400),
    (MalformedMessage, 400),
    (ConfigurationError, 400),
    (NameBusy, 409),
    (NotSupported, 409),
    (QueueFull, 503),
    (QueueError, 503),
)


def refusalOf(failure: Failure) -> Refusal | None:
    """
    Give what a failure is for who asked; L{None}: he cannot help it.
    """
    error = failure.value
    if isinstance(error, Refusal):
        return error
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            return Refusal(status, sentence(error))
    return None


def sentence(error: BaseException) -> str:
    """
    Give what an error says, as one sentence.
    """
    told = printable(str(error)) or type(error).__name__
    return told if told.endswith((".", "…", "?")) else f"{told}."
