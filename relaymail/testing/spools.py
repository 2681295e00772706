# -*- test-case-name: relaymail.test.testing.test_world -*-
"""
What is on the disk of a relay, read without asking the relay.
"""

from __future__ import annotations

from relaymail.queue.pickles import loadEnvelope
from relaymail.testing.relays import SPOOL, RelayMachine

#: The sender, the recipient and the content of a name.
Stored = tuple[str, str, bytes]


class Spool:
    """
    The queue's directory on the disk of a relay.
    """

    def __init__(self, node: RelayMachine) -> None:
        """
        @param node: The machine with the relay.
        """
        self._node = node

    def file(self, name: str, suffix: str) -> bytes:
        """
        Give what is in a file of a name, nothing where there is no such file.

        @param suffix: Which: C{"H"}, C{"D"}, C{"S"}.
        """
        return self._node.disk.files().get(f"{SPOOL}/{name}-{suffix}", b"")

    def stored(self, name: str) -> Stored | None:
        """
        Give the sender, the recipient and the content of a name, L{None} where
        it is not there.
        """
        return _read(name, self._node.disk.files())

    def refused(self, name: str) -> Stored | None:
        """
        Give what L{stored} gives, of mail that is not taken: its content may
        still have the name it is received under.
        """
        files = self._node.disk.files()
        return _read(name, files) or _read(name, files, "C")

    def queued(self) -> list[Stored]:
        """
        Give the sender, the recipient and the content of each name in the
        queue.  Where the relay is down, all counts that it will find; where it
        is up, what it is removing is not in the queue any more.
        """
        files = self._node.disk.files()
        found = (_read(name, files) for name in sorted(self._names(files)))
        return [each for each in found if each is not None]

    def left(self) -> list[str]:
        """
        Give the paths of all files.
        """
        return [path for path in self._node.disk.files() if path.startswith(SPOOL)]

    def aside(self) -> list[str]:
        """
        Give the paths of the files that were set aside.
        """
        return [path for path in self.left() if path.startswith(f"{SPOOL}/aside/")]

    def _names(self, files: dict[str, bytes]) -> set[str]:
        if self._node.relay is None:
            return {path.removeprefix(f"{SPOOL}/")[:-2] for path in files}
        queue = self._node.relay.queue
        return {*queue.getWaiting(), *queue.getRelayed(), *queue.getResting()}


def _read(name: str, files: dict[str, bytes], suffix: str = "D") -> Stored | None:
    envelope = files.get(f"{SPOOL}/{name}-H")
    content = files.get(f"{SPOOL}/{name}-{suffix}")
    if envelope is None or content is None:
        return None
    sender, recipient = loadEnvelope(envelope)
    lines = content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return str(sender), str(recipient), lines
