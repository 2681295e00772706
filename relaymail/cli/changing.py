# -*- test-case-name: relaymail.test.cli.test_changing -*-
"""
C{relaymail queue flush} and so on: what changes what is queued.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import click

from relaymail.cli.client import Client
from relaymail.cli.output import note, showJSON
from relaymail.cli.progress import Progress
from relaymail.cli.reading import client
from relaymail.cli.selecting import queryOf, selecting
from relaymail.cli.settings import current
from relaymail.cli.troubles import FAILED, CommandError
from relaymail.cli.words import count

#: How many that were left out are told of, with why.
MAX_TOLD = 20
#: How many of them are remembered.
MAX_SKIPPED = 10_000
#: How many are counted before it is asked whether to go on.
MAX_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class Change:
    """
    Something that can be done with what is queued.

    @ivar name: What the API and the command call it.
    @ivar done: What was done, after a number of recipients.
    @ivar question: What is asked before it is done, for it cannot be undone.
    @ivar takesWhy: Whether one can say why.
    @ivar state: Which are meant, unless it is said by ID or otherwise: for the
        others there is nothing to do.
    """

    name: str
    done: str
    question: str = ""
    takesWhy: bool = False
    state: str = ""


@dataclass(slots=True)
class Work:
    """
    How far a change is.

    @ivar matched: How many were meant.
    @ivar done: How many of them it was done with.
    @ivar skipped: Those it was not done with, as the API tells of them.
    @ivar left: How many it was not done with, or cannot be.
    """

    matched: int = 0
    done: int = 0
    skipped: list[dict[str, Any]] = field(default_factory=list)
    left: int = 0

    @property
    def possible(self) -> int:
        """
        How many of them it can be done with.
        """
        return self.matched - self.left

    def add(self, answer: Mapping[str, Any]) -> None:
        """
        Note what the relay has done.
        """
        self.matched += answer["matched"]
        self.done += answer["done"]
        self.left += len(answer["skipped"])
        room = MAX_SKIPPED - len(self.skipped)
        self.skipped += answer["skipped"][:room]


def perform(
    asked: Client, change: Change, body: Mapping[str, Any], most: int | None = None
) -> Work:
    """
    Let the relay do something with all that is meant: it does so much at a time
    as takes a moment.

    @param body: What is said about it.
    @param most: How many are enough to know; L{None}: all.
    """
    work = Work()
    after: str | None = None
    with Progress(change.name) as progress:
        while True:
            said = dict(body) if after is None else {**body, "after": after}
            answer = asked.post(f"queue/{change.name}", said)
            work.add(answer)
            progress.tell(work.done or work.matched)
            before, after = after, answer["next"]
            if after is None or (most is not None and work.matched >= most):
                return work
            if after == before:
                raise CommandError(
                    f"The relay stopped before all was done: {work.done} of "
                    f"{work.matched}. Look at its log, and try again."
                )


def _changing(change: Change, told: str) -> click.Command:
    """
    Make the command for a change.
    """

    def run(isAll: bool, isDry: bool, isSure: bool, why: str = "", **said: Any) -> int:
        body: dict[str, Any] = queryOf(said)
        if not body and not isAll:
            raise click.UsageError(
                "Nothing was said of which mail is meant: give IDs or filters, or "
                "--all for all that is queued."
            )
        if change.state and not said["ids"]:
            body.setdefault("state", change.state)
        elif isAll:
            body["all"] = True
        if why:
            body["why"] = why
        asked = client()
        if isDry:
            body["dryRun"] = True
        elif change.question and not isSure and isAsked():
            _confirm(asked, change, body)
        work = perform(asked, change, body)
        _report(change, work, isDry)
        missing = len(set(said["ids"])) - work.matched
        if missing > 0 and work.matched:
            note(f"{count(missing, 'ID')} of those given: not in the queue.")
        return FAILED if isWrong(work, set(said["ids"])) else 0

    run.__doc__ = told
    return click.command(change.name)(_withOptions(change, run))


def _withOptions(change: Change, run: Callable[..., int]) -> Callable[..., int]:
    made = [
        click.option("--all", "isAll", is_flag=True, help="All that is queued."),
        click.option(
            "-n",
            "--dry-run",
            "isDry",
            is_flag=True,
            help="Only say how many are meant.",
        ),
        click.option(
            "-y",
            "--yes",
            "isSure",
            is_flag=True,
            hidden=not change.question,
            help="Do not ask first, on a terminal.",
        ),
    ]
    if change.takesWhy:
        made.append(click.option("--why", metavar="TEXT", default="", help="Why."))
    for option in reversed(made):
        run = option(run)
    return selecting(run)


def isWrong(work: Work, names: Collection[str]) -> bool:
    """
    Tell whether it is a failure that some were left out: who names one wants that
    one, who says which are meant wants what can be.

    @param names: The IDs that were named.
    """
    if names:
        return work.left > 0 or work.matched < len(names)
    return work.left > 0 and not work.possible


def isAsked() -> bool:
    """
    Tell whether there is a person who can be asked.
    """
    return sys.stdin.isatty()


def _confirm(asked: Client, change: Change, body: Mapping[str, Any]) -> None:
    """
    Ask first, with the number.

    @raise click.Abort: When the answer is no.
    """
    found = perform(asked, change, {**body, "dryRun": True}, MAX_COUNTED)
    if found.possible:
        several = "at least " if found.matched >= MAX_COUNTED else ""
        question = change.question.format(several + count(found.possible, "recipient"))
        click.confirm(question, abort=True, err=True)


def _report(change: Change, work: Work, isDry: bool) -> None:
    """
    Say what was done.
    """
    if current().asJSON:
        showJSON(
            {
                "matched": work.matched,
                "done": work.done,
                "skipped": work.skipped,
                "dryRun": isDry,
            }
        )
    elif not work.matched and not work.left:
        note("Nothing of that is queued.")
    elif isDry:
        click.echo(f"{count(work.possible, 'recipient')} would be {change.done}.")
    else:
        click.echo(f"{count(work.done, 'recipient')} {change.done}.")
    if not current().asJSON:
        _tellSkipped(work)


def _tellSkipped(work: Work) -> None:
    for each in work.skipped[:MAX_TOLD]:
        note(f"{each['id']}: {each['why']}")
    if work.left > MAX_TOLD:
        note(f"and {count(work.left - MAX_TOLD, 'other')}.")


flush = _changing(
    Change("flush", "tried now"),
    """
    Try mail now.

    What rests until its next attempt is due at once; limits and suspensions are
    kept.
    """,
)
hold = _changing(
    Change("hold", "held", takesWhy=True),
    """
    Keep mail back until it is released.

    It is not sent, and does not expire, over restarts too.
    """,
)
release = _changing(
    Change("release", "released", state="held"),
    """
    Keep mail back no longer.

    It is due at once.
    """,
)
requeue = _changing(
    Change("requeue", "queued anew"),
    """
    Begin anew with mail.

    It is as if it had just arrived: no attempts, and its whole time before it
    expires. Mail that was set aside is tried again, too.
    """,
)
bounce = _changing(
    Change("bounce", "bounced", "Give up {} and tell the senders?", takesWhy=True),
    """
    Give mail up, and tell its senders.
    """,
)
delete = _changing(
    Change("delete", "deleted", "Delete {} for good?", takesWhy=True),
    """
    Drop mail, and tell nobody.
    """,
)
