# -*- test-case-name: relaymail.test.cli.test_importing -*-
"""
C{relaymail queue import}: from a directory queue to a spool.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from relaymail.cli.output import showJSON
from relaymail.cli.settings import current
from relaymail.errors import RelayMailError


@click.command(name="import")
@click.argument("directory", type=click.Path(exists=True, file_okay=False))
@click.argument("spool", type=click.Path(dir_okay=False))
def importMail(directory: str, spool: str) -> None:
    """
    Take mail over from a directory.

    The mail of the queue in DIRECTORY is moved into the file SPOOL, which is
    made when it is missing. No relay may run on either of them. If it is
    interrupted, give the same command again: nothing is lost, and nothing is taken
    twice.
    """
    try:
        moved, left = move(directory, spool)
    except RelayMailError as e:
        raise click.ClickException(str(e)) from e
    if current().asJSON:
        showJSON({"moved": moved, "unreadable": left})
        return
    click.echo(f"{moved} recipients moved from {directory} to {spool}")
    if left:
        click.echo(f"{left} could not be read, and are in {directory}/aside")


def move(directory: str, spool: str) -> tuple[int, int]:
    """
    Move the mail.

    @return: How many recipients were moved, and how many could not be read.

    @raise RelayMailError: When it cannot be done; what was moved by then is in
        the spool.
    """
    # What these need takes a moment to import.
    from twisted.internet.task import Clock

    from relaymail.clocks import wallSeconds
    from relaymail.queue.directory import Queue
    from relaymail.queue.importing import importDirectory
    from relaymail.queue.opening import openSpool

    clock = Clock()
    clock.advance(wallSeconds())
    source = Queue(directory, clock)
    source.noisy = False
    source.check()
    target = openSpool(str(Path(spool).absolute()), clock)
    total = len(source.getWaiting()) + len(source.getResting())
    try:
        with _progress(total) as told:
            moved = importDirectory(source, target, told)
    finally:
        target.stop()
        source.stop()
    return moved, total - moved


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """
    Show on a terminal how far it is.
    """
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    with click.progressbar(length=total, label="Moving", file=sys.stderr) as bar:
        yield lambda count: bar.update(count - bar.pos)
