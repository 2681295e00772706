# -*- test-case-name: relaymail.test.cli.test_reference -*-
"""
The reference of the command, from its own help: C{python -m
relaymail.cli.reference} prints C{docs/commands.rst}.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from relaymail.cli.lazy import LazyGroup
from relaymail.cli.main import main
from relaymail.cli.settings import EVERY

#: What stands on top.
HEAD = """\
The command
===========

.. This page is printed by ``python -m relaymail.cli.reference``: change the help
   of the commands instead.

``relaymail`` runs the relay, shows what it does, and tells it what to do. It asks
the relay through its control socket; while the relay does not run, what only reads
reads the spool itself.

Exit codes: 0 done; 1 not done, or not all of it; 2 the command line is wrong; 69
the relay is needed, and does not run; 75 it may work later; 130 ended by Ctrl-C.
Every error is one sentence on standard error.
"""

#: What is to be typed: what is quoted, options and URLs.
_TYPED = re.compile(
    r"(`[^`]+`"
    r"|(?<![\w-])--[a-z][a-z-]*"
    r"|https?://[\w:/.-]*\w"
    r"|(?:[\w.]+|\*)?@[\w.]+\w)"
)

#: How a heading is underlined, by depth.
_LINES = "=-~^"


def reference() -> str:
    """
    Give the page.
    """
    context = click.Context(main, info_name="relaymail")
    lines = [HEAD, "", *_common(context)]
    for name in main.list_commands(context):
        lines += _command(main, name, context, 1)
    text = "\n".join(lines)
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def _common(context: click.Context) -> Iterator[str]:
    yield "Options of every command"
    yield "------------------------"
    yield ""
    yield "They stand before the name of the command or after it."
    yield ""
    yield from _options(main, context, isCommon=True)


def _command(
    group: click.Group, name: str, parent: click.Context, depth: int
) -> Iterator[str]:
    part = group.parts.get(name) if isinstance(group, LazyGroup) else None
    if part is not None and part.isHidden:
        return
    command = group.get_command(parent, name)
    assert command is not None
    context = click.Context(command, parent=parent, info_name=name)
    title = context.command_path
    yield from (title, _LINES[depth] * len(title), "")
    usage = command.collect_usage_pieces(context)
    yield from ("::", "", f"    {' '.join([title, *usage])}", "")
    yield from _prose(command)
    yield from _options(command, context, isCommon=False)
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            yield from _command(command, each, context, depth + 1)


def _prose(command: click.Command) -> Iterator[str]:
    """
    Give the help; a paragraph that click is told to leave alone is a block here.
    """
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        text = paragraph.strip("\n")
        if text.startswith("\b"):
            yield from ("::", "", *("    " + line for line in text.split("\n")[1:]), "")
        else:
            yield from (_marked(text), "")


def _marked(text: str) -> str:
    """
    Mark what is to be typed, which would else be read as something else.
    """
    return "".join(
        f"``{part.strip('`')}``" if index % 2 else part.replace("*", "\\*")
        for index, part in enumerate(_TYPED.split(text))
    )


def _options(
    command: click.Command, context: click.Context, *, isCommon: bool
) -> Iterator[str]:
    for parameter in command.params:
        if not isinstance(parameter, click.Option) or parameter.hidden:
            continue
        if (parameter.name in EVERY and not parameter.expose_value) is not isCommon:
            continue
        record = parameter.get_help_record(context)
        if record is not None and "--version" not in parameter.opts:
            yield f"``{record[0]}``"
            yield "    " + _marked(record[1].replace("  [", " ["))
    yield ""


if __name__ == "__main__":
    click.echo(reference(), nl=False)
