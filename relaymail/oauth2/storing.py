# -*- test-case-name: relaymail.test.oauth2.test_storing -*-
"""
Tokens on the disk, so that a restart needs no new ones, and a refresh token that a
server has put in the place of the configured one is not lost.

Each account has a file of its own, named by a digest, in a directory that nobody
else may enter.  Nothing here is called in the reactor's thread.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from relaymail.keeping import PrivateDirectory, nameOf
from relaymail.keeping import Unstorable as Unstorable
from relaymail.keeping import digestOf as digestOf

#: How much of a file is read, in bytes: two tokens and a little.
MAX_FILE = 65536


@dataclass(frozen=True, slots=True)
class Stored:
    """
    What is kept of an account.

    @ivar token: The access token; empty for none.
    @ivar fetched: When it was had, in seconds of the epoch.
    @ivar expires: When it ends, in seconds of the epoch.
    @ivar refresh: The refresh token that a server gave last; empty for none.
    @ivar origin: The digest of the secret of the configuration that all of this
        came from.
    @ivar scope: What the token is good for, where the server said so.
    """

    token: bytes = field(repr=False)
    fetched: float
    expires: float
    refresh: bytes = field(repr=False)
    origin: str
    scope: str = ""


class TokenStore:
    """
    A directory of tokens.

    @ivar path: The directory; it is made when something is kept, and those above it,
        where a command is given before the relay was started for the first time.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._files = PrivateDirectory(path)

    def check(self) -> None:
        """
        See that the directory can be used.

        @raise FileNotFoundError: When it is not there yet.
        @raise OSError: When it cannot.
        """
        self._files.check()

    def load(self, account: str) -> Stored | None:
        """
        Give what is kept of an account, L{None} where that is nothing.

        @raise OSError: When the directory or the file cannot be used: others may
            write it, or it is no file.
        """
        data = self._files.read(nameOf(account), MAX_FILE)
        return None if data is None else _parsed(data)

    def save(self, account: str, stored: Stored) -> None:
        """
        Keep something of an account: when this returns it would survive a power
        cut.

        @raise OSError: When it cannot be kept.
        """
        self._files.write(nameOf(account), _written(stored))

    def forget(self, account: str) -> None:
        """
        Keep nothing of an account.

        @raise OSError: When that cannot be done.
        """
        self._files.remove(nameOf(account))


def _written(stored: Stored) -> bytes:
    document = {
        "token": stored.token.decode("ascii"),
        "fetched": stored.fetched,
        "expires": stored.expires,
        "refresh": stored.refresh.decode("ascii"),
        "origin": stored.origin,
        "scope": stored.scope,
    }
    return json.dumps(document).encode("ascii")


def _parsed(data: bytes) -> Stored | None:
    """
    Read a file; one that cannot be read is worth nothing, but another is had
    without it.
    """
    try:
        said = json.loads(data) if len(data) <= MAX_FILE else {}
        return Stored(
            _texts(said["token"]).encode("ascii"),
            float(said["fetched"]),
            float(said["expires"]),
            _texts(said["refresh"]).encode("ascii"),
            _texts(said["origin"]),
            _texts(said["scope"]),
        )
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def _texts(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(type(value))
    return value
