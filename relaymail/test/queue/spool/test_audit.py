# -*- test-case-name: relaymail.test.queue.spool.test_audit -*-
"""
Tests for L{relaymail.queue.spool.audit} and
L{relaymail.queue.spool.contentsaudit}.
"""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import Envelope, Parameters
from relaymail.errors import QueueUnusable
from relaymail.queue.disk import Disk
from relaymail.queue.findings import EXAMPLES, Finding, Modes, Severity
from relaymail.queue.spool import audit, contentsaudit
from relaymail.queue.spool.audit import auditSpool
from relaymail.queue.spool.schema import VERSION
from relaymail.queue.spool.spool import Spool
from relaymail.test.queue.contract import DELIVERED, MESSAGE, NOW, RETRY
from relaymail.test.queue.spool.spools import BOUNCE, LARGE, LARGEST_ROW


class AuditTestCase(SynchronousTestCase):
    """
    A spool on the disk, to be looked through.
    """

    def setUp(self) -> None:
        """
        Begin with a spool that has some of everything: mail in its rows and in
        files, that rests, was delivered, has bounced, is held and was set aside.
        """
        self.directory = os.path.abspath(self.mktemp())
        os.mkdir(self.directory, 0o700)
        self.path = self.directory + "/queue.db"
        self.contents = Path(self.path + "-contents")
        self.clock = Clock()
        self.clock.advance(NOW)
        self.spool = self.open()
        self.add("b@one.example", "c@two.example", "d@two.example")
        self.large = self.add("e@one.example", content=LARGE)[0]
        self.settle(self.spool.done(self.claimed("b@one.example"), DELIVERED))
        self.settle(self.spool.done(self.claimed("x@one.example"), BOUNCE))
        name = self.claimed("c@three.example")
        self.settle(self.spool.setWaiting(name, NOW + 60, RETRY))
        for _ in range(2):
            (name,) = self.add("h@held.example")
            self.settle(self.spool.hold(name, "it is to be looked at"))
        self.settle(self.spool.release(name))
        self.spool.setAside(self.claimed("z@one.example"), "it is odd")
        self.settle(None)
        self.flushLoggedErrors()

    def open(self) -> Any:
        """
        Open the spool as a relay does.
        """
        spool: Any = Spool(self.path, self.clock, Disk(), largestRow=LARGEST_ROW)
        spool.noisy = False
        spool.lock()
        self.addCleanup(spool.stop)
        self.spool = spool
        self.settle(None)
        return spool

    def settle(self, result: Any) -> Any:
        """
        Let the turns end.
        """
        for _ in range(6):
            self.clock.advance(0)
        return None if result is None else self.successResultOf(result)

    def add(self, *recipients: str, content: bytes = MESSAGE) -> list[str]:
        """
        Have a message taken.
        """
        envelope = Envelope("a@a.example", recipients)
        names: list[str] = self.settle(self.spool.add(envelope, content))
        return names

    def claimed(self, recipient: str) -> str:
        """
        Have a message taken that is being relayed.
        """
        (name,) = self.add(recipient)
        self.spool.setRelaying(name)
        return name

    def close(self) -> None:
        """
        Let the relay stop.
        """
        self.settle(self.spool.stop())

    def change(self, *statements: str) -> None:
        """
        Change the database as nobody should.
        """
        with sqlite3.connect(self.path) as database:
            for statement in statements:
                database.execute(statement)
        database.close()

    def audit(self, **more: Any) -> list[Finding]:
        """
        Look the spool through; what was set aside is not told again.
        """
        found = auditSpool(self.path, **more)
        return [each for each in found if "set aside" not in each.what]

    def assertSound(self, **more: Any) -> None:
        """
        Nothing is found.
        """
        self.assertEqual(self.audit(**more), [])

    def assertFound(self, severity: Severity, *words: str, **more: Any) -> Finding:
        """
        One thing is found.

        @param words: What is said of it.
        """
        found = self.audit(**more)
        self.assertEqual(len(found), 1, found)
        self.assertIs(found[0].severity, severity)
        for word in words:
            self.assertIn(word, found[0].what)
        self.assertTrue(found[0].consequence and found[0].remedy)
        return found[0]


