# -*- test-case-name: relaymail.test.cli.test_explain -*-
"""
Tests for L{relaymail.cli.explain}.
"""

from __future__ import annotations

from typing import Any

from relaymail.test.cli.commands import HOSTILE, CommandTestCase


def explained(**known: Any) -> dict[str, Any]:
    """
    Make an explanation as the API gives it.
    """
    usual: dict[str, Any] = {
        "recipient": "b@example.org",
        "sender": "",
        "destination": "example.org",
        "accepted": True,
        "route": [
            {
                "host": "mx.example.org",
                "port": 25,
                "tls": "may",
                "addresses": ["192.0.2.1", "2001:db8::1"],
                "problem": None,
            }
        ],
        "rule": "the mail exchange hosts",
        "standing": {"state": "suspended", "why": "they asked", "until": None},
        "problem": None,
        "retry": [60, 300],
        "expire": 432000,
    }
    return {**usual, **known}


class ExplainTests(CommandTestCase):
    """
    Tests for C{relaymail explain}.
    """

    def test_shown(self) -> None:
        """
        The route is a table, below what decides it.
        """
        self.answers["GET explain"] = explained()
        told = self.run_("explain", "b@example.org", "--from", "a@example.com").stdout
        for words in ("mx.example.org", "192.0.2.1 2001:db8::1", "1m, 5m", "5d"):
            self.assertIn(words, told)
        self.assertIn("suspended, they asked", told)
        query = {"recipient": "b@example.org", "sender": "a@example.com"}
        self.assertEqual(self.client.asked, [("GET explain", query)])

    def test_problem(self) -> None:
        """
        Mail that goes nowhere is a failure.
        """
        self.answers["GET explain"] = explained(route=[], problem="no such domain")
        done = self.run_("explain", "b@example.org", code=1)
        self.assertIn("no such domain", done.stdout)

    def test_json(self) -> None:
        """
        The document is the API's.
        """
        self.answers["GET explain"] = explained()
        self.assertEqual(self.runJSON("explain", "b@example.org"), explained())

    def test_hostile(self) -> None:
        """
        What the DNS says is safe to see.
        """
        host = {"host": HOSTILE, "port": 25, "addresses": [HOSTILE], "problem": HOSTILE}
        self.answers["GET explain"] = explained(route=[host], rule=HOSTILE)
        self.run_("explain", HOSTILE)
