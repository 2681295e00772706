# -*- test-case-name: relaymail.test.test_keeping -*-
"""
A directory of small files that are this relay's alone: what it has been given and
should have again after a restart.

Nothing here is called in the reactor's thread.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_OPEN = os.O_NOFOLLOW | os.O_CLOEXEC
#: What the name of a file ends in; what stands behind that while it is written.
_END, _DRAFT = ".json", ".new"


class Unstorable(OSError):
    """
    A directory, or a file in it, cannot be used: it is not what it should be, or
    others may use it.
    """


def digestOf(secret: bytes) -> str:
    """
    Give a digest that tells some bytes from all others.
    """
    return hashlib.sha256(secret).hexdigest()


class PrivateDirectory:
    """
    A directory of files of one kind, each known by a key, which its name does not
    tell.

    @ivar path: The directory; it is made when something is kept, and those above it,
        where a command is given before the relay was started for the first time.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def check(self) -> None:
        """
        See that the directory can be used.

        @raise FileNotFoundError: When it is not there yet.
        @raise OSError: When it cannot.
        """
        with self._directory():
            pass

    def names(self) -> list[str]:
        """
        Give the names of the files in it.

        @raise OSError: When the directory cannot be used.
        """
        try:
            with self._directory() as directory:
                return sorted(n for n in os.listdir(directory) if n.endswith(_END))
        except FileNotFoundError:
            return []

    def read(self, name: str, limit: int) -> bytes | None:
        """
        Give what is in a file, L{None} where there is none.

        @param name: Its name; see L{nameOf}.
        @param limit: How much is given, in bytes; one more where there is more.

        @raise OSError: When the directory or the file cannot be used: others may
            use it, or it is no file.
        """
        try:
            with self._directory() as directory:
                # One that is no file could keep who opens it waiting.
                flags = os.O_RDONLY | os.O_NONBLOCK | _OPEN
                file = os.open(name, flags, dir_fd=directory)
                with os.fdopen(file, "rb") as opened:
                    _check(os.fstat(file), stat.S_ISREG)
                    return opened.read(limit + 1)
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """
        Keep something: when this returns it would survive a power cut.

        @param name: The name of its file; see L{nameOf}.

        @raise OSError: When it cannot be kept; then what was kept before is.
        """
        _make(os.path.abspath(self.path))
        with self._directory() as directory:
            draft = f"{name}{_DRAFT}"
            with suppress(FileNotFoundError):
                # Of a process that was killed.
                os.unlink(draft, dir_fd=directory)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN
            file = os.open(draft, flags, 0o600, dir_fd=directory)
            with os.fdopen(file, "wb") as opened:
                opened.write(data)
                opened.flush()
                os.fsync(file)
            os.rename(draft, name, src_dir_fd=directory, dst_dir_fd=directory)
            os.fsync(directory)

    def remove(self, name: str) -> None:
        """
        Keep something no more.

        @param name: The name of its file.

        @raise OSError: When that cannot be done.
        """
        with suppress(FileNotFoundError), self._directory() as directory:
            os.unlink(name, dir_fd=directory)
            os.fsync(directory)

    @contextmanager
    def _directory(self) -> Iterator[int]:
        opened = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | _OPEN)
        try:
            _check(os.fstat(opened), stat.S_ISDIR)
            yield opened
        finally:
            os.close(opened)


def nameOf(key: str) -> str:
    """
    Give the name of the file of a key.
    """
    return f"{digestOf(key.encode('utf-8', 'surrogateescape'))}{_END}"


def _check(found: os.stat_result, isKind: Any) -> None:
    """
    See that something is what it should be, and open to nobody else.

    @raise Unstorable: When it is not.
    """
    mode = stat.S_IMODE(found.st_mode)
    if not isKind(found.st_mode) or mode & 0o077 or found.st_uid != os.geteuid():
        raise Unstorable(
            0,
            f"it belongs to user {found.st_uid} with mode {mode:04o}, and is to "
            f"belong to user {os.geteuid()} and nobody else",
        )


def _make(path: str) -> None:
    """
    Make a directory, and those above it, for this user alone; one that is there is
    left as it is.
    """
    above = os.path.dirname(path)
    if not os.path.lexists(above):
        _make(above)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return
    opened = os.open(above, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
