# -*- test-case-name: relaymail.test.queue.test_disk -*-
"""
The few things the directory queue asks of the operating system.

Everything that touches a file goes through a L{Disk}, so that a test can put
one in its place that fails, is full, or forgets what was not synced.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import IO

from relaymail.errors import QueueFull, QueueLocked, QueueUnusable, UnreadableEntry

#: The mode of every file: nobody else's business.
FILE_MODE = 0o600
#: The mode of every directory made here.
DIRECTORY_MODE = 0o700

_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE))
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a FIFO must not wait for whoever made it.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH

FileKey = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Found:
    """
    What is known of a file without reading it.

    @ivar regular: Whether it is a plain file: no link, FIFO, device or
        directory.
    @ivar size: Its size in bytes.
    @ivar modified: When its content last changed, in seconds of the epoch.
    @ivar key: Equal for two names of one file, and for nothing else.
    """

    regular: bool
    size: int
    modified: float
    key: FileKey


@dataclass(frozen=True, slots=True)
class Room:
    """
    What is free on a file system.

    @ivar bytes: The free bytes.
    @ivar inodes: The free inodes, or L{None} where they are not counted.
    """

    bytes: int
    inodes: int | None


class DirectoryLock:
    """
    An exclusive lock on a directory, held by an open descriptor of it: no
    file is left in it, and the kernel gives it up with the process.
    """

    def __init__(self, giveUp: Callable[[], object]) -> None:
        """
        @param giveUp: Gives the lock up; it is called once.
        """
        self._giveUp: Callable[[], object] | None = giveUp

    def release(self) -> None:
        """
        Give the lock up; a second time does nothing.
        """
        giveUp, self._giveUp = self._giveUp, None
        if giveUp is not None:
            giveUp()

    def __del__(self) -> None:
        self.release()


class Disk:
    """
    The real disk.

    Methods raise L{FileNotFoundError} and L{FileExistsError} as they are,
    since they are answers; any other trouble comes as L{QueueFull} or
    L{QueueUnusable}.
    """

    def create(self, path: str) -> IO[bytes]:
        """
        Make a file that nobody else may read.

        @raise FileExistsError: When there is anything of that name.
        """
        with Trying("create", path):
            return open(path, "wb", opener=_create)

    def write(self, file: IO[bytes], data: bytes) -> None:
        """
        Write to a file that L{create} gave.
        """
        with Trying("write to", str(file.name)):
            file.write(data)

    def finish(
        self, file: IO[bytes], modified: float | None = None, durable: bool = True
    ) -> Found:
        """
        Put what was written on the disk, and close the file.

        @param modified: The modification time to give it, in seconds of the
            epoch; L{None} leaves the kernel's.
        @param durable: Whether to wait until it would survive a power cut.

        @return: What it is now.
        """
        with Trying("write", str(file.name)), file:
            file.flush()
            if modified is not None:
                os.utime(file.fileno(), (modified, modified))
            if durable:
                os.fsync(file.fileno())
            return _found(os.fstat(file.fileno()))

    def abandon(self, file: IO[bytes]) -> None:
        """
        Close a file that is no longer wanted, whatever state it is in.
        """
        # What it could not write is not wanted either.
        with suppress(OSError):
            file.close()

    def sync(self, path: str) -> None:
        """
        Wait until a file's content, or a directory's entries, would survive a
        power cut.
        """
        with Trying("sync", path):
            descriptor = os.open(path, _READ)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def rename(self, old: str, new: str) -> None:
        """
        Give a file another name, in the place of what had it.
        """
        with Trying("rename to", new):
            os.rename(old, new)

    def link(self, old: str, new: str) -> None:
        """
        Give a file a further name.

        @raise FileExistsError: When there is anything of that name.
        """
        with Trying("link", new):
            os.link(old, new, follow_symlinks=False)

    def unlink(self, path: str) -> None:
        """
        Remove a file; one that is gone is no trouble.
        """
        with suppress(FileNotFoundError), Trying("remove", path):
            os.unlink(path)

    def names(self, directory: str) -> list[str]:
        """
        List a directory.
        """
        with Trying("list", directory, missing=QueueUnusable):
            return os.listdir(directory)

    def changed(self, directory: str) -> int:
        """
        Tell when an entry of a directory last came or went, in nanoseconds of
        the epoch.
        """
        with Trying("look at", directory, missing=QueueUnusable):
            return os.stat(directory).st_mtime_ns

    def find(self, path: str) -> Found | None:
        """
        Look at a name without following it.

        @return: What is there, or L{None}.
        """
        try:
            with Trying("look at", path):
                return _found(os.lstat(path))
        except FileNotFoundError:
            return None

    def open(self, path: str) -> IO[bytes]:
        """
        Open a plain file for reading.

        @raise UnreadableEntry: When it is missing, not a plain file, or cannot
            be opened.
        @raise QueueFull: When descriptors have run out, which says nothing of
            the file.
        """
        with Trying("open", path, UnreadableEntry, UnreadableEntry):
            return open(path, "rb", opener=_openPlain)

    def read(self, path: str, limit: int) -> bytes:
        """
        Read a plain file of bounded size.

        @param limit: The largest number of bytes to give.

        @raise UnreadableEntry: When it is longer, or cannot be read.
        """
        with self.open(path) as file, Trying("read", path, UnreadableEntry):
            data = file.read(limit + 1)
        if len(data) > limit:
            raise UnreadableEntry(f"{path} is longer than {limit} bytes")
        return data

    def lock(self, directory: str) -> DirectoryLock:
        """
        Lock a directory against every other process and queue.

        @raise QueueLocked: When another one holds it.
        """
        with Trying("lock", directory, missing=QueueUnusable):
            descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as e:
                os.close(descriptor)
                raise QueueLocked(
                    f"another relay holds the lock of {directory}; it goes on, this "
                    "one does not start"
                ) from e
            except OSError:
                os.close(descriptor)
                raise
        return DirectoryLock(partial(os.close, descriptor))

    def room(self, directory: str) -> Room:
        """
        Tell what is free where a directory is.
        """
        with Trying("measure", directory, missing=QueueUnusable):
            free = os.statvfs(directory)
        inodes = free.f_favail if free.f_files else None
        return Room(free.f_bavail * free.f_frsize, inodes)

    def makeDirectory(self, path: str) -> None:
        """
        Make a directory of our own, and those above it; one that is there is
        left as it is.
        """
        path = os.path.abspath(path)
        above = os.path.dirname(path)
        if os.path.lexists(path):
            return
        if not os.path.lexists(above):
            self.makeDirectory(above)
        with Trying("create", path, missing=QueueUnusable):
            os.mkdir(path, DIRECTORY_MODE)
        self.sync(above)

    def checkDirectory(self, path: str) -> None:
        """
        See that a directory can hold a queue.

        @raise QueueUnusable: When it is missing, no directory, cannot be
            written, or can be written by others.
        """
        with Trying("look at", path, missing=QueueUnusable):
            mode = os.stat(path).st_mode
        if not stat.S_ISDIR(mode):
            raise QueueUnusable(f"{path} is not a directory; the queue is not used")
        if mode & _OTHERS_WRITE:
            raise QueueUnusable(
                f"{path} can be written by others (mode {stat.S_IMODE(mode):04o}); "
                f"the queue is not used until chmod go-w {path}"
            )
        if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            raise QueueUnusable(
                f"{path} cannot be read and written by this user; the queue is not used"
            )

    def processId(self) -> int:
        """
        Give this process's number, for names nobody else makes.
        """
        return os.getpid()

    def numberFor(self, owner: object) -> int:
        """
        Give a number that nobody else in this process has, for names too.

        @param owner: Who is to have it, for as long as it lives.
        """
        return id(owner)


class Trying:
    """
    Turn what the system says, while something is tried, into what an operator
    reads.  A disk that is none of the system's translates its errors with it
    too.
    """

    __slots__ = ("_error", "_missing", "_path", "_what")

    def __init__(
        self,
        what: str,
        path: str,
        error: type[QueueUnusable | UnreadableEntry] = QueueUnusable,
        missing: type[QueueUnusable | UnreadableEntry] | None = None,
    ) -> None:
        """
        @param what: What is tried, so that a path can follow.
        @param path: With what.
        @param error: What an L{OSError} becomes, unless it is want of room.
        @param missing: What L{FileNotFoundError} and L{FileExistsError}
            become; L{None} leaves them as they are.
        """
        self._what = what
        self._path = path
        self._error = error
        self._missing = missing

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if not isinstance(error, OSError):
            return
        tried = f"tried to {self._what} {self._path}: {error.strerror or error}"
        if error.errno in _FULL:
            raise QueueFull(f"{tried}; there is no room") from error
        if isinstance(error, FileNotFoundError | FileExistsError):
            if self._missing is None:
                return
            raise self._missing(tried) from error
        raise self._error(tried) from error


def _create(path: str, _: int) -> int:
    return os.open(path, _CREATE, FILE_MODE)


def _openPlain(path: str, _: int) -> int:
    descriptor = os.open(path, _READ)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnreadableEntry(f"{path} is not a plain file; it is not read")
    return descriptor


def _found(status: os.stat_result) -> Found:
    # An inode's number is given to another file when the first is gone: with
    # its size and its time it is this file's alone.
    return Found(
        stat.S_ISREG(status.st_mode),
        status.st_size,
        status.st_mtime,
        (status.st_ino, status.st_size, status.st_mtime_ns),
    )
