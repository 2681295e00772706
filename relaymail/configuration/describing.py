# -*- test-case-name: relaymail.test.configuration.test_describing -*-
"""
The options, for people: each with its type, default, unit, explanation and flag.

C{python -m relaymail.configuration.describing} prints the part of
C{docs/configuration.rst} that is made of them, as C{relaymail config describe
--rst} does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from textwrap import wrap
from typing import Any

from relaymail.configuration.options import Option
from relaymail.configuration.showing import toToml
from relaymail.configuration.tables import OPTIONS, TABLES

#: What the generated part of the page begins and ends with.
BEGIN = ".. begin of what relaymail config describe --rst prints"
END = ".. end of it"
#: How wide the page is, in characters.
WIDTH = 88


@dataclass(frozen=True, slots=True)
class Description:
    """
    What is told of an option.

    @ivar table: The table it stands in, empty for none.
    @ivar key: Its key there.
    @ivar type: What its values are.
    @ivar default: What holds when nothing is said, as in a file or in words.
    @ivar unit: The unit of its numbers.
    @ivar means: What it is for.
    @ivar write: What is to be written.
    @ivar example: A value, as it stands in a file.
    @ivar flag: Its option of C{twistd relaymail}.
    @ivar flagName: The same without what follows it.
    @ivar restart: Whether a change of it is only seen by a new start.
    """

    table: str
    key: str
    type: str
    default: str
    unit: str
    means: str
    write: str
    example: str
    flag: str
    flagName: str
    restart: bool

    @property
    def path(self) -> str:
        """
        Its table and its key.
        """
        return f"{self.table}.{self.key}" if self.table else self.key


def describe(one: Option) -> Description:
    """
    Tell of an option.
    """
    said = one.said
    return Description(
        table=one.table,
        key=one.key,
        type=one.kind.name,
        default=said.standard or toToml(one.kind.show(one.default)),
        unit=said.unit,
        means=said.means,
        write=one.kind.expected,
        example=said.example,
        flag=flagOf(one),
        flagName=one.flag,
        restart=said.restart,
    )


def describeAll() -> tuple[Description, ...]:
    """
    Tell of all options, in the order of the page.
    """
    return tuple(map(describe, OPTIONS))


def flagOf(one: Option) -> str:
    """
    Give the option of the command line, with what follows it.
    """
    short = f"-{one.said.short}, " if one.said.short else ""
    repeated = ", repeated" if one.said.isRepeated else ""
    return f"{short}--{one.flag} {_WORDS.get(one.said.kind, 'VALUE')}{repeated}"


def helpOf(one: Option) -> str:
    """
    Give the text of an option for the help of a command line.
    """
    told = describe(one)
    more = " May be given several times." if one.said.isRepeated else ""
    return f"{told.means}{more} [default: {told.default}]"


def asText(told: Description) -> str:
    """
    Tell of an option on a terminal.
    """
    lines = [told.path, *(f"  {line}" for line in wrap(told.means, WIDTH - 2))]
    for name, text in _facts(told):
        lines.append(f"  {name + ':':9} {text}")
    return "\n".join(lines)


def asRst(descriptions: Iterable[Description] | None = None) -> str:
    """
    Tell of options as a part of a page.
    """
    lines = [BEGIN, ""]
    table: str | None = None
    for told in descriptions or describeAll():
        if told.table != table:
            table = told.table
            lines += _heading(table)
        lines += _entry(told)
    return "\n".join([*lines, END, ""])


def _facts(told: Description) -> Iterator[tuple[str, str]]:
    yield "type", told.type
    yield "write", told.write
    yield "default", told.default
    if told.unit:
        yield "unit", told.unit
    if told.example:
        yield "example", f"{told.key} = {told.example}"
    yield "flag", told.flag
    if told.restart:
        yield "change", "only with a new start, not with a reload"


def _heading(table: str) -> list[str]:
    title = f"[{table}]" if table else "Before the first table"
    words = (TABLES[table].__doc__ or "").strip().partition(": ")[2] if table else ""
    about = [words[:1].upper() + words[1:], ""] if words else []
    return [title, "~" * len(title), "", *about]


def _entry(told: Description) -> list[str]:
    lines = [f".. _option-{told.path.replace('.', '-')}:", "", f"``{told.key}``"]
    lines += _indented(told.means)
    facts = []
    for name, text in _facts(told):
        isCode = name in ("example", "flag") or (name == "default" and _isCode(told))
        facts.append(f"{name}: ``{text}``" if isCode else f"{name}: {_plain(text)}")
    lines.append("")
    for fact in facts:
        first, *rest = wrap(fact, WIDTH - 6, break_long_words=False) or [""]
        lines += [f"    * {first}", *(f"      {line}" for line in rest)]
    return [*lines, ""]


def _isCode(told: Description) -> bool:
    one = next(one for one in OPTIONS if one.path == told.path)
    return not one.said.standard


def _indented(text: str) -> list[str]:
    lines = wrap(_plain(text), WIDTH - 4, break_long_words=False)
    return [f"    {line}" for line in lines]


def _plain(text: str) -> str:
    """
    Keep a page from reading marks into text.
    """
    return re.sub(r"([*`|\\])", r"\\\1", text)


#: What stands for a value of each kind behind its flag, in C{flagOf}.
_WORDS = {
    "queue": "QUEUE",
    "hostname": "NAME",
    "endpoint": "ENDPOINT",
    "endpoints": "ENDPOINT",
    "networks": "NETWORKS",
    "size": "SIZE",
    "file": "FILE",
    "place": "PATH",
    "smart hosts": "HOST",
    "sender hosts": "SENDER=HOST",
    "routes": "ROUTE",
    "TLS level": "LEVEL",
    "source": "IP",
    "helo": "NAME",
    "switch": "true|false",
    "mailbox": "ADDRESS",
    "name server": "IP:PORT",
    "number": "N",
    "port": "N",
    "duration": "DURATION",
    "delay": "DURATION",
    "durations": "LIST",
    "destination rates": "DOMAIN=RATE",
    "sender rates": "NAME=RATE",
    "origin": "DOMAIN",
    "aliases": "NAME=ADDRESS",
    "rewriting": "PATTERN=ADDRESS",
    "variable": "NAME",
    "command": "COMMAND",
    "names": "NAME",
    "origins": "ORIGIN",
}


def toJson(told: Description) -> dict[str, Any]:
    """
    Tell of an option to a program.
    """
    return {"path": told.path, **asdict(told)}


if __name__ == "__main__":
    print(asRst(), end="")
