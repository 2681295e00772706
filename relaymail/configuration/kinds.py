# -*- test-case-name: relaymail.test.configuration.test_structuring -*-
"""
The kinds of values that options have: for each how it is read, what was expected
in words, and how it is shown.

Values come as TOML has them, in the words of a command line, or as a program has
them: each kind takes all three, and gives what the attributes hold.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from relaymail.addresses import normalDomain
from relaymail.configuration.kind import Kind as Kind
from relaymail.configuration.names import (
    parseLocal,
    parseMailbox,
    parseOrigin,
    parseTarget,
)
from relaymail.configuration.routes import readRoute, showRoute
from relaymail.configuration.smarthosts import (
    readSenderHosts,
    readSmartHost,
    showSenderHosts,
)
from relaymail.configuration.transport import HELO, LEVEL, SOURCE, SWITCH
from relaymail.configuration.values import (
    Unfit,
    eachOf,
    orNone,
    pathBy,
    shownValue,
    tableOf,
    textOr,
)
from relaymail.configuration.words import (
    checkHostname,
    parseFile,
    parsePath,
    parseQueue,
    parseRatedDomain,
    parseRateName,
    parseSize,
    showSize,
)
from relaymail.errors import ConfigurationError, MalformedAddress
from relaymail.intake.networks import Network, parseNetworks
from relaymail.queue.place import QueuePlace
from relaymail.route.nameserver import parseServer
from relaymail.route.smarthosts import showSmartHost
from relaymail.schedule.backoff import (
    MAX_DELAYS,
    MAX_DURATION,
    parseDuration,
    showDuration,
)
from relaymail.schedule.rates import Rate, parseRate


def _number(value: Any, base: str) -> int:
    if isinstance(value, str):
        text = value.strip()
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise Unfit
        return int(text)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unfit
    return value


def _isTime(seconds: Any) -> bool:
    """
    Tell whether one can wait for so long: 0, infinity and NaN are no times.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return False
    return 0 < seconds <= MAX_DURATION


def _duration(value: Any, base: str) -> float:
    if isinstance(value, str):
        return parseDuration(value)
    if not _isTime(value):
        raise Unfit
    return float(value)


def _delay(value: Any, base: str) -> float:
    isNone = not isinstance(value, bool) and value == 0
    return 0.0 if isNone else _duration(value, base)


def _durations(value: Any, base: str) -> tuple[float, ...]:
    found: tuple[float, ...] = eachOf(_duration, ",")(value, base)
    if len(found) > MAX_DELAYS:
        raise ConfigurationError(
            f"{len(found)} delays were given, and at most {MAX_DELAYS} are taken"
        )
    if not all(found):
        raise ConfigurationError(
            f"a delay of 0 is in {shownValue(value)}: mail would be tried without end"
        )
    return found


def _queue(value: Any, base: str) -> QueuePlace:
    if isinstance(value, QueuePlace):
        return value
    if not isinstance(value, str | bytes | os.PathLike):
        raise Unfit
    return parseQueue(os.fsdecode(value), base)


def _hostname(text: str) -> str:
    checkHostname(text)
    return text


def _isHostname(value: Any) -> bool:
    try:
        checkHostname(value)
    except (ConfigurationError, MalformedAddress):
        return False
    return True


def _endpoint(text: str) -> str:
    # What it is made of is known to Twisted only, which need not be here.
    if not text.strip() or not text.isprintable():
        raise Unfit
    kind, _, rest = text.partition(":")
    port = rest.partition(":")[0].removeprefix("port=")
    if not rest or (kind in ("tcp", "ssl") and not _isPort(port)):
        raise Unfit
    return text


