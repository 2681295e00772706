# -*- test-case-name: relaymail.test.cli.test_values -*-
"""
Times and sizes on the command line, read as the configuration reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from relaymail.errors import ConfigurationError


class Read(click.ParamType):  # type: ignore[type-arg]
    """
    A value that a function reads.
    """

    def __init__(self, name: str, reader: Callable[[str], Any]) -> None:
        """
        @param name: What it is, for the help.
        @param reader: What reads it, and raises L{ConfigurationError}.
        """
        self.name = name
        self._reader = reader

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """
        Read a value.

        @raise click.BadParameter: When it is none.
        """
        if not isinstance(value, str):
            return value
        try:
            return self._reader(value)
        except ConfigurationError as e:
            self.fail(str(e), param, ctx)


def _duration(text: str) -> float:
    from relaymail.schedule.backoff import parseDuration

    return parseDuration(text)


def _size(text: str) -> int:
    from relaymail.configuration import parseSize

    return parseSize(text)


#: A time, in seconds.
DURATION = Read("duration", _duration)
#: A size, in octets.
SIZE = Read("size", _size)
