# -*- test-case-name: relaymail.test.dropping.test_files -*-
"""
The files of the drop directory: one line of JSON, the envelope, and the content.

The users who write are not the one who reads.  So the directory belongs to the
relay's user and group and has mode 3733: everybody may put files in, nobody may
list them or touch those of others, and each file gets the relay's group, which
may read it.  Where only one user is concerned, 0700 will do.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from relaymail.errors import QueueUnusable, RelayMailError
from relaymail.queue.disk import Disk, Trying
from relaymail.replies import printable

#: The largest envelope, in octets: ten thousand of the longest addresses.
MAX_ENVELOPE = 4 << 20
#: The format that is written here.
VERSION = 1
#: The subdirectory for files that cannot be read.
ASIDE = "aside"

_NAME = re.compile(r"[0-9a-f]{8,64}\.mail\Z")
_UNFINISHED = re.compile(r"\.[0-9a-f]{8,64}\.tmp\Z")
_OWN = 0o600
_FOR_GROUP = 0o640
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a FIFO must not wait for whoever made it.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Foreign(RelayMailError):
    """
    A file is not one that a program dropped: a link, a FIFO, a directory, or
    nothing that may be read.  It is left where it is.
    """


class Malformed(RelayMailError):
    """
    What is in a file is no message.  It is set aside.
    """


@dataclass(frozen=True, slots=True)
class Dropped:
    """
    One message.

    @ivar sender: The reverse-path, empty for none.
    @ivar recipients: The forward-paths.
    @ivar content: The message.
    @ivar owner: The number of the user who wrote the file.
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    owner: int


def isMessage(name: str) -> bool:
    """
    Tell whether a file's name is that of a message.
    """
    return _NAME.match(name) is not None


def isUnfinished(name: str) -> bool:
    """
    Tell whether a file's name is that of a message that is being written.
    """
    return _UNFINISHED.match(name) is not None


def write(
    directory: str, sender: str, recipients: tuple[str, ...], content: bytes, token: str
) -> str:
    """
    Leave a message.

    @param directory: The drop directory.
    @param token: What tells this file from all others: random, hexadecimal.

    @return: The path of the file, once it would survive a power cut.

    @raise QueueUnusable: When it cannot be left there.
    @raise QueueFull: When there is no room.
    """
    head = {"version": VERSION, "sender": sender, "recipients": list(recipients)}
    data = json.dumps(head).encode("ascii") + b"\n" + content
    path = os.path.join(directory, f"{token}.mail")
    unfinished = os.path.join(directory, f".{token}.tmp")
    with Trying("write", path, missing=QueueUnusable):
        status = os.stat(directory)
        descriptor = os.open(unfinished, _CREATE, _OWN)
        try:
            _share(descriptor, directory, status)
            _writeAll(descriptor, data)
            os.fsync(descriptor)
            os.rename(unfinished, path)
            _syncName(descriptor, directory)
        except BaseException:
            with suppress(OSError):
                os.unlink(unfinished)
            raise
        finally:
            os.close(descriptor)
    return path


def read(directory: str, name: str, limit: int) -> Dropped:
    """
    Read a message.

    @param limit: The largest content, in octets; 0 for any.

    @raise FileNotFoundError: When it is gone.
    @raise Foreign: When it is no file that was dropped.
    @raise Malformed: When there is no message in it, or one that is too large.
    """
    descriptor = _open(os.path.join(directory, name), name)
    try:
        status = os.fstat(descriptor)
        _check(status, name)
        if limit and status.st_size > limit + MAX_ENVELOPE:
            raise Malformed(f"{name} is larger than {limit} octets")
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(status.st_size + 1)
    finally:
        os.close(descriptor)
    if len(data) > status.st_size:
        raise Malformed(f"{name} grew while it was read")
    line, _, content = data.partition(b"\n")
    if limit and len(content) > limit:
        raise Malformed(f"{name} has a message larger than {limit} octets")
    sender, recipients = _envelope(line, name)
    return Dropped(sender, recipients, content, status.st_uid)


