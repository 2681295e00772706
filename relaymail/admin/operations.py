# -*- test-case-name: relaymail.test.admin.test_operations -*-
"""
What can be asked for: the one table from which requests are routed, their
parameters are checked, and the OpenAPI document is made.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from relaymail.admin import acting, asking, exploring, metrics, shapes
from relaymail.admin.desk import Answer, Desk
from relaymail.admin.guarding import MAX_BODY, Body, Refusal
from relaymail.admin.parameters import (
    FLAG,
    OCTETS,
    PAGE,
    TEXT,
    Parameter,
    Place,
    filters,
)
from relaymail.admin.shapes import Schema

JSON = "application/json"

#: How long a request may take to come in, in seconds, once its headers are there;
#: and how long the answer may take.
PATIENCE = 60.0
#: The same where a message is sent or fetched: what is not local may be slow.
LONG_PATIENCE = 600.0


@dataclass(frozen=True, slots=True)
class Operation:
    """
    Something that can be asked for.

    @ivar method: The method.
    @ivar path: The path, with the names of parameters in braces.
    @ivar told: What it does, in a sentence.
    @ivar run: Does it.
    @ivar parameters: What can be said.
    @ivar answer: What the answer looks like; empty: it is no JSON.
    @ivar kind: The type of the answer.
    @ivar body: What the body is.
    @ivar status: The status of the answer.
    @ivar isOpen: Whether it needs no token.
    @ivar patience: How long it may take to come in, and then to be answered, in
        seconds.
    """

    method: str
    path: str
    told: str
    run: Callable[[Desk, Mapping[str, Any]], Awaitable[Answer]]
    parameters: tuple[Parameter, ...] = ()
    answer: Schema = field(default_factory=dict)
    kind: str = JSON
    body: Body = Body.NONE
    status: int = 200
    isOpen: bool = False
    patience: float = PATIENCE

    def match(self, steps: Sequence[str]) -> dict[str, list[str]] | None:
        """
        Give the parameters in a path, or L{None} where it is another.

        @param steps: What is between its slashes.
        """
        own = self.path.split("/")[1:]
        if len(own) != len(steps):
            return None
        found = {}
        for mine, given in zip(own, steps, strict=True):
            if mine.startswith("{"):
                found[mine[1:-1]] = [given]
            elif mine != given:
                return None
        return found


_ID = Parameter("id", TEXT, "The name in the queue.", Place.PATH)
_NAME = Parameter("name", TEXT, "The destination, a domain.", Place.PATH)
_WHY = Parameter("why", TEXT, "Why, in words.", Place.BODY)


def _paging(place: Place, told: str) -> tuple[Parameter, ...]:
    return (
        Parameter("limit", PAGE, told, place),
        Parameter("after", TEXT, "The next of the answer before.", place),
    )


_LIMIT = Parameter("limit", PAGE, "How many destinations at most.")

_WORK = (
    *filters(Place.BODY),
    *_paging(Place.BODY, "How many names are looked at for this answer."),
    Parameter("all", FLAG, "Every name is meant; without filters.", Place.BODY),
    Parameter("dryRun", FLAG, "Only say how many are meant.", Place.BODY),
    _WHY,
)
_TOLD = {
    "flush": "Let mail be due now.",
    "hold": "Keep mail back until it is released.",
    "release": "Keep mail back no longer.",
    "requeue": "Begin anew with mail, as if it had just arrived.",
    "bounce": "Give mail up, and tell its senders.",
    "delete": "Drop mail, and tell nobody.",
}


def _steer(name: str, told: str, run: Any, shape: Schema) -> Operation:
    return Operation(
        "POST",
        f"/v1/destinations/{{name}}/{name}",
        told,
        run,
        (_NAME, _WHY),
        shape,
        body=Body.JSON,
    )


#: All of them.
OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "GET", "/v1/status", "Say how the relay is.", asking.status, (), shapes.STATUS
    ),
    Operation(
        "GET",
        "/v1/queue",
        "List what is queued, in the order of arrival.",
        asking.listQueue,
        (*filters(Place.QUERY), *_paging(Place.QUERY, "How many names at most.")),
        shapes.PAGE,
    ),
    Operation(
        "GET",
        "/v1/queue/{id}",
        "Say all that is known of a name, or what became of it.",
        asking.showEntry,
        (_ID,),
        shapes.ENTRY,
    ),
    Operation(
        "GET",
        "/v1/queue/{id}/content",
        "Give the content of a message.",
        asking.showContent,
        (_ID,),
        kind=Body.MESSAGE.value,
        patience=LONG_PATIENCE,
    ),
    *(
        Operation(
            "POST",
            f"/v1/queue/{act.name}",
            _TOLD[act.name],
            acting.doing(act),
            _WORK,
            shapes.WORK,
            body=Body.JSON,
        )
        for act in acting.ACTS
    ),
    Operation(
        "GET",
        "/v1/destinations",
        "List the destinations with the most mail, and those that are suspended.",
        asking.listDestinations,
        (_LIMIT,),
        shapes.DESTINATIONS,
    ),
    _steer("suspend", "Send nothing there.", asking.suspend, shapes.STEERED),
    _steer("resume", "Send there again.", asking.resume, shapes.STEERED),
    _steer(
        "flush",
        "Try all mail for it now.",
        asking.flush,
        {
            **shapes.STEERED,
            "properties": {
                **shapes.STEERED["properties"],
                "flushed": {"type": ["integer", "null"]},
            },
        },
    ),
    Operation(
        "GET",
        "/v1/top",
        "Say what is queued, by destination and age, and what goes on.",
        asking.top,
        (_LIMIT,),
        shapes.TOP,
    ),
    Operation(
        "GET",
        "/v1/explain",
        "Say where mail for a recipient would go.",
        exploring.explainMail,
        (
            Parameter("recipient", TEXT, "The recipient.", isRequired=True),
            Parameter("sender", TEXT, "The sender."),
            Parameter("client", TEXT, "The network address of who would give it."),
            Parameter("user", TEXT, "The user who would give it."),
            Parameter("size", OCTETS, "How large it is, in octets."),
            Parameter("requireTLS", FLAG, "Whether it may go over TLS only."),
            Parameter("tlsOptional", FLAG, "Whether it says TLS-Required: No."),
        ),
        shapes.EXPLAINED,
    ),
    Operation(
        "POST",
        "/v1/messages",
        "Take a message for delivery.",
        asking.send,
        (
            Parameter("sender", TEXT, "The sender; may be empty.", isRequired=True),
            Parameter(
                "recipient", TEXT, "A recipient.", isRepeated=True, isRequired=True
            ),
        ),
        shapes.SENT,
        body=Body.MESSAGE,
        status=201,
        patience=LONG_PATIENCE,
    ),
    Operation(
        "POST",
        "/v1/reload",
        "Read the configuration again.",
        asking.reload,
        (),
        shapes.RELOADED,
        body=Body.JSON,
    ),
    Operation(
        "GET",
        "/v1/openapi.json",
        "Give this document.",
        asking.describe,
        (),
        shapes.ANYTHING,
    ),
    Operation(
        "GET",
        "/metrics",
        "Give what a monitor collects, as Prometheus reads it.",
        metrics.show,
        kind=metrics.KIND,
    ),
    Operation(
        "GET",
        "/health",
        "Say that the process is alive.",
        asking.health,
        (),
        shapes.HEALTH,
        isOpen=True,
    ),
    Operation(
        "GET",
        "/ready",
        "Say whether mail is taken.",
        asking.ready,
        (),
        shapes.HEALTH,
        isOpen=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Match:
    """
    What a path and a method ask for.

    @ivar operation: That; L{None} where there is no such.
    @ivar values: The parameters in the path.
    @ivar allowed: The methods that the path has, none where there is no such path.
    """

    operation: Operation | None
    values: Mapping[str, list[str]] = field(default_factory=dict)
    allowed: tuple[str, ...] = ()

    @property
    def refusal(self) -> Refusal | None:
        """
        Why there is no such operation.
        """
        if self.operation is not None:
            return None
        if not self.allowed:
            return Refusal(404, "There is nothing of this name; see /v1/openapi.json.")
        methods = ", ".join(self.allowed)
        return Refusal(405, f"This takes {methods} only.", {"Allow": methods})


def route(method: str, path: bytes) -> Match:
    """
    Say what is asked for.

    @param path: The path, as it stands in the request.
    """
    try:
        steps = [unquote_to_bytes(s).decode("utf-8") for s in path.split(b"/")[1:]]
    except UnicodeDecodeError:
        return Match(None)
    found = [
        (operation, values)
        for operation in OPERATIONS
        if (values := operation.match(steps)) is not None
    ]
    allowed = _methods([operation.method for operation, _ in found])
    wanted = "GET" if method == "HEAD" else method
    for operation, values in found:
        if operation.method == wanted:
            return Match(operation, values, allowed)
    return Match(None, {}, allowed)


def _methods(methods: Sequence[str]) -> tuple[str, ...]:
    if not methods:
        return ()
    heads = ("HEAD",) if "GET" in methods else ()
    return (*sorted(set(methods)), *heads, "OPTIONS")


def largestBody(operation: Operation, message: int) -> int:
    """
    Say how large the body of a request may be, in octets.

    @param message: How large a message may be; 0: as large as it likes.
    """
    if operation.body is Body.MESSAGE:
        return message or LARGEST_MESSAGE
    return MAX_BODY


#: How large a message may be, in octets, where nothing is said: it is in memory
#: once.
LARGEST_MESSAGE = 100 << 20
