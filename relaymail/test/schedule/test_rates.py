# -*- test-case-name: relaymail.test.schedule.test_rates -*-
"""
Tests for L{relaymail.schedule.rates}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import ConfigurationError
from relaymail.schedule import rates as ratesModule
from relaymail.schedule.rates import Limit, Rate, Rates, Side, limitsFor, parseRate


class ParseTests(SynchronousTestCase):
    """
    Tests for L{parseRate}.
    """

    def test_rates(self) -> None:
        """
        A number, a slash and a time, which may be a multiple.
        """
        for text, rate in (
            ("5/s", Rate(5, 1)),
            (" 100 / M ", Rate(100, 60)),
            ("1000/10m", Rate(1000, 600)),
            ("10000/d", Rate(10_000, 86_400)),
        ):
            self.assertEqual(parseRate(text), rate)
        self.assertEqual(str(Rate(100, 60.0)), "100/m")
        self.assertEqual(str(Rate(1000, 600.0)), "1000/10m")

    def test_noRates(self) -> None:
        """
        Anything else is refused with what to write.
        """
        for text in (
            "",
            "5",
            "0/s",
            "5/",
            "5/y",
            "-1/s",
            "1.5/s",
            "9999999999/s",
            "x/s",
        ):
            error = self.assertRaises(ConfigurationError, parseRate, text)
            self.assertIn("100/m", str(error))


class LimitsForTests(SynchronousTestCase):
    """
    Tests for L{limitsFor}.
    """

    def names(self, sender: str, senders: dict[str, Rate]) -> list[str]:
        """
        Give what limits mail from a sender.
        """
        return [limit.name for limit in limitsFor("example.org", sender, {}, senders)]

    def test_destinations(self) -> None:
        """
        The rate of the domain, or that of each.
        """
        one, each = Rate(1, 1), Rate(2, 1)
        rates = {"example.org": one, "*": each}
        self.assertEqual(
            limitsFor("example.org", "a@b.example", rates, {}),
            (Limit(Side.DESTINATION, "example.org", one),),
        )
        self.assertEqual(
            limitsFor("example.net", "a@b.example", rates, {}),
            (Limit(Side.DESTINATION, "example.net", each),),
        )
        self.assertEqual(limitsFor("example.net", "", {"example.org": one}, {}), ())

    def test_senders(self) -> None:
        """
        The address goes before the domain, and that before each; a domain's
        rate is for all of it, and notices are not limited.
        """
        rate = Rate(1, 1)
        rates = {"a@b.example": rate, "b.example": rate, "*": rate}
        self.assertEqual(self.names("A@B.example", rates), ["a@b.example"])
        self.assertEqual(self.names('"a"@b.example', rates), ["a@b.example"])
        self.assertEqual(self.names("c@b.example", rates), ["b.example"])
        self.assertEqual(self.names("c@d.example", rates), ["c@d.example"])
        self.assertEqual(self.names("", rates), [])
        self.assertEqual(self.names("c@d.example", {"b.example": rate}), [])


class RatesTests(SynchronousTestCase):
    """
    Tests for L{Rates}.
    """

    def setUp(self) -> None:
        self.rates = Rates()
        self.limit = Limit(Side.DESTINATION, "a", Rate(10, 60.0))

    def test_noLimit(self) -> None:
        """
        Without a limit there is no end.
        """
        self.assertIsNone(self.rates.left((), 0))
        self.assertEqual(self.rates.when((), 7), (7, None))

    def test_fillsEvenly(self) -> None:
        """
        What was taken comes back evenly, and never more than the rate.
        """
        self.rates.take([self.limit], 10, 0)
        self.assertEqual(self.rates.left([self.limit], 0), 0)
        self.assertEqual(self.rates.left([self.limit], 30), 5)
        self.assertEqual(self.rates.left([self.limit], 3000), 10)

    def test_when(self) -> None:
        """
        It is said when one may start, and then one may.
        """
        self.rates.take([self.limit], 12, 0)
        when, limit = self.rates.when([self.limit], 0)
        self.assertEqual(limit, self.limit)
        self.assertAlmostEqual(when, 18, 3)
        self.assertEqual(self.rates.left([self.limit], when), 1)

    def test_theTightestCounts(self) -> None:
        """
        Of several limits the least that is left counts.
        """
        tight = Limit(Side.SENDER, "b", Rate(1, 60.0))
        both = [self.limit, tight]
        self.assertEqual(self.rates.left(both, 0), 1)
        self.rates.take(both, 1, 0)
        self.assertEqual(self.rates.when(both, 0)[1], tight)

    def test_P8_clockGoesBack(self) -> None:
        """
        A clock that goes back gives nothing and takes nothing.
        """
        self.rates.take([self.limit], 10, 1000)
        self.assertEqual(self.rates.left([self.limit], 0), 0)
        self.assertEqual(self.rates.left([self.limit], 6), 1)

    def test_A05_bucketsAreBounded(self) -> None:
        """
        The longest untouched bucket is forgotten.
        """
        self.patch(ratesModule, "MAX_BUCKETS", 2)
        limits = [Limit(Side.SENDER, str(n), Rate(1, 60.0)) for n in range(3)]
        for limit in limits:
            self.rates.take([limit], 1, 0)
        self.assertEqual(
            [self.rates.left([limit], 0) for limit in limits[::-1]], [0, 0, 1]
        )

    @settings(deadline=None, max_examples=50)
    @given(
        st.integers(min_value=1, max_value=1000),
        st.sampled_from([1.0, 60.0, 3600.0]),
        st.lists(st.floats(min_value=0, max_value=100), max_size=30),
    )
    def test_neverMoreThanTheRate(
        self, count: int, seconds: float, waits: list[float]
    ) -> None:
        """
        However often it is asked: in any time no more starts than the bucket
        held and the time gave, and what is said to be the time is one.
        """
        rates, limit = Rates(), Limit(Side.SENDER, "a", Rate(count, seconds))
        now = started = 0.0
        for wait in waits:
            now += wait
            left = rates.left([limit], now) or 0
            rates.take([limit], left, now)
            started += left
            self.assertLessEqual(started, count + now * count / seconds + 1e-6)
            when, _ = rates.when([limit], now)
            self.assertGreaterEqual(rates.left([limit], when) or 0, 1)
            now = when
