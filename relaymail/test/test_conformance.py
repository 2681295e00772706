# -*- test-case-name: relaymail.test.test_conformance -*-
"""
Tests that L{relaymail} passes Twisted's own tests of its relay, and has the API
that Twisted documents.

L{relaymail.test.conformance} runs once, in a process of its own.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from incremental import Version
from twisted._version import __version__ as version
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from relaymail.test.conformance import api

#: The checkout, or where the package is installed.
ROOT = Path(__file__).resolve().parents[2]

#: What Twisted's own tests may do other than pass: this one needs the maildir
#: delivery of Twisted, which is not part of relaymail.
MAY_FAIL = frozenset({"LiveFireExerciseTests.testLocalDelivery"})

#: The version whose API is described in C{api.json}; older ones differ from it
#: themselves.
DESCRIBED = Version("Twisted", 26, 10, 0)

#: How long the whole run may take, in seconds: it takes about five.
PATIENCE = 240


def runModule(*command: str) -> subprocess.CompletedProcess[str]:
    """
    Run Python on this tree.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-W", "ignore", *command],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )


@functools.cache
def outcome() -> dict[str, Any]:
    """
    Run the conformance tests, once.
    """
    done = runModule("-m", "relaymail.test.conformance")
    if done.returncode:
        raise AssertionError(f"the run itself failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


class ConformanceTests(SynchronousTestCase):
    """
    Tests against the installed Twisted.
    """

    def test_twistedsOwnTestsPass(self) -> None:
        """
        Each of Twisted's tests passes in its effective reading.
        """
        wrong = {
            name: f"{how}: {text}"
            for name, (how, text) in outcome()["tests"].items()
            if how != "ok" and name not in MAY_FAIL
        }
        told = "\n\n".join(f"{name} {what}" for name, what in wrong.items())
        self.assertEqual(wrong, {}, f"\n{told}")

    def test_theTestsWereFound(self) -> None:
        """
        The run is not an empty one: the tests of the relay, of its queue, of
        MX lookups and of the client are in it, and those that Twisted skips.
        """
        names = set(outcome()["tests"])
        for name in (
            "DirectoryQueueTests.testDone",
            "LiveFireExerciseTests.testRelayDelivery",
            "MXTests.testManyRecords",
            "MXTests.testSimpleSuccess[bytes]",
            "ManagedRelayerTests.testConnectionLost",
            "RelayTests.testExists",
            "_AttemptManagerTests.test_notifyFailureNoisy",
        ):
            self.assertIn(name, names)
        self.assertGreater(len(names), 100)

    def test_apiHasNoDifferences(self) -> None:
        """
        Names, parameters, defaults and bases are those of the newest Twisted.
        """
        if version < DESCRIBED:
            raise SkipTest(f"the API is described for {DESCRIBED.public()}")
        self.assertEqual(outcome()["api"], [])

    def test_sharedConformancePasses(self) -> None:
        """
        Where the conformance script stands beside the checkout, it agrees.
        """
        script = ROOT.parent / "shared" / "conformance" / "conformance.py"
        if not script.exists():
            raise SkipTest("no ../shared/conformance beside this checkout")
        report = Path(self.mktemp()).resolve()
        runModule(str(script), "relaymail", "--json", str(report))
        rows = json.loads(report.read_text())["rows"]
        wrong = [
            row["test"]
            for row in rows
            if (row["py3"] or row["literal"]) != "ok"
            and not row["test"].endswith(tuple(MAY_FAIL))
        ]
        self.assertEqual(wrong, [])


class ComparisonTests(SynchronousTestCase):
    """
    Tests for L{relaymail.test.conformance.api}.
    """

    def test_parameters(self) -> None:
        """
        Annotations do not count; defaults do, those that are no literals as
        dots.
        """
        self.assertEqual(
            api.parametersOf("(self, a: 'int' = 2, *b, c=<object at 0x1>, **d) -> 'x'"),
            [
                api.Parameter("self", "", None),
                api.Parameter("a", "", "2"),
                api.Parameter("b", "*", None),
                api.Parameter("c", "keyword", "Ellipsis"),
                api.Parameter("d", "**", None),
            ],
        )

    def test_missingMember(self) -> None:
        """
        A missing member, a missing base, a wanted extra parameter and another
        default are each a difference; an optional extra parameter is none.
        """

        class Ours:
            def one(self, a: int = 2) -> None: ...

            def two(self, a: int, b: int) -> None: ...

            def three(self, a: int, b: int = 1) -> None: ...

        members = {
            "one": "(self, a=1)",
            "two": "(self, a)",
            "three": "(self, a)",
            "four": "(self)",
            "five": "instance",
        }
        entry = {"bases": ["elsewhere.Theirs"], "members": members}
        found = api._compare(Ours, entry)
        self.assertEqual(
            [line.split()[0] for line in found], ["is", "one", "two", "four"]
        )
