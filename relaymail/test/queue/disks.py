"""
A disk for the tests of the directory queue that need the real file system.
"""

from __future__ import annotations

from relaymail.queue.disk import Disk


class CountingDisk(Disk):
    """
    The real disk, which knows how often it was asked for a listing.

    @ivar listings: How often.
    """

    def __init__(self) -> None:
        self.listings = 0

    def names(self, directory: str) -> list[str]:
        """
        See L{Disk.names}.
        """
        self.listings += 1
        return super().names(directory)
