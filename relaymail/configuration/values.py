# -*- test-case-name: relaymail.test.configuration.test_structuring -*-
"""
How values of every kind are read: texts, paths, lists and tables, each problem with
where in the value it is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from relaymail.errors import ConfigurationError
from relaymail.replies import printable

#: How many values a list or table may have: more is a program's work, and would
#: be looked through for each message.
MAX_VALUES = 10_000
#: How much of a wrong value is shown, in characters.
MAX_SHOWN = 80

#: How keys stand without quotes.
_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")
#: Where in a value a problem is: keys and indexes.
Within = tuple[str | int, ...]
#: Reads a value; the directory that paths begin at is told, too.
Read = Callable[[Any, str], Any]


class Unfit(Exception):
    """
    A value is not of its kind.

    @ivar problems: What is wrong, with where in the value; a sentence each, that
        of L{None} is for the kind to say.
    """

    def __init__(self, *problems: tuple[Within, str | None]) -> None:
        super().__init__(*problems)
        self.problems = problems or (((), None),)


def shownValue(value: Any) -> str:
    """
    Give what was written as an error shows it: one bounded line.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}" if value else "an empty list"
    return printable(repr(value)[: MAX_SHOWN * 4], MAX_SHOWN)


def valueAt(value: Any, at: Within) -> Any:
    """
    Give what is at a place within a value; where that is not to be found, the
    value.
    """
    found = value
    for step in at:
        try:
            found = found[step]
        except (LookupError, TypeError):
            return value
    return found


def showPath(at: Within) -> str:
    """
    Give the path of a key as people write it, such as
    C{delivery.smart-hosts[1].url}.
    """
    shown = ""
    for step in at:
        if isinstance(step, int):
            shown += f"[{step}]"
        else:
            name = step if _BARE.match(step) else f'"{printable(step, 80)}"'
            shown += f".{name}" if shown else name
    return shown


def textOr(parse: Callable[[str], Any], *types: type) -> Read:
    """
    Read text; what is of one of some types is taken as it is.
    """

    def read(value: Any, base: str) -> Any:
        if isinstance(value, str):
            return parse(value)
        if isinstance(value, types) and not isinstance(value, bool):
            return value
        raise Unfit

    return read


def pathBy(parse: Callable[[str, str], Any]) -> Read:
    """
    Read a path.
    """

    def read(value: Any, base: str) -> Any:
        if not isinstance(value, str | bytes | os.PathLike):
            raise Unfit
        return parse(os.fsdecode(value), base)

    return read


def eachOf(one: Read, split: str = "") -> Read:
    """
    Read a list, or one value.

    @param split: What is between several values in one text.
    """

    def read(value: Any, base: str) -> tuple[Any, ...]:
        found: list[Any] = []
        wrong: list[tuple[Within, str | None]] = []
        for index, (at, item) in enumerate(_items(value, split)):
            if index >= MAX_VALUES:
                raise Unfit(((), f"more than {MAX_VALUES} values stand there"))
            try:
                found.append(one(item, base))
            except Unfit as e:
                wrong += [(at + within, text) for within, text in e.problems]
            except ConfigurationError as e:
                wrong.append((at, str(e)))
        if wrong:
            raise Unfit(*wrong)
        return tuple(found)

    return read


def _items(value: Any, split: str) -> Iterable[tuple[Within, Any]]:
    if isinstance(value, str) and split:
        return [((), item) for item in value.split(split)]
    if isinstance(value, list | tuple | set | frozenset):
        return [((index,), item) for index, item in enumerate(value)]
    return [((), value)]


def tableOf(
    readName: Callable[[str], str],
    readValue: Read,
    check: Callable[[str, Any], Any] = lambda name, value: value,
) -> Read:
    """
    Read a table, as one, as texts C{NAME=VALUE}, or as pairs.

    @param check: Reads a value further, with its name.
    """

    def pair(value: Any, base: str) -> tuple[str, Any]:
        if isinstance(value, str):
            name, mark, value = value.partition("=")
            if not mark:
                raise Unfit
        else:
            try:
                name, value = value
            except (TypeError, ValueError):
                raise Unfit from None
        name = readName(name.strip())
        return name, check(name, readValue(value, base))

    pairs = eachOf(pair)

    def read(value: Any, base: str) -> tuple[tuple[str, Any], ...]:
        if isinstance(value, Mapping):
            found = _named(value, pair, base)
        else:
            found = pairs(value, base)
        names = [name for name, _ in found]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise Unfit(((), f"{shownValue(twice)} stands there twice"))
        return found

    return read


def _named(
    table: Mapping[str, Any], pair: Read, base: str
) -> tuple[tuple[str, Any], ...]:
    found: list[tuple[str, Any]] = []
    wrong: list[tuple[Within, str | None]] = []
    if len(table) > MAX_VALUES:
        raise Unfit(((), f"more than {MAX_VALUES} values stand there"))
    for name, value in table.items():
        try:
            found.append(pair((name, value), base))
        except Unfit as e:
            wrong += [((name, *within), text) for within, text in e.problems]
        except ConfigurationError as e:
            wrong.append(((name,), str(e)))
    if wrong:
        raise Unfit(*wrong)
    return tuple(found)


def orNone(read: Read) -> Read:
    """
    Take empty text as nothing.
    """
    return lambda value, base: None if value in (None, "") else read(value, base)
