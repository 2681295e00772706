# -*- test-case-name: relaymail.test.cli.test_bench -*-
"""
Tests for L{relaymail.cli.bench}.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from relaymail.bench import runner
from relaymail.bench.errors import BenchError
from relaymail.bench.figures import Measured, Run
from relaymail.bench.machine import Watched
from relaymail.bench.mail import Work
from relaymail.bench.relays import Other, Own
from relaymail.bench.runner import Plan, Report
from relaymail.cli import bench as module
from relaymail.cli.bench import (
    Address,
    assigned,
    bench,
    diskOf,
    parseRelay,
    parseSize,
)


def makeReport(lost: int = 0) -> Report:
    """
    Make a report of one run.
    """
    run = Run(
        accepted=10,
        refused=0,
        lost=lost,
        duplicates=0,
        acceptedPerSecond=5.0,
        relayedPerSecond=4.0,
        deliveredPerSecond=4.0,
    )
    return Report(0.00025, (Measured("relaymail", Work(), (run,)),))


class CommandTests(SynchronousTestCase):
    """
    Tests for the command, with nothing behind it.
    """

    def setUp(self) -> None:
        """
        Put a report in the place of measuring.
        """
        self.report: Report | BenchError = makeReport()
        self.plans: list[Plan] = []
        self.patch(runner, "perform", self.perform)
        # The signals are the whole process's.
        self.patch(module, "endBySignals", lambda: None)

    def perform(self, plan: Plan, progress: Any) -> Report:
        """
        Note the plan, and give the report.
        """
        self.plans.append(plan)
        if isinstance(self.report, BenchError):
            raise self.report
        return self.report

    def run_(self, *words: str) -> Result:
        """
        Run the command.
        """
        return CliRunner().invoke(bench, words)

    def plan(self, *words: str) -> Plan:
        """
        Give the plan that the command makes.
        """
        done = self.run_(*words)
        self.assertEqual(done.exit_code, 0, done.output)
        return self.plans[-1]

    def assertUsage(self, said: str, *words: str) -> None:
        """
        Fail unless a command line is refused, and nothing is measured.
        """
        done = self.run_(*words)
        self.assertEqual(done.exit_code, 2)
        self.assertIn(said, done.output)
        self.assertEqual(self.plans, [])

    def test_defaults(self) -> None:
        """
        Without options our own relay gets 5000 small messages from ten senders,
        five times.
        """
        plan = self.plan()
        self.assertEqual(plan.relays, [Own()])
        self.assertEqual(plan.works, [Work(1024, 10, 5000, 1, 1, False)])
        self.assertEqual((plan.runs, plan.place), (5, Path.cwd()))
        self.assertEqual(plan.deliveries, 25000)

    def test_latency(self) -> None:
        """
        The latency is measured with one connection, one message at a time.
        """
        plan = self.plan("--latency")
        self.assertEqual(plan.works, [Work(1024, 1, 200, 0, 1, True)])
        self.plans.clear()
        self.assertUsage("one sender", "--latency", "--senders", "3")

    def test_sizes(self) -> None:
        """
        Each size is a work of its own.
        """
        plan = self.plan("--size", "10K", "--size", "300")
        self.assertEqual([work.size for work in plan.works], [10240, 300])

    def test_relays(self) -> None:
        """
        Other relays have names and processes of their own.
        """
        plan = self.plan(
            *("--relay", "own", "--relay", "a=127.0.0.1:26", "--relay", "[::1]:27"),
            *("--sink-port", "2526", "--relay-pid", "a=5", "--relay-pid", "a=6"),
            *("--relay-pid-of", "::1:27=master", "--max-connections", "7"),
        )
        self.assertEqual(
            plan.relays,
            [
                Own("relaymail", None, 7),
                Other("a", "127.0.0.1", 26, Watched((5, 6))),
                Other("::1:27", "::1", 27, Watched((), ("master",))),
            ],
        )

    def test_usage(self) -> None:
        """
        What does not go together is told before anything is started.
        """
        self.assertUsage("--sink-port", "--relay", "127.0.0.1:26")
        self.assertUsage("one name", "--relay", "own", "--relay", "own")
        self.assertUsage("none but our own", "--relay-pid", "5")
        self.assertUsage(
            "number of a process",
            *("--relay", "127.0.0.1:26", "--sink-port", "27", "--relay-pid", "x"),
        )
        self.assertUsage("at most", "--messages", "10000000", "--recipients", "2")
        self.assertUsage("no size", "--size", "5")
        self.assertUsage("HOST:PORT", "--relay", "somewhere")

    def test_table(self) -> None:
        """
        A table is printed, and the time of the disk.
        """
        done = self.run_()
        self.assertIn("relayed/s", done.output)
        self.assertIn("fdatasync: 0.25 ms", done.output)

    def test_json(self) -> None:
        """
        With C{--json} nothing but JSON is printed.
        """
        told = json.loads(self.run_("--json").stdout)
        self.assertEqual(told["results"][0]["runs"][0]["accepted"], 10)
        self.assertEqual((told["fdatasync"], told["lost"]), (0.00025, 0))

    def test_lost(self) -> None:
        """
        Lost mail is exit code 1, and told.
        """
        self.report = makeReport(lost=2)
        done = self.run_()
        self.assertEqual(done.exit_code, 1)
        self.assertIn("2 deliveries were lost", done.output)

    def test_error(self) -> None:
        """
        What cannot be measured is one sentence and exit code 1.
        """
        self.report = BenchError("Tried this: no. Do that.")
        done = self.run_()
        self.assertEqual(done.exit_code, 1)
        self.assertIn("Error: Tried this: no. Do that.", done.output)


class PartsTests(SynchronousTestCase):
    """
    Tests for the readers of options.
    """

    def test_size(self) -> None:
        """
        Units are understood in both cases.
        """
        told = [parseSize(text) for text in ("300", "1k", "10K", "50M")]
        self.assertEqual(told, [300, 1024, 10240, 50 << 20])
        for text in ("", "K", "-1", "1.5K", "10G", "255", "2000M"):
            self.assertRaises(click.BadParameter, parseSize, text)

    def test_relay(self) -> None:
        """
        A relay has a name, its address or the one it was given.
        """
        self.assertEqual(parseRelay("own"), Address("relaymail"))
        self.assertEqual(parseRelay("h:25"), Address("h:25", "h", 25))
        self.assertEqual(parseRelay("x=[::1]:25"), Address("x", "::1", 25))
        for text in ("", "h", "h:0", "h:65536", "=h:25", "x=own", "a b=h:25"):
            self.assertRaises(click.BadParameter, parseRelay, text)

    def test_assigned(self) -> None:
        """
        A value belongs to the relay it names, or to the only one.
        """
        self.assertEqual(assigned("--x", ["5"], ["a"]), {"a": ["5"]})
        told = assigned("--x", ["b=5", "b=6"], ["a", "b"])
        self.assertEqual(told, {"a": [], "b": ["5", "6"]})
        for value in ("5", "c=5", "a="):
            self.assertRaises(click.UsageError, assigned, "--x", [value], ["a", "b"])

    def test_disk(self) -> None:
        """
        The disk is that of the nearest directory there is.
        """
        place = Path(self.mktemp()).absolute()
        place.mkdir()
        for queue in (f"spool:{place}/a.db", f"{place}/new/queue", str(place)):
            self.assertEqual(diskOf(queue), place)
        self.assertIsNone(diskOf(None))
