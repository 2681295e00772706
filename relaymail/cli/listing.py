# -*- test-case-name: relaymail.test.cli.test_listing -*-
"""
C{relaymail queue list} and C{show}: what is queued.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import click

from relaymail.cli.client import quoted
from relaymail.cli.output import Column, Table, isTerminal, note, showJSON, showPairs
from relaymail.cli.reading import client, reader
from relaymail.cli.selecting import selecting
from relaymail.cli.settings import current
from relaymail.cli.troubles import CommandError
from relaymail.cli.words import age, clean, moment, now, size

#: How many entries are listed where nothing is said: some screens full.
LIMIT = 100
#: The most that can be asked for, without asking for all.
MAX_LIMIT = 1_000_000

_COLUMNS = (
    Column("ID", isNumber=True),
    Column("AGE", isNumber=True),
    Column("SIZE", isNumber=True),
    Column("STATE"),
    Column("TRIES", isNumber=True),
    Column("NEXT", isNumber=True),
    Column("SENDER", canShrink=True),
    Column("RECIPIENT", canShrink=True),
    Column("LAST REPLY", canShrink=True),
)


@click.command("list")
@selecting
@click.option(
    "--limit",
    type=click.IntRange(1, MAX_LIMIT),
    default=LIMIT,
    show_default=True,
    metavar="N",
    help="How many at most.",
)
@click.option("--after", metavar="NEXT", help="Go on where a list ended.")
@click.option("--all", "isAll", is_flag=True, help="List all, however many.")
def listQueue(limit: int, after: str | None, isAll: bool, **said: Any) -> None:
    """
    List what is queued.

    The oldest is first. Each line is one recipient of a message; NEXT is when it
    is tried again.
    """
    pages = reader().pages(said, None if isAll else limit, after)
    if current().asJSON:
        _writeJSON(pages)
    else:
        _write(pages)


def _write(pages: Iterator[Any]) -> None:
    table = Table(_COLUMNS)
    listed, following = 0, None
    for page in pages:
        moment_ = now()
        if page["entries"]:
            table.show(_row(entry, moment_) for entry in page["entries"])
        listed += len(page["entries"])
        following = page["next"]
    if not listed and following is None:
        note("Nothing of that is queued.")
    elif following is not None:
        note(f"There is more: --all lists all, and --after {following} goes on here.")


def _writeJSON(pages: Iterator[Any]) -> None:
    """
    Write one document, page by page: all that is queued may not fit in memory.
    """
    # What is before the first entry is written with it: there may be none.
    comma, following = '{"entries": [\n', None
    for page in pages:
        for entry in page["entries"]:
            click.echo(f"{comma}{json.dumps(entry)}", nl=False)
            comma = ",\n"
        following = page["next"]
    start = "" if comma == ",\n" else comma
    told = json.dumps(following)
    isAll = json.dumps(following is None)
    click.echo(f'{start}\n], "next": {told}, "complete": {isAll}}}')


def _row(entry: Mapping[str, Any], time: float) -> list[object]:
    return [
        entry["id"],
        age(time - entry["arrived"]),
        size(entry["size"]),
        entry["state"],
        entry["attempts"],
        _next(entry, time),
        entry["sender"] or "<>",
        entry["recipient"],
        entry["why"] or entry["reply"],
    ]


def _next(entry: Mapping[str, Any], time: float) -> str:
    """
    Say when it is tried next.
    """
    if entry["state"] in ("relaying", "waiting"):
        return "now"
    return age(entry["due"] - time) if entry["state"] == "resting" else "-"


@click.command("show")
@click.argument("id")
@click.option(
    "--content", "isContent", is_flag=True, help="Write the message itself, no more."
)
def showEntry(id: str, isContent: bool) -> None:
    """
    Show all that is known of a recipient's mail.

    Of mail that is no longer queued it tells what became of it, as long as the
    relay remembers that.
    """
    if isContent:
        _writeContent(id)
        return
    source = reader()
    entry = source.entry(id)
    if entry is None:
        raise CommandError(
            f"There is no {clean(id, 40)} in the queue"
            + (
                "; what became of it only a relay that runs can tell."
                if source.isOffline
                else ", and it is not among what became of mail lately: see the log."
            )
        )
    if current().asJSON:
        showJSON(entry)
    elif "outcome" in entry:
        _showOutcome(entry)
    else:
        _showEntry(entry)


def _showOutcome(entry: Mapping[str, Any]) -> None:
    """
    Show what became of it.
    """
    outcome = entry["outcome"] if isinstance(entry["outcome"], dict) else {}
    known = [(name, _told(name, value)) for name, value in outcome.items()]
    showPairs([("id", entry["id"]), ("state", entry["state"]), *known])


def _told(name: str, value: Any) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return (
        moment(value) if name in ("time", "at", "when", "arrived", "ended") else value
    )


def _showEntry(entry: Mapping[str, Any]) -> None:
    time = now()
    standing = entry.get("standing") or {}
    if standing.get("state") == "ready":
        standing = {}
    showPairs(
        [
            ("id", entry["id"]),
            ("message", entry["message"]),
            ("sender", entry["sender"] or "<>"),
            ("recipient", entry["recipient"]),
            ("destination", entry["destination"]),
            ("size", f"{entry['size']} octets"),
            ("parameters", entry.get("parameters")),
            ("came from", _origin(entry)),
            ("arrived", _withAge(entry["arrived"], time)),
            ("attempts", entry["attempts"]),
            ("state", _state(entry)),
            ("why", entry["why"]),
            ("next attempt", _due(entry, time)),
            ("last status", entry["status"]),
            ("last reply", entry["reply"]),
            ("its destination is", standing.get("state")),
            ("because", standing.get("why")),
            ("until", moment(standing["until"]) if standing.get("until") else ""),
        ]
    )
    if entry.get("header"):
        click.echo()
        for line in str(entry["header"]).splitlines():
            click.echo(_printed(line))


def _origin(entry: Mapping[str, Any]) -> str:
    """
    Say where the message came in from, or nothing where there is nothing to say.
    """
    host, user = entry.get("client") or "", entry.get("user") or ""
    return f"{host or 'this host'} as {user}" if user else host


def _state(entry: Mapping[str, Any]) -> str:
    isReleased = entry.get("released")
    return f"{entry['state']}, released by hand" if isReleased else entry["state"]


def _withAge(then: float, time: float) -> str:
    return f"{moment(then)} ({age(time - then)} ago)"


def _due(entry: Mapping[str, Any], time: float) -> str:
    if entry["state"] != "resting":
        return ""
    return f"{moment(entry['due'])} (in {age(entry['due'] - time)})"


def _printed(line: str) -> str:
    """
    Make a line safe for a terminal; where it begins with space, that means
    something.
    """
    return (" " if line[:1] in (" ", "\t") else "") + clean(line)


def _writeContent(id: str) -> None:
    """
    Write a message: as it is into a file or a pipe, but safe to a terminal.
    """
    if current().asJSON:
        raise click.UsageError("--content writes the message itself, never JSON.")
    pieces = client().content(f"queue/{quoted(id)}/content")
    if not isTerminal():
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        return
    for line in _linesOf(pieces):
        click.echo(_printed(line))


def _linesOf(pieces: Iterator[bytes]) -> Iterator[str]:
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line.rstrip(b"\r").decode("utf-8", "backslashreplace")
    if rest:
        yield rest.decode("utf-8", "backslashreplace")
