# -*- test-case-name: relaymail.test.endtoend.test_bench -*-
"""
One measurement from beginning to end: relays in turn, run after run.
"""

from __future__ import annotations

import json
import secrets
import tempfile
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relaymail.bench.children import Child, Children, hearAny
from relaymail.bench.errors import BenchError
from relaymail.bench.figures import Measured, Run, Times, figure
from relaymail.bench.machine import Watched, syncSeconds
from relaymail.bench.mail import Work
from relaymail.bench.relays import Running, Target

#: How long the source or the sink may take for an answer that needs no relay,
#: in seconds.
ANSWER_SECONDS = 20.0
#: How often the sink tells how much came, in seconds; paced, at once.
EVERY = 0.1
#: How long the relay is left alone before each paced message, in seconds: it
#: has to write down the delivery of the one before.
REST = 0.02
#: How often it is looked whether the relay still runs, in seconds.
GLANCE = 1.0
#: How often it is looked whether the relay's processor time still grows, in
#: seconds: several ticks of the kernel's count.
LOOK = 0.1
#: How long it may grow after the last delivery, in seconds.
SETTLE = 3.0

#: Told how many more deliveries came.
Progress = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What is to be measured.

    @ivar relays: The relays; in each round of runs each has its turn.
    @ivar works: What each is given to do, one after the other.
    @ivar runs: How many runs each has of each work.
    @ivar place: Where our own relay's queue and all other files are made, in a
        directory that is removed afterwards.
    @ivar disk: Where the time of the disk is measured.
    @ivar sinkPort: The port of the sink, 0 for any.
    @ivar patience: How long to wait for a sign of any more mail, in seconds.
    """

    relays: Sequence[Target]
    works: Sequence[Work]
    runs: int
    place: Path
    disk: Path
    sinkPort: int
    patience: float

    @property
    def deliveries(self) -> int:
        """
        How many there will be in all.
        """
        each = sum(work.deliveries for work in self.works)
        return each * self.runs * len(self.relays)


@dataclass(frozen=True, slots=True)
class Report:
    """
    What was measured.

    @ivar fdatasync: The median time to make a few octets durable, in seconds.
    @ivar all: The runs of each relay with each work.
    """

    fdatasync: float
    all: tuple[Measured, ...]

    @property
    def lost(self) -> int:
        """
        How many deliveries were lost.
        """
        return sum(measured.total("lost") for measured in self.all)

    def asDict(self) -> dict[str, Any]:
        """
        Give it as what JSON can say.
        """
        results = [measured.asDict() for measured in self.all]
        return {"fdatasync": self.fdatasync, "lost": self.lost, "results": results}


def perform(plan: Plan, progress: Progress) -> Report:
    """
    Measure everything, and leave no process and no file behind.

    @param plan: What is to be measured.
    @param progress: Told of what came.

    @raise BenchError: When it cannot be measured.
    """
    disk = syncSeconds(plan.disk)
    try:
        made = tempfile.TemporaryDirectory(prefix="relaymail-bench-", dir=plan.place)
    except OSError as e:
        raise BenchError(
            f"Tried to make a directory in {plan.place}: {e.strerror or e}. Start "
            "the command in one where you may."
        ) from e
    with made as name, Children() as children:
        rounds = Rounds(plan, Path(name), children, progress)
        return Report(disk, tuple(rounds.all()))


class Rounds:
    """
    The runs, around one sink.
    """

    def __init__(
        self, plan: Plan, place: Path, children: Children, progress: Progress
    ) -> None:
        """
        Start the sink.

        @param plan: What is to be measured.
        @param place: A directory for files.
        @param children: Where all processes belong.
        @param progress: Told of what came.

        @raise BenchError: When the sink does not start.
        """
        self._plan = plan
        self._place = place
        self._children = children
        words = ["-m", "relaymail.bench.sink", str(plan.sinkPort)]
        self._sink = children.start("sink", words, place / "sink")
        self._port = int(self._sink.hear("ready", ANSWER_SECONDS))
        self._progress = progress
        self._run = 0

    def all(self) -> list[Measured]:
        """
        Do all runs: one work after the other, and within each the relays in
        turn, so that what else the machine does meets all of them alike.
        """
        measured = []
        for work in self._plan.works:
            runs: list[list[Run]] = [[] for _ in self._plan.relays]
            for _ in range(self._plan.runs):
                for relay, done in zip(self._plan.relays, runs, strict=True):
                    done.append(self.one(relay, work))
            for relay, done in zip(self._plan.relays, runs, strict=True):
                measured.append(Measured(relay.name, work, tuple(done)))
        return measured

    def one(self, relay: Target, work: Work) -> Run:
        """
        Do one run of one relay.

        @raise BenchError: When it cannot be done.
        """
        self._run += 1
        place = self._place / f"run-{self._run}"
        place.mkdir()
        with relay.started(self._children, place, self._port) as running:
            done = Passage(self._plan, self._sink, running, work, place)
            run = done.run(self._children, self._progress)
        if not run.accepted:
            raise BenchError(
                f"Gave {work.messages} messages to {relay.name} at {running.host}:"
                f"{running.port}: it took none, and the first was told: "
                f"{run.refusal}. See that it runs there and relays for this host."
            )
        return run


class Passage:
    """
    The mail of one run on its way.
    """

    def __init__(
        self, plan: Plan, sink: Child, relay: Running, work: Work, place: Path
    ) -> None:
        """
        @param plan: What is to be measured.
        @param sink: The sink.
        @param relay: The relay.
        @param work: What it is given to do.
        @param place: A directory for files.
        """
        self._plan = plan
        self._sink = sink
        self._relay = relay
        self._work = work
        self._place = place
        self._tag = secrets.token_hex(8)
        self._came = 0
        self._sent: dict[str, Any] | None = None
        self._asks = -1

    def run(self, children: Children, progress: Progress) -> Run:
        """
        Send everything, wait for it, and work out what was seen.

        @param children: Where the source belongs.
        @param progress: Told of what came.
        """
        work, watched = self._work, self._relay.watched
        every = 0 if work.paced else EVERY
        self._sink.tell(f"begin {self._tag} {work.messages} {work.recipients} {every}")
        self._sink.hear("begun", ANSWER_SECONDS)
        before = watched.seconds() if watched else 0.0
        words = ["-m", "relaymail.bench.source", json.dumps(self._orders())]
        with children.start("source", words, self._place / "source") as source:
            self._watch(source, progress)
        sent = self._sent
        assert sent is not None
        self._sink.tell(f"end {self._place / 'arrived'}")
        duplicates, used = self._sink.hear("ended", ANSWER_SECONDS).split()
        accepted = _readTimes(self._place / "accepted")
        count = max(sum(map(bool, accepted)), 1)
        return figure(
            Times(sent["began"], accepted, _readTimes(self._place / "arrived")),
            work.recipients,
            refused=sent["refused"],
            refusal=sent["refusal"],
            duplicates=int(duplicates),
            cpu=(settled(watched) - before) / count if watched else None,
            memory=watched.peak() if watched else None,
            sourceCPU=sent["cpu"] / count,
            sinkCPU=float(used) / count,
        )

    def _orders(self) -> dict[str, Any]:
        return {
            "host": self._relay.host,
            "port": self._relay.port,
            "tag": self._tag,
            "path": str(self._place / "accepted"),
            "patience": self._plan.patience,
            "work": self._work.asDict(),
        }

    def _watch(self, source: Child, progress: Progress) -> None:
        patience = self._plan.patience
        told, due = 0, time.monotonic() + patience
        while not self._isOver():
            speakers = [self._sink, source] if self._sent is None else [self._sink]
            lines = hearAny(speakers, min(due - time.monotonic(), GLANCE))
            if not lines and time.monotonic() >= due:
                break
            self._relay.check()
            for child, line in lines:
                self._heard(child is source, line)
            if lines:
                due = time.monotonic() + self._bound()
            progress(self._came - told)
            told = self._came
            self._pace(source)
        if self._sent is None:
            raise BenchError(
                f"Waited {patience:g} s for a message to come from the relay to the "
                f"sink: {self._came} came, the next did not. See the relay's log and "
                "that its next hop is the sink's port, or wait longer with "
                "--patience."
            )

    def _bound(self) -> float:
        # While the source runs it is the one to say that nothing is answered.
        isSending = self._sent is None and not self._work.paced
        return self._plan.patience + (ANSWER_SECONDS if isSending else 0)

    def _heard(self, isSource: bool, line: str) -> None:
        word, _, others = line.partition(" ")
        if word == "sent":
            self._sent = json.loads(others)
        elif word == "pace":
            self._asks = int(others)
        elif word == "at" and not isSource:
            self._came = int(others)

    def _pace(self, source: Child) -> None:
        if self._asks >= 0 and self._came >= self._asks * self._work.recipients:
            self._asks = -1
            time.sleep(REST)
            source.tell("go")

    def _isOver(self) -> bool:
        if self._sent is None:
            return False
        taken: int = self._work.messages - self._sent["refused"]
        return self._came >= taken * self._work.recipients


def settled(watched: Watched) -> float:
    """
    Wait until a relay that has delivered everything has also written that down,
    and give the processor time it has used, in seconds.
    """
    end = time.monotonic() + SETTLE
    used = watched.seconds()
    while time.monotonic() < end:
        time.sleep(LOOK)
        before, used = used, watched.seconds()
        if used == before:
            break
    return used


def _readTimes(path: Path) -> Sequence[int]:
    times = array("q")
    times.frombytes(path.read_bytes())
    return times
