# -*- test-case-name: relaymail.test.testing.test_disk -*-
"""
The open files of a simulated process, and what may happen to whatever it asks
of its disk.
"""

from __future__ import annotations

import errno
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from relaymail.testing._volume import Inode, Volume, trouble
from relaymail.testing.crashes import Crash, CrashPoints

#: What is written stays in the process up to this many bytes, as in Python's
#: own files.
BUFFER = io.DEFAULT_BUFFER_SIZE


@dataclass(slots=True, eq=False)
class Process:
    """
    A process that uses the disk.

    @ivar isAlive: Whether it still runs.
    @ivar held: What it holds open, and how often.
    """

    isAlive: bool = True
    held: dict[Inode, int] = field(default_factory=dict)

    def check(self) -> None:
        """
        See that it still runs.

        @raise Crash: When it does not.
        """
        if not self.isAlive:
            raise Crash("the process that did this is gone")


@dataclass(slots=True)
class Fault:
    """
    A failure that was asked for.

    @ivar operation: Of which operation; C{*} for any.
    @ivar error: Which, of L{errno}.
    @ivar path: How the paths end that it is for; C{*} and C{?} stand for what
        they do in a shell.
    @ivar left: How often it is still to happen; L{None} for ever.
    @ivar after: How many more such operations go well before it.
    """

    operation: str
    error: int
    path: str
    left: int | None
    after: int

    def take(self, operation: str, path: str) -> bool:
        """
        Tell whether it happens now.
        """
        if self.left == 0 or self.operation not in ("*", operation):
            return False
        if not fnmatchcase(path, "*" + self.path):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self.left is not None:
            self.left -= 1
        return True


class Gate:
    """
    What everything asked of the disk passes.

    @ivar process: The process that runs, or ran last.
    @ivar faults: The failures that were asked for.
    @ivar failures: How many of them have happened.
    @ivar onOperation: Called with the name and the path of each operation
        that changes something, before it is made.
    """

    def __init__(self, points: CrashPoints | None) -> None:
        """
        @param points: Passed before and after each such operation.
        """
        self.process = Process()
        self.faults: list[Fault] = []
        self.failures = 0
        self.onOperation: Callable[[str, str], None] = lambda operation, path: None
        self._points = points

    @property
    def isOpen(self) -> bool:
        """
        Whether anything can still be asked.
        """
        down = self._points is not None and self._points.isDown
        return self.process.isAlive and not down

    def ask(self, operation: str, path: str) -> None:
        """
        Begin something that changes nothing.
        """
        self.process.check()
        if (fault := self._fault(operation, path)) is not None:
            raise fault

    @contextmanager
    def changing(self, operation: str, path: str) -> Iterator[None]:
        """
        Do something that changes something.
        """
        if (fault := self.begin(operation, path)) is not None:
            raise fault
        yield
        self.end(operation, path)

    def begin(self, operation: str, path: str) -> OSError | None:
        """
        Begin something that changes something.

        @return: The error it is to fail with.
        """
        self.point(f"before {operation} {path}")
        self.onOperation(operation, path)
        self.process.check()
        return self._fault(operation, path)

    def end(self, operation: str, path: str) -> None:
        """
        End it.
        """
        self.point(f"after {operation} {path}")

    def point(self, name: str) -> None:
        """
        Pass a moment at which the machine may die.
        """
        self.process.check()
        if self._points is not None:
            self._points.point(name)
        self.process.check()

    def _fault(self, operation: str, path: str) -> OSError | None:
        for fault in self.faults:
            if fault.take(operation, path):
                self.failures += 1
                return trouble(fault.error, path)
        return None


