# -*- test-case-name: relaymail.test.configuration.test_tables -*-
"""
What an option is: each attribute of the tables is made by L{option}, and that is
where its default, its bounds and its words are, and nowhere else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import attrs

from relaymail.configuration.kinds import KINDS, Kind
from relaymail.errors import ConfigurationError

#: Where the attribute keeps what was said of its option.
_SAID = "relaymail.option"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """
    What is said of an option where it is made.

    @ivar kind: What its values are, a name of L{KINDS}.
    @ivar means: What it is for, in words.
    @ivar standard: What holds when it is not said, in words, where the value
        itself does not tell.
    @ivar unit: The unit of its numbers.
    @ivar example: A value, as it stands in a file.
    @ivar flag: Its name on the command line, where that is not the key.
    @ivar isRepeated: Whether its flag may be given several times; its name is in
        the singular then.
    @ivar short: Its letter on the command line.
    @ivar least: The least number that is taken.
    @ivar most: The greatest, or the greatest length in bytes of a text.
    @ivar restart: Whether a change of it is only seen by a new start.
    """

    kind: str
    means: str
    standard: str = ""
    unit: str = ""
    example: str = ""
    flag: str = ""
    short: str = ""
    isRepeated: bool = False
    least: int | None = None
    most: int | None = None
    restart: bool = False


def option(default: Any, kind: str, means: str, **more: Any) -> Any:
    """
    Make the attribute of an option.

    @param default: What holds when nothing is said; C{attrs.NOTHING}: there is
        none.
    @param kind: As in L{Meaning}.
    @param means: As in L{Meaning}.
    @param more: The others of L{Meaning}.
    """
    said = Meaning(kind=kind, means=means, **more)

    def check(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        problem = problemWith(said, value, default)
        if problem is not None:
            raise ConfigurationError(f"{toKey(attribute.name)}: {problem}")

    return attrs.field(default=default, validator=check, metadata={_SAID: said})


def problemWith(said: Meaning, value: Any, default: Any = None) -> str | None:
    """
    Say what is wrong with the value of an option, L{None} where nothing is.

    @param said: What is said of the option.
    @param value: The value, as its kind reads it.
    @param default: The option's default, which is always right.
    """
    if value == default and default is not None:
        return None
    if value is None:
        return None if default is None else "nothing was said"
    problem = KINDS[said.kind].problem(value)
    if problem is None and isinstance(value, str) and said.most is not None:
        length = len(value.encode("utf-8", "replace"))
        if length > said.most:
            return f"it has {length} bytes, and at most {said.most} are taken"
    if problem is None and isinstance(value, int):
        least = -1 if said.least is None else said.least
        if value < least or (said.most is not None and value > said.most):
            name = KINDS[said.kind].name
            return f"{value} is not {name} from {least} to {said.most}"
    return problem


@dataclass(frozen=True, slots=True)
class Option:
    """
    An option.

    @ivar table: The table it stands in, empty for none.
    @ivar attribute: Its attribute there.
    @ivar default: What holds when nothing is said, as its kind reads it.
    @ivar said: What is said of it.
    """

    table: str
    attribute: str
    default: Any
    said: Meaning

    @property
    def key(self) -> str:
        """
        Its key in the table.
        """
        return toKey(self.attribute)

    @property
    def path(self) -> str:
        """
        Its table and its key.
        """
        return f"{self.table}.{self.key}" if self.table else self.key

    @property
    def kind(self) -> Kind:
        """
        What its values are.
        """
        return KINDS[self.said.kind]

    @property
    def flag(self) -> str:
        """
        Its name on the command line.
        """
        return self.said.flag or self.key

    def valueIn(self, configuration: Any) -> Any:
        """
        Give its value in a configuration.
        """
        table = getattr(configuration, self.table) if self.table else configuration
        return getattr(table, self.attribute)


def toKey(attribute: str) -> str:
    """
    Give the key of an attribute: C{maxConnections} is C{max-connections}.
    """
    return re.sub("([A-Z])", r"-\1", attribute).lower()


def optionsOf(table: str, cls: type) -> tuple[Option, ...]:
    """
    Give the options that a class has.

    @param table: The name of its table, empty for none.
    """
    return tuple(
        Option(table, field.name, field.default, field.metadata[_SAID])
        for field in attrs.fields(cls)
        if _SAID in field.metadata
    )
