# -*- test-case-name: relaymail.test.configuration.test_structuring -*-
"""
How smart hosts stand in a configuration: as text, as a table, or as a program has
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from relaymail.configuration.values import Unfit
from relaymail.configuration.words import parsePath
from relaymail.route.hosts import Host
from relaymail.route.passwords import PasswordKind, PasswordSource
from relaymail.route.smarthosts import SmartHost, parseSmartHost, parseSmartHostTable


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
        oauth2=oauth2,
    )


def _placedSource(source: PasswordSource | None, base: str) -> PasswordSource | None:
    if source is None or source.kind is not PasswordKind.FILE:
        return source
    return replace(source, where=parsePath(source.where, base))
