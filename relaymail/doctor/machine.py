# -*- test-case-name: relaymail.test.doctor.test_machine -*-
"""
Checks of this machine: its disk, its limits and its clock.
"""

from __future__ import annotations

import ctypes
import os
import re
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from tempfile import TemporaryFile

from relaymail.doctor.answers import Answer, Check, fail, ok, warn

#: How often something is written, to see how long that takes.
WRITES = 10
#: How much is written each time, in bytes: a page of the database.
PAGE = 4096
#: How long a write may take until it is on the disk, in seconds: each batch of
#: mail waits so long.
SLOW_SYNC = 0.1
#: From how much free room on mail is refused (L{relaymail.queue.room}), with as
#: much again to be warned in time, in bytes.
LOW_BYTES = 512 * 1024 * 1024
#: The same for inodes.
LOW_INODES = 10_000
#: Descriptors besides those of connections: the database, the log, contents.
OTHER_DESCRIPTORS = 100
#: By how much the wall clock may be wrong before that matters, in seconds: the
#: dates in mail, and certificates.
WRONG_CLOCK = 10.0
#: How long to look whether the wall clock steps, in seconds.
GLANCE = 0.2
#: No clock that is right is earlier than this, in seconds of the epoch: 2024.
EARLIEST = 1_704_067_200.0

MOUNTS = "/proc/self/mountinfo"
#: How much of a file of the system is read, in characters.
MAX_FILE = 1_000_000

#: What loses what was written to it, and what may; and what it is.
_LOSING = {
    "tmpfs": "memory: all mail is lost when the machine is started again",
    "ramfs": "memory: all mail is lost when the machine is started again",
}
_DOUBTFUL = {
    "nfs": "a file system of the network: locks and syncs may not hold",
    "nfs4": "a file system of the network: locks and syncs may not hold",
    "cifs": "a file system of the network: locks and syncs may not hold",
    "smb3": "a file system of the network: locks and syncs may not hold",
    "9p": "a file system of the host: locks and syncs may not hold",
    "overlay": "a layer of a container: all mail is lost with the container",
}

#: What C{adjtimex} gives where nobody keeps the clock (C{adjtimex(2)}).
TIME_ERROR = 5
#: How large what it fills is, in bytes, with room to spare; and where the largest
#: error stands in it, in microseconds, counted in C{long}s.
_TIMEX_BYTES = 512
_MAXERROR = 3


@dataclass(frozen=True, slots=True)
class ClockState:
    """
    What the system knows of its clock.

    @ivar isKept: Whether something keeps it right.
    @ivar error: By how much it may be wrong, in seconds.
    """

    isKept: bool
    error: float


def clockState() -> ClockState | None:
    """
    Ask the system of its clock; nothing is changed.

    @return: What it knows; L{None} where it does not say.
    """
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    buffer = (ctypes.c_long * (_TIMEX_BYTES // ctypes.sizeof(ctypes.c_long)))()
    state = adjtimex(ctypes.byref(buffer))
    if state < 0:
        return None
    return ClockState(state != TIME_ERROR, buffer[_MAXERROR] / 1e6)


def fileSystemOf(path: str, table: str = MOUNTS) -> str:
    """
    Say of which kind the file system is that a path is on (C{proc_pid_mountinfo(5)}).

    @return: The kind, empty where the system does not say.
    """
    try:
        with open(table, encoding="utf-8", errors="replace") as file:
            lines = file.read(MAX_FILE).splitlines()
    except OSError:
        return ""
    path = os.path.realpath(path)
    best, kind = "", ""
    for line in lines:
        before, _, after = line.partition(" - ")
        words = before.split()
        if len(words) < 5 or not after:
            continue
        mount = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), words[4])
        isAbove = path == mount or path.startswith(mount.rstrip("/") + "/")
        # The last of two on one place hides the first.
        if isAbove and len(mount) >= len(best):
            best, kind = mount, after.split()[0]
    return kind


def nearest(path: str) -> str:
    """
    Give the directory that a path is in, or will be: the nearest that is there.
    """
    path = os.path.abspath(path)
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def syncSeconds(directory: str, timer: Callable[[], float] = time.monotonic) -> float:
    """
    Measure how long a small write takes until it is on the disk.

    @return: The median, in seconds.

    @raise OSError: When it cannot be written.
    """
    took = []
    with TemporaryFile(dir=directory) as file:
        for _ in range(WRITES):
            begun = timer()
            file.write(b"x" * PAGE)
            file.flush()
            os.fsync(file.fileno())
            took.append(timer() - begun)
    return statistics.median(took)


def openFilesLimit(process: int | None) -> int:
    """
    Say how many descriptors a process may have.

    @param process: Its number; L{None} for this one.

    @raise OSError: When the system does not say.
    """
    if process is None:
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return resource.prlimit(process, resource.RLIMIT_NOFILE)[0]


