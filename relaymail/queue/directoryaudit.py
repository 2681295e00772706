# -*- test-case-name: relaymail.test.queue.test_audit -*-
"""
Looking a directory queue through, also one that a relay uses.

Whoever may write in the directory may feed it, so nothing in it is of one moment:
what does not agree is looked at again after a while.  Nothing is written, and
nothing is repaired.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator

from relaymail.errors import QueueError
from relaymail.queue.disk import Disk
from relaymail.queue.findings import Finding, Modes, Severity, Tally, Told, quiet
from relaymail.queue.pickles import MAX_PICKLE, loadEnvelope
from relaymail.queue.records import (
    ASIDE,
    MAX_JOURNAL,
    MAX_RECORD,
    OTHERS,
    isName,
    isOwnFile,
    parseJournal,
    parseRecord,
)

#: How many files are looked at before it is told how far it is.
STRIDE = 500
#: How many files that seem wrong are remembered and looked at again; of more it is
#: only counted how many there are.
MAX_SUSPECTS = 10_000
#: How old what is of no worth must be to be called that, in seconds: another
#: process may be feeding the queue.  After so long the relay removes it.
ORPHAN = 24 * 3600.0


class DirectoryAudit:
    """
    The files of a directory queue.
    """

    def __init__(
        self, directory: str, now: float, told: Told = quiet, disk: Disk | None = None
    ) -> None:
        """
        @param directory: Its path.
        @param now: The time, in seconds of the epoch.
        @param told: Is told how far it is.
        @param disk: What reads; L{None} is the real one.
        """
        self._directory = directory
        self._now = now
        self._told = told
        self._disk = disk or Disk()
        self._modes = Modes(os.lstat(directory).st_uid)
        #: How many names each content has that is shared, and how many of them
        #: were seen here.
        self._links: dict[int, list[int]] = {}
        self._suspects: list[tuple[Tally, str]] = []
        self._tallies: list[Tally] = []
        aside = f"it is set aside, in {directory}/{ASIDE}, when it is due"
        self._envelopes = self._tally(
            Severity.ERROR,
            "mail whose envelope is missing or cannot be read",
            f"it cannot be sent; {aside}",
            "put the file NAME-H back from a backup of the same time",
        )
        self._records = self._tally(
            Severity.WARNING,
            "mail of which it cannot be read when it is due",
            "it is due at once, and its attempts are counted from 0",
            "nothing: the relay writes the file NAME-S anew",
        )
        self._irregular = self._tally(
            Severity.ERROR,
            "contents that are links or no plain files",
            "the relay does not read them, and sends nothing of them",
            "find out who put them there, and move them away",
        )
        self._journals = self._tally(
            Severity.ERROR,
            "journals that cannot be read",
            "what a crash interrupted is not finished: mail may be missing, or be "
            "sent twice",
            "look into the files; the next start of the relay sets them aside",
        )
        self._left = self._tally(
            Severity.WARNING,
            "files of mail that was never taken, or has gone",
            "they take room; no mail is lost",
            "the next start of the relay removes them",
        )
        self._foreign = self._tally(
            Severity.WARNING,
            "names that the relay does not make",
            "it leaves them alone; somebody or something else uses the directory",
            "find out who put them there, and move them away",
        )

    def findings(self, wait: Callable[[], object]) -> Iterator[Finding]:
        """
        Look at all of them, and again at what seemed wrong.

        @param wait: Waits a moment.
        """
        self._modes.look(self._directory, os.lstat(self._directory), mayBeRead=True)
        with os.scandir(self._directory) as entries:
            for count, entry in enumerate(entries):
                if count % STRIDE == 0:
                    self._told("the files", count, 0)
                self._look(entry.name)
        if self._suspects:
            self._told("again at what may only have been under way", 0, 0)
            wait()
            suspects, self._suspects = self._suspects, []
            for tally, name in suspects:
                if self._isWrong(name) is tally:
                    tally.add(name)
        for tally in self._tallies:
            yield from tally.findings()
        yield from self._modes.findings()
        yield from self._linked()
        yield from self._aside()

    def _tally(
        self, severity: Severity, what: str, consequence: str, remedy: str
    ) -> Tally:
        tally = Tally(severity, what, consequence, remedy)
        self._tallies.append(tally)
        return tally

    def _look(self, file: str) -> None:
        if file in OTHERS:
            return
        status = self._status(file)
        if status is None:
            return  # it was sent meanwhile
        if stat.S_ISREG(status.st_mode):
            self._modes.look(f"{self._directory}/{file}", status)
            if file.endswith("-D") and status.st_nlink > 1:
                seen = self._links.setdefault(status.st_ino, [status.st_nlink, 0])
                seen[1] += 1
                if seen[0] == seen[1]:
                    del self._links[status.st_ino]
        wrong = self._isWrong(file)
        if wrong is None:
            return
        if len(self._suspects) < MAX_SUSPECTS:
            self._suspects.append((wrong, file))
        else:
            wrong.add(file)

    def _isWrong(self, file: str) -> Tally | None:
        """
        Say in which way a file is wrong, if it is there.
        """
        status = self._status(file)
        if status is None:
            return None
        name, suffix = file[:-2], file[-2:]
        if suffix == "-D" and isName(name):
            return self._isWrongMail(name, status)
        if not isOwnFile(file):
            return self._foreign
        if suffix == "-J":
            return (
                None
                if self._isReadable(file, MAX_JOURNAL, parseJournal)
                else (self._journals)
            )
        isOld = status.st_mtime < self._now - ORPHAN
        isOfMail = suffix in ("-H", "-S") and self._status(name + "-D") is not None
        return self._left if isOld and not isOfMail else None

    def _isWrongMail(self, name: str, status: os.stat_result) -> Tally | None:
        if not stat.S_ISREG(status.st_mode):
            return self._irregular
        if not self._isReadable(f"{name}-H", MAX_PICKLE, loadEnvelope):
            return self._envelopes
        hasRecord = self._status(f"{name}-S") is not None
        if hasRecord and not self._isReadable(f"{name}-S", MAX_RECORD, parseRecord):
            return self._records
        return None

    def _isReadable(
        self, file: str, limit: int, read: Callable[[bytes], object]
    ) -> bool:
        try:
            data = self._disk.read(f"{self._directory}/{file}", limit)
            return read(data) is not None
        except QueueError:
            return False

    def _status(self, file: str) -> os.stat_result | None:
        try:
            return os.lstat(f"{self._directory}/{file}")
        except OSError:
            return None

    def _linked(self) -> Iterator[Finding]:
        """
        Look for contents that have further names elsewhere.
        """
        elsewhere = Tally(
            Severity.WARNING,
            "contents that have names outside of the queue, by inode",
            "whoever has such a name may read the mail, and perhaps change it",
            f"find DIR -inum N, where DIR is what holds {self._directory}; a backup "
            "that was made with hard links is the usual reason",
        )
        for inode, (links, seen) in self._links.items():
            if links > seen and self._hasLinks(inode, links):
                elsewhere.add(inode)
        yield from elsewhere.findings()

    def _hasLinks(self, inode: int, links: int) -> bool:
        """
        Tell whether a content still has as many names, where all of those that
        are here were counted: mail that came or went meanwhile has not.
        """
        with os.scandir(self._directory) as entries:
            here = [e.path for e in entries if e.inode() == inode]
        status = self._status(os.path.basename(here[0])) if here else None
        return status is not None and status.st_nlink == links > len(here)

    def _aside(self) -> Iterator[Finding]:
        path = f"{self._directory}/{ASIDE}"
        try:
            with os.scandir(path) as entries:
                count = sum(entry.name.endswith("-why") for entry in entries)
        except FileNotFoundError:
            return
        if count:
            yield Finding(
                Severity.NOTE,
                f"{count} names were set aside",
                "the relay could not use them, and does nothing with them",
                f"{path}/NAME-why says why; move the other files of a name back "
                "into the queue when they can be used",
            )


def auditDirectory(
    directory: str,
    now: float,
    told: Told = quiet,
    wait: Callable[[], object] = lambda: None,
) -> Iterator[Finding]:
    """
    Look a directory queue through.

    @param directory: Its path.
    @param now: The time, in seconds of the epoch.
    @param told: Is told how far it is.
    @param wait: Waits a moment, before what may only have been under way is
        looked at again.

    @raise OSError: When it cannot be read.
    """
    yield from DirectoryAudit(directory, now, told).findings(wait)
