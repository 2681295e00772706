# -*- test-case-name: relaymail.test.bench.test_machine -*-
"""
Tests for L{relaymail.bench.machine}.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from relaymail.bench.errors import BenchError
from relaymail.bench.machine import (
    Process,
    Watched,
    family,
    named,
    parsePeak,
    parseStat,
    syncSeconds,
)

STAT = (
    "42 (odd) name) S 7 41 40 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 1 0 999 1 2 "
    "18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0\n"
)


def makeProcess(pid: int, parent: int, name: str = "x", group: int = 0) -> Process:
    """
    Make a process.
    """
    return Process(pid, parent, group or pid, name, pid)


class ParsingTests(SynchronousTestCase):
    """
    Tests for what C{/proc} says.
    """

    def test_stat(self) -> None:
        """
        The time of children that have ended is counted; a name may hold
        brackets.
        """
        self.assertEqual(parseStat(STAT), Process(42, 7, 41, "odd) name", 127))

    def test_noStat(self) -> None:
        """
        Anything else is an error.
        """
        for text in ("", "42 (name) S 7", "x (name" * 20):
            self.assertRaises(ValueError, parseStat, text)

    def test_peak(self) -> None:
        """
        The peak is in kibibytes; a kernel's own process has none.
        """
        self.assertEqual(parsePeak("Name:\tx\nVmHWM:\t    12 kB\nVmRSS: 3 kB"), 12288)
        self.assertEqual(parsePeak("Name:\tkthreadd\n"), 0)


class FamilyTests(SynchronousTestCase):
    """
    Tests for which processes belong together.
    """

    def setUp(self) -> None:
        """
        Make some processes.
        """
        all_ = [
            makeProcess(1, 0),
            makeProcess(5, 1, "master"),
            makeProcess(6, 5, "qmgr"),
            makeProcess(7, 6),
            makeProcess(8, 1, "stray", group=5),
            makeProcess(9, 1),
        ]
        self.all = {process.pid: process for process in all_}

    def test_family(self) -> None:
        """
        All descendants of the first ones are counted, each once.
        """
        self.assertEqual(family(self.all, [5, 6, 99]), {5, 6, 7})

    def test_named(self) -> None:
        """
        A name stands for the processes that have it, and for their groups.
        """
        self.assertEqual(named(self.all, "master"), {5, 8})
        self.assertEqual(named(self.all, "nothing"), set())


class WatchedTests(SynchronousTestCase):
    """
    Tests for L{Watched}, with this process.
    """

    def setUp(self) -> None:
        """
        Skip where there is nothing to read.
        """
        if not Path("/proc/self/stat").exists():
            raise SkipTest("this system has no /proc")

    def test_ourselves(self) -> None:
        """
        This process has used some time and some memory.
        """
        watched = Watched((os.getpid(),))
        self.assertTrue(watched)
        self.assertGreater(watched.seconds(), 0)
        self.assertGreater(watched.peak(), 1 << 20)

    def test_nobody(self) -> None:
        """
        Processes that are not there are an error, which names them.
        """
        watched = Watched((), ("no process has it",))
        error = self.assertRaises(BenchError, watched.seconds)
        self.assertIn("no process has it", str(error))
        self.assertFalse(Watched())


class DiskTests(SynchronousTestCase):
    """
    Tests for L{syncSeconds}.
    """

    def test_time(self) -> None:
        """
        It takes some time, and leaves no file.
        """
        place = Path(self.mktemp())
        place.mkdir()
        self.assertGreater(syncSeconds(place), 0)
        self.assertEqual(list(place.iterdir()), [])

    def test_nowhere(self) -> None:
        """
        A place where nothing can be written is an error that names it.
        """
        place = Path(self.mktemp())
        error = self.assertRaises(BenchError, syncSeconds, place)
        self.assertIn(str(place), str(error))
