# -*- test-case-name: relaymail.test.admin.test_metrics -*-
"""
What a monitor collects: counters and levels in the text of Prometheus.

What is shown is gathered in the reactor's thread, and written out in another: that
takes as long as there are numbers.  How many there are is bounded, whoever mail is
sent to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from relaymail import __version__
from relaymail.admin.desk import Desk, Policed, Text
from relaymail.admin.recent import KINDS, MAX_COUNTED, OTHER
from relaymail.alarms import Alarm
from relaymail.inspection import DestinationCount
from relaymail.replies import printable

#: The type of what is given.
KIND = "text/plain; version=0.0.4; charset=utf-8"

_LEVELS = ("running", "full", "damaged", "stopping")
#: What the keys of alarms begin with: credentials that a host refuses, tokens that are
#: not to be had, name servers that do not validate, and policies that cannot be kept.
_ALARMS = ("auth", "token", "dnssec", "mta-sts")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """
    What is shown.

    @ivar state: How the relay is.
    @ivar started: Since when it runs, in seconds of the epoch.
    @ivar totals: What was counted since the queue was made.
    @ivar outcomes: What became of mail since the relay was started, by
        destination.
    @ivar queued: How much is queued.
    @ivar relaying: How much of it is being relayed.
    @ivar destinations: The destinations with the most mail.
    @ivar number: How many destinations have mail.
    @ivar connections: How many connections there are.
    @ivar most: How many may go out.
    @ivar alarms: How many alarms sound, by the kind of their keys.
    @ivar inClear: How many hosts get mail in clear because their TLS fails.
    @ivar policed: How it is with the policies of destinations.
    """

    state: str
    started: float
    totals: Mapping[str, int]
    outcomes: Mapping[str, Mapping[str, int]]
    queued: int
    relaying: int
    destinations: tuple[DestinationCount, ...]
    number: int
    connections: Mapping[str, int] = field(default_factory=dict)
    most: int = 0
    alarms: Mapping[str, int] = field(default_factory=dict)
    inClear: int = 0
    policed: Policed = field(default_factory=Policed)


async def show(desk: Desk, given: Mapping[str, Any]) -> Text:
    """
    Give what a monitor collects.
    """
    snapshot = await gather(desk)
    written: bytes = await desk.run(partial(render, snapshot))
    return Text(KIND, written)


async def gather(desk: Desk) -> Snapshot:
    """
    Gather what is shown.
    """
    totals = await desk.totals()
    found, number = await desk.counted(MAX_COUNTED)
    shape = await desk.inspectable().shape(1)
    each = desk.recent.byDestination.items()
    return Snapshot(
        state=desk.health()[0],
        started=desk.relay.started,
        totals=totals,
        outcomes={name: dict(counts) for name, counts in each},
        queued=shape.total.total,
        relaying=sum(map(len, desk.manager.managed.values())),
        destinations=tuple(found[:MAX_COUNTED]),
        number=number,
        connections=desk.connections(),
        most=desk.manager.maxConnections,
        alarms=Counter(map(_kindOf, desk.alarms())),
        inClear=len(desk.manager.hostsInClear()),
        policed=desk.policies(),
    )


def _kindOf(alarm: Alarm) -> str:
    kind = alarm.key.partition(":")[0]
    return kind if kind in _ALARMS else OTHER


def render(snapshot: Snapshot) -> bytes:
    """
    Write it out.
    """
    # It takes a tenth of a second to import, and many never ask for it.
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(snapshot))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Families:
    """
    What is shown, as the library wants it.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Any]:
        """
        Give the families of numbers.
        """
        yield from self._relay()
        yield from self._counters()
        yield from self._queue()
        yield from self._policies()

    def _relay(self) -> Iterator[Any]:
        from prometheus_client.core import GaugeMetricFamily

        told = self._snapshot
        info = GaugeMetricFamily(
            "relaymail_info", "The version of the relay.", labels=["version"]
        )
        info.add_metric([__version__], 1)
        yield info
        yield GaugeMetricFamily(
            "relaymail_start_time_seconds", "Since when it runs.", value=told.started
        )
        state = GaugeMetricFamily(
            "relaymail_state", "How the relay is: 1 for what it is.", labels=["state"]
        )
        for level in _LEVELS:
            state.add_metric([level], float(level == told.state))
        yield state
        alarms = GaugeMetricFamily(
            "relaymail_alarms",
            "Alarms that sound: what somebody has to mend.",
            labels=["kind"],
        )
        for kind in (*_ALARMS, OTHER):
            alarms.add_metric([kind], told.alarms.get(kind, 0))
        yield alarms
        connections = GaugeMetricFamily(
            "relaymail_connections", "Connections now.", labels=["direction"]
        )
        for direction, number in told.connections.items():
            connections.add_metric([direction], number)
        yield connections
        yield GaugeMetricFamily(
            "relaymail_connections_max",
            "How many connections may go out.",
            value=told.most,
        )
        yield GaugeMetricFamily(
            "relaymail_broken_tls",
            "Hosts that offer TLS, and get mail in clear because it fails.",
            value=told.inClear,
        )

    def _counters(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily

        told = self._snapshot
        totals = CounterMetricFamily(
            "relaymail_recipients",
            "Recipients since the queue was made, by what became of them.",
            labels=["event"],
        )
        for name, number in sorted(told.totals.items()):
            totals.add_metric([printable(name)], number)
        yield totals
        outcomes = CounterMetricFamily(
            "relaymail_outcomes",
            "Outcomes since the relay was started.",
            labels=["destination", "outcome"],
        )
        for destination, counts in told.outcomes.items():
            for kind in KINDS:
                outcomes.add_metric([printable(destination), kind], counts[kind])
        yield outcomes

    def _queue(self) -> Iterator[Any]:
        from prometheus_client.core import GaugeMetricFamily

        told = self._snapshot
        yield GaugeMetricFamily(
            "relaymail_queued", "Recipients that are queued.", value=told.queued
        )
        yield GaugeMetricFamily(
            "relaymail_relaying",
            "Recipients that are being relayed.",
            value=told.relaying,
        )
        yield GaugeMetricFamily(
            "relaymail_destinations", "Destinations with mail.", value=told.number
        )
        queued = GaugeMetricFamily(
            "relaymail_destination_queued",
            "Recipients that are queued, of the destinations with the most.",
            labels=["destination", "state"],
        )
        for each in told.destinations:
            name = printable(each.name)
            rest = each.queued - each.resting - each.held
            queued.add_metric([name, "resting"], each.resting)
            queued.add_metric([name, "held"], each.held)
            queued.add_metric([name, "active"], max(rest, 0))
        others = told.queued - sum(each.queued for each in told.destinations)
        queued.add_metric([OTHER, "any"], max(others, 0))
        yield queued

    def _policies(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        told = self._snapshot.policed
        kept = GaugeMetricFamily(
            "relaymail_sts_policies",
            "Policies of MTA-STS of destinations that are known.",
            labels=["mode"],
        )
        for mode, number in told.kept.items():
            kept.add_metric([mode], number)
        yield kept
        fetches = CounterMetricFamily(
            "relaymail_sts_fetches",
            "Fetches of such policies since the relay was started.",
            labels=["result"],
        )
        for result, number in told.fetches.items():
            fetches.add_metric([result], number)
        yield fetches
