# -*- test-case-name: relaymail.test.queue.spool.test_narrowing -*-
"""
Which names a search need look at, where an index knows that: the mail of a
destination that has little is found at once in a spool with much.

There is no index of what is claimed: every message is, and would be written there
and taken out again.  Who claimed it knows it, and the counters tell whether that is
all.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from relaymail.inspection import Selection

#: Of how many names a search looks at each, in no more time than a stretch takes.
#: Of more, some are soon found by looking at all there are.
FEW = 20_000

_KEPT = "(r.held IS NOT NULL OR r.aside IS NOT NULL)"
_RESTING = "SELECT id FROM recipient WHERE destination = :domain AND lease IS NULL"
_ALL_KEPT = f"SELECT id FROM recipient r INDEXED BY kept WHERE {_KEPT}"
_HOW_MANY = (
    f"SELECT (SELECT count(*) FROM ({_RESTING} LIMIT :most)) "
    f"+ (SELECT count(*) FROM ({_ALL_KEPT} LIMIT :most))"
)
_IN_INDEXES = f"{_RESTING} UNION {_ALL_KEPT} AND destination = :domain"
_CLAIMED = (
    "SELECT id FROM recipient r NOT INDEXED "
    "WHERE id IN (SELECT value FROM json_each(:claimed)) AND destination = :domain "
    f"AND lease IS NOT NULL AND NOT {_KEPT}"
)
_HOW_MANY_CLAIMED = (
    "SELECT coalesce(sum(queued - resting - held), 0) FROM destination "
    "WHERE name = :domain"
)


def narrowed(
    database: sqlite3.Connection, selection: Selection, claimed: Collection[int]
) -> list[int] | None:
    """
    Give the numbers among which all are that are meant.

    @param database: That of a spool of the present version.
    @param claimed: The numbers of what is claimed of the destination that is meant,
        as far as they are known; others may be among them.

    @return: They; L{None}: they may be any, or are many.
    """
    domain = domainMeant(selection)
    if domain is None:
        return None
    values = {"domain": domain, "most": FEW, "claimed": json.dumps(list(claimed))}
    with _atOneTime(database):
        # Counting costs little; where there are many, every page asks again.
        (number,) = database.execute(_HOW_MANY, values).fetchone()
        if number >= FEW:
            return None
        moving = database.execute(_CLAIMED, values).fetchall()
        (number,) = database.execute(_HOW_MANY_CLAIMED, values).fetchone()
        if number != len(moving):
            return None
        known = database.execute(_IN_INDEXES, values).fetchall()
    return [number for (number,) in known + moving]


def domainMeant(selection: Selection) -> str | None:
    """
    Give the one destination that all that is meant has; L{None}: there may be
    several.
    """
    if selection.domain is not None:
        return selection.domain.lower().rstrip(".")
    _, at, domain = (selection.recipient or "").removesuffix(">").rpartition("@")
    # As it is where an address comes in.
    return domain.lower() if at and domain and "*" not in domain else None


@contextmanager
def _atOneTime(database: sqlite3.Connection) -> Iterator[None]:
    """
    Have all that is read be of one moment.
    """
    database.execute("BEGIN")
    try:
        yield
    finally:
        database.execute("ROLLBACK")
