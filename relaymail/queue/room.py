# -*- test-case-name: relaymail.test.queue.test_durability -*-
"""
Whether there is room for more mail, asked often and measured seldom.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from relaymail.errors import QueueError
from relaymail.queue.disk import Disk

#: How long a measurement is believed, in seconds.
BELIEVED = 2.0
#: What is kept free for what is on its way and for the queue's own records,
#: in bytes: the queue must still drain when no more is taken.
SPARE_BYTES = 16 * 1024 * 1024
#: The same in inodes.
SPARE_INODES = 256


class RoomGauge:
    """
    Watches the free room where a directory is.
    """

    log = Logger()

    def __init__(self, disk: Disk, directory: str) -> None:
        """
        @param disk: What measures.
        @param directory: Where.
        """
        self._disk = disk
        self._directory = directory
        self._measured: float | None = None
        self._enough = True

    def hasRoom(self, clock: IReactorTime) -> bool:
        """
        Tell whether more mail can be taken.

        @param clock: Tells the time.
        """
        now = clock.seconds()
        if self._measured is None or not 0 <= now - self._measured < BELIEVED:
            self._measured = now
            self._note(self._measure())
        return self._enough

    def _measure(self) -> bool:
        try:
            room = self._disk.room(self._directory)
        except QueueError:
            # Not known; the writing itself will tell.
            return True
        enoughInodes = room.inodes is None or room.inodes >= SPARE_INODES
        return enoughInodes and room.bytes >= SPARE_BYTES

    def _note(self, enough: bool) -> None:
        if enough != self._enough:
            self.log.warn(
                "{directory} {state}",
                directory=self._directory,
                state="has room again" if enough else "has no room for more mail",
            )
        self._enough = enough
