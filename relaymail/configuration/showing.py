# -*- test-case-name: relaymail.test.configuration.test_showing -*-
"""
A configuration as a file: what differs from the defaults, or everything.  Secrets
are in none; where each is kept is shown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from relaymail.configuration.options import Option
from relaymail.configuration.tables import DEFAULT_QUEUE, OPTIONS, Configuration
from relaymail.configuration.words import chooseHostname, parseQueue
from relaymail.errors import ConfigurationError
from relaymail.machine import machineNames

_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")
_ESCAPES = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
_ESCAPES |= {'"': '\\"', "\\": "\\\\"}


def shownOptions(
    configuration: Configuration, everything: bool = False
) -> dict[str, Any]:
    """
    Give what a configuration says, as it may stand in a file.

    @param everything: Whether the defaults are given, too, where they are values.

    @return: Tables in a table.
    """
    shown: dict[str, Any] = {}
    for one in OPTIONS:
        value = one.valueIn(configuration)
        if value is None or (not everything and isDefault(one, value)):
            continue
        table = shown.setdefault(one.table, {}) if one.table else shown
        table[one.key] = one.kind.show(value)
    return shown


def isDefault(one: Option, value: Any) -> bool:
    """
    Tell whether a value is what holds when nothing is said.
    """
    if one.path == "queue":
        try:
            return bool(value == parseQueue(DEFAULT_QUEUE))
        except ConfigurationError:
            return False
    if one.path == "hostname":
        return bool(value == chooseHostname(machineNames()))
    return bool(value == one.default)


def show(configuration: Configuration, everything: bool = False) -> str:
    """
    Give a configuration as a file: read back it is the same.

    @param everything: Whether the defaults are given, too.
    """
    lines: list[str] = []
    tables: list[str] = []
    for key, value in shownOptions(configuration, everything).items():
        if isinstance(value, Mapping):
            tables += ["", f"[{key}]", *_lines(value)]
        else:
            lines.append(f"{key} = {toToml(value)}")
    return "".join(f"{line}\n" for line in [*lines, *tables]).lstrip("\n")


def _lines(table: Mapping[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        yield f"{key} = {toToml(value)}"


def toToml(value: Any) -> str:
    """
    Give a value as TOML has it, on one line.

    @raise TypeError: When it is none that stands in a configuration.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toToml, value))}]"
    if isinstance(value, Mapping):
        pairs = [f"{_key(name)} = {toToml(one)}" for name, one in value.items()]
        return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    raise TypeError(f"{type(value).__name__} is nothing that TOML has")


def _key(name: str) -> str:
    return name if _BARE.match(name) else _quoted(name)


def _quoted(text: str) -> str:
    return f'"{"".join(map(_character, text))}"'


def _character(one: str) -> str:
    if one in _ESCAPES:
        return _ESCAPES[one]
    if one.isprintable():
        return one
    return f"\\u{ord(one):04x}" if ord(one) < 0x10000 else f"\\U{ord(one):08x}"
