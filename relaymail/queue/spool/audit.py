# -*- test-case-name: relaymail.test.queue.spool.test_audit -*-
"""
Looking a whole spool through, also one that a relay has open.

What is in the database is read in one transaction, so it is all of one moment,
and what does not agree there is wrong.  The files of contents are looked at
meanwhile: where they do not agree with it, both are looked at again, for mail
comes and goes.  Nothing is written, and nothing is repaired.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator

from relaymail.queue.findings import Finding, Modes, Severity, Tally, Told, quiet
from relaymail.queue.said import areSound
from relaymail.queue.spool.contentsaudit import ContentsAudit
from relaymail.queue.spool.schema import APPLICATION_ID, VERSION
from relaymail.queue.spool.survey import hasLog, openIdle

#: How many rows are looked at in one go: some tens of milliseconds.
STRETCH = 20_000
#: How many faults of a damaged database are told.
DAMAGES = 10
#: How often to be asked whether to go on, in instructions of SQLite's: some
#: hundred times a second.
INSTRUCTIONS = 100_000

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

#: What becomes of all mail that was taken, but for what is still there.
GONE = ("delivered", "bounced", "expired", "discarded", "removed")
#: Where mail comes from.
COME = ("accepted", "generated")

_COPY = "copy the file with FILE-wal and FILE-contents before anything else"
_RECOVER = (
    f"stop the relay and {_COPY}; then save what can be read with sqlite3 FILE "
    "'.recover', or take a backup; look after the disk"
)
_COUNTERS = (
    "no mail is lost and none is kept back; what queue list shows is true, what "
    "counters and metrics say is not"
)
_REPORT = "send this to the authors of relaymail: it should not be possible"

_STRETCH = (
    "SELECT max(id) FROM (SELECT id FROM {table} WHERE id > ? ORDER BY id LIMIT ?)"
)
_RECIPIENTS = (
    "SELECT r.id, m.id IS NULL FROM recipient r LEFT JOIN message m "
    "ON m.id = r.message WHERE r.id > ? AND r.id <= ? AND (m.id IS NULL "
    "OR r.id < m.id OR r.id >= m.id + m.recipients)"
)
_MESSAGES = (
    "SELECT id, size, content IS NULL, ifnull(length(content), size) != size, "
    "NOT EXISTS (SELECT 1 FROM recipient r WHERE r.id >= m.id "
    "AND r.id < m.id + m.recipients AND r.message = m.id) AS alone, options "
    "FROM message m WHERE id > ? AND id <= ? "
    "AND (alone OR content IS NULL OR length(content) != size OR options != '')"
)
#: With the columns that are there: each counter, and what it counts.
_COUNTED = {
    "queued": "sum(aside IS NULL)",
    "resting": "sum(lease IS NULL)",
    "held": "sum(held IS NOT NULL AND aside IS NULL)",
}
_DIFFERENT = (
    "WITH counted AS MATERIALIZED (SELECT destination AS name, {sums} "
    "FROM recipient GROUP BY destination) "
    "SELECT c.name FROM counted c LEFT JOIN destination d USING (name) "
    "WHERE {differs} "
    "UNION ALL SELECT d.name FROM destination d LEFT JOIN counted c USING (name) "
    "WHERE c.name IS NULL AND ({left})"
)
_TOTALS = "SELECT name, count FROM total"
_THERE = "SELECT count(*), count(aside) FROM recipient"
_LAST = (
    "SELECT max(ifnull((SELECT max(id) FROM recipient), 0), "
    "ifnull((SELECT max(id + recipients) - 1 FROM "
    "(SELECT id, recipients FROM message ORDER BY id DESC LIMIT 1)), 0))"
)


class DatabaseAudit:
    """
    What the tables of a spool say, all of one moment.

    @ivar size: How many recipients there are, once they were counted.
    @ivar isRead: Whether all of it could be read.
    """

    def __init__(
        self,
        database: sqlite3.Connection,
        path: str,
        told: Told = quiet,
        onApart: Callable[[int, int], object] = lambda message, size: None,
        stretch: int = STRETCH,
    ) -> None:
        """
        @param database: What reads, in a transaction.
        @param path: The file, for what is told.
        @param told: Is told how far it is.
        @param onApart: Is given the number and the size, in bytes, of each
            message whose content is in a file of its own.
        @param stretch: How many rows are looked at in one go.
        """
        self.size = 0
        self.isRead = False
        self._database = database
        self._path = path
        self._told = told
        self._onApart = onApart
        self._stretch = stretch

    def findings(self) -> Iterator[Finding]:
        """
        Look all of it through.

        @raise sqlite3.Error: When it cannot be read to the end.
        """
        kind = list(self._checkKind())
        yield from kind
        if any(finding.severity is ERROR for finding in kind):
            return
        damage = list(self._checkPages())
        yield from damage
        if damage:
            return
        self.size, aside = self._database.execute(_THERE).fetchone()
        if aside:
            yield Finding(
                NOTE,
                f"{aside} of the {self.size} recipients were set aside",
                "the relay could not use them, and does nothing with them",
                "relaymail queue list --state aside says why; then relaymail queue "
                "requeue or delete",
            )
        yield from self._checkRecipients()
        yield from self._checkMessages()
        yield from self._checkNumbers()
        yield from self._checkCounters()
        yield from self._checkTotals()
        self.isRead = True

    def _checkKind(self) -> Iterator[Finding]:
        kind, version = self._pragma("application_id"), self._pragma("user_version")
        if kind != APPLICATION_ID:
            yield Finding(
                ERROR,
                f"{self._path} is a database, but no spool of relaymail",
                "a relay does not start with it",
                "name the file of the spool; it is queue.db in the queue's directory",
            )
        elif version > VERSION:
            yield Finding(
                ERROR,
                f"the spool is of version {version}, and this relaymail knows up to "
                f"{VERSION}",
                "this relaymail does not start with it, and cannot look it through",
                "use the relaymail that wrote it, or a later one",
            )
        elif version < VERSION:
            yield Finding(
                NOTE,
                f"the spool is of version {version}",
                f"the next start makes version {VERSION} of it, which an earlier "
                "relaymail does not open",
                "make a backup before that if you may want to go back",
            )

    def _checkPages(self) -> Iterator[Finding]:
        self._told("the file", 0, 0)
        rows = self._database.execute(f"PRAGMA quick_check({DAMAGES})")
        for (found,) in rows:
            if found != "ok":
                yield Finding(
                    ERROR,
                    f"the database is damaged: {found}",
                    "mail may be lost, and the relay neither takes nor sends any",
                    _RECOVER,
                )

    def _checkRecipients(self) -> Iterator[Finding]:
        orphans = Tally(
            ERROR,
            "recipients without a message",
            "their message is lost; they are set aside when they are due",
            f"{_COPY}; look for the message in a backup. {_REPORT}",
        )
        strange = Tally(
            ERROR,
            "recipients whose number is none of their message's",
            "their message may be removed before they were sent to",
            _REPORT,
        )
        for first, last in self._stretches("recipient"):
            for number, isOrphan in self._database.execute(_RECIPIENTS, (first, last)):
                (orphans if isOrphan else strange).add(number)
        yield from orphans.findings()
        yield from strange.findings()

    def _checkMessages(self) -> Iterator[Finding]:
        alone = Tally(
            WARNING,
            "messages without a recipient",
            "they take room, and are never sent or removed",
            f"nothing needs to be done at once. {_REPORT}",
        )
        short = Tally(
            ERROR,
            "messages whose content is not as long as it was",
            "what is sent of them is damaged",
            f"hold them with relaymail queue hold; {_COPY}. {_REPORT}",
        )
        unread = Tally(
            WARNING,
            "messages whose options cannot be read",
            "they are sent as if nothing had been said of how urgent they are, until "
            "when they are to be held and by when they are to be delivered",
            f"hold them with relaymail queue hold if that matters. {_REPORT}",
        )
        for first, last in self._stretches("message"):
            rows = self._database.execute(_MESSAGES, (first, last))
            for number, size, isApart, isShort, isAlone, options in rows:
                if isAlone:
                    alone.add(number)
                if isShort:
                    short.add(number)
                if isApart:
                    self._onApart(number, size)
                if options != "" and not areSound(options):
                    unread.add(number)
        yield from alone.findings()
        yield from short.findings()
        yield from unread.findings()

    def _checkNumbers(self) -> Iterator[Finding]:
        rows = self._database.execute("SELECT next FROM number").fetchall()
        (last,) = self._database.execute(_LAST).fetchone()
        if len(rows) != 1 or rows[0][0] <= last:
            said = ", ".join(str(number) for (number,) in rows) or "nothing"
            yield Finding(
                ERROR,
                f"the next number is said to be {said}, and number {last} is given",
                "a relay that starts goes on after the last, but a number that was "
                "given before the spool was copied or repaired may be given again: in "
                "the log two messages may have one name",
                "nothing, if the spool was repaired by hand; the next start puts it "
                f"right. If not: {_REPORT}",
            )

    def _checkCounters(self) -> Iterator[Finding]:
        self._told("the counters", 0, 0)
        there = {
            row[1] for row in self._database.execute("PRAGMA table_info(destination)")
        }
        names = [name for name in _COUNTED if name in there]
        question = _DIFFERENT.format(
            sums=", ".join(f"{_COUNTED[name]} AS {name}" for name in names),
            differs=" OR ".join(f"c.{name} != ifnull(d.{name}, 0)" for name in names),
            left=" OR ".join(f"d.{name} != 0" for name in names),
        )
        wrong = Tally(
            WARNING,
            "destinations whose counters are not the number of their recipients",
            _COUNTERS,
            _REPORT,
        )
        for (name,) in self._database.execute(question):
            wrong.add(name)
        yield from wrong.findings()

    def _checkTotals(self) -> Iterator[Finding]:
        totals = dict(self._database.execute(_TOTALS).fetchall())
        come = sum(totals.get(name, 0) for name in COME)
        gone = sum(totals.get(name, 0) for name in GONE)
        if come != gone + self.size:
            yield Finding(
                WARNING,
                f"{come} recipients have come ({' and '.join(COME)}), but {gone} have "
                f"gone ({', '.join(GONE)}) and {self.size} are there: "
                f"{abs(come - gone - self.size)} "
                f"{'are missing' if come > gone + self.size else 'too many'}",
                "if the spool was repaired by hand, nothing but that the totals are "
                "wrong; else mail may have been lost, or be there twice",
                f"if it was not repaired by hand: {_COPY}. {_REPORT}",
            )

    def _stretches(self, table: str) -> Iterator[tuple[int, int]]:
        """
        Give the bounds of as many rows at a time as are looked at in one go.
        """
        what = f"the {table}s"
        question = _STRETCH.format(table=table)
        first, done = -(2**63), 0
        while True:
            self._told(what, done, self.size)
            (last,) = self._database.execute(
                question, (first, self._stretch)
            ).fetchone()
            if last is None:
                return
            yield first, last
            first, done = last, min(done + self._stretch, self.size)

    def _pragma(self, name: str) -> int:
        (value,) = self._database.execute(f"PRAGMA {name}").fetchone()
        return int(value)


def auditSpool(
    path: str,
    told: Told = quiet,
    wait: Callable[[], object] = lambda: None,
    stretch: int = STRETCH,
) -> Iterator[Finding]:
    """
    Look a spool through: its database, the files of its contents, and who may
    use them.

    @param path: The file of the database.
    @param told: Is told how far it is.
    @param wait: Waits a moment, before what may only have been under way is
        looked at again.
    @param stretch: How many rows are looked at in one go.

    @raise QueueUnusable: When there is no spool, or it cannot be opened.
    """
    isIdle = not hasLog(path)
    database = openIdle(path)
    modes = Modes(os.lstat(path).st_uid)
    try:
        contents = ContentsAudit(database, path + "-contents", modes, told)
        tables = DatabaseAudit(database, path, told, contents.expect, stretch)
        found = _read(database, tables.findings, path)
        if tables.isRead:
            found += _read(database, lambda: contents.findings(wait), path)
    finally:
        database.close()
    if isIdle and hasLog(path):
        # What was read was thought to stand still, and did not.
        told("all of it again, for a relay was started", 0, 0)
        yield from auditSpool(path, told, wait, stretch)
        return
    yield from found
    _lookAtFiles(path, modes)
    yield from modes.findings()


def _read(
    database: sqlite3.Connection, look: Callable[[], Iterator[Finding]], path: str
) -> list[Finding]:
    """
    Look at something in one transaction; who asks for an end is heard.
    """
    found: list[Finding] = []
    # An exception that a signal raises ends it; SQLite keeps it to itself.
    database.set_progress_handler(lambda: 0, INSTRUCTIONS)
    try:
        database.execute("BEGIN")
        found.extend(look())
    except sqlite3.Error as e:
        if getattr(e, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
            raise KeyboardInterrupt from e
        found.append(
            Finding(
                ERROR,
                f"{path} cannot be read to its end: {e}",
                "mail may be lost, and the relay neither takes nor sends any",
                _RECOVER,
            )
        )
    finally:
        database.set_progress_handler(None, 0)
        if database.in_transaction:
            database.execute("ROLLBACK")
    return found


def _lookAtFiles(path: str, modes: Modes) -> None:
    """
    See who may use the database, and the directory that it is in.
    """
    directory = os.path.dirname(os.path.abspath(path))
    # Those who may only look there find nothing that they may read.
    modes.look(directory, os.lstat(directory), mayBeRead=True)
    for file in (path, path + "-wal", path + "-shm"):
        try:
            modes.look(file, os.lstat(file))
        except FileNotFoundError:
            continue
