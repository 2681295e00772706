# -*- test-case-name: relaymail.test.queue.spool.test_audit -*-
"""
Looking through the files of contents of a spool.

A file comes before its message does and goes after it.  So on a spool that a relay
has open, a difference between the two is looked at again after a moment.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator

from relaymail.queue.findings import Finding, Modes, Severity, Tally, Told, quiet

#: How often what does not agree is looked at, with a moment in between.
LOOKS = 3
#: How many that do not agree are remembered and looked at again; of more it is
#: only counted how many there are.
MAX_SUSPECTS = 10_000
#: The longest name that is a number of SQLite's, in digits.
MAX_DIGITS = 18
#: How many files are looked at before it is told how far it is.
STRIDE = 1000

_MESSAGE = "SELECT size FROM message WHERE id = ? AND content IS NULL"


class ContentsAudit:
    """
    The files of contents.
    """

    def __init__(
        self,
        database: sqlite3.Connection,
        directory: str,
        modes: Modes,
        told: Told = quiet,
    ) -> None:
        """
        @param database: What reads.
        @param directory: Where the files are.
        @param modes: Looks at whose they are.
        @param told: Is told how far it is.
        """
        self._database = database
        self._directory = directory
        self._modes = modes
        self._told = told
        self._missing: list[int] = []
        self._ownerless: list[int] = []
        self._lost = Tally(
            Severity.ERROR,
            f"messages whose content is not in {directory} as it was stored",
            "they cannot be sent, and are set aside when they are due",
            "put the files back from a backup of the same time",
        )
        self._left = Tally(
            Severity.WARNING,
            f"files in {directory} that belong to no message",
            "they take room; no mail is lost",
            "the next start of the relay removes them",
        )
        self._foreign = Tally(
            Severity.WARNING,
            f"names in {directory} that the relay does not make",
            "it leaves them alone; somebody or something else uses the directory",
            "find out who put them there, and move them away",
        )

    def expect(self, message: int, size: int) -> None:
        """
        See that the file of a message is there.

        @param size: How long it is to be, in bytes.
        """
        if not self._isThere(message, size):
            self._suspect(self._missing, self._lost, message)

    def findings(self, wait: Callable[[], object]) -> Iterator[Finding]:
        """
        Look at all the files, and again at what did not agree.

        @param wait: Waits a moment.
        """
        self._lookAtAll()
        for _ in range(LOOKS):
            if not (self._missing or self._ownerless):
                break
            self._told("again at what may only have been under way", 0, 0)
            wait()
            self._lookAgain()
        for number in self._missing:
            self._lost.add(number)
        for number in self._ownerless:
            self._left.add(number)
        yield from self._lost.findings()
        yield from self._left.findings()
        yield from self._foreign.findings()

    def _lookAtAll(self) -> None:
        try:
            status = os.lstat(self._directory)
        except FileNotFoundError:
            return  # it is made when a relay is started
        self._modes.look(self._directory, status)
        with os.scandir(self._directory) as entries:
            for count, entry in enumerate(entries):
                if count % STRIDE == 0:
                    self._told("the files of contents", count, 0)
                self._lookAt(entry)

    def _lookAt(self, entry: os.DirEntry[str]) -> None:
        name = entry.name
        isNumber = name.isascii() and name.isdigit() and len(name) <= MAX_DIGITS
        if not isNumber or not entry.is_file(follow_symlinks=False):
            self._foreign.add(name)
            return
        try:
            self._modes.look(entry.path, entry.stat(follow_symlinks=False))
        except FileNotFoundError:
            return  # it was sent meanwhile
        if self._size(int(name)) is None:
            self._suspect(self._ownerless, self._left, int(name))

    def _lookAgain(self) -> None:
        # What was read until now is of one moment; this is of a later one.
        self._database.execute("ROLLBACK")
        self._database.execute("BEGIN")
        self._missing = [n for n in self._missing if self._isMissing(n)]
        self._ownerless = [n for n in self._ownerless if self._isOwnerless(n)]

    def _isMissing(self, number: int) -> bool:
        size = self._size(number)
        return size is not None and not self._isThere(number, size)

    def _isOwnerless(self, number: int) -> bool:
        path = f"{self._directory}/{number}"
        return self._size(number) is None and os.path.lexists(path)

    def _size(self, message: int) -> int | None:
        """
        Give the size of a message whose content is in a file, or L{None}.
        """
        found = self._database.execute(_MESSAGE, (message,)).fetchone()
        return None if found is None else int(found[0])

    def _isThere(self, message: int, size: int) -> bool:
        try:
            status = os.lstat(f"{self._directory}/{message}")
        except OSError:
            return False
        return stat.S_ISREG(status.st_mode) and status.st_size == size

    @staticmethod
    def _suspect(suspects: list[int], tally: Tally, number: int) -> None:
        if len(suspects) < MAX_SUSPECTS:
            suspects.append(number)
        else:
            tally.add(number)
