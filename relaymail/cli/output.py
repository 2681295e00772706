# -*- test-case-name: relaymail.test.cli.test_output -*-
"""
What the command prints: tables for people, JSON for programs.

A table is aligned and fits the terminal; where nobody looks, in a pipe or a file,
nothing is cut.  With the package C{rich} a terminal is shown colours.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from relaymail.cli.words import clean, cut, pad, width

#: What is between two columns.
GAP = "  "
#: The narrowest that a column is made so that others fit.
NARROWEST = 8

#: How what is said of a state looks in colour.
STYLES = {
    "held": "yellow",
    "aside": "red",
    "relaying": "green",
    "suspended": "yellow",
    "throttled": "yellow",
    "damaged": "red",
    "running": "green",
}


@dataclass(frozen=True, slots=True)
class Column:
    """
    A column of a table.

    @ivar title: What stands on top.
    @ivar isNumber: Whether it stands at the right.
    @ivar canShrink: Whether it may be cut.
    """

    title: str
    isNumber: bool = False
    canShrink: bool = False


def isTerminal() -> bool:
    """
    Tell whether a person looks at what is printed.
    """
    return sys.stdout.isatty()


def isColourful() -> bool:
    """
    Tell whether to show colours (C{no-color.org}).
    """
    return (
        isTerminal()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM", "dumb") != "dumb"
    )


def columnsOfTerminal() -> int | None:
    """
    Give how wide the terminal is; L{None} where there is none.
    """
    return shutil.get_terminal_size().columns if isTerminal() else None


def show(columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> None:
    """
    Print a table.
    """
    Table(columns).show(rows)


class Table:
    """
    A table that is printed in one piece or in several.

    @ivar columns: Its columns.
    @ivar room: How wide it may be; L{None}: as wide as it is.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = columns
        self.room = columnsOfTerminal()
        self._widths = [width(column.title) for column in columns]
        self._isBegun = False

    def show(self, rows: Iterable[Sequence[object]]) -> None:
        """
        Print some rows, with the titles above the first.
        """
        cells = [[clean(cell) for cell in row] for row in rows]
        colour = _richly() if isColourful() else None
        if colour is None:
            for line in self.lines(cells):
                click.echo(line)
            return
        widths = self._fit(cells)
        colour(self.columns, cells, widths, not self._isBegun)
        self._isBegun = True

    def lines(self, cells: Sequence[Sequence[str]]) -> Iterable[str]:
        """
        Give the lines of some rows.
        """
        widths = self._fit(cells)
        if not self._isBegun:
            self._isBegun = True
            yield self._line([column.title for column in self.columns], widths)
        for row in cells:
            yield self._line(row, widths)

    def _fit(self, cells: Sequence[Sequence[str]]) -> list[int]:
        for row in cells:
            self._widths = list(map(max, self._widths, map(width, row)))
        return fitted(self._widths, self.columns, self.room)

    def _line(self, row: Sequence[str], widths: Sequence[int]) -> str:
        told = [
            pad(cut(cell, columns), columns, right=column.isNumber)
            for cell, columns, column in zip(row, widths, self.columns, strict=True)
        ]
        return GAP.join(told).rstrip()


def fitted(
    widths: Sequence[int], columns: Sequence[Column], room: int | None
) -> list[int]:
    """
    Make columns narrower, the widest of those that can shrink first, until all
    have room.

    @param room: How many columns of the terminal there are; L{None}: any number.
    """
    found = list(widths)
    if room is None:
        return found
    over = sum(found) + len(GAP) * (len(found) - 1) - room
    can = [index for index, column in enumerate(columns) if column.canShrink]
    while over > 0 and can:
        widest = max(can, key=found.__getitem__)
        if found[widest] <= NARROWEST:
            break
        # Not by one: a column can be thousands wide.
        others = [found[index] for index in can if index != widest]
        by = max(1, min(over, found[widest] - max([NARROWEST, *others])))
        found[widest] -= by
        over -= by
    return found


#: What prints rows in colours: columns, cells, widths, and whether titles come first.
_Colour = Callable[
    [Sequence[Column], Sequence[Sequence[str]], Sequence[int], bool], None
]


def _richly() -> _Colour | None:
    """
    Give what prints a table in colours; L{None} without the package C{rich}.
    """
    try:
        from rich.console import Console
        from rich.table import Table as RichTable
        from rich.text import Text
    except ImportError:
        return None

    def show(
        columns: Sequence[Column],
        cells: Sequence[Sequence[str]],
        widths: Sequence[int],
        isFirst: bool,
    ) -> None:
        table = RichTable(
            box=None, pad_edge=False, header_style="bold", show_header=isFirst
        )
        for column, wanted in zip(columns, widths, strict=True):
            table.add_column(
                column.title,
                justify="right" if column.isNumber else "left",
                no_wrap=True,
                overflow="ellipsis",
                width=wanted,
            )
        for row in cells:
            # A Text, for a str would be read for markup.
            table.add_row(*(Text(cell, STYLES.get(cell, "")) for cell in row))
        # Left to itself it would cut IDs and addresses to make room for replies.
        wide = sum(widths) + len(GAP) * len(widths)
        Console(highlight=False, width=wide).print(table)

    return show


def showPairs(pairs: Iterable[tuple[str, object]], indent: str = "") -> None:
    """
    Print what is known of one thing, a line each; what is empty is left out.

    @param indent: What stands before each line.
    """
    said = [
        (clean(name), clean(value)) for name, value in pairs if value not in ("", None)
    ]
    most = max((len(name) for name, _ in said), default=0)
    for name, value in said:
        click.echo(f"{indent}{pad(name + ':', most + 1)} {value}")


def showJSON(value: Any) -> None:
    """
    Print a document.  What terminals obey is escaped in it, as is all that is
    not ASCII.
    """
    click.echo(json.dumps(value, indent=2))


def note(sentence: str) -> None:
    """
    Tell a person something beside what was asked for.
    """
    click.echo(clean(sentence), err=True)