class SoundTests(AuditTestCase):
    """
    Tests for a spool with which all is well.
    """

    def test_stopped(self) -> None:
        """
        Nothing is found in a spool that nobody has open, and no file is made or
        changed.
        """
        self.close()
        before = {p: p.stat().st_mtime_ns for p in Path(self.directory).rglob("*")}
        self.assertSound()
        after = {p: p.stat().st_mtime_ns for p in Path(self.directory).rglob("*")}
        self.assertEqual(after, before)

    def test_live(self) -> None:
        """
        Nothing is found in a spool that a relay has open, which goes on
        meanwhile.
        """
        self.assertSound()
        told: list[str] = []

        def tell(what: str, done: int, total: int) -> None:
            told.append(what)
            self.add("later@one.example")
            self.add("later@one.example", content=LARGE)

        self.assertSound(told=tell)
        self.assertEqual(told[0], "the file")
        self.assertIn("the recipients", told)
        self.assertIn("the files of contents", told)

    def test_crashed(self) -> None:
        """
        Nothing is found in what a relay left that was killed.
        """
        copy = os.path.abspath(self.mktemp())
        os.mkdir(copy, 0o700)
        for name in os.listdir(self.directory):
            if name.startswith("queue.db") and not name.endswith(("-shm", "contents")):
                Path(copy, name).write_bytes(Path(self.directory, name).read_bytes())
                os.chmod(Path(copy, name), 0o600)
        os.mkdir(copy + "/queue.db-contents", 0o700)
        large = Path(copy, "queue.db-contents", self.large)
        large.write_bytes(LARGE)
        os.chmod(large, 0o600)
        self.path = copy + "/queue.db"
        self.assertSound()

    def test_empty(self) -> None:
        """
        Nothing is found where nothing is.
        """
        self.path = self.mktemp()
        os.mkdir(self.path, 0o700)
        self.path = os.path.abspath(self.path) + "/queue.db"
        self.open()
        self.assertSound()

    def test_stretches(self) -> None:
        """
        However few rows are looked at in one go, all are; and it is told how far
        it is.
        """
        told: list[tuple[str, int, int]] = []
        self.assertSound(stretch=1, told=lambda *each: told.append(each))
        steps = [each for each in told if each[0] == "the recipients"]
        count = 8
        self.assertEqual([done for _, done, _ in steps], list(range(count + 1)))
        self.assertEqual({total for *_, total in steps}, {count})

    def test_relayStarted(self) -> None:
        """
        Where a relay starts on what was thought to stand still, all is read
        again.
        """
        self.close()
        told: list[str] = []

        def tell(what: str, done: int, total: int) -> None:
            told.append(what)
            if len(told) == 1:
                self.open()

        self.assertSound(told=tell)
        self.assertIn("all of it again, for a relay was started", told)

    def test_interrupted(self) -> None:
        """
        Who asks for an end with a signal is heard, also within one statement.
        """

        def look() -> Any:
            database.execute(
                "WITH RECURSIVE x (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) "
                "SELECT max(n) FROM x"
            ).fetchall()
            yield from ()

        def ring(*_: object) -> None:
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGALRM, ring)
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        database = sqlite3.connect(":memory:", isolation_level=None)
        self.addCleanup(database.close)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        self.assertRaises(KeyboardInterrupt, audit._read, database, look, "x")

    def test_notes(self) -> None:
        """
        What was set aside is told of, and where to find it.
        """
        found = list(auditSpool(self.path))
        self.assertEqual([each.severity for each in found], [Severity.NOTE])
        self.assertIn("1 of the 8 recipients", found[0].what)
        self.assertIn("queue list --state aside", found[0].remedy)


