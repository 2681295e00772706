# -*- test-case-name: relaymail.test.testing.test_disk -*-
"""
What a test does to a simulated disk, and asks of it.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from relaymail.queue.disk import Room
from relaymail.testing._handles import Fault, Gate, Process
from relaymail.testing._volume import Inode, Kind, Volume, setTime
from relaymail.testing.crashes import CrashPoints


class DiskControls:
    """
    The side of a L{MemoryDisk<relaymail.testing.disk.MemoryDisk>} that a
    program does not see.

    @ivar isDown: Whether nothing runs on the machine: whatever is asked then
        raises L{Crash<relaymail.testing.crashes.Crash>}.
    @ivar processes: How many processes the disk has seen.
    """

    def __init__(
        self,
        seconds: Callable[[], float],
        points: CrashPoints | None,
        chance: random.Random | None,
    ) -> None:
        """
        See L{MemoryDisk<relaymail.testing.disk.MemoryDisk>}.
        """
        self.processes = 1
        self.isDown = False
        self._volume = Volume(seconds)
        self._gate = Gate(points)
        self._chance = chance
        self._locks: dict[Inode, object] = {}

    # What happens to it

    def kill(self) -> None:
        """
        The process is killed: what it had not flushed and the locks it held
        are gone, what is on the disk and in the page cache stays.  Nothing
        runs until L{heal}.
        """
        process = self._gate.process
        if process.isAlive:
            process.isAlive = False
            for inode, times in process.held.items():
                self._volume.release(inode, times)
            process.held.clear()
        self._locks.clear()
        self.isDown = True

    def cutPower(self) -> None:
        """
        The power goes: the process is gone as with L{kill}, and so is what
        was not synced, or some of it: of the changes of directories a number
        of the first survives, of each content a part, with the room for the
        rest perhaps there and full of zeros.
        """
        self.kill()
        self._volume.lose(self._chance)

    def heal(self) -> None:
        """
        The machine starts again, with another process; failures that were
        asked for stay until L{repair}.
        """
        if self.isDown:
            self.processes += 1
            self.isDown = False
            self._gate.process = Process()

    def fail(
        self,
        operation: str,
        error: int,
        path: str = "",
        times: int | None = 1,
        after: int = 0,
    ) -> None:
        """
        Let an operation fail as the real disk would.  A C{write} that fails
        leaves a part of its data behind; a C{finish} fails when everything is
        flushed and nothing synced.

        @param operation: The name of a method of L{Disk
            <relaymail.queue.disk.Disk>}, or C{temporary} or C{close}; C{*}
            for all.
        @param error: Which error, of L{errno}.
        @param path: For the paths that end so; C{*} and C{?} mean what they
            do in a shell.  A rename and a link have their new path.
        @param times: How often; L{None} until L{repair}.
        @param after: How many such operations go well before.
        """
        self._gate.faults.append(Fault(operation, error, path, times, after))

    def repair(self) -> None:
        """
        Let nothing fail any more that was asked to.
        """
        self._gate.faults.clear()

    def plant(
        self, path: str, data: bytes | None = None, modified: float | None = None
    ) -> None:
        """
        Put something there as somebody else would have, for good, in the
        place of what had the name.

        @param data: The content of a plain file; L{None} for something that
            is none: a link, a FIFO, a device.
        @param modified: Its modification time, in seconds of the epoch;
            L{None} for now.
        """
        inode = self._volume.make(Kind.OTHER if data is None else Kind.FILE)
        directory, name = self._volume.place(path)
        self._volume.change((directory, name, inode))
        self._volume.append(inode, data or b"")
        setTime(inode, modified)
        self._volume.sync(inode)
        self._volume.sync(directory)

    # What is known of it

    @property
    def capacity(self) -> int | None:
        """
        How many bytes of content it holds; L{None} for any number.
        """
        return self._volume.capacity

    @capacity.setter
    def capacity(self, size: int | None) -> None:
        self._volume.capacity = size

    @property
    def inodes(self) -> int | None:
        """
        How many files and directories it holds; L{None} for any number.
        """
        return self._volume.inodes

    @inodes.setter
    def inodes(self, count: int | None) -> None:
        self._volume.inodes = count

    @property
    def used(self) -> Room:
        """
        How many bytes and inodes are taken up.
        """
        return Room(self._volume.used, self._volume.count)

    @property
    def failures(self) -> int:
        """
        How many operations have failed that were asked to.
        """
        return self._gate.failures

    @property
    def onOperation(self) -> Callable[[str, str], None]:
        """
        What is called with the name and the path of each operation that
        changes something, before it is made and even if it then fails.
        """
        return self._gate.onOperation

    @onOperation.setter
    def onOperation(self, told: Callable[[str, str], None]) -> None:
        self._gate.onOperation = told

    def files(self) -> dict[str, bytes]:
        """
        Give the content of each plain file by its path, as whoever opens it
        now reads it.
        """
        return self._volume.files(durable=False)

    def durable(self) -> dict[str, bytes]:
        """
        Give what would surely survive a power cut now: the content of each
        plain file by its path.
        """
        return self._volume.files(durable=True)
