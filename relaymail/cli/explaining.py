# -*- test-case-name: relaymail.test.cli.test_explaining -*-
"""
What would become of mail, found without a relay that runs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred

from relaymail.cli.authtest import inReactor
from relaymail.cli.config import readTold
from relaymail.cli.output import note
from relaymail.cli.sketching import Sketch
from relaymail.cli.troubles import CommandError
from relaymail.configuration import Configuration
from relaymail.errors import MalformedAddress, RelayMailError
from relaymail.queue.place import QueueKind
from relaymail.queue.spool.survey import Survey

#: What a document of this command lacks, for people.
NOT_KNOWN = (
    "The relay was not asked: which hosts failed lately, what is suspended because it "
    "fails, what is left of rates and how many connections there are is not known."
)


def explainHere(
    given: Mapping[str, Any],
    connects: bool = False,
    show: Callable[[Mapping[str, Any]], object] = lambda told: None,
    say: Callable[[str], object] = lambda line: None,
) -> dict[str, Any]:
    """
    Say what would become of mail under the configuration.

    @param given: What is known of the mail, as the API takes it.
    @param connects: Whether to ask the hosts, too.
    @param show: Is given what is found, before hosts are asked.
    @param say: Is given each line for people of what hosts say.

    @raise CommandError: When an address of it is none.
    @raise ConfigurationError: When the configuration cannot be used.
    """
    told = readTold()
    found: list[dict[str, Any]] = []

    async def ask(reactor: Any) -> None:
        if connects:
            found.append(await _connected(told, reactor, given, show, say))
        else:
            found.append(await explainUnder(told, reactor, given))
            show(found[0])

    runHere(ask)
    note(NOT_KNOWN)
    return found[0]


def runHere(ask: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
    """
    Ask something with a reactor of this command.

    @param ask: Is given the reactor.

    @raise CommandError: When what is asked of is no address.
    """
    try:
        inReactor(lambda reactor: Deferred.fromCoroutine(ask(reactor)))
    except MalformedAddress as e:
        raise CommandError(f"{e}.") from e


async def explainUnder(
    told: Configuration, reactor: Any, given: Mapping[str, Any]
) -> dict[str, Any]:
    """
    Say what would become of mail under a configuration.

    @param given: As in L{explainHere}.
    """
    sketch = Sketch(told, reactor, suspensions=suspensionsOf(told))
    sketch.start()
    try:
        _, document = await sketch.explain(given)
    finally:
        await sketch.stop()
    return document


async def _connected(
    told: Configuration,
    reactor: Any,
    given: Mapping[str, Any],
    show: Callable[[Mapping[str, Any]], object],
    say: Callable[[str], object],
) -> dict[str, Any]:
    """
    Say what would become of mail, and ask its hosts.
    """
    # It takes a moment to import.
    from relaymail.cli.connecting import accountsFor, connect
    from relaymail.configuration import readRoutes

    accounts = accountsFor(told)
    routes = readRoutes(told, accounts.tokensFor)
    accounts.start(reactor, maybeDeferred)
    sketch = Sketch(told, reactor, routes, suspensionsOf(told))
    sketch.start()
    try:
        found, document = await sketch.explain(given)
        show(document)
        return {**document, **await connect(sketch, found, document, say)}
    finally:
        await sketch.stop()
        await accounts.stop()


def suspensionsOf(told: Configuration) -> Mapping[str, str]:
    """
    Give the destinations that an operator has suspended, each with why, as far as the
    spool can be read.
    """
    place = told.queue
    if place.kind is not QueueKind.SPOOL or not os.path.exists(place.path):
        return {}
    try:
        with Survey(place.path) as survey:
            return survey.suspensions()
    except RelayMailError as e:
        note(f"What is suspended is not known: {e}")
        return {}