def prepare(directory: str) -> None:
    """
    See that a directory can be used by who reads it; one that is missing is
    made, for this user alone.

    @raise QueueUnusable: When it cannot be.
    """
    Disk().makeDirectory(directory)
    with Trying("look at", directory, missing=QueueUnusable):
        status = os.stat(directory)
    own = os.geteuid()
    if not stat.S_ISDIR(status.st_mode):
        raise QueueUnusable(f"{directory} is not a directory; mail cannot be dropped")
    if own not in (0, status.st_uid):
        raise QueueUnusable(
            f"{directory} belongs to the user {status.st_uid}, and the relay is "
            f"{own}: it could not remove what it took in; chown {own} {directory}"
        )
    if status.st_mode & _OTHERS_WRITE and not status.st_mode & stat.S_ISVTX:
        raise QueueUnusable(
            f"{directory} lets others write (mode {stat.S_IMODE(status.st_mode):04o}), "
            f"and so remove each other's mail; chmod 3733 {directory}"
        )
    aside = os.path.join(directory, ASIDE)
    Disk().makeDirectory(aside)
    _checkAside(aside, {own, status.st_uid})


def _checkAside(aside: str, owners: set[int]) -> None:
    """
    See that nobody else has put something where files are put aside.

    @raise QueueUnusable: When somebody has.
    """
    with Trying("look at", aside, missing=QueueUnusable):
        status = os.lstat(aside)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in owners:
        raise QueueUnusable(
            f"{aside} is not a directory of the relay's: somebody else has put it "
            "there; look at it, and move it away"
        )


def remove(directory: str, name: str) -> None:
    """
    Remove a message that was taken in; one that is gone is no trouble.

    @raise QueueUnusable: When it cannot be removed.
    """
    Disk().unlink(os.path.join(directory, name))


def setAside(directory: str, name: str) -> None:
    """
    Put away what cannot be read.

    @raise QueueUnusable: When it cannot be moved.
    """
    target = os.path.join(directory, ASIDE, name)
    Disk().rename(os.path.join(directory, name), target)


def _share(descriptor: int, directory: str, status: os.stat_result) -> None:
    """
    Let the relay read a file, whoever writes it.
    """
    own = os.geteuid()
    if status.st_uid == own:
        return
    if status.st_mode & stat.S_ISGID:
        os.fchmod(descriptor, _FOR_GROUP)
    elif own == 0:
        os.fchown(descriptor, status.st_uid, -1)
    else:
        raise QueueUnusable(
            f"{directory} belongs to another user, who could not read what is dropped "
            f"there; the administrator can allow it: chmod 3733 {directory}"
        )


def _writeAll(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _syncName(descriptor: int, directory: str) -> None:
    try:
        place = os.open(directory, _DIRECTORY)
    except PermissionError:
        # Who may not list a directory may not sync it either.  File systems with
        # a log write the new name with the next sync of the file.
        os.fsync(descriptor)
        return
    try:
        os.fsync(place)
    finally:
        os.close(place)


def _open(path: str, name: str) -> int:
    try:
        return os.open(path, _READ)
    except FileNotFoundError:
        raise
    except OSError as e:
        if e.errno in (errno.EMFILE, errno.ENFILE):
            with Trying("open", path):
                raise
        raise Foreign(f"{name} cannot be opened ({e.strerror})") from e


def _check(status: os.stat_result, name: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Foreign(f"{name} is not a plain file")
    if status.st_nlink != 1:
        # Somebody may have given the mail of somebody else a name here.
        raise Foreign(f"{name} is a file with {status.st_nlink} names")


def _envelope(line: bytes, name: str) -> tuple[str, tuple[str, ...]]:
    try:
        if len(line) > MAX_ENVELOPE:
            raise ValueError("it is too long")
        head: Any = json.loads(line)
        if not isinstance(head, dict) or head.get("version") != VERSION:
            raise ValueError(f"it is not of version {VERSION}")
        sender, recipients = head.get("sender"), head.get("recipients")
        if not isinstance(sender, str) or not isinstance(recipients, list):
            raise ValueError("it has no sender and recipients")
        if not all(isinstance(each, str) for each in recipients):
            raise ValueError("a recipient is no text")
    except (ValueError, RecursionError) as e:
        raise Malformed(
            f"the first line of {name} is no envelope ({printable(str(e), 80)})"
        ) from e
    return sender, tuple(recipients)
