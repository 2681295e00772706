# -*- test-case-name: relaymail.test.cli.test_bench -*-
"""
C{relaymail bench}: how fast a relay is.
"""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from relaymail.bench.mail import (
    MAX_MESSAGES,
    MAX_RECIPIENTS,
    MAX_SENDERS,
    MAX_SIZE,
    MIN_SIZE,
    Work,
)
from relaymail.cli.values import SIZE
from relaymail.errors import RelayMailError

if TYPE_CHECKING:
    from relaymail.bench.relays import Target
    from relaymail.bench.runner import Plan, Report

#: How many messages there are where nothing is said.
MESSAGES = 5000
#: The same for the latency, where each waits for the one before.
PACED_MESSAGES = 200
#: How many senders there are where nothing is said.
SENDERS = 10
#: The most runs.
MAX_RUNS = 1000
#: The most deliveries in a run: their times are kept in memory, 8 octets each
#: there and many more while they are counted.
MAX_DELIVERIES = 10_000_000
#: The longest time without any sign of mail, in seconds.
MAX_PATIENCE = 3600

_RELAY = re.compile(r"(?:([^=\s]+)=)?(?:\[([0-9a-fA-F:]+)\]|([^:\s=]+)):(\d{1,5})")


def parseSize(value: str) -> int:
    """
    Read a size in octets, as the configuration does.

    @raise click.BadParameter: When it is none, or none of a message.
    """
    size: int = SIZE.convert(value, None, None)
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise click.BadParameter(
            f"{value!r} is no size from {MIN_SIZE} to 1024M, such as 10K."
        )
    return size


@dataclass(frozen=True, slots=True)
class Address:
    """
    A relay that was named.

    @ivar name: What it is called.
    @ivar host: Its address, empty for our own relay.
    @ivar port: Its port.
    """

    name: str
    host: str = ""
    port: int = 0


def parseRelay(value: str) -> Address:
    """
    Read C{own}, or C{[NAME=]HOST:PORT}.

    @raise click.BadParameter: When it is neither.
    """
    if value == "own":
        return Address("relaymail")
    found = _RELAY.fullmatch(value)
    if found is None or not 0 < int(found[4]) < 65536:
        raise click.BadParameter(f"{value!r} is neither own nor [NAME=]HOST:PORT.")
    host = found[2] or found[3]
    return Address(found[1] or f"{host}:{found[4]}", host, int(found[4]))


@click.command(context_settings={"show_default": True})
@click.option(
    "--size",
    "sizes",
    type=parseSize,
    metavar="SIZE",
    multiple=True,
    default=("1K",),
    help="Octets of a message; K and M are understood. Repeat it for several.",
)
@click.option(
    "--senders",
    type=click.IntRange(1, MAX_SENDERS),
    help=f"Connections that give mail at a time.  [default: {SENDERS}]",
)
@click.option(
    "--messages",
    type=click.IntRange(1, MAX_MESSAGES),
    help=f"Messages in each run.  [default: {MESSAGES}; {PACED_MESSAGES} with "
    "--latency]",
)
@click.option(
    "--per-connection",
    type=click.IntRange(0),
    help="Messages on each connection, 0 for no end.  [default: 1; 0 with --latency]",
)
@click.option(
    "--recipients",
    type=click.IntRange(1, MAX_RECIPIENTS),
    default=1,
    help="Recipients of each message, all in one domain.",
)
@click.option(
    "--latency",
    is_flag=True,
    show_default=False,
    help="Send one message at a time to an idle relay.",
)
@click.option(
    "--runs",
    type=click.IntRange(1, MAX_RUNS),
    default=5,
    help="Runs of each relay with each size; their medians are shown.",
)
@click.option(
    "--relay",
    "relays",
    type=parseRelay,
    multiple=True,
    metavar="[NAME=]HOST:PORT|own",
    help="A relay that runs already and gives all mail to the sink, or relaymail's "
    "own. Repeat it to compare several: they take turns.  [default: own]",
)
@click.option(
    "--sink-port",
    type=click.IntRange(0, 65535),
    default=0,
    help="The port of the sink on 127.0.0.1, 0 for any: the next hop of another relay.",
)
@click.option(
    "--relay-pid",
    "pids",
    metavar="[NAME=]PID",
    multiple=True,
    help="A process of the other relay (of that name), to add up its processor time "
    "and memory and its descendants'.",
)
@click.option(
    "--relay-pid-of",
    "names",
    metavar="[NAME=]PROCESS",
    multiple=True,
    help="The same for all processes with a name, such as master.",
)
@click.option(
    "--queue",
    help="Where our own relay keeps its mail, as its option --queue says it.  "
    "[default: a new place in the current directory for each run]",
)
@click.option(
    "--max-connections",
    type=click.IntRange(1),
    help="Our own relay's connections to the sink.  [default: the relay's]",
)
@click.option(
    "--patience",
    type=click.FloatRange(1, MAX_PATIENCE),
    default=60.0,
    help="Seconds without any sign of mail until what is missing is given up.",
)
@click.option(
    "--json",
    "asJSON",
    is_flag=True,
    show_default=False,
    help="Print JSON, no table.",
)
def bench(**options: Any) -> None:
    """
    Measure how fast a relay is.

    A source gives it mail, a sink is its next hop, each in a process of its own
    on this machine. Shown are: messages per second that the relay accepts, and
    that reach the sink; the relay's processor time for each message and its most
    memory; how long a message takes from the relay's 250 to the sink's; and how
    long the disk takes for fdatasync. The exit code is 1 when mail was lost.
    """
    plan = planned(options)
    endBySignals()
    report = _measure(plan)
    show(report, asJSON=options["asJSON"])
    sys.exit(1 if report.lost else 0)


