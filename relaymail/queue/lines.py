# -*- test-case-name: relaymail.test.queue.test_lines -*-
"""
A message on its way into a queue, the seed's way: an envelope that is pickled
into a file, and a content that comes line by line.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from tempfile import SpooledTemporaryFile
from typing import IO, cast

from twisted.internet.defer import Deferred, fail
from twisted.mail.interfaces import IMessageSMTP
from zope.interface import implementer

from relaymail.envelopes import Envelope
from relaymail.queue.pickles import loadEnvelope

#: How much of a message is in memory, in bytes; the rest of a larger one is in
#: a file without a name.
IN_MEMORY = 1024 * 1024

#: Takes a message; the file is read from where it stands.
Add = Callable[[Envelope, IO[bytes]], "Deferred[list[str]]"]


class EnvelopeFile(io.BytesIO):
    """
    A file that remembers what it held.

    @ivar pickled: What was in it when it was closed.
    """

    pickled = b""

    def close(self) -> None:
        """
        Close it.
        """
        if not self.closed:
            self.pickled = self.getvalue()
        super().close()


@implementer(IMessageSMTP)
class LinesMessage:
    """
    What receives the content of a message.
    """

    def __init__(self, add: Add, envelope: EnvelopeFile) -> None:
        """
        @param add: Takes the message.
        @param envelope: The file its envelope is pickled into.
        """
        self._add = add
        self._envelope = envelope
        self._file = cast(IO[bytes], SpooledTemporaryFile(IN_MEMORY))  # noqa: SIM115

    def lineReceived(self, line: bytes) -> None:
        """
        Take a line.

        @param line: The line without its end.
        """
        self._file.write(line + b"\r\n")

    def eomReceived(self) -> Deferred[str]:
        """
        The content is complete, and the envelope file is closed.

        @return: Fires with the name, or fails and then nothing was taken.
        """
        try:
            sender, recipient = loadEnvelope(self._envelope.pickled)
            envelope = Envelope(str(sender), (str(recipient),))
            self._file.seek(0)
            added = self._add(envelope, self._file)
        except Exception:
            added = fail()
        return added.addBoth(self._close).addCallback(lambda names: names[0])

    def connectionLost(self) -> None:
        """
        No more lines come: what was received is thrown away.
        """
        self._file.close()

    def _close(self, result: list[str]) -> list[str]:
        self._file.close()
        return result


def beginMessage(add: Add) -> tuple[EnvelopeFile, LinesMessage]:
    """
    Begin a message.

    @param add: Takes it when it is complete.
    """
    envelope = EnvelopeFile()
    return envelope, LinesMessage(add, envelope)
