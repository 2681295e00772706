# -*- test-case-name: relaymail.test.queue.spool.test_searching -*-
"""
Finding names in a spool's database: the one place that says what is asked of it
for people.

Names are looked for in the order of their numbers, which is that of their arrival,
stretch by stretch: a search that finds little ends within a bound all the same, and
goes on from where it was.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

from relaymail.inspection import Listed, NameState, Page, Selection
from relaymail.queue.said import originIn
from relaymail.queue.spool.narrowing import narrowed
from relaymail.queue.spool.saying import shownColumns

#: How many rows are looked at, at most, before the time is: a few milliseconds of
#: work.
STRETCH = 5_000
#: How long a search goes on, in seconds, before it says where it is.
SEARCH = 0.15
#: The longest number of a name, in digits.
MAX_DIGITS = 18
#: After the last number there may be.
_END = 10**MAX_DIGITS

#: Gives what L{listed} takes.
_LISTED = (
    "SELECT r.id, r.message, m.sender, r.address, r.destination, m.size, "
    "coalesce({since}, m.arrived), r.attempts, r.due, r.lease, r.status, r.reply, "
    "r.aside, {held}, m.body, m.ret, m.envid, m.utf8, m.requiretls, m.options, "
    "r.notify, r.orcpt, {told}, {origin}, {released} "
    "FROM recipient r {by} LEFT JOIN message m ON m.id = r.message "
)
#: The end of so many numbers, past those whose names have gone: to count the names
#: takes as long as to look at them.
_STRETCH = "SELECT min(id) + :count - 1 FROM recipient WHERE id > :last"
#: The last of so many that are kept back or were set aside.
_STRETCH_OF_KEPT = (
    "SELECT max(id) FROM (SELECT r.id FROM recipient r {by} "
    "WHERE r.id > :last AND {kept} ORDER BY r.id LIMIT :count)"
)
#: The order is that of the numbers, whatever else would find the rows.
_ALL = ("NOT INDEXED", "1")
#: What is kept back, or was set aside.
_KEPT = ("INDEXED BY kept", "(r.held IS NOT NULL OR r.aside IS NOT NULL)")
_HERE = "r.aside IS NULL AND {held} IS NULL AND "
#: Where a name may be whose row says so: what is claimed is known by whoever
#: claimed it.
_STATES = {
    NameState.WAITING: _HERE + "(r.lease IS NOT NULL OR r.due <= :now)",
    NameState.RESTING: _HERE + "(r.lease IS NOT NULL OR r.due > :now)",
    NameState.RELAYING: _HERE + "1",
    NameState.HELD: "r.aside IS NULL AND {held} IS NOT NULL",
    NameState.ASIDE: "r.aside IS NOT NULL",
}
#: Where few are, which have an index.
_FEW = frozenset((NameState.HELD, NameState.ASIDE))
#: Gives the condition of each other part of a selection.
_CONDITIONS = {
    "sender": "m.sender LIKE :sender ESCAPE '\\'",
    "recipient": "r.address LIKE :recipient ESCAPE '\\'",
    "domain": "r.destination = :domain",
    "olderThan": "coalesce({since}, m.arrived) <= :now - :olderThan",
    "youngerThan": "coalesce({since}, m.arrived) >= :now - :youngerThan",
    "largerThan": "m.size >= :largerThan",
    "smallerThan": "m.size <= :smallerThan",
    "reply": "r.reply LIKE :reply ESCAPE '\\'",
}

#: Says what else is known of a name, or that there is no such name any more.
Correct = Callable[[Listed], Listed | None]


def isNumber(name: str) -> bool:
    """
    Tell whether a name may be that of a row, written as the row's is: with zeros
    before it, it would be another name for the same mail.
    """
    isCanonical = name == "0" or not name.startswith("0")
    return isCanonical and name.isascii() and name.isdigit() and len(name) <= MAX_DIGITS


class Columns:
    """
    What is asked of a database of this version, or an older one.
    """

    def __init__(self, version: int) -> None:
        """
        @param version: That of its tables.
        """
        self._isOld = version < 2
        self._names = {
            "{held}": "NULL" if version < 2 else "r.held",
            "{since}": "NULL" if version < 2 else "r.since",
            "{told}": "0" if version < 3 else "r.told",
            "{origin}": "''" if version < 4 else "r.origin",
            "{released}": "0" if version < 4 else "r.released",
        }

    def __call__(self, statement: str) -> str:
        """
        Give a statement as that database takes it.
        """
        for name, column in self._names.items():
            statement = statement.replace(name, column)
        return statement

    def rows(self, statement: str, state: NameState | None = None) -> str:
        """
        Give a statement about the rows of one state, as that database takes it.
        """
        by, kept = _KEPT if self.isIndexed(state) else _ALL
        return self(statement.replace("{by}", by).replace("{kept}", kept))

    def stretch(self, state: NameState | None) -> str:
        """
        Give the statement that says how far a stretch of the rows of one state goes.
        """
        isKept = self.isIndexed(state)
        return self.rows(_STRETCH_OF_KEPT, state) if isKept else _STRETCH

    def isIndexed(self, state: NameState | None) -> bool:
        """
        Tell whether an index knows which rows are of one state.
        """
        return state in _FEW and not self._isOld

    @property
    def hasKept(self) -> bool:
        """
        Tell whether an index knows what is kept back.
        """
        return not self._isOld

    @property
    def heldOfDestination(self) -> str:
        """
        Give what says how many names of a destination are held.
        """
        return "0" if self._isOld else "held"

    @property
    def hasSuspensions(self) -> bool:
        """
        Tell whether there is a table of what is suspended.
        """
        return not self._isOld


def search(
    database: sqlite3.Connection,
    columns: Columns,
    selection: Selection,
    now: float,
    limit: int,
    after: str | None,
    timer: Callable[[], float],
    correct: Correct = lambda found: found,
    claimed: Collection[int] = (),
) -> Page:
    """
    Find names.

    Addresses and replies are compared without regard to the case of ASCII
    letters; C{*} is any text in an address, and nothing else is special.

    @param columns: What that database has.
    @param now: The time, in seconds.
    @param limit: How many at most.
    @param after: The C{next} of the page before.
    @param timer: Tells how long it takes, in seconds.
    @param correct: Says what else is known of each.
    @param claimed: The numbers of what is claimed of the destination that is meant,
        as far as they are known.

    @raise ValueError: When C{after} is none.
    """
    last = _placeOf(after)
    if columns.hasKept and not selection.names:
        numbers = narrowed(database, selection, claimed)
        if numbers == []:
            return Page(())
        selection = replace(selection, names=tuple(map(str, numbers or ())))
    statement, values = _asked(columns, selection, now)
    found: list[Listed] = []
    ends = timer() + SEARCH
    stretch = None if selection.names else columns.stretch(selection.state)
    for stop in _stretches(database, last, stretch):
        rows = database.execute(statement, {**values, "after": last, "stop": stop})
        for row in rows:
            one = correct(listed(row, now))
            if one is None or selection.state not in (None, one.state):
                continue
            if len(found) == limit:
                return Page(tuple(found), found[-1].name)
            found.append(one)
        last = stop
        if last < _END and timer() > ends:
            isEnough = len(found) == limit
            return Page(tuple(found), str(last), isEnough)
    return Page(tuple(found))


def find(
    database: sqlite3.Connection, columns: Columns, name: str, now: float
) -> Listed | None:
    """
    Give what is known of a name; L{None} where there is no such name.

    @param columns: What that database has.
    @param now: The time, in seconds.
    """
    if not isNumber(name):
        return None
    statement = columns.rows(_LISTED) + "WHERE r.id = ?"
    row = database.execute(statement, (int(name),)).fetchone()
    return None if row is None else listed(row, now)


def listed(row: Sequence[Any], now: float) -> Listed:
    """
    Say what a row says.

    @param row: What was found.
    @param now: The time, in seconds.
    """
    number, message, sender, recipient, destination, size, arrived = row[:7]
    attempts, due, lease, status, reply, aside, held = row[7:14]
    state = NameState.WAITING
    if aside is not None:
        state = NameState.ASIDE
    elif held is not None:
        state = NameState.HELD
    elif lease is None and due > now:
        state = NameState.RESTING
    return Listed(
        str(number),
        str(message),
        sender or "",
        recipient,
        destination,
        size or 0,
        # A row whose message is gone knows no better.
        due if arrived is None else arrived,
        attempts,
        due,
        state,
        status,
        reply,
        aside or held or "",
        shownColumns(row[14:23]),
        originIn(row[23]),
        bool(row[24]),
    )


def _placeOf(after: str | None) -> int:
    if after is None:
        return 0
    if not isNumber(after):
        raise ValueError(f"{after!r} is no place to go on from")
    return int(after)


def _stretches(
    database: sqlite3.Connection, last: int, statement: str | None
) -> Iterator[int]:
    """
    Give the last numbers of the stretches to be looked at.
    """
    if statement is None:
        # They are found by their numbers.
        yield _END
        return
    while True:
        values = {"last": last, "count": STRETCH}
        (last,) = database.execute(statement, values).fetchone()
        if last is None:
            return
        yield last


def _asked(
    columns: Columns, selection: Selection, now: float
) -> tuple[str, dict[str, Any]]:
    """
    Give the statement that finds what is meant, and its values.
    """
    values: dict[str, Any] = {"now": now}
    conditions = ["r.id > :after AND r.id <= :stop"]
    if selection.names:
        conditions.append("r.id IN (SELECT value FROM json_each(:names))")
        numbers = [int(name) for name in selection.names if isNumber(name)]
        values["names"] = json.dumps(numbers)
    if selection.state is not None:
        conditions.append(_STATES[selection.state])
    for part, condition in _CONDITIONS.items():
        value = getattr(selection, part)
        if value is not None:
            conditions.append(condition)
            values[part] = _VALUES.get(part, _same)(value)
    statement = _LISTED + "WHERE " + " AND ".join(conditions) + " ORDER BY r.id"
    state = None if selection.names else selection.state
    return columns.rows(statement, state), values


def _same(value: Any) -> Any:
    return value


def _pattern(address: str) -> str:
    """
    Give what is asked for where C{*} is any text, and C{@domain} each address
    there.
    """
    bare = address
    if bare.startswith("<") and bare.endswith(">"):
        bare = bare[1:-1]
    return _literal("*" + bare if bare.startswith("@") else bare).replace("*", "%")


def _part(text: str) -> str:
    return f"%{_literal(text)}%"


def _literal(text: str) -> str:
    for special in "\\%_":
        text = text.replace(special, "\\" + special)
    return text


#: What makes the value of a condition out of what was said.
_VALUES: dict[str, Callable[[Any], Any]] = {
    "sender": _pattern,
    "recipient": _pattern,
    "domain": lambda domain: domain.lower().rstrip("."),
    "reply": _part,
}