def _isPort(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535


def _server(text: str) -> str:
    parseServer(text)
    return text


def _isServer(value: Any) -> bool:
    try:
        parseServer(value)
    except (ConfigurationError, AttributeError):
        return False
    return True


def _network(value: Any, base: str) -> tuple[Network, ...]:
    if isinstance(value, bytes | int | float | list | tuple | Mapping):
        raise Unfit
    return parseNetworks(str(value))


def _networks(value: Any, base: str) -> tuple[Network, ...]:
    found = eachOf(_network)(value, base)
    return tuple(network for networks in found for network in networks)


def _origin(text: str) -> str:
    """
    Read what is put behind addresses that have no domain.
    """
    if not text:
        return text
    try:
        domain = normalDomain(text)
    except MalformedAddress as e:
        raise ConfigurationError(str(e)) from e
    if domain.startswith("["):
        raise Unfit
    return domain


def _name(text: str) -> str:
    name = _origin(text)
    if not name:
        raise Unfit
    return name


def _variable(text: str) -> str:
    if not text or "=" in text or not text.isprintable():
        raise Unfit
    return text


def _rewriting(value: Any, base: str) -> tuple[tuple[str, str], ...]:
    # It takes a moment to import, and is rarely needed.
    from relaymail.machines.senders import SenderRewrites

    def pair(name: str, becomes: Any) -> str:
        if not isinstance(becomes, str):
            raise Unfit
        SenderRewrites({name: becomes})
        return becomes.strip()

    found: tuple[tuple[str, str], ...] = tableOf(str, lambda one, _: one, pair)(
        value, base
    )
    return found


def _shownPairs(value: Any) -> dict[str, Any]:
    return {name: one if isinstance(one, str) else str(one) for name, one in value}


def _shownAliases(value: Any) -> dict[str, Any]:
    return {name: to[0] if len(to) == 1 else list(to) for name, to in value}


def _isText(value: Any) -> bool:
    return isinstance(value, str)


def _isTuple(value: Any) -> bool:
    return isinstance(value, tuple)


#: The kinds, by the names that options say.
KINDS: dict[str, Kind] = {
    "queue": Kind(
        "a queue",
        "spool:FILE, directory:DIR or a path",
        _queue,
        str,
        lambda value: isinstance(value, QueuePlace),
    ),
    "hostname": Kind(
        "a host name",
        "a full name such as relay.example.com",
        textOr(_hostname),
        isRight=_isHostname,
    ),
    "endpoint": Kind(
        "an endpoint",
        "an endpoint such as tcp:8025:interface=127.0.0.1",
        textOr(lambda text: _endpoint(text) if text else ""),
        isRight=_isText,
    ),
    "endpoints": Kind(
        "a list of endpoints",
        "endpoints such as tcp:25 or tcp:2525:interface=127.0.0.1",
        eachOf(textOr(_endpoint)),
        list,
        _isTuple,
    ),
    "networks": Kind(
        "a list of networks",
        "addresses and networks such as 192.0.2.0/24 or ::1",
        _networks,
        lambda value: [str(network) for network in value],
        _isTuple,
    ),
    "size": Kind(
        "a size",
        "a whole number of octets, or one with K, M or G, such as 50M",
        lambda value, base: (
            parseSize(value) if isinstance(value, str) else _number(value, base)
        ),
        showSize,
        lambda value: isinstance(value, int),
    ),
    "file": Kind("a file", "the path of a file that is there", pathBy(parseFile)),
    "place": Kind("a path", "a path", orNone(pathBy(parsePath))),
    "smart hosts": Kind(
        "a list of smart hosts",
        "HOST[:PORT], a URL, or a table with url, user, and password-file or oauth2",
        eachOf(readSmartHost),
        lambda value: [showSmartHost(smart) for smart in value],
        _isTuple,
        isHidden=True,
    ),
    "sender hosts": Kind(
        "a table of smart hosts by sender",
        "senders with their smart hosts, such as @example.org=smtps://mail.example.org",
        readSenderHosts,
        showSenderHosts,
        _isTuple,
        isHidden=True,
    ),
    "routes": Kind(
        "a list of routes",
        "tables with criteria (to, from, client, user) and via, or, in one line, such "
        "as to=example.org via=mail.example.org",
        eachOf(readRoute),
        lambda value: [showRoute(each) for each in value],
        _isTuple,
        isHidden=True,
    ),
    "TLS level": LEVEL,
    "source": SOURCE,
    "helo": HELO,
    "switch": SWITCH,
    "mailbox": Kind(
        "an address",
        "such as postmaster@example.com",
        textOr(lambda text: parseMailbox(text) if text else ""),
        isRight=_isText,
    ),
    "name server": Kind(
        "a DNS server",
        "its network address and port, such as 192.0.2.53:53",
        textOr(_server),
        isRight=_isServer,
    ),
    "number": Kind(
        "a whole number",
        "such as 20",
        _number,
        isRight=lambda value: isinstance(value, int),
    ),
    "port": Kind(
        "a port",
        "a whole number from 1 to 65535",
        _number,
        isRight=lambda value: isinstance(value, int),
    ),
    "duration": Kind(
        "a duration above 0",
        "a whole number and s, m, h, d or w, such as 30s, 5m or 2d",
        _duration,
        showDuration,
        _isTime,
    ),
    "delay": Kind(
        "a duration, or 0",
        "a whole number and m, h or d, such as 30m or 4h",
        _delay,
        lambda value: showDuration(value) if value else 0,
        lambda value: value == 0 or _isTime(value),
    ),
    "durations": Kind(
        "a list of durations above 0",
        'such as "1m,5m,1h" or ["1m", "5m", "1h"]',
        _durations,
        lambda value: [showDuration(each) for each in value],
        lambda value: _isTuple(value) and bool(value) and all(map(_isTime, value)),
    ),
    "destination rates": Kind(
        "a table of rates",
        "domains with their rates, such as example.org=100/m",
        tableOf(parseRatedDomain, textOr(parseRate, Rate)),
        _shownPairs,
        _isTuple,
    ),
    "sender rates": Kind(
        "a table of rates",
        "addresses or domains with their rates, such as news@example.com=1000/h",
        tableOf(parseRateName, textOr(parseRate, Rate)),
        _shownPairs,
        _isTuple,
    ),
    "origin": Kind("a domain", "such as example.com", textOr(_origin), isRight=_isText),
    "aliases": Kind(
        "a table of aliases",
        "local names with addresses, such as root=admin@example.com",
        tableOf(parseLocal, eachOf(textOr(parseTarget), ",")),
        _shownAliases,
        _isTuple,
    ),
    "rewriting": Kind(
        "a table of senders",
        "senders with what they become, such as @host.internal=ops@example.com",
        _rewriting,
        _shownPairs,
        _isTuple,
    ),
    "variable": Kind(
        "the name of a variable",
        "the name of an environment variable, not what is in it",
        orNone(textOr(_variable)),
        isHidden=True,
    ),
    "command": Kind(
        "a command",
        "a program with its arguments, as for a shell",
        orNone(textOr(_variable)),
        isHidden=True,
    ),
    "names": Kind(
        "a list of host names",
        "such as relay.example.com",
        eachOf(textOr(_name)),
        list,
        _isTuple,
    ),
    "origins": Kind(
        "a list of web origins",
        "such as https://dashboard.example.com",
        eachOf(textOr(parseOrigin)),
        list,
        _isTuple,
    ),
}
