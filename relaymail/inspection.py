# -*- test-case-name: relaymail.test.test_inspection -*-
"""
What people ask of a queue, and what they are told: which names there are, where
each stands, and how much each destination has, by age.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import TYPE_CHECKING

from zope.interface import Attribute, Interface

from relaymail.envelopes import NO_ORIGIN, Origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred

#: The bounds between the ages that a L{Shape} tells apart, in seconds: each is
#: twice the one before, and what is older than the last is a group of its own.
AGE_BOUNDS = (300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 76800)
#: How many ages a L{Shape} tells apart.
AGE_GROUPS = len(AGE_BOUNDS) + 1


class NameState(Enum):
    """
    Where a name stands in its queue.  The value is what people read.
    """

    #: It is due, and no attempt was begun.
    WAITING = "waiting"
    #: It is tried again when its time comes.
    RESTING = "resting"
    #: An attempt is under way.
    RELAYING = "relaying"
    #: An operator keeps it back.
    HELD = "held"
    #: It cannot be used, and a person is to look at it.
    ASIDE = "aside"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """
    Which names are meant: those of which all that is said here is true.

    @ivar names: These names only; none given: any.
    @ivar sender: The reverse-path, with C{*} for any text; C{@domain} is each
        address there; C{<>} the empty one.
    @ivar recipient: The forward-path, in the same way.
    @ivar domain: The destination.
    @ivar olderThan: The least age, in seconds.
    @ivar youngerThan: The greatest age, in seconds.
    @ivar largerThan: The least size, in octets.
    @ivar smallerThan: The greatest size, in octets.
    @ivar state: Where they stand.
    @ivar reply: What is somewhere in the last reply, in either case.
    """

    names: tuple[str, ...] = ()
    sender: str | None = None
    recipient: str | None = None
    domain: str | None = None
    olderThan: float | None = None
    youngerThan: float | None = None
    largerThan: int | None = None
    smallerThan: int | None = None
    state: NameState | None = None
    reply: str | None = None

    @property
    def isEmpty(self) -> bool:
        """
        Whether every name is meant.
        """
        return all(getattr(self, item.name) == item.default for item in fields(self))


@dataclass(frozen=True, slots=True)
class Listed:
    """
    What is known of a name.

    @ivar name: The name.
    @ivar message: What the names of one message share.
    @ivar sender: The reverse-path.
    @ivar recipient: The forward-path.
    @ivar destination: Its domain.
    @ivar size: The size of the content, in octets.
    @ivar arrived: When it was accepted, in seconds of the epoch.
    @ivar attempts: How many attempts were begun.
    @ivar due: When it is due, in seconds of the epoch.
    @ivar state: Where it stands.
    @ivar status: The enhanced status of the last outcome, or empty.
    @ivar reply: What was said last, or empty.
    @ivar why: Why it is held or was set aside, or empty.
    @ivar parameters: What MAIL and RCPT said, and whether the sender was told that
        it is late, for people to read; or empty.
    @ivar origin: Where its message came in from.
    @ivar isReleased: Whether an operator released it after it was held.
    """

    name: str
    message: str
    sender: str
    recipient: str
    destination: str
    size: int
    arrived: float
    attempts: int
    due: float
    state: NameState
    status: str = ""
    reply: str = ""
    why: str = ""
    parameters: str = ""
    origin: Origin = NO_ORIGIN
    isReleased: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """
    Some of the names that are meant, in the order of their arrival.

    @ivar entries: They.
    @ivar next: What the search goes on after; L{None}: there is nothing more.
    @ivar isComplete: Whether as many are here as were asked for, or all there
        are; else the search took too long, and goes on when it is asked again.
    """

    entries: tuple[Listed, ...]
    next: str | None = None
    isComplete: bool = True


@dataclass(frozen=True, slots=True)
class DestinationCount:
    """
    How much mail a destination has.

    @ivar name: Its domain.
    @ivar queued: How many names there are.
    @ivar resting: How many of them rest.
    @ivar held: How many of them an operator keeps back.
    """

    name: str
    queued: int
    resting: int
    held: int = 0


def groupOf(age: float) -> int:
    """
    Say which group of ages an age is in.

    @param age: It, in seconds.
    """
    return bisect_right(AGE_BOUNDS, age)


@dataclass(frozen=True, slots=True)
class AgeRow:
    """
    How old the mail of a destination is.

    @ivar name: Its domain.
    @ivar total: How many names there are.
    @ivar ages: How many are younger than each of L{AGE_BOUNDS}, and not than
        the one before; the last number is of those that are older than all.
    """

    name: str
    total: int
    ages: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """
    What is queued, by destination and age.

    @ivar rows: The largest destinations.
    @ivar total: All destinations together.
    @ivar isSampled: Whether the ages were reckoned from a part of the names.
    """

    rows: tuple[AgeRow, ...] = ()
    total: AgeRow = field(default_factory=lambda: AgeRow("", 0, (0,) * AGE_GROUPS))
    isSampled: bool = False


class IInspectable(Interface):
    """
    What people ask of a queue, and tell it, while it is open.  Nothing here reads
    the whole of it in one go, or keeps the reactor for longer than one row takes.

    What changes a name fails with a L{KeyError} where there is none, with
    L{NameBusy <relaymail.errors.NameBusy>} where an attempt is under way for it,
    and with L{NotSupported <relaymail.errors.NotSupported>} where a queue of this
    kind cannot do that.
    """

    onWithdrawn: Callable[[str], None] | None = Attribute(
        "Called with a name that waits no longer although nobody claimed it, and "
        "may wait again. None: nobody wants to know."
    )

    def look(
        selection: Selection, limit: int = 100, after: str | None = None
    ) -> Deferred[Page]:
        """
        Find names, in the order of their arrival.

        @param limit: How many at most.
        @param after: The C{next} of the page before; L{None}: from the first.

        @return: Fires, within a bound, with those found by then.
        """

    def entry(name: str) -> Deferred[Listed | None]:
        """
        Give what is known of a name; L{None} where there is no such name.
        """

    def destinations(limit: int = 100) -> Deferred[tuple[list[DestinationCount], int]]:
        """
        Give the destinations that have mail, those with the most first, and how
        many there are in all.

        @param limit: How many of them at most.
        """

    def shape(limit: int = 20) -> Deferred[Shape]:
        """
        Give what is queued, by destination and age.

        @param limit: How many destinations at most, those with the most first.
        """

    def totals() -> Deferred[dict[str, int]]:
        """
        Give what was counted since the queue was made: C{accepted},
        C{generated}, C{delivered}, C{bounced} and so on.
        """

    def hasten(name: str) -> Deferred[None]:
        """
        Let a name be due now; one that is held is so when it is released.
        """

    def hastenAll(destination: str) -> Deferred[int]:
        """
        Let all names of a destination be due now that rest because they are to be
        tried again, a bounded number at a time: what rests by wish of its sender
        (RFC 4865) is to be named.

        @return: Fires with how many they were, when all are.
        """

    def hold(name: str, why: str) -> Deferred[None]:
        """
        Keep a name back until L{release}: it is not sent, does not expire, and
        a restart does not change that.

        @param why: Why, in words.
        """

    def release(name: str) -> Deferred[None]:
        """
        Keep a name back no longer: it is due now, and no rule keeps it back again
        (L{Outline.isReleased<relaymail.envelopes.Outline>}).
        """

    def requeue(name: str) -> Deferred[None]:
        """
        Begin anew with a name, also with one that is held or was set aside, as
        if its message had just arrived; a rule may keep it back again.
        """

    def claim(name: str) -> Deferred[None] | None:
        """
        Claim a name that waits, rests or is held, as C{setRelaying} does one
        that waits, without counting it as an attempt.
        """

    def suspensions() -> dict[str, str]:
        """
        Give the destinations that an operator has suspended, and why.
        """

    def suspend(destination: str, why: str) -> Deferred[None] | None:
        """
        Remember, over restarts too, that an operator has suspended a destination.
        """

    def resume(destination: str) -> Deferred[None] | None:
        """
        Remember it no longer.
        """
