# -*- test-case-name: relaymail.test.cli.test_destinations -*-
"""
C{relaymail destinations}: where mail goes, and who may have it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from relaymail.cli.client import quoted
from relaymail.cli.lazy import LazyGroup, Part
from relaymail.cli.output import Column, note, show, showJSON
from relaymail.cli.reading import client, reader
from relaymail.cli.settings import current
from relaymail.cli.words import age, clean, count, now

#: How many destinations are listed where nothing is said.
LIMIT = 100
#: The most that can be asked for: the relay gives no more at a time.
MAX_LIMIT = 1000

_COLUMNS = (
    Column("DESTINATION", canShrink=True),
    Column("QUEUED", isNumber=True),
    Column("RESTING", isNumber=True),
    Column("HELD", isNumber=True),
    Column("CONNECTIONS", isNumber=True),
    Column("STATE"),
    Column("UNTIL", isNumber=True),
    Column("WHY", canShrink=True),
)


#: Its parts.
PARTS = (
    Part("list", "destinations:listDestinations", "List destinations that have mail."),
    Part("suspend", "destinations:suspend", "Send nothing to destinations."),
    Part("resume", "destinations:resume", "Send to destinations again."),
    Part("flush", "destinations:flush", "Try destinations now."),
)


@click.group(
    cls=LazyGroup,
    parts=PARTS,
    invoke_without_command=True,
    short_help="Show and steer destinations.",
)
@click.pass_context
def destinations(context: click.Context) -> None:
    """
    Show and steer destinations.

    Without a command it lists them.
    """
    if context.invoked_subcommand is None:
        context.invoke(listDestinations, limit=LIMIT)


@click.command("list")
@click.option(
    "--limit",
    type=click.IntRange(1, MAX_LIMIT),
    default=LIMIT,
    show_default=True,
    metavar="N",
    help="How many at most.",
)
def listDestinations(limit: int) -> None:
    """
    List destinations that have mail.

    Those with the most are first. CONNECTIONS are those that are open, and how
    many there may be.
    """
    told = reader().destinations(limit)
    if current().asJSON:
        showJSON(told)
        return
    rows = told["destinations"]
    if not rows:
        note("Nothing is queued.")
        return
    time = now()
    show(_COLUMNS, [_row(row, time) for row in rows])
    if told["count"] > len(rows):
        others = count(told["count"] - len(rows), "other destination")
        note(f"There are {others}: --limit shows more.")


def _row(row: Mapping[str, Any], time: float) -> list[object]:
    until = row.get("until")
    return [
        row["name"],
        row["queued"],
        row["resting"],
        row["held"],
        connections(row.get("connections"), row.get("allowed")),
        row.get("state") or "-",
        age(until - time) if until else "-",
        row.get("why") or "",
    ]


def connections(open_: object, most: object) -> str:
    """
    Write how many connections there are, of how many.

    @param open_: L{None}: it is not known.
    @param most: L{None}: there is no limit that is known.
    """
    if open_ is None:
        return "-"
    return f"{open_}" if most is None else f"{open_}/{most}"


def _steering(
    verb: str, done: str, told: str, *, takesWhy: bool = False
) -> click.Command:
    """
    Make a command that steers destinations.

    @param verb: What the API calls it.
    @param done: What has happened then.
    @param told: The help.
    """

    def run(names: Sequence[str], why: str = "") -> None:
        asked = client()
        body = {"why": why} if why else {}
        answers = []
        for name in names:
            answers.append(asked.post(f"destinations/{quoted(name)}/{verb}", body))
            if not current().asJSON:
                click.echo(f"{clean(name)} {done}.")
        if current().asJSON:
            showJSON({"destinations": answers})

    run.__doc__ = told
    made: Callable[..., Any] = run
    if takesWhy:
        made = click.option("--why", metavar="TEXT", default="", help="Why.")(made)
    made = click.argument("names", nargs=-1, required=True, metavar="DOMAIN...")(made)
    return click.command(verb)(made)


suspend = _steering(
    "suspend",
    "is suspended",
    """
    Send nothing to destinations.

    Their mail waits until they are resumed, over restarts too, and expires as ever.
    """,
    takesWhy=True,
)
resume = _steering(
    "resume",
    "is resumed",
    """
    Send to destinations again.
    """,
)
flush = _steering(
    "flush",
    "is tried now",
    """
    Try destinations now.

    All of their mail is due at once, and a pause after failures is over.
    """,
)
