# -*- test-case-name: relaymail.test.configuration.test_transport -*-
"""
The kinds of values that say how mail goes to a host: how well it is protected, and
from where and under which name.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from relaymail.addresses import normalDomain
from relaymail.configuration.kind import Kind
from relaymail.configuration.values import Unfit, eachOf, textOr
from relaymail.configuration.words import checkHostname
from relaymail.errors import ConfigurationError, MalformedAddress
from relaymail.replies import printable
from relaymail.route.levels import TLSLevel, parseLevel

_SWITCHES = {"true": True, "yes": True, "on": True}
_SWITCHES |= {"false": False, "no": False, "off": False}


def _source(text: str) -> str:
    """
    Read an address to connect from.
    """
    try:
        address = ip_address(text.strip())
    except ValueError:
        raise Unfit from None
    if address.is_unspecified or address.is_multicast:
        raise ConfigurationError(
            f"{address} is no address that a connection comes from"
        )
    return str(address)


def _sources(value: Any, base: str) -> tuple[str, ...]:
    found: tuple[str, ...] = eachOf(textOr(_source), ",")(value, base)
    versions = [ip_address(each).version for each in found]
    if len(set(versions)) < len(versions):
        raise ConfigurationError(
            "two addresses of one family stand there: name one for IPv4, one for IPv6, "
            "or both"
        )
    return found


def _helo(text: str) -> str:
    if text:
        checkHostname(text)
    return text


def _isHelo(value: Any) -> bool:
    try:
        return isinstance(value, str) and _helo(value) == value
    except ConfigurationError:
        return False


def _name(text: str) -> str:
    """
    Read the name of a host, or C{.domain} for all below it.
    """
    text = text.strip()
    dot = text[:1] if text.startswith(".") else ""
    try:
        name = normalDomain(text.removeprefix("."))
    except MalformedAddress as e:
        raise ConfigurationError(
            f"{printable(text, 80)!r} is no name of hosts ({e}): write such as "
            "mx.example.com, or .example.com for all below it"
        ) from e
    if name.startswith("[") or _isAddress(name):
        raise Unfit
    return f"{dot}{name}"


def _isAddress(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _switch(value: Any, base: str) -> bool:
    if isinstance(value, bool):
        return value
    found = _SWITCHES.get(value.strip().lower()) if isinstance(value, str) else None
    if found is None:
        raise Unfit
    return found


LEVEL = Kind(
    "a level of TLS",
    f"one of {', '.join(level.value for level in TLSLevel)}",
    textOr(parseLevel, TLSLevel),
    lambda level: level.value,
    lambda value: isinstance(value, TLSLevel),
)
SOURCE = Kind(
    "a list of network addresses",
    "an address of this machine, or one of each family, such as 192.0.2.1",
    _sources,
    list,
    lambda value: isinstance(value, tuple),
)
HELO = Kind(
    "a host name",
    "a full name such as relay.example.com",
    textOr(_helo),
    isRight=_isHelo,
)
NAMES = Kind(
    "a list of host names",
    "such as mx.example.com, or .example.com for all below it",
    eachOf(textOr(_name), ","),
    list,
)
SWITCH = Kind(
    "true or false",
    "true or false",
    _switch,
    isRight=lambda value: isinstance(value, bool),
)
