"""
Disks that fail, for the tests of the directory queue.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import IO

from relaymail.queue.disk import Disk, Found

#: The operations that change something, or make a change last.
CHANGING = ("create", "write", "finish", "sync", "rename", "link", "unlink")


class PowerCut(BaseException):
    """
    The machine is off: no code runs after this.
    """


class CountingDisk(Disk):
    """
    The real disk, which tells of each changing operation before it is made.

    @ivar steps: The operations that were made, with their first path.
    @ivar onStep: Called with the operation's name and path; what it raises
        comes instead of the operation.
    """

    def __init__(self) -> None:
        self.steps: list[tuple[str, str]] = []
        self.onStep: Callable[[str, str], None] = lambda step, path: None

    def _step(self, step: str, path: str) -> None:
        self.onStep(step, path)
        self.steps.append((step, path))

    def create(self, path: str) -> IO[bytes]:
        """
        See L{Disk.create}.
        """
        self._step("create", path)
        return super().create(path)

    def write(self, file: IO[bytes], data: bytes) -> None:
        """
        See L{Disk.write}.
        """
        self._step("write", str(file.name))
        super().write(file, data)

    def finish(
        self, file: IO[bytes], modified: float | None = None, durable: bool = True
    ) -> Found:
        """
        See L{Disk.finish}.
        """
        self._step("finish" if durable else "close", str(file.name))
        return super().finish(file, modified, durable)

    def sync(self, path: str) -> None:
        """
        See L{Disk.sync}.
        """
        self._step("sync", path)
        super().sync(path)

    def rename(self, old: str, new: str) -> None:
        """
        See L{Disk.rename}.
        """
        self._step("rename", new)
        super().rename(old, new)

    def link(self, old: str, new: str) -> None:
        """
        See L{Disk.link}.
        """
        self._step("link", new)
        super().link(old, new)

    def unlink(self, path: str) -> None:
        """
        See L{Disk.unlink}.
        """
        self._step("unlink", path)
        super().unlink(path)

    def names(self, directory: str) -> list[str]:
        """
        See L{Disk.names}.
        """
        self.steps.append(("names", directory))
        return super().names(directory)

    def cutPowerAfter(self, count: int) -> None:
        """
        Let C{count} more operations be made, and none after those.
        """
        left = [count]

        def cut(step: str, path: str) -> None:
            if left[0] <= 0:
                raise PowerCut(step, path)
            left[0] -= 1

        self.onStep = cut

    def failAt(self, step: str, suffix: str, error: Exception) -> None:
        """
        Let an operation fail for the paths that end in C{suffix}.
        """

        def failing(made: str, path: str) -> None:
            if made == step and path.endswith(suffix):
                raise error

        self.onStep = failing

    def heal(self) -> None:
        """
        Let everything work again.
        """
        self.onStep = lambda step, path: None


class ForgetfulDisk(CountingDisk):
    """
    A disk that loses, when told so, every entry of its directory that was not
    synced, and the content of every file that was not.
    """

    def __init__(self) -> None:
        super().__init__()
        self._undo: list[Callable[[], None]] = []
        self._unsynced: dict[str, None] = {}
        self._kept = 0

    def create(self, path: str) -> IO[bytes]:
        """
        See L{Disk.create}.
        """
        file = super().create(path)
        self._undo.append(lambda: os.unlink(path))
        self._unsynced[path] = None
        return file

    def finish(
        self, file: IO[bytes], modified: float | None = None, durable: bool = True
    ) -> Found:
        """
        See L{Disk.finish}.
        """
        found = super().finish(file, modified, durable)
        if durable:
            self._unsynced.pop(str(file.name), None)
        return found

    def sync(self, path: str) -> None:
        """
        See L{Disk.sync}.
        """
        super().sync(path)
        self._unsynced.pop(path, None)
        if os.path.isdir(path):
            self._undo.clear()

    def rename(self, old: str, new: str) -> None:
        """
        See L{Disk.rename}.
        """
        replaced = self._keep(new)
        super().rename(old, new)
        if old in self._unsynced:
            self._unsynced[new] = self._unsynced.pop(old)

        def undo() -> None:
            os.rename(new, old)
            if replaced is not None:
                os.rename(replaced, new)

        self._undo.append(undo)

    def link(self, old: str, new: str) -> None:
        """
        See L{Disk.link}.
        """
        super().link(old, new)
        self._undo.append(lambda: os.unlink(new))

    def unlink(self, path: str) -> None:
        """
        See L{Disk.unlink}.
        """
        kept = self._keep(path)
        super().unlink(path)
        if kept is not None:
            self._undo.append(lambda: os.rename(kept, path))

    def forget(self) -> None:
        """
        Lose what was not synced.
        """
        for path in self._unsynced:
            if os.path.exists(path):
                os.truncate(path, 0)
        for undo in reversed(self._undo):
            undo()
        self._undo.clear()
        self._unsynced.clear()

    def _keep(self, path: str) -> str | None:
        if not os.path.lexists(path):
            return None
        self._kept += 1
        directory = os.path.dirname(path) + ".lost"
        os.makedirs(directory, exist_ok=True)
        kept = f"{directory}/{self._kept}"
        os.link(path, kept, follow_symlinks=False)
        return kept
