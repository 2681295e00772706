# -*- test-case-name: relaymail.test.configuration.test_reading -*-
"""
The configuration file: where it is looked for, and how it is read.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from relaymail.configuration.files import LOCAL_FILE as LOCAL_FILE
from relaymail.configuration.files import SYSTEM_FILE as SYSTEM_FILE
from relaymail.configuration.files import VARIABLE as VARIABLE
from relaymail.configuration.files import findFile as findFile
from relaymail.configuration.files import tablesIn, textOf
from relaymail.configuration.lines import findLines, lineOf
from relaymail.configuration.structuring import Layer, structure
from relaymail.configuration.tables import Configuration
from relaymail.configuration.values import Within, showPath


def readConfiguration(explicit: str | None = None) -> Configuration:
    """
    Read the configuration file that holds, or give the defaults.

    @param explicit: The path that somebody named.

    @raise ConfigurationError: When it cannot be used, with all that is wrong, a
        line each.
    """
    path = findFile(explicit)
    return structure([]) if path is None else readFile(path)


def readFile(path: str) -> Configuration:
    """
    Read a configuration file.

    @raise ConfigurationError: When it cannot be used, with all that is wrong, a
        line each.
    """
    return structure([readLayer(path)], os.path.abspath(path))


def readLayer(path: str) -> Layer:
    """
    Read what a configuration file says.

    @raise ConfigurationError: When it cannot be read, or is not TOML.
    """
    text = textOf(path)
    return Layer(
        tablesIn(text, path),
        _placesIn(text, path),
        os.path.dirname(os.path.abspath(path)),
    )


def _placesIn(text: str, path: str) -> Any:
    lines = cache(lambda: findLines(text))

    def where(at: Within) -> str:
        line = lineOf(lines(), at)
        return f"{path}{'' if line is None else f':{line}'}: {showPath(at)}: "

    return where
