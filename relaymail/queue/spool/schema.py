# -*- test-case-name: relaymail.test.queue.spool.test_schema -*-
"""
The database of a spool: its tables, its version, and how it is opened.

A recipient is a row, and its number is the name by which the relay knows it.
The recipients of a message have numbers that follow each other, and the message
has that of the first: so nothing needs an index to find its way, and taking and
settling mail touches two tables and no index.  Only what rests is in one, and
what is kept back or was set aside.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from relaymail.errors import QueueFull, QueueUnusable
from relaymail.queue.disk import Disk, Trying

#: Says in the file that it is a spool of relaymail: C{RMSP}.
APPLICATION_ID = 0x524D5350
#: The version of the tables.
VERSION = 4

#: How many bytes of the database are kept in memory, in KiB: what is written
#: now and read soon.
CACHE = 16 * 1024
#: How many pages the log has before they are copied into the database: 16 MiB.
#: Mail that is delivered before that is only ever written to the log.
CHECKPOINT = 4096
#: How many it has when SQLite copies them by itself: should it have been thought to
#: be shorter than it is.
AT_LATEST = 2 * CHECKPOINT
#: How long to wait for somebody who reads, in seconds: only people's tools do.
PATIENCE = 5.0

#: The size of the smallest database that is not empty, in bytes: one page.
SMALLEST = 512

#: Opens the file of a path.
Connect = Callable[[str], sqlite3.Connection]

TABLES = """
CREATE TABLE message (
    id INTEGER PRIMARY KEY,             -- that of its first recipient
    recipients INTEGER NOT NULL,        -- how many there were
    sender TEXT NOT NULL,
    size INTEGER NOT NULL,
    body TEXT NOT NULL,                 -- RFC 6152, RFC 3030; or nothing
    ret TEXT NOT NULL DEFAULT '',       -- RFC 3461
    envid TEXT NOT NULL DEFAULT '',
    utf8 INTEGER NOT NULL DEFAULT 0,    -- RFC 6531
    requiretls INTEGER NOT NULL DEFAULT 0,
    options TEXT NOT NULL DEFAULT '',
    eightbit INTEGER NOT NULL,          -- whether there is a byte above 127
    arrived REAL NOT NULL,
    content BLOB                        -- NULL: in a file of its own
);
CREATE TABLE recipient (
    id INTEGER PRIMARY KEY,
    message INTEGER NOT NULL,
    address TEXT NOT NULL,
    orcpt TEXT NOT NULL DEFAULT '',
    notify TEXT NOT NULL DEFAULT '',
    destination TEXT NOT NULL,
    due REAL NOT NULL,
    attempts INTEGER NOT NULL,
    lease REAL,                         -- NULL: it rests until it is due
    status TEXT NOT NULL DEFAULT '',
    reply TEXT NOT NULL DEFAULT '',
    aside TEXT,                         -- why it was set aside
    held TEXT,                          -- why an operator keeps it back
    since REAL,                         -- when it began anew, had it not just arrived
    told INTEGER NOT NULL DEFAULT 0,    -- whether its sender knows that it is late
    -- Where the message came in from.  With the message it would stand behind a
    -- content where the tables are older, and be read through all of that.
    origin TEXT NOT NULL DEFAULT '',
    released INTEGER NOT NULL DEFAULT 0 -- whether an operator held it no longer
);
CREATE INDEX resting ON recipient (destination, due) WHERE lease IS NULL;
CREATE INDEX kept ON recipient (id) WHERE held IS NOT NULL OR aside IS NOT NULL;
CREATE TABLE destination (
    name TEXT PRIMARY KEY,
    queued INTEGER NOT NULL,
    resting INTEGER NOT NULL,
    held INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE total (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE number (next INTEGER NOT NULL);
INSERT INTO number VALUES (1);
CREATE TABLE imported (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE suspension (destination TEXT PRIMARY KEY, why TEXT NOT NULL) WITHOUT ROWID;
"""

#: What makes each version out of the one before.
MIGRATIONS: dict[int, str] = {
    2: """
ALTER TABLE recipient ADD COLUMN held TEXT;
ALTER TABLE recipient ADD COLUMN since REAL;
ALTER TABLE destination ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
CREATE TABLE suspension (destination TEXT PRIMARY KEY, why TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX kept ON recipient (id) WHERE held IS NOT NULL OR aside IS NOT NULL;
""",
    3: "ALTER TABLE recipient ADD COLUMN told INTEGER NOT NULL DEFAULT 0;",
    4: """
ALTER TABLE recipient ADD COLUMN origin TEXT NOT NULL DEFAULT '';
ALTER TABLE recipient ADD COLUMN released INTEGER NOT NULL DEFAULT 0;
""",
}


class QueueDamaged(QueueUnusable):
    """
    The database of a spool is damaged, or the disk did not keep what it said
    it had: nothing more can be trusted to it until a person has looked.
    """


def connect(path: str) -> sqlite3.Connection:
    """
    Open a database file, which is made where there is none: nobody else may
    read it, nor what SQLite puts beside it.

    @param path: The file.

    @raise QueueUnusable: When it is no plain file, or too short to be a
        database: what SQLite takes for an empty one may be somebody's notes.
    """
    disk = Disk()
    with Trying("open", path, missing=QueueUnusable):
        try:
            disk.create(path).close()
        except FileExistsError:
            found = disk.find(path)
            if found is None or not found.regular or 0 < found.size < SMALLEST:
                raise QueueUnusable(
                    f"{path} is not a database; it is left as it is"
                ) from None
    return sqlite3.connect(
        path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
    )


def openSpool(path: str, connect: Connect = connect) -> sqlite3.Connection:
    """
    Open the database of a spool for writing; a new one gets its tables, an old
    one is brought up to date.

    @param path: The file.

    @raise QueueUnusable: When it is no spool, one of a later version, or
        cannot be opened.  It is left as it is.
    """
    try:
        database = connect(path)
        try:
            prepare(database, path)
            return database
        except BaseException:
            database.close()
            raise
    except sqlite3.Error as e:
        raise translated(e, f"open {path}") from e


def openReader(path: str, connect: Connect = connect) -> sqlite3.Connection:
    """
    Open the database of a spool for reading.

    @raise QueueUnusable: When it cannot be opened.
    """
    try:
        database = connect(path)
        database.execute("PRAGMA query_only = 1")
        return database
    except sqlite3.Error as e:
        raise translated(e, f"open {path}") from e


def prepare(database: sqlite3.Connection, path: str) -> None:
    """
    Set a database up.

    @param path: Its file, for errors.

    @raise QueueUnusable: When it is no spool, or one of a later version.
    """
    kind = _pragma(database, "application_id")
    version = _pragma(database, "user_version")
    isNew = not _pragma(database, "schema_version")
    if kind != APPLICATION_ID and not isNew:
        raise QueueUnusable(
            f"{path} is a database, but no spool of relaymail; it is left as it is"
        )
    if version > VERSION:
        raise QueueUnusable(
            f"{path} is a spool of version {version}, and this relaymail knows up to "
            f"{VERSION}; it is left as it is"
        )
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute(f"PRAGMA cache_size = -{CACHE}")
    database.execute(f"PRAGMA wal_autocheckpoint = {AT_LATEST}")
    database.execute("PRAGMA temp_store = MEMORY")
    # Whoever may wait says so.
    database.execute("PRAGMA busy_timeout = 0")
    if isNew:
        _change(database, TABLES, VERSION)
    else:
        for number in range(version + 1, VERSION + 1):
            _change(database, MIGRATIONS[number], number)


def check(path: str, connect: Connect = connect) -> str:
    """
    Look the whole database through, which takes seconds for each gigabyte.
    Nothing is written.

    @param path: The file.

    @return: What is wrong, or nothing.
    """
    try:
        database = openReader(path, connect)
        try:
            (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            database.close()
    except (sqlite3.Error, QueueUnusable) as e:
        return str(e)
    return "" if found == "ok" else str(found)


def translated(error: Exception, tried: str) -> Exception:
    """
    Say what a database said, as an error of the queue.

    @param error: What was raised.
    @param tried: What was tried, for people.
    """
    if not isinstance(error, sqlite3.Error):
        return error
    code = getattr(error, "sqlite_errorcode", None) or 0
    kind = _KINDS.get(code) or _KINDS.get(code & 0xFF) or QueueUnusable
    return kind(f"tried to {tried}: {error}; {_CONSEQUENCES[kind]}")


#: What the codes mean that are not just trouble, by the extended code or by its
#: first byte.
_KINDS: dict[int, type[QueueUnusable] | type[QueueFull]] = {
    sqlite3.SQLITE_FULL: QueueFull,
    sqlite3.SQLITE_CORRUPT: QueueDamaged,
    sqlite3.SQLITE_NOTADB: QueueDamaged,
    sqlite3.SQLITE_IOERR_FSYNC: QueueDamaged,
    sqlite3.SQLITE_IOERR_DIR_FSYNC: QueueDamaged,
    sqlite3.SQLITE_IOERR_SHORT_READ: QueueDamaged,
}
_CONSEQUENCES = {
    QueueFull: "there is no room",
    QueueUnusable: "it was not done",
    QueueDamaged: "no more mail is taken until a person has looked at it",
}


def _pragma(database: sqlite3.Connection, name: str) -> int:
    (value,) = database.execute(f"PRAGMA {name}").fetchone()
    return int(value)


def _change(database: sqlite3.Connection, statements: str, version: int) -> None:
    """
    Carry out statements and raise the version, all or nothing.
    """
    database.executescript(
        f"BEGIN IMMEDIATE; {statements}"
        f"PRAGMA application_id = {APPLICATION_ID};"
        f"PRAGMA user_version = {version}; COMMIT;"
    )
