# -*- test-case-name: relaymail.test.configuration.test_reading -*-
"""
The configuration file: where it is looked for, and how it is read.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from functools import cache
from typing import Any

from relaymail.configuration.lines import findLines, lineOf
from relaymail.configuration.structuring import Layer, structure
from relaymail.configuration.tables import Configuration
from relaymail.configuration.values import Within
from relaymail.errors import ConfigurationError
from relaymail.replies import printable

#: The variable of the environment that names the file.
VARIABLE = "RELAYMAIL_CONFIG"
#: The file in the working directory.
LOCAL_FILE = "relaymail.toml"
#: The file of the system.
SYSTEM_FILE = "/etc/relaymail/relaymail.toml"
#: The largest file that is read, in bytes: ten thousand aliases fit.
MAX_FILE = 1_048_576

#: How keys stand without quotes.
_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")
#: Where the reader of the standard library says where it stopped.
_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)\Z")


def findFile(explicit: str | None = None, base: str = "") -> str | None:
    """
    Say which configuration file holds: the one that is named, the one that
    C{RELAYMAIL_CONFIG} names, C{relaymail.toml} in the working directory, or the
    system's.

    @param explicit: The path that somebody named.
    @param base: The working directory, where it is another by now.

    @return: Its absolute path, L{None} where there is none.

    @raise ConfigurationError: When the one in the working directory could be
        somebody else's.
    """
    named = explicit or os.environ.get(VARIABLE)
    if named:
        return os.path.abspath(os.path.join(base, named))
    local = os.path.abspath(os.path.join(base, LOCAL_FILE))
    if os.path.lexists(local):
        _checkOwner(local)
        return local
    return SYSTEM_FILE if os.path.lexists(SYSTEM_FILE) else None


def readConfiguration(explicit: str | None = None) -> Configuration:
    """
    Read the configuration file that holds, or give the defaults.

    @param explicit: The path that somebody named.

    @raise ConfigurationError: When it cannot be used, with all that is wrong, a
        line each.
    """
    path = findFile(explicit)
    return structure([]) if path is None else readFile(path)


def readFile(path: str) -> Configuration:
    """
    Read a configuration file.

    @raise ConfigurationError: When it cannot be used, with all that is wrong, a
        line each.
    """
    return structure([readLayer(path)], os.path.abspath(path))


def readLayer(path: str) -> Layer:
    """
    Read what a configuration file says.

    @raise ConfigurationError: When it cannot be read, or is not TOML.
    """
    text = _textOf(path)
    return Layer(
        _tablesIn(text, path),
        _placesIn(text, path),
        os.path.dirname(os.path.abspath(path)),
    )


def showPath(at: Within) -> str:
    """
    Give the path of a key as people write it, such as
    C{delivery.smart-hosts[1].url}.
    """
    shown = ""
    for step in at:
        if isinstance(step, int):
            shown += f"[{step}]"
        else:
            name = step if _BARE.match(step) else f'"{printable(step, 80)}"'
            shown += f".{name}" if shown else name
    return shown


def _placesIn(text: str, path: str) -> Any:
    lines = cache(lambda: findLines(text))

    def where(at: Within) -> str:
        line = lineOf(lines(), at)
        return f"{path}{'' if line is None else f':{line}'}: {showPath(at)}: "

    return where


def _tablesIn(text: str, path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        why, line = "it is nested too deeply", None
    except ValueError as e:
        place = _PLACE.search(str(e))
        line = place[1] if place else None
        why = _PLACE.sub("", str(e))
        why += " at the end of the file" if place and line is None else ""
    at = f":{line}" if line else ""
    raise ConfigurationError(
        f"{path}{at}: this is not TOML: {printable(why, 200)}"
    ) from None


def _textOf(path: str) -> str:
    try:
        # One that nobody writes into must not hang us.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ConfigurationError(f"{path}: the configuration is not a file")
            data = file.read(MAX_FILE + 1)
    except OSError as e:
        raise ConfigurationError(
            f"{path}: the configuration file cannot be read: {e.strerror}"
        ) from None
    if len(data) > MAX_FILE:
        raise ConfigurationError(
            f"{path}: the configuration file is larger than {MAX_FILE} bytes"
        )
    try:
        # Lines end as TOML has them, whoever wrote them.
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as e:
        line = data.count(b"\n", 0, e.start) + 1
        raise ConfigurationError(f"{path}:{line}: this is not UTF-8") from None


def _checkOwner(path: str) -> None:
    """
    Check that nobody else has put a file where it would be found: it can name
    commands.
    """
    try:
        found = [os.lstat(path), os.stat(path)]
    except OSError as e:
        raise ConfigurationError(
            f"{path}: the configuration file cannot be read: {e.strerror}"
        ) from None
    isOwn = all(one.st_uid in (0, os.geteuid()) for one in found)
    if isOwn and not found[1].st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return
    why = "others may write it (chmod go-w)" if isOwn else "it is another user's"
    raise ConfigurationError(
        f"{path}: this file is in the working directory, and is not read because "
        f"{why}; name it by --config if it is meant"
    )