class _OpenFile(io.BytesIO):
    """
    What all open files have in common: they are of no use to anybody once
    their process is gone, and hold their inode until they are closed.
    """

    def __init__(
        self, gate: Gate, volume: Volume, inode: Inode, name: str, data: bytes = b""
    ) -> None:
        super().__init__(data)
        self.name = name
        self.inode = inode
        self._gate = gate
        self._volume = volume
        self._process = process = gate.process
        volume.refer(inode)
        process.held[inode] = process.held.get(inode, 0) + 1

    def close(self) -> None:
        if self.closed:
            return
        super().close()
        process = self._process
        # What a process held is given back when it is killed.
        if process.isAlive:
            process.held[self.inode] -= 1
            if process.held[self.inode] == 0:
                del process.held[self.inode]
            self._volume.release(self.inode)

    def __del__(self) -> None:
        self.close()

    def check(self) -> None:
        """
        See that the process whose file it is still runs.
        """
        self._process.check()


class ReadFile(_OpenFile):
    """
    A file that is open for reading.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        """
        Read C{size} bytes, or all that is left.
        """
        self.check()
        return super().read(size)

    def read1(self, size: int | None = -1, /) -> bytes:
        """
        Read at most C{size} bytes.
        """
        return self.read(size)

    def readinto(self, buffer: Any, /) -> int:
        """
        Read into a buffer.
        """
        self.check()
        return super().readinto(buffer)

    def readline(self, size: int | None = -1, /) -> bytes:
        """
        Read up to the next line feed.
        """
        self.check()
        return super().readline(size)

    def __next__(self) -> bytes:
        self.check()
        return super().__next__()

    def write(self, data: Any, /) -> int:
        """
        It is not for writing.
        """
        raise io.UnsupportedOperation("write")


class TemporaryFile(ReadFile):
    """
    A file without a name, to be written and read.
    """

    def write(self, data: Any, /) -> int:
        """
        Write where it stands; of what there is no room for, only a part.
        """
        self.check()
        fault = self._gate.begin("write", self.name)
        size = len(memoryview(data).cast("B"))
        if fault is not None:
            self._put(data, size // 2)
            raise fault
        written = self._put(data, size)
        self._gate.end("write", self.name)
        return written

    def _put(self, data: Any, size: int) -> int:
        grown = max(0, self.tell() + size - len(self.getbuffer()))
        missing = grown - self._volume.reserve(self.inode, grown)
        written = super(ReadFile, self).write(memoryview(data)[: size - missing])
        if missing:
            raise trouble(errno.ENOSPC, self.name)
        return written


class WrittenFile(_OpenFile):
    """
    A new file that is being written, from its start to its end.
    """

    def write(self, data: Any, /) -> int:
        """
        Take data.  It leaves the process when there is enough of it.
        """
        self.check()
        fault = self._gate.begin("write", self.name)
        super().write(data)
        if fault is not None:
            self._drain(self._held() // 2)
            raise fault
        if self._held() > BUFFER:
            self._drain()
        self._gate.end("write", self.name)
        return len(data)

    def flush(self) -> None:
        """
        Hand what was written to the kernel.
        """
        if not self.closed and self._held():
            self.check()
            self._drain()

    def close(self) -> None:
        """
        Hand what was written to the kernel, and close the file.
        """
        if self.closed:
            return
        try:
            if self._process.isAlive and self._held():
                with self._gate.changing("close", self.name):
                    self._drain()
        finally:
            super().close()

    def __del__(self) -> None:
        # Who drops a file passes no point: when that is, is not certain.
        if not self.closed:
            if self._process.isAlive and self._gate.isOpen:
                self._drain(strict=False)
            super().close()

    def tell(self) -> int:
        """
        Tell how much was written.
        """
        return len(self.inode.data) + self._held()

    def seekable(self) -> bool:
        """
        Its place cannot be chosen.
        """
        return False

    def _held(self) -> int:
        return super().tell()

    def _drain(self, limit: int | None = None, strict: bool = True) -> None:
        data = self.getvalue()
        offered = data[:limit]
        taken = self._volume.append(self.inode, offered)
        self.seek(0)
        self.truncate()
        super().write(data[taken:])
        if strict and taken < len(offered):
            raise trouble(errno.ENOSPC, self.name)
