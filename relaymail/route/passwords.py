# -*- test-case-name: relaymail.test.route.test_smarthosts -*-
"""
Where secrets are kept: what a description of a smart host says instead of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from relaymail.errors import ConfigurationError

#: The longest secret that is read, in bytes: what fits into an AUTH line.
MAX_PASSWORD = 4096


class PasswordKind(Enum):
    """
    The kinds of places a password is kept in.
    """

    FILE = "file"
    ENVIRONMENT = "environment variable"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class PasswordSource:
    """
    Where a password is kept.

    @ivar kind: The kind of place.
    @ivar where: The path, the name of the variable, or the command.
    """

    kind: PasswordKind
    where: str


#: Reads a password: it is given the kind of place and the path or name, and
#: raises L{OSError} or L{LookupError} where there is none.
ReadPassword = Callable[[PasswordKind, str], bytes]

#: What is behind the name of a secret where it says in what it is kept.
_ENDS = {
    "file": PasswordKind.FILE,
    "env": PasswordKind.ENVIRONMENT,
    "command": PasswordKind.COMMAND,
}


def keysOf(secret: str) -> tuple[str, ...]:
    """
    Give the keys that say where a secret is, such as C{password-file}.

    @param secret: What the secret is called, such as C{password}.
    """
    return tuple(f"{secret}-{end}" for end in _ENDS)


def sourceIn(said: Mapping[str, str], secret: str) -> PasswordSource | None:
    """
    Give where a secret is, L{None} where that is not said.

    @param said: The settings.
    @param secret: What the secret is called.

    @raise ConfigurationError: When it is in several places.
    """
    found = [
        PasswordSource(kind, said[f"{secret}-{end}"])
        for end, kind in _ENDS.items()
        if f"{secret}-{end}" in said
    ]
    if len(found) > 1:
        raise ConfigurationError(
            f"its {secret} is in one place: a file, a variable or a command"
        )
    return found[0] if found else None


def showSource(source: PasswordSource | None, secret: str) -> dict[str, str]:
    """
    Give what L{sourceIn} reads as the same source.
    """
    if source is None:
        return {}
    end = next(end for end, kind in _ENDS.items() if kind is source.kind)
    return {f"{secret}-{end}": source.where}


def readSecretOf(source: PasswordSource, read: ReadPassword, told: str) -> bytes:
    """
    Read a secret from where it is kept.

    @param told: Which one, for people, such as C{"The password for a user"}.

    @return: It, without the line's end, which is the editor's.

    @raise ConfigurationError: When it cannot be read, or there is nothing in it.
    """
    kind, where = source.kind, source.where
    try:
        secret = read(kind, where).rstrip(b"\r\n")
    except (OSError, LookupError) as e:
        raise ConfigurationError(
            f"{told} cannot be read from the {kind.value} {where}: "
            f"{getattr(e, 'strerror', None) or 'there is none'}"
        ) from None
    if not 0 < len(secret) <= MAX_PASSWORD:
        raise ConfigurationError(
            f"{told} in the {kind.value} {where} is empty or longer than "
            f"{MAX_PASSWORD} bytes"
        )
    return secret
