# -*- test-case-name: relaymail.test.intake.test_content -*-
"""
The content of a message while it comes in: in memory up to a bound, in a file
beyond it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import IO

from twisted.logger import Logger

from relaymail.dialogue.answers import answer
from relaymail.errors import Refused
from relaymail.headers import HEADER_END, splitHeader
from relaymail.intake.limits import Limits
from relaymail.replies import Reply

TOO_LARGE = answer(552, "5.3.4", "The message is larger than is taken here")
NO_ROOM = answer(452, "4.3.1", "There is no room for the message now")

#: How much of a message that is in a file already is written at a time, in
#: octets: few enough for a thousand such messages.
PIECE = 65_536


class Memory:
    """
    How much memory all messages take that are coming in, or that the queue is
    writing.

    @ivar used: That, in octets.
    """

    def __init__(self) -> None:
        self.used = 0


class Collection:
    """
    Collects one message.  Once it is refused, what still comes is let go.

    @ivar refusal: The reply that the message is to be refused with, or L{None}.
    @ivar content: Once all is there and not refused: all of it, or a file at
        its start that L{close} closes.
    """

    log = Logger()

    def __init__(
        self,
        stamp: Callable[[bytes], bytes],
        limits: Limits,
        openFile: Callable[[], IO[bytes]] = tempfile.TemporaryFile,
        memory: Memory | None = None,
        rewrite: Callable[[bytes], bytes] | None = None,
    ) -> None:
        """
        @param stamp: Gives what stands before the content, from its begin (all
            of it, or more than C{limits.headerBytes}); may raise L{Refused
            <relaymail.errors.Refused>}.
        @param limits: The bounds.
        @param openFile: Gives a file that nobody else sees.
        @param memory: What is shared with the other messages that come in;
            L{None} is for a message that is alone.
        @param rewrite: Gives the header that is to stand in the place of the
            one the content has; L{None}: it stays.
        """
        self.refusal: Reply | None = None
        self.content: bytes | IO[bytes] = b""
        self._stamp = stamp
        self._limits = limits
        self._openFile = openFile
        self._rewrite = rewrite
        # The header is looked at when memory is full: all of it is there then.
        self._most = max(limits.memory, limits.headerBytes + 2)
        self._size = 0
        self._memory = bytearray()
        self._shared = memory or Memory()
        self._held = 0
        self._file: IO[bytes] | None = None

    def write(self, piece: bytes) -> None:
        """
        Take the next octets of the content.
        """
        if self.refusal is not None:
            return
        self._size += len(piece)
        if self._limits.messageSize and self._size > self._limits.messageSize:
            self.refuse(TOO_LARGE)
            return
        self._memory += piece
        self._hold(len(piece))
        if len(self._memory) > self._most:
            self._spill()
        elif self._shared.used > self._limits.allMemory and self._file is None:
            self._makeRoom()

    def refuse(self, reply: Reply) -> None:
        """
        Refuse the message, and let go what there is of it.
        """
        self.refusal = reply
        self.close()

    def finish(self) -> Reply | None:
        """
        Make C{content} of what was collected, the stamp before it.

        @return: The reply that the message is to be refused with, or L{None}.
        """
        if self._file is not None:
            self._spill()
        elif self.refusal is None:
            stamp = self._stampIt()
            self.content = b"".join((stamp, self._memory))
            # It counts until the queue has written it.
            self._memory = bytearray()
            self._hold(len(stamp))
        if self._file is not None:
            self._file.seek(0)
            self.content = self._file
        return self.refusal

    def close(self) -> None:
        """
        Let go what is held.
        """
        self.content = b""
        self._clear()
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _makeRoom(self) -> None:
        """
        Give up memory that others need more; what is all header is not worth it.
        """
        if HEADER_END in self._memory:
            self._spill()
        elif len(self._memory) > PIECE:
            self.refuse(NO_ROOM)

    def _hold(self, size: int) -> None:
        self._held += size
        self._shared.used += size

    def _clear(self) -> None:
        self._hold(-self._held)
        self._memory = bytearray()

    def _stampIt(self) -> bytes:
        head = bytes(self._memory[: self._limits.headerBytes + 2])
        try:
            stamp = self._stamp(head)
        except Refused as e:
            self.refuse(e.reply)
            return b""
        if self._rewrite is not None:
            self._rewriteIt(self._rewrite, head)
        return stamp

    def _rewriteIt(self, rewrite: Callable[[bytes], bytes], head: bytes) -> None:
        header, _ = splitHeader(head)
        changed = rewrite(header)
        if changed != header:
            self._memory[: len(header)] = changed
            self._hold(len(changed) - len(header))

    def _spill(self) -> None:
        try:
            if self._file is None:
                stamp = self._stampIt()
                if self.refusal is not None:
                    return
                self._file = self._openFile()
                self._file.write(stamp)
                self._most = PIECE
            self._file.write(self._memory)
            self._file.flush()
            self._clear()
        except OSError as e:
            self.log.error(
                "A message of {size} octets so far could not be written to a "
                "temporary file: {error}; it is refused for now.",
                size=self._size,
                error=e,
            )
            self.refuse(NO_ROOM)
