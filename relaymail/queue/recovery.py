# -*- test-case-name: relaymail.test.queue.test_restart -*-
"""
What a directory queue does at its start about what a crash left, and about
what it cannot use.
"""

from __future__ import annotations

import re
from contextlib import suppress

from twisted.logger import Logger

from relaymail.errors import QueueError, UnreadableEntry
from relaymail.queue.changes import bringIn, takeOut
from relaymail.queue.disk import Disk
from relaymail.queue.records import (
    ASIDE,
    MAX_JOURNAL,
    isName,
    parseJournal,
    recordOf,
)

#: How old, in seconds, what was being received must be before it counts as
#: given up: another process may feed the queue, and RFC 5321 4.5.3.2 lets a
#: message take long.
ORPHAN = 24 * 3600.0

_DRAFT = re.compile(r"(.+)-(?:T\d+|J0)\Z")
_log = Logger()


def recover(disk: Disk, directory: str, now: float) -> list[str]:
    """
    Finish the journals that are there and clear away what is no longer of
    worth.  Only the holder of the directory's lock may do this.

    @param now: The time, in seconds of the epoch.

    @return: The names of which a journal said that their senders were told.

    @raise QueueError: When a journal cannot be finished: mail may be missing
        until it is, so the queue is not to be used.
    """
    files = set(disk.names(directory))
    journals = sorted(file for file in files if file.endswith("-J"))
    told: list[str] = []
    for file in journals:
        told += _finish(disk, directory, file)
    if journals:
        files = set(disk.names(directory))
    for file in files:
        try:
            if _isOrphan(disk, directory, file, files, now):
                disk.unlink(f"{directory}/{file}")
                _log.info("Removed {file}, left by a crash", file=file)
        except QueueError:
            _log.failure("Cannot clear away {file}; going on", file=file)
    # What a process that was killed had no time to make durable is taken for
    # true from here on.
    disk.sync(directory)
    return told


def putAside(disk: Disk, directory: str, name: str, why: str) -> bool:
    """
    Move what is stored for a name out of the way, and say so.

    @param why: What is wrong with it, in words.

    @return: Whether it could be moved.
    """
    _log.error(
        "Setting aside {name} of {directory}: {why}",
        name=name,
        directory=directory,
        why=why,
    )
    try:
        moveAside(disk, directory, name, why)
    except (QueueError, OSError):
        _log.failure("{name} stays where it is, unused", name=name)
        return False
    return True


def moveAside(disk: Disk, directory: str, name: str, why: str) -> None:
    """
    Move what is stored for a name where a person finds it.

    @param why: What is wrong with it, written beside it.
    """
    aside = f"{directory}/{ASIDE}"
    disk.makeDirectory(aside)
    # The content last: until it is moved the name is found again.
    for suffix in ("-H", "-S", "-D"):
        with suppress(FileNotFoundError):
            disk.rename(f"{directory}/{name}{suffix}", f"{aside}/{name}{suffix}")
    disk.unlink(f"{aside}/{name}-why")
    file = disk.create(f"{aside}/{name}-why")
    disk.write(file, why.encode("utf-8", "backslashreplace") + b"\n")
    disk.finish(file)
    disk.sync(aside)
    disk.sync(directory)


def _finish(disk: Disk, directory: str, file: str) -> list[str]:
    path = f"{directory}/{file}"
    try:
        journal = parseJournal(disk.read(path, MAX_JOURNAL))
    except UnreadableEntry:
        journal = None
    if journal is None:
        _log.error("The journal {path} is damaged; it is set aside", path=path)
        moveAside(disk, directory, file, "a damaged journal")
        disk.rename(path, f"{directory}/{ASIDE}/{file}")
        return []
    _log.info("Finishing what {path} decided", path=path)
    for name in journal.arrive:
        # One that is not there was brought in before, or taken back.
        if disk.find(f"{directory}/{name}-C") is not None:
            bringIn(disk, f"{directory}/{name}")
    told = []
    for draft in journal.tell:
        # One that is not there has become the record before.
        if disk.find(f"{directory}/{draft}") is not None:
            disk.rename(f"{directory}/{draft}", f"{directory}/{recordOf(draft)}")
            told.append(draft.rpartition("-")[0])
    for name in journal.leave:
        takeOut(disk, f"{directory}/{name}")
    disk.sync(directory)
    disk.unlink(path)
    return told


def _isOrphan(
    disk: Disk, directory: str, file: str, files: set[str], now: float
) -> bool:
    """
    Tell whether a file is of no worth.  Statements and their drafts are
    written by the holder of the lock alone; what is being received may be
    another process's.
    """
    draft = _DRAFT.match(file)
    if draft is not None and isName(draft[1]):
        return "-T" in file[len(draft[1]) :] or _isOld(disk, directory, file, now)
    name, suffix = file[:-2], file[-2:]
    if suffix not in ("-C", "-H", "-S") or not isName(name):
        return False
    if name + "-D" in files:
        return False
    # What was said of mail is written while it is on its way.
    isLeft = suffix == "-S" and name + "-C" not in files
    return isLeft or _isOld(disk, directory, file, now)


def _isOld(disk: Disk, directory: str, file: str, now: float) -> bool:
    found = disk.find(f"{directory}/{file}")
    return found is not None and found.regular and found.modified < now - ORPHAN
