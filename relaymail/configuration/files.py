# -*- test-case-name: relaymail.test.configuration.test_reading -*-
"""
The configuration file: which one holds, and what stands there.

What only wants to know where the relay is must be quick, so this imports nothing
of what reads the options.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from typing import Any

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

#: Where the reader of the standard library says where it stopped.
_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)\Z")


def findFile(explicit: str | None = None, base: str = "") -> str | None:
    """
    Say which configuration file holds: the one that is named, the one that
    C{RELAYMAIL_CONFIG} names, C{relaymail.toml} in the working directory, or the
    system's.  One in the working directory that is another user's is passed over, for
    programs send mail from wherever they are.

    @param explicit: The path that somebody named.
    @param base: The working directory, where it is another by now.

    @return: Its absolute path, L{None} where there is none.

    @raise ConfigurationError: When others may write the one in the working
        directory.
    """
    named = explicit or os.environ.get(VARIABLE)
    if named:
        return os.path.abspath(os.path.join(base, named))
    local = os.path.abspath(os.path.join(base, LOCAL_FILE))
    if os.path.lexists(local) and _isOwn(local):
        return local
    return SYSTEM_FILE if os.path.lexists(SYSTEM_FILE) else None


def tablesIn(text: str, path: str) -> dict[str, Any]:
    """
    Read TOML.

    @param path: Where it is from, for the error.

    @raise ConfigurationError: When it is not TOML.
    """
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


def textOf(path: str) -> str:
    """
    Read a file.

    @raise ConfigurationError: When it cannot be read.
    """
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


def passedOver(explicit: str | None = None, base: str = "") -> str | None:
    """
    Say that there is a file in the working directory that L{findFile} passes over,
    and why; L{None}: there is none.

    @param explicit: As for L{findFile}.
    @param base: As for L{findFile}.
    """
    local = os.path.abspath(os.path.join(base, LOCAL_FILE))
    isAsked = not (explicit or os.environ.get(VARIABLE))
    if not isAsked or not os.path.lexists(local) or _isOwn(local):
        return None
    return (
        f"{local}: this file is in the working directory, and is not read because it "
        "is another user's; name it by --config if it is meant"
    )


def _isOwn(path: str) -> bool:
    """
    Tell whether nobody else has put a file, or a link to one, where it would be
    found: it can name commands.

    @raise ConfigurationError: When others could change it.
    """
    try:
        found = [os.lstat(path), os.stat(path)]
    except OSError:
        # A link to nowhere, or out of our sight.
        return False
    if any(one.st_uid not in (0, os.geteuid()) for one in found):
        return False
    if found[1].st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigurationError(
            f"{path}: this file is in the working directory, and is not read because "
            "others may write it (chmod go-w); name it by --config if it is meant"
        )
    return True
