# -*- test-case-name: relaymail.test.configuration.test_structuring -*-
"""
What a relay is told to do.

The options are the attributes of the classes in L{relaymail.configuration.tables}:
their defaults, bounds and explanations stand there, and only there.  The kinds of
values are in L{relaymail.configuration.kinds}.  A L{Configuration} comes from a
file (L{readConfiguration}), from the options of C{twistd} over it, or from a program
(L{configure}).
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relaymail.configuration.comparing import changes, needRestart
    from relaymail.configuration.reading import findFile, readConfiguration, readFile
    from relaymail.configuration.secrets import readHosts, readRoutes, readToken
    from relaymail.configuration.structuring import configure
    from relaymail.configuration.tables import (
        DEFAULT_CONNECTIONS,
        DEFAULT_MESSAGES,
        DEFAULT_QUEUE,
        DEFAULT_SMTP,
        SMTP_PORT,
        Configuration,
        Control,
        Delivery,
        Intake,
        Machines,
    )
    from relaymail.configuration.words import (
        chooseHostname,
        parseNamedRate,
        parseNumber,
        parseQueue,
        parseSize,
    )

__all__ = [
    "DEFAULT_CONNECTIONS",
    "DEFAULT_MESSAGES",
    "DEFAULT_QUEUE",
    "DEFAULT_SMTP",
    "SMTP_PORT",
    "Configuration",
    "Control",
    "Delivery",
    "Intake",
    "Machines",
    "changes",
    "chooseHostname",
    "configure",
    "findFile",
    "needRestart",
    "parseNamedRate",
    "parseNumber",
    "parseQueue",
    "parseSize",
    "readConfiguration",
    "readFile",
    "readHosts",
    "readRoutes",
    "readToken",
]

#: Where each of these is.
_HOMES = {
    "comparing": (
        "changes",
        "needRestart",
    ),
    "reading": (
        "findFile",
        "readConfiguration",
        "readFile",
    ),
    "secrets": (
        "readHosts",
        "readRoutes",
        "readToken",
    ),
    "structuring": ("configure",),
    "tables": (
        "DEFAULT_CONNECTIONS",
        "DEFAULT_MESSAGES",
        "DEFAULT_QUEUE",
        "DEFAULT_SMTP",
        "SMTP_PORT",
        "Configuration",
        "Control",
        "Delivery",
        "Intake",
        "Machines",
    ),
    "words": (
        "chooseHostname",
        "parseNamedRate",
        "parseNumber",
        "parseQueue",
        "parseSize",
    ),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        # What only asks where the relay is does not wait for all of the others.
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
