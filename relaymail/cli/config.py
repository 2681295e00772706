# -*- test-case-name: relaymail.test.cli.test_config -*-
"""
C{relaymail config}: explain the options, show what a configuration says, and find
what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import click

from relaymail.cli.output import Column, note, show, showJSON
from relaymail.cli.settings import current
from relaymail.cli.troubles import FAILED, CommandError, say
from relaymail.cli.words import clean
from relaymail.errors import ConfigurationError, RelayMailError

if TYPE_CHECKING:
    from relaymail.configuration import Configuration
    from relaymail.configuration.describing import Description

#: How many destinations of a queue are looked at, those with the most mail first: as
#: many as a spool gives in one go.
MAX_DESTINATIONS = 1_000

#: What endpoints begin with that systemd hands to the relay, and to nobody else.
_HANDED = "systemd:"

_COLUMNS = (
    Column("DESTINATION", canShrink=True),
    Column("QUEUED", isNumber=True),
    Column("PROBLEM", canShrink=True),
)


@click.group()
def config() -> None:
    """
    Check and show the configuration.
    """


@config.command()
@click.argument("option", metavar="[TABLE | TABLE.KEY]", required=False)
@click.option("--rst", "asRst", is_flag=True, help="Print a part of a page.")
def describe(option: str | None, asRst: bool) -> None:
    """
    Explain the options: all, those of a table, or one.
    """
    from relaymail.configuration import describing

    told = _described(option)
    if current().asJSON:
        showJSON([describing.toJson(each) for each in told])
    elif asRst:
        click.echo(describing.asRst(told), nl=False)
    else:
        click.echo("\n\n".join(map(describing.asText, told)))


@config.command(name="show")
@click.option("--all", "everything", is_flag=True, help="Show the defaults, too.")
def showCommand(everything: bool) -> None:
    """
    Show what differs from the defaults, as it may stand in a file.

    Secrets are not shown; where they are kept is.
    """
    from relaymail.configuration.showing import show, shownOptions

    told = readTold()
    if current().asJSON:
        said = shownOptions(told, everything)
        showJSON({"file": told.file, "options": said})
        return
    note(f"# {told.file or 'there is no file'}")
    text = show(told, everything)
    if text:
        click.echo(text, nl=False)
    else:
        note("# nothing differs from the defaults")


@config.command()
@click.option(
    "--against-queue",
    "againstQueue",
    is_flag=True,
    help="Say, too, which queued mail would have no route.",
)
def check(againstQueue: bool) -> int:
    """
    Say what is wrong with the configuration; the exit code is 1 then.

    Files of keys, certificates and passwords are read, and commands that print
    passwords are run. Nothing is opened or sent, and the relay, if it runs, is not
    asked.
    """
    document: dict[str, Any] = {"file": None, "problems": []}
    try:
        told = readTold()
    except ConfigurationError as e:
        document["problems"] = str(e).split("\n")
    else:
        document["file"] = told.file
        document["problems"] = list(_furtherProblems(told))
        if againstQueue:
            document |= _judged(told)
    isRight = not document["problems"] and not document.get("unroutable")
    if current().asJSON:
        showJSON(document)
    else:
        _tell(document)
    return 0 if isRight else FAILED


def readTold() -> Configuration:
    """
    Read the configuration, and tell of a file that is passed over.

    @raise ConfigurationError: When it cannot be used.
    """
    from relaymail.configuration import readConfiguration
    from relaymail.configuration.files import passedOver

    file = current().config
    problem = passedOver(file)
    if problem is not None:
        note(problem)
    return readConfiguration(file)


def _described(option: str | None) -> tuple[Description, ...]:
    """
    Find the options that are meant.

    @raise CommandError: When there is none.
    """
    from relaymail.configuration.describing import describeAll

    every = describeAll()
    if option is None:
        return every
    name = option.strip("[]").lower()
    found = [each for each in every if name in (each.table, each.path)]
    found = found or [each for each in every if name in (each.key, each.flagName)]
    if found:
        return tuple(found)
    known = {each.path for each in every} | {each.key for each in every}
    known |= {each.table for each in every if each.table}
    near = get_close_matches(name, sorted(known), 3)
    meant = f"did you mean {' or '.join(near)}?" if near else "give none to see all."
    raise CommandError(f"There is no option or table {option[:80]!r}: {meant}")


def _furtherProblems(told: Configuration) -> Iterator[str]:
    """
    Find what is only seen by looking into what the options name.
    """
    # Twisted knows what its endpoints are, and takes a moment to import.
    from relaymail.assembly import checkUsers
    from relaymail.certificates import loadTLS
    from relaymail.configuration.entering import checkEntering, remarks
    from relaymail.configuration.remarks import deliveryRemarks
    from relaymail.configuration.routes import hostsOf
    from relaymail.configuration.rules import checkFilesOf
    from relaymail.configuration.secrets import readHost, readToken
    from relaymail.ports import checkEndpoint

    control = [told.control.endpoint] if told.control.endpoint else []
    looks: list[tuple[str, Any, tuple[Any, ...]]] = [
        *(
            (f"intake.{each.kind}", checkEndpoint, (each.endpoint,))
            for each in told.intake.openings
            if not each.endpoint.startswith(_HANDED)
        ),
        ("", checkEntering, (told.intake,)),
        ("intake.users", checkUsers, (told.intake.users,)),
        ("intake.tls-key", loadTLS, (told.intake.tlsKey, told.intake.tlsCert)),
        *(
            (f"delivery.smart-hosts[{index}]", readHost, (each,))
            for index, each in enumerate(told.delivery.smartHosts)
        ),
        *(
            (f'delivery.sender-hosts."{sender}"[{index}]', readHost, (each,))
            for sender, hosts in told.delivery.senderHosts
            for index, each in enumerate(hosts)
        ),
        *(
            (f"delivery.routes[{index}]", readHost, (each,))
            for index, route in enumerate(told.delivery.routes)
            for each in hostsOf(route)
        ),
        *(
            (f"delivery.fallback-hosts[{index}]", readHost, (each,))
            for index, each in enumerate(told.delivery.fallbackHosts)
        ),
        ("", checkFilesOf, (told.delivery,)),
        *(("control.endpoint", checkEndpoint, (each,)) for each in control),
        ("control", readToken, (told,)),
    ]
    for path, look, words in looks:
        try:
            look(*words)
        except ConfigurationError as e:
            yield f"{path}: {e}" if path else str(e)
    yield from remarks(told.intake)
    yield from deliveryRemarks(told)


def _judged(told: Configuration) -> dict[str, Any]:
    """
    Judge what is queued.
    """
    from relaymail.configuration.reaching import NOT_CHECKED, reachOf

    reach = reachOf(told)
    rows, count = _queued(told)
    judged = [(row, reach.trouble(row.name)) for row in rows]
    return {
        "checked": len(rows),
        "destinations": count,
        "unroutable": [
            {"name": row.name, "queued": row.queued, "problem": problem}
            for row, problem in judged
            if problem is not None
        ],
        "notChecked": NOT_CHECKED,
    }


def _queued(told: Configuration) -> tuple[list[Any], int]:
    """
    Give the destinations that have mail, and how many there are in all.

    @raise CommandError: When that cannot be found out.
    """
    import os

    from relaymail.queue.place import QueueKind
    from relaymail.queue.spool.survey import Survey

    if told.queue.kind is not QueueKind.SPOOL:
        raise CommandError(
            f"{told.queue} is a directory, and --against-queue reads spools only. "
            "`relaymail import` makes a spool of it."
        )
    if not os.path.exists(told.queue.path):
        return [], 0
    try:
        with Survey(told.queue.path) as survey:
            return survey.destinations(MAX_DESTINATIONS)
    except RelayMailError as e:
        raise CommandError(f"The queue was not looked at: {e}") from e


def _tell(document: dict[str, Any]) -> None:
    """
    Print what was found.
    """
    for problem in document["problems"]:
        say(problem)
    if "checked" in document:
        _tellQueued(document)
    if not document["problems"] and not document.get("unroutable"):
        click.echo(clean(f"{document['file'] or 'the defaults'}: nothing is wrong"))


def _tellQueued(document: dict[str, Any]) -> None:
    rows = document["unroutable"]
    if rows:
        show(_COLUMNS, [(row["name"], row["queued"], row["problem"]) for row in rows])
    checked, count = document["checked"], document["destinations"]
    all_ = "all" if checked >= count else f"the {checked} with the most mail"
    click.echo(
        f"{len(rows)} of {count} destinations with queued mail would have no route "
        f"({all_} were looked at)."
    )
    note(document["notChecked"])