@dataclass(frozen=True, slots=True)
class Machine:
    """
    What is looked at.

    @ivar place: Where the queue is, or will be.
    @ivar descriptors: How many connections there may be, in and out.
    @ivar relay: The process that relays, if one does.
    @ivar sync: Measures how long a write takes, in seconds.
    @ivar kind: Says of which kind a file system is.
    @ivar limit: Says how many descriptors a process may have.
    @ivar clock: Says what the system knows of its clock.
    @ivar offset: Gives the wall clock less the boot clock, in seconds.
    @ivar wall: Gives the wall clock, in seconds of the epoch.
    @ivar wait: Waits so many seconds.
    """

    place: str
    descriptors: int
    relay: int | None = None
    sync: Callable[[str], float] = syncSeconds
    kind: Callable[[str], str] = fileSystemOf
    limit: Callable[[int | None], int] = openFilesLimit
    clock: Callable[[], ClockState | None] = clockState
    offset: Callable[[], float] = lambda: 0.0
    wall: Callable[[], float] = lambda: EARLIEST
    wait: Callable[[float], object] = time.sleep

    def checks(self) -> list[Check]:
        """
        Give the checks.
        """
        return [
            Check("disk", self.checkDisk),
            Check("limits", self.checkLimits),
            Check("clock", self.checkClock),
        ]

    def checkDisk(self) -> Iterator[Answer]:
        """
        See that mail survives on the disk, and has room there.
        """
        directory = nearest(self.place)
        kind = self.kind(directory)
        elsewhere = "keep the queue on a disk of this machine (queue)"
        if kind in _LOSING:
            yield fail(f"{directory} is in {_LOSING[kind]}", elsewhere)
        elif kind in _DOUBTFUL or kind.startswith("fuse"):
            what = _DOUBTFUL.get(kind, "a file system of a program (fuse)")
            yield warn(f"{directory} is on {what}", elsewhere)
        yield from self._checkRoom(directory)
        try:
            took = self.sync(directory)
        except OSError as e:
            yield fail(
                f"tried to write in {directory}: {e.strerror or e}",
                "give the command as the user that the relay runs as, or mend the disk",
            )
            return
        said = f"a write in {directory} is on the disk within {took * 1000:.1f} ms"
        if took > SLOW_SYNC:
            yield warn(said, "each batch of mail waits so long: use a faster disk")
        else:
            yield ok(f"{said} ({kind})" if kind else said)

    @staticmethod
    def _checkRoom(directory: str) -> Iterator[Answer]:
        free = os.statvfs(directory)
        room = free.f_bavail * free.f_frsize
        if room < LOW_BYTES:
            yield warn(
                f"{room // 1024**2} MiB are free in {directory}",
                "make room: with too little, mail is refused (452) until there is more",
            )
        if free.f_files and free.f_favail < LOW_INODES:
            yield warn(
                f"{free.f_favail} inodes are free in {directory}",
                "remove files that are not needed: without inodes mail is refused",
            )

    def checkLimits(self) -> Iterator[Answer]:
        """
        See that there are descriptors for all connections.
        """
        relay = self.relay
        try:
            limit = self.limit(relay)
        except OSError:
            # It is another user's, or has ended.
            relay, limit = None, self.limit(None)
        whose = "this shell" if relay is None else f"the relay ({relay})"
        needed = self.descriptors + OTHER_DESCRIPTORS
        if limit == resource.RLIM_INFINITY or limit >= needed:
            yield ok(f"{whose} may have {limit} descriptors, {needed} are enough")
            return
        yield warn(
            f"{whose} may have {limit} descriptors, and {needed} may be needed for "
            "connections in and out",
            f"set LimitNOFILE={needed} in the unit, or ulimit -n {needed}, or lower "
            "delivery.max-connections",
        )

    def checkClock(self) -> Iterator[Answer]:
        """
        See that the clock is right, as far as the system knows, and stands still.
        """
        keep = "let chrony, systemd-timesyncd or ntpd keep the clock"
        if self.wall() < EARLIEST:
            yield fail("the clock is years behind", keep)
        before = self.offset()
        self.wait(GLANCE)
        step = self.offset() - before
        if abs(step) > GLANCE:
            yield warn(
                f"the clock has stepped by {step:+.1f} s while it was looked at",
                f"find out who sets it; {keep}",
            )
        state = self.clock()
        if state is None:
            yield ok("the system does not say whether its clock is kept")
        elif not state.isKept:
            yield warn(
                "nothing keeps the clock, as far as the system knows",
                f"{keep}; mail expires in time all the same, but its dates are wrong",
            )
        elif state.error > WRONG_CLOCK:
            yield warn(f"the clock may be wrong by {state.error:.0f} s", keep)
        else:
            yield ok(f"the clock is kept, to within {state.error * 1000:.0f} ms")
