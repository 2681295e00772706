# -*- test-case-name: relaymail.test.admin.test_asking -*-
"""
What is asked of the relay: how it is, what is queued, and where that goes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import maybeDeferred

from relaymail import __version__
from relaymail.addresses import normalDomain
from relaymail.admin.desk import ACCEPTED, Desk, Stream, noSuchName
from relaymail.admin.guarding import Body, Refusal
from relaymail.admin.parameters import selectionOf
from relaymail.admin.recent import BOUNCED, DELIVERED, EXPIRED, RETRIED, Past
from relaymail.admin.views import (
    MAX_HEADER,
    Document,
    addressView,
    ageView,
    alarmView,
    destinationView,
    entryView,
    headerView,
    pageView,
    shapeView,
    standingView,
)
from relaymail.errors import MalformedAddress, UnreadableEntry
from relaymail.inspection import DestinationCount
from relaymail.replies import printable

Given = Mapping[str, Any]

#: How many names, and destinations, are given where nothing is said.
PAGE = 100
#: How long a path may be, in characters.
MAX_PATH = 4096
#: How many destinations L{top} gives where nothing is said.
TOP = 20


async def status(desk: Desk, given: Given) -> Document:
    """
    Say how the relay is.
    """
    relay, now = desk.relay, desk.now()
    state, trouble = desk.health()
    totals = await desk.totals()
    shape = await desk.inspectable().shape(1)
    return {
        "version": __version__,
        "hostname": printable(relay.configuration.hostname),
        "queue": printable(str(relay.configuration.queue)),
        "started": relay.started,
        "uptime": max(now - relay.started, 0.0),
        "addresses": [addressView(address) for address in relay.addresses],
        "entrances": [opening.kind for opening in relay.openings],
        "state": state,
        "trouble": trouble,
        "alarms": [alarmView(alarm) for alarm in desk.alarms()],
        "dnssec": desk.dnssec(),
        "policies": dict(desk.policies().kept),
        "configuration": _path(getattr(relay.configuration, "file", None)),
        "connections": desk.connections(),
        "queued": shape.total.total,
        "totals": totals,
    }


def _path(path: str | None) -> str | None:
    return None if path is None else printable(os.path.abspath(path), MAX_PATH)


async def health(desk: Desk, given: Given) -> Document:
    """
    Say that the process is alive.
    """
    return {"state": desk.health()[0]}


async def ready(desk: Desk, given: Given) -> Document:
    """
    Say whether mail is taken.

    @raise Refusal: When it is not.
    """
    state, trouble = desk.health()
    if trouble:
        # Whoever has no token learns no more.
        raise Refusal(503, f"The relay is {state}; its status and log say more.")
    return {"state": state}


async def listQueue(desk: Desk, given: Given) -> Document:
    """
    List what is queued.
    """
    return pageView(await look(desk, given, given.get("limit", PAGE)))


async def look(desk: Desk, given: Given, limit: int) -> Any:
    """
    Find what is meant.

    @raise Refusal: When C{after} is none.
    """
    queue = desk.inspectable()
    try:
        return await queue.look(selectionOf(given), limit, given.get("after"))
    except ValueError as e:
        if isinstance(e, MalformedAddress):
            raise
        raise Refusal(400, f"after is the next of an answer before: {e}.") from e


async def showEntry(desk: Desk, given: Given) -> Document:
    """
    Say all that is known of a name, or what became of it.

    @raise Refusal: When nothing is known.
    """
    name = given["id"]
    entry = await desk.inspectable().entry(name)
    if entry is None:
        past = desk.recent.get(name)
        if past is None:
            raise noSuchName(name)
        return pastView(name, past)
    standing = desk.manager.standingOf(
        entry.destination, entry.sender, entry.recipient, entry.origin
    )
    return {
        **entryView(entry),
        "standing": standingView(standing),
        "header": headerView(_start(desk, name)),
    }


def pastView(name: str, past: Past) -> Document:
    """
    Say what became of a name.
    """
    return {
        "id": printable(name),
        "state": past.kind,
        "outcome": {
            "time": past.time,
            "sender": printable(past.sender),
            "recipient": printable(past.recipient),
            "arrived": past.arrived,
            "attempts": past.attempts,
            "status": past.status,
            "host": printable(past.host),
            "address": printable(past.address),
            "tls": past.tls,
            "reply": printable(past.reply),
        },
    }


def _start(desk: Desk, name: str) -> bytes:
    try:
        letter = desk.queue.letter(name)
        with letter.content.open() as file:
            start: bytes = file.read(MAX_HEADER)
    except (KeyError, UnreadableEntry):
        # It was just delivered, or is aside because it cannot be read.
        return b""
    return start


async def showContent(desk: Desk, given: Given) -> Stream:
    """
    Give the content of a message.

    @raise Refusal: When there is none.
    """
    name = given["id"]
    try:
        letter = desk.queue.letter(name)
    except KeyError:
        raise noSuchName(name) from None
    return Stream(Body.MESSAGE.value, letter.content.open())


async def listDestinations(desk: Desk, given: Given) -> Document:
    """
    List the destinations with the most mail, and those that are suspended.
    """
    found, number = await desk.counted(given.get("limit", PAGE))
    there = {count.name for count in found}
    suspended = [name for name in suspensions(desk) if name not in there]
    found = [*found, *(DestinationCount(name, 0, 0) for name in suspended[:PAGE])]
    return {"destinations": [showCount(desk, each) for each in found], "count": number}


def suspensions(desk: Desk) -> dict[str, str]:
    """
    Say which destinations an operator has suspended, and why.
    """
    known = getattr(desk.queue, "suspensions", None)
    return {} if known is None else dict(known())


def showCount(desk: Desk, count: DestinationCount) -> Document:
    """
    Say how a destination is.
    """
    standing = desk.manager.standingOf(count.name)
    return destinationView(count, standing, desk.connectionsTo(count.name))


async def top(desk: Desk, given: Given) -> Document:
    """
    Say what is queued, by destination and age, and what goes on.
    """
    await desk.totals()
    shape = await desk.inspectable().shape(given.get("limit", TOP))
    rows = [
        {
            **ageView(row),
            "connections": desk.connectionsTo(row.name),
            "state": desk.manager.standingOf(row.name).state.value,
            "lastReply": printable(desk.recent.lastReply(row.name)),
        }
        for row in shape.rows
    ]
    rate = desk.rates.perSecond
    return {
        "time": desk.now(),
        **shapeView(shape, rows),
        "connections": {**desk.connections(), "max": desk.manager.maxConnections},
        "rates": {
            "accepted": rate(ACCEPTED),
            "delivered": rate(DELIVERED),
            "retried": rate(RETRIED),
            "bounced": rate(BOUNCED) + rate(EXPIRED),
        },
    }


async def suspend(desk: Desk, given: Given) -> Document:
    """
    Send nothing to a destination.
    """
    name = normalDomain(given["name"])
    why = printable(given.get("why") or BY_HAND)
    await _written(desk.manager.suspend(name, why))
    return _standing(desk, name)


async def resume(desk: Desk, given: Given) -> Document:
    """
    Send to a destination again.
    """
    name = normalDomain(given["name"])
    await _written(desk.manager.resume(name))
    return _standing(desk, name)


async def flush(desk: Desk, given: Given) -> Document:
    """
    Try a destination's mail now.
    """
    name = normalDomain(given["name"])
    flushed = await _written(desk.manager.flush(name))
    number = flushed if isinstance(flushed, int) else None
    return {**_standing(desk, name), "flushed": number}


#: Why something is so, where the operator did not say.
BY_HAND = "by the operator"


async def _written(result: Any) -> Any:
    return await result if hasattr(result, "addCallback") else result


def _standing(desk: Desk, name: str) -> Document:
    return {
        "name": name,
        "connections": desk.connectionsTo(name),
        **standingView(desk.manager.standingOf(name)),
    }


async def send(desk: Desk, given: Given) -> Document:
    """
    Take a message.  It comes in by a file, where it is large, and is in memory for
    as long as the queue writes it.
    """

    def give() -> Any:
        content: bytes = given["body"].read()
        return desk.relay.send(given["sender"], list(given["recipient"]), content)

    return {"ids": await desk.sending.run(give)}


async def reload(desk: Desk, given: Given) -> Document:
    """
    Read the configuration again.
    """
    changed = await maybeDeferred(desk.relay.reload)
    return {"changed": [printable(str(name)) for name in changed]}


async def describe(desk: Desk, given: Given) -> Mapping[str, Any]:
    """
    Give the OpenAPI document.
    """
    return desk.describe()
