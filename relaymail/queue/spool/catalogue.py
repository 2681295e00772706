# -*- test-case-name: relaymail.test.queue.spool.test_spool -*-
"""
What a spool's database says of a name.
"""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import IO

from relaymail.errors import UnreadableEntry
from relaymail.queue.said import originIn
from relaymail.queue.spool.bodies import Bodies, SpoolContent
from relaymail.queue.spool.recipients import Row, findRow
from relaymail.queue.spool.rows import Stand
from relaymail.queue.spool.saying import parametersOf, recipientParametersOf
from relaymail.queue.spool.schema import QueueDamaged, translated
from relaymail.queue.spool.searching import isNumber
from relaymail.queue.window import Entry

_CONTENT = "SELECT content FROM message WHERE id = ?"
_RESTING = "SELECT id, due FROM recipient WHERE lease IS NULL ORDER BY due, id"
# From one destination to the next in the index, past all that each has.
_IMPORTED = "SELECT name FROM imported"
_SUSPENSIONS = "SELECT destination, why FROM suspension"
_DESTINATIONS = (
    "WITH RECURSIVE found (name) AS ("
    "SELECT min(destination) FROM recipient WHERE lease IS NULL "
    "UNION ALL SELECT (SELECT min(destination) FROM recipient "
    "WHERE lease IS NULL AND destination > found.name) "
    "FROM found WHERE found.name IS NOT NULL) "
    "SELECT name, (SELECT min(due) FROM recipient "
    "WHERE destination = found.name AND lease IS NULL) "
    "FROM found WHERE name IS NOT NULL"
)


@dataclass(slots=True)
class Holding(Entry):
    """
    What is known of a name of a spool.

    @ivar id: Its number.
    @ivar message: That of its message.
    @ivar recipients: How many the message had.
    @ivar destination: Its domain.
    @ivar stand: Whether the database has it as one that rests.
    @ivar isApart: Whether its content is in a file of its own.
    @ivar held: Why an operator keeps it back; L{None}: nobody does.
    """

    id: int = 0
    message: int = 0
    recipients: int = 1
    destination: str = ""
    stand: Stand = field(default_factory=Stand)
    isApart: bool = False
    held: str | None = None

    @property
    def sender(self) -> str:
        """
        The reverse-path, empty where it is not known.
        """
        return str(self.envelope[0]) if self.envelope else ""


class Catalogue:
    """
    Reads a spool's database, beside whoever writes it.

    @ivar onDamage: Called with what is wrong when the database is found to be
        damaged.
    """

    def __init__(self, database: sqlite3.Connection, bodies: Bodies) -> None:
        """
        @param database: What reads.
        @param bodies: Where contents are.
        """
        self.onDamage: Callable[[str], None] = lambda why: None
        self._database = database
        self._bodies = bodies

    def find(self, name: str) -> Holding:
        """
        Look for a name.

        @raise KeyError: When there is no such name.
        @raise UnreadableEntry: When it has no message.
        """
        return self.entry(self.row(name))

    def row(self, name: str, withAside: bool = False) -> Row:
        """
        Look for the row of a name.

        @param withAside: Whether to find what was set aside, too.

        @raise KeyError: When there is no such name.
        """
        if not isNumber(name):
            raise KeyError(name)
        with self._reading(name):
            row = findRow(self._database, int(name), withAside)
        if row is None:
            raise KeyError(name)
        return row

    def entry(self, row: Row) -> Holding:
        """
        Give what a row says.

        @raise UnreadableEntry: When it has no message.
        """
        if row.recipients is None:
            raise UnreadableEntry(f"message {row.message} of {row.id} is not there")
        return Holding(
            row.arrived,
            row.attempts,
            row.status,
            row.reply,
            parametersOf(row),
            envelope=(row.sender, row.address),
            content=self.content(
                row.message, row.size, bool(row.eightbit), bool(row.isApart)
            ),
            recipientParameters=recipientParametersOf(row),
            isTold=bool(row.told),
            origin=originIn(row.origin),
            isReleased=bool(row.released),
            id=row.id,
            message=row.message,
            recipients=row.recipients,
            destination=row.destination,
            stand=Stand(row.lease is None, row.held is not None),
            isApart=bool(row.isApart),
            held=row.held,
        )

    def remains(self, row: Row) -> Holding:
        """
        Give what is left of a name whose message is gone: its own row.
        """
        return self.entry(
            replace(row, recipients=1, sender="", size=0, body="", arrived=0.0)
        )

    def content(
        self,
        message: int,
        size: int,
        eightBit: bool,
        isApart: bool,
        data: bytes | None = None,
    ) -> SpoolContent:
        """
        Give the content of a message.

        @param data: The bytes, where they are kept in memory.
        """
        opener = self._openApart if isApart else self._openRow
        return SpoolContent(message, size, eightBit, opener, data)

    def check(self, entry: Holding) -> None:
        """
        See that the content of a name can be read.

        @raise UnreadableEntry: When it cannot.
        """
        size = 0 if entry.content is None else entry.content.size
        if entry.isApart and not self._bodies.has(entry.message, size):
            path = self._bodies.path(entry.message)
            raise UnreadableEntry(f"{path} is not the {size} bytes that were stored")

    def resting(self) -> dict[str, float]:
        """
        Give all names that rest, and until when, in seconds.
        """
        with self._reading("what rests"):
            rows = self._database.execute(_RESTING).fetchall()
        return {str(number): due for number, due in rows}

    def destinations(self) -> list[tuple[str, float]]:
        """
        Give each destination of which something rests, and when the first of
        that is due, in seconds.  The counters are not asked: mail is not lost
        where they are wrong.
        """
        with self._reading("what rests"):
            return self._database.execute(_DESTINATIONS).fetchall()

    def suspensions(self) -> dict[str, str]:
        """
        Give the destinations that an operator has suspended, and why.
        """
        return dict(self._database.execute(_SUSPENSIONS).fetchall())

    def imported(self) -> set[str]:
        """
        Give the names in another queue of what was taken over.
        """
        return {name for (name,) in self._database.execute(_IMPORTED)}

    def freeBytes(self) -> int:
        """
        Tell how much of the database is free, in bytes.
        """
        with self._reading("the free pages"):
            (pages,) = self._database.execute("PRAGMA freelist_count").fetchone()
            (size,) = self._database.execute("PRAGMA page_size").fetchone()
        return int(pages) * int(size)

    def close(self) -> None:
        """
        Close it.
        """
        self._database.close()

    @contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as e:
            error = translated(e, f"read {what}")
            if isinstance(error, QueueDamaged):
                self.onDamage(str(error))
            raise error from e

    def _openApart(self, message: int) -> IO[bytes]:
        return self._bodies.open(message)

    def _openRow(self, message: int) -> IO[bytes]:
        with self._reading(f"message {message}"):
            found = self._database.execute(_CONTENT, (message,)).fetchone()
        if found is None or found[0] is None:
            raise UnreadableEntry(f"the content of message {message} is not there")
        return io.BytesIO(found[0])
