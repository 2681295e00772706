# -*- test-case-name: relaymail.test.cli.test_demo -*-
"""
C{relaymail demo}: what the relay does, shown in a world that is all in memory.

The relay is the real one.  The hosts it sends to, the DNS, the disk and the time
are those of L{relaymail.testing.world}: so it needs no network, writes nothing, and
an hour is over at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from relaymail.testing.world import World

#: What all chance comes from: each tour is like the other.
SEED = 5
#: Who writes.
SENDER = "anna@example.com"
#: How long the tour goes on after the last chapter, in seconds: until everything
#: has been tried again.
EVENING = 3 * 3600.0
#: How long each chapter is, in seconds.
PAUSE = 10.0


@dataclass(frozen=True, slots=True)
class Chapter:
    """
    A part of the tour.

    @ivar recipient: Who is written to.
    @ivar title: What there is to be seen.
    @ivar prepare: Puts the hosts into the world.
    """

    recipient: str
    title: str
    prepare: Callable[[World], None]


@dataclass(frozen=True, slots=True)
class Event:
    """
    What became of one message for one recipient, in one attempt.

    @ivar seconds: When, in seconds since the tour began.
    @ivar outcome: C{"delivered"}, C{"retry"}, C{"bounced"} or C{"expired"}.
    @ivar sender: The reverse-path.
    @ivar recipient: The forward-path.
    @ivar attempts: How many attempts there were.
    @ivar host: The host that answered.
    @ivar reply: What it said.
    """

    seconds: float
    outcome: str
    sender: str
    recipient: str
    attempts: int
    host: str
    reply: str


@dataclass(slots=True)
class Tour:
    """
    What was seen.

    @ivar events: All that happened.
    @ivar notices: What the sender was told: the diagnosis in each notice.
    @ivar isComplete: Whether nothing is left in the queue, nothing was lost and
        nothing came twice.
    """

    events: list[Event] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    isComplete: bool = False


@click.command()
@click.option("--json", "asJSON", is_flag=True, help="Give it as JSON.")
def demo(asJSON: bool) -> None:
    """
    Show what the relay does with mail, without a network.

    A whole world in memory: a relay, hosts that take mail, refuse it or are not
    there, and their DNS.  Mail arrives, is tried again, or bounces, and you see why.
    """
    tour = Tour()
    walk(tour, _nothing if asJSON else click.echo)
    if asJSON:
        click.echo(json.dumps(asdict(tour), indent=2))
    if not tour.isComplete:
        raise click.ClickException(
            "the tour did not end as it should: please report it"
        )


def _nothing(text: str = "") -> None:
    """
    Say nothing.
    """


def walk(tour: Tour, say: Callable[..., Any]) -> None:
    """
    Go through the tour.

    @param tour: Takes what is seen.
    @param say: Is given each line for people.
    """
    from relaymail.testing.world import World

    say("A relay, in a world of its own. Nothing here is on the network or the disk.")
    world = World(SEED)
    with _watching(world, tour, say):
        for chapter in CHAPTERS:
            chapter.prepare(world)
            say(f"\n{chapter.title}")
            say(f"  {_time(world)}  {SENDER} writes to {chapter.recipient}")
            world.send(SENDER, chapter.recipient)
            world.run(PAUSE)
        say("\nThe power fails, while mail waits, and comes back.")
        world.crash(power=True)
        world.run(EVENING)
    _conclude(world, tour, say)


@contextmanager
def _watching(world: World, tour: Tour, say: Callable[..., Any]) -> Iterator[None]:
    """
    Tell of each line that the relay logs for an outcome.
    """
    from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
    from zope.interface import provider

    from relaymail.outcome.lines import NOTHING, OUTCOME_FORMAT

    @provider(ILogObserver)
    def observe(event: LogEvent) -> None:
        if event.get("log_format") != OUTCOME_FORMAT:
            return
        seen = Event(
            _seconds(world),
            event["outcome"],
            event["sender"].strip("<>"),
            event["recipient"].strip("<>"),
            event["attempts"],
            event["host"],
            event["reply"].strip('"'),
        )
        tour.events.append(seen)
        who = seen.recipient if seen.sender else f"the notice to {seen.recipient}"
        say(f"  {_time(world)}  {seen.outcome:<9}  {who}")
        said = seen.reply if seen.host == NOTHING else f"{seen.host}: {seen.reply}"
        say(f"                      {said}")

    globalLogPublisher.addObserver(observe)
    try:
        yield
    finally:
        globalLogPublisher.removeObserver(observe)


def _conclude(world: World, tour: Tour, say: Callable[..., Any]) -> None:
    tour.notices += _diagnoses(received.content for received in world.home.received)
    try:
        world.assertSettled()
        tour.isComplete = True
    except AssertionError as e:
        say(f"\n{e}")
    say("\nWhat became of each")
    last = {event.recipient: event for event in tour.events if event.sender}
    for recipient, event in sorted(last.items()):
        times = "attempt" if event.attempts == 1 else "attempts"
        say(f"  {event.outcome:<9}  {recipient:<21}  {event.attempts} {times}")
    say(f"\nWhat {SENDER} was told")
    for told in tour.notices:
        say(f"  {told}")
    if tour.isComplete:
        say("\nThe queue is empty, nothing was lost, and nothing came twice.")
        say("For a relay of your own: relaymail serve")


def _diagnoses(notices: Iterable[bytes]) -> Iterator[str]:
    """
    Give what notices say of each recipient (RFC 3464 2.3).
    """
    from email import message_from_bytes

    for notice in notices:
        for part in message_from_bytes(notice).walk():
            whom, why = part.get("Final-Recipient"), part.get("Diagnostic-Code")
            if whom and why:
                yield " ".join(f"{whom.partition(';')[2]}: {why}".split())


def _seconds(world: World) -> float:
    from relaymail.testing.clock import BEGINNING

    return world.network.seconds() - BEGINNING


def _time(world: World) -> str:
    seconds = int(_seconds(world))
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


# What there is to be seen.


def _takes(world: World) -> None:
    world.host("192.0.2.10", name="mx.example.org")
    world.exchange("example.org", {"mx.example.org": "192.0.2.10"})


def _refuses(world: World) -> None:
    answers = {"RCPT nobody@example.net": "550 5.1.1 There is no such user here"}
    world.host("192.0.2.20", answers, name="mx.example.net")
    world.exchange("example.net", {"mx.example.net": "192.0.2.20"})


def _greylists(world: World) -> None:
    from relaymail.testing.scripts import greylister

    world.host("192.0.2.30", greylister(240.0), name="mx.careful.example")
    world.exchange("careful.example", {"mx.careful.example": "192.0.2.30"})


def _isHalfDead(world: World) -> None:
    world.host("192.0.2.42", name="mx2.spare.example")
    hosts = {"mx1.spare.example": "192.0.2.41", "mx2.spare.example": "192.0.2.42"}
    world.exchange("spare.example", hosts)


def _dropsAtTheEnd(world: World) -> None:
    from relaymail.testing.scripts import dropsAfterTheDot

    world.host("192.0.2.50", dropsAfterTheDot(), name="mx.shaky.example")
    world.exchange("shaky.example", {"mx.shaky.example": "192.0.2.50"})


#: The tour.
CHAPTERS = (
    Chapter("ben@example.org", "A host that takes mail.", _takes),
    Chapter("nobody@example.net", "One that knows no such user.", _refuses),
    Chapter("gina@careful.example", "One that wants to be asked again.", _greylists),
    Chapter("dora@spare.example", "The first of two is not there.", _isHalfDead),
    Chapter("sam@shaky.example", "The line breaks before the answer.", _dropsAtTheEnd),
    Chapter("x@nowhere.example", "There is no such domain.", lambda world: None),
)
