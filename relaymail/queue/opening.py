# -*- test-case-name: relaymail.test.queue.test_disk -*-
"""
Opening a directory queue for a service.
"""

from __future__ import annotations

from os import fsdecode

from twisted.internet.interfaces import IReactorTime

from relaymail.queue.directory import Queue
from relaymail.queue.disk import Disk
from relaymail.queue.window import AnyPath
from relaymail.queue.writer import Run


def openDirectory(
    path: AnyPath,
    clock: IReactorTime | None = None,
    run: Run | None = None,
    disk: Disk | None = None,
) -> Queue:
    """
    Open a queue for a service: the directory is made if it is missing, and
    checked.

    @param path: The directory.
    @param clock: As for L{Queue}.
    @param run: As for L{Queue}.
    @param disk: As for L{Queue}.

    @return: The queue, not locked yet.

    @raise QueueUnusable: When the directory cannot hold a queue.
    """
    hands = disk or Disk()
    directory = fsdecode(path)
    hands.makeDirectory(directory)
    hands.checkDirectory(directory)
    return Queue(directory, clock, disk, run)
