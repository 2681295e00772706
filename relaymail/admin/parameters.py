# -*- test-case-name: relaymail.test.admin.test_parameters -*-
"""
What can be said in a request: how each kind of value is read from a query or from
JSON, and what is said where it cannot be.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import parse_qsl

from relaymail.admin.guarding import Refusal
from relaymail.inspection import NameState, Selection
from relaymail.replies import printable

#: The longest text, in characters: what is longer is no address, domain or name.
MAX_TEXT = 1000
#: The most values of one parameter that can be given several times.
MAX_VALUES = 5000
#: The longest age, in seconds: a hundred years.
MAX_SECONDS = 100 * 366 * 86400.0
#: The most octets.
MAX_OCTETS = 1 << 50
#: The most entries of a page, and names of one stretch of work.
MAX_PAGE = 1000
#: How much of a wrong value an error shows, in characters.
_SHOWN = 80

_TRUE = frozenset((True, "true", "1", "yes"))
_FALSE = frozenset((False, "false", "0", "no"))


class Place(Enum):
    """
    Where a parameter stands; the value is OpenAPI's word, where it has one.
    """

    PATH = "path"
    QUERY = "query"
    BODY = "body"


@dataclass(frozen=True, slots=True)
class Kind:
    """
    A kind of value.

    @ivar schema: What it is, in the words of JSON Schema.
    @ivar expected: What is expected, for the sentence about another value.
    @ivar read: Reads it; raises a L{ValueError} where it is another.
    """

    schema: Mapping[str, Any]
    expected: str
    read: Callable[[Any], Any]


def _readText(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT or "\0" in value:
        raise ValueError
    # Half of a pair of surrogates, which JSON can hold and nothing else, is none.
    value.encode("utf-8")
    return value


def _readNumber(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError
    if isinstance(value, str) and len(value) > _SHOWN:
        raise ValueError
    return float(value)


def _readSeconds(value: Any) -> float:
    return _within(_readNumber(value), 0, MAX_SECONDS)


def _readOctets(value: Any) -> int:
    return _whole(value, 0, MAX_OCTETS)


def _readPage(value: Any) -> int:
    return _whole(value, 1, MAX_PAGE)


def _whole(value: Any, least: int, most: int) -> int:
    number = _within(_readNumber(value), least, most)
    if number != int(number):
        raise ValueError
    return int(number)


def _within(number: float, least: float, most: float) -> float:
    if math.isnan(number) or not least <= number <= most:
        raise ValueError
    return number


def _readFlag(value: Any) -> bool:
    if isinstance(value, bool | str) and value in _TRUE | _FALSE:
        return value in _TRUE
    raise ValueError


TEXT = Kind(
    {"type": "string", "maxLength": MAX_TEXT},
    f"text of at most {MAX_TEXT} characters",
    _readText,
)
SECONDS = Kind({"type": "number", "minimum": 0}, "a number of seconds", _readSeconds)
OCTETS = Kind({"type": "integer", "minimum": 0}, "a number of octets", _readOctets)
PAGE = Kind(
    {"type": "integer", "minimum": 1, "maximum": MAX_PAGE},
    f"a number from 1 to {MAX_PAGE}",
    _readPage,
)
FLAG = Kind({"type": "boolean"}, "true or false", _readFlag)
STATE = Kind(
    {"type": "string", "enum": [state.value for state in NameState]},
    "one of " + ", ".join(state.value for state in NameState),
    NameState,
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """
    One parameter of an operation.

    @ivar name: What it is called.
    @ivar kind: What its value is.
    @ivar told: What it means.
    @ivar place: Where it stands.
    @ivar isRepeated: Whether it can be given several times (in JSON: as a list).
    @ivar isRequired: Whether it must be given.
    """

    name: str
    kind: Kind
    told: str
    place: Place = Place.QUERY
    isRepeated: bool = False
    isRequired: bool = False

    def read(self, values: list[Any]) -> Any:
        """
        Read what was given for it.

        @return: The value; a tuple of values where it can be repeated.

        @raise Refusal: When it cannot be read.
        """
        if not 1 <= len(values) <= (MAX_VALUES if self.isRepeated else 1):
            raise Refusal(400, f"{self.name} is given {len(values)} times.")
        found = tuple(map(self._readOne, values))
        return found if self.isRepeated else found[0]

    def _readOne(self, value: Any) -> Any:
        try:
            return self.kind.read(value)
        except (ValueError, TypeError, OverflowError):
            shown = printable(str(value)[: 2 * _SHOWN], _SHOWN)
            raise Refusal(
                400, f"{self.name} is {self.kind.expected}, not {shown!r}."
            ) from None


def queryValues(query: bytes) -> dict[str, list[Any]]:
    """
    Read the query of an URL.

    @raise Refusal: When it cannot be read.
    """
    values: dict[str, list[Any]] = {}
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_VALUES,
        )
    except ValueError:
        raise Refusal(
            400, "The query is not one of UTF-8 in percent-encoding."
        ) from None
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def bodyValues(body: bytes) -> dict[str, list[Any]]:
    """
    Read a JSON object with parameters.

    @raise Refusal: When it is none.
    """
    try:
        said = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise Refusal(400, "The body is not a JSON object.")
    return {
        name: value if isinstance(value, list) else [value]
        for name, value in said.items()
        if value is not None
    }


def readAll(
    parameters: Iterable[Parameter], place: Place, values: Mapping[str, list[Any]]
) -> dict[str, Any]:
    """
    Read what was given in one place.

    @raise Refusal: When something cannot be read, is missing, or is not known.
    """
    there = {p.name: p for p in parameters if p.place is place}
    for name in values:
        if name not in there:
            known = ", ".join(there) or "none"
            raise Refusal(
                400,
                f"There is no parameter {printable(name, _SHOWN)!r} in the "
                f"{place.value}; there are: {known}.",
            )
    for parameter in there.values():
        if parameter.isRequired and not values.get(parameter.name):
            raise Refusal(400, f"{parameter.name} is missing.")
    return {name: there[name].read(given) for name, given in values.items()}


_FILTERS = (
    ("names", "id", TEXT, "Those names only."),
    ("sender", "sender", TEXT, 'The sender; "*" is any text, "<>" the empty one.'),
    ("recipient", "recipient", TEXT, 'The recipient; "*" is any text.'),
    ("domain", "domain", TEXT, "The destination."),
    ("olderThan", "older", SECONDS, "The least age, in seconds."),
    ("youngerThan", "younger", SECONDS, "The greatest age, in seconds."),
    ("largerThan", "larger", OCTETS, "The least size, in octets."),
    ("smallerThan", "smaller", OCTETS, "The greatest size, in octets."),
    ("state", "state", STATE, "Where it stands."),
    ("reply", "reply", TEXT, "What is in the last reply, in either case."),
)


def filters(place: Place) -> tuple[Parameter, ...]:
    """
    Give the parameters that say which names are meant.
    """
    return tuple(
        Parameter(name, kind, told, place, isRepeated=name == "id")
        for _, name, kind, told in _FILTERS
    )


def selectionOf(given: Mapping[str, Any]) -> Selection:
    """
    Say which names are meant.

    @param given: The parameters.
    """
    said = {attribute: given[name] for attribute, name, *_ in _FILTERS if name in given}
    return Selection(**said)
