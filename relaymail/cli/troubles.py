# -*- test-case-name: relaymail.test.cli.test_troubles -*-
"""
How the command ends when something went wrong: with one sentence, and a code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any, NoReturn

import click

from relaymail.cli.words import clean
from relaymail.errors import ConfigurationError, RelayMailError

#: What was asked for was not done.
FAILED = 1
#: The relay is needed, and does not run (EX_UNAVAILABLE of sysexits).
DOWN = 69
#: It may work later (EX_TEMPFAIL of sysexits).
LATER = 75
#: The user ended it (128 and the number of SIGINT), as shells have it.
INTERRUPTED = 130
#: Who reads what is printed has gone (128 and the number of SIGPIPE).
UNREAD = 141

#: How many more lines an error has at most: who mends those sees the others.
MAX_LINES = 100

#: The variable of the environment that asks for tracebacks, for who mends
#: relaymail.
DEBUG = "RELAYMAIL_DEBUG"


class CommandError(click.ClickException):
    """
    What was asked for was not done.

    Its message is the sentence: what was tried, what came back, what to do.

    @cvar exit_code: The code that the command ends with.
    """

    exit_code = FAILED

    def show(self, file: IO[Any] | None = None) -> None:
        """
        Say it.
        """
        say(self.format_message(), file)


class ServiceDown(CommandError):
    """
    The relay does not answer: it is not running, or is elsewhere.
    """

    exit_code = DOWN


class NotNow(CommandError):
    """
    It may work later.
    """

    exit_code = LATER


def say(sentence: str, file: IO[Any] | None = None) -> None:
    """
    Print an error.
    """
    click.echo(f"relaymail: {clean(sentence)}", file=file or sys.stderr)


def sayAll(error: RelayMailError) -> None:
    """
    Print what is wrong; in a configuration that can be much, a line each.
    """
    isMuch = isinstance(error, ConfigurationError)
    first, *others = (str(error).splitlines() if isMuch else [str(error)]) or [""]
    say(first)
    for line in others[:MAX_LINES]:
        click.echo(f"  {clean(line)}", file=sys.stderr)


def end(run: Callable[[], Any]) -> NoReturn:
    """
    Run a command, and end the process.  What went wrong is said in one sentence.

    @param run: What runs it; an C{int} that it gives is the exit code.

    @raise SystemExit: Always.
    """
    try:
        given = run()
        code = given if isinstance(given, int) else 0
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as e:
        code = codeOf(e)
    _flush()
    sys.exit(code)


def codeOf(error: BaseException) -> int:
    """
    Say an error, and give the code to end with.
    """
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, click.Abort):
        return _aborted(error)
    if isinstance(error, click.UsageError | CommandError):
        error.show()
        return error.exit_code
    if isinstance(error, click.ClickException):
        say(error.format_message())
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        return UNREAD
    if isinstance(error, RelayMailError):
        sayAll(error)
        return FAILED
    if os.environ.get(DEBUG):
        raise error
    if isinstance(error, OSError):
        what = error.strerror or str(error) or type(error).__name__
        say(f"{error.filename}: {what}" if error.filename else what)
        return FAILED
    say(
        f"a mistake in relaymail itself: {type(error).__name__}: {error}. Please tell "
        f"its makers; with {DEBUG}=1 in the environment it says where that was."
    )
    return FAILED


def _aborted(error: click.Abort) -> int:
    if isinstance(error.__cause__, KeyboardInterrupt):
        return INTERRUPTED
    say("nothing was done.")
    return FAILED


def _flush() -> None:
    """
    Write what is left; where nobody reads it, let Python not complain at exit.
    """
    try:
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
