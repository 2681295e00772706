# -*- test-case-name: relaymail.test.admin.test_acting -*-
"""
What is done with what is queued: so much at a time as takes a moment, so that the
relay goes on meanwhile.  Who asked goes on with C{next}.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import DeferredList, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaymail.admin.asking import BY_HAND, Given, look
from relaymail.admin.desk import Desk, refusalOf
from relaymail.admin.guarding import Refusal
from relaymail.admin.parameters import selectionOf
from relaymail.admin.views import Document
from relaymail.envelopes import Letter
from relaymail.inspection import Listed, NameState
from relaymail.outcome.lines import OutcomeLines
from relaymail.outcomes import Outcome, Removed
from relaymail.replies import Phase, printable

#: How many names are looked at for one answer, where nothing is said: they take
#: some tenths of a second.
STRETCH = 500
#: How many destinations that fail are known to have been tried again.
MAX_FORGIVEN = 10_000
#: How many of them are changed in one turn of the reactor; they share a
#: transaction of the queue.
TURN = 50

_log = Logger()

_ALL = frozenset(NameState)
_HERE = frozenset((NameState.WAITING, NameState.RESTING))
_NOT = {
    NameState.RELAYING: "an attempt is under way; ask again when it is over",
    NameState.HELD: "it is held; release it",
    NameState.ASIDE: "it was set aside; requeue it",
    NameState.WAITING: "it is not held",
    NameState.RESTING: "it is not held",
}


@dataclass(frozen=True, slots=True)
class Act:
    """
    Something that can be done with a name.

    @ivar name: What it is called.
    @ivar states: Where the name may stand.
    @ivar perform: Does it, for the desk, what is known of the name, and why.
    """

    name: str
    states: frozenset[NameState]
    perform: Callable[[Desk, Listed, str], Any]


def _hasten(desk: Desk, entry: Listed, why: str) -> Any:
    return desk.manager.tryNow(entry.name, entry.destination, desk.forgiven)


def _hold(desk: Desk, entry: Listed, why: str) -> Any:
    return desk.queue.hold(entry.name, why)


def _release(desk: Desk, entry: Listed, why: str) -> Any:
    return desk.queue.release(entry.name)


def _requeue(desk: Desk, entry: Listed, why: str) -> Any:
    return desk.queue.requeue(entry.name)


def _bounce(desk: Desk, entry: Listed, why: str) -> Any:
    return desk.manager.bounceNow(entry.name, why)


def _delete(desk: Desk, entry: Listed, why: str) -> Any:
    done = maybeDeferred(desk.manager.removeNow, entry.name, why)
    return done.addCallback(lambda _: _noteRemoved(desk, entry, why))


FLUSH = Act("flush", _HERE, _hasten)
HOLD = Act("hold", _HERE, _hold)
RELEASE = Act("release", frozenset((NameState.HELD,)), _release)
REQUEUE = Act("requeue", _ALL - {NameState.RELAYING}, _requeue)
BOUNCE = Act("bounce", _HERE | {NameState.HELD}, _bounce)
DELETE = Act("delete", _ALL - {NameState.RELAYING}, _delete)
#: What can be done.
ACTS = (FLUSH, HOLD, RELEASE, REQUEUE, BOUNCE, DELETE)


def doing(act: Act) -> Callable[[Desk, Given], Awaitable[Document]]:
    """
    Make the function of an operation.
    """

    async def run(desk: Desk, given: Given) -> Document:
        return await perform(act, desk, given)

    return run


async def perform(act: Act, desk: Desk, given: Given) -> Document:
    """
    Do something with some of the names that are meant.

    @raise Refusal: When it was not said which.
    """
    if selectionOf(given).isEmpty and not given.get("all"):
        raise Refusal(
            400, 'Nothing says which mail is meant: give filters, or "all": true.'
        )
    if "after" not in given or len(desk.forgiven) >= MAX_FORGIVEN:
        # Another order, or one about so many that some get another chance.
        desk.forgiven.clear()
    why = printable(given.get("why") or BY_HAND)
    page = await look(desk, given, given.get("limit", STRETCH))
    entries: Sequence[Listed] = page.entries
    skipped = [
        {"id": printable(entry.name), "why": _NOT[entry.state]}
        for entry in entries
        if entry.state not in act.states
    ]
    able = [entry for entry in entries if entry.state in act.states]
    done = 0
    if able and not given.get("dryRun"):
        failed = await _performAll(act, desk, able, why)
        skipped += failed
        done = len(able) - len(failed)
        _log.info(
            "By the control API: {act} of {done} recipients, {why}",
            act=act.name,
            done=done,
            why=why,
        )
    return {
        "matched": len(entries),
        "done": done,
        "skipped": skipped,
        "next": page.next,
        "complete": page.next is None,
    }


async def _performAll(
    act: Act, desk: Desk, entries: Sequence[Listed], why: str
) -> list[dict[str, str]]:
    """
    Do it with each.

    @return: Those it was not done with, and why.
    """
    failed: list[dict[str, str]] = []
    for start in range(0, len(entries), TURN):
        some = entries[start : start + TURN]
        begun = [maybeDeferred(act.perform, desk, entry, why) for entry in some]
        ended: Any = await DeferredList(begun, consumeErrors=True)
        for entry, (fine, result) in zip(some, ended, strict=True):
            if not fine:
                failed.append({"id": printable(entry.name), "why": _why(result)})
    return failed


def _why(failure: Failure) -> str:
    if failure.check(KeyError):
        return "it is no longer queued"
    known = refusalOf(failure)
    if known is not None:
        return known.error
    _log.failure("A name could not be changed", failure)
    return "it failed; the relay's log says why"


def _noteRemoved(desk: Desk, entry: Listed, why: str) -> None:
    """
    Remember what became of a name that was deleted.
    """
    if entry.name in desk.recent:
        return
    outcome: Outcome = Removed("", Phase.IDLE)
    nothing: Any = None
    letter = Letter(
        [entry.sender, entry.recipient, None],
        nothing,
        attempts=entry.attempts,
        arrived=entry.arrived,
    )
    delay = max(desk.now() - entry.arrived, 0.0)
    fields = OutcomeLines(outcome).fields(
        entry.name, entry.sender, entry.recipient, delay, entry.attempts
    )
    desk.recent.noteOutcome(entry.name, letter, outcome, fields)
