# -*- test-case-name: relaymail.test.testing.test_world -*-
"""
What is on the disk of a relay, read without asking the relay.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from relaymail.queue.opening import QueueKind
from relaymail.queue.pickles import loadEnvelope
from relaymail.queue.records import parseRecord
from relaymail.testing.relays import RelayMachine

#: The sender, the recipient and the content of a name.
Stored = tuple[str, str, bytes]

_STORED = (
    "SELECT m.sender, r.address, m.content, m.id "
    "FROM recipient r JOIN message m ON m.id = r.message WHERE r.id = ?"
)
_ROWS = "SELECT id FROM recipient WHERE aside IS NULL ORDER BY id"
_LEFT = (
    "SELECT 'recipient ' || id FROM recipient "
    "UNION SELECT 'message ' || id FROM message"
)
_ASIDE = "SELECT 'recipient ' || id FROM recipient WHERE aside IS NOT NULL"
_ATTEMPTS = "SELECT attempts FROM recipient WHERE id = ?"


class Spool(Protocol):
    """
    The queue on the disk of a relay.
    """

    def attempts(self, name: str) -> int:
        """
        Say how many attempts of a name are written down.
        """

    def stored(self, name: str) -> Stored | None:
        """
        Give the sender, the recipient and the content of a name, L{None} where
        it is not there.
        """

    def refused(self, name: str) -> Stored | None:
        """
        Give what L{stored} gives, of mail that is not taken.
        """

    def queued(self) -> list[Stored]:
        """
        Give the sender, the recipient and the content of each name in the
        queue.  Where the relay is down, all counts that it will find; where it
        is up, what it is removing is not in the queue any more.
        """

    def left(self) -> list[str]:
        """
        Give all that there is, in words.
        """

    def aside(self) -> list[str]:
        """
        Give what was set aside, in words.
        """


def spoolOf(node: RelayMachine) -> Spool:
    """
    Give what reads the queue of a relay.

    @param node: The machine with the relay.
    """
    isDirectory = node.configuration.queue.kind is QueueKind.DIRECTORY
    return DirectorySpool(node) if isDirectory else DatabaseSpool(node)


class DirectorySpool:
    """
    A directory on the disk in memory.
    """

    def __init__(self, node: RelayMachine) -> None:
        """
        @param node: The machine with the relay.
        """
        self._node = node
        self._base = node.configuration.queue.path + "/"

    def attempts(self, name: str) -> int:
        """
        See L{Spool.attempts}.
        """
        files = self._node.disk.files()
        record = parseRecord(files.get(f"{self._base}{name}-S", b""))
        return 0 if record is None else record.attempts

    def stored(self, name: str) -> Stored | None:
        """
        See L{Spool.stored}.
        """
        return self._read(name, self._node.disk.files())

    def refused(self, name: str) -> Stored | None:
        """
        See L{Spool.refused}.  The content may still have the name it is
        received under.
        """
        files = self._node.disk.files()
        return self._read(name, files) or self._read(name, files, "C")

    def queued(self) -> list[Stored]:
        """
        See L{Spool.queued}.
        """
        files = self._node.disk.files()
        found = (self._read(name, files) for name in sorted(self._names(files)))
        return [each for each in found if each is not None]

    def _names(self, files: dict[str, bytes]) -> set[str]:
        if self._node.relay is None:
            return {path.removeprefix(self._base)[:-2] for path in files}
        queue = self._node.relay.queue
        return {*queue.getWaiting(), *queue.getRelayed(), *queue.getResting()}

    def left(self) -> list[str]:
        """
        See L{Spool.left}.
        """
        return [path for path in self._node.disk.files() if path.startswith(self._base)]

    def aside(self) -> list[str]:
        """
        See L{Spool.aside}.
        """
        return [path for path in self.left() if path.startswith(f"{self._base}aside/")]

    def _read(
        self, name: str, files: dict[str, bytes], suffix: str = "D"
    ) -> Stored | None:
        envelope = files.get(f"{self._base}{name}-H")
        content = files.get(f"{self._base}{name}-{suffix}")
        if envelope is None or content is None:
            return None
        sender, recipient = loadEnvelope(envelope)
        lines = content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        return str(sender), str(recipient), lines


class DatabaseSpool:
    """
    A database, whose large contents are on the disk in memory.
    """

    def __init__(self, node: RelayMachine) -> None:
        """
        @param node: The machine with the relay.
        """
        self._node = node
        self._contents = node.configuration.queue.path + "-contents/"

    def attempts(self, name: str) -> int:
        """
        See L{Spool.attempts}.
        """
        found = self._ask(_ATTEMPTS, name)
        return int(found[0][0]) if found else 0

    def stored(self, name: str) -> Stored | None:
        """
        See L{Spool.stored}.
        """
        with self._open() as database:
            return self._read(database, name)

    def refused(self, name: str) -> Stored | None:
        """
        See L{Spool.refused}: there is none, for it is taken back with its
        transaction.
        """
        return None

    def queued(self) -> list[Stored]:
        """
        See L{Spool.queued}.
        """
        relay = self._node.relay
        gone = () if relay is None else relay.queue.getLeaving()
        with self._open() as database:
            names = [str(name) for (name,) in database.execute(_ROWS)]
            found = [self._read(database, name) for name in names if name not in gone]
        return [each for each in found if each is not None]

    def left(self) -> list[str]:
        """
        See L{Spool.left}.
        """
        files = self._node.disk.files()
        return [
            *(str(name) for (name,) in self._ask(_LEFT)),
            *(path for path in files if path.startswith(self._contents)),
        ]

    def aside(self) -> list[str]:
        """
        See L{Spool.aside}.
        """
        return [str(name) for (name,) in self._ask(_ASIDE)]

    def _ask(self, question: str, *parameters: str) -> list[Any]:
        with self._open() as database:
            return database.execute(question, parameters).fetchall()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        path = self._node.databasePath(self._node.configuration.queue.path)
        database = sqlite3.connect(path, isolation_level=None)
        try:
            yield database
        finally:
            database.close()

    def _read(self, database: sqlite3.Connection, name: str) -> Stored | None:
        found = database.execute(_STORED, (name,)).fetchone()
        if found is None:
            return None
        sender, recipient, content, message = found
        if content is None:
            content = self._node.disk.files().get(f"{self._contents}{message}")
        return None if content is None else (sender, recipient, content)
