# -*- test-case-name: relaymail.test.queue.test_directory -*-
"""
The bytes of a message, where they rest, and a file over them that takes no
descriptor before somebody reads.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Hashable
from typing import IO, TYPE_CHECKING, Any, cast

from zope.interface import Attribute, implementer

from relaymail.interfaces import IContent
from relaymail.queue.disk import Disk, Found

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: A content up to this size, in bytes, is read whole at the first read, and
#: its descriptor given back: a batch of small letters then holds none.
SMALL = 64 * 1024


class IKeyedContent(IContent):
    """
    A content that can be told from others without being read.
    """

    key: Hashable = Attribute("Equal for contents of one message.")


@implementer(IKeyedContent)
class DiskContent:
    """
    A content in a file.

    @ivar path: The file.
    @ivar key: Equal for contents of one message.
    @ivar size: Its size in bytes, as stored.
    """

    __slots__ = ("_disk", "_eightBit", "key", "path", "size")

    def __init__(
        self, disk: Disk, path: str, found: Found, eightBit: bool | None = None
    ) -> None:
        """
        @param found: What the file is.
        @param eightBit: Whether a byte above 127 is in it; L{None} to look
            when somebody asks.
        """
        self._disk = disk
        self.path = path
        self.key: Hashable = found.key
        self.size = found.size
        self._eightBit = eightBit

    @property
    def eightBit(self) -> bool:
        """
        Whether a byte above 127 is in it (RFC 6152).
        """
        if self._eightBit is None:
            with self._disk.open(self.path) as file:
                pieces = iter(lambda: file.read(SMALL), b"")
                self._eightBit = not all(piece.isascii() for piece in pieces)
        return self._eightBit

    def open(self) -> IO[bytes]:
        """
        See L{IContent.open<relaymail.interfaces.IContent.open>}.
        """
        return cast(IO[bytes], LazyFile(self._read))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DiskContent) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)

    def _read(self) -> IO[bytes]:
        if self.size > SMALL:
            return self._disk.open(self.path)
        return io.BytesIO(self._disk.read(self.path, SMALL))


@implementer(IKeyedContent)
class MemoryContent:
    """
    A content in memory.

    @ivar data: The bytes.
    @ivar size: How many there are.
    @ivar eightBit: Whether one above 127 is among them (RFC 6152).
    """

    __slots__ = ("data", "eightBit", "size")

    def __init__(self, data: bytes) -> None:
        """
        @param data: The bytes.
        """
        self.data = data
        self.size = len(data)
        self.eightBit = not data.isascii()

    @property
    def key(self) -> Hashable:
        """
        Equal for contents of one message.
        """
        return id(self)

    def open(self) -> IO[bytes]:
        """
        See L{IContent.open<relaymail.interfaces.IContent.open>}.
        """
        return io.BytesIO(self.data)


class LazyFile(io.BufferedIOBase):
    """
    A binary file for reading that is opened by the first read.
    """

    def __init__(self, opener: Callable[[], IO[bytes]]) -> None:
        """
        @param opener: Gives the file that is really read.
        """
        super().__init__()
        self._opener = opener
        self._file: IO[bytes] | None = None

    def readable(self) -> bool:
        """
        It is for reading.
        """
        return True

    def seekable(self) -> bool:
        """
        Its place can be chosen.
        """
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """
        Read C{size} bytes, or all that is left.
        """
        return self._opened().read(-1 if size is None else size)

    def read1(self, size: int = -1, /) -> bytes:
        """
        Read what there is, at most C{size} bytes.
        """
        return self.read(size)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """
        Read into a buffer.

        @return: How many bytes were read.
        """
        return int(cast(Any, self._opened()).readinto(buffer))

    def readline(self, size: int | None = -1, /) -> bytes:
        """
        Read up to the next line feed.
        """
        return self._opened().readline(-1 if size is None else size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """
        Choose the place of the next read.  Going to the start of a file that
        was not read does not open it.
        """
        if self._file is None and offset == 0 and whence == io.SEEK_SET:
            return 0
        return self._opened().seek(offset, whence)

    def tell(self) -> int:
        """
        Tell the place of the next read.
        """
        return 0 if self._file is None else self._file.tell()

    def close(self) -> None:
        """
        Give back the descriptor, if one was taken.
        """
        if self._file is not None:
            self._file.close()
        super().close()

    def _opened(self) -> IO[bytes]:
        if self.closed:
            raise ValueError("I/O operation on closed file")
        if self._file is None:
            self._file = self._opener()
        return self._file
