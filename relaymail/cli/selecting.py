# -*- test-case-name: relaymail.test.cli.test_selecting -*-
"""
Which of what is queued is meant: the filters on the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from relaymail.cli.values import DURATION, SIZE

if TYPE_CHECKING:
    from relaymail.inspection import Selection

#: Where mail can stand: what L{NameState} has, which takes a moment to import.
STATES = ("waiting", "resting", "relaying", "held", "aside")

Function = TypeVar("Function", bound=Callable[..., Any])

#: The filters: the attribute of L{Selection}, the option, which is what the API
#: calls it, too, and what it means.
_FILTERS: tuple[tuple[str, str, Any, str, str], ...] = (
    (
        "sender",
        "sender",
        str,
        "ADDRESS",
        "From that address, such as a@example.org, *@example.org or @example.org; "
        "<> is the empty one, of notices.",
    ),
    ("recipient", "recipient", str, "ADDRESS", "To that address, in the same way."),
    ("domain", "domain", str, "DOMAIN", "To that destination."),
    ("olderThan", "older", DURATION, "AGE", "Accepted so long ago, such as 30m or 2d."),
    ("youngerThan", "younger", DURATION, "AGE", "Accepted since then."),
    ("largerThan", "larger", SIZE, "SIZE", "So large at least, such as 500K or 10M."),
    ("smallerThan", "smaller", SIZE, "SIZE", "So large at most."),
    (
        "state",
        "state",
        click.Choice(STATES),
        "STATE",
        f"Where it stands: {', '.join(STATES)}.",
    ),
    ("reply", "reply", str, "TEXT", "With that in the last reply."),
)
#: What is said where all is meant.
EVERYTHING: Mapping[str, Any] = {
    **{name: None for _, name, *_ in _FILTERS},
    "ids": (),
}


def selecting(function: Function) -> Function:
    """
    Give a command the filters, as the arguments of L{queryOf}.
    """
    for _, name, kind, metavar, told in reversed(_FILTERS):
        made = click.option(f"--{name}", type=kind, metavar=metavar, help=told)
        function = made(function)
    return click.argument("ids", nargs=-1, metavar="[ID]...")(function)


def queryOf(said: Mapping[str, Any]) -> dict[str, Any]:
    """
    Give what the API is asked: what was said, and nothing else.

    @param said: The values of L{selecting}'s options.
    """
    query: dict[str, Any] = {
        name: _written(said[name]) for _, name, *_ in _FILTERS if said[name] is not None
    }
    if said["ids"]:
        query["id"] = list(said["ids"])
    return query


def _written(value: Any) -> str:
    """
    Write a value; seconds and octets are whole numbers.
    """
    return f"{value:.0f}" if isinstance(value, int | float) else str(value)


def selectionOf(said: Mapping[str, Any]) -> Selection:
    """
    Give what a queue is asked that is read here.

    @param said: The values of L{selecting}'s options.
    """
    from relaymail.inspection import NameState, Selection

    found = {attribute: said[name] for attribute, name, *_ in _FILTERS}
    state = found.pop("state")
    return Selection(
        names=tuple(said["ids"]), state=NameState(state) if state else None, **found
    )
