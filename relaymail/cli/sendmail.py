# -*- test-case-name: relaymail.test.cli.test_sendmail -*-
"""
C{relaymail sendmail}: what programs call C{/usr/sbin/sendmail}.

It ends with the codes that such programs know (sysexits), and says what went wrong
in one line.
"""

from __future__ import annotations

import os
import pwd
import secrets
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import click

from relaymail.cli.giving import (
    CONFIG,
    DATA,
    LATER,
    OK,
    OS_ERROR,
    Message,
    NotGiven,
    Ways,
    give,
    waysOf,
)
from relaymail.cli.words import clean, now
from relaymail.errors import ConfigurationError, RelayMailError

if TYPE_CHECKING:
    from relaymail.cli.sendmailing import Told
    from relaymail.machines import Machines

#: Octets of randomness in the token of a message.
TOKEN_BYTES = 16


@dataclass(frozen=True, slots=True)
class Setup:
    """
    What the configuration says.

    @ivar machines: What is put in where it is missing.
    @ivar ways: How the relay can be reached.
    @ivar limit: The largest message, in octets; 0 for any.
    """

    machines: Machines
    ways: Ways
    limit: int


class _AsItIs(click.Command):
    """
    A command whose options click does not read: they stand together, and have
    values in ways that it does not know.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--help" in args:
            click.echo(ctx.get_help())
            ctx.exit()
        ctx.params = {"arguments": tuple(args)}
        ctx.args = []
        return []


@click.command(cls=_AsItIs, context_settings={"help_option_names": ["--help"]})
@click.argument("arguments", nargs=-1, metavar="[RECIPIENT]...")
@click.option(
    "-t", is_flag=True, help="Take the recipients from To, Cc and Bcc; remove Bcc."
)
@click.option(
    "-f", "-r", metavar="ADDRESS", help="The sender, <> for none.  [default: the user]"
)
@click.option(
    "-F", metavar="NAME", help="The full name, for a From field that is missing."
)
@click.option(
    "-i", "-oi", is_flag=True, help="A dot alone on a line does not end the message."
)
@click.option("-bs", is_flag=True, help="Speak SMTP on standard input and output.")
@click.option("-bp", is_flag=True, help="List the queue, as mailq does.")
def sendmail(arguments: tuple[str, ...]) -> int:
    """
    Send a message as programs do.

    It is read from the standard input, up to its end or a dot alone on a line.
    Other options of sendmail are taken and mean nothing.  The exit codes are
    those of sysexits: 75 when the message could not be given to the relay now.
    """
    from relaymail.cli.settings import current

    return run(arguments, config=current().config)


def run(
    arguments: Sequence[str],
    setup: Setup | None = None,
    stdin: IO[bytes] | None = None,
    config: str | None = None,
) -> int:
    """
    Do what is told.

    @param setup: What the configuration says; L{None}: read it.
    @param stdin: What is read; L{None} for the standard input.
    @param config: The configuration file; L{None}: where it usually is.

    @return: The exit code.
    """
    try:
        return _obey(
            arguments, lambda: setup or readSetup(config), stdin or sys.stdin.buffer
        )
    except NotGiven as e:
        _say(str(e))
        return e.code
    except ConfigurationError as e:
        _say(str(e))
        return CONFIG
    except RelayMailError as e:
        _say(str(e))
        return DATA
    except OSError as e:
        _say(f"the system says: {e.strerror or e}")
        return OS_ERROR


def _obey(
    arguments: Sequence[str], setup: Callable[[], Setup], stdin: IO[bytes]
) -> int:
    from relaymail.cli.sendmailing import parse

    told = parse(arguments)
    if told.mode == "i":
        return OK
    if told.mode == "p":
        from relaymail.cli.main import main

        given = main(["queue", "list"], prog_name="mailq", standalone_mode=False)
        return given if isinstance(given, int) else OK
    found = setup()
    if told.mode == "s":
        from relaymail.cli.proxying import speakSMTP

        return speakSMTP(found.ways.smtp, stdin, sys.stdout.buffer)
    name, fullName = user()
    give(found.ways, compose(told, found, stdin, name, fullName))
    return OK


def compose(
    told: Told, setup: Setup, stdin: IO[bytes], name: str, fullName: str
) -> Message:
    """
    Make the message to give.

    @param name: The user's name.
    @param fullName: The user's full name, or empty.

    @raise NotGiven: When it cannot be sent.
    """
    from relaymail.cli.sendmailing import (
        author,
        checkRecipients,
        ownAddress,
        readMessage,
        readRecipients,
        readSender,
        withoutBcc,
    )
    from relaymail.headers import splitHeader
    from relaymail.submission import canonical

    machines = setup.machines
    checkRecipients(told)
    data = readMessage(stdin, setup.limit, ignoreDots=told.ignoreDots)
    content = canonical(data)
    sender = readSender(told.sender, name, machines)
    recipients = readRecipients(told, content, machines)
    if told.fromHeader:
        header, rest = splitHeader(content)
        content = withoutBcc(header) + rest
    token = secrets.token_hex(TOKEN_BYTES)
    whose = author(told.name or fullName, sender or ownAddress(name, machines))
    content = machines.complete(content, now(), token, whose)
    return Message(sender, recipients, content, token)


def readSetup(config: str | None = None) -> Setup:
    """
    Read the configuration.

    @param config: Its file; L{None}: where it usually is.

    @raise ConfigurationError: When it cannot be read.
    """
    return setupOf(_readConfiguration(config))


def _readConfiguration(config: str | None) -> Any:
    from relaymail import configuration

    return configuration.readConfiguration(config)


def setupOf(configuration: Any) -> Setup:
    """
    Take what is needed from a configuration.

    @raise ConfigurationError: When it cannot be used.
    """
    from relaymail.machines import Machines

    said = configuration.machines
    return Setup(
        Machines(
            said.origin, said.aliases, said.rewriteSenders, configuration.hostname
        ),
        waysOf(configuration),
        configuration.intake.maxMessageSize,
    )


def user() -> tuple[str, str]:
    """
    Give the name of who runs this, and the full name or nothing.

    @raise NotGiven: When the system knows no name.
    """
    number = os.getuid()
    try:
        found = pwd.getpwuid(number)
    except KeyError:
        raise NotGiven(LATER, f"the user {number} has no name") from None
    return found.pw_name, os.environ.get("NAME") or found.pw_gecos.partition(",")[0]


def _say(sentence: str) -> None:
    click.echo(f"sendmail: {clean(sentence)}", err=True)
