# -*- test-case-name: relaymail.test.cli.test_top -*-
"""
C{relaymail top}: what is queued by destination and age, and what goes on.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import click

from relaymail.cli.destinations import connections
from relaymail.cli.output import Column, Table, isTerminal, showJSON
from relaymail.cli.reading import Reader, reader
from relaymail.cli.settings import current
from relaymail.cli.words import clean, cut, moment

#: How long a picture stands, in seconds.
INTERVAL = 2.0
#: How many destinations are shown where there is no terminal to be filled.
LIMIT = 20
#: The most that can be asked for.
MAX_LIMIT = 1000
#: How many lines of a terminal are not destinations'.
OTHER_LINES = 6
#: How many columns, the last, only a relay that runs fills.
ONLINE = 3

#: What a terminal is told: take another page, and go back to the first; clear
#: the page, and go to its start (ECMA-48).
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_CLEAR = "\x1b[H\x1b[J"


@click.command()
@click.option("--once", is_flag=True, help="Show it once.")
@click.option(
    "--limit",
    type=click.IntRange(1, MAX_LIMIT),
    metavar="N",
    help=f"How many destinations.  [default: as many as have room, or {LIMIT}]",
)
def top(once: bool, limit: int | None) -> None:
    """
    Watch what is queued, by destination and age.

    Each number is how many recipients' mail is younger than what is above it, and
    older than what is left of that. On a terminal it is shown anew every two
    seconds, until q or Ctrl-C is pressed.
    """
    source = reader()
    if current().asJSON:
        showJSON(source.top(limit or LIMIT))
    elif once or not isLive():
        for line in picture(source.top(limit or LIMIT)):
            click.echo(line)
    else:
        _watched(source, limit)


def isLive() -> bool:
    """
    Tell whether there is a terminal to be written again and again.
    """
    return (
        isTerminal()
        and sys.stdin.isatty()
        and os.environ.get("TERM", "dumb") not in ("", "dumb")
    )


def watch(source: Reader, limit: int | None) -> None:
    """
    Show it until somebody has seen enough.
    """
    with _screen():
        while True:
            size = shutil.get_terminal_size()
            most = limit or max(1, min(size.lines - OTHER_LINES, MAX_LIMIT))
            lines = list(picture(source.top(most)))[: size.lines - 1]
            shown = "\r\n".join(cut(line, size.columns) for line in lines)
            sys.stdout.write(_CLEAR + shown)
            sys.stdout.flush()
            if _pressed(INTERVAL):
                return


def _watched(source: Reader, limit: int | None) -> None:
    # Ctrl-C is one of the ways to say that one has seen enough.
    with suppress(KeyboardInterrupt):
        watch(source, limit)


@contextmanager
def _screen() -> Iterator[None]:
    """
    Take the terminal for oneself, and give it back as it was.
    """
    import termios
    import tty

    keys = sys.stdin.fileno()
    before = termios.tcgetattr(keys)
    try:
        tty.setcbreak(keys)
        sys.stdout.write(_ENTER)
        yield
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
        termios.tcsetattr(keys, termios.TCSADRAIN, before)


def _pressed(seconds: float) -> bool:
    """
    Wait, and tell whether somebody wants an end.
    """
    import select

    keys = sys.stdin.fileno()
    ready, _, _ = select.select([keys], [], [], seconds)
    if not ready:
        return False
    # Not by the file, which would keep what it has read beyond one key.
    pressed = os.read(keys, 64)
    return not pressed or b"q" in pressed.lower()


def picture(told: Mapping[str, Any]) -> Iterator[str]:
    """
    Give the lines of it.

    @param told: The document of the API.
    """
    yield _heading(told)
    open_, rates = told.get("connections"), told.get("rates")
    if rates:
        each = ", ".join(f"{rate:.1f} {name}" for name, rate in rates.items())
        yield clean(f"each second of the last minute: {each}")
    yield ""
    # What a spool alone does not tell leaves room for what it does.
    columns = columnsOf(told["bounds"])
    known = len(columns) if open_ else len(columns) - ONLINE
    table = Table(columns[:known])
    total = {**told["total"], "name": "TOTAL"}
    rows = [_row(row)[:known] for row in [total, *told["rows"]]]
    yield from table.lines([[clean(cell) for cell in row] for row in rows])
    if told.get("sampled"):
        yield "The ages are reckoned from a part of the mail."


def _heading(told: Mapping[str, Any]) -> str:
    words = [moment(told["time"]), f"{told['total']['total']:,} queued"]
    open_ = told.get("connections")
    if open_:
        out = connections(open_.get("out"), open_.get("max"))
        words += [f"connections {open_.get('in')} in, {out} out"]
    return clean("   ".join(words))


def columnsOf(bounds: Sequence[float]) -> list[Column]:
    """
    Give the columns.

    @param bounds: What is between the ages, in seconds.
    """
    titles = [f"{bound / 60:.0f}m" for bound in bounds]
    ages = [Column(title, isNumber=True) for title in [*titles, "more"]]
    return [
        Column("DESTINATION", canShrink=True),
        Column("TOTAL", isNumber=True),
        *ages,
        Column("CONN", isNumber=True),
        Column("STATE"),
        Column("LAST REPLY", canShrink=True),
    ]


def _row(row: Mapping[str, Any]) -> list[object]:
    open_ = row.get("connections")
    return [
        row["name"],
        row["total"],
        *(number or "." for number in row["ages"]),
        "" if open_ is None else open_,
        row.get("state") or "",
        row.get("lastReply") or "",
    ]
