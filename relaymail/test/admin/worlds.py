# -*- test-case-name: relaymail.test.admin.test_requests -*-
"""
What tests of the control API share: a relay in memory, and clients of its API
without sockets.
"""

from __future__ import annotations

import http.client
import io
import json
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.testing import StringTransport
from zope.interface import implementer

from relaymail.addresses import domainOf
from relaymail.admin.channels import ControlFactory
from relaymail.admin.desk import Desk
from relaymail.admin.guarding import Rules
from relaymail.admin.openapi import document
from relaymail.errors import NameBusy
from relaymail.inspection import (
    AGE_GROUPS,
    AgeRow,
    DestinationCount,
    IInspectable,
    Listed,
    NameState,
    Page,
    Selection,
    Shape,
)
from relaymail.intake.acceptance import NetworkAcceptance
from relaymail.intake.limits import DEFAULT_LIMITS
from relaymail.machines import Machines
from relaymail.outcomes import Removed
from relaymail.queue.memory import MemoryQueue
from relaymail.replies import Phase
from relaymail.submission import compose
from relaymail.testing.doubles import MailWorld

#: A token for tests.
TOKEN = b"a-token-for-the-tests"


@implementer(IInspectable)
class LookedQueue(MemoryQueue):
    """
    A queue in memory that can be looked into.

    @ivar states: Where names stand of which that was said.
    @ivar extra: Names that only look queued.
    @ivar room: What C{hasRoom} gives, or raises.
    @ivar did: What was done, with which name.
    """

    def __init__(self, clock: Any = None) -> None:
        super().__init__(clock)
        self.states: dict[str, NameState] = {}
        self.extra: dict[str, Listed] = {}
        self.room: Any = True
        self.did: list[tuple[str, str]] = []
        self.counted = {"accepted": 0}

    def hasRoom(self) -> bool:
        """
        Say what is to be said.
        """
        if isinstance(self.room, Exception):
            raise self.room
        return bool(self.room)

    def _told(self, name: str) -> Listed:
        entry = self._entries[name]
        sender, recipient = map(str, entry.envelope or ("", ""))
        return Listed(
            name,
            name,
            sender,
            recipient,
            domainOf(recipient),
            entry.content.size if entry.content else 0,
            entry.arrived,
            entry.attempts,
            entry.arrived,
            self.states.get(name, NameState.WAITING),
            entry.status,
            entry.text,
        )

    def _all(self) -> list[Listed]:
        return [*map(self._told, self._entries), *self.extra.values()]

    def look(
        self, selection: Selection, limit: int = 100, after: str | None = None
    ) -> Deferred[Page]:
        """
        Find names, by some of what a selection says.
        """
        if after is not None and not after.isdigit():
            return fail(ValueError(f"{after!r} is no place"))
        found = [each for each in self._all() if _isMeant(each, selection)]
        start = 0 if after is None else int(after)
        end = start + limit
        following = str(end) if end < len(found) else None
        return succeed(Page(tuple(found[start:end]), following))

    def entry(self, name: str) -> Deferred[Listed | None]:
        """
        Give what is known of a name.
        """
        return succeed(next((e for e in self._all() if e.name == name), None))

    def destinations(self, limit: int = 100) -> Deferred[Any]:
        """
        Count by destination.
        """
        names = [each.destination for each in self._all()]
        found = [DestinationCount(n, names.count(n), 0) for n in dict.fromkeys(names)]
        found.sort(key=lambda each: -each.queued)
        return succeed((found[:limit], len(found)))

    def shape(self, limit: int = 20) -> Deferred[Shape]:
        """
        Count by destination; all is young.
        """
        names = [each.destination for each in self._all()]
        rest = (0,) * (AGE_GROUPS - 1)
        rows = [
            AgeRow(n, names.count(n), (names.count(n), *rest))
            for n in dict.fromkeys(names)
        ]
        total = AgeRow("", len(names), (len(names), *rest))
        return succeed(Shape(tuple(rows[:limit]), total))

    def totals(self) -> Deferred[dict[str, int]]:
        """
        Give what a test has counted.
        """
        return succeed(dict(self.counted))

    def _change(self, what: str, name: str) -> Deferred[None]:
        if name not in self._entries:
            return fail(KeyError(name))
        if self.states.get(name) is NameState.RELAYING:
            return fail(NameBusy(f"an attempt for {name} is under way"))
        self.did.append((what, name))
        return succeed(None)

    def hasten(self, name: str) -> Deferred[None]:
        """
        Note it.
        """
        return self._change("hasten", name)

    def hold(self, name: str, why: str) -> Deferred[None]:
        """
        Note it.
        """
        return self._change(f"hold {why}", name)

    def release(self, name: str) -> Deferred[None]:
        """
        Note it.
        """
        return self._change("release", name)

    def requeue(self, name: str) -> Deferred[None]:
        """
        Note it.
        """
        return self._change("requeue", name)

    def claim(self, name: str) -> None:
        """
        Claim it.
        """
        self.setRelaying(name)

    def suspensions(self) -> dict[str, str]:
        """
        Nothing is suspended.
        """
        return {}

    def suspend(self, destination: str, why: str) -> None:
        """
        Do nothing.
        """

    def resume(self, destination: str) -> None:
        """
        Do nothing.
        """


