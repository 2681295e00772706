# -*- test-case-name: relaymail.test.cli.test_destinations -*-
"""
Tests for L{relaymail.cli.destinations}.
"""

from __future__ import annotations

from typing import Any

from relaymail.cli import destinations
from relaymail.test.cli.commands import HOSTILE, CommandTestCase

NOW = 1_000_000_000.0


def destination(**known: Any) -> dict[str, Any]:
    """
    Make a destination as the API gives it.
    """
    usual = {
        "name": "example.org",
        "queued": 5,
        "resting": 3,
        "held": 1,
        "connections": 2,
        "allowed": 20,
        "state": "throttled",
        "why": "it said 421",
        "until": NOW + 90,
    }
    return {**usual, **known}


class DestinationsTests(CommandTestCase):
    """
    Tests for C{relaymail destinations}.
    """

    def setUp(self) -> None:
        """
        Let it be some time, and let there be a destination.
        """
        super().setUp()
        self.patch(destinations, "now", lambda: NOW)
        self.answers["GET destinations"] = {
            "destinations": [destination()],
            "count": 1,
        }

    def test_list(self) -> None:
        """
        Without a word, and with C{list}, they are listed.
        """
        told = self.run_("destinations").stdout
        self.assertEqual(self.run_("destinations", "list").stdout, told)
        self.assertEqual(
            told.splitlines()[1].split(),
            [
                "example.org",
                "5",
                "3",
                "1",
                "2/20",
                "throttled",
                "1m",
                "it",
                "said",
                "421",
            ],
        )
        self.assertEqual(self.client.asked[0], ("GET destinations", {"limit": "100"}))

    def test_more(self) -> None:
        """
        It is told when there are more.
        """
        self.answers["GET destinations"]["count"] = 12
        done = self.run_("destinations", "list", "--limit", "1")
        self.assertIn("There are 11 other destinations", done.stderr)

    def test_none(self) -> None:
        """
        Nothing is a sentence.
        """
        self.answers["GET destinations"] = {"destinations": [], "count": 0}
        self.assertEqual(self.run_("destinations").stderr, "Nothing is queued.\n")

    def test_json(self) -> None:
        """
        The document is the API's.
        """
        told = self.runJSON("destinations")
        self.assertEqual(told, self.answers["GET destinations"])

    def test_unknown(self) -> None:
        """
        What only a relay that runs knows may be missing.
        """
        known = {"name": "example.org", "queued": 5, "resting": 3, "held": 1}
        self.answers["GET destinations"] = {"destinations": [known], "count": 1}
        line = self.run_("destinations").stdout.splitlines()[1]
        self.assertEqual(line.split(), ["example.org", "5", "3", "1", "-", "-", "-"])

    def test_steered(self) -> None:
        """
        Destinations are suspended, resumed and flushed.
        """
        for verb, said in (
            ("suspend", "is suspended"),
            ("resume", "is resumed"),
            ("flush", "is tried now"),
        ):
            for name in ("a.example", "b.example"):
                self.answers[f"POST destinations/{name}/{verb}"] = destination(
                    name=name
                )
            done = self.run_("destinations", verb, "a.example", "b.example")
            self.assertEqual(done.stdout, f"a.example {said}.\nb.example {said}.\n")

    def test_why(self) -> None:
        """
        Why one is suspended can be said.
        """
        self.answers["POST destinations/a.example/suspend"] = {}
        self.run_("destinations", "suspend", "a.example", "--why", "they asked")
        self.assertEqual(self.client.asked[0][1], {"why": "they asked"})

    def test_steeredJSON(self) -> None:
        """
        The document has each of them.
        """
        self.answers["POST destinations/a.example/resume"] = destination()
        told = self.runJSON("destinations", "resume", "a.example")
        self.assertEqual(told, {"destinations": [destination()]})

    def test_needed(self) -> None:
        """
        To steer, one names destinations, and needs the relay.
        """
        self.run_("destinations", "flush", code=2)
        self.answers["POST destinations/a.example/flush"] = self.down()
        self.run_("destinations", "flush", "a.example", code=69)

    def test_hostile(self) -> None:
        """
        What others said is safe to see.
        """
        self.answers["GET destinations"]["destinations"] = [
            destination(name=HOSTILE, why=HOSTILE, state=HOSTILE)
        ]
        self.assertEqual(len(self.run_("destinations").stdout.splitlines()), 2)
