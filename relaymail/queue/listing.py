# -*- test-case-name: relaymail.test.queue.test_spool -*-
"""
What is in the queue's directory, looked at no more often than it pays.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from relaymail.queue.disk import Disk
from relaymail.queue.records import OTHERS, isName, isOwnFile

#: A file system may date two changes alike when they are this close, in
#: seconds (ext3 and NFS count whole seconds): a directory that was changed so
#: shortly before it was listed is listed again.
COARSE = 2.0
#: The longest time between two listings, in seconds, whatever the directory's
#: time says: the clock that says that may be wrong.
RELIST = 600.0
#: Listing takes at most one part in this many of the time.
SHARE = 10
#: How many foreign names are remembered, so that each is complained of once.
MAX_FOREIGN = 1000


class Listing:
    """
    The directory of a queue.
    """

    log = Logger()

    def __init__(self, disk: Disk, directory: str) -> None:
        """
        @param disk: Where the directory is.
        @param directory: Its path.
        """
        self._disk = disk
        self._directory = directory
        self._settled: int | None = None
        self._begun = 0.0
        self._pause = 0.0
        self._read = False
        self._foreign: set[str] = set()
        self._taken: frozenset[str] = frozenset()

    def read(self, clock: IReactorTime) -> frozenset[str] | None:
        """
        List the directory, unless it cannot have changed or was listed a
        moment ago at length.

        @param clock: Tells the time.

        @return: The names whose content is there, or L{None} where nothing
            was looked at.

        @raise QueueUnusable: When it cannot be listed.
        """
        now = clock.seconds()
        changed = self._disk.changed(self._directory)
        if self._read and self._isFresh(now, changed):
            return None
        # The time is asked first: a change during the listing makes it stale.
        old = changed / 1e9 < now - COARSE
        self._settled = changed if old else None
        self._begun = now
        files = self._disk.names(self._directory)
        self._pause = SHARE * max(0.0, clock.seconds() - now)
        self._read = True
        return self._sort(files)

    def ignore(self, name: str, why: str) -> None:
        """
        Complain, once, of something that is none of the queue's.
        """
        if name in self._foreign or len(self._foreign) >= MAX_FOREIGN:
            return
        self._foreign.add(name)
        self.log.error(
            "Ignoring {name!r} in {directory}: {why}",
            name=name,
            directory=self._directory,
            why=why,
        )

    def _isFresh(self, now: float, changed: int) -> bool:
        age = now - self._begun
        if not 0 <= age < RELIST:
            return False
        return changed == self._settled or age < self._pause

    def _sort(self, files: list[str]) -> frozenset[str]:
        taken: set[str] = set()
        for file in files:
            name, suffix = file[:-2], file[-2:]
            known = name in self._taken
            if suffix == "-D" and (known or isName(name)):
                taken.add(name)
            elif not known or suffix not in ("-H", "-S"):
                self._examine(file)
        self._taken = frozenset(taken)
        return self._taken

    def _examine(self, file: str) -> None:
        if file not in OTHERS and not isOwnFile(file):
            self.ignore(file, "the queue makes no such names")
