# -*- test-case-name: relaymail.test.cli.test_explaining -*-
"""
What would become of mail, found without a relay that runs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred

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


def explainHere(given: Mapping[str, Any]) -> dict[str, Any]:
    """
    Say what would become of mail under the configuration.

    @param given: What is known of the mail, as the API takes it.

    @raise CommandError: When an address of it is none.
    """
    told = readTold()
    found: list[dict[str, Any]] = []

    async def ask(reactor: Any) -> None:
        found.append(await explainUnder(told, reactor, given))

    try:
        inReactor(lambda reactor: Deferred.fromCoroutine(ask(reactor)))
    except MalformedAddress as e:
        raise CommandError(f"{e}.") from e
    note(NOT_KNOWN)
    return found[0]


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
        return await sketch.explain(given)
    finally:
        await sketch.stop()


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
