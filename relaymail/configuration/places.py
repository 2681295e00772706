# -*- test-case-name: relaymail.test.configuration.test_places -*-
"""
Where a relay is: its queue, and the socket where it is asked.

The command wants to know that and nothing else, and at once: whatever else the
configuration says is read by whoever runs the relay.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from relaymail.configuration.files import findFile, tablesIn, textOf
from relaymail.configuration.words import parsePath, parseQueue
from relaymail.queue.place import QueueKind, QueuePlace

#: Where the queue is when nothing is said.
DEFAULT_QUEUE = "spool"
#: What the path of the control socket ends in.
CONTROL = "control"
#: What the directory of tokens ends in, that of policies of MTA-STS, and that of what
#: is counted for reports.
TOKENS, STS, REPORTS = "tokens", "sts", "tls-reports"
#: What a configuration file may say: the keys outside of its tables, and its
#: tables.
TOP = frozenset({"queue", "hostname", "intake", "delivery", "machines", "control"})


@dataclass(frozen=True, slots=True)
class Places:
    """
    Where a relay is.

    @ivar queue: Its queue.
    @ivar socket: The path of its control socket.
    """

    queue: QueuePlace
    socket: str


def socketBeside(queue: QueuePlace) -> str:
    """
    Give the path of the control socket of a relay, unless it names another.
    """
    return _beside(queue, CONTROL)


def tokensBeside(queue: QueuePlace) -> str:
    """
    Give the path of the directory where a relay keeps tokens of smart hosts.
    """
    return _beside(queue, TOKENS)


def stsBeside(queue: QueuePlace) -> str:
    """
    Give the path of the directory where a relay keeps policies of MTA-STS.
    """
    return _beside(queue, STS)


def reportsBeside(queue: QueuePlace) -> str:
    """
    Give the path of the directory where a relay keeps what it counts for reports on
    TLS.
    """
    return _beside(queue, REPORTS)


def _beside(queue: QueuePlace, name: str) -> str:
    if queue.kind is QueueKind.DIRECTORY:
        return os.path.join(queue.path, name)
    return f"{queue.path}-{name}"


def findPlaces(explicit: str | None = None) -> Places:
    """
    Say where the relay is that a configuration file tells of.

    @param explicit: The path that somebody named; L{None}: the one that holds.

    @raise ConfigurationError: When that cannot be known.
    """
    path = findFile(explicit)
    if path is None:
        return _placesIn({}, "")
    said = tablesIn(textOf(path), path)
    control = said.get("control", {})
    if said.keys() <= TOP and isinstance(control, dict):
        words = [said.get("queue", ""), control.get("socket", "")]
        if all(isinstance(word, str) for word in words):
            return _placesIn(said, os.path.dirname(path))
    # Something is wrong: it is told by what reads all of it.
    from relaymail.configuration.reading import readFile

    configuration = readFile(path)
    return Places(configuration.queue, configuration.controlSocket)


def _placesIn(said: Mapping[str, Any], base: str) -> Places:
    isSaid = "queue" in said
    # Where nothing is said, it is in the working directory, as in tables.py.
    queue = parseQueue(said["queue"], base) if isSaid else parseQueue(DEFAULT_QUEUE)
    socket = said.get("control", {}).get("socket")
    if not socket:
        return Places(queue, socketBeside(queue))
    return Places(queue, parsePath(socket, base))
