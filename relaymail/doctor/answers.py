# -*- test-case-name: relaymail.test.doctor.test_answers -*-
"""
Checks, what they answer, and running them one after the other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from relaymail.errors import RelayMailError
from relaymail.replies import printable

#: How long a check may take, in seconds: a few time-outs of the network.
PATIENCE = 30.0
#: How long an answer may be, in characters.
MAX_ANSWER = 1000


class Verdict(Enum):
    """
    How something is.  The value is what people read.
    """

    OK = "ok"
    WARNING = "warn"
    FAILURE = "fail"


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What a check has found.

    @ivar verdict: How it is.
    @ivar found: What was tried, and what came back.
    @ivar remedy: What to do; nothing where all is well.
    """

    verdict: Verdict
    found: str
    remedy: str = ""


def ok(found: str) -> Answer:
    """
    Say that something is well.
    """
    return Answer(Verdict.OK, found)


def warn(found: str, remedy: str) -> Answer:
    """
    Say that something may be trouble.
    """
    return Answer(Verdict.WARNING, found, remedy)


def fail(found: str, remedy: str) -> Answer:
    """
    Say that mail cannot be taken, kept or sent so.
    """
    return Answer(Verdict.FAILURE, found, remedy)


@dataclass(frozen=True, slots=True)
class Check:
    """
    One thing that is looked at.

    @ivar name: What it is, in a word or two.
    @ivar look: Looks at it.
    """

    name: str
    look: Callable[[], Iterable[Answer]]


@dataclass(frozen=True, slots=True)
class Result:
    """
    What became of a check.

    @ivar name: Its name.
    @ivar answers: What it has found, at least one thing.
    """

    name: str
    answers: Sequence[Answer]


def run(
    checks: Iterable[Check],
    told: Callable[[str], object] = lambda name: None,
    patience: float = PATIENCE,
) -> Iterator[Result]:
    """
    Run checks, one after the other, each within a bound.

    @param told: Is told the name of each check that begins.
    @param patience: How long each may take, in seconds.
    """
    for check in checks:
        told(check.name)
        yield Result(check.name, _within(check, patience))


def _within(check: Check, patience: float) -> list[Answer]:
    """
    Run a check in a thread, which is left where it hangs: a disk or a name
    service that does not answer cannot be asked to stop.
    """
    found: list[Answer] = []

    def look() -> None:
        found.extend(_answers(check))

    thread = threading.Thread(target=look, name=f"check-{check.name}", daemon=True)
    thread.start()
    thread.join(patience)
    if thread.is_alive():
        return [
            fail(
                f"it did not answer within {patience:g} seconds",
                "find out what hangs: a disk, a mount of the network, a name service",
            )
        ]
    return found


def _answers(check: Check) -> list[Answer]:
    try:
        found = [_shown(answer) for answer in check.look()]
    except (OSError, RelayMailError) as e:
        words = getattr(e, "strerror", None) or str(e) or type(e).__name__
        found = [fail(printable(words, MAX_ANSWER), "see what it says")]
    except Exception as e:
        found = [
            fail(
                f"the check itself has failed: {printable(repr(e), MAX_ANSWER)}",
                "send this to the authors of relaymail",
            )
        ]
    return found or [ok("there is nothing to check")]


def _shown(answer: Answer) -> Answer:
    """
    Give an answer as one printable line: servers say what they like.
    """
    return Answer(
        answer.verdict,
        printable(answer.found, MAX_ANSWER),
        printable(answer.remedy, MAX_ANSWER),
    )


def worst(results: Iterable[Result]) -> Verdict:
    """
    Say how it is with all of them.
    """
    found = {answer.verdict for result in results for answer in result.answers}
    for verdict in (Verdict.FAILURE, Verdict.WARNING):
        if verdict in found:
            return verdict
    return Verdict.OK
