# -*- test-case-name: relaymail.test.queue.test_audit -*-
"""
Looking a queue through, of whichever kind, and without a relay.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from relaymail.errors import QueueUnusable
from relaymail.queue.findings import Finding, Told, quiet
from relaymail.queue.place import QueueKind, QueuePlace

#: Where Linux lists who has locked what.
LOCKS = "/proc/locks"
#: How much of that is read, in characters: tens of thousands of locks.
MAX_LOCKS = 4_000_000


def auditQueue(
    place: QueuePlace,
    now: float,
    told: Told = quiet,
    wait: Callable[[], object] = lambda: None,
) -> Iterator[Finding]:
    """
    Look a queue through, which a relay may use meanwhile.

    @param place: Where it is.
    @param now: The time, in seconds of the epoch.
    @param told: Is told how far it is.
    @param wait: Waits a moment, before what may only have been under way is
        looked at again.

    @raise QueueUnusable: When there is no queue, or it cannot be read.
    """
    try:
        # What the other kind needs is not imported.
        if place.kind is QueueKind.SPOOL:
            from relaymail.queue.spool.audit import auditSpool

            yield from auditSpool(place.path, told, wait)
        else:
            from relaymail.queue.directoryaudit import auditDirectory

            yield from auditDirectory(place.path, now, told, wait)
    except OSError as e:
        raise QueueUnusable(
            f"tried to look {place} through: {e.strerror or e}; give the user that "
            "the relay runs as, or root"
        ) from e


def lockedDirectory(place: QueuePlace) -> str:
    """
    Give the directory that the relay of a queue keeps locked.
    """
    isSpool = place.kind is QueueKind.SPOOL
    return place.path + "-contents" if isSpool else place.path


def lockHolder(directory: str, table: str = LOCKS) -> int | None:
    """
    Say which process keeps a directory locked, without trying to lock it: a relay
    that starts at that moment would think that somebody else has it.

    @param table: Where the system lists the locks.

    @return: The number of the process; L{None} where it is locked by nobody, or
        where the system does not say.
    """
    try:
        status = os.stat(directory)
        with open(table, encoding="utf-8", errors="replace") as file:
            lines = file.read(MAX_LOCKS).splitlines()
    except OSError:
        return None
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
    wanted = f"{device}:{status.st_ino}"
    for line in lines:
        words = line.split()
        if words[1:2] == ["FLOCK"] and words[5:6] == [wanted] and words[4].isdigit():
            return int(words[4])
    return None