def endBySignals() -> None:
    """
    Let every signal that asks for an end be one that ends our processes, too.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def planned(options: Mapping[str, Any]) -> Plan:
    """
    Make a plan of the command's options.

    @raise click.UsageError: When they do not go together.
    """
    from relaymail.bench.runner import Plan

    works = worksOf(options)
    addresses = options["relays"] or (Address("relaymail"),)
    targets = targetsOf(addresses, options)
    if options["sink_port"] == 0 and any(address.host for address in addresses):
        raise click.UsageError(
            "Another relay must know its next hop: name the sink's port there and "
            "here with --sink-port."
        )
    here = Path.cwd()
    return Plan(
        relays=targets,
        works=works,
        runs=options["runs"],
        place=here,
        disk=diskOf(options["queue"]) or here,
        sinkPort=options["sink_port"],
        patience=options["patience"],
    )


def worksOf(options: Mapping[str, Any]) -> list[Work]:
    """
    Give the work of each size.

    @raise click.UsageError: When it is too much.
    """
    paced = options["latency"]
    if paced and (options["senders"] or 1) > 1:
        raise click.UsageError("--latency has one sender: leave --senders out.")
    messages = options["messages"] or (PACED_MESSAGES if paced else MESSAGES)
    if messages * options["recipients"] > MAX_DELIVERIES:
        raise click.UsageError(
            f"--messages times --recipients can be {MAX_DELIVERIES} at most."
        )
    each = options["per_connection"]
    usual = 0 if paced else 1
    return [
        Work(
            size=size,
            senders=1 if paced else options["senders"] or SENDERS,
            messages=messages,
            perConnection=usual if each is None else each,
            recipients=options["recipients"],
            paced=paced,
        )
        for size in options["sizes"]
    ]


def targetsOf(addresses: Sequence[Address], options: Mapping[str, Any]) -> list[Target]:
    """
    Give the relays that were named, each with the processes that were named for
    it.

    @raise click.UsageError: When it is not clear what belongs to which.
    """
    from relaymail.bench.machine import Watched
    from relaymail.bench.relays import Other, Own

    names = [address.name for address in addresses]
    if len(set(names)) < len(names):
        raise click.UsageError("Two relays have one name: give each --relay its own.")
    others = [address.name for address in addresses if address.host]
    pids = assigned("--relay-pid", options["pids"], others)
    processes = assigned("--relay-pid-of", options["names"], others)
    if not all(pid.isdecimal() for name in others for pid in pids[name]):
        raise click.UsageError("--relay-pid takes the number of a process.")
    targets: list[Target] = []
    for address in addresses:
        name = address.name
        if address.host:
            watched = Watched(tuple(map(int, pids[name])), tuple(processes[name]))
            targets.append(Other(name, address.host, address.port, watched))
        else:
            targets.append(Own(name, options["queue"], options["max_connections"]))
    return targets


def assigned(
    option: str, values: Sequence[str], names: Sequence[str]
) -> dict[str, list[str]]:
    """
    Give to each relay what was said of it, as C{NAME=VALUE}, or as C{VALUE}
    where there is one relay only.

    @param option: The option, for errors.
    @param values: What was said.
    @param names: The relays that something can be said of.

    @raise click.UsageError: When it is said of none of these.
    """
    found: dict[str, list[str]] = {name: [] for name in names}
    for value in values:
        name, equals, rest = value.rpartition("=")
        if not equals and len(names) == 1:
            name = names[0]
        if name not in found or not rest:
            raise click.UsageError(
                f"{option} {value} belongs to no relay: say which as NAME={rest}, "
                f"NAME being one of: {', '.join(names) or 'none but our own'}."
            )
        found[name].append(rest)
    return found


def diskOf(queue: str | None) -> Path | None:
    """
    Give the directory whose disk holds a queue, the nearest one that exists, or
    L{None} where no queue was named.

    @param queue: C{[KIND:]PATH}.
    """
    if queue is None:
        return None
    kind, colon, path = queue.partition(":")
    place = Path(path if colon and kind.isalpha() else queue).absolute()
    return next(each for each in (place, *place.parents) if each.is_dir())


def _measure(plan: Plan) -> Report:
    from relaymail.bench.runner import perform

    try:
        with _bar(plan) as bar:
            return perform(plan, bar.update if bar is not None else _quiet)
    except RelayMailError as e:
        raise click.ClickException(str(e)) from e


def _quiet(count: int) -> None:
    """
    Show nothing: there is no terminal.
    """


def _bar(plan: Plan) -> AbstractContextManager[Any]:
    if not sys.stderr.isatty():
        return nullcontext()
    return click.progressbar(
        length=plan.deliveries, label="Relaying", file=sys.stderr, show_pos=True
    )


def show(report: Report, *, asJSON: bool) -> None:
    """
    Print a report.
    """
    from relaymail.bench.figures import remarks, table

    if asJSON:
        click.echo(json.dumps(report.asDict(), indent=2))
    else:
        click.echo(table(report.all))
        click.echo(f"fdatasync: {report.fdatasync * 1000:.2f} ms")
    for remark in remarks(report.all):
        click.echo(remark, err=True)
