# -*- test-case-name: relaymail.test.testing.test_disk -*-
"""
A disk in memory for the directory queue: it fails when it is told to, fills
up, and dies with its machine.

What a real machine may lose this one loses.  Bytes that were not flushed are
gone with the process; what was flushed survives that, and a power cut only
once its file is synced; a name comes, changes and goes for good only once its
directory is synced.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from typing import IO, cast

from relaymail.errors import QueueLocked, QueueUnusable, UnreadableEntry
from relaymail.queue.disk import DirectoryLock, Disk, Found, Room, Trying
from relaymail.testing._controls import DiskControls
from relaymail.testing._handles import ReadFile, TemporaryFile, WrittenFile
from relaymail.testing._volume import (
    UNBOUNDED,
    Directory,
    Inode,
    Kind,
    setTime,
    trouble,
)
from relaymail.testing.crashes import CrashPoints

#: What C{temporary} calls its files.
TEMPORARY = "(temporary)"


class MemoryDisk(DiskControls, Disk):
    """
    A L{Disk} that is all in memory and asks the system for nothing.  It
    begins with an empty root directory.

    Each operation that changes something passes a point before it and one
    after it: C{"before rename /spool/x-D"}, C{"after rename /spool/x-D"}; so
    do C{create}, C{write}, C{close} (of a file that still held something
    back), C{link}, C{unlink}, C{sync} and C{makeDirectory}.  C{finish} passes
    another between: C{"before finish"} nothing may have left the process,
    C{"before fsync"} all of it has and nothing needs survive a power cut,
    C{"after finish"} all of it does.
    """

    def __init__(
        self,
        seconds: Callable[[], float],
        points: CrashPoints | None = None,
        chance: random.Random | None = None,
    ) -> None:
        """
        @param seconds: Tells the time, in seconds of the epoch.
        @param points: Passed around each operation that changes something;
            L{None} where there is no need to crash in the middle.
        @param chance: Chooses what a power cut leaves of what was not synced;
            with L{None} it leaves nothing of that.
        """
        super().__init__(seconds, points, chance)
        self._numbers = 0

    def temporary(self) -> IO[bytes]:
        """
        Open a file without a name for writing and reading, as
        C{tempfile.TemporaryFile} does: it takes up room while it is open.

        @raise OSError: When it cannot be had.
        """
        with self._gate.changing("temporary", TEMPORARY):
            inode = self._volume.make(Kind.FILE)
            file = TemporaryFile(self._gate, self._volume, inode, TEMPORARY)
        return cast(IO[bytes], file)

    def create(self, path: str) -> IO[bytes]:
        """
        See L{Disk.create}.
        """
        with Trying("create", path), self._gate.changing("create", path):
            directory, name = self._absent(path)
            inode = self._volume.make(Kind.FILE)
            self._volume.change((directory, name, inode))
            file = WrittenFile(self._gate, self._volume, inode, path)
        return cast(IO[bytes], file)

    def finish(
        self, file: IO[bytes], modified: float | None = None, durable: bool = True
    ) -> Found:
        """
        See L{Disk.finish}.
        """
        assert isinstance(file, WrittenFile)
        file.check()
        path = file.name
        with Trying("write", path), file:
            fault = self._gate.begin("finish", path)
            file.flush()
            setTime(file.inode, modified)
            self._gate.point(f"before fsync {path}")
            if fault is not None:
                raise fault
            if durable:
                self._volume.sync(file.inode)
            self._gate.end("finish", path)
            return _found(file.inode)

    def sync(self, path: str) -> None:
        """
        See L{Disk.sync}.
        """
        with Trying("sync", path), self._gate.changing("sync", path):
            self._volume.sync(self._volume.look(path))

    def rename(self, old: str, new: str) -> None:
        """
        See L{Disk.rename}.
        """
        with Trying("rename to", new), self._gate.changing("rename", new):
            inode = self._plain(old)
            source, oldName = self._volume.place(old)
            directory, newName = self._volume.place(new)
            replaced = directory.entries.get(newName)
            if isinstance(replaced, Directory):
                raise trouble(errno.EISDIR, new)
            # Two names of one file both stay, says POSIX.
            if replaced is not inode:
                self._volume.change(
                    (source, oldName, None), (directory, newName, inode)
                )

    def link(self, old: str, new: str) -> None:
        """
        See L{Disk.link}.
        """
        with Trying("link", new), self._gate.changing("link", new):
            inode = self._plain(old)
            directory, name = self._absent(new)
            self._volume.change((directory, name, inode))

    def unlink(self, path: str) -> None:
        """
        See L{Disk.unlink}.
        """
        try:
            with Trying("remove", path), self._gate.changing("unlink", path):
                self._plain(path)
                directory, name = self._volume.place(path)
                self._volume.change((directory, name, None))
        except FileNotFoundError:
            pass

    def names(self, directory: str) -> list[str]:
        """
        See L{Disk.names}.
        """
        with Trying("list", directory, missing=QueueUnusable):
            self._gate.ask("names", directory)
            return list(self._volume.directory(directory).entries)

    def changed(self, directory: str) -> int:
        """
        See L{Disk.changed}.
        """
        with Trying("look at", directory, missing=QueueUnusable):
            self._gate.ask("changed", directory)
            return self._volume.look(directory).modified

    def find(self, path: str) -> Found | None:
        """
        See L{Disk.find}.
        """
        try:
            with Trying("look at", path):
                self._gate.ask("find", path)
                return _found(self._volume.look(path))
        except FileNotFoundError:
            return None

    def open(self, path: str) -> IO[bytes]:
        """
        See L{Disk.open}.
        """
        with Trying("open", path, UnreadableEntry, UnreadableEntry):
            self._gate.ask("open", path)
            inode = self._volume.look(path)
            if inode.kind is not Kind.FILE:
                raise UnreadableEntry(f"{path} is {inode.kind.value}; it is not read")
            data = bytes(inode.data)
            file = ReadFile(self._gate, self._volume, inode, path, data)
        return cast(IO[bytes], file)

    def read(self, path: str, limit: int) -> bytes:
        """
        See L{Disk.read}.
        """
        with Trying("read", path, UnreadableEntry):
            self._gate.ask("read", path)
        return super().read(path, limit)

    def lock(self, directory: str) -> DirectoryLock:
        """
        See L{Disk.lock}.
        """
        with Trying("lock", directory, missing=QueueUnusable):
            self._gate.ask("lock", directory)
            inode = self._volume.look(directory)
        if inode in self._locks:
            raise QueueLocked(f"the lock of {directory} is held; it is not taken")
        hold = self._locks[inode] = object()

        def giveUp() -> None:
            if self._locks.get(inode) is hold:
                del self._locks[inode]

        return DirectoryLock(giveUp)

    def room(self, directory: str) -> Room:
        """
        See L{Disk.room}.
        """
        with Trying("measure", directory, missing=QueueUnusable):
            self._gate.ask("room", directory)
            self._volume.look(directory)
        space, count = self.capacity, self.inodes
        return Room(
            UNBOUNDED if space is None else max(0, space - self._volume.used),
            None if count is None else max(0, count - self._volume.count),
        )

    def makeDirectory(self, path: str) -> None:
        """
        See L{Disk.makeDirectory}.
        """
        path = "/" + path.strip("/")
        above = path.rpartition("/")[0] or "/"
        if self.find(path) is not None:
            return
        if self.find(above) is None:
            self.makeDirectory(above)
        with (
            Trying("create", path, missing=QueueUnusable),
            self._gate.changing("makeDirectory", path),
        ):
            directory, name = self._absent(path)
            self._volume.change((directory, name, self._volume.make(Kind.DIRECTORY)))
        self.sync(above)

    def checkDirectory(self, path: str) -> None:
        """
        See L{Disk.checkDirectory}.  Nobody else can write to this disk.
        """
        with Trying("look at", path, missing=QueueUnusable):
            self._gate.ask("checkDirectory", path)
            kind = self._volume.look(path).kind
        if kind is not Kind.DIRECTORY:
            raise QueueUnusable(f"{path} is {kind.value}; the queue is not used")

    def processId(self) -> int:
        """
        Give the number of the process that runs, counted from 1.
        """
        return self.processes

    def numberFor(self, owner: object) -> int:
        """
        Count who asks, so that names are the same in each run.
        """
        self._numbers += 1
        return self._numbers

    # How

    def _absent(self, path: str) -> tuple[Directory, str]:
        directory, name = self._volume.place(path)
        if name in directory.entries:
            raise trouble(errno.EEXIST, path)
        return directory, name

    def _plain(self, path: str) -> Inode:
        inode = self._volume.look(path)
        if isinstance(inode, Directory):
            raise trouble(errno.EISDIR, path)
        return inode


def _found(inode: Inode) -> Found:
    size = len(inode.data)
    return Found(
        inode.kind is Kind.FILE,
        size,
        inode.modified / 1e9,
        (inode.number, size, inode.modified),
    )
