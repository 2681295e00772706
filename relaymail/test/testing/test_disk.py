"""
Tests for L{relaymail.testing.disk}.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import QueueLocked, QueueUnusable, UnreadableEntry
from relaymail.queue.disk import Disk
from relaymail.testing._handles import BUFFER
from relaymail.testing.crashes import Crash, CrashPoints
from relaymail.testing.disk import MemoryDisk

A, B = "/spool/a", "/spool/b"


class MemoryDiskCase(SynchronousTestCase):
    """
    What the tests of L{MemoryDisk} have in common.
    """

    chance: random.Random | None = None

    def setUp(self) -> None:
        """
        Begin with a disk that has a directory.
        """
        self.clock = Clock()
        self.points = CrashPoints()
        self.disk = self.makeDisk()

    def makeDisk(self, chance: random.Random | None = None) -> MemoryDisk:
        """
        Make a disk that has a directory.
        """
        disk = MemoryDisk(self.clock.seconds, self.points, chance)
        disk.makeDirectory("/spool")
        return disk

    def put(self, path: str, data: bytes = b"data", durable: bool = True) -> None:
        """
        Make a file.
        """
        file = self.disk.create(path)
        self.disk.write(file, data)
        self.disk.finish(file, durable=durable)


class OperationTests(MemoryDiskCase):
    """
    L{MemoryDisk} does what L{Disk} does.
    """

    def test_everyOperationIsItsOwn(self) -> None:
        """
        Nothing that asks the system for something is inherited.
        """
        inherited = {
            name
            for name in vars(Disk)
            if not name.startswith("_") and name not in vars(MemoryDisk)
        }
        # These two only use the file that they are given.
        self.assertEqual(inherited, {"write", "abandon"})

    def test_createAndRead(self) -> None:
        """
        What was written is there, with the time it was given.
        """
        file = self.disk.create(A)
        self.disk.write(file, b"data")
        found = self.disk.finish(file, 1000.5)
        self.assertTrue(file.closed)
        self.assertEqual((found.size, found.modified, found.regular), (4, 1000.5, True))
        self.assertEqual(self.disk.find(A), found)
        self.assertEqual(self.disk.read(A, 4), b"data")
        self.assertRaises(UnreadableEntry, self.disk.read, A, 3)
        self.assertEqual(self.disk.names("/spool"), ["a"])

    def test_createIsExclusive(self) -> None:
        """
        Nothing is written through what has the name.
        """
        self.put(A)
        self.disk.plant(B)
        for path in (A, B, "/spool"):
            self.assertRaises(FileExistsError, self.disk.create, path)
        self.assertRaises(FileNotFoundError, self.disk.create, "/none/a")
        self.assertRaises(QueueUnusable, self.disk.create, A + "/a")

    def test_onlyPlainFilesAreRead(self) -> None:
        """
        Neither what is no plain file nor what is missing is opened.
        """
        self.disk.plant(B)
        for path in (B, "/spool", "/spool/none"):
            self.assertRaises(UnreadableEntry, self.disk.open, path)
        found = self.disk.find(B)
        assert found is not None
        self.assertFalse(found.regular)

    def test_openFile(self) -> None:
        """
        An open file is read from anywhere, in parts, by lines, and not
        written.
        """
        self.put(A, b"one\ntwo\nthree")
        with self.disk.open(A) as file:
            self.assertEqual(file.readline(), b"one\n")
            self.assertEqual(file.read(2), b"tw")
            self.assertEqual(list(file), [b"o\n", b"three"])
            file.seek(1)
            buffer = bytearray(3)
            self.assertEqual(file.readinto(buffer), 3)  # type: ignore[attr-defined]
            self.assertEqual((bytes(buffer), file.tell()), (b"ne\n", 4))
            self.assertRaises(io.UnsupportedOperation, file.write, b"x")

    def test_timeOfADirectory(self) -> None:
        """
        It changes when an entry comes, goes or gets another name, and with
        nothing else.
        """

        def isChanged(action: Callable[[], object]) -> bool:
            self.clock.advance(1)
            before = self.disk.changed("/spool")
            action()
            return self.disk.changed("/spool") != before

        self.assertTrue(isChanged(lambda: self.put(A)))
        self.assertTrue(isChanged(lambda: self.disk.link(A, B)))
        self.assertTrue(isChanged(lambda: self.disk.rename(A, "/spool/c")))
        self.assertTrue(isChanged(lambda: self.disk.unlink(B)))
        self.assertFalse(isChanged(lambda: self.disk.unlink(B)))
        self.assertFalse(isChanged(lambda: self.disk.sync("/spool")))
        self.assertFalse(isChanged(lambda: self.disk.read("/spool/c", 10)))
        self.assertEqual(self.disk.changed("/spool"), 4_000_000_000)

    def test_links(self) -> None:
        """
        Two names of one file have one key, another file another.
        """
        self.put(A)
        self.disk.link(A, B)
        self.put("/spool/c")
        a, b, c = (self.disk.find(path) for path in (A, B, "/spool/c"))
        assert a is not None and b is not None and c is not None
        self.assertEqual(a.key, b.key)
        self.assertNotEqual(a.key, c.key)
        self.assertRaises(FileExistsError, self.disk.link, A, B)
        self.assertRaises(FileNotFoundError, self.disk.link, "/spool/none", B)
        self.disk.unlink(A)
        self.assertEqual(self.disk.read(B, 10), b"data")

    def test_rename(self) -> None:
        """
        A file takes the place of another; two names of one file both stay,
        and directories are left alone.
        """
        self.put(A, b"new")
        self.put(B, b"old")
        self.disk.rename(A, B)
        self.assertEqual(self.disk.files(), {B: b"new"})
        self.disk.link(B, A)
        self.disk.rename(A, B)
        self.assertEqual(self.disk.files(), {A: b"new", B: b"new"})
        self.assertRaises(FileNotFoundError, self.disk.rename, "/spool/none", B)
        self.assertRaises(QueueUnusable, self.disk.rename, A, "/spool")
        self.assertRaises(QueueUnusable, self.disk.rename, "/spool", "/a")

    def test_unlinkOfTheMissing(self) -> None:
        """
        What is gone need not be removed.
        """
        self.disk.unlink(A)
        self.assertIsNone(self.disk.find(A))
        self.assertRaises(QueueUnusable, self.disk.unlink, "/spool")

    def test_lock(self) -> None:
        """
        One lock at a time, without a file, given up once.
        """
        lock = self.disk.lock("/spool")
        self.assertRaises(QueueLocked, self.disk.lock, "/spool")
        lock.release()
        other = self.disk.lock("/spool")
        lock.release()
        self.assertRaises(QueueLocked, self.disk.lock, "/spool")
        other.release()
        self.assertEqual(self.disk.files(), {})

    def test_directories(self) -> None:
        """
        They are made with those above them, and what is missing or none is
        told.
        """
        self.disk.makeDirectory("/spool/x/y/")
        self.disk.makeDirectory("/spool/x/y")
        self.put("/spool//x/y/a")
        self.assertEqual(self.disk.files(), {"/spool/x/y/a": b"data"})
        self.disk.checkDirectory("/spool/x/")
        self.put(A)
        self.assertRaises(QueueUnusable, self.disk.checkDirectory, A)
        for method in ("names", "changed", "lock", "room", "checkDirectory"):
            self.assertRaises(QueueUnusable, getattr(self.disk, method), "/none")

    def test_plant(self) -> None:
        """
        What somebody else put there is there for good.
        """
        self.disk.plant(A, b"old")
        self.disk.plant(A, b"data", 5.0)
        found = self.disk.find(A)
        assert found is not None
        self.assertEqual((found.size, found.modified), (4, 5.0))
        self.assertEqual(self.disk.durable(), {A: b"data"})

    def test_sameNumbersEachTime(self) -> None:
        """
        What goes into names does not depend on where things are in memory.
        """
        other = self.makeDisk()
        for disk in (self.disk, other):
            numbers = [disk.numberFor(self), disk.numberFor(self), disk.processId()]
            self.assertEqual(numbers, [1, 2, 1])


class CrashTests(MemoryDiskCase):
    """
    What is left when the process or the machine dies.
    """

    def crash(self, kill: bool = False) -> dict[str, bytes]:
        """
        Let the process or the machine die, and start it again.

        @return: What is there.
        """
        if kill:
            self.disk.kill()
        else:
            sure = self.disk.durable()
            self.disk.cutPower()
            self.assertEqual(self.disk.files(), self.disk.durable())
            self.assertEqual(self.disk.files(), sure)
        self.disk.heal()
        return self.disk.files()

    def test_whatWasNotFlushedDiesWithTheProcess(self) -> None:
        """
        A little that was written is still in the process; more than its
        buffer holds is not.
        """
        small, large = self.disk.create(A), self.disk.create(B)
        self.disk.write(small, b"data")
        self.disk.write(large, bytes(BUFFER + 1))
        self.assertEqual(self.disk.read(A, 10), b"")
        self.assertEqual(self.crash(kill=True), {A: b"", B: bytes(BUFFER + 1)})

    def test_whatWasClosedSurvivesTheProcess(self) -> None:
        """
        Closing a file hands what was written to the kernel, without making it
        durable.
        """
        with self.disk.create(A) as file:
            file.write(b"data")
        self.disk.sync("/spool")
        self.assertEqual(self.crash(kill=True), {A: b"data"})
        self.assertEqual(self.crash(), {A: b""})

    def test_P1_whatWasSyncedSurvives(self) -> None:
        """
        A file survives a power cut when it and its directory were synced, and
        not with only one of that.
        """
        self.put(A)
        self.assertEqual(self.crash(), {})
        self.put(A, durable=False)
        self.disk.sync("/spool")
        self.assertEqual(self.crash(), {A: b""})
        self.put(B)
        self.disk.sync("/spool")
        self.assertEqual(self.crash(), {A: b"", B: b"data"})

    def test_syncedByName(self) -> None:
        """
        L{MemoryDisk.sync} of a file is for its content.
        """
        self.put(A, durable=False)
        self.disk.sync("/spool")
        self.disk.sync(A)
        self.assertEqual(self.crash(), {A: b"data"})

    def test_renameIsUndone(self) -> None:
        """
        Until the directory is synced a rename is not for good: what was
        replaced comes back.
        """
        self.put(A, b"old")
        self.put(B, b"new")
        self.disk.sync("/spool")
        self.disk.rename(B, A)
        self.assertEqual(self.crash(), {A: b"old", B: b"new"})
        self.disk.rename(B, A)
        self.disk.sync("/spool")
        self.assertEqual(self.crash(), {A: b"new"})

    def test_unlinkAndLinkAreUndone(self) -> None:
        """
        So are links, and removals.
        """
        self.put(A)
        self.disk.sync("/spool")
        self.disk.link(A, B)
        self.disk.unlink(A)
        self.assertEqual(self.crash(), {A: b"data"})

    def test_renameBetweenDirectories(self) -> None:
        """
        It is there in one of them, and never in both or in none; syncing
        either makes it so for good, with what was done there before.
        """
        self.disk.makeDirectory("/spool/aside")
        aside = "/spool/aside/a"
        for synced in ("", "/spool", "/spool/aside"):
            self.put(A)
            self.disk.rename(A, aside)
            if synced:
                self.disk.sync(synced)
            self.assertEqual(self.crash(), {aside: b"data"} if synced else {})
            self.disk.unlink(aside)
            self.disk.sync("/spool/aside")

    def test_directoriesAreUndone(self) -> None:
        """
        A directory that was made survives, for the one above it was synced;
        what is in it does not.
        """
        self.disk.makeDirectory("/spool/x")
        self.put("/spool/x/a")
        self.assertEqual(self.crash(), {})
        self.assertEqual(self.disk.names("/spool"), ["x"])
        self.points.crashAfter(2)
        self.assertRaises(Crash, self.disk.makeDirectory, "/spool/y")
        self.points.heal()
        self.crash()
        self.assertRaises(QueueUnusable, self.disk.names, "/spool/y")

    def test_anyPrefixSurvives(self) -> None:
        """
        With chance, some of the first changes survive, in order; and every
        number of them does at some time.
        """
        seen = set()
        for seed in range(60):
            self.disk = self.makeDisk(random.Random(seed))
            for number in range(4):
                self.disk.create(f"/spool/{number}").close()
            self.disk.cutPower()
            seen.add("".join(path[-1] for path in self.disk.files()))
        self.assertEqual(seen, {"", "0", "01", "012", "0123"})

    def test_anyPartOfAContentSurvives(self) -> None:
        """
        With chance, a part of what was not synced survives, and the rest is
        missing or zeros; what was synced is never touched.
        """
        seen = set()
        for seed in range(200):
            self.disk = self.makeDisk(random.Random(seed))
            self.put(A, b"abc", durable=False)
            self.put(B, b"abc")
            self.disk.sync("/spool")
            self.disk.cutPower()
            self.assertEqual(self.disk.files()[B], b"abc")
            seen.add(self.disk.files()[A])
        whole = b"abc"
        possible = {
            whole[:kept] + bytes(room) for kept in range(4) for room in range(4 - kept)
        }
        self.assertEqual(seen, possible)

    def test_sameSeedSameCut(self) -> None:
        """
        The same chance leaves the same.
        """
        left = []
        for _ in range(2):
            self.disk = self.makeDisk(random.Random(7))
            for number in range(20):
                self.put(f"/spool/{number}", b"some content", durable=False)
            self.disk.cutPower()
            left.append(self.disk.files())
        self.assertEqual(left[0], left[1])
        self.assertGreater(len(left[0]), 0)

    def test_deadProcessCanDoNothing(self) -> None:
        """
        Nothing can be asked while the machine is down, nor afterwards by the
        open files of who died; and its lock is free.
        """
        self.put(A)
        lock = self.disk.lock("/spool")
        read, written = self.disk.open(A), self.disk.create(B)
        temporary = self.disk.temporary()
        self.disk.kill()
        for ask in (
            lambda: self.disk.names("/spool"),
            lambda: self.disk.find(A),
            lambda: self.disk.unlink(A),
            lambda: self.disk.makeDirectory("/spool/x"),
        ):
            self.assertRaises(Crash, ask)
        self.disk.heal()
        self.addCleanup(self.disk.lock("/spool").release)
        lock.release()
        self.assertRaises(QueueLocked, self.disk.lock, "/spool")
        self.assertRaises(Crash, read.read)
        self.assertRaises(Crash, read.readline)
        self.assertRaises(Crash, next, read)
        for file in (written, temporary):
            self.assertRaises(Crash, file.write, b"x")
        self.assertRaises(Crash, self.disk.finish, written)
        self.assertTrue(self.disk.files().keys() == {A, B})
        self.assertEqual(self.disk.processId(), 2)

    def test_deadFilesMayBeDropped(self) -> None:
        """
        Closing the file of a dead process does nothing.
        """
        file = self.disk.create(A)
        file.write(b"data")
        self.disk.kill()
        self.disk.heal()
        file.close()
        self.assertEqual(self.disk.files(), {A: b""})

    def test_droppedFile(self) -> None:
        """
        A file that is dropped while its process runs is closed, as Python
        does; after a crash it is not.
        """
        self.disk.create(A).write(b"data")
        self.assertEqual(self.disk.files(), {A: b"data"})
        file = self.disk.create(B)
        file.write(b"data")
        self.points.crashAfter(0)
        self.assertRaises(Crash, file.close)
        del file
        self.assertEqual(self.disk.files(), {A: b"data", B: b""})


class PointTests(MemoryDiskCase):
    """
    The points at which a machine may die.
    """

    def passed(self, action: Callable[[], object]) -> list[str]:
        """
        Do something again and again, until it comes to its end.

        @return: The points at which the machine died.
        """
        died: list[str] = []
        self.points.onCrash = died.append
        for count in range(20):
            self.points.crashAfter(count)
            try:
                action()
            except Crash:
                self.points.heal()
                continue
            return died
        self.fail("it never came to its end")
        return []

    def test_aroundEachOperation(self) -> None:
        """
        Each operation that changes something has a point before and after it.
        """
        self.put(A)
        self.put(B)
        for operation, action in (
            ("create /spool/c", lambda: self.disk.create("/spool/c")),
            ("rename /spool/d", lambda: self.disk.rename(A, "/spool/d")),
            ("link /spool/e", lambda: self.disk.link(B, "/spool/e")),
            ("unlink /spool/f", lambda: self.disk.unlink("/spool/f")),
            ("sync /spool", lambda: self.disk.sync("/spool")),
        ):
            died: list[str] = []
            self.points.onCrash = died.append
            self.points.crashAfter(0)
            self.assertRaises(Crash, action)
            self.points.heal()
            if "unlink" not in operation:
                self.points.crashAfter(1)
                self.assertRaises(Crash, action)
                self.points.heal()
                self.assertEqual(died, [f"before {operation}", f"after {operation}"])
        self.assertEqual(
            self.disk.files(),
            {"/spool/d": b"data", B: b"data", "/spool/e": b"data", "/spool/c": b""},
        )

    def test_ofAFile(self) -> None:
        """
        Finishing a file passes three: before it leaves the process, before
        the sync, and after.
        """
        numbers = iter("0123456789")

        def write() -> None:
            self.put(f"/spool/{next(numbers)}")

        died = self.passed(write)
        self.assertEqual(
            [point.rpartition(" ")[0] for point in died],
            [
                "before create",
                "after create",
                "before write",
                "after write",
                "before finish",
                "before fsync",
                "after finish",
            ],
        )

    def test_whatIsThere(self) -> None:
        """
        Between those three the content goes from the process to the page
        cache, and from there to the platter.
        """
        found = []
        for count in (0, 1, 2):
            self.disk = self.makeDisk()
            file = self.disk.create(A)
            file.write(b"data")
            self.disk.sync("/spool")
            self.points.onCrash = lambda point: self.disk.kill()
            self.points.crashAfter(count)
            self.assertRaises(Crash, self.disk.finish, file)
            self.points.heal()
            found.append((self.disk.files()[A], self.disk.durable()[A]))
        self.assertEqual(found, [(b"", b""), (b"data", b""), (b"data", b"data")])

    def test_told(self) -> None:
        """
        Who wants to know is told of each operation that changes something.
        """
        told: list[tuple[str, str]] = []
        self.disk.onOperation = lambda operation, path: told.append((operation, path))
        self.put(A)
        self.disk.rename(A, B)
        self.disk.names("/spool")
        self.disk.sync("/spool")
        self.assertEqual(
            told,
            [
                ("create", A),
                ("write", A),
                ("finish", A),
                ("rename", B),
                ("sync", "/spool"),
            ],
        )

    def test_killedByWhoIsTold(self) -> None:
        """
        Who is told may kill: then it is not done.
        """
        self.disk.onOperation = lambda operation, path: self.disk.kill()
        self.assertRaises(Crash, self.disk.create, A)
        self.assertEqual(self.disk.files(), {})
