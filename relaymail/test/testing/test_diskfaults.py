"""
Tests for L{relaymail.testing.disk}: failures, and want of room.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from relaymail.errors import QueueFull, QueueUnusable, UnreadableEntry
from relaymail.queue.disk import Disk
from relaymail.test.testing.test_disk import A, B, MemoryDiskCase
from relaymail.testing._volume import UNBOUNDED


class FaultTests(MemoryDiskCase):
    """
    Failures that were asked for.
    """

    def operations(self) -> dict[str, Callable[[], object]]:
        """
        Give each operation by its name.
        """
        disk = self.disk
        self.put(A)
        file = disk.create(B)
        return {
            "create": lambda: disk.create("/spool/c"),
            "write": lambda: disk.write(file, b"x"),
            "finish": lambda: disk.finish(file),
            "sync": lambda: disk.sync("/spool"),
            "rename": lambda: disk.rename(A, "/spool/d"),
            "link": lambda: disk.link(A, "/spool/e"),
            "unlink": lambda: disk.unlink(A),
            "names": lambda: disk.names("/spool"),
            "changed": lambda: disk.changed("/spool"),
            "find": lambda: disk.find(A),
            "lock": lambda: disk.lock("/spool"),
            "room": lambda: disk.room("/spool"),
            "makeDirectory": lambda: disk.makeDirectory("/spool/x"),
            "checkDirectory": lambda: disk.checkDirectory("/spool"),
            "open": lambda: disk.open(A),
            "read": lambda: disk.read(A, 10),
        }

    def test_P6_everyOperationFailsAsTheRealOne(self) -> None:
        """
        Want of room or descriptors is one thing, a broken disk another, and
        a file that cannot be read a third.
        """
        for name in self.operations():
            broken = UnreadableEntry if name in ("open", "read") else QueueUnusable
            for number, kind in (
                (errno.ENOSPC, QueueFull),
                (errno.EMFILE, QueueFull),
                (errno.EIO, broken),
            ):
                self.disk = self.makeDisk()
                action = self.operations()[name]
                before = self.disk.files()
                self.disk.fail(name, number)
                error = self.assertRaises(kind, action)
                self.assertIn("tried to", str(error))
                self.assertEqual(self.disk.failures, 1)
                self.assertEqual(self.disk.files(), before)

    def test_P6_everyOperationOfTheDiskCanFail(self) -> None:
        """
        None was left out above.
        """
        names = {name for name in vars(Disk) if not name.startswith("_")}
        harmless = {"abandon", "processId", "numberFor"}
        self.assertEqual(names - harmless, set(self.operations()))

    def test_whichAndHowOften(self) -> None:
        """
        A failure is for some paths, for so many times, after so many.
        """
        self.disk.fail("create", errno.EIO, "-D", times=2, after=1)
        made = []
        for number in range(5):
            for suffix in "CD":
                path = f"/spool/{number}-{suffix}"
                try:
                    self.disk.create(path)
                    made.append(path[-3:])
                except QueueUnusable:
                    pass
        self.assertEqual(made, ["0-C", "0-D", "1-C", "2-C", "3-C", "3-D", "4-C", "4-D"])
        self.assertEqual(self.disk.failures, 2)

    def test_untilRepaired(self) -> None:
        """
        One for ever ends with a repair; a pattern may name a directory.
        """
        self.disk.makeDirectory("/other")
        self.disk.fail("*", errno.EIO, "/spool/*", times=None)
        for _ in range(3):
            self.assertRaises(QueueUnusable, self.disk.create, A)
        self.put("/other/a")
        self.disk.repair()
        self.put(A)

    def test_finishThatFails(self) -> None:
        """
        It leaves what was flushed, not durable, and the file closed.
        """
        file = self.disk.create(A)
        file.write(b"data")
        self.disk.sync("/spool")
        self.disk.fail("finish", errno.EIO)
        self.assertRaises(QueueUnusable, self.disk.finish, file)
        self.assertTrue(file.closed)
        self.assertEqual(self.disk.files(), {A: b"data"})
        self.assertEqual(self.disk.durable(), {A: b""})

    def test_shortWrite(self) -> None:
        """
        A write that fails leaves a part behind, and raises what Python does.
        """
        self.disk.fail("write", errno.ENOSPC)
        error = self.assertRaises(OSError, self.disk.create(A).write, b"data")
        self.assertEqual(error.errno, errno.ENOSPC)
        self.assertEqual(self.disk.files()[A][:2], b"da")

    def test_abandon(self) -> None:
        """
        What fails when a file is abandoned is nobody's business.
        """
        file = self.disk.create(A)
        file.write(b"data")
        self.disk.fail("close", errno.EIO)
        self.disk.abandon(file)
        self.assertTrue(file.closed)
        self.assertEqual((self.disk.failures, self.disk.files()), (1, {A: b""}))


class RoomTests(MemoryDiskCase):
    """
    A disk that fills up.
    """

    def test_unbounded(self) -> None:
        """
        Unless told otherwise there is no bound.
        """
        room = self.disk.room("/spool")
        self.assertEqual((room.bytes, room.inodes), (UNBOUNDED, None))

    def test_P6_bytes(self) -> None:
        """
        A write takes what there is room for, and what is removed makes room,
        once nobody holds it open.
        """
        self.disk.capacity = 10
        self.put(A, b"x" * 8)
        self.assertEqual(self.disk.room("/spool").bytes, 2)
        self.assertRaises(QueueFull, self.put, B, b"four")
        self.assertEqual(self.disk.files()[B], b"fo")
        self.assertEqual(self.disk.room("/spool").bytes, 0)
        file = self.disk.open(A)
        self.disk.link(A, "/spool/c")
        self.disk.unlink(A)
        self.disk.unlink("/spool/c")
        self.assertEqual(self.disk.room("/spool").bytes, 0)
        file.close()
        self.assertEqual(self.disk.room("/spool").bytes, 8)

    def test_P6_inodes(self) -> None:
        """
        Names of one file share an inode; files and directories take one each.
        """
        self.disk.inodes = 4
        self.assertEqual(self.disk.room("/spool").inodes, 2)
        self.put(A)
        self.disk.link(A, B)
        self.assertEqual(self.disk.room("/spool").inodes, 1)
        self.disk.makeDirectory("/spool/x")
        self.assertRaises(QueueFull, self.disk.create, "/spool/c")
        self.assertRaises(QueueFull, self.disk.makeDirectory, "/spool/y")
        self.disk.unlink(A)
        self.assertEqual(self.disk.room("/spool").inodes, 0)
        self.disk.unlink(B)
        self.put("/spool/c")

    def test_P6_temporary(self) -> None:
        """
        A file without a name takes room while it is open, and can be read and
        written anywhere.
        """
        self.disk.capacity = 10
        file = self.disk.temporary()
        file.write(b"12345678")
        file.seek(4)
        file.write(b"xx")
        file.seek(0)
        self.assertEqual(file.read(), b"1234xx78")
        self.assertEqual(self.disk.used.bytes, 8)
        self.assertRaises(OSError, file.write, b"four")
        self.assertEqual(self.disk.used.bytes, 10)
        file.close()
        self.assertEqual(self.disk.used.bytes, 0)
        self.assertEqual(self.disk.files(), {})
        self.disk.fail("temporary", errno.EMFILE)
        self.assertRaises(OSError, self.disk.temporary)
        self.disk.fail("write", errno.ENOSPC)
        other = self.disk.temporary()
        self.assertRaises(OSError, other.write, b"four")
        self.assertEqual(self.disk.used.bytes, 2)

    def test_afterACrash(self) -> None:
        """
        What a dead process held open makes room; so does what a cut lost.
        """
        before = self.disk.used
        held = self.disk.temporary()
        held.write(b"four")
        self.put(A)
        file = self.disk.open(A)
        self.disk.unlink(A)
        self.disk.kill()
        self.assertEqual(self.disk.used, before)
        self.disk.heal()
        self.put(A)
        self.disk.cutPower()
        self.assertEqual(self.disk.used, before)
        held.close()
        file.close()
        self.assertEqual(self.disk.used, before)
