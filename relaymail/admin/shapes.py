# -*- test-case-name: relaymail.test.admin.test_openapi -*-
"""
What the answers look like, in the words of JSON Schema, for the OpenAPI document.
"""

from __future__ import annotations

from typing import Any

from relaymail.admin.recent import KINDS
from relaymail.inspection import NameState
from relaymail.schedule.paces import State

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
TIME: Schema = {"type": "number", "description": "seconds of the epoch"}
SECONDS: Schema = {"type": "number", "description": "seconds"}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
MAYBE_COUNT: Schema = {"type": ["integer", "null"]}
MAYBE_TIME: Schema = {"type": ["number", "null"]}
COUNTS: Schema = {"type": "object", "additionalProperties": COUNT}


def record(**fields: Schema) -> Schema:
    """
    Describe an object that has all of some members.
    """
    return {"type": "object", "properties": fields, "required": list(fields)}


def listOf(item: Schema) -> Schema:
    """
    Describe a list.
    """
    return {"type": "array", "items": item}


def wordOf(*words: str) -> Schema:
    """
    Describe one of some words.
    """
    return {"type": "string", "enum": list(words)}


def reference(name: str) -> Schema:
    """
    Name one of L{COMPONENTS}.
    """
    return {"$ref": f"#/components/schemas/{name}"}


_STANDING: dict[str, Schema] = {
    "state": wordOf(*(state.value for state in State)),
    "why": TEXT,
    "until": MAYBE_TIME,
    "allowed": COUNT,
}
_ENTRY: dict[str, Schema] = {
    "id": TEXT,
    "message": TEXT,
    "sender": TEXT,
    "recipient": TEXT,
    "destination": TEXT,
    "size": COUNT,
    "arrived": TIME,
    "attempts": COUNT,
    "due": TIME,
    "state": wordOf(*(state.value for state in NameState)),
    "status": TEXT,
    "reply": TEXT,
    "why": TEXT,
    "parameters": TEXT,
    "client": TEXT,
    "user": TEXT,
    "released": FLAG,
}
_AGE: dict[str, Schema] = {"name": TEXT, "total": COUNT, "ages": listOf(COUNT)}

#: What several answers have in common.
COMPONENTS: dict[str, Schema] = {
    "Error": record(error=TEXT),
    "Standing": record(**_STANDING),
    "Entry": record(**_ENTRY),
    "Destination": record(
        name=TEXT, queued=COUNT, resting=COUNT, held=COUNT, connections=COUNT,
        **_STANDING,
    ),
    "Outcome": record(
        time=TIME, sender=TEXT, recipient=TEXT, arrived=TIME, attempts=COUNT,
        status=TEXT, host=TEXT, address=TEXT, tls=TEXT, reply=TEXT,
    ),
}  # fmt: skip

STATUS = record(
    version=TEXT, hostname=TEXT, queue=TEXT, started=TIME, uptime=SECONDS,
    addresses=listOf(TEXT),
    entrances=listOf(wordOf("smtp", "submission", "submissions", "lmtp")),
    state=wordOf("running", "full", "damaged", "stopping"),
    trouble=TEXT, alarms=listOf(record(key=TEXT, text=TEXT, since=TIME)),
    dnssec=MAYBE_TEXT, policies=COUNTS, configuration=MAYBE_TEXT,
    connections=record(**{"in": COUNT, "out": COUNT}), queued=COUNT, totals=COUNTS,
)  # fmt: skip
PAGE = record(entries=listOf(reference("Entry")), next=MAYBE_TEXT, complete=FLAG)
ENTRY: Schema = {
    "oneOf": [
        record(**_ENTRY, standing=reference("Standing"), header=TEXT),
        record(id=TEXT, state=wordOf(*KINDS), outcome=reference("Outcome")),
    ]
}
WORK = record(
    matched=COUNT, done=COUNT, skipped=listOf(record(id=TEXT, why=TEXT)),
    next=MAYBE_TEXT, complete=FLAG,
)  # fmt: skip
DESTINATIONS = record(destinations=listOf(reference("Destination")), count=COUNT)
STEERED = record(name=TEXT, connections=COUNT, **_STANDING)
TOP = record(
    time=TIME, bounds=listOf(COUNT), sampled=FLAG,
    rows=listOf(
        record(**_AGE, connections=COUNT, state=_STANDING["state"], lastReply=TEXT)
    ),
    total=record(**_AGE),
    connections=record(**{"in": COUNT, "out": COUNT, "max": COUNT}),
    rates=record(accepted=NUMBER, delivered=NUMBER, retried=NUMBER, bounced=NUMBER),
)  # fmt: skip
EXPLAINED = record(
    recipient=TEXT, sender=TEXT, client=TEXT, user=TEXT, size=COUNT,
    requireTLS=FLAG, tlsOptional=FLAG, destination=TEXT, accepted=FLAG,
    aliases=listOf(TEXT), rule=TEXT, goal=TEXT, problem=TEXT,
    chosen=record(
        by=wordOf("route", "sender-hosts", "smart-hosts", "mx"), name=TEXT,
        number=MAYBE_COUNT, action=wordOf("deliver", "refuse", "discard", "hold"),
        matched=listOf(TEXT),
    ),
    outcome=record(
        fate=wordOf("tried", "waits", "bounces", "refused", "discarded", "held"),
        status=TEXT, why=TEXT,
    ),
    route=listOf(
        record(
            host=TEXT, port=COUNT, addresses=listOf(TEXT), tls=TEXT, why=TEXT,
            names=listOf(TEXT), sni=TEXT, tlsa=listOf(TEXT), requireTLS=FLAG,
            protocol=wordOf("smtp", "lmtp"), named=FLAG, source=listOf(TEXT),
            helo=TEXT, certificate=TEXT, trusts=TEXT, login=TEXT,
            preference=MAYBE_COUNT, badUntil=MAYBE_TIME, inClear=FLAG,
            clearUntil=MAYBE_TIME, problem=TEXT,
        )
    ),
    left=listOf(record(host=TEXT, why=TEXT)),
    policies=listOf(
        record(
            kind=TEXT, domain=TEXT, mode=TEXT, lines=listOf(TEXT), problem=TEXT,
            why=TEXT, fetched=MAYBE_TIME, until=MAYBE_TIME,
        )
    ),
    lookups=listOf(
        record(
            kind=wordOf("MX", "addresses", "TLSA"), name=TEXT,
            state=wordOf("secure", "insecure", "failed"), why=TEXT,
        )
    ),
    until=MAYBE_TIME, site=record(name=TEXT, others=listOf(TEXT), count=COUNT),
    limits=record(
        connections=COUNT, allowed=COUNT, total=COUNT, most=COUNT,
        rates=listOf(record(side=TEXT, name=TEXT, rate=TEXT, left=MAYBE_COUNT)),
    ),
    first=record(isNow=FLAG, when=MAYBE_TIME, why=TEXT),
    standing=reference("Standing"), retry=listOf(SECONDS), expire=SECONDS,
)  # fmt: skip
SENT = record(ids=listOf(TEXT))
RELOADED = record(changed=listOf(TEXT))
HEALTH = record(state=STATUS["properties"]["state"])
ANYTHING: Schema = {"type": "object"}
