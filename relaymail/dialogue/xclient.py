# -*- test-case-name: relaymail.test.dialogue.test_xclient -*-
"""
What a proxy says of the client it speaks for: XCLIENT, as Postfix's XCLIENT_README
has it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from relaymail.dialogue.answers import answer
from relaymail.dialogue.xtext import decodeXtext
from relaymail.errors import Refused

#: The attributes that are known.
ATTRIBUTES = "NAME ADDR PORT PROTO HELO LOGIN"
#: The longest value, as it is written and as it is meant.
MAX_VALUE = 255

#: The values that say that something is not known, now or at all.
_UNKNOWN = frozenset({"[UNAVAILABLE]", "[TEMPUNAVAIL]"})
_IPV6 = "IPV6:"
_HELO = re.compile(r"[!-~]+\Z")

_SYNTAX = answer(501, "5.5.4", f"Say XCLIENT with some of {ATTRIBUTES}")


@dataclass(frozen=True, slots=True)
class ActedFor:
    """
    What is said of a client: L{None} where nothing is, and empty where it is not
    known.

    @ivar name: The name of its host.
    @ivar addr: Its network address, as text.
    @ivar port: Its port, 0 where it is not known.
    @ivar proto: C{"SMTP"} or C{"ESMTP"}.
    @ivar helo: What it called itself.
    @ivar login: Who it has authenticated as.
    """

    name: str | None = None
    addr: str | None = None
    port: int | None = None
    proto: str | None = None
    helo: str | None = None
    login: str | None = None


def parseXclient(argument: bytes) -> ActedFor:
    """
    Read the argument of XCLIENT.

    @raise Refused: When it cannot be read.
    """
    found: dict[str, object] = {}
    try:
        for word in argument.decode("ascii").split(" "):
            name, equals, value = word.partition("=")
            field = name.lower()
            if not equals or field in found:
                raise ValueError("not an attribute and its value")
            found[field] = _READERS[field](_valueOf(value))
    except (ValueError, KeyError) as e:
        raise Refused(_SYNTAX) from e
    return ActedFor(**found)  # type: ignore[arg-type]


def _valueOf(text: str) -> str:
    if len(text) > MAX_VALUE or not text:
        raise ValueError("too long, or empty")
    value = decodeXtext(text)
    if not value.isprintable():
        raise ValueError("not printable")
    return "" if value.upper() in _UNKNOWN else value


def _asItIs(value: str) -> str:
    return value


def _addr(value: str) -> str:
    if not value:
        return value
    if value[: len(_IPV6)].upper() == _IPV6:
        if "%" in value:
            raise ValueError("a zone means something to its own host only")
        return str(IPv6Address(value[len(_IPV6) :]))
    return str(IPv4Address(value))


def _port(value: str) -> int:
    if value and not (value.isascii() and value.isdecimal() and int(value) < 1 << 16):
        raise ValueError("not a port")
    return int(value or 0)


def _proto(value: str) -> str:
    if value.upper() not in ("", "SMTP", "ESMTP"):
        raise ValueError("not a protocol")
    return value.upper()


def _helo(value: str) -> str:
    if value and not _HELO.match(value):
        raise ValueError("not a word")
    return value


_READERS: Mapping[str, Callable[[str], object]] = {
    "name": _asItIs,
    "addr": _addr,
    "port": _port,
    "proto": _proto,
    "helo": _helo,
    "login": _asItIs,
}
