# -*- test-case-name: relaymail.test.bench.test_figures -*-
"""
Tests for L{relaymail.bench.figures}.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.bench.figures import (
    Measured,
    Run,
    Times,
    figure,
    middle,
    percentile,
    remarks,
    sizeText,
    table,
)
from relaymail.bench.mail import Work

SECOND = 1_000_000_000


def makeRun(**others: Any) -> Run:
    """
    Make a run of one message.
    """
    given_: dict[str, Any] = {
        "accepted": 1,
        "refused": 0,
        "lost": 0,
        "duplicates": 0,
        "acceptedPerSecond": 10.0,
        "relayedPerSecond": 9.0,
        "deliveredPerSecond": 9.0,
    }
    return Run(**{**given_, **others})


class StatisticsTests(SynchronousTestCase):
    """
    Tests for percentiles and medians.
    """

    def test_percentile(self) -> None:
        """
        It is the smallest value that enough of the others do not exceed.
        """
        values = [float(n) for n in range(100, 0, -1)]
        self.assertEqual(percentile(values, 50), 50.0)
        self.assertEqual(percentile(values, 99), 99.0)
        self.assertEqual(percentile(values, 100), 100.0)
        self.assertEqual(percentile([3.0], 1), 3.0)
        self.assertIsNone(percentile([], 50))

    @settings(deadline=None, max_examples=50)
    @given(
        st.lists(st.floats(allow_nan=False), min_size=1),
        st.integers(min_value=1, max_value=100),
    )
    def test_percentileHolds(self, values: list[float], percent: int) -> None:
        """
        It holds for any values.
        """
        found = percentile(values, percent)
        assert found is not None
        within = sum(value <= found for value in values)
        below = sum(value < found for value in values)
        self.assertGreaterEqual(within * 100, percent * len(values))
        self.assertLess(below * 100, percent * len(values))

    def test_middle(self) -> None:
        """
        What is not known does not count.
        """
        self.assertEqual(middle([3.0, None, 1.0, 2.0]), 2.0)
        self.assertIsNone(middle([None]))


class FigureTests(SynchronousTestCase):
    """
    Tests for what is worked out of times.
    """

    def test_rates(self) -> None:
        """
        Both rates count from the first MAIL: to the relay's last 250, and to
        the sink's.
        """
        times = Times(
            SECOND,
            [SECOND + SECOND // 2, 2 * SECOND],
            [3 * SECOND, 2 * SECOND + SECOND // 2],
        )
        run = figure(times, 1, refused=0, duplicates=0)
        self.assertEqual((run.accepted, run.lost), (2, 0))
        self.assertAlmostEqual(run.acceptedPerSecond, 2.0)
        self.assertAlmostEqual(run.relayedPerSecond, 1.0)
        self.assertEqual((run.p50, run.p99), (0.5, 1.5))

    def test_recipients(self) -> None:
        """
        A message is relayed when all its recipients have it; each of them is a
        delivery, with a latency of its own.
        """
        times = Times(
            SECOND,
            [2 * SECOND, 2 * SECOND],
            [3 * SECOND, 3 * SECOND, 3 * SECOND, 0],
        )
        run = figure(times, 2, refused=0, duplicates=0)
        self.assertEqual(run.lost, 1)
        self.assertAlmostEqual(run.relayedPerSecond, 0.5)
        self.assertAlmostEqual(run.deliveredPerSecond, 1.5)

    def test_refusedIsNotLost(self) -> None:
        """
        A message that was not accepted is not missed, and one that came all the
        same has no latency.
        """
        run = figure(Times(SECOND, [0, 0], [0, 2 * SECOND]), 1, refused=2, duplicates=0)
        self.assertEqual((run.accepted, run.lost, run.refused), (0, 0, 2))
        self.assertEqual(run.acceptedPerSecond, 0.0)
        self.assertIsNone(run.p50)

    def test_nothing(self) -> None:
        """
        Without any mail there are no figures, and no error.
        """
        run = figure(Times(0, [0], [0]), 1, refused=1, duplicates=0)
        self.assertEqual((run.relayedPerSecond, run.p99), (0.0, None))


class TableTests(SynchronousTestCase):
    """
    Tests for what is printed.
    """

    def test_table(self) -> None:
        """
        Each relay has a line of medians, in columns; what is not known is a
        dash.
        """
        runs = (
            makeRun(cpu=0.001, acceptedPerSecond=30.0),
            makeRun(cpu=0.003, acceptedPerSecond=10.0, lost=2),
            makeRun(cpu=0.002, acceptedPerSecond=20.0, lost=1),
        )
        all_ = [Measured("a", Work(), runs), Measured("other", Work(), (makeRun(),))]
        head, first, second = table(all_).splitlines()
        self.assertEqual(head.split()[:4], ["relay", "size", "accepted/s", "relayed/s"])
        self.assertEqual(first.split()[:3], ["a", "1K", "20"])
        self.assertIn(" 2.000 ", first)
        self.assertEqual(first.split()[-2:], ["3", "0"])
        self.assertEqual(second.split()[5], "-")
        self.assertEqual(len({len(line) for line in (head, first, second)}), 1)

    def test_remarks(self) -> None:
        """
        What was lost, refused or came twice is said in words.
        """
        runs = (makeRun(), makeRun(refused=2, refusal="452 no", lost=1, duplicates=3))
        lost, refused, duplicates = remarks([Measured("a", Work(), runs)])
        self.assertIn("1 deliveries were lost", lost)
        self.assertIn("2 messages were refused, the first: 452 no", refused)
        self.assertIn("3 came more than once", duplicates)
        self.assertEqual(remarks([Measured("a", Work(), (makeRun(),))]), [])

    def test_sizeText(self) -> None:
        """
        A size is said as short as it can be.
        """
        told = [sizeText(n) for n in (256, 1024, 1025, 102400, 1 << 20, 50 << 20)]
        self.assertEqual(told, ["256", "1K", "1025", "100K", "1M", "50M"])

    def test_asDict(self) -> None:
        """
        JSON has the work, every run and the medians.
        """
        told = Measured("a", Work(size=300), (makeRun(memory=5),)).asDict()
        self.assertEqual(told["work"]["size"], 300)
        self.assertEqual(told["runs"][0]["memory"], 5)
        self.assertEqual(told["median"]["memory"], 5)
