# -*- test-case-name: relaymail.test.queue.spool.test_shaping -*-
"""
What is in a spool, by destination and age, as its database says.

How much each destination has is counted whenever mail comes and goes.  How old it
is is not: of a few rows it is read, and of many it is reckoned from some, so that
it takes no longer with a million.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from math import ceil
from random import Random

from relaymail.inspection import (
    AGE_GROUPS,
    AgeRow,
    DestinationCount,
    Shape,
    groupOf,
)
from relaymail.queue.spool.searching import Columns

#: Up to how many rows all of them are read.
EXACT = 50_000
#: How many are read of more than that.
SAMPLE = 10_000
#: How many places they are taken from: what came together is of one age.
PLACES = 500
#: How long they are read, in seconds.
PATIENCE = 0.03
#: After how long nothing more is read, in seconds.
LONGEST = 0.07
#: How many of a destination say how old its mail is; where the sample has fewer,
#: so many of the first and of the last to be due are read.
ENOUGH = 100
#: How many destinations are read in this way.
MAX_READ = 50

_BIGGEST = (
    "SELECT name, queued, resting, {count} FROM destination WHERE queued > 0 "
    "ORDER BY queued DESC, name LIMIT ?"
)
_IN_ALL = "SELECT count(*), coalesce(sum(queued), 0) FROM destination WHERE queued > 0"
_AGES = (
    "SELECT r.destination, coalesce({since}, m.arrived) "
    "FROM recipient r {by} LEFT JOIN message m ON m.id = r.message WHERE "
)
_ALL = _AGES + "r.aside IS NULL"
_SOME = _AGES + "r.id >= ? AND r.id < ? AND r.aside IS NULL LIMIT ?"
#: Each is found at an end of the table; both together in the whole of it.
_BOUNDS = "SELECT (SELECT min(id) FROM recipient), (SELECT max(id) FROM recipient)"
_OF_ONE = _AGES + "r.destination = ? AND r.lease IS NULL ORDER BY r.due {way} LIMIT ?"

_Ages = dict[str, Counter[int]]


def biggest(
    database: sqlite3.Connection, columns: Columns, limit: int
) -> list[DestinationCount]:
    """
    Give the destinations with the most mail.

    @param columns: What that database has.
    @param limit: How many at most.
    """
    statement = _BIGGEST.replace("{count}", columns.heldOfDestination)
    rows = database.execute(statement, (limit,))
    return [DestinationCount(*row) for row in rows]


def inAll(database: sqlite3.Connection) -> tuple[int, int]:
    """
    Say how many destinations have mail, and how much there is.
    """
    destinations, queued = database.execute(_IN_ALL).fetchone()
    return destinations, queued


def shape(
    database: sqlite3.Connection,
    columns: Columns,
    now: float,
    limit: int,
    timer: Callable[[], float],
) -> Shape:
    """
    Give what is queued, by destination and age.

    @param columns: What that database has.
    @param now: The time, in seconds.
    @param limit: How many destinations at most.
    @param timer: Tells how long it takes, in seconds.
    """
    ends = timer() + LONGEST
    queued = inAll(database)[1]
    counts = {each.name: each.queued for each in biggest(database, columns, limit)}
    isSampled = queued > EXACT
    found: _Ages = {}
    if isSampled:
        _sample(database, columns, now, queued, timer, found)
    else:
        statement = columns(_ALL).replace("{by}", "NOT INDEXED")
        _group(database.execute(statement), now, found)
    total: Counter[int] = Counter()
    for ages in found.values():
        total.update(ages)
    if isSampled:
        _addFew(database, columns, now, counts, found, lambda: timer() > ends)
    rows = [
        _row(name, count, found.get(name, Counter())) for name, count in counts.items()
    ]
    return Shape(tuple(rows), _row("", queued, total), isSampled)


def _sample(
    database: sqlite3.Connection,
    columns: Columns,
    now: float,
    queued: int,
    timer: Callable[[], float],
    found: _Ages,
) -> None:
    """
    Group the ages of some names.  Places of one width are looked at, wherever
    they are: each name is in one as likely as any other, also where there are
    few numbers between which many have gone.
    """
    first, last = database.execute(_BOUNDS).fetchone()
    if first is None:
        # The counters are wrong.
        return
    span = last - first + 1
    width = max(ceil(span / queued * SAMPLE / PLACES), 1)
    # Whoever looks twice sees the same.
    chance = Random(last)
    statement = columns(_SOME).replace("{by}", "NOT INDEXED")
    ends = timer() + PATIENCE
    for _ in range(PLACES):
        start = chance.randrange(first - width + 1, last + 1)
        rows = database.execute(statement, (start, start + width, SAMPLE))
        _group(rows, now, found)
        if timer() > ends:
            break


def _addFew(
    database: sqlite3.Connection,
    columns: Columns,
    now: float,
    counts: dict[str, int],
    found: _Ages,
    isLate: Callable[[], bool],
) -> None:
    """
    Read more of the destinations of which there is too little to say.
    """
    few = [name for name in counts if found.get(name, Counter()).total() < ENOUGH]
    statement = columns(_OF_ONE).replace("{by}", "")
    for name in few[:MAX_READ]:
        if isLate():
            return
        more: _Ages = {}
        ways = ("ASC", "DESC") if counts[name] > 2 * ENOUGH else ("ASC",)
        for way in ways:
            asked = (name, 2 * ENOUGH if len(ways) == 1 else ENOUGH)
            _group(database.execute(statement.replace("{way}", way), asked), now, more)
        if more.get(name, Counter()).total() > found.get(name, Counter()).total():
            found[name] = more[name]


def _group(rows: Iterable[tuple[str, float | None]], now: float, found: _Ages) -> None:
    for name, arrived in rows:
        ages = found.get(name)
        if ages is None:
            ages = found[name] = Counter()
        ages[groupOf(now - (now if arrived is None else arrived))] += 1


def _row(name: str, count: int, ages: Counter[int]) -> AgeRow:
    """
    Give a row that comes to what was counted.
    """
    known = ages.total()
    if not known:
        # Nothing was found of it: it has just come.
        return AgeRow(name, count, (count, *(0,) * (AGE_GROUPS - 1)))
    shares = [ages[group] * count / known for group in range(AGE_GROUPS)]
    whole = [int(share) for share in shares]
    # What is left goes to those that lost the most by it.
    order = sorted(range(AGE_GROUPS), key=lambda group: whole[group] - shares[group])
    for group in order[: count - sum(whole)]:
        whole[group] += 1
    return AgeRow(name, count, tuple(whole))
