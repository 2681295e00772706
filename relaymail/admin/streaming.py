# -*- test-case-name: relaymail.test.admin.test_streaming -*-
"""
A file on its way to a client, as fast as that reads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, Any

from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

#: How much is read at a time, in octets.
CHUNK = 65536


@implementer(IPushProducer)
class FileProducer:
    """
    Writes a file to a consumer.
    """

    def __init__(
        self, file: IO[bytes], consumer: Any, ended: Callable[[Failure | None], None]
    ) -> None:
        """
        @param file: What to write; it is closed afterwards.
        @param consumer: Where to.
        @param ended: Called once when all is written, or with why it was not.
        """
        self._file = file
        self._consumer = consumer
        self._ended = ended
        self._isPaused = True
        self._isOver = False

    def begin(self) -> None:
        """
        Begin to write.
        """
        self._consumer.registerProducer(self, True)
        self.resumeProducing()

    def pauseProducing(self) -> None:
        """
        Wait until the client has read.
        """
        self._isPaused = True

    def resumeProducing(self) -> None:
        """
        Go on.
        """
        self._isPaused = False
        while not (self._isPaused or self._isOver):
            self._writeSome()

    def stopProducing(self) -> None:
        """
        Nobody reads any more.
        """
        if not self._isOver:
            self._isOver = True
            self._file.close()

    def _writeSome(self) -> None:
        try:
            data = self._file.read(CHUNK)
        except Exception:
            self._end(Failure())
            return
        if data:
            self._consumer.write(data)
        else:
            self._end(None)

    def _end(self, failure: Failure | None) -> None:
        self.stopProducing()
        self._consumer.unregisterProducer()
        self._ended(failure)
