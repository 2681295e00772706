# -*- test-case-name: relaymail.test.cli.test_lazy -*-
"""
Groups of commands that are imported when they run.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from relaymail.cli.settings import EVERY, addOptions

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

#: Where the commands are.
PACKAGE = "relaymail.cli"


@dataclass(frozen=True, slots=True)
class Part:
    """
    A command that is imported when it runs.

    @ivar name: What it is called.
    @ivar where: The module in this package and the attribute there, between them
        a colon.
    @ivar help: What it does, for a list.
    @ivar options: Which of the options that every command has it has, too.
    @ivar isHidden: Whether no list shows it.
    """

    name: str
    where: str
    help: str
    options: Collection[str] = EVERY
    isHidden: bool = False

    def load(self) -> click.Command:
        """
        Import the command.
        """
        module, _, attribute = self.where.partition(":")
        command = getattr(import_module(f"{PACKAGE}.{module}"), attribute)
        assert isinstance(command, click.Command)
        return addOptions(command, self.options)


class LazyGroup(click.Group):
    """
    A group that knows its parts before they are imported.

    @ivar parts: The parts, by name, in the order of the help.
    """

    def __init__(self, *args: Any, parts: Sequence[Part] = (), **more: Any) -> None:
        super().__init__(*args, **more)
        self.parts = {part.name: part for part in parts}
        addOptions(self)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """
        Give the names of the parts.
        """
        return list(self.parts)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """
        Import a part.
        """
        part = self.parts.get(name)
        return part.load() if part else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """
        Find the part that a command line begins with.

        @raise click.UsageError: When there is none, with the nearest names.
        """
        name = args[0]
        if name in self.parts or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        from difflib import get_close_matches

        shown = [part.name for part in self.parts.values() if not part.isHidden]
        near = get_close_matches(name, shown)
        raise click.UsageError(
            f"There is no command {name[:40]!r}: "
            + (
                f"did you mean {' or '.join(near)}?"
                if near
                else f"try {ctx.command_path} --help."
            ),
            ctx,
        )

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """
        Write what parts there are, without importing one.
        """
        rows = [
            (part.name, part.help) for part in self.parts.values() if not part.isHidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> list[CompletionItem]:
        """
        Give the parts that what was typed can become.
        """
        from click.shell_completion import CompletionItem

        found = [
            CompletionItem(part.name, help=part.help)
            for part in self.parts.values()
            if part.name.startswith(incomplete) and not part.isHidden
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)
