# -*- test-case-name: relaymail.test.endtoend.test_durability -*-
"""
Tests that what was answered 250 is on the disk: the system calls are looked at.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from twisted.trial.unittest import SkipTest

from relaymail.queue.opening import SPOOL_FILE
from relaymail.test.endtoend.harness import EndToEndTestCase, submit
from relaymail.test.endtoend.processes import until

#: The system calls that are written down.
CALLS = (
    "fsync,fdatasync,rename,renameat,renameat2,link,linkat,"
    "recvfrom,read,write,pwrite64,sendto,sendmsg,writev"
)

READING = ("recvfrom", "read")
WRITING = ("write", "sendto", "sendmsg", "writev")
SYNCING = ("fsync", "fdatasync")

#: The end of the data, as C{strace} writes it.
END_OF_DATA = '\\r\\n.\\r\\n"'
#: How many messages are looked at.
MESSAGES = 3

#: Checks what happened, with the directory of the queue.
CheckOne = Callable[["list[Call]", str], None]

_LINE = re.compile(r"(\d+) +(.*)")
_BEGUN = re.compile(r"(\w+)\((.*?)(?: <unfinished \.\.\.>)?$")
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)")


@dataclass(frozen=True)
class Call:
    """
    A system call.

    @ivar name: Its name.
    @ivar words: Its arguments and its result, as C{strace} writes them.
    @ivar begun: At which line it began.
    @ivar ended: At which line it returned.
    """

    name: str
    words: str
    begun: int
    ended: int


def readTrace(text: str) -> list[Call]:
    """
    Read what C{strace -f} wrote; calls that did not return are left out.
    """
    found: list[Call] = []
    open: dict[tuple[str, str], tuple[str, int]] = {}
    for number, line in enumerate(text.splitlines()):
        match = _LINE.match(line)
        if match is None:
            continue
        thread, rest = match.groups()
        if resumed := _RESUMED.match(rest):
            name = resumed[1]
            words, begun = open.pop((thread, name), ("", number))
            found.append(Call(name, words + resumed[2], begun, number))
        elif call := _BEGUN.match(rest):
            if rest.endswith("<unfinished ...>"):
                open[thread, call[1]] = (call[2], number)
            else:
                found.append(Call(call[1], call[2], number, number))
    return found


def strace() -> str:
    """
    Find C{strace}, and see that it may be used here.

    @raise SkipTest: When it is not there, or may not trace.
    """
    path = shutil.which("strace")
    if path is None:
        raise SkipTest("strace is not installed: no look at the system calls")
    tried = subprocess.run([path, "-f", "true"], capture_output=True, check=False)
    if tried.returncode:
        words = tried.stderr.decode("utf-8", "replace").strip()[:200]
        raise SkipTest(f"strace may not be used here: {words}")
    return path


class SourceOf250Tests(EndToEndTestCase):
    """
    The source of every 250 after DATA is a finished fsync.
    """

    async def test_P1_fsyncBefore250(self) -> None:
        """
        Between the end of the data and the 250 that answers it, content and
        envelope have got to the disk, and then the directory that names them.
        """
        await self.look(self.checkFiles, isDirectory=True)

    async def test_P1_commitBefore250(self) -> None:
        """
        With a spool, the log of the database has got there.
        """
        await self.look(self.checkLog, isDirectory=False)

    async def look(self, checkOne: CheckOne, isDirectory: bool) -> None:
        """
        Look at what a relay does with some messages.

        @param checkOne: Checks what it did for one.
        """
        tracer, trace = strace(), self.directory / "trace"
        self.directory.mkdir()
        # Nobody takes it: all that is seen is the way in.
        server = self.startServer({"CONNECT": "421 4.3.2 Not now"})
        twistd = self.makeTwistd(
            *("--smarthost", server.address),
            wrapper=[
                # -D: the process that is started is the relay, not strace.
                *(tracer, "-D", "-f", "-y", "-s", "4096"),
                *("-e", f"trace={CALLS}", "-o", str(trace)),
            ],
        )
        twistd.isDirectory = isDirectory
        await twistd.start()
        for _ in range(MESSAGES):
            await submit(twistd.port, recipients=["b@one.example", "c@one.example"])
        await until(lambda: len(twistd.entries()) == 2 * MESSAGES, "all is queued")
        await twistd.terminate()
        pid = twistd.process.pid
        ended = re.compile(rf"^{pid} +\+\+\+ ", re.MULTILINE)
        text = await until(
            lambda: ended.search(trace.read_text("utf-8", "replace")), "strace ended"
        )
        self.check(readTrace(text.string), str(twistd.spool), checkOne)

    def check(self, calls: list[Call], spool: str, checkOne: CheckOne) -> None:
        """
        Check what happened before each 250 that answers data.
        """
        ends = [c for c in calls if c.name in READING and END_OF_DATA in c.words]
        answers = [c for c in calls if c.name in WRITING and '"250 2.0.0' in c.words]
        self.assertEqual((len(ends), len(answers)), (MESSAGES, MESSAGES))
        for end, answer in zip(ends, answers, strict=True):
            between = [
                c for c in calls if c.begun > end.ended and c.ended < answer.begun
            ]
            checkOne(between, spool)

    def checkLog(self, calls: list[Call], spool: str) -> None:
        """
        Check that what happened makes a message durable: what was written to
        the log was synced after it.
        """
        log = f"{spool}/{SPOOL_FILE}-wal"
        ours = [c for c in calls if _pathOf(c) == log and c.words.count("= ")]
        written = [c for c in ours if c.name not in SYNCING]
        synced = [c for c in ours if c.name in SYNCING]
        self.assertTrue(written)
        self.assertTrue(synced)
        self.assertLess(max(c.ended for c in written), synced[-1].begun)

    def checkFiles(self, calls: list[Call], spool: str) -> None:
        """
        Check that what happened makes a message with two recipients durable.
        """
        synced = [
            c for c in calls if c.name in SYNCING and c.words.rstrip().endswith("= 0")
        ]
        paths = {_pathOf(c) for c in synced if _pathOf(c).startswith(f"{spool}/")}
        contents = [path for path in paths if path.endswith(("-C", "-D"))]
        envelopes = [path for path in paths if path.endswith("-H")]
        # The two names share one content.
        self.assertEqual((len(contents), len(envelopes)), (1, 2), paths)
        placed = [c for c in calls if c.name.startswith("rename")]
        directory = [c for c in synced if _pathOf(c) == spool]
        self.assertTrue(placed)
        self.assertTrue(directory, "the directory got to the disk")
        self.assertLess(max(c.ended for c in placed), directory[-1].begun)


def _pathOf(call: Call) -> str:
    return call.words.partition("<")[2].partition(">")[0]
