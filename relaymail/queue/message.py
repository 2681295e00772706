# -*- test-case-name: relaymail.test.queue.test_directory -*-
"""
A message on its way into the directory queue, line by line.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import IO

from twisted.internet.defer import Deferred
from twisted.mail.interfaces import IMessageSMTP
from zope.interface import implementer

from relaymail.queue.disk import Disk


class _State(Enum):
    RECEIVING = "receiving"
    COMPLETE = "complete"
    LOST = "lost"


@implementer(IMessageSMTP)
class QueuedMessage:
    """
    What receives the content of a message.

    @ivar fp: The file it is written to while it is being received.
    @ivar name: The path of that file.
    @ivar finalName: The path the content has once it is complete.
    """

    def __init__(
        self,
        fp: IO[bytes],
        name: str,
        finalName: str,
        disk: Disk,
        settle: Callable[[QueuedMessage], Deferred[None]],
    ) -> None:
        """
        @param fp: The file to write the content to.
        @param name: Its path.
        @param finalName: The path to give it when it is complete.
        @param disk: What writes.
        @param settle: Puts the complete message on the disk.
        """
        self.fp = fp
        self.name = name
        self.finalName = finalName
        self._disk = disk
        self._settle = settle
        self._state = _State.RECEIVING

    def lineReceived(self, line: bytes) -> None:
        """
        Take a line.

        @param line: The line without its end.
        """
        self._disk.write(self.fp, line + b"\n")

    def eomReceived(self) -> Deferred[str]:
        """
        The content is complete, and the envelope file is closed.

        @return: Fires with L{finalName} when both would survive a power cut
            and the message waits.  If it fails nothing was taken.
        """
        self._state = _State.COMPLETE
        return self._settle(self).addCallback(lambda _: self.finalName)

    def connectionLost(self) -> None:
        """
        No more lines come: what was received is thrown away, with its
        envelope.  A message that is complete stays.
        """
        if self._state is not _State.RECEIVING:
            return
        self._state = _State.LOST
        self._disk.abandon(self.fp)
        self._disk.unlink(self.name)
        self._disk.unlink(self.name.removesuffix("-C") + "-H")
