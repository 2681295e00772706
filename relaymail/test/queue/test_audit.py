# -*- test-case-name: relaymail.test.queue.test_audit -*-
"""
Tests for L{relaymail.queue.audit}, L{relaymail.queue.directoryaudit} and
L{relaymail.queue.findings}.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import Envelope
from relaymail.errors import QueueUnusable
from relaymail.queue import directoryaudit
from relaymail.queue.audit import auditQueue, lockedDirectory, lockHolder
from relaymail.queue.directory import Queue
from relaymail.queue.directoryaudit import ORPHAN
from relaymail.queue.findings import EXAMPLES, Finding, Severity, Tally
from relaymail.queue.place import QueueKind, QueuePlace
from relaymail.queue.spool.spool import Spool
from relaymail.test.queue.contract import MESSAGE, NOW, RETRY


class TallyTests(SynchronousTestCase):
    """
    Tests for L{Tally}.
    """

    def test_none(self) -> None:
        """
        What was not found is not told.
        """
        self.assertEqual(list(Tally(Severity.ERROR, "x", "y", "z").findings()), [])

    def test_some(self) -> None:
        """
        All are counted, and the first are named, each as one printable line.
        """
        tally = Tally(Severity.ERROR, "things", "bad", "mend")
        for number in range(EXAMPLES + 3):
            tally.add(f"a\n{number}")
        (found,) = tally.findings()
        self.assertEqual(found.what, "things: 8 (a 0, a 1, a 2, a 3, a 4, …)")
        self.assertEqual(len(tally.examples), EXAMPLES)


class PlaceTests(SynchronousTestCase):
    """
    Tests for L{auditQueue} and L{lockHolder}.
    """

    def test_spool(self) -> None:
        """
        A spool is looked through as one.
        """
        path = os.path.abspath(self.mktemp())
        os.mkdir(path, 0o700)
        spool = Spool(path + "/queue.db", Clock())
        spool.lock()
        self.addCleanup(spool.stop)
        place = QueuePlace(QueueKind.SPOOL, path + "/queue.db")
        self.assertEqual(list(auditQueue(place, NOW)), [])

    def test_nothing(self) -> None:
        """
        Where no queue is, that is an error with a sentence; nothing is made.
        """
        for kind in QueueKind:
            path = os.path.abspath(self.mktemp())
            place = QueuePlace(kind, path)
            self.assertRaises(QueueUnusable, list, auditQueue(place, NOW))
            self.assertFalse(os.path.lexists(path))

    def test_holder(self) -> None:
        """
        It is said which process has the lock, without trying to lock.
        """
        directory = os.path.abspath(self.mktemp())
        os.mkdir(directory, 0o700)
        queue = Queue(directory, Clock())
        self.assertIsNone(lockHolder(directory))
        queue.lock()
        self.addCleanup(queue.stop)
        self.assertEqual(lockHolder(directory), os.getpid())
        place = QueuePlace(QueueKind.DIRECTORY, directory)
        self.assertEqual(lockedDirectory(place), directory)

    def test_holderUnknown(self) -> None:
        """
        Where there is nothing to lock, or the system does not say, nobody is
        known to have it.
        """
        self.assertIsNone(lockHolder("/nowhere"))
        self.assertIsNone(lockHolder("/", "/nowhere"))
        table = self.mktemp()
        Path(table).write_text("odd\n1: FLOCK  ADVISORY  WRITE x y z\n\n")
        self.assertIsNone(lockHolder("/", table))


class DirectoryTests(SynchronousTestCase):
    """
    Tests for a directory queue.
    """

    def setUp(self) -> None:
        """
        Begin with mail for one and for two, that rests, and that was set aside.
        """
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir(0o700)
        self.clock = Clock()
        self.clock.advance(NOW)
        self.queue: Any = Queue(str(self.directory), self.clock)
        self.queue.noisy = False
        (self.name,) = self.add("b@one.example")
        self.shared = self.add("c@one.example", "d@two.example")
        self.queue.setRelaying(self.name)
        self.addCleanup(self.queue.stop)
        self.queue.setWaiting(self.name, NOW + 60, RETRY)

    def add(self, *recipients: str) -> list[str]:
        """
        Have a message taken.
        """
        added = self.queue.add(Envelope("a@a.example", recipients), MESSAGE)
        names: list[str] = self.successResultOf(added)
        return names

    def file(self, suffix: str) -> Path:
        """
        Give a file of the first name.
        """
        return self.directory / f"{self.name}-{suffix}"

    def make(self, name: str, data: bytes = b"x", age: float = 0.0) -> Path:
        """
        Make a file of some age.
        """
        path = self.directory / name
        path.write_bytes(data)
        path.chmod(0o600)
        os.utime(path, (NOW - age, NOW - age))
        return path

    def audit(self, **more: Any) -> list[Finding]:
        """
        Look it through.
        """
        place = QueuePlace(QueueKind.DIRECTORY, str(self.directory))
        return list(auditQueue(place, NOW, **more))

    def assertFound(self, severity: Severity, *words: str) -> Finding:
        """
        One thing is found.
        """
        found = self.audit()
        self.assertEqual(len(found), 1, found)
        self.assertIs(found[0].severity, severity)
        for word in words:
            self.assertIn(word, found[0].what)
        return found[0]

    def test_sound(self) -> None:
        """
        Nothing is found where all is well, and no file is changed.
        """
        before = {p: p.stat().st_mtime_ns for p in self.directory.iterdir()}
        told: list[str] = []
        found = self.audit(told=lambda what, done, total: told.append(what))
        self.assertEqual(found, [])
        self.assertEqual(told, ["the files"])
        after = {p: p.stat().st_mtime_ns for p in self.directory.iterdir()}
        self.assertEqual(after, before)

    def test_received(self) -> None:
        """
        What is just being received is no fault, and what is old is.
        """
        for name in ("1_2-H", "1_2-C", "1_3-C", "1_4-T5", "1_5-J0", "1_6-S"):
            self.make(name)
        self.assertEqual(self.audit(), [])
        for name in ("1_2-H", "1_2-C", "1_3-C", "1_4-T5", "1_5-J0", "1_6-S"):
            self.make(name, age=ORPHAN + 60)
        found = self.assertFound(Severity.WARNING, "never taken, or has gone: 6 (")
        self.assertIn("next start", found.remedy)

    def test_envelopes(self) -> None:
        """
        Mail whose envelope is missing, or is no plain pickle, is found; it is not
        loaded.
        """
        self.file("H").unlink()
        self.assertFound(Severity.ERROR, f"cannot be read: 1 ({self.name}-D)")
        self.file("H").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
        self.file("H").chmod(0o600)
        self.assertFound(Severity.ERROR, f"cannot be read: 1 ({self.name}-D)")

    def test_record(self) -> None:
        """
        A record that cannot be read is found.
        """
        self.file("S").write_bytes(b"{")
        self.assertFound(Severity.WARNING, "when it is due: 1 (")

    def test_journal(self) -> None:
        """
        A journal that can be read is nothing, and one that cannot is a fault.
        """
        self.make("1_2-J", b'{"arrive": ["1_2"], "leave": []}\n')
        self.assertEqual(self.audit(), [])
        self.make("1_2-J", b"{")
        self.assertFound(Severity.ERROR, "journals that cannot be read: 1 (1_2-J)")

    def test_A08_foreignNames(self) -> None:
        """
        Links, FIFOs and foreign names are told of, and not followed or opened.
        """
        (self.directory / "7-D").symlink_to("/etc/passwd")
        os.mkfifo(self.directory / "8-D")
        self.make("notes.txt")
        self.make(".hidden-H")
        found = {each.what.partition(":")[0]: each for each in self.audit()}
        links = found["contents that are links or no plain files"].what
        names = found["names that the relay does not make"].what
        self.assertEqual(len(found), 2)
        for name, told in (
            ("7-D", links),
            ("8-D", links),
            ("notes.txt", names),
            (".hidden-H", names),
        ):
            self.assertIn(name, told)

    def test_others(self) -> None:
        """
        What the relay has there besides is no fault: its socket, and its tokens.
        """
        self.make("control")
        (self.directory / "tokens").mkdir(mode=0o700)
        self.assertEqual(self.audit(), [])

    def test_A08_modes(self) -> None:
        """
        What others may use is told of; a directory they may only look into is
        not.
        """
        self.directory.chmod(0o755)
        self.assertEqual(self.audit(), [])
        self.file("D").chmod(0o644)
        self.assertFound(Severity.WARNING, f"0644 {self.file('D')}")

    def test_linksElsewhere(self) -> None:
        """
        A content that has a name outside is told of; names that share one here
        are not.
        """
        os.link(self.directory / f"{self.shared[0]}-D", self.mktemp())
        found = self.assertFound(Severity.WARNING, "outside of the queue", ": 1 (")
        self.assertIn("-inum", found.remedy)

    def test_goneMeanwhile(self) -> None:
        """
        What is gone, or right, when it is looked at again is no fault.
        """
        self.file("H").unlink()

        def wait() -> None:
            self.queue.done(self.name)

        self.assertEqual(self.audit(wait=wait), [])

    def test_many(self) -> None:
        """
        However many there are, only some are remembered, and all are counted.
        """
        self.patch(directoryaudit, "MAX_SUSPECTS", 2)
        for number in range(10):
            self.make(f"{number}.txt")
        self.assertFound(Severity.WARNING, "does not make: 10 (")

    def test_aside(self) -> None:
        """
        What was set aside is told of, as something to know.
        """
        self.queue.setAside(self.name, "it is odd")
        found = self.assertFound(Severity.NOTE, "1 names were set aside")
        self.assertIn("NAME-why", found.remedy)
        self.flushLoggedErrors()
