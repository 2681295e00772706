# -*- test-case-name: relaymail.test.configuration.test_words -*-
"""
The words of settings: how numbers, sizes, queues, rates and files are read.

What is no text is read where it is used: durations in L{relaymail.schedule},
smart hosts in L{relaymail.route}, and so on.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable

from relaymail.addresses import normalDomain
from relaymail.errors import ConfigurationError, MalformedAddress
from relaymail.queue.place import SPOOL_FILE, QueueKind, QueuePlace, recognise
from relaymail.schedule.rates import EACH, Rate, parseRate

_SIZES = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}
_SIZE = re.compile(r"([0-9]{1,13})([KMG]?)\Z")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+]+):")


def checkHostname(hostname: str) -> None:
    """
    Check what the relay calls itself (RFC 5321 2.3.5, 4.1.3).

    @raise ConfigurationError: When it is neither a domain nor a literal.
    """
    try:
        normalDomain(hostname)
    except MalformedAddress as e:
        raise ConfigurationError(
            f"the hostname {hostname[:80]!r} is no domain: {e}"
        ) from e


def chooseHostname(candidates: Iterable[str]) -> str:
    """
    Choose what the relay calls itself when nobody says.

    @param candidates: The names of this machine, the best first.

    @return: The first that has a dot and is a domain, else
        C{"localhost.localdomain"}: RFC 5321 2.3.5 asks for a full name.
    """
    for name in candidates:
        try:
            checkHostname(name)
        except ConfigurationError:
            continue
        if "." in name:
            return name
    return "localhost.localdomain"


def parseNumber(what: str, text: str) -> int:
    """
    Read a whole number.

    @param what: What it is, for the error.

    @raise ConfigurationError: When it is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ConfigurationError(f"{what} must be a whole number, not {text[:40]!r}")
    return int(text)


def parseSize(text: str) -> int:
    """
    Read a size: a whole number of octets, or of C{K}, C{M} or C{G}, each 1024 of
    the one before.

    @raise ConfigurationError: When it is none.
    """
    found = _SIZE.match(text.strip().upper())
    if found is None:
        raise ConfigurationError(
            f"{text[:40]!r} is not a size: write a whole number of octets, or one with "
            "K, M or G, such as 50M"
        )
    return int(found[1]) * _SIZES[found[2]]


def showSize(size: int) -> str | int:
    """
    Give a size as people write it.
    """
    for unit in ("G", "M", "K"):
        if size and size % _SIZES[unit] == 0:
            return f"{size // _SIZES[unit]}{unit}"
    return size


def parseQueue(text: str, base: str = "") -> QueuePlace:
    """
    Read where the queue is: C{spool:FILE}, C{directory:DIR}, or a bare path,
    which is recognised by what is there.

    @param base: The directory that the path begins at; empty: the working
        directory.

    @raise ConfigurationError: When it is of a kind that is not known, or when
        something is there that is no queue.
    """
    scheme = _SCHEME.match(text)
    kinds = {kind.value: kind for kind in QueueKind}
    kind = kinds.get(scheme[1].lower()) if scheme else None
    if scheme and kind is None and not os.path.lexists(os.path.join(base, text)):
        raise ConfigurationError(
            f"the queue {text[:80]!r} is of a kind that is not known: "
            "write spool:FILE, directory:DIR, or a path"
        )
    path = text.partition(":")[2] if kind is not None else text
    if not path or "\0" in path:
        raise ConfigurationError(f"the queue {text[:80]!r} names no place")
    # A daemon changes its working directory.
    path = os.path.abspath(os.path.join(base, path))
    if kind is not None:
        return _checkPlace(QueuePlace(kind, path))
    try:
        return recognise(path)
    except PermissionError:
        # It is another user's, who can see what is there; a program that only wants
        # to send mail need not.
        isFile = os.path.isfile(path)
        return QueuePlace(
            QueueKind.SPOOL, path if isFile else os.path.join(path, SPOOL_FILE)
        )
    except (OSError, ValueError) as e:
        raise ConfigurationError(
            f"{path!r} cannot be a queue ({e}); nothing was changed there"
        ) from e


def _checkPlace(place: QueuePlace) -> QueuePlace:
    isDirectory = place.kind is QueueKind.DIRECTORY
    isRight = os.path.isdir if isDirectory else os.path.isfile
    if os.path.lexists(place.path) and not isRight(place.path):
        raise ConfigurationError(
            f"the queue {place.path!r} is not a "
            f"{'directory' if isDirectory else 'file'}; nothing was changed there"
        )
    return place


def parseNamedRate(text: str) -> tuple[str, Rate]:
    """
    Read a rate and what it is of.

    @param text: Such as C{"example.org=100/m"}, or C{"*=5/s"} for each that is
        not named.

    @return: The name, a domain or an address in lower case, and its rate.

    @raise ConfigurationError: When it is none.
    """
    name, _, rate = text.partition("=")
    return parseRateName(name), parseRate(rate)


def parseRateName(text: str) -> str:
    """
    Read what a rate is of.

    @return: C{"*"}, a domain, or an address in lower case.

    @raise ConfigurationError: When it is none of them.
    """
    name = text.strip()
    local, at, domain = name.rpartition("@")
    if name == EACH:
        return name
    try:
        domain = normalDomain(domain)
    except MalformedAddress as e:
        raise ConfigurationError(
            f"{text[:80]!r} does not say what the rate is of ({e}): "
            "write such as example.org=100/m"
        ) from e
    return f"{local.lower()}{at}{domain}"


def parseRatedDomain(text: str) -> str:
    """
    Read which destination a rate is of.

    @return: C{"*"} or a domain.

    @raise ConfigurationError: When it is none of them; an address is none.
    """
    if "@" in text:
        raise ConfigurationError(
            f"{text[:80]!r} does not say which destination the rate is of: "
            "write a domain, such as example.org=100/m"
        )
    return parseRateName(text)


def parseFile(text: str, base: str = "") -> str:
    """
    Read the path of a file that must be there.

    @param base: The directory that the path begins at; empty: the working
        directory.

    @return: The absolute path.

    @raise ConfigurationError: When there is no such file.
    """
    path = os.path.abspath(os.path.join(base, text))
    try:
        isFile = bool(text) and stat.S_ISREG(os.stat(path).st_mode)
    except PermissionError:
        # Who may not see it need not have it: whoever reads it will be told.
        return path
    except (OSError, ValueError):
        isFile = False
    if not isFile:
        raise ConfigurationError(f"{text[:200]!r} is not a file")
    return path


def parsePath(text: str, base: str = "") -> str:
    """
    Read a path of which nothing needs to be there yet.

    @param base: The directory that it begins at; empty: the working directory.

    @return: The absolute path.

    @raise ConfigurationError: When it is none.
    """
    if not text or "\0" in text:
        raise ConfigurationError(f"{text[:200]!r} is not a path")
    return os.path.abspath(os.path.join(base, text))
