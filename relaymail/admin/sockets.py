# -*- test-case-name: relaymail.test.admin.test_sockets -*-
"""
The socket of the control API in the file system: for this user only, in a place
that nobody else can change.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort

from relaymail.errors import ConfigurationError

#: The longest path of a socket that every system takes, in octets: Linux has room
#: for 107, others for 103.
LONGEST_PATH = 103
#: Who may use the socket: its user.
MODE = 0o600
#: What nobody else may have while the socket is made; its user has all, for what
#: another thread makes meanwhile may be a directory.
_UMASK = 0o077


def listen(path: str, factory: Any, reactor: Any) -> IListeningPort:
    """
    Listen on a socket.  One that was left behind there is removed.

    @param path: Where.
    @param factory: Makes the connections.
    @param reactor: What listens.

    @raise ConfigurationError: When that is not to be, or cannot be had.
    """
    check(path)
    _removeStale(path)
    before = os.umask(_UMASK)
    try:
        port: IListeningPort = reactor.listenUNIX(path, factory, mode=MODE)
    except CannotListenError as e:
        raise _cannot(path, str(e.socketError)) from e
    finally:
        os.umask(before)
    return port


def check(path: str) -> None:
    """
    Check whether a socket can be there.

    @raise ConfigurationError: When it cannot, or others could put their own in its
        place.
    """
    length = len(os.fsencode(path))
    if length > LONGEST_PATH:
        raise _cannot(
            path,
            f"its path has {length} octets, and the system takes {LONGEST_PATH} at "
            "most: set socket in [control] to a shorter one",
        )
    directory = os.path.dirname(path) or os.curdir
    try:
        found = os.stat(directory)
    except OSError as e:
        raise _cannot(path, f"{directory}: {e.strerror}") from e
    if not stat.S_ISDIR(found.st_mode):
        raise _cannot(path, f"{directory} is no directory")
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        raise _cannot(
            path,
            f"everybody may write to {directory}, and put another socket in its "
            "place: take that away with chmod o-w",
        )


def _removeStale(path: str) -> None:
    """
    Remove a socket that nobody listens on.

    @raise ConfigurationError: When somebody does, or it is something else.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    except OSError as e:
        raise _cannot(path, e.strerror or str(e)) from e
    if not stat.S_ISSOCK(mode):
        raise _cannot(path, "there is something that is no socket: move it away")
    if _isUsed(path):
        raise _cannot(path, "another process listens there")
    with suppress(FileNotFoundError):
        os.unlink(path)


def _isUsed(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # One that is full is used as well, and is not waited for.
        probe.setblocking(False)
        return probe.connect_ex(path) not in (errno.ECONNREFUSED, errno.ENOENT)


def _cannot(path: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"cannot open the control socket {path}: {why}")
