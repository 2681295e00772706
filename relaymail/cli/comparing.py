# -*- test-case-name: relaymail.test.cli.test_comparing -*-
"""
C{relaymail explain --config OTHER}: what would differ under another configuration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click

from relaymail.cli import explaining
from relaymail.cli.config import readTold
from relaymail.cli.differing import (
    MAX_ENTRIES,
    Comparison,
    Difference,
    Group,
    compareQueued,
    differencesOf,
)
from relaymail.cli.offline import Offline
from relaymail.cli.output import note
from relaymail.cli.reading import PAGE, reader
from relaymail.cli.selecting import EVERYTHING
from relaymail.cli.troubles import CommandError
from relaymail.cli.words import clean, count
from relaymail.configuration import Configuration, changes, readFile
from relaymail.inspection import Selection
from relaymail.queue.place import QueueKind

#: How many groups are shown to people.
SHOWN = 30
#: What is said at the end.
_UNCHANGED = "Nothing was changed, and nothing was sent."
#: What is not looked at where much is compared.
NOT_ASKED = (
    "The DNS was not asked for each destination; relaymail explain ADDRESS --config "
    "does so for one."
)


def compare(given: Mapping[str, Any] | None, other: str, offline: bool) -> Any:
    """
    Say what would differ.

    @param given: What is known of a message, as the API takes it; L{None}: of all that
        is queued.
    @param other: The path of the other configuration.
    @param offline: Whether the relay is not to be asked what is queued.

    @return: The document.

    @raise ConfigurationError: When one of the configurations cannot be used.
    """
    now, then = readTold(), readFile(other)
    document = {
        "file": now.file,
        "other": then.file,
        "options": changes(now, then),
    }
    if given is not None:
        return {**document, **_ofOne(now, then, given)}
    found = compareQueued(now, then, _entries(now, offline))
    return {**document, **_asDocument(found)}


def _ofOne(
    now: Configuration, then: Configuration, given: Mapping[str, Any]
) -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    async def ask(reactor: Any) -> None:
        for told in (now, then):
            found.append(await explaining.explainUnder(told, reactor, given))

    explaining.runHere(ask)
    before, after = found
    differences = differencesOf(before, after)
    return {
        "differences": list(map(_difference, differences)),
        "now": before,
        "then": after,
    }


def _entries(told: Configuration, offline: bool) -> Iterator[Mapping[str, Any]]:
    """
    Give what is queued.
    """
    pages = _ofSpool(told) if offline else reader().pages(EVERYTHING, MAX_ENTRIES + 1)
    for page in pages:
        yield from page["entries"]


def _ofSpool(told: Configuration) -> Iterable[Any]:
    if told.queue.kind is not QueueKind.SPOOL:
        raise CommandError(
            f"The queue in {told.queue} is a directory, which only a relay that runs "
            "can show: leave out --offline."
        )
    offline, after = Offline(told.queue.path), None
    while True:
        page = offline.page(Selection(), PAGE, after)
        yield page
        before, after = after, page["next"]
        if after is None or after == before:
            return


def _difference(found: Difference) -> dict[str, str]:
    what, now, then = found
    return {"what": clean(what), "now": clean(now), "then": clean(then)}


def _asDocument(found: Comparison) -> dict[str, Any]:
    return {
        "checked": found.checked,
        "complete": found.isComplete,
        "differing": found.differing,
        "kinds": dict(found.kinds()),
        "groups": list(map(_group, found.largest)),
    }


def _group(group: Group) -> dict[str, Any]:
    return {
        "destination": group.destination,
        "count": group.count,
        "examples": group.examples,
        "differences": list(map(_difference, group.differences)),
    }


# For people.


def writeComparison(told: Mapping[str, Any]) -> None:
    """
    Print what would differ.
    """
    options = ", ".join(told["options"]) or "none"
    click.echo(clean(f"options that differ in {told['other']}: {options}"))
    if "groups" in told:
        _writeQueued(told)
    else:
        _writeOne(told)
    note(_UNCHANGED)


def _writeOne(told: Mapping[str, Any]) -> None:
    recipient = told["now"]["recipient"]
    if not told["differences"]:
        click.echo(clean(f"for {recipient} nothing would differ"))
        return
    click.echo(clean(f"for {recipient} there would differ:"))
    _writeDifferences(told["differences"])


def _writeQueued(told: Mapping[str, Any]) -> None:
    of = "all that is queued" if told["complete"] else "what was looked at"
    differing, checked = told["differing"], told["checked"]
    recipients = count(checked, "recipient")
    click.echo(f"{differing:,} of {recipients} would go otherwise ({of})")
    for group in told["groups"][:SHOWN]:
        examples = ", ".join(group["examples"])
        line = f"{group['destination']}: {group['count']:,}, such as {examples}"
        click.echo(f"\n{clean(line)}")
        _writeDifferences(group["differences"])
    more = len(told["groups"]) - SHOWN
    if more > 0:
        click.echo(f"\nand {more:,} more groups; --json has them")
    note(NOT_ASKED)


def _writeDifferences(found: Iterable[Mapping[str, str]]) -> None:
    for each in found:
        click.echo(f"  {each['what']}")
        click.echo(f"    now:  {each['now'] or '-'}")
        click.echo(f"    then: {each['then'] or '-'}")
