# -*- test-case-name: relaymail.test.queue.test_audit -*-
"""
What is found to be wrong with a queue that is looked through.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from relaymail.replies import printable

#: How many of what is wrong in the same way are named: enough to look at.
EXAMPLES = 5
#: How long each of them may be, in characters: most paths.
MAX_EXAMPLE = 200


class Severity(Enum):
    """
    How bad something is.  The value is what people read.
    """

    #: Mail is lost, or cannot be sent.
    ERROR = "error"
    #: No mail is lost; but something is not as it should be.
    WARNING = "warning"
    #: All is well, and this is good to know.
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """
    Something that was found.

    @ivar severity: How bad it is.
    @ivar what: What it is.
    @ivar consequence: What comes of it.
    @ivar remedy: What to do.
    """

    severity: Severity
    what: str
    consequence: str
    remedy: str


#: Is told how far it is: what is looked at, how much of it is done, and how much
#: there is; 0 where that is not known.
Told = Callable[[str, int, int], object]


def quiet(what: str, done: int, total: int) -> None:
    """
    Tell nobody.
    """


@dataclass(slots=True)
class Tally:
    """
    What is wrong in the same way, counted, however much it is.

    @ivar severity: How bad it is.
    @ivar what: What they are.
    @ivar consequence: What comes of it.
    @ivar remedy: What to do.
    @ivar count: How many there are.
    @ivar examples: The first of them.
    """

    severity: Severity
    what: str
    consequence: str
    remedy: str
    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: object) -> None:
        """
        Count one more.
        """
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(printable(str(example), MAX_EXAMPLE))

    def findings(self) -> Iterator[Finding]:
        """
        Give what was found, in one sentence, or nothing.
        """
        if self.count:
            more = ", …" if self.count > len(self.examples) else ""
            what = f"{self.what}: {self.count} ({', '.join(self.examples)}{more})"
            yield Finding(self.severity, what, self.consequence, self.remedy)


class Modes:
    """
    Whose the files of a queue are, and who else may use them.
    """

    def __init__(self, owner: int) -> None:
        """
        @param owner: Whose they should be.
        """
        self._owner = owner
        self._open = Tally(
            Severity.WARNING,
            "what others than its owner may use",
            "who may read it has the mail, and who may write it can change it or "
            "make the relay refuse to start",
            "chmod go-rwx what is named; directories are to be 0700, files 0600",
        )
        self._foreign = Tally(
            Severity.ERROR,
            "what belongs to another user than the queue",
            "the relay may not be able to read or write it",
            "chown what is named to the user that the relay runs as",
        )

    def look(self, path: str, status: os.stat_result, mayBeRead: bool = False) -> None:
        """
        Look at one of them.

        @param status: What C{lstat} gives.
        @param mayBeRead: Whether others may read it, though not write.
        """
        mode = stat.S_IMODE(status.st_mode)
        if mode & (0o022 if mayBeRead else 0o077):
            self._open.add(f"{mode:04o} {path}")
        if status.st_uid != self._owner:
            self._foreign.add(f"user {status.st_uid}, not {self._owner}: {path}")

    def findings(self) -> Iterator[Finding]:
        """
        Give what was found.
        """
        yield from self._open.findings()
        yield from self._foreign.findings()
