# -*- test-case-name: relaymail.test.queue.spool.test_bodies -*-
"""
The contents of a spool: small ones are in the row of their message, large ones
in files of their own, each named by the number of its message.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import IO, cast

from zope.interface import implementer

from relaymail.queue.contents import IKeyedContent, LazyFile
from relaymail.queue.disk import Disk
from relaymail.queue.room import Taken, sizeOf

#: Up to which size a content is in its row, in bytes.  Written to the log and
#: again to the database it costs twice its size; a file costs two syncs.
LARGEST_ROW = 256 * 1024
#: How much of a large content is in memory at a time, in bytes.
CHUNK = 64 * 1024
#: How much of the contents of new mail is kept in memory until it is sent, in
#: bytes; what does not fit is read again.
KEPT = 32 * 1024 * 1024
#: How often what is in the database is on the disk: in the log, and once more
#: when that is copied.
_WRITTEN = 2


@dataclass(frozen=True, slots=True)
class Body:
    """
    A content that was taken.

    @ivar size: Its size, in bytes.
    @ivar eightBit: Whether a byte above 127 is in it (RFC 6152).
    @ivar data: The bytes; L{None}: they are in a file.
    """

    size: int
    eightBit: bool
    data: bytes | None


class Bodies:
    """
    Where contents are kept.

    @ivar directory: The directory of the large ones.
    """

    def __init__(self, disk: Disk, directory: str, largestRow: int = LARGEST_ROW):
        """
        @param disk: What touches files.
        @param directory: The directory of the large ones.
        @param largestRow: Up to which size a content is in its row, in bytes.
        """
        self.directory = directory
        self._disk = disk
        self._largestRow = largestRow
        self._isNew = False

    def path(self, message: int) -> str:
        """
        Give the file of a large content.
        """
        return f"{self.directory}/{message}"

    def footprint(self, content: bytes | IO[bytes]) -> Taken:
        """
        Tell how much room a content takes at most: what is in the database is
        in its log, too.

        @param content: The bytes, or a file.
        """
        size = sizeOf(content)
        return Taken(size, 1) if size > self._largestRow else Taken(_WRITTEN * size)

    def fits(self, content: bytes) -> bool:
        """
        Tell whether a content is kept in its row.
        """
        return len(content) <= self._largestRow

    def store(self, message: int, content: bytes | IO[bytes]) -> Body:
        """
        Take a content; a large one would survive a power cut once L{sync} was
        called.

        @param message: The number of its message.
        @param content: The bytes, or a file that is read from where it stands.
        """
        if isinstance(content, bytes):
            if self.fits(content):
                return Body(len(content), not content.isascii(), content)
            content = io.BytesIO(content)
        start = content.read(self._largestRow + 1)
        if len(start) <= self._largestRow:
            return Body(len(start), not start.isascii(), start)
        return self._write(message, _pieces(start, content))

    def sync(self) -> None:
        """
        Make the files that were written durable under their names.
        """
        if self._isNew:
            self._disk.sync(self.directory)
            self._isNew = False

    def takeBack(self) -> None:
        """
        Need not make durable what was written since: it is of no message.
        """
        self._isNew = False

    def remove(self, message: int) -> None:
        """
        Remove the file of a message, if it has one.
        """
        self._disk.unlink(self.path(message))

    def numbers(self) -> list[int]:
        """
        Give the numbers of the messages that have files.
        """
        return [int(x) for x in self._disk.names(self.directory) if x.isdigit()]

    def open(self, message: int) -> IO[bytes]:
        """
        Open the file of a message.

        @raise UnreadableEntry: When it cannot be read.
        """
        return self._disk.open(self.path(message))

    def has(self, message: int, size: int) -> bool:
        """
        Tell whether the file of a message is there, and is as long as it was.
        """
        found = self._disk.find(self.path(message))
        return found is not None and found.regular and found.size == size

    def _write(self, message: int, pieces: Iterator[bytes]) -> Body:
        # What has the name is of a message that was not taken.
        self.remove(message)
        file = self._disk.create(self.path(message))
        size, eightBit = 0, False
        try:
            for piece in pieces:
                size += len(piece)
                eightBit = eightBit or not piece.isascii()
                self._disk.write(file, piece)
            self._disk.finish(file)
        except BaseException:
            self._disk.abandon(file)
            raise
        self._isNew = True
        return Body(size, eightBit, None)


@implementer(IKeyedContent)
class SpoolContent:
    """
    The content of a message in a spool.

    @ivar key: The number of the message.
    @ivar size: Its size, in bytes.
    @ivar eightBit: Whether a byte above 127 is in it (RFC 6152).
    @ivar data: The bytes, as long as they are kept in memory.
    """

    __slots__ = ("_opener", "data", "eightBit", "key", "size")

    def __init__(
        self,
        message: int,
        size: int,
        eightBit: bool,
        opener: Callable[[int], IO[bytes]],
        data: bytes | None = None,
    ) -> None:
        """
        @param message: The number of the message.
        @param opener: Opens the content of a message.
        """
        self.key: Hashable = message
        self.size = size
        self.eightBit = eightBit
        self.data = data
        self._opener = opener

    def open(self) -> IO[bytes]:
        """
        See L{IContent.open<relaymail.interfaces.IContent.open>}.
        """
        if self.data is not None:
            return io.BytesIO(self.data)
        message = cast(int, self.key)
        return cast(IO[bytes], LazyFile(lambda: self._opener(message)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SpoolContent) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)


class Kept:
    """
    The contents of new mail that stay in memory until it is sent.
    """

    def __init__(self, room: int = KEPT) -> None:
        """
        @param room: How many bytes there may be.
        """
        self._room = room
        self._messages: dict[int, list[int]] = {}

    def take(self, message: int, names: int, data: bytes | None) -> bytes | None:
        """
        Keep a content if there is room for it.

        @param names: How many names share it.
        @param data: The bytes, if they are in memory.

        @return: The bytes, if they are kept.
        """
        if data is None or not names or len(data) > self._room:
            return None
        self._room -= len(data)
        self._messages[message] = [names, len(data)]
        return data

    def release(self, message: int) -> None:
        """
        Note that one of the names is forgotten.
        """
        kept = self._messages.get(message)
        if kept is not None:
            kept[0] -= 1
            if not kept[0]:
                self._room += kept[1]
                del self._messages[message]


def _pieces(start: bytes, rest: IO[bytes]) -> Iterator[bytes]:
    yield start
    while piece := rest.read(CHUNK):
        yield piece
