# -*- test-case-name: relaymail.test.cli.test_completion -*-
"""
C{relaymail completion}: what a shell completes with.
"""

from __future__ import annotations

import click

#: What is said when one asks for help: where the script goes.
HELP = """
Let a shell complete the names of commands and options.

\b
bash:  relaymail completion bash > ~/.local/share/bash-completion/completions/relaymail
zsh:   relaymail completion zsh > a file in fpath that is called _relaymail
fish:  relaymail completion fish > ~/.config/fish/completions/relaymail.fish
"""


@click.command(help=HELP, short_help="Let a shell complete.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """
    Print the script for a shell.
    """
    click.echo(script(context.find_root().command, shell))


def script(command: click.Command, shell: str) -> str:
    """
    Give the script for a shell.

    @param command: The command that it completes.
    """
    from click.shell_completion import ShellComplete, get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    made = kind(command, {}, "relaymail", "_RELAYMAIL_COMPLETE")
    # Not its own: that of bash runs the bash of this machine to ask its version.
    return ShellComplete.source(made)