class DamageTests(AuditTestCase):
    """
    Tests for what is wrong in the database.
    """

    def test_missing(self) -> None:
        """
        What is not there is not looked through, and not made.
        """
        self.path += "x"
        error = self.assertRaises(QueueUnusable, self.audit)
        self.assertIn("not there", str(error))
        self.assertFalse(os.path.exists(self.path))

    def test_anotherDatabase(self) -> None:
        """
        A database of somebody else is one thing that is wrong, not many.
        """
        self.close()
        self.change("PRAGMA application_id = 1")
        self.assertFound(Severity.ERROR, "no spool of relaymail")

    def test_laterVersion(self) -> None:
        """
        What is of a later version is not looked through.
        """
        self.close()
        self.change(f"PRAGMA user_version = {VERSION + 1}")
        self.assertFound(Severity.ERROR, f"version {VERSION + 1}")

    def test_noDatabase(self) -> None:
        """
        What is no database cannot be read.
        """
        self.close()
        Path(self.path).write_bytes(b"x" * 10_000)
        self.assertFound(Severity.ERROR, "cannot be read", "not a database")

    def test_damagedPage(self) -> None:
        """
        A damaged page is found, and what to do is said.
        """
        self.close()
        data = bytearray(Path(self.path).read_bytes())
        for page in range(2, len(data) // 4096):
            data[page * 4096 : page * 4096 + 100] = b"\xff" * 100
        Path(self.path).write_bytes(data)
        found = self.audit()
        self.assertTrue(found)
        self.assertEqual({each.severity for each in found}, {Severity.ERROR})
        self.assertIn("copy the file", found[0].remedy)

    def test_recipientWithoutMessage(self) -> None:
        """
        Recipients whose message is gone are counted, and the first are named.
        """
        names = [self.add("lost@one.example")[0] for _ in range(EXAMPLES + 2)]
        self.change(f"DELETE FROM message WHERE id >= {names[0]}")
        found = self.assertFound(
            Severity.ERROR,
            f"recipients without a message: {EXAMPLES + 2} ({names[0]}, {names[1]},",
            "…",
        )
        self.assertIn("backup", found.remedy)

    def test_recipientOfAnotherMessage(self) -> None:
        """
        A recipient whose number is not among those of its message is found.
        """
        self.change(f"UPDATE recipient SET message = 1 WHERE id = {self.large}")
        whats = [each.what for each in self.audit()]
        self.assertIn("whose number is none of their message's: 1", " ".join(whats))
        self.assertIn("messages without a recipient: 1", " ".join(whats))

    def test_messageWithoutRecipient(self) -> None:
        """
        A message that nobody gets is found.
        """
        (name,) = self.add("gone@five.example")
        self.change(
            f"DELETE FROM recipient WHERE id = {name}",
            "DELETE FROM destination WHERE name = 'five.example'",
            "UPDATE total SET count = count + 1 WHERE name = 'delivered'",
        )
        self.assertFound(Severity.WARNING, f"messages without a recipient: 1 ({name})")

    def test_shortContent(self) -> None:
        """
        A content that is not as long as it was is found.
        """
        (name,) = self.add("short@one.example")
        self.change(f"UPDATE message SET content = x'61' WHERE id = {name}")
        self.assertFound(Severity.ERROR, f"not as long as it was: 1 ({name})")

    def test_options(self) -> None:
        """
        What cannot be read of what MAIL said is found, and what can is not.
        """
        parameters = Parameters(priority=3, holdUntil=NOW + 60)
        envelope = Envelope("a@a.example", ("x@b.example",), parameters)
        (name,) = self.settle(self.spool.add(envelope, MESSAGE))
        self.close()
        self.assertSound()
        for options in ("x'00'", "'{'", "'{\"priority\": 77}'"):
            self.change(f"UPDATE message SET options = {options} WHERE id = {name}")
            what = f"messages whose options cannot be read: 1 ({name})"
            self.assertFound(Severity.WARNING, what)

    def test_numbers(self) -> None:
        """
        A next number that is given already is found.
        """
        self.change("UPDATE number SET next = 2")
        self.assertFound(Severity.ERROR, "the next number is said to be 2")

    def test_noNumber(self) -> None:
        """
        That there is no next number is found.
        """
        self.change("DELETE FROM number")
        self.assertFound(Severity.ERROR, "said to be nothing")

    def test_counters(self) -> None:
        """
        Each counter of a destination is compared with what it counts, and one of
        what is not there, and what has none.
        """
        for change in (
            "UPDATE destination SET queued = queued + 1 WHERE name = 'one.example'",
            "UPDATE destination SET resting = resting + 1 WHERE name = 'one.example'",
            "UPDATE destination SET held = 0 WHERE name = 'held.example'",
            "DELETE FROM destination WHERE name = 'two.example'",
            "INSERT INTO destination (name, queued, resting) VALUES ('x', 0, 1)",
        ):
            before = self.rows()
            self.change(change)
            self.assertFound(Severity.WARNING, "whose counters are not", ": 1 (")
            self.change("DELETE FROM destination")
            for row in before:
                self.change(f"INSERT INTO destination VALUES {row}")
        self.assertSound()

    def rows(self) -> list[tuple[Any, ...]]:
        """
        Give the counters.
        """
        database = sqlite3.connect(self.path)
        try:
            return database.execute("SELECT * FROM destination").fetchall()
        finally:
            database.close()

    def test_totals(self) -> None:
        """
        All that came is there or has gone; else it is said how much is missing,
        or too much.
        """
        self.change("UPDATE total SET count = count + 2 WHERE name = 'accepted'")
        self.assertFound(Severity.WARNING, "2 are missing")
        self.change("UPDATE total SET count = count - 3 WHERE name = 'accepted'")
        self.assertFound(Severity.WARNING, "1 too many")

    def test_A03_hostileName(self) -> None:
        """
        What is named in a finding is one printable line.
        """
        self.change(
            "INSERT INTO destination (name, queued, resting) "
            "VALUES ('x' || char(27) || '[2J' || char(10) || 'y', 1, 0)"
        )
        found = self.assertFound(Severity.WARNING, "x [2J y")
        self.assertTrue(found.what.isprintable())


class ContentsTests(AuditTestCase):
    """
    Tests for what is wrong with the files.
    """

    def test_fileIsGone(self) -> None:
        """
        A message whose file is gone, is no file or has another length is found.
        """
        path = self.contents / self.large

        def link() -> None:
            path.unlink()
            path.symlink_to("/etc/passwd")

        def cut() -> None:
            path.write_bytes(LARGE[:-1])

        for spoil in (path.unlink, cut, link):
            spoil()
            whats = " ".join(each.what for each in self.audit())
            self.assertIn(f"as it was stored: 1 ({self.large})", whats)

    def test_fileOfNobody(self) -> None:
        """
        A file that belongs to no message is found; one that came while it was
        looked is not.
        """
        path = self.contents / "4711"
        path.write_bytes(b"x")
        path.chmod(0o600)
        found = self.assertFound(Severity.WARNING, "belong to no message: 1 (4711)")
        self.assertIn("next start of the relay removes", found.remedy)
        waits: list[None] = []

        def wait() -> None:
            waits.append(None)
            if len(waits) == 2:
                path.unlink()

        self.assertSound(wait=wait)
        self.assertEqual(len(waits), 2)

    def test_sentMeanwhile(self) -> None:
        """
        A message that was sent between the one look and the other is not missed.
        """

        def tell(what: str, done: int, total: int) -> None:
            if what == "the messages" and self.large:
                name, self.large = self.large, ""
                self.spool.setRelaying(name)
                self.settle(self.spool.done(name, DELIVERED))

        self.assertSound(told=tell)
        self.assertEqual(self.large, "")

    def test_manyOfNobody(self) -> None:
        """
        However many there are, only some are remembered, and all are counted.
        """
        self.patch(contentsaudit, "MAX_SUSPECTS", 2)
        for number in range(4000, 4010):
            (self.contents / str(number)).touch(0o600)
        self.assertFound(Severity.WARNING, "belong to no message: 10 (")

    def test_A08_foreignNames(self) -> None:
        """
        Links, FIFOs, directories and names that the relay does not make are
        told of, and not followed.
        """
        (self.contents / "notes.txt").write_bytes(b"x")
        (self.contents / "77").symlink_to("/etc/passwd")
        os.mkfifo(self.contents / "78")
        (self.contents / "79").mkdir()
        found = self.assertFound(Severity.WARNING, "does not make: 4 (")
        for name in ("notes.txt", "77", "78", "79"):
            self.assertIn(name, found.what)

    def test_A08_modes(self) -> None:
        """
        What others may use is told of: the directory, the database, its log, and
        the contents.
        """
        for path, mode in (
            (self.directory, 0o770),
            (self.path, 0o640),
            (self.path + "-wal", 0o604),
            (str(self.contents), 0o711),
            (str(self.contents / self.large), 0o644),
        ):
            before = os.stat(path).st_mode & 0o7777
            os.chmod(path, mode)
            found = self.assertFound(Severity.WARNING, f"{mode:04o} {path}")
            self.assertIn("chmod", found.remedy)
            os.chmod(path, before)
        os.chmod(self.directory, 0o755)
        self.assertSound()

    def test_owner(self) -> None:
        """
        What belongs to another user than the database is told of.
        """
        other = os.getuid() + 1
        modes = Modes(other)
        modes.look(self.path, os.lstat(self.path))
        (found,) = modes.findings()
        self.assertIs(found.severity, Severity.ERROR)
        expected = f"user {os.getuid()}, not {other}: {self.path}"
        self.assertIn(expected, found.what)
        self.assertIn("chown", found.remedy)
