# -*- test-case-name: relaymail.test.bench.test_figures -*-
"""
From times to figures, and from figures to a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from relaymail.bench.mail import Work

_NANO = 1e-9
_MILLI = 1e3
_MEGA = 1e6


@dataclass(frozen=True, slots=True)
class Times:
    """
    What the source and the sink wrote down, in nanoseconds of the machine's
    monotonic clock.

    @ivar began: When the first C{MAIL} was sent.
    @ivar accepted: For each message when its 250 came, 0 for never.
    @ivar arrived: For each delivery when the sink gave its 250, 0 for never;
        those of one message stand together.
    """

    began: int
    accepted: Sequence[int]
    arrived: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """
    What one run has shown.  Times are in seconds, memory in octets; L{None}
    is what could not be known.

    @ivar accepted: How many messages the relay took.
    @ivar refused: How many it did not take.
    @ivar refusal: What it said to the first of these.
    @ivar lost: How many recipients of messages that it took got nothing.
    @ivar duplicates: How many deliveries there were too many.
    @ivar acceptedPerSecond: Messages, from the first C{MAIL} to the last 250
        of the relay.
    @ivar relayedPerSecond: Messages that reached all their recipients, from
        the first C{MAIL} to the last 250 of the sink.
    @ivar deliveredPerSecond: Recipients, over the same time.
    @ivar cpu: The processor time of the relay for each message it took.
    @ivar memory: The most memory that its processes had.
    @ivar p50: The latency that half of the deliveries stayed within.
    @ivar p99: The one that 99 of 100 stayed within.
    @ivar sourceCPU: The processor time of the source for each message.
    @ivar sinkCPU: That of the sink.
    """

    accepted: int
    refused: int
    refusal: str = ""
    lost: int
    duplicates: int
    acceptedPerSecond: float
    relayedPerSecond: float
    deliveredPerSecond: float
    cpu: float | None = None
    memory: int | None = None
    p50: float | None = None
    p99: float | None = None
    sourceCPU: float = 0.0
    sinkCPU: float = 0.0

    def asDict(self) -> dict[str, Any]:
        """
        Give it as what JSON can say.
        """
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Measured:
    """
    All runs of one relay with one kind of work.

    @ivar relay: What the relay is called.
    @ivar work: What it was given to do.
    @ivar runs: What each run has shown.
    """

    relay: str
    work: Work
    runs: tuple[Run, ...]

    @property
    def median(self) -> dict[str, float | None]:
        """
        The middle of each figure that is a rate, a time or memory.
        """
        return {name: middle(getattr(r, name) for r in self.runs) for name in FIGURES}

    def total(self, name: str) -> int:
        """
        Give the sum of what was counted.

        @param name: The attribute of L{Run}.
        """
        return sum(getattr(run, name) for run in self.runs)

    def asDict(self) -> dict[str, Any]:
        """
        Give it as what JSON can say.
        """
        return {
            "relay": self.relay,
            "work": self.work.asDict(),
            "runs": [run.asDict() for run in self.runs],
            "median": self.median,
        }


#: What medians are taken of.
FIGURES = (
    "acceptedPerSecond",
    "relayedPerSecond",
    "deliveredPerSecond",
    "cpu",
    "memory",
    "p50",
    "p99",
    "sourceCPU",
    "sinkCPU",
)


def percentile(values: Iterable[float], percent: float) -> float | None:
    """
    Give the smallest value that at least so many of a hundred do not exceed,
    or L{None} where there are none.

    @param values: The values, in any order.
    @param percent: More than 0, at most 100.
    """
    ordered = sorted(values)
    if not ordered:
        return None
    place = -(-len(ordered) * percent // 100)
    return ordered[max(int(place) - 1, 0)]


def middle(values: Iterable[float | None]) -> float | None:
    """
    Give the median of those that are known, L{None} where none is.
    """
    known = [value for value in values if value is not None]
    return median(known) if known else None


def latencies(times: Times, recipients: int) -> list[float]:
    """
    Give how long each delivery took from the relay's 250 to the sink's.

    @param recipients: The recipients of each message.

    @return: Seconds.  They can be slightly negative: both processes look at
        the clock when they get to run.
    """
    return [
        (arrived - times.accepted[at // recipients]) * _NANO
        for at, arrived in enumerate(times.arrived)
        if arrived and times.accepted[at // recipients]
    ]


def rate(count: int, began: int, ended: int) -> float:
    """
    Give how many there were in a second.

    @param began: Nanoseconds.
    @param ended: Nanoseconds.
    """
    return count / ((ended - began) * _NANO) if count and ended > began else 0.0


def lostOf(times: Times, recipients: int) -> int:
    """
    Count the recipients who never got a message that was accepted.
    """
    return sum(
        not arrived and bool(times.accepted[at // recipients])
        for at, arrived in enumerate(times.arrived)
    )


def figure(times: Times, recipients: int, **others: Any) -> Run:
    """
    Work out what a run has shown.

    @param times: The times of all its messages.
    @param recipients: The recipients of each message.
    @param others: What else is known of the run: attributes of L{Run}.
    """
    accepted = sum(map(bool, times.accepted))
    delivered = sum(map(bool, times.arrived))
    starts = range(0, len(times.arrived), recipients)
    whole = sum(all(times.arrived[at : at + recipients]) for at in starts)
    last = max(times.arrived, default=0)
    took = latencies(times, recipients)
    return Run(
        accepted=accepted,
        lost=lostOf(times, recipients),
        acceptedPerSecond=rate(
            accepted, times.began, max(times.accepted, default=times.began)
        ),
        relayedPerSecond=rate(whole, times.began, last),
        deliveredPerSecond=rate(delivered, times.began, last),
        p50=percentile(took, 50),
        p99=percentile(took, 99),
        **others,
    )


#: The columns of the table: what stands above, which figure, how it is shown.
_COLUMNS = (
    ("accepted/s", "acceptedPerSecond", 1.0, "{:.0f}"),
    ("relayed/s", "relayedPerSecond", 1.0, "{:.0f}"),
    ("recipients/s", "deliveredPerSecond", 1.0, "{:.0f}"),
    ("CPU ms/msg", "cpu", _MILLI, "{:.3f}"),
    ("peak MB", "memory", 1 / _MEGA, "{:.1f}"),
    ("p50 ms", "p50", _MILLI, "{:.1f}"),
    ("p99 ms", "p99", _MILLI, "{:.1f}"),
)


def row(measured: Measured) -> list[str]:
    """
    Give the cells that a table has for a relay and a kind of work.
    """
    middles = measured.median
    cells = [measured.relay, sizeText(measured.work.size)]
    for _, name, factor, pattern in _COLUMNS:
        value = middles[name]
        cells.append("-" if value is None else pattern.format(value * factor))
    return [*cells, str(measured.total("lost")), str(measured.total("refused"))]


def table(all_: Sequence[Measured]) -> str:
    """
    Give the medians of all as lines of text.
    """
    heads = ["relay", "size", *(column[0] for column in _COLUMNS), "lost", "refused"]
    rows = [heads, *map(row, all_)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_aligned(cells, widths) for cells in rows)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    others = [c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True)]
    return "  ".join([first, *others])


def sizeText(size: int) -> str:
    """
    Give a size as short as it can be said.

    @param size: Octets.
    """
    for unit, letter in ((1 << 20, "M"), (1 << 10, "K")):
        if size >= unit and size % unit == 0:
            return f"{size // unit}{letter}"
    return str(size)


def remarks(all_: Sequence[Measured]) -> list[str]:
    """
    Give a sentence for everything that makes figures less than they seem.
    """
    said = []
    for measured in all_:
        who = f"{measured.relay}, {sizeText(measured.work.size)}"
        if measured.total("lost"):
            said.append(f"{who}: {measured.total('lost')} deliveries were lost.")
        if measured.total("refused"):
            first = next(run.refusal for run in measured.runs if run.refused)
            count = measured.total("refused")
            said.append(f"{who}: {count} messages were refused, the first: {first}")
        if measured.total("duplicates"):
            said.append(f"{who}: {measured.total('duplicates')} came more than once.")
    return said
