# -*- test-case-name: relaymail.test.doctor.test_answers -*-
"""
Tests for L{relaymail.doctor.answers}.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from relaymail.doctor.answers import (
    Answer,
    Check,
    Result,
    Verdict,
    fail,
    ok,
    run,
    warn,
    worst,
)
from relaymail.errors import ConfigurationError


class RunTests(SynchronousTestCase):
    """
    Tests for L{run}.
    """

    def one(self, check: Check, patience: float = 30.0) -> list[Answer]:
        """
        Run one check.
        """
        (result,) = run([check], patience=patience)
        self.assertEqual(result.name, check.name)
        return list(result.answers)

    def test_order(self) -> None:
        """
        One runs after the other, each is told when it begins, and what it has
        found comes before the next one begins.
        """
        done: list[str] = []
        checks = [Check("a", lambda: [ok("x")]), Check("b", lambda: [warn("y", "z")])]
        for result in run(checks, lambda name: done.append(f"begins {name}")):
            done.append(f"ends {result.name}")
        self.assertEqual(done, ["begins a", "ends a", "begins b", "ends b"])

    def test_nothing(self) -> None:
        """
        A check that finds nothing has found nothing wrong.
        """
        (answer,) = self.one(Check("a", lambda: []))
        self.assertIs(answer.verdict, Verdict.OK)

    def test_trouble(self) -> None:
        """
        What the system or relaymail raises is a failure with its words.
        """

        def refuse() -> Iterator[Answer]:
            raise ConfigurationError("it is odd")
            yield

        def lose() -> Iterator[Answer]:
            yield from ()
            raise OSError(5, "Input/output error")

        for look, words in ((refuse, "it is odd"), (lose, "Input/output error")):
            (answer,) = self.one(Check("a", look))
            self.assertIs(answer.verdict, Verdict.FAILURE)
            self.assertEqual(answer.found, words)
            self.assertTrue(answer.remedy)

    def test_mistake(self) -> None:
        """
        A mistake in a check is said to be one, and the others run.
        """
        checks = [Check("a", lambda: [1 / 0]), Check("b", lambda: [ok("x")])]  # type: ignore[list-item]
        first, second = run(checks)
        self.assertIn("check itself has failed: ZeroDivision", first.answers[0].found)
        self.assertIs(second.answers[0].verdict, Verdict.OK)

    def test_hangs(self) -> None:
        """
        A check that hangs is left alone after its time.
        """
        never = threading.Event()
        self.addCleanup(never.set)

        def hang() -> Iterator[Answer]:
            never.wait()
            yield ok("late")

        (answer,) = self.one(Check("a", hang), patience=0.01)
        self.assertIs(answer.verdict, Verdict.FAILURE)
        self.assertIn("did not answer within 0.01 seconds", answer.found)

    def test_A03_printable(self) -> None:
        """
        What servers say is one printable line of bounded length.
        """
        hostile = "\x1b[2Jx\r\ny" + "z" * 5000
        (answer,) = self.one(Check("a", lambda: [fail(hostile, hostile)]))
        for text in (answer.found, answer.remedy):
            self.assertTrue(text.isprintable())
            self.assertLessEqual(len(text), 1000)

    def test_worst(self) -> None:
        """
        The worst of all answers counts.
        """
        well, odd, bad = ok("x"), warn("x", "y"), fail("x", "y")
        for answers, expected in (
            ([], Verdict.OK),
            ([well], Verdict.OK),
            ([odd, well], Verdict.WARNING),
            ([odd, bad, well], Verdict.FAILURE),
        ):
            self.assertIs(worst([Result("a", answers)]), expected)
