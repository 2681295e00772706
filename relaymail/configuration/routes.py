# -*- test-case-name: relaymail.test.configuration.test_routes -*-
"""
How routes stand in a configuration: as a table, in one line, or as rules that a
program made.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from relaymail.configuration.kind import Kind
from relaymail.configuration.smarthosts import readSmartHost
from relaymail.configuration.transport import HELO, LEVEL, NAMES, SOURCE
from relaymail.configuration.values import Unfit, Within, eachOf, pathBy, textOr
from relaymail.configuration.ways import MX, Described, readVia
from relaymail.configuration.words import parseFile
from relaymail.errors import ConfigurationError
from relaymail.intake.networks import parseNetworks
from relaymail.route.hosts import Host
from relaymail.route.levels import TLSLevel
from relaymail.route.patterns import parseRecipient, parseSender
from relaymail.route.rules import (
    MAX_NAME,
    MAX_TEXT,
    Action,
    Network,
    Rule,
    checkedRule,
)
from relaymail.route.smarthosts import showSmartHost
from relaymail.route.terms import Terms


@dataclass(frozen=True, slots=True)
class RouteTable:
    """
    One route as it was described; no secret is in it.

    @ivar name: What people call it, empty for its number.
    @ivar recipients: See L{Rule}.
    @ivar senders: See L{Rule}.
    @ivar clients: See L{Rule}.
    @ivar users: See L{Rule}.
    @ivar action: See L{Rule}.
    @ivar via: The hosts that get the mail; none: those of its destination.
    @ivar tls: How well it is protected; L{None} here and below: as all mail.
    @ivar names: See L{Terms}.
    @ivar caFile: See L{Terms}.
    @ivar clientCert: The path of the certificate that this relay shows.
    @ivar clientKey: The path of its key.
    @ivar source: See L{Terms}.
    @ivar helo: See L{Terms}.
    @ivar fallback: The hosts that get the mail where the others fail.
    @ivar text: See L{Rule}.
    """

    name: str = ""
    recipients: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()
    clients: tuple[Network, ...] = ()
    users: tuple[str, ...] = ()
    action: Action = Action.DELIVER
    via: tuple[Described, ...] = ()
    tls: TLSLevel | None = None
    names: tuple[str, ...] | None = None
    caFile: str | None = None
    clientCert: str | None = None
    clientKey: str | None = None
    source: tuple[str, ...] | None = None
    helo: str | None = None
    fallback: tuple[Described, ...] | None = None
    text: str = ""

    def termsOver(self, base: Terms, fallback: tuple[Host, ...]) -> Terms | None:
        """
        Give the terms of its mail.

        @param base: Those of all mail.
        @param fallback: The hosts of its C{fallback}.

        @return: The terms; L{None}: those of all mail.
        """
        said: dict[str, Any] = {
            "level": self.tls,
            "names": self.names,
            "caFile": self.caFile,
            "certFile": self.clientCert,
            "keyFile": self.clientKey,
            "source": self.source,
            "helo": self.helo,
            "fallback": None if self.fallback is None else fallback,
        }
        told = {name: value for name, value in said.items() if value is not None}
        return replace(base, **told) if told else None


def readRoute(value: Any, base: str) -> RouteTable | Rule:
    """
    Read a route: a table, words C{KEY=VALUE}, or a rule.

    @param base: The directory that its paths begin at; empty: the working directory.

    @raise Unfit: When it is none; each problem has its key.
    @raise ConfigurationError: The same, with why.
    """
    if isinstance(value, RouteTable):
        return value
    if isinstance(value, Rule):
        return checkedRule(value)
    if isinstance(value, str):
        value = _worded(value)
    if not isinstance(value, Mapping):
        raise Unfit
    return _checked(value, _read(value, base))


def showRoute(route: RouteTable | Rule) -> dict[str, Any]:
    """
    Give a route as a table, as it may stand in a file: no secret is in it.
    """
    table = _tableOf(route) if isinstance(route, Rule) else route
    shown: dict[str, Any] = {}
    for key, (attribute, kind) in _KEYS.items():
        value = getattr(table, attribute)
        if attribute == "via":
            shown[key] = _shownVia(table)
        elif value is not None and value != _DEFAULTS[attribute]:
            shown[key] = kind.show(value)
    return shown


def _tableOf(rule: Rule) -> RouteTable:
    terms = rule.terms
    said: dict[str, Any] = {}
    if terms is not None:
        said = {
            "tls": terms.level,
            "names": terms.names,
            "caFile": terms.caFile,
            "clientCert": terms.certFile,
            "clientKey": terms.keyFile,
            "source": terms.source,
            "helo": terms.helo,
            "fallback": terms.fallback,
        }
    return RouteTable(
        rule.name,
        rule.recipients,
        rule.senders,
        rule.clients,
        rule.users,
        rule.action,
        rule.hosts,
        text=rule.text,
        **said,
    )


def hostsOf(route: RouteTable | Rule) -> tuple[Described, ...]:
    """
    Give the hosts that a route names.
    """
    if isinstance(route, Rule):
        fallback = () if route.terms is None else route.terms.fallback
        return (*route.hosts, *fallback)
    return (*route.via, *(route.fallback or ()))


def viaOf(route: RouteTable | Rule) -> tuple[Described, ...]:
    """
    Give the hosts that get the mail of a route instead of those of its destination.
    """
    return route.hosts if isinstance(route, Rule) else route.via


# How it is read.


def _worded(text: str) -> dict[str, Any]:
    """
    Read what stands in one line: words C{KEY=VALUE}, quoted as for a shell; a key that
    is there twice has both values.
    """
    try:
        words = shlex.split(text)
    except ValueError as e:
        raise ConfigurationError(f"it cannot be split into words ({e})") from e
    found: dict[str, list[str]] = {}
    for word in words:
        key, mark, value = word.partition("=")
        if not mark:
            raise Unfit
        found.setdefault(key, []).append(value)
    return {key: one[0] if len(one) == 1 else one for key, one in found.items()}


def _read(table: Mapping[str, Any], base: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    wrong: list[tuple[Within, str | None]] = []
    for key, value in table.items():
        if key not in _KEYS:
            wrong.append(((key,), _noSuch(key)))
            continue
        attribute, kind = _KEYS[key]
        try:
            found[attribute] = kind.take(value, base)
        except Unfit as e:
            wrong += [((key, *within), text) for within, text in e.problems]
    if wrong:
        raise Unfit(*wrong)
    return found


def _noSuch(key: str) -> str:
    from difflib import get_close_matches

    if key.lower() in _SECRETS:
        return (
            "a secret never stands in a route: write password-file, password-env or "
            "password-command in the table of its smart host"
        )
    near = get_close_matches(key.lower().replace("_", "-"), _KEYS, 1)
    meant = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(_KEYS)}"
    return f"there is no such key in a route{meant}"


def _checked(table: Mapping[str, Any], found: dict[str, Any]) -> RouteTable:
    """
    Check what belongs together.
    """
    via = found.pop("via", None)
    isSaid = any(found.get(attribute) is not None for attribute in _TERMS)
    if via is None and not isSaid:
        raise ConfigurationError(
            "it does not say where the mail goes: write via, which is mx, refuse, "
            "discard, hold, or one or several smart hosts"
        )
    action, hosts = via or (Action.DELIVER, ())
    for key, (attribute, _) in _KEYS.items():
        if attribute in _TERMS and key in table:
            _checkTerm(key, action, hosts)
    if (found.get("clientCert") is None) != (found.get("clientKey") is None):
        raise ConfigurationError(
            "a certificate and its key belong together: name both client-cert and "
            "client-key, or neither"
        )
    route = RouteTable(action=action, via=hosts, **found)
    checkedRule(Rule(action=action, text=route.text))
    return route


def _checkTerm(key: str, action: Action, hosts: tuple[Described, ...]) -> None:
    if action is not Action.DELIVER:
        raise Unfit(((key,), f"mail that it is to {action.value} goes to no host"))
    if hosts and key in _OF_DESTINATIONS:
        raise Unfit(
            (
                (key,),
                "it is for the hosts of destinations, and via names others: say with "
                "each of those how mail goes there, such as smtp://HOST?tls=verify",
            )
        )


def _shownVia(route: RouteTable) -> Any:
    if route.action is not Action.DELIVER:
        return route.action.value
    shown = [showSmartHost(host) for host in route.via]
    return shown if len(shown) > 1 else shown[0] if shown else MX


def _oneOf(value: Any, base: str) -> tuple[Network, ...]:
    if not isinstance(value, str):
        raise Unfit
    return parseNetworks(value)


def _networks(value: Any, base: str) -> tuple[Network, ...]:
    found = eachOf(_oneOf)(value, base)
    return tuple(network for networks in found for network in networks)


def _line(most: int) -> Any:
    def read(text: str) -> str:
        if len(text) > most:
            raise ConfigurationError(
                f"it has {len(text)} characters, and at most {most} are taken"
            )
        if not text.isprintable() or not text.strip():
            raise Unfit
        return text.strip()

    return textOr(read)


def _criteria(name: str, expected: str, read: Any) -> Kind:
    return Kind(name, expected, read, list, lambda value: bool(value))


#: The keys of the table, with their attributes and what they are.
_KEYS: dict[str, tuple[str, Kind]] = {
    "name": (
        "name",
        Kind("a name", "any text on one line", _line(MAX_NAME)),
    ),
    "to": (
        "recipients",
        _criteria(
            "a list of recipients",
            "domains, .domain for all below one, or addresses",
            eachOf(textOr(parseRecipient), ","),
        ),
    ),
    "from": (
        "senders",
        _criteria(
            "a list of senders",
            "addresses, @domain for all there, or <> for notices",
            eachOf(textOr(parseSender), ","),
        ),
    ),
    "client": (
        "clients",
        Kind(
            "a list of networks",
            "addresses and networks such as 192.0.2.0/24 or ::1",
            _networks,
            lambda value: [str(network) for network in value],
            bool,
        ),
    ),
    "user": (
        "users",
        _criteria(
            "a list of users",
            "the names that they authenticate by, or * for all of them",
            eachOf(_line(MAX_NAME)),
        ),
    ),
    "via": (
        "via",
        Kind(
            "a way for mail",
            "mx, refuse, discard, hold, or one or several smart hosts",
            readVia,
            isHidden=True,
        ),
    ),
    "tls": ("tls", LEVEL),
    "names": ("names", NAMES),
    "ca-file": (
        "caFile",
        Kind("a file", "the path of a file that is there", pathBy(parseFile)),
    ),
    "client-cert": (
        "clientCert",
        Kind("a file", "the path of a file that is there", pathBy(parseFile)),
    ),
    "client-key": (
        "clientKey",
        Kind("a file", "the path of a file that is there", pathBy(parseFile)),
    ),
    "source": ("source", SOURCE),
    "helo": ("helo", HELO),
    "fallback": (
        "fallback",
        Kind(
            "a list of smart hosts",
            "HOST[:PORT], a URL, or a table",
            eachOf(readSmartHost),
            lambda value: [showSmartHost(host) for host in value],
            isHidden=True,
        ),
    ),
    "text": (
        "text",
        Kind("a text", "printable text on one line", _line(MAX_TEXT)),
    ),
}
_DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(RouteTable)}
#: What is said of how mail goes, and what of that only to hosts of destinations.
_TERMS = frozenset(
    {"tls", "names", "caFile", "clientCert", "clientKey", "source", "helo", "fallback"}
)
_OF_DESTINATIONS = ("tls", "names", "ca-file")
_SECRETS = ("password", "secret", "token", "passwd")
