# -*- test-case-name: relaymail.test.cli.test_authhash -*-
"""
C{relaymail auth hash}: lines for the file of those who may send mail through the
relay.
"""

from __future__ import annotations

import sys
from typing import IO

import click

from relaymail.cli.output import showJSON
from relaymail.cli.settings import current
from relaymail.dialogue.sasl.scram import MAX_ITERATIONS, MIN_ITERATIONS
from relaymail.dialogue.sasl.serving import MAX_PASSWORD
from relaymail.errors import ConfigurationError
from relaymail.intake.users import DEFAULT_ITERATIONS, lineFor


@click.command(name="hash")
@click.argument("user")
@click.option(
    "--password-file",
    "passwordFile",
    type=click.File("rb"),
    help="Read the password from there, - for standard input, instead of asking.",
    metavar="FILE",
)
@click.option(
    "--clear",
    "isClear",
    is_flag=True,
    help="Keep the password as it is, for programs that know only CRAM-MD5.",
)
@click.option(
    "--iterations",
    type=click.IntRange(MIN_ITERATIONS, MAX_ITERATIONS),
    default=DEFAULT_ITERATIONS,
    show_default=True,
    help="How often the password is hashed.",
)
def hashPassword(
    user: str, passwordFile: IO[bytes] | None, isClear: bool, iterations: int
) -> None:
    """
    Make a line for the users file.

    The line is for the file that the option intake.users names: with it USER may send
    mail through the relay. It is printed, and put nowhere:

    \b
    relaymail auth hash tim@example.com >> /etc/relaymail/users

    The password is asked for twice; where that is not possible it is what stands on
    standard input. Who reads the line cannot log in with it, unless --clear is said:
    nobody else may read the file then.
    """
    password = _password(passwordFile)
    try:
        line = lineFor(user, password, isClear=isClear, iterations=iterations)
    except ConfigurationError as e:
        raise click.ClickException(f"no line was made: {e}") from None
    if current().asJSON:
        showJSON({"user": line.partition(":")[0], "line": line})
    else:
        click.echo(line)


def _password(file: IO[bytes] | None) -> bytes:
    if file is not None:
        return _only(file)
    if not sys.stdin.isatty():
        return _only(sys.stdin.buffer)
    # What is printed is a line of a file: the questions go elsewhere.
    asked: str = click.prompt(
        "Password", hide_input=True, confirmation_prompt=True, err=True
    )
    return asked.encode("utf-8", "surrogateescape")


def _only(file: IO[bytes]) -> bytes:
    """
    Read the one line that there is.

    @raise click.ClickException: When there is none, or more.
    """
    # Twice as much as can be used: what is longer is told to be too long.
    line = file.read(2 * MAX_PASSWORD).removesuffix(b"\n").removesuffix(b"\r")
    if not line or b"\n" in line:
        raise click.ClickException(
            "the password is one line, and there is "
            + ("more than one" if line else "none")
        )
    return line