def _isMeant(each: Listed, selection: Selection) -> bool:
    wanted = (
        (selection.sender, each.sender),
        (selection.recipient, each.recipient),
        (selection.domain, each.destination),
    )
    return (
        (not selection.names or each.name in selection.names)
        and selection.state in (None, each.state)
        and all(w is None or fnmatchcase(is_, w) for w, is_ in wanted)
    )


@dataclass
class FakeConfiguration:
    """
    What the API shows of a configuration.
    """

    hostname: str = "relay.example.com"
    queue: str = "spool:queue.db"
    file: str | None = None


@dataclass
class FakeIntake:
    """
    What the API asks of an intake.
    """

    connections: int = 3
    acceptance: Any = field(default_factory=NetworkAcceptance)
    limits: Any = DEFAULT_LIMITS
    refusal: Any = None
    machines: Any = field(default_factory=Machines)
    room: bool = True

    def hasRoom(self) -> bool:
        """
        Say what is to be said.
        """
        return self.room


class FakeRelay:
    """
    A relay in a small world.

    @ivar world: Where the relaying manager is.
    @ivar siren: What sounds its alarms, if anything.
    @ivar changed: What a reload gives, or raises.
    """

    def __init__(self, queue: Any = LookedQueue) -> None:
        """
        @param queue: Makes the queue; what is done with one that is not for tests
            of the API is really done.
        """
        self.world = MailWorld(queue=queue)
        self.queue: Any = self.world.queue
        self.queue.onWaiting = None
        self.manager: Any = self.world.manager
        manager: Any = self.manager
        if queue is LookedQueue:
            manager.bounceNow = self._bounceNow
            manager.removeNow = self._removeNow
            manager.flush = lambda name: succeed(None)
        self.siren: Any = None
        self.intake = FakeIntake()
        self.configuration = FakeConfiguration()
        self.addresses: list[Any] = []
        self.openings: list[Any] = []
        self.started = 0.0
        self.changed: Any = ["expire"]

    def send(self, sender: Any, recipients: Any, content: Any) -> Deferred[list[str]]:
        """
        Take a message, as a relay does.
        """
        return maybeDeferred(
            lambda: self.queue.add(*compose(sender, recipients, content))
        )

    def reload(self) -> Deferred[list[str]]:
        """
        Say what has changed.
        """
        if isinstance(self.changed, Exception):
            return fail(self.changed)
        return succeed(self.changed)

    def put(self, sender: str, *recipients: str, **states: Any) -> list[str]:
        """
        Put a message into the queue.

        @param states: C{state} is where its names stand; C{content} is it.
        """
        content = states.get("content", b"Subject: hello\r\n\r\nHello.\r\n")
        names = self.world.send(sender, *recipients, content=content)
        if "state" in states:
            self.queue.states.update(dict.fromkeys(names, states["state"]))
        return names

    def _bounceNow(self, name: str, why: str) -> Deferred[None]:
        done: Deferred[None] = self.queue._change(f"bounce {why}", name)
        return done

    def _removeNow(self, name: str, why: str) -> Deferred[None]:
        done: Deferred[None] = self.queue._change(f"remove {why}", name)
        return done.addCallback(
            lambda _: self.queue.done(name, Removed("", Phase.IDLE))
        )


