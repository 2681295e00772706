# -*- test-case-name: relaymail.test.queue.test_restart -*-
"""
What the files of a name say of it.
"""

from __future__ import annotations

from twisted.logger import Logger

from relaymail.errors import QueueError, UnreadableEntry
from relaymail.queue.contents import DiskContent
from relaymail.queue.disk import Disk, Found
from relaymail.queue.pickles import MAX_PICKLE, loadEnvelope
from relaymail.queue.records import MAX_RECORD, Record, parseRecord
from relaymail.queue.window import Entry

#: No time that a record gives is believed to be further away than this, in
#: seconds: a clock that was wrong when it was written must not bury the mail.
LONGEST_REST = 7 * 24 * 3600.0


class StoredNames:
    """
    Reads what is stored for names.
    """

    log = Logger()

    def __init__(self, disk: Disk, base: str) -> None:
        """
        @param disk: What reads.
        @param base: The directory's path with a separator at its end.
        """
        self._disk = disk
        self._base = base

    def recall(self, name: str, found: Found | None, now: float) -> tuple[Entry, float]:
        """
        Give what is written of a name, and when it is due.  A lease that is
        found was taken by a process that has gone.

        @param found: What its content is.
        @param now: The time, in seconds.  Nothing arrived later than that.
        """
        record = self._readRecord(name)
        if record is None:
            return Entry(min(found.modified, now) if found else now), now
        longest = max(now + LONGEST_REST, record.parameters.holdUntil or 0.0)
        due = now if record.claimed else min(record.due, longest)
        entry = Entry(
            min(record.arrived, now),
            record.attempts,
            record.status,
            record.text,
            record.parameters,
            stated=True,
            recipientParameters=record.recipientParameters,
            isTold=record.isTold,
            origin=record.origin,
        )
        return entry, due

    def find(self, name: str) -> Found | None:
        """
        Look at a content without reading it.
        """
        return self._disk.find(f"{self._base}{name}-D")

    def envelope(self, name: str) -> list[str | int]:
        """
        Read an envelope.

        @raise UnreadableEntry: When it cannot be read.
        """
        return loadEnvelope(self._disk.read(f"{self._base}{name}-H", MAX_PICKLE))

    def content(self, name: str) -> DiskContent:
        """
        Find a content.

        @raise UnreadableEntry: When there is none.
        """
        path = f"{self._base}{name}-D"
        found = self.find(name)
        if found is None or not found.regular:
            raise UnreadableEntry(f"{path} is not there, or not a plain file")
        return DiskContent(self._disk, path, found)

    def _readRecord(self, name: str) -> Record | None:
        path = f"{self._base}{name}-S"
        if self._disk.find(path) is None:
            return None
        try:
            record = parseRecord(self._disk.read(path, MAX_RECORD))
        except QueueError:
            record = None
        if record is None:
            self.log.error("{name}-S is damaged; {name} is due at once", name=name)
        return record
