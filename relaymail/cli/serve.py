# -*- test-case-name: relaymail.test.cli.test_serve -*-
"""
C{relaymail serve}: the relay itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from relaymail.cli.settings import Settings, current

#: What Python runs: the same as the command C{twistd}.
CODE = (
    "import sys; sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()"
)

#: The options of C{twistd} that are taken here, with what they are of; they stand
#: before the word C{relaymail} there.
DAEMON_OPTIONS = (
    ("pidfile", "FILE", "Where the number of the process is written."),
    ("logfile", "FILE", "Where the log is written."),
    ("rundir", "DIRECTORY", "Where it runs, and what paths are relative to."),
    ("uid", "USER", "Who it becomes when its ports are open."),
    ("gid", "GROUP", "The group it becomes then."),
    ("umask", "OCTAL", "What files it makes are not for."),
    ("chroot", "DIRECTORY", "What it sees as all there is."),
    ("prefix", "NAME", "Its name in the system's log."),
)
#: Those that have no value.
DAEMON_FLAGS = (
    ("syslog", "Write to the system's log."),
    ("euid", "Become USER in a way that can be undone."),
)


@click.command(
    short_help="Run the relay.",
    # What is not known here is the relay's own, and -h one of its options' values.
    context_settings={
        "ignore_unknown_options": True,
        "help_option_names": ["--help"],
    },
)
@click.option(
    "--daemon", is_flag=True, help="Run in the background; the log is twistd.log."
)
@click.argument(
    "options", nargs=-1, type=click.UNPROCESSED, metavar="[RELAY OPTIONS]..."
)
def serve(daemon: bool, options: Sequence[str], **daemonOptions: Any) -> None:
    """
    Run the relay, in the foreground.

    It is `twistd relaymail`, in the place of this process. RELAY OPTIONS are
    those of the relay, such as --smtp, --queue and --smarthost, which go before the
    configuration file; `relaymail serve --help-options` lists them all. What is
    listed below are options of twistd. In the foreground the log goes to standard
    output, and no file with the number of the process is written unless --pidfile
    names one; with --daemon both are written in the current directory.
    """
    command = commandLine(daemon, daemonOptions, options, current())
    sys.stdout.flush()
    os.execv(command[0], command)


for _name, _metavar, _help in reversed(DAEMON_OPTIONS):
    serve = click.option(f"--{_name}", metavar=_metavar, help=_help)(serve)
for _name, _help in DAEMON_FLAGS:
    serve = click.option(f"--{_name}", is_flag=True, help=_help)(serve)


def commandLine(
    isDaemon: bool,
    daemonOptions: dict[str, Any],
    options: Sequence[str],
    settings: Settings,
) -> list[str]:
    """
    Give the command that runs the relay.

    @param isDaemon: Whether it goes into the background.
    @param daemonOptions: The options of C{twistd}, by name.
    @param options: The options of the relay.
    @param settings: What was said to C{relaymail} itself.
    """
    words = [sys.executable, *_pythonOptions(), "-c", CODE]
    if not isDaemon:
        words.append("--nodaemon")
        # Else it writes twistd.pid, wherever it is.
        daemonOptions = {**daemonOptions, "pidfile": daemonOptions["pidfile"] or ""}
    for name, value in daemonOptions.items():
        if value is True:
            words.append(f"--{name}")
        elif value not in (None, False):
            words.append(f"--{name}={value}")
    words.append("relaymail")
    if settings.config:
        words.append(f"--config={settings.config}")
    told = ["--help" if word == "--help-options" else word for word in options]
    return words + told


def _pythonOptions() -> list[str]:
    """
    Let modules be found where they are found now: in the current directory only
    if this is so here.
    """
    here = {"", os.getcwd()}
    return [] if here & set(sys.path) else ["-P"]