@dataclass(frozen=True)
class Answered:
    """
    An answer.

    @ivar status: Its status.
    @ivar headers: Its header fields.
    @ivar body: Its body.
    """

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def document(self) -> Any:
        """
        The JSON in it.
        """
        return json.loads(self.body)


class Wire(io.BytesIO):
    """
    What C{http.client} reads an answer from.
    """

    def makefile(self, mode: str) -> io.BytesIO:
        """
        Give what is read.
        """
        return self


def readAnswers(data: bytes, *methods: str) -> list[Answered]:
    """
    Read some answers.

    @param methods: The methods of the requests.
    """
    rest = Wire(data)
    answers = []
    for method in methods:
        wire: Any = Wire(rest.getvalue()[rest.tell() :])
        response = http.client.HTTPResponse(wire, method=method)
        # It closes what it has read.
        wire.close = lambda: None
        response.begin()
        answers.append(Answered(response.status, response.headers, response.read()))
        rest.seek(rest.tell() + wire.tell())
    return answers


class Connection:
    """
    A connection to the API in memory.

    @ivar transport: What was sent over it.
    """

    def __init__(self, api: API, transport: Any = None) -> None:
        self.transport = transport or StringTransport()
        self.channel = api.factory.buildProtocol(None)
        self.channel.makeConnection(self.transport)

    def give(self, data: bytes) -> None:
        """
        Send something.
        """
        self.channel.dataReceived(data)

    @property
    def sent(self) -> bytes:
        """
        What was answered.
        """
        data: bytes = self.transport.value()
        return data


class API:
    """
    The API of a relay in memory.

    @ivar relay: The relay.
    @ivar clock: Its time.
    @ivar rules: Who may come in.
    """

    def __init__(self, queue: Any = LookedQueue) -> None:
        """
        @param queue: Makes the queue of the relay.
        """
        self.relay = FakeRelay(queue)
        self.clock: Any = self.relay.world.machine
        self.rules = Rules()
        self.desk = Desk(self.relay, self.clock, maybeDeferred, describe=document)
        self.relay.manager.onOutcome = self.desk.recent.noteOutcome
        self.factory = ControlFactory(self.desk, lambda: self.rules, self.clock)

    def withToken(self) -> API:
        """
        Ask for a token, as over TCP.
        """
        self.rules = replace(self.rules, token=TOKEN)
        return self

    def get(self, path: str, method: str = "GET", **headers: str) -> Answered:
        """
        Ask for something.

        @param headers: Header fields, with C{_} for C{-}.
        """
        return self.ask(method, path, b"", **headers)

    def post(self, path: str, said: Any = None, **headers: str) -> Answered:
        """
        Have something done.

        @param said: The parameters.
        """
        headers.setdefault("Content_Type", "application/json")
        return self.ask("POST", path, json.dumps(said or {}).encode(), **headers)

    def ask(self, method: str, path: str, body: bytes, **headers: str) -> Answered:
        """
        Ask, and read the answer.
        """
        connection = Connection(self)
        connection.give(request(method, path, body, **headers))
        (answer,) = readAnswers(connection.sent, method)
        connection.channel.connectionLost(None)
        return answer


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """
    Write a request.
    """
    fields = {"Host": "localhost", **headers}
    if body:
        fields.setdefault("Content_Length", str(len(body)))
    lines = [f"{method} {path} HTTP/1.1"]
    lines += [f"{n.replace('_', '-')}: {v}" for n, v in fields.items() if v is not None]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
