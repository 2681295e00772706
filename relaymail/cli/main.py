# -*- test-case-name: relaymail.test.cli.test_main -*-
"""
The command C{relaymail} and its parts.

It answers at once: a part is imported when it runs, and Twisted's reactor never.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import click

from relaymail import __version__
from relaymail.cli.called import calledAs
from relaymail.cli.lazy import LazyGroup, Part
from relaymail.cli.settings import ALONE, NONE
from relaymail.cli.troubles import UNREAD, end

#: The parts, as the help lists them.
PARTS = (
    Part("serve", "serve:serve", "Run the relay.", NONE),
    Part("status", "status:status", "Show how the relay is."),
    Part("queue", "queue:queue", "Show and change what is queued."),
    Part("destinations", "destinations:destinations", "Show and steer destinations."),
    Part("top", "top:top", "Watch what is queued, by destination and age."),
    Part("explain", "explain:explain", "Tell where mail to an address goes."),
    Part("send", "send:send", "Send a message."),
    Part("sendmail", "sendmail:sendmail", "Send a message as programs do.", NONE),
    Part("config", "config:config", "Check and show the configuration."),
    Part("reload", "status:reload", "Let the relay read its configuration again."),
    Part("auth", "auth:auth", "See to users and their passwords."),
    Part("doctor", "doctor:doctor", "Look for what keeps mail from going."),
    Part("fsck", "fsck:fsck", "Check a queue."),
    Part("bench", "bench:bench", "Measure how fast a relay is.", ALONE),
    Part(
        "demo",
        "demo:demo",
        "Show what the relay does with mail, without a network.",
        ALONE,
    ),
    Part("completion", "completion:completion", "Let a shell complete.", NONE),
    # What it was before there was `relaymail queue`.
    Part("import", "importing:importMail", "", ALONE, isHidden=True),
)


class Main(LazyGroup):
    """
    The command as a whole: where every error ends.
    """

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """
        Run the command, and end the process.

        @param standalone_mode: Whether to do that; else errors are raised, and
            what the part gives is given, as C{click.Command.main} has it.
        """
        if standalone_mode and not args and "args" not in extra:
            args = (calledAs(sys.argv[0], sys.argv[1:]),)
        run = partial(super().main, *args, standalone_mode=False, **extra)
        return end(run) if standalone_mode else run()

    def invoke(self, ctx: click.Context) -> Any:
        """
        Run the part that was asked for.

        @raise click.exceptions.Exit: When nobody reads what it prints any more,
            which is nobody's fault: click would say 1.
        """
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise click.exceptions.Exit(UNREAD) from None


@click.group(
    cls=Main,
    parts=PARTS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(
    __version__, prog_name="relaymail", message="%(prog)s %(version)s"
)
def main() -> None:
    """
    Run a mail relay, see what it does, and tell it what to do.
    """


if __name__ == "__main__":
    main(prog_name="relaymail")
