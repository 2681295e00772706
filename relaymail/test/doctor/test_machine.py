# -*- test-case-name: relaymail.test.doctor.test_machine -*-
"""
Tests for L{relaymail.doctor.machine}.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaymail.doctor.answers import Answer, Verdict
from relaymail.doctor.machine import (
    EARLIEST,
    ClockState,
    Machine,
    clockState,
    fileSystemOf,
    nearest,
    openFilesLimit,
    syncSeconds,
)


class MachineTests(SynchronousTestCase):
    """
    Tests for L{Machine} on a machine that is told.
    """

    def setUp(self) -> None:
        self.place = os.path.abspath(self.mktemp())
        free = SimpleNamespace(
            f_bavail=10**9, f_frsize=4096, f_files=10**9, f_favail=10**9
        )
        self.free = free
        self.patch(os, "statvfs", lambda path: free)

    def make(self, **more: Any) -> Machine:
        """
        Make one where all is well.
        """
        usual: dict[str, Any] = {
            "place": self.place,
            "descriptors": 1100,
            "sync": lambda directory: 0.002,
            "kind": lambda path: "ext4",
            "limit": lambda process: 4096,
            "clock": lambda: ClockState(True, 0.05),
            "wall": lambda: EARLIEST + 1,
            "wait": lambda seconds: None,
        }
        return Machine(**{**usual, **more})

    def assertFound(
        self, found: Iterable[Answer], *expected: tuple[Verdict, str]
    ) -> None:
        """
        Check what is answered.
        """
        answers = list(found)
        self.assertEqual([a.verdict for a in answers], [v for v, _ in expected])
        for answer, (verdict, words) in zip(answers, expected, strict=True):
            self.assertIn(words, answer.found)
            self.assertEqual(bool(answer.remedy), verdict is not Verdict.OK)

    def test_well(self) -> None:
        """
        Where all is well that is said, and nothing else.
        """
        names = []
        for check in self.make().checks():
            names.append(check.name)
            self.assertEqual([a.verdict for a in check.look()], [Verdict.OK])
        self.assertEqual(names, ["disk", "limits", "clock"])

    def test_slowDisk(self) -> None:
        """
        A disk that is slow is told of.
        """
        found = self.make(sync=lambda directory: 0.35).checkDisk()
        self.assertFound(found, (Verdict.WARNING, "within 350.0 ms"))

    def test_P1_noDisk(self) -> None:
        """
        Memory that is called a disk is a failure, and what may not keep its
        promise is told of.
        """
        well = (Verdict.OK, "on the disk")
        found = self.make(kind=lambda path: "tmpfs").checkDisk()
        self.assertFound(found, (Verdict.FAILURE, "in memory: all mail is lost"), well)
        for kind in ("nfs4", "overlay", "fuse.sshfs"):
            found = self.make(kind=lambda path, kind=kind: kind).checkDisk()
            self.assertFound(found, (Verdict.WARNING, "on a "), well)

    def test_P6_fullDisk(self) -> None:
        """
        A disk with little room is told of before mail is refused.
        """
        self.free.f_bavail = 1000
        self.free.f_favail = 500
        self.assertFound(
            self.make().checkDisk(),
            (Verdict.WARNING, "3 MiB are free"),
            (Verdict.WARNING, "500 inodes are free"),
            (Verdict.OK, "on the disk"),
        )

    def test_unwritable(self) -> None:
        """
        A place that cannot be written is a failure.
        """

        def refuse(directory: str) -> float:
            raise PermissionError(13, "Permission denied")

        found = self.make(sync=refuse).checkDisk()
        self.assertFound(found, (Verdict.FAILURE, "Permission denied"))

    def test_P6_descriptors(self) -> None:
        """
        Too few descriptors are told of: those of the relay, if one runs.
        """
        asked: list[int | None] = []

        def limit(process: int | None) -> int:
            asked.append(process)
            return 1024

        found = self.make(limit=limit).checkLimits()
        expected = (Verdict.WARNING, "this shell may have 1024 descriptors, and 1200")
        self.assertFound(found, expected)
        found = self.make(limit=limit, relay=4711).checkLimits()
        self.assertFound(found, (Verdict.WARNING, "the relay (4711) may have 1024"))
        self.assertEqual(asked, [None, 4711])

    def test_relayOfAnother(self) -> None:
        """
        Where nothing can be said of the relay, something is said of the shell.
        """

        def limit(process: int | None) -> int:
            if process is not None:
                raise PermissionError(1, "Operation not permitted")
            return 4096

        found = self.make(limit=limit, relay=1).checkLimits()
        self.assertFound(found, (Verdict.OK, "this shell may have 4096"))

    def test_P8_clock(self) -> None:
        """
        A clock that nobody keeps, that may be wrong, that is years behind or that
        steps is told of; one of which nothing is known is not.
        """
        for more, expected in (
            (
                {"clock": lambda: ClockState(False, 16.0)},
                [(Verdict.WARNING, "nothing keeps the clock")],
            ),
            (
                {"clock": lambda: ClockState(True, 16.0)},
                [(Verdict.WARNING, "wrong by 16 s")],
            ),
            ({"clock": lambda: None}, [(Verdict.OK, "does not say")]),
            (
                {"wall": lambda: 0.0},
                [(Verdict.FAILURE, "years behind"), (Verdict.OK, "is kept")],
            ),
            (
                {"offset": iter((100.0, 3700.0)).__next__},
                [(Verdict.WARNING, "stepped by +3600.0 s"), (Verdict.OK, "is kept")],
            ),
        ):
            self.assertFound(self.make(**more).checkClock(), *expected)


class SystemTests(SynchronousTestCase):
    """
    Tests for what asks the system.
    """

    def test_sync(self) -> None:
        """
        A write is measured, in the middle of several, and leaves nothing.
        """
        directory = self.mktemp()
        os.mkdir(directory)
        times = iter(range(100))
        self.assertEqual(syncSeconds(directory, lambda: float(next(times))), 1.0)
        self.assertEqual(os.listdir(directory), [])

    def test_nearest(self) -> None:
        """
        What is not there yet is in the nearest directory that is.
        """
        directory = os.path.abspath(self.mktemp())
        os.mkdir(directory)
        self.assertEqual(nearest(f"{directory}/a/b/queue.db"), directory)

    def test_fileSystem(self) -> None:
        """
        The kind is that of the mount that is nearest, the last of two on one
        place, with spaces in its path or not.
        """
        table = self.mktemp()
        Path(table).write_text(
            "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
            "odd\n"
            "23 22 0:5 / /var rw - xfs /dev/sdb1 rw\n"
            "24 22 0:6 / /var/spool\\040x rw shared:2 master:3 - tmpfs tmpfs rw\n"
            "25 22 0:7 / /var rw - btrfs /dev/sdc1 rw\n"
        )
        for path, kind in (
            ("/nowhere", "ext4"),
            ("/various", "ext4"),
            ("/var/mail", "btrfs"),
            ("/var/spool x/q", "tmpfs"),
        ):
            self.assertEqual(fileSystemOf(path, table), kind, path)
        self.assertEqual(fileSystemOf("/", "/nowhere/table"), "")
        self.assertTrue(fileSystemOf("/"))

    def test_limit(self) -> None:
        """
        The limit of this process is that of its number.
        """
        self.assertEqual(openFilesLimit(None), openFilesLimit(os.getpid()))

    def test_clock(self) -> None:
        """
        What the system says of its clock makes sense, where it says something.
        """
        state = clockState()
        if state is not None:
            self.assertTrue(0 <= state.error < 1000, state)
