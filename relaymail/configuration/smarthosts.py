# -*- test-case-name: relaymail.test.configuration.test_structuring -*-
"""
How smart hosts stand in a configuration: as text, as a table, or as a program has
them; and which of them are for which senders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from relaymail.addresses import localKey, normalDomain
from relaymail.configuration.values import Unfit, eachOf, tableOf
from relaymail.configuration.words import parsePath
from relaymail.errors import ConfigurationError, MalformedAddress
from relaymail.replies import printable
from relaymail.route.hosts import Host
from relaymail.route.passwords import PasswordKind, PasswordSource
from relaymail.route.smarthosts import (
    SmartHost,
    parseSmartHost,
    parseSmartHostTable,
    showSmartHost,
)

#: Smart hosts with whose mail they get.
BySender = tuple[tuple[str, tuple[SmartHost | Host, ...]], ...]


def readSmartHost(value: Any, base: str) -> SmartHost | Host:
    """
    Read a smart host.

    @param base: The directory that its paths begin at; empty: the working directory.

    @raise Unfit: When it is none.
    @raise ConfigurationError: The same, with why.
    """
    if isinstance(value, Host):
        return value
    if isinstance(value, str):
        value = parseSmartHost(value)
    elif isinstance(value, Mapping):
        value = parseSmartHostTable(value)
    if not isinstance(value, SmartHost):
        raise Unfit
    return _placed(value, base)


def readSenderHosts(value: Any, base: str) -> BySender:
    """
    Read which smart hosts are for which senders: a table, pairs, or texts
    C{SENDER=HOST}, of which several may be of one sender.

    @param base: As for L{readSmartHost}.

    @raise Unfit: When it is no such table.
    @raise ConfigurationError: The same, with why.
    """
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
        value = _joined(value)
    found: BySender = tableOf(parseSender, eachOf(readSmartHost), _checkHosts)(
        value, base
    )
    return found


def showSenderHosts(value: BySender) -> dict[str, Any]:
    """
    Give which smart hosts are for which senders as it may stand in a file.
    """
    return {
        name: showSmartHost(hosts[0])
        if len(hosts) == 1
        else [showSmartHost(host) for host in hosts]
        for name, hosts in value
    }


def parseSender(text: str) -> str:
    """
    Read whose mail smart hosts get: an address, or C{@} and a domain.

    @return: It, in lower case.

    @raise ConfigurationError: When it is neither.
    """
    local, at, domain = text.strip().rpartition("@")
    words = "write an address, or @example.com for all addresses there"
    if not at:
        more = "; those of everybody else are delivery.smart-hosts" * (domain == "*")
        raise ConfigurationError(
            f"{printable(text, 80)!r} does not say whose mail it is: {words}{more}"
        )
    if local == "*":
        # It would be the address of one mailbox that is called so.
        raise ConfigurationError(
            f"{printable(text, 80)!r} does not say whose mail it is: {words}"
        )
    try:
        return f"{localKey(local)}@{normalDomain(domain)}"
    except MalformedAddress as e:
        raise ConfigurationError(
            f"{printable(text, 80)!r} does not say whose mail it is ({e}): {words}"
        ) from e


def _joined(texts: list[str] | tuple[str, ...]) -> dict[str, list[str]]:
    """
    Collect the hosts of each sender from C{SENDER=HOST}.
    """
    found: dict[str, list[str]] = {}
    for text in texts:
        sender, mark, host = text.partition("=")
        if not mark:
            raise Unfit
        found.setdefault(_asOne(sender), []).append(host.strip())
    return found


def _asOne(sender: str) -> str:
    try:
        return parseSender(sender)
    except ConfigurationError:
        # It is told of where it is read.
        return sender


def _checkHosts(sender: str, hosts: tuple[Any, ...]) -> tuple[Any, ...]:
    if not hosts:
        raise ConfigurationError(f"no smart host is named for {sender}")
    return hosts


def _placed(smart: SmartHost, base: str) -> SmartHost:
    """
    Make the paths of a smart host begin where its file is.
    """
    oauth2 = smart.oauth2 and replace(
        smart.oauth2,
        clientSecret=_placedSource(smart.oauth2.clientSecret, base),
        refreshToken=_placedSource(smart.oauth2.refreshToken, base),
    )
    return replace(
        smart,
        password=_placedSource(smart.password, base),
        caFile=smart.caFile and parsePath(smart.caFile, base),
        certFile=smart.certFile and parsePath(smart.certFile, base),
        keyFile=smart.keyFile and parsePath(smart.keyFile, base),
        oauth2=oauth2,
    )


def _placedSource(source: PasswordSource | None, base: str) -> PasswordSource | None:
    if source is None or source.kind is not PasswordKind.FILE:
        return source
    return replace(source, where=parsePath(source.where, base))
