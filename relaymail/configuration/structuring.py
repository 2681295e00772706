# -*- test-case-name: relaymail.test.configuration.test_structuring -*-
"""
From what was said to a L{Configuration}: what a file says, what a command line
says over it, or what a program says.

cattrs takes the tables apart; each value is read by its kind, and each problem is
told with where it was said.  All problems are told, not only the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn, override

from relaymail.configuration.options import Option, problemWith
from relaymail.configuration.tables import (
    BY_ATTRIBUTE,
    BY_PATH,
    DEFAULT_QUEUE,
    OPTIONS,
    TABLES,
    Configuration,
)
from relaymail.configuration.values import Unfit, Within, shownValue, showPath
from relaymail.configuration.words import chooseHostname
from relaymail.errors import ConfigurationError
from relaymail.machine import machineNames
from relaymail.replies import printable

#: How many problems are told: more are most likely one mistake.
MAX_PROBLEMS = 50
#: What somebody may call a secret.
_SECRETS = ("password", "secret", "token", "passwd")

#: Says where something was said, for its table, key and place within.
Where = Callable[[Within], str]


@dataclass(frozen=True, slots=True)
class Layer:
    """
    What was said in one place.

    @ivar said: It: tables in a table, as in a file.
    @ivar where: Gives what problems begin with.
    @ivar base: The directory that paths begin at; empty: the working directory.
    """

    said: Mapping[str, Any]
    where: Where
    base: str = ""


@dataclass(frozen=True, slots=True)
class _Said:
    """
    One value, and the layer it is from.
    """

    value: Any
    at: Within
    layer: Layer

    def problem(self, text: str, within: Within = ()) -> str:
        """
        Give a problem with where it is.
        """
        return self.layer.where(self.at + within) + text


class _Problem(Exception):
    """
    What is wrong, one sentence each.
    """


def structure(
    layers: Iterable[Layer], file: str | None = None, base: str = ""
) -> Configuration:
    """
    Make a configuration of what was said.

    @param layers: What was said; a later one holds over those before it.
    @param file: The file that one of them is, if any.
    @param base: The working directory, where it is another by now.

    @raise ConfigurationError: When it cannot be used, with all that is wrong, a
        line each.
    """
    problems: list[str] = []
    merged: dict[str, Any] = {}
    for layer in layers:
        problems += _merge(layer, merged)
    for name, choose in _STANDARD.items():
        if name not in merged:
            merged[name] = _Said(choose(), (name,), Layer({}, lambda at: "", base))
    try:
        found = _converter().structure(merged, Configuration)
    except cattrs.BaseValidationError as e:
        problems += _problemsIn(e, merged, f"{file}: " if file else "")
    if problems:
        raise ConfigurationError("\n".join(_bounded(problems)))
    return found if file is None else attrs.evolve(found, file=file)


def configure(**settings: Any) -> Configuration:
    """
    Make a configuration of what a person or a program says.

    @param settings: The options by the names of their attributes, whichever table
        they are in, each as it is there or in words: one string or several for
        endpoints, smart hosts and networks, durations such as C{"5d"}, any path
        for the queue.  What is L{None} is not said; without a hostname the
        machine's name is taken.

    @raise ConfigurationError: When one of them cannot be used.
    @raise TypeError: When there is no such option, or no queue was named.
    """
    for name in settings:
        if name not in BY_ATTRIBUTE:
            raise TypeError(f"there is no option {name}{_meant(name, BY_ATTRIBUTE)}")
    if settings.get("queue") is None:
        raise TypeError("a relay needs a queue: name it, as queue='spool'")
    return structure([flat(settings, lambda one: f"{one.attribute}: ")])


def flat(
    settings: Mapping[str, Any], where: Callable[[Option], str], base: str = ""
) -> Layer:
    """
    Make a layer of options by their attributes.

    @param settings: The values; what is L{None} is not said.
    @param where: What problems of an option begin with.
    @param base: The directory that paths begin at; empty: the working directory.
    """
    said: dict[str, Any] = {}
    for name, value in settings.items():
        one = BY_ATTRIBUTE[name]
        if value is not None:
            table = said.setdefault(one.table, {}) if one.table else said
            table[one.key] = value

    def problems(at: Within) -> str:
        words = [str(word) for word in at]
        one = BY_PATH.get(".".join(words[:2])) or BY_PATH.get(words[0])
        if one is None:
            return ""
        within = at[2 if one.table else 1 :]
        # Several routes, and what each says, are of one option.
        return f"{showPath((where(one).removesuffix(': '), *within))}: "

    return Layer(said, problems, base)


#: What is taken where nothing is said and there is no constant to take.
_STANDARD: dict[str, Callable[[], Any]] = {
    "queue": lambda: DEFAULT_QUEUE,
    "hostname": lambda: chooseHostname(machineNames()),
}


def _merge(layer: Layer, merged: dict[str, Any]) -> Iterator[str]:
    """
    Add what a layer says, and give what is wrong with its form.
    """
    for key, value in layer.said.items():
        if key not in TABLES:
            merged[key] = _Said(value, (key,), layer)
        elif isinstance(value, Mapping):
            table = merged.setdefault(key, {})
            for name, one in value.items():
                table[name] = _Said(one, (key, name), layer)
        else:
            said = _Said(value, (key,), layer)
            yield said.problem(
                f"{shownValue(value)} is not a table: write [{key}] on a line, and its "
                "options below"
            )


@cache
def _converter() -> cattrs.Converter:
    """
    Make what takes the tables apart.
    """
    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
    for name, cls in {**TABLES, "": Configuration}.items():
        overrides: dict[str, Any] = {
            one.attribute: override(rename=one.key, struct_hook=_hook(one))
            for one in OPTIONS
            if one.table == name
        }
        if cls is Configuration:
            overrides["file"] = override(omit=True)
        hook: Any = make_dict_structure_fn(
            cls, converter, _cattrs_forbid_extra_keys=True, **overrides
        )
        converter.register_structure_hook(cls, hook)
    return converter


def _hook(one: Option) -> Callable[[_Said, Any], Any]:
    """
    Make what reads the values of an option.
    """

    def read(said: _Said, _: Any) -> Any:
        try:
            value = one.kind.take(said.value, said.layer.base)
        except Unfit as e:
            told = [said.problem(text or "", at) for at, text in e.problems]
            raise _Problem(*told) from None
        problem = problemWith(one.said, value, one.default)
        if problem is not None:
            raise _Problem(said.problem(problem))
        return value

    return read


def _problemsIn(
    error: BaseException, merged: Mapping[str, Any], file: str
) -> Iterator[str]:
    """
    Give the problems that an error of cattrs holds.

    @param file: What those begin with that are of several options together.
    """
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _problemsIn(each, merged, file)
    elif isinstance(error, cattrs.ForbiddenExtraKeysError):
        yield from _unknown(error, merged)
    elif isinstance(error, _Problem):
        yield from map(str, error.args)
    elif isinstance(error, ConfigurationError):
        yield f"{file}{error}"
    else:
        raise error


def _unknown(
    error: cattrs.ForbiddenExtraKeysError, merged: Mapping[str, Any]
) -> Iterator[str]:
    """
    Say of keys that there is no such option, and which may be meant.
    """
    table = next((name for name, cls in TABLES.items() if cls is error.cl), "")
    known = [one.key for one in OPTIONS if one.table == table]
    known += [] if table else [*TABLES]
    said = merged[table] if table else merged
    for key in sorted(error.extra_fields):
        yield said[key].problem(_noSuch(table, key, known, said[key].value))


def _noSuch(table: str, key: str, known: Iterable[str], value: Any) -> str:
    where = f"in [{table}]" if table else "outside of the tables"
    if key.lower() in _SECRETS and not isinstance(value, Mapping):
        return (
            f"a secret never stands in the file: write {key}-file, {key}-env or "
            f"{key}-command"
        )
    if not table and isinstance(value, Mapping):
        tables = ", ".join(f"[{name}]" for name in TABLES)
        return f"there is no such table{_meant(key, TABLES)}; there are {tables}"
    meant = _meant(key, known)
    elsewhere = [one.table for one in OPTIONS if one.key == key]
    if elsewhere:
        meant = (
            f"; it stands in [{elsewhere[0]}]"
            if elsewhere[0]
            else ("; it stands before the first table")
        )
    return f"there is no such option {where}{meant}"


def _meant(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name.lower().replace("_", "-"), known, 1)
    near = near or get_close_matches(name, known, 1)
    return f"; did you mean {near[0]}?" if near else ""


def _bounded(problems: list[str]) -> Iterator[str]:
    for text in problems[:MAX_PROBLEMS]:
        yield printable(text, 1000)
    if len(problems) > MAX_PROBLEMS:
        yield f"and {len(problems) - MAX_PROBLEMS} more problems"
