# -*- test-case-name: relaymail.test.queue.test_durability -*-
"""
Whether there is room for more mail, asked often and measured seldom.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from relaymail.errors import QueueError
from relaymail.queue.disk import Disk, Room

#: How long a measurement is believed, in seconds.
BELIEVED = 2.0
#: What is kept free for what is on its way and for the queue's own records,
#: in bytes: the queue must still drain when no more is taken.
SPARE_BYTES = 16 * 1024 * 1024
#: What is to be free for records, however much there is for contents, in bytes.
LEAST_BYTES = SPARE_BYTES // 2
#: What is kept free in inodes.
SPARE_INODES = 256
#: How much of the disk a file takes at least, in bytes: a block of most file
#: systems.
BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Taken:
    """
    What is going to be written.

    @ivar size: How much, in bytes.
    @ivar files: How many files are made.
    """

    size: int = 0
    files: int = 0

    def __add__(self, other: Taken) -> Taken:
        return Taken(self.size + other.size, self.files + other.files)


@dataclass(frozen=True, slots=True)
class Own:
    """
    The room that a queue has in files of its own.

    @ivar log: What it can write its records to, in bytes.
    @ivar contents: What it can write contents to, in bytes.
    """

    log: int
    contents: int


class RoomGauge:
    """
    Watches the free room where a directory is.
    """

    log = Logger()

    def __init__(
        self,
        disk: Disk,
        directory: str,
        own: Callable[[int], Own] = lambda free: Own(0, 0),
    ) -> None:
        """
        @param disk: What measures.
        @param directory: Where.
        @param own: Tells what room the queue has of its own, given what is free
            on the disk, in bytes.
        """
        self._ownRoom = own
        self._own = Own(0, 0)
        self._disk = disk
        self._directory = directory
        self._measured: float | None = None
        self._enough = True
        # What may not have got there yet when it was measured, and what has
        # come since.
        self._before = Taken()
        self._since = Taken()
        self._room: Room | None = None

    def hasRoom(self, clock: IReactorTime) -> bool:
        """
        Tell whether more mail can be taken.

        @param clock: Tells the time.
        """
        now = clock.seconds()
        if self._measured is None or not 0 <= now - self._measured < BELIEVED:
            self._measured = now
            self._before, self._since = self._since, Taken()
            self._room = self._measure()
            self._note(self._isEnough())
        # What has been taken alone makes no noise: the next measurement tells.
        return self._enough and self._isEnough()

    def take(self, taken: Taken) -> None:
        """
        Count what is going to be written, until it has been measured: mail that
        comes fast is not to eat up what is kept free.
        """
        self._since += taken

    def _measure(self) -> Room | None:
        try:
            room = self._disk.room(self._directory)
            self._own = self._ownRoom(room.bytes)
            return room
        except QueueError:
            # Not known; the writing itself will tell.
            return None

    def _isEnough(self) -> bool:
        room = self._room
        if room is None:
            return True
        taken = self._before + self._since
        enoughInodes = room.inodes is None or room.inodes - taken.files >= SPARE_INODES
        writable = room.bytes + self._own.log
        enoughBytes = (
            writable >= LEAST_BYTES
            and writable + self._own.contents - taken.size >= SPARE_BYTES
        )
        return enoughInodes and enoughBytes

    def _note(self, enough: bool) -> None:
        if enough != self._enough:
            self.log.warn(
                "{directory} {state}",
                directory=self._directory,
                state="has room again" if enough else "has no room for more mail",
            )
        self._enough = enough


def sizeOf(content: bytes | IO[bytes]) -> int:
    """
    Tell how large a content is, in bytes.

    @param content: The bytes, or a file; one that cannot tell its size counts
        for nothing, and it is found when the room is measured.
    """
    if isinstance(content, bytes):
        return len(content)
    try:
        return os.fstat(content.fileno()).st_size
    except OSError:
        return 0


def footprint(recipients: int, size: int = 0) -> Taken:
    """
    Tell how much room a message takes at most in a directory queue: its content,
    which is stored once, and for each name the envelope and where it stands.

    @param size: That of the content, in bytes.
    """
    files = 1 + 2 * recipients
    return Taken(size + files * BLOCK, files)
