# -*- test-case-name: relaymail.test.queue.spool.test_survey -*-
"""
What people ask of a spool, read from its database and from nothing else.

Nobody has to wait for it: whoever relays from the spool goes on, and a spool that
nobody relays from is left as it is.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import TypeVar
from urllib.parse import quote

from relaymail.errors import QueueUnusable
from relaymail.inspection import (
    DestinationCount,
    Listed,
    NameState,
    Page,
    Selection,
    Shape,
)
from relaymail.queue.spool import shaping
from relaymail.queue.spool.schema import (
    APPLICATION_ID,
    PATIENCE,
    VERSION,
    Connect,
    connect,
    openReader,
    translated,
)
from relaymail.queue.spool.searching import Columns, Correct, find, search

#: How many names or destinations are given at most, whatever is asked for.
LARGEST = 1_000

_TOTALS = "SELECT name, count FROM total"
_SUSPENSIONS = "SELECT destination, why FROM suspension"

T = TypeVar("T")


def openIdle(path: str) -> sqlite3.Connection:
    """
    Open the database of a spool that may be in nobody's hands, without changing
    anything.  SQLite makes files beside one that it reads while it is written;
    one that has no log is not, and is read as it is.

    @param path: The file.

    @raise QueueUnusable: When it cannot be opened.
    """
    if not os.path.isfile(path):
        raise QueueUnusable(f"{path} is not there, or no file; there is no spool")
    how = "mode=ro" if hasLog(path) else "mode=ro&immutable=1"
    try:
        database = sqlite3.connect(
            f"file:{quote(path)}?{how}",
            uri=True,
            timeout=PATIENCE,
            isolation_level=None,
            check_same_thread=False,
        )
        database.execute("PRAGMA query_only = 1")
    except sqlite3.Error as e:
        raise translated(e, f"open {path}") from e
    return database


def hasLog(path: str) -> bool:
    """
    Tell whether a database has a log: somebody writes it, or died doing so.
    """
    with suppress(OSError):
        return os.stat(path + "-wal").st_size > 0
    return False


def wallSeconds() -> float:
    """
    Give the seconds of the epoch.
    """
    return time.clock_gettime(time.CLOCK_REALTIME)


class Survey:
    """
    Reads what is in a spool::

        with Survey("/var/spool/relaymail/queue.db") as survey:
            page = survey.look(Selection(domain="example.com"))

    What was claimed waits, as far as the database knows.
    """

    def __init__(
        self,
        path: str,
        open: Callable[[str], sqlite3.Connection] = openIdle,
        now: Callable[[], float] = wallSeconds,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Nothing is opened before something is asked.

        @param path: The file of the database.
        @param open: Opens it.
        @param now: Tells the time, in seconds of the epoch.
        @param timer: Tells how long something takes, in seconds.
        """
        self.path = path
        self._open = open
        self._now = now
        self._timer = timer
        self._opened: tuple[sqlite3.Connection, Columns] | None = None

    def __enter__(self) -> Survey:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """
        Close what was opened; it is opened again when something is asked.
        """
        opened, self._opened = self._opened, None
        if opened is not None:
            opened[0].close()

    def look(
        self,
        selection: Selection,
        limit: int = 100,
        after: str | None = None,
        correct: Correct | None = None,
        claimed: Collection[int] = (),
    ) -> Page:
        """
        See L{IInspectable.look<relaymail.inspection.IInspectable.look>}.

        @param correct: Says what else is known of each that is found.  Where there
            is nobody to say so, nothing is being relayed.
        @param claimed: The numbers of what is claimed of the destination that is
            meant, as far as they are known.

        @raise ValueError: When C{after} is no place to go on from.
        @raise QueueUnusable: When the spool cannot be read, as with all that is
            asked here.
        """
        most = max(min(limit, LARGEST), 1)
        if correct is None and selection.state is NameState.RELAYING:
            return self._ask(lambda database, _: Page(()))
        return self._ask(
            lambda database, columns: search(
                database,
                columns,
                selection,
                self._now(),
                most,
                after,
                self._timer,
                correct or _asItIs,
                claimed,
            )
        )

    def entry(self, name: str) -> Listed | None:
        """
        See L{IInspectable.entry<relaymail.inspection.IInspectable.entry>}.
        """
        return self._ask(
            lambda database, columns: find(database, columns, name, self._now())
        )

    def destinations(self, limit: int = 100) -> tuple[list[DestinationCount], int]:
        """
        See L{IInspectable.destinations
        <relaymail.inspection.IInspectable.destinations>}.
        """
        most = max(min(limit, LARGEST), 1)
        return self._ask(
            lambda database, columns: (
                shaping.biggest(database, columns, most),
                shaping.inAll(database)[0],
            )
        )

    def shape(self, limit: int = 20) -> Shape:
        """
        See L{IInspectable.shape<relaymail.inspection.IInspectable.shape>}.
        """
        most = max(min(limit, LARGEST), 1)
        return self._ask(
            lambda database, columns: shaping.shape(
                database, columns, self._now(), most, self._timer
            )
        )

    def totals(self) -> dict[str, int]:
        """
        See L{IInspectable.totals<relaymail.inspection.IInspectable.totals>}.
        """
        return self._ask(lambda database, _: dict(database.execute(_TOTALS).fetchall()))

    def suspensions(self) -> dict[str, str]:
        """
        See L{IInspectable.suspensions
        <relaymail.inspection.IInspectable.suspensions>}.
        """
        return self._ask(
            lambda database, columns: (
                dict(database.execute(_SUSPENSIONS).fetchall())
                if columns.hasSuspensions
                else {}
            )
        )

    def _ask(self, question: Callable[[sqlite3.Connection, Columns], T]) -> T:
        try:
            database, columns = self._opened or self._begin()
            return question(database, columns)
        except sqlite3.Error as e:
            raise translated(e, f"read {self.path}") from e

    def _begin(self) -> tuple[sqlite3.Connection, Columns]:
        database = self._open(self.path)
        try:
            columns = self._columnsOf(database)
        except BaseException:
            database.close()
            raise
        self._opened = database, columns
        return self._opened

    def _columnsOf(self, database: sqlite3.Connection) -> Columns:
        (kind,) = database.execute("PRAGMA application_id").fetchone()
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if kind != APPLICATION_ID:
            raise QueueUnusable(
                f"{self.path} is a database, but no spool of relaymail; it was not read"
            )
        if version > VERSION:
            raise QueueUnusable(
                f"{self.path} is a spool of version {version}, and this relaymail "
                f"knows up to {VERSION}; it was not read"
            )
        return Columns(version)


def _asItIs(found: Listed) -> Listed:
    return found


def surveyOf(path: str, now: Callable[[], float], connect: Connect = connect) -> Survey:
    """
    Give what reads a spool that is open.

    @param path: The file of the database.
    @param now: Tells the time, in seconds of the epoch.
    @param connect: Opens database files.
    """
    return Survey(path, partial(openReader, connect=connect), now)
