# -*- test-case-name: relaymail.test.testing.test_disk -*-
"""
A file system in memory: what a running machine sees of it, and what would be
left of that after a power cut.

Content reaches the page cache when it is written and the platter when its
file is synced; an entry of a directory when that directory is.  What was done
to directories is written in order, as a journalled file system does: a cut
loses the last of it, from some point on.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum

#: A file system that is not told how large it is has this many bytes left.
UNBOUNDED = 1 << 40


class Kind(Enum):
    """
    What an inode is.
    """

    FILE = "a plain file"
    DIRECTORY = "a directory"
    OTHER = "a link, a FIFO or a device"


@dataclass(slots=True, eq=False)
class Inode:
    """
    A file, whatever names it has.

    @ivar number: Its number, which no other has or had.
    @ivar kind: What it is.
    @ivar modified: When it was changed, in nanoseconds of the epoch.
    @ivar data: What is in it, for whoever reads it now.
    @ivar synced: How many bytes of that would survive a power cut.
    @ivar reserved: Bytes it takes up beside C{data}.
    @ivar references: How many names and open files it has; with none it is
        gone.
    """

    number: int
    kind: Kind
    modified: int
    data: bytearray = field(default_factory=bytearray)
    synced: int = 0
    reserved: int = 0
    references: int = 0

    @property
    def size(self) -> int:
        """
        How many bytes it takes up.
        """
        return len(self.data) + self.reserved


@dataclass(slots=True, eq=False)
class Directory(Inode):
    """
    A directory.

    @ivar entries: What is in it, for whoever looks now.
    @ivar pending: What was done to it since it was synced.
    """

    entries: dict[str, Inode] = field(default_factory=dict)
    pending: list[Step] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Step:
    """
    Something done to directories that is lost or kept as a whole.

    @ivar number: Its place among all steps.
    @ivar before: What was in the entries it changed.
    """

    number: int
    before: list[tuple[Directory, str, Inode | None]]


class Volume:
    """
    The file system.  Its methods raise L{OSError} as the system would.

    @ivar capacity: How many bytes it holds; L{None} for any number.
    @ivar inodes: How many inodes it has; L{None} for any number.
    @ivar used: How many bytes are taken up.
    @ivar count: How many inodes are taken up.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        """
        @param seconds: Tells the time, in seconds of the epoch.
        """
        self._seconds = seconds
        self.capacity: int | None = None
        self.inodes: int | None = None
        self.used = 0
        self.count = 0
        self._made = 0
        self._steps = 0
        self._unsynced: dict[Directory, None] = {}
        self._found: dict[str, Directory] = {}
        self.root = Directory(0, Kind.DIRECTORY, self.now())
        self.refer(self.root)

    def now(self) -> int:
        """
        Give the time, in nanoseconds of the epoch.
        """
        return round(self._seconds() * 1e9)

    # Looking

    def directory(self, path: str) -> Directory:
        """
        Find a directory.
        """
        found = self._found.get(path)
        if found is None:
            found = self._walkTo(path)
            self._found[path] = found
        return found

    def place(self, path: str) -> tuple[Directory, str]:
        """
        Split a path into its directory and the last name.
        """
        above, _, name = path.rstrip("/").rpartition("/")
        return self.directory(above), name

    def look(self, path: str) -> Inode:
        """
        Find what has a name.
        """
        if not path.strip("/"):
            return self.root
        directory, name = self.place(path)
        found = directory.entries.get(name)
        if found is None:
            raise trouble(errno.ENOENT, path)
        return found

    def files(self, durable: bool) -> dict[str, bytes]:
        """
        Give the content of every plain file by its path.

        @param durable: Whether to give only what would survive a power cut.
        """
        entries: dict[Directory, dict[str, Inode]] = {}
        if durable:
            for step in reversed(self._pending()):
                for directory, name, inode in reversed(step.before):
                    here = entries.setdefault(directory, dict(directory.entries))
                    _put(here, name, inode)
        return {
            path: bytes(inode.data[: inode.synced] if durable else inode.data)
            for path, inode in self._walk(self.root, "", entries)
            if inode.kind is Kind.FILE
        }

    # Changing

    def make(self, kind: Kind) -> Inode:
        """
        Make an inode that has no name yet.
        """
        if self.inodes is not None and self.count >= self.inodes:
            raise trouble(errno.ENOSPC, "")
        self._made += 1
        kept = Directory if kind is Kind.DIRECTORY else Inode
        return kept(self._made, kind, self.now())

    def change(self, *edits: tuple[Directory, str, Inode | None]) -> None:
        """
        Change entries, all of them or none.
        """
        self._steps += 1
        before = [(place, name, place.entries.get(name)) for place, name, _ in edits]
        step = Step(self._steps, before)
        now = self.now()
        for directory, name, inode in edits:
            self._set(directory, name, inode)
            directory.modified = now
            if step not in directory.pending[-1:]:
                directory.pending.append(step)
            self._unsynced[directory] = None

    def append(self, inode: Inode, data: bytes) -> int:
        """
        Put data at the end of a file, as much of it as there is room for.

        @return: How many bytes of it.
        """
        taken = self._room(len(data))
        inode.data += data[:taken]
        inode.modified = self.now()
        self.used += taken
        return taken

    def reserve(self, inode: Inode, size: int) -> int:
        """
        Let a file take up more, as much of it as there is room for.

        @return: How many bytes more.
        """
        taken = self._room(size)
        inode.reserved += taken
        self.used += taken
        return taken

    def refer(self, inode: Inode) -> None:
        """
        Give an inode a name or an open file.
        """
        if inode.references == 0:
            self.used += inode.size
            self.count += 1
        inode.references += 1

    def release(self, inode: Inode, times: int = 1) -> None:
        """
        Take names or open files from an inode.
        """
        inode.references -= times
        if inode.references == 0:
            self.used -= inode.size
            self.count -= 1

    def sync(self, inode: Inode) -> None:
        """
        Let what is in a file, or was done to a directory, survive a power
        cut.
        """
        if isinstance(inode, Directory):
            self._commit(inode, self._steps)
        else:
            inode.synced = len(inode.data)

    def lose(self, chance: random.Random | None) -> None:
        """
        Cut the power.  What is there afterwards would survive the next cut.

        @param chance: Chooses what is kept of what was not synced; with
            L{None} nothing is.
        """
        steps = self._pending()
        kept = chance.randint(0, len(steps)) if chance is not None else 0
        for step in reversed(steps[kept:]):
            for directory, name, inode in reversed(step.before):
                _put(directory.entries, name, inode)
        for directory in self._unsynced:
            directory.pending.clear()
        self._unsynced.clear()
        self._found.clear()
        self._recount(chance)

    # How

    def _walkTo(self, path: str) -> Directory:
        found: Inode = self.root
        for name in path.split("/"):
            if name in ("", "."):
                continue
            if isinstance(found, Directory):
                found = found.entries.get(name) or _absent(path)
            else:
                raise trouble(errno.ENOTDIR, path)
        if not isinstance(found, Directory):
            raise trouble(errno.ENOTDIR, path)
        return found

    def _walk(
        self,
        directory: Directory,
        path: str,
        entries: dict[Directory, dict[str, Inode]],
    ) -> Iterator[tuple[str, Inode]]:
        for name, inode in entries.get(directory, directory.entries).items():
            yield f"{path}/{name}", inode
            if isinstance(inode, Directory):
                yield from self._walk(inode, f"{path}/{name}", entries)

    def _room(self, size: int) -> int:
        if self.capacity is None:
            return size
        return max(0, min(size, self.capacity - self.used))

    def _set(self, directory: Directory, name: str, inode: Inode | None) -> None:
        before = directory.entries.get(name)
        if inode is not None:
            self.refer(inode)
        _put(directory.entries, name, inode)
        if before is not None:
            self.release(before)

    def _pending(self) -> list[Step]:
        steps = {step: None for each in self._unsynced for step in each.pending}
        return sorted(steps, key=lambda step: step.number)

    def _commit(self, directory: Directory, last: int) -> None:
        """
        Make durable what was done to a directory up to a step; and, since
        the order is kept, what was done before to where such a step reached.
        """
        done = [step for step in directory.pending if step.number <= last]
        del directory.pending[: len(done)]
        if not directory.pending:
            self._unsynced.pop(directory, None)
        for step in done:
            for other, _, _ in step.before:
                if other is not directory and step in other.pending:
                    self._commit(other, step.number)

    def _recount(self, chance: random.Random | None) -> None:
        found = [self.root, *(inode for _, inode in self._walk(self.root, "", {}))]
        self.used = self.count = 0
        for inode in found:
            inode.references = 0
        for inode in found:
            if inode.synced < len(inode.data):
                inode.data = bytearray(_tear(inode, chance))
                inode.synced = len(inode.data)
            self.refer(inode)


def setTime(inode: Inode, modified: float | None) -> None:
    """
    Give a file a modification time, in seconds of the epoch, unless it is
    L{None}.
    """
    if modified is not None:
        inode.modified = round(modified * 1e9)


def trouble(number: int, path: str) -> OSError:
    """
    Make the error that the system would raise.

    @param number: Which, of L{errno}.
    """
    return OSError(number, os.strerror(number), path)


def _absent(path: str) -> Inode:
    raise trouble(errno.ENOENT, path)


def _put(entries: dict[str, Inode], name: str, inode: Inode | None) -> None:
    if inode is None:
        entries.pop(name, None)
    else:
        entries[name] = inode


def _tear(inode: Inode, chance: random.Random | None) -> bytes:
    """
    Give what a power cut leaves of a content: a part of what was not synced,
    and perhaps room that was made for more of it and never filled.
    """
    data = bytes(inode.data)
    if chance is None:
        return data[: inode.synced]
    # The two ends are the likely ones.
    kept = chance.choice(
        (inode.synced, len(data), chance.randint(inode.synced, len(data)))
    )
    rest = len(data) - kept
    return data[:kept] + bytes(chance.choice((0, rest, chance.randint(0, rest))))
