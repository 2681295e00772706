# -*- test-case-name: relaymail.test.test_configuration -*-
"""
What a relay is told to do.

A L{Configuration} is checked when it is made: one that exists can be run, as
far as can be known without touching a disk, a socket or the network.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from relaymail.addresses import normalDomain
from relaymail.errors import ConfigurationError, MalformedAddress
from relaymail.intake.acceptance import DEFAULT_NETWORKS, parseNetworks
from relaymail.intake.limits import DEFAULT_LIMITS
from relaymail.machine import machineNames
from relaymail.queue.opening import QueueKind, QueuePlace, recognise
from relaymail.route.hosts import Host
from relaymail.route.resolver import parseServer
from relaymail.route.smarthosts import (
    MAX_PASSWORD,
    PasswordKind,
    parseSmartHost,
    toHost,
)
from relaymail.schedule.backoff import (
    DEFAULT_EXPIRY,
    DEFAULT_RETRY,
    parseDuration,
    parseDurations,
)
from relaymail.schedule.paces import LARGEST_PACE
from relaymail.schedule.rates import EACH, Rate, parseRate

Network = IPv4Network | IPv6Network

#: Where mail is taken when nothing is said: by this machine's programs, on a
#: port that needs no privilege.
DEFAULT_SMTP = "tcp:2525:interface=127.0.0.1"
#: The port of mail exchange hosts (RFC 5321 4.5.4.2).
SMTP_PORT = 25
#: How many connections to other hosts there may be: each costs a descriptor
#: and some tens of kilobytes, and the usual limit is 1024 descriptors.
DEFAULT_CONNECTIONS = 100
#: The most that can be asked for.
MAX_CONNECTIONS = 50_000
#: How many messages one connection carries: enough to make the cost of
#: setting it up small, few enough that a host behind a balancer is left again.
DEFAULT_MESSAGES = 100
#: The most that can be asked for.
MAX_MESSAGES = 1_000_000

#: The largest size that can be asked for, in octets.
MAX_SIZE = 2**40

_SIZES = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}
_SIZE = re.compile(r"([0-9]{1,13})([KMG]?)\Z")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+]+):")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """
    What a relay is told to do.

    @ivar queue: Where the queue is.
    @ivar hostname: What the relay calls itself.
    @ivar smtp: The endpoints on which mail is taken, as
        L{serverFromString <twisted.internet.endpoints.serverFromString>}
        reads them.
    @ivar smartHosts: The hosts that get all mail, in order; none means the
        mail exchange hosts of each destination.
    @ivar dns: The DNS server, C{"IP:PORT"}, or L{None} for the system's.
    @ivar mxPort: The port of mail exchange hosts.
    @ivar retry: The delays between attempts, in seconds; the last repeats.
    @ivar expire: How long mail is tried, in seconds.
    @ivar maxConnections: How many connections to other hosts there may be.
    @ivar maxMessagesPerConnection: How many messages one of them carries.
    @ivar maxConnectionsPerSite: How many connections there may be to the hosts
        of one destination, or to the smart hosts.
    @ivar destinationRates: How many recipients of a destination may be sent to
        in a time: names with their rates, L{EACH} for each other destination.
    @ivar senderRates: How many recipients a sender may send to in a time:
        addresses or domains with their rates, L{EACH} for each other address.
    @ivar maxMessageSize: The largest message that is taken, in octets; 0: any.
    @ivar tlsKey: The file of the private key for STARTTLS, PEM.
    @ivar tlsCert: The file of its certificate chain, PEM; both or none.
    @ivar networks: Who may relay.
    @ivar allowDestinations: Networks mail may go to although they are not of
        the Internet.
    """

    queue: QueuePlace
    hostname: str
    smtp: tuple[str, ...] = (DEFAULT_SMTP,)
    smartHosts: tuple[Host, ...] = ()
    dns: str | None = None
    mxPort: int = SMTP_PORT
    retry: tuple[float, ...] = DEFAULT_RETRY
    expire: float = DEFAULT_EXPIRY
    maxConnections: int = DEFAULT_CONNECTIONS
    maxMessagesPerConnection: int = DEFAULT_MESSAGES
    maxConnectionsPerSite: int = LARGEST_PACE
    destinationRates: tuple[tuple[str, Rate], ...] = ()
    senderRates: tuple[tuple[str, Rate], ...] = ()
    maxMessageSize: int = DEFAULT_LIMITS.messageSize
    tlsKey: str | None = None
    tlsCert: str | None = None
    networks: tuple[Network, ...] = parseNetworks(DEFAULT_NETWORKS)
    allowDestinations: tuple[Network, ...] = ()

    def __post_init__(self) -> None:
        """
        Check what was told.

        @raise ConfigurationError: When it cannot be run.
        """
        checkHostname(self.hostname)
        if not isinstance(self.queue, QueuePlace):
            raise ConfigurationError(f"no queue was named, but {self.queue!r}")
        if self.dns is not None:
            parseServer(self.dns)
        if bool(self.tlsKey) != bool(self.tlsCert):
            raise ConfigurationError(
                "a TLS key and a certificate belong together: name both or neither"
            )
        if not self.retry or not all(map(_isTime, self.retry)):
            raise ConfigurationError("the delays between attempts must be above 0")
        if not _isTime(self.expire):
            raise ConfigurationError("the time until mail expires must be above 0")
        checkWithin("the MX port", self.mxPort, 65535)
        checkWithin("the largest message, in octets,", self.maxMessageSize, MAX_SIZE, 0)
        checkWithin("the number of connections", self.maxConnections, MAX_CONNECTIONS)
        checkWithin(
            "the number of connections per destination",
            self.maxConnectionsPerSite,
            MAX_CONNECTIONS,
        )
        checkWithin(
            "the number of messages per connection",
            self.maxMessagesPerConnection,
            MAX_MESSAGES,
        )


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


def _isTime(seconds: float) -> bool:
    """
    Tell whether one can wait for so long: 0, infinity and NaN are no times.
    """
    return math.isfinite(seconds) and seconds > 0


def checkWithin(what: str, number: int, largest: int, least: int = 1) -> None:
    """
    Check a number.

    @param what: What it is, for the error.
    @param largest: The largest that is taken.
    @param least: The smallest.

    @raise ConfigurationError: When it is out of bounds.
    """
    if not isinstance(number, int) or not least <= number <= largest:
        raise ConfigurationError(
            f"{what} must be from {least} to {largest}, and whole, not {number}"
        )


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


def parseQueue(text: str) -> QueuePlace:
    """
    Read where the queue is: C{spool:FILE}, C{directory:DIR}, or a bare path,
    which is recognised by what is there.

    @raise ConfigurationError: When it is of a kind that is not known, or when
        something is there that is no queue.
    """
    scheme = _SCHEME.match(text)
    kinds = {kind.value: kind for kind in QueueKind}
    kind = kinds.get(scheme[1].lower()) if scheme else None
    if scheme and kind is None and not os.path.lexists(text):
        raise ConfigurationError(
            f"the queue {text[:80]!r} is of a kind that is not known: "
            "write spool:FILE, directory:DIR, or a path"
        )
    path = text.partition(":")[2] if kind is not None else text
    if not path or "\0" in path:
        raise ConfigurationError(f"the queue {text[:80]!r} names no place")
    # A daemon changes its working directory.
    path = os.path.abspath(path)
    if kind is not None:
        return _checkPlace(QueuePlace(kind, path))
    try:
        return recognise(path)
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


def _toPlace(value: Any) -> QueuePlace:
    return value if isinstance(value, QueuePlace) else parseQueue(os.fsdecode(value))


def parseNamedRate(text: str) -> tuple[str, Rate]:
    """
    Read a rate and what it is of.

    @param text: Such as C{"example.org=100/m"}, or C{"*=5/s"} for each that is
        not named.

    @return: The name, a domain or an address in lower case, and its rate.

    @raise ConfigurationError: When it is none.
    """
    name, _, rate = text.partition("=")
    name = name.strip()
    local, at, domain = name.rpartition("@")
    if name == EACH:
        return name, parseRate(rate)
    try:
        domain = normalDomain(domain)
    except MalformedAddress as e:
        raise ConfigurationError(
            f"{text[:80]!r} does not say what the rate is of ({e}): "
            "write such as example.org=100/m"
        ) from e
    return f"{local.lower()}{at}{domain}", parseRate(rate)


def parseFile(text: str) -> str:
    """
    Read the path of a file that must be there.

    @return: The absolute path.

    @raise ConfigurationError: When there is no such file.
    """
    if not os.path.isfile(text):
        raise ConfigurationError(f"{text!r} is not a file")
    return os.path.abspath(text)


def parseHost(text: str | Host) -> Host:
    """
    Read a smart host, and its password where that is kept.

    @param text: A description as L{relaymail.route.smarthosts} takes it, or a
        host.

    @raise ConfigurationError: When it cannot be used.
    """
    if isinstance(text, Host):
        return text
    return toHost(parseSmartHost(text), readPassword)


def readPassword(kind: PasswordKind, where: str) -> bytes:
    """
    Read a password.

    @param kind: The kind of place it is kept in.
    @param where: The path of the file, or the name of the variable.

    @raise OSError: When the file cannot be read.
    @raise KeyError: When there is no such variable.
    """
    if kind is PasswordKind.ENVIRONMENT:
        return os.environb[os.fsencode(where)]
    with open(where, "rb") as file:
        # Two more, so that one that is too long is seen to be.
        return file.read(MAX_PASSWORD + 2)


def _eachNetwork(value: Any) -> tuple[Network, ...]:
    words = [value] if isinstance(value, str) else value
    return tuple(network for word in words for network in parseNetworks(str(word)))


def _each(value: Any, kind: type, parse: Callable[[Any], Any]) -> tuple[Any, ...]:
    """
    Read one value or several.
    """
    values: Iterable[Any] = [value] if isinstance(value, kind) else value
    return tuple(parse(each) for each in values)


def _inWords(parse: Callable[[str], Any]) -> Callable[[Any], Any]:
    """
    Read a value that is in words; any other is taken as it is.
    """
    return lambda value: parse(value) if isinstance(value, str) else value


#: How the words of each setting are read; a setting not named here is taken
#: as it is.
PARSERS: dict[str, Callable[[Any], Any]] = {
    "queue": _toPlace,
    "smtp": lambda value: _each(value, str, str),
    "smartHosts": lambda value: _each(value, str | Host, parseHost),  # type: ignore[arg-type]
    "retry": _inWords(parseDurations),
    "expire": _inWords(parseDuration),
    "networks": _eachNetwork,
    "allowDestinations": _eachNetwork,
    "destinationRates": lambda value: _each(value, str, _inWords(parseNamedRate)),
    "senderRates": lambda value: _each(value, str, _inWords(parseNamedRate)),
    "maxMessageSize": _inWords(parseSize),
    "tlsKey": parseFile,
    "tlsCert": parseFile,
}


def configure(**settings: Any) -> Configuration:
    """
    Make a configuration of what a person wrote.

    @param settings: The attributes of L{Configuration}, each as it is there
        or in words: one string or several for endpoints, smart hosts and
        networks, durations such as C{"5d"}, any path for the queue.  What is
        L{None} is not said; without a hostname the machine's name is taken.

    @raise ConfigurationError: When one of them cannot be used.
    """
    said = {name: value for name, value in settings.items() if value is not None}
    for name, value in said.items():
        if name in PARSERS:
            said[name] = PARSERS[name](value)
    if "hostname" not in said:
        said["hostname"] = chooseHostname(machineNames())
    return Configuration(**said)


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
