"""
Tests that a spool of each older version is brought up to date.
"""

from __future__ import annotations

import contextlib
import sqlite3
from contextlib import closing
from functools import partial
from typing import Any

from relaymail.envelopes import NO_ORIGIN
from relaymail.inspection import NameState, Selection
from relaymail.outcomes import Delivered
from relaymail.queue.spool.schema import APPLICATION_ID, VERSION, openSpool
from relaymail.queue.spool.survey import Survey
from relaymail.replies import Phase
from relaymail.test.queue.contract import MESSAGE, NOW
from relaymail.test.queue.spool.spools import SpoolTestCase
from relaymail.testing.crashes import Crash, CrashPoints
from relaymail.testing.databases import Databases

#: The tables of the first version, as it made them.
VERSION_1 = """
CREATE TABLE message (
    id INTEGER PRIMARY KEY,             -- that of its first recipient
    recipients INTEGER NOT NULL,        -- how many there were
    sender TEXT NOT NULL,
    size INTEGER NOT NULL,
    body TEXT NOT NULL,                 -- RFC 6152: 7BIT, 8BITMIME or nothing
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
    aside TEXT                          -- why it was set aside
);
CREATE INDEX resting ON recipient (destination, due) WHERE lease IS NULL;
CREATE TABLE destination (
    name TEXT PRIMARY KEY,
    queued INTEGER NOT NULL,
    resting INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE total (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE number (next INTEGER NOT NULL);
INSERT INTO number VALUES (1);
CREATE TABLE imported (name TEXT PRIMARY KEY) WITHOUT ROWID;
"""

#: Those of the third.
VERSION_3 = """
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
    since REAL,
    told INTEGER NOT NULL DEFAULT 0     -- whether its sender knows that it is late
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

#: What the third has more.
_MORE = """,
    told INTEGER NOT NULL DEFAULT 0     -- whether its sender knows that it is late
"""
#: Those of the second.
VERSION_2 = VERSION_3.replace(_MORE, "\n")

#: Some mail: what rests, what is claimed, and what was set aside.
MAIL = """
INSERT INTO message VALUES
    (1, 3, 'a@a.example', 35, '', '', '', 0, 0, '', 0, {now}, {content});
INSERT INTO recipient (id, message, address, orcpt, notify, destination, due,
    attempts, lease, status, reply, aside) VALUES
    (1, 1, 'x@b.example', '', '', 'b.example', {now} + 60, 2, NULL, '4', 'x', NULL),
    (2, 1, 'y@c.example', '', '', 'c.example', {now}, 0, {now} + 3600, '', '', NULL),
    (3, 1, 'z@c.example', '', '', 'c.example', {now}, 0, 0, '', '', 'it is torn');
INSERT INTO destination (name, queued, resting) VALUES
    ('b.example', 1, 1), ('c.example', 1, 0);
INSERT INTO total VALUES ('accepted', 3), ('aside', 1);
UPDATE number SET next = 1000;
INSERT INTO imported VALUES ('old');
PRAGMA user_version = {version};
"""


def tablesOf(database: sqlite3.Connection) -> dict[tuple[str, str], Any]:
    """
    Give what a database has, in the order of its columns.
    """
    found = {}
    kinds = "SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
    for kind, name in database.execute(kinds).fetchall():
        ask = "table_xinfo" if kind == "table" else "index_xinfo"
        found[kind, name] = database.execute(f"PRAGMA {ask}({name})").fetchall()
    return found


def _kill(databases: Databases, point: str) -> None:
    databases.kill()


class FirstVersionTests(SpoolTestCase):
    """
    A spool of the first version, with some mail.
    """

    version = 1
    tables = VERSION_1

    def setUp(self) -> None:
        """
        Put it in the place of the new one.
        """
        super().setUp()
        self.settle(self.queue.stop())
        self._opened.clear()
        self.old = self.path + "-old"
        with closing(sqlite3.connect(self.old, isolation_level=None)) as database:
            database.executescript("PRAGMA journal_mode = WAL;" + self.tables)
            content = "X'" + MESSAGE.hex() + "'"
            mail = MAIL.format(now=NOW, content=content, version=self.version)
            database.executescript(mail)
            database.execute(f"PRAGMA application_id = {APPLICATION_ID}")

    def test_tablesAreTheSame(self) -> None:
        """
        What has been brought up to date has what a new one has.
        """
        with closing(openSpool(self.old)) as old, closing(openSpool(self.path)) as new:
            self.assertEqual(tablesOf(old), tablesOf(new))
            self.assertEqual(old.execute("PRAGMA user_version").fetchone(), (VERSION,))

    def test_P1_mailStays(self) -> None:
        """
        The mail is there, is sent, and may be kept back.
        """
        before = Survey(self.old, now=lambda: NOW).look(Selection()).entries
        self.path = self.old
        self.queue = self.open()
        self.assertEqual(self.queue.getWaiting(), ["2"])
        self.assertEqual(self.queue.getResting(), {"1": NOW + 60})
        found = self.settle(self.queue.look(Selection()))
        self.assertEqual(found.entries, before)
        self.assertEqual(found.entries[2].state, NameState.ASIDE)
        self.assertEqual(self.queue.arriving.imported(), {"old"})
        self.settle(self.queue.hold("1", "why"))
        self.settle(self.queue.setRelaying("2"))
        with self.queue.letter("2").file as file:
            self.assertEqual(file.read(), MESSAGE)
        delivered = Delivered("2.0.0", Phase.FINAL)
        self.settle(self.queue.done("2", delivered))
        self.assertEqual(self.queue.outline("1").origin, NO_ORIGIN)
        self.settle(self.queue.release("1"))
        self.assertTrue(self.queue.outline("1").isReleased)
        self.settle(self.queue.hold("1", "why"))
        self.settle(self.queue.requeue("3"))
        self.settle(self.queue.done("3", delivered))
        self.assertEqual(self.add("new@d.example"), ["1000"])
        self.assertCounted()
        counts = self.settle(self.queue.destinations())[0]
        self.assertEqual(
            [(each.name, each.queued, each.held) for each in counts],
            [("b.example", 1, 1), ("d.example", 1, 0)],
        )

    def test_P1_everyPoint(self) -> None:
        """
        A machine that dies while that is done leaves the one or the other.
        """
        for count in range(40):
            points = CrashPoints()
            databases = Databases(points)
            points.onCrash = partial(_kill, databases)

            def connect(path: str, each: Databases = databases) -> Any:
                return sqlite3.connect(path, isolation_level=None, factory=each.factory)

            points.crashAfter(count)
            with contextlib.suppress(Crash):
                openSpool(self.old, connect).close()
            with Survey(self.old, now=lambda: NOW) as survey:
                self.assertEqual(len(survey.look(Selection()).entries), 3)
            if not points.isDown:
                self.assertGreater(count, 0)
                return
        self.fail("it never came to its end")


class SecondVersionTests(FirstVersionTests):
    """
    One of the second.
    """

    version = 2
    tables = VERSION_2


class ThirdVersionTests(FirstVersionTests):
    """
    One of the third.
    """

    version = 3
    tables = VERSION_3
