# -*- test-case-name: relaymail.test.bench.test_machine -*-
"""
What the machine tells: processor time and memory of processes (Linux's
C{/proc}), and how long the disk takes to make a few octets durable.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from relaymail.bench.errors import BenchError

#: How often the disk is tried: enough for a median.
SYNCS = 300
#: How long that may take, in seconds.
SYNC_SECONDS = 5.0
#: What is written each time, in octets: about a line of a queue's log.
RECORD = b"\0" * 512

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """
    One process.

    @ivar pid: Its number.
    @ivar parent: The number of its parent.
    @ivar group: The number of its process group.
    @ivar name: Its name, cut to 15 octets by the kernel.
    @ivar ticks: The processor time of itself and of the children that it has
        waited for, in clock ticks.
    """

    pid: int
    parent: int
    group: int
    name: str
    ticks: int


def parseStat(text: str) -> Process:
    """
    Read C{/proc/PID/stat} (proc(5)).

    @raise ValueError: When it is something else.
    """
    before, bracket, after = text.rpartition(")")
    pid, _, name = before.partition(" (")
    fields = after.split()
    if not bracket or len(fields) < 15:
        raise ValueError(f"not the state of a process: {text!r}")
    ticks = sum(int(field) for field in fields[11:15])
    return Process(int(pid), int(fields[1]), int(fields[2]), name, ticks)


def parsePeak(text: str) -> int:
    """
    Give the octets of memory that C{/proc/PID/status} tells of as the most
    there ever were (C{VmHWM}), 0 where it does not.
    """
    for line in text.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def processes() -> dict[int, Process]:
    """
    Give all processes by their numbers.
    """
    found = {}
    for path in _PROC.glob("[0-9]*/stat"):
        # Some end while we look.
        with contextlib.suppress(OSError, ValueError):
            process = parseStat(path.read_text("utf-8", "replace"))
            found[process.pid] = process
    return found


def named(all_: Mapping[int, Process], name: str) -> set[int]:
    """
    Give the processes that have a name, or whose group's leader has it.

    @param all_: All processes by their numbers.
    @param name: The name.
    """
    name = name[:15]
    groups = {p.pid for p in all_.values() if p.name == name}
    return groups | {p.pid for p in all_.values() if p.group in groups}


def family(all_: Mapping[int, Process], roots: Iterable[int]) -> set[int]:
    """
    Give processes and all their descendants.

    @param all_: All processes by their numbers.
    @param roots: The numbers of the first ones.
    """
    children: dict[int, list[int]] = {}
    for process in all_.values():
        children.setdefault(process.parent, []).append(process.pid)
    found: set[int] = set()
    waiting = [pid for pid in roots if pid in all_]
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, ())
    return found


@dataclass(frozen=True, slots=True)
class Watched:
    """
    The processes of a relay.

    @ivar pids: Processes, with their descendants.
    @ivar names: Names of processes, with their descendants.
    """

    pids: tuple[int, ...] = ()
    names: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """
        Whether there is anything to watch.
        """
        return bool(self.pids or self.names)

    def _family(self, all_: Mapping[int, Process]) -> set[int]:
        byName = (named(all_, name) for name in self.names)
        found = family(all_, set(self.pids).union(*byName))
        if not found:
            told = ", ".join([*map(str, self.pids), *self.names])
            raise BenchError(
                f"Looked for the relay's processes ({told}): none is running. Name "
                "those that are with --relay-pid or --relay-pid-of, or leave both "
                "out and do without the processor time."
            )
        return found

    def seconds(self) -> float:
        """
        Give the processor time that they have used, in seconds.  What ended
        children used is in that of the parent that waited for them.

        @raise BenchError: When none is running.
        """
        all_ = processes()
        ticks = sum(all_[pid].ticks for pid in self._family(all_))
        return ticks / os.sysconf("SC_CLK_TCK")

    def peak(self) -> int:
        """
        Give the most memory that each of them had, summed up, in octets; what
        they share counts several times.

        @raise BenchError: When none is running.
        """
        total = 0
        for pid in self._family(processes()):
            with contextlib.suppress(OSError):
                total += parsePeak((_PROC / str(pid) / "status").read_text())
        return total


def syncSeconds(directory: Path) -> float:
    """
    Give the median time to append a little to a file and make it durable, in
    seconds.

    @param directory: Where the file is made; it is removed afterwards.

    @raise BenchError: When nothing can be written there.
    """
    try:
        with tempfile.NamedTemporaryFile(dir=directory, prefix="bench-") as file:
            return median(_syncs(file.fileno()))
    except OSError as e:
        raise BenchError(
            f"Tried to write in {directory}, for the time that the disk takes: "
            f"{e.strerror or e}. Name another place with --queue."
        ) from e


def _syncs(descriptor: int) -> list[float]:
    took: list[float] = []
    end = time.monotonic() + SYNC_SECONDS
    while len(took) < SYNCS and time.monotonic() < end:
        began = time.monotonic()
        os.write(descriptor, RECORD)
        os.fdatasync(descriptor)
        took.append(time.monotonic() - began)
    return took
