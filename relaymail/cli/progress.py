# -*- test-case-name: relaymail.test.cli.test_progress -*-
"""
How far long work is, for who waits at a terminal.
"""

from __future__ import annotations

import sys
from types import TracebackType

import click


class Progress:
    """
    A line on the terminal that counts, and is gone in the end.  What takes one
    step only shows nothing.
    """

    def __init__(self, what: str) -> None:
        """
        @param what: What goes on.
        """
        self._what = what
        self._isShown = sys.stderr.isatty()
        self._steps = 0
        self._length = 0

    def __enter__(self) -> Progress:
        return self

    def tell(self, number: int) -> None:
        """
        Say how many are done.
        """
        self._steps += 1
        if self._isShown and self._steps > 1:
            self._write(f"{self._what}: {number:,} so far")

    def _write(self, line: str) -> None:
        click.echo("\r" + line.ljust(self._length), nl=False, err=True)
        self._length = len(line)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._length:
            self._write("")
            click.echo("\r", nl=False, err=True)
