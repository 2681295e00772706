# -*- test-case-name: relaymail.test.testing.test_databases -*-
"""
Crashes for queues in SQLite databases: the real file, and a process that dies
before or after each commit.

What the file is worth afterwards is SQLite's own doing: the dead process
leaves its journal or its write-ahead log behind, and whoever opens the file
next finds what was committed and nothing else.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Literal, cast

from relaymail.testing.crashes import Crash, CrashPoints

#: What SQLite keeps beside a database while it is open.  The C{-shm} is not
#: here: it is made anew from the C{-wal}.
_BESIDE = ("", "-journal", "-wal")

#: These end a transaction for good; the last C{RELEASE} does, and any may be.
_COMMITS = frozenset(("COMMIT", "END", "RELEASE"))
#: These are a transaction of their own where none is open.
_ALWAYS = frozenset(("CREATE", "DROP", "ALTER", "REINDEX", "VACUUM", "ANALYZE"))
#: And these, unless Python opens one for them.
_AUTOCOMMITS = frozenset(("INSERT", "UPDATE", "DELETE", "REPLACE", "WITH"))

#: What SQLite says of some of its errors.
_SAID = {
    sqlite3.SQLITE_FULL: "database or disk is full",
    sqlite3.SQLITE_CORRUPT: "database disk image is malformed",
}

#: What the dead may be asked: nothing but to be cleared away.
_FOR_THE_DEAD = frozenset(("isAlive", "__class__"))


class Databases:
    """
    The databases that a simulated process has open::

        databases = Databases(points)
        points.onCrash = lambda point: databases.kill()
        connection = sqlite3.connect(path, factory=databases.factory)

    Each commit passes the points C{"before commit"} and C{"after commit"}
    with the path of the file after that: by C{commit()}, by C{COMMIT} or
    C{END}, by a statement that is a transaction of its own, or by the end of
    C{with connection}.  The file system is the real one, so a power cut is as
    good as a kill: what C{PRAGMA synchronous} is worth cannot be tried.

    @ivar points: Passed before and after each commit.
    @ivar factory: The C{factory} for C{sqlite3.connect}.
    @ivar failures: How often a commit has failed as L{fail} asks.
    """

    def __init__(self, points: CrashPoints) -> None:
        """
        @param points: Passed before and after each commit.
        """
        self.points = points
        self.factory: type[CrashingConnection] = type(
            "OpenConnection", (CrashingConnection,), {"databases": self}
        )
        self.failures = 0
        self._fault: int | None = None
        self._faults: int | None = None
        self._open: list[CrashingConnection] = []

    def fail(self, code: int, times: int | None = 1) -> None:
        """
        Let commits fail, as the disk would make them; one of which nothing was
        written is none.

        @param code: How: C{sqlite3.SQLITE_FULL}, C{SQLITE_IOERR_WRITE},
            C{SQLITE_IOERR_FSYNC}, C{SQLITE_CORRUPT}.
        @param times: How often; L{None} for until L{repair}.
        """
        self._fault = code
        self._faults = times

    def repair(self) -> None:
        """
        Let commits do well again.
        """
        self._fault = None

    def mayFail(self) -> None:
        """
        Fail, if that was asked for.

        @raise sqlite3.OperationalError: As was asked for.
        """
        if self._fault is None:
            return
        error = sqlite3.OperationalError(_SAID.get(self._fault, "disk I/O error"))
        error.sqlite_errorcode = self._fault
        self.failures += 1
        if self._faults is not None:
            self._faults -= 1
            if self._faults <= 0:
                self._fault = None
        raise error

    def opened(self, connection: CrashingConnection) -> None:
        """
        A connection was made.
        """
        self._open.append(connection)

    def kill(self) -> None:
        """
        The process dies: its connections are of no use any more, and their
        files stay as they are in this moment.  The next process may open them
        at once.
        """
        dead, self._open = self._open, []
        left: dict[str, bytes | None] = {}
        for connection in dead:
            left.update(_filesOf(connection))
        for connection in dead:
            connection.bury()
        # Closing has tidied up; the dead do not.
        for path, data in left.items():
            _putBack(path, data)

    def forget(self, connection: CrashingConnection) -> None:
        """
        A connection was closed by its owner.
        """
        if connection in self._open:
            self._open.remove(connection)


class CrashingConnection(sqlite3.Connection):
    """
    A connection that passes a point before and after each commit; once its
    process is dead, whatever it is asked raises
    L{Crash<relaymail.testing.crashes.Crash>}.

    @ivar databases: What made it.
    @ivar isAlive: Whether its process runs.
    """

    databases: Databases
    isAlive = True
    #: What C{total_changes} was at the last commit.
    _changes = 0

    def __init__(self, *args: Any, **keywords: Any) -> None:
        """
        See C{sqlite3.Connection}.
        """
        super().__init__(*args, **keywords)
        self.databases.opened(self)

    def bury(self) -> None:
        """
        Take note that the process is dead.  Its file is let go.
        """
        sqlite3.Connection.close(self)
        self.isAlive = False

    def __getattribute__(self, name: str) -> Any:
        get = super().__getattribute__
        if name not in _FOR_THE_DEAD and not get("isAlive"):
            raise Crash(f"{name} of a database whose process is gone")
        return get(name)

    def commit(self) -> None:
        """
        Commit, if there is anything to commit.
        """
        if self.in_transaction:
            self.begin("commit")
            super().commit()
            self.end("commit")

    def __enter__(self) -> CrashingConnection:
        self.databases  # noqa: B018 -- the dead raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        if kind is None:
            self.commit()
        else:
            self.rollback()
        return False

    def close(self) -> None:
        """
        Close it; what was not committed is rolled back.
        """
        super().close()
        self.databases.forget(self)

    def cursor(self, factory: Any = None) -> Any:
        """
        Make a cursor.
        """
        return super().cursor(factory or CrashingCursor)

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """
        Carry out a statement.
        """
        return cast(sqlite3.Cursor, self.cursor().execute(sql, parameters))

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """
        Carry out a statement with each of the parameters.
        """
        return cast(sqlite3.Cursor, self.cursor().executemany(sql, parameters))

    def executescript(self, sql_script: str, /) -> sqlite3.Cursor:
        """
        Carry out some statements.
        """
        return cast(sqlite3.Cursor, self.cursor().executescript(sql_script))

    def begin(self, what: str) -> None:
        """
        Pass the point before a commit.
        """
        self.databases.points.point(f"before {what} {_pathOf(self)}")
        written, self._changes = self.total_changes - self._changes, self.total_changes
        if written:
            self.databases.mayFail()

    def end(self, what: str) -> None:
        """
        Pass the point after it.
        """
        self.databases.points.point(f"after {what} {_pathOf(self)}")

    def isCommit(self, sql: str) -> bool:
        """
        Tell whether a statement would make something last.
        """
        word = _firstWord(sql)
        if self.in_transaction:
            return word in _COMMITS
        return word in _ALWAYS or (
            word in _AUTOCOMMITS and self.isolation_level is None
        )


class CrashingCursor(sqlite3.Cursor):
    """
    A cursor of a L{CrashingConnection}.
    """

    def execute(self, sql: str, parameters: Any = (), /) -> CrashingCursor:
        """
        Carry out a statement.
        """
        connection = self._alive()
        commits = connection.isCommit(sql)
        if commits:
            connection.begin("commit")
        super().execute(sql, parameters)
        if commits:
            connection.end("commit")
        return self

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> CrashingCursor:
        """
        Carry out a statement with each of the parameters.
        """
        if not self._alive().isCommit(sql):
            super().executemany(sql, parameters)
            return self
        for each in parameters:
            self.execute(sql, each)
        return self

    def executescript(self, sql_script: str, /) -> CrashingCursor:
        """
        Carry out some statements, after committing what is open, as Python
        does.
        """
        connection = self._alive()
        connection.commit()
        # Python opens no transaction for what is in a script.  To say so ends
        # the one that is open, so it is said once.
        level = connection.isolation_level
        if level is not None:
            connection.isolation_level = None
        try:
            for statement in _statements(sql_script):
                self.execute(statement)
        finally:
            if connection.isAlive and level is not None:
                connection.isolation_level = level
        return self

    def fetchone(self) -> Any:
        """
        Give the next row.
        """
        self._alive()
        return super().fetchone()

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """
        Give some of the next rows.
        """
        self._alive()
        return super().fetchmany(self.arraysize if size is None else size)

    def fetchall(self) -> list[Any]:
        """
        Give the rows that are left.
        """
        self._alive()
        return super().fetchall()

    def __next__(self) -> Any:
        self._alive()
        return super().__next__()

    def _alive(self) -> CrashingConnection:
        connection = cast(CrashingConnection, self.connection)
        connection.databases  # noqa: B018 -- the dead raise
        return connection


def _pathOf(connection: sqlite3.Connection) -> str:
    return next(_paths(connection), "")


def _paths(connection: sqlite3.Connection) -> Iterator[str]:
    """
    Give the files of a connection; one in memory has none.
    """
    listed = sqlite3.Connection.cursor(connection).execute("PRAGMA database_list")
    for _, _, path in listed.fetchall():
        if path:
            yield path


def _filesOf(connection: sqlite3.Connection) -> Iterator[tuple[str, bytes | None]]:
    for path in _paths(connection):
        for beside in _BESIDE:
            try:
                with open(path + beside, "rb") as file:
                    yield path + beside, file.read()
            except FileNotFoundError:
                yield path + beside, None


def _putBack(path: str, data: bytes | None) -> None:
    if data is not None:
        with open(path, "wb") as file:
            file.write(data)
    elif os.path.exists(path):
        os.unlink(path)


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for piece in script.split(";"):
        statement += piece + ";"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _firstWord(sql: str) -> str:
    """
    Give the word that says what a statement does, past comments.
    """
    text = sql.lstrip()
    while text.startswith(("--", "/*")):
        end = "\n" if text.startswith("--") else "*/"
        text = text.partition(end)[2].lstrip()
    return "".join(text.split(None, 1)[:1]).rstrip(";").upper()
