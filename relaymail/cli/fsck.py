# -*- test-case-name: relaymail.test.cli.test_fsck -*-
"""
C{relaymail fsck}: whether all is well with a queue.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from relaymail.cli.settings import current
from relaymail.errors import RelayMailError

if TYPE_CHECKING:
    from relaymail.queue.findings import Finding, Told
    from relaymail.queue.place import QueuePlace

#: How long to wait before what may only have been under way is looked at again, in
#: seconds: a message that comes or goes does so within that.
MOMENT = 1.0
#: How often the terminal is told how far it is, in seconds.
GLANCE = 0.1


@click.command()
@click.argument("queue", required=False)
@click.option("--json", "asJSON", is_flag=True, help="Print JSON, for programs.")
@click.pass_context
def fsck(context: click.Context, queue: str | None, asJSON: bool) -> None:
    """
    Check a queue.

    QUEUE is a path or KIND:PATH; without it, it is the one that the configuration
    names. A relay may use it meanwhile. Nothing is written or repaired; what to do
    is said. The exit code is 1 when something was found to be wrong.
    """
    try:
        place = placeOf(queue)
        holder, found = examine(place, asJSON)
    except RelayMailError as e:
        raise click.ClickException(str(e)) from e
    show(place, holder, found, asJSON)
    context.exit(1 if any(map(isWrong, found)) else 0)


def isWrong(finding: Finding) -> bool:
    """
    Tell whether something that was found is wrong, and not only good to know.
    """
    from relaymail.queue.findings import Severity

    return finding.severity is not Severity.NOTE


def placeOf(queue: str | None) -> QueuePlace:
    """
    Say which queue is meant.

    @param queue: What was said of it; L{None}: what the configuration says.

    @raise ConfigurationError: When that is none.
    """
    from relaymail import configuration

    if queue is not None:
        return configuration.parseQueue(queue)
    return configuration.readConfiguration(current().config).queue


def examine(
    place: QueuePlace,
    isQuiet: bool = False,
    wait: Callable[[], object] = lambda: time.sleep(MOMENT),
) -> tuple[int | None, list[Finding]]:
    """
    Look a queue through, and show on a terminal how far it is.

    @param place: Where it is.
    @param isQuiet: Whether to show nothing.
    @param wait: Waits a moment.

    @return: The number of the process that uses it, if there is one, and what was
        found.

    @raise QueueUnusable: When there is none, or it cannot be read.
    """
    from relaymail.clocks import wallSeconds
    from relaymail.queue.audit import auditQueue, lockedDirectory, lockHolder

    holder = lockHolder(lockedDirectory(place))
    with _progress(isQuiet) as told:
        return holder, list(auditQueue(place, wallSeconds(), told, wait))


def show(
    place: QueuePlace, holder: int | None, found: Sequence[Finding], asJSON: bool
) -> None:
    """
    Print what was found.
    """
    if asJSON:
        findings = [{**asdict(f), "severity": f.severity.value} for f in found]
        isSound = not any(map(isWrong, found))
        told = {"queue": str(place), "relay": holder, "sound": isSound}
        click.echo(json.dumps({**told, "findings": findings}, indent=2))
        return
    running = (
        "no relay uses it" if holder is None else f"process {holder} relays from it"
    )
    click.echo(f"{place}; {running}")
    for finding in found:
        click.echo(f"{finding.severity.value}: {finding.what}")
        click.echo(f"    so: {finding.consequence}")
        click.echo(f"    do: {finding.remedy}")
    wrong = sum(map(isWrong, found))
    click.echo(f"{wrong} found" if wrong else "all is well")


@contextmanager
def _progress(isQuiet: bool) -> Iterator[Told]:
    """
    Show on a terminal what is looked at.
    """
    if isQuiet or not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    last: dict[str, Any] = {"time": 0.0, "what": ""}

    def told(what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if what == last["what"] and now < last["time"] + GLANCE:
            return
        last.update(time=now, what=what)
        share = f" {100 * done // total} %" if total else f" {done}" if done else ""
        click.echo(f"\r\x1b[KLooking at {what}{share}", nl=False, err=True)

    try:
        yield told
    finally:
        click.echo("\r\x1b[K", nl=False, err=True)
