# -*- test-case-name: relaymail.test.oauth2.test_storing -*-
"""
Tokens on the disk, so that a restart needs no new ones, and a refresh token that a
server has put in the place of the configured one is not lost.

Each account has a file of its own, named by a digest, in a directory that nobody
else may enter.  Nothing here is called in the reactor's thread.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

#: How much of a file is read, in bytes: two tokens and a little.
MAX_FILE = 65536

_OPEN = os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Stored:
    """
    What is kept of an account.

    @ivar token: The access token; empty for none.
    @ivar fetched: When it was had, in seconds of the epoch.
    @ivar expires: When it ends, in seconds of the epoch.
    @ivar refresh: The refresh token that a server gave last; empty for none.
    @ivar origin: The digest of the secret of the configuration that all of this
        came from.
    @ivar scope: What the token is good for, where the server said so.
    """

    token: bytes = field(repr=False)
    fetched: float
    expires: float
    refresh: bytes = field(repr=False)
    origin: str
    scope: str = ""


class Unstorable(OSError):
    """
    The directory of tokens cannot be used.
    """


def digestOf(secret: bytes) -> str:
    """
    Give a digest that tells a secret from all others.
    """
    return hashlib.sha256(secret).hexdigest()


class TokenStore:
    """
    A directory of tokens.

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

    def load(self, account: str) -> Stored | None:
        """
        Give what is kept of an account, L{None} where that is nothing.

        @raise OSError: When the directory or the file cannot be used: others may
            write it, or it is no file.
        """
        try:
            with self._directory() as directory:
                file = os.open(_nameOf(account), os.O_RDONLY | _OPEN, dir_fd=directory)
                with os.fdopen(file, "rb") as opened:
                    self._check(os.fstat(file), stat.S_ISREG, 0o077)
                    return _parsed(opened.read(MAX_FILE + 1))
        except FileNotFoundError:
            return None

    def save(self, account: str, stored: Stored) -> None:
        """
        Keep something of an account: when this returns it would survive a power
        cut.

        @raise OSError: When it cannot be kept.
        """
        name = _nameOf(account)
        _make(os.path.abspath(self.path))
        with self._directory() as directory:
            draft = f"{name}.new"
            with suppress(FileNotFoundError):
                # Of a process that was killed.
                os.unlink(draft, dir_fd=directory)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN
            file = os.open(draft, flags, 0o600, dir_fd=directory)
            with os.fdopen(file, "wb") as opened:
                opened.write(_written(stored))
                opened.flush()
                os.fsync(file)
            os.rename(draft, name, src_dir_fd=directory, dst_dir_fd=directory)
            os.fsync(directory)

    def forget(self, account: str) -> None:
        """
        Keep nothing of an account.

        @raise OSError: When that cannot be done.
        """
        with suppress(FileNotFoundError), self._directory() as directory:
            os.unlink(_nameOf(account), dir_fd=directory)
            os.fsync(directory)

    @contextmanager
    def _directory(self) -> Iterator[int]:
        opened = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | _OPEN)
        try:
            self._check(os.fstat(opened), stat.S_ISDIR, 0o077)
            yield opened
        finally:
            os.close(opened)

    def _check(self, found: os.stat_result, isKind: Any, closed: int) -> None:
        """
        See that something is what it should be, and open to nobody else.

        @raise Unstorable: When it is not.
        """
        mode = stat.S_IMODE(found.st_mode)
        if not isKind(found.st_mode) or mode & closed or found.st_uid != os.geteuid():
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


def _nameOf(account: str) -> str:
    return f"{digestOf(account.encode('utf-8', 'surrogateescape'))}.json"


def _written(stored: Stored) -> bytes:
    document = {
        "token": stored.token.decode("ascii"),
        "fetched": stored.fetched,
        "expires": stored.expires,
        "refresh": stored.refresh.decode("ascii"),
        "origin": stored.origin,
        "scope": stored.scope,
    }
    return json.dumps(document).encode("ascii")


def _parsed(data: bytes) -> Stored | None:
    """
    Read a file; one that cannot be read is worth nothing, but another is had
    without it.
    """
    try:
        said = json.loads(data) if len(data) <= MAX_FILE else {}
        return Stored(
            _texts(said["token"]).encode("ascii"),
            float(said["fetched"]),
            float(said["expires"]),
            _texts(said["refresh"]).encode("ascii"),
            _texts(said["origin"]),
            _texts(said["scope"]),
        )
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def _texts(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(type(value))
    return value
