# -*- test-case-name: relaymail.test.queue.spool.test_triage -*-
"""
What is written where there is no room for all that was asked for.

What is asked for in one turn is one transaction, all or nothing.  But mail that
comes is refused where there is no room for it, and is then no reason not to write
what became of other mail, which takes little room and makes some.  Only a notice
and the bounces that it tells of are not parted: mail goes when its sender has been
told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Protocol, TypeVar

from relaymail.errors import QueueFull
from relaymail.queue.writer import Results


class Kind(Enum):
    """
    What a change is where there is little room.
    """

    #: Nothing is written.
    READING = 1
    #: It says what became of mail.
    RECORD = 2
    #: The same, but for mail whose sender is to be told.
    BOUNCE = 3
    #: Mail comes.
    MAIL = 4
    #: Mail comes that may tell of bounces.
    NOTICE = 5


class IKind(Protocol):
    """
    A change.

    @ivar kind: What it is.
    """

    @property
    def kind(self) -> Kind:
        """
        See L{Kind}.
        """


_C = TypeVar("_C", bound=IKind)

_COMING = frozenset((Kind.MAIL, Kind.NOTICE))
_WITHOUT_NOTICE = _COMING | {Kind.BOUNCE}
_WRITING = _WITHOUT_NOTICE | {Kind.RECORD}


def salvage(
    write: Callable[[Sequence[Sequence[_C]]], Exception | None],
    turns: Sequence[Sequence[_C]],
    error: Exception,
) -> Results:
    """
    Write what can be of some turns that could not be written together: each by
    itself, and one that there is no room for without the mail that comes, or
    else without all that writes.

    @param write: Writes some turns as one transaction, and gives what went
        wrong or L{None}.
    @param turns: The changes.
    @param error: Why they could not be written.

    @return: For each change of each turn, in order, what went wrong or
        L{None}.
    """
    if len(turns) == 1:
        return _partOf(write, turns[0], error)
    results: Results = []
    for turn in turns:
        wrong = write([turn])
        if wrong is None:
            results += [None] * len(turn)
        else:
            results += _partOf(write, turn, wrong)
    return results


def _partOf(
    write: Callable[[Sequence[Sequence[_C]]], Exception | None],
    turn: Sequence[_C],
    error: Exception,
) -> Results:
    if isinstance(error, QueueFull):
        for left in _leavings(turn):
            part = [change for change in turn if change.kind not in left]
            if write([part]) is None:
                return [error if change.kind in left else None for change in turn]
    return [error] * len(turn)


def _leavings(turn: Sequence[IKind]) -> Iterator[frozenset[Kind]]:
    """
    Give the kinds that are left out, one try after the other, where that leaves
    something out and something in.
    """
    kinds = {change.kind for change in turn}
    coming = _WITHOUT_NOTICE if Kind.NOTICE in kinds else _COMING
    tried = kinds
    for left in (coming, _WRITING):
        part = kinds - left
        if part and part != tried:
            yield left
            tried = part
