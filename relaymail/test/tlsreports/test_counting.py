"""
Tests for L{relaymail.tlsreports.counting}.
"""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.protections import TLSResult, TLSSession
from relaymail.test.tlsreports.samples import DANE, MARCH, NONE, STS, session
from relaymail.tlsreports import counting
from relaymail.tlsreports.counting import (
    DAY,
    MAX_FAILURES,
    MAX_POLICIES,
    Day,
    Failure,
    dayOf,
    readDay,
    written,
)

sessions = st.lists(
    st.builds(
        lambda applied, result, destination, why: session(
            *applied, result=result, destination=destination, why=why
        ),
        st.lists(st.sampled_from((NONE, STS, DANE)), min_size=1, unique=True),
        st.none() | st.sampled_from(TLSResult),
        st.sampled_from(("a.example", "b.example")),
        st.sampled_from(("", "it is another's")),
    ),
    max_size=20,
)


class DayTests(SynchronousTestCase):
    """
    The sessions of a day are counted by domain and policy.
    """

    def test_days(self) -> None:
        """
        Days begin at midnight UTC (RFC 8460 4.1).
        """
        self.assertEqual(dayOf(MARCH), MARCH)
        self.assertEqual(dayOf(MARCH + DAY - 0.1), MARCH)
        self.assertEqual(dayOf(MARCH + DAY), MARCH + DAY)
        self.assertEqual(Day(MARCH).end, MARCH + DAY - 1)

    def test_counts(self) -> None:
        """
        What went well and what did not is counted under each policy that was applied.
        """
        day = Day(MARCH)
        day.note(session(DANE, STS))
        day.note(session(DANE, STS))
        day.note(session(STS, result=TLSResult.EXPIRED, why="in May"))
        tallies = day.domains["example.org"]
        self.assertEqual((tallies[DANE].fine, tallies[DANE].failures), (2, 0))
        self.assertEqual((tallies[STS].fine, tallies[STS].failures), (2, 1))
        (failure,) = tallies[STS].failed
        self.assertEqual(
            failure,
            Failure(
                TLSResult.EXPIRED,
                "198.51.100.1",
                "mx.example.org",
                "mx.example.org",
                "192.0.2.25",
                "in May",
            ),
        )

    def test_problemOfThePolicy(self) -> None:
        """
        What is wrong with the policy counts under it alone, and is no other policy.
        """
        day = Day(MARCH)
        day.note(session(STS, NONE))
        broken = replace(STS, problem=TLSResult.STS_FETCH, why="404")
        day.note(session(broken, NONE))
        tallies = day.domains["example.org"]
        self.assertEqual(set(tallies), {STS, NONE})
        self.assertEqual((tallies[STS].fine, tallies[STS].failures), (1, 1))
        self.assertEqual(next(iter(tallies[STS].failed)).why, "404")
        self.assertEqual((tallies[NONE].fine, tallies[NONE].failures), (2, 0))

    def test_bounds(self) -> None:
        """
        Domains, policies and kinds of failure are bounded; the counts of failures go
        on where their details do not.
        """
        self.patch(counting, "MAX_DOMAINS", 2)
        day = Day(MARCH)
        for n in range(3):
            day.note(session(destination=f"{n}.example"))
        self.assertEqual(set(day.domains), {"0.example", "1.example"})
        for n in range(MAX_POLICIES + 2):
            day.note(session(replace(STS, lines=(str(n),)), destination="0.example"))
        self.assertEqual(len(day.domains["0.example"]), MAX_POLICIES)
        for n in range(MAX_FAILURES + 7):
            failed = session(result=TLSResult.FAILED, why=str(n))
            day.note(replace(failed, destination="1.example"))
        tally = day.domains["1.example"][NONE]
        self.assertEqual(tally.failures, MAX_FAILURES + 7)
        self.assertLessEqual(len(tally.failed), MAX_FAILURES + 1)

    def test_A05_size(self) -> None:
        """
        However many domains have long policies, and hosts that fail in ever new ways,
        what is kept of a day has a bound, also after it was read back; what was known
        is counted on.
        """
        self.patch(counting, "MAX_SIZE", 50_000)
        day = Day(MARCH)
        day.note(session(STS))
        for number in range(50):
            domain = f"d{number}.example"
            for version in "ab":
                lines = (version * 400,) * 10
                long = replace(STS, domain=domain, lines=lines)
                for why in ("c", "d" * 200):
                    failed = session(long, result=TLSResult.FAILED, why=why)
                    day.note(replace(failed, destination=domain))
        again = readDay(json.loads(json.dumps(written(day))))
        for found in (day, again):
            self.assertLessEqual(len(str(written(found))), 60_000)
            self.assertLess(len(found.domains), 50)
            self.assertTrue(all(found.domains.values()))
            for each in ("example.org", "new.example"):
                found.note(session(STS, destination=each, result=TLSResult.EXPIRED))
        self.assertLessEqual(abs(day.size - again.size), 1_000)
        (tally,) = day.domains["example.org"].values()
        self.assertEqual((tally.fine, tally.failures), (1, 1))

    def test_A03_textFromOutside(self) -> None:
        """
        What hosts and domains say is kept as bounded printable lines.
        """
        day = Day(MARCH)
        policy = replace(STS, lines=("mx: a\r\nb" * 200,))
        day.note(session(policy, result=TLSResult.FAILED, why="no\nline" * 200))
        ((known, tally),) = day.domains["example.org"].items()
        self.assertTrue(known.lines[0].isprintable())
        self.assertLessEqual(len(known.lines[0]), counting.MAX_LINE)
        (failure,) = tally.failed
        self.assertTrue(failure.why.isprintable())

    @settings(deadline=None, max_examples=50)
    @given(sessions)
    def test_kept(self, told: list[TLSSession]) -> None:
        """
        A day that was written down is read as it was.
        """
        day = Day(MARCH)
        for each in told:
            day.note(each)
        again = readDay(json.loads(json.dumps(written(day))))
        self.assertEqual(again.begin, day.begin)
        self.assertEqual(again.domains, day.domains)

    def test_P7_damage(self) -> None:
        """
        What is no day is a ValueError.
        """
        day = Day(MARCH)
        day.note(session(result=TLSResult.FAILED))
        tally = written(day)["domains"]["example.org"][0]
        for said in (
            {},
            {"begin": "x", "domains": {}},
            {"begin": 1e400, "domains": {}},
            {"begin": MARCH, "domains": 3},
            {"begin": MARCH, "domains": {"a": 3}},
            {"begin": MARCH, "domains": {"a": [{}]}},
            {"begin": MARCH, "domains": {"a": [{**tally, "kind": "x"}]}},
            {"begin": MARCH, "domains": {"a": [{**tally, "fine": -1}]}},
            {"begin": MARCH, "domains": {"a": [{**tally, "failed": [["x"]]}]}},
        ):
            self.assertRaises(ValueError, readDay, said)
