# -*- test-case-name: relaymail.test.cli.test_settings -*-
"""
The options that every command has, before its name and after it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import click

#: Where click's context keeps what was said.
_KEY = "relaymail.cli.settings"
#: The variable of the environment that has a token, for where files are awkward.
TOKEN_VARIABLE = "RELAYMAIL_TOKEN"

#: The options, by the attributes of L{Settings}.
EVERY = ("config", "url", "tokenFile", "asJSON")
#: Those of a command that asks no relay.
ALONE = ("asJSON",)
#: Those of a command that reads the configuration, and asks no relay.
HERE = ("config", "asJSON")
#: Those of a command whose options are all its own, for it passes others on or
#: is called by programs.
NONE = ()

Command = TypeVar("Command", bound=click.Command)


@dataclass(frozen=True, slots=True)
class Settings:
    """
    What is said by the options that every command has.

    @ivar config: The configuration file; L{None}: where it usually is.
    @ivar url: Where the relay is asked; L{None}: at its socket on this machine.
    @ivar tokenFile: The file with the token for that.
    @ivar asJSON: Whether programs read what is printed.
    """

    config: str | None = None
    url: str | None = None
    tokenFile: str | None = None
    asJSON: bool = False


def current() -> Settings:
    """
    Give what was said to the command that runs.
    """
    context = click.get_current_context(silent=True)
    said = context.meta.get(_KEY) if context else None
    return said if isinstance(said, Settings) else Settings()


def _note(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """
    Keep what an option says; what is said after the name goes before what is
    said in front of it.
    """
    if value:
        said = context.meta.get(_KEY) or Settings()
        context.meta[_KEY] = replace(said, **{str(parameter.name): value})
    return value


def _option(name: str, word: str, help: str, **more: Any) -> click.Option:
    return click.Option(
        [word, name], help=help, expose_value=False, callback=_note, **more
    )


def _options(names: Collection[str]) -> list[click.Option]:
    path = click.Path()
    made = [
        _option(
            "config",
            "--config",
            "The configuration file.  [default: where the relay looks for it]",
            metavar="FILE",
            type=path,
        ),
        _option(
            "url",
            "--url",
            "Ask the relay there: http://HOST:PORT or https://HOST:PORT.  "
            "[default: at its socket on this machine]",
            metavar="URL",
        ),
        _option(
            "tokenFile",
            "--token-file",
            "The file with the token for --url.  "
            f"[default: {TOKEN_VARIABLE} in the environment]",
            metavar="FILE",
            type=path,
        ),
        _option("asJSON", "--json", "Print JSON, for programs.", is_flag=True),
    ]
    return [each for each in made if each.name in names]


def _saidJSON() -> bool:
    return current().asJSON


def addOptions(command: Command, names: Collection[str] = EVERY) -> Command:
    """
    Give a command the options that every command has, but none that it has
    itself.

    @param names: Those of L{EVERY} that mean something to it.

    @return: The command.
    """
    has = {word: each for each in command.params for word in each.opts}
    for made in _options(names):
        own = has.get(made.opts[0])
        if own is None:
            command.params.append(made)
        elif own.name == "asJSON" and own.expose_value:
            # What is said in front of the name is its default.
            own.default = _saidJSON
    if isinstance(command, click.Group):
        for part in command.commands.values():
            addOptions(part, names)
    return command
