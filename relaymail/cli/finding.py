# -*- test-case-name: relaymail.test.cli.test_finding -*-
"""
Where the relay is that a command is about.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from relaymail.cli.settings import TOKEN_VARIABLE, Settings
from relaymail.cli.troubles import CommandError

#: The longest token that is read, in octets: hundreds of random characters.
MAX_TOKEN = 4096


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where a relay is.

    @ivar queue: Its queue: the path.
    @ivar isSpool: Whether that is one file, or will be.
    @ivar socket: The path of the socket where it is asked.
    @ivar url: Where it is asked instead; L{None}: not elsewhere.
    @ivar token: The token for that.
    """

    queue: str
    isSpool: bool
    socket: str
    url: str | None = None
    token: str | None = None


def find(settings: Settings) -> Place:
    """
    Find the relay: ask the configuration where its queue is, and its socket.

    @raise RelayMailError: When the configuration cannot be read.
    """
    from relaymail.configuration.places import findPlaces
    from relaymail.queue.place import QueueKind

    places = findPlaces(settings.config)
    isSpool = places.queue.kind is QueueKind.SPOOL
    return Place(
        places.queue.path, isSpool, places.socket, settings.url, _token(settings)
    )


def _token(settings: Settings) -> str | None:
    if settings.url is None:
        return None
    if settings.tokenFile is None:
        return os.environ.get(TOKEN_VARIABLE)
    try:
        with open(settings.tokenFile, encoding="ascii") as file:
            token = file.read(MAX_TOKEN + 1).strip()
    except (OSError, UnicodeDecodeError) as e:
        raise CommandError(
            f"The token file {settings.tokenFile} could not be read: {e}."
        ) from e
    if not token or len(token) > MAX_TOKEN or not token.isprintable():
        raise CommandError(f"There is no token in {settings.tokenFile}.")
    return token
