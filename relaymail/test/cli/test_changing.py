# -*- test-case-name: relaymail.test.cli.test_changing -*-
"""
Tests for L{relaymail.cli.changing}.
"""

from __future__ import annotations

import sys
from typing import Any

from click.testing import Result

from relaymail.cli import changing
from relaymail.test.cli.commands import HOSTILE, CommandTestCase


def answer(
    matched: int = 1, done: int = 1, next: str | None = None, *skipped: str
) -> dict[str, Any]:
    """
    Make an answer as the API gives it.
    """
    return {
        "matched": matched,
        "done": done,
        "skipped": [{"id": name, "why": "it is being relayed"} for name in skipped],
        "next": next,
        "complete": next is None,
    }


class ChangingTests(CommandTestCase):
    """
    Tests for what changes what is queued.
    """

    def test_each(self) -> None:
        """
        Each says what was done with how many.
        """
        for verb, said in (
            ("flush", "2 recipients tried now."),
            ("hold", "2 recipients held."),
            ("release", "2 recipients released."),
            ("requeue", "2 recipients queued anew."),
            ("bounce", "2 recipients bounced."),
            ("delete", "2 recipients deleted."),
        ):
            self.answers[f"POST queue/{verb}"] = [answer(2, 2)]
            done = self.run_("queue", verb, "7", "8")
            self.assertEqual(done.stdout, said + "\n")
            asked = (f"POST queue/{verb}", {"id": ["7", "8"]})
            self.assertEqual(self.client.asked[-1], asked)

    def test_which(self) -> None:
        """
        Which are meant is to be said; all, too.
        """
        done = self.run_("queue", "hold", code=2)
        self.assertIn("--all", done.stderr)
        self.assertEqual(self.client.asked, [])
        self.answers["POST queue/hold"] = [answer()]
        self.run_("queue", "hold", "--all", "--why", "a look")
        asked = {"all": True, "why": "a look"}
        self.assertEqual(self.client.asked, [("POST queue/hold", asked)])

    def test_goesOn(self) -> None:
        """
        Long work goes on until all is done.
        """
        self.answers["POST queue/flush"] = [
            answer(100, 99, "a", "5"),
            answer(100, 100, "b"),
            answer(7, 7),
        ]
        done = self.run_("queue", "flush", "--domain", "example.org")
        self.assertEqual(done.stdout, "206 recipients tried now.\n")
        self.assertIn("5: it is being relayed", done.stderr)
        self.assertEqual(
            [said for _, said in self.client.asked],
            [
                {"domain": "example.org"},
                {"domain": "example.org", "after": "a"},
                {"domain": "example.org", "after": "b"},
            ],
        )

    def test_leftOut(self) -> None:
        """
        It is a failure when what was named was left out, or all of it.
        """
        for answered, words, code in (
            (answer(2, 1, None, "7"), ("7", "8"), 1),
            (answer(2, 1, None, "7"), ("--domain", "example.org"), 0),
            (answer(1, 0, None, "7"), ("--domain", "example.org"), 1),
        ):
            self.answers["POST queue/hold"] = [answered]
            done = self.run_("queue", "hold", *words, code=code)
            self.assertIn("7: it is being relayed", done.stderr)

    def test_unknown(self) -> None:
        """
        It is a failure when something that was named is not queued.
        """
        for answered, told in (
            (answer(0, 0), "Nothing of that is queued."),
            (answer(1, 1), "1 ID of those given: not in the queue."),
        ):
            self.answers["POST queue/hold"] = [answered]
            done = self.run_("queue", "hold", "7", "99", code=1)
            self.assertIn(told, done.stderr)

    def test_release(self) -> None:
        """
        Of what is not held there is nothing to be released.
        """
        for words, asked in (
            (["--all"], {"state": "held"}),
            (["--domain", "a.example"], {"domain": "a.example", "state": "held"}),
            (["7"], {"id": ["7"]}),
        ):
            self.answers["POST queue/release"] = [answer()]
            self.run_("queue", "release", *words)
            self.assertEqual(self.client.asked[-1][1], asked)
        self.run_("queue", "release", code=2)

    def test_endless(self) -> None:
        """
        A relay that does not get on is not asked for ever.
        """
        self.answers["POST queue/flush"] = lambda said: answer(1, 0, "a")
        self.assertIn("stopped", self.run_("queue", "flush", "7", code=1).stderr)

    def test_nothing(self) -> None:
        """
        Where nothing is meant, nothing is wrong.
        """
        self.answers["POST queue/delete"] = [answer(0, 0)]
        done = self.run_("queue", "delete", "--sender", "x@y.example")
        self.assertEqual(done.stderr, "Nothing of that is queued.\n")

    def test_dry(self) -> None:
        """
        A dry run says how many, and does nothing.
        """
        self.answers["POST queue/delete"] = [answer(13, 0, None, "5")]
        done = self.run_("queue", "delete", "--state", "held", "-n")
        self.assertEqual(done.stdout, "12 recipients would be deleted.\n")
        self.assertEqual(self.client.asked[0][1], {"state": "held", "dryRun": True})

    def test_json(self) -> None:
        """
        The document has the sum.
        """
        self.answers["POST queue/flush"] = [answer(2, 1, "a", "7"), answer(3, 3)]
        told = self.runJSON("queue", "flush", "--all")
        self.assertEqual((told["matched"], told["done"]), (5, 4))
        self.assertEqual([each["id"] for each in told["skipped"]], ["7"])
        self.assertIs(told["dryRun"], False)

    def test_manySkipped(self) -> None:
        """
        Only some of those that were left out are told one by one.
        """
        names = [str(number) for number in range(50)]
        self.answers["POST queue/hold"] = [answer(50, 0, None, *names)]
        done = self.run_("queue", "hold", "--all", code=1)
        self.assertIn("and 30 others.", done.stderr)

    def test_hostile(self) -> None:
        """
        What is told of those left out is safe to see.
        """
        given = answer(1, 0)
        given["skipped"] = [{"id": HOSTILE, "why": HOSTILE}]
        self.answers["POST queue/hold"] = [given]
        self.run_("queue", "hold", "7", code=1)

    def test_down(self) -> None:
        """
        What changes anything needs the relay.
        """
        self.answers["POST queue/hold"] = self.down()
        self.assertIn("Start it.", self.run_("queue", "hold", "7", code=69).stderr)


class ConfirmTests(CommandTestCase):
    """
    Tests for the question before what cannot be undone.
    """

    def setUp(self) -> None:
        """
        Let there be something to delete.
        """
        super().setUp()
        self.answers["POST queue/delete"] = lambda said: answer(
            3, 0 if said.get("dryRun") else 3
        )

    def ask(self, *words: str, code: int, input: str) -> Result:
        """
        Run it with a person at the terminal.
        """
        self.patch(changing, "isAsked", lambda: True)
        return self.run_("queue", "delete", *words, code=code, input=input)

    def test_yes(self) -> None:
        """
        It is done after a yes, and the number is in the question.
        """
        done = self.ask("--all", code=0, input="y\n")
        self.assertIn("Delete 3 recipients for good?", done.stderr)
        self.assertEqual(done.stdout, "3 recipients deleted.\n")

    def test_no(self) -> None:
        """
        It is not done after anything else.
        """
        done = self.ask("--all", code=1, input="\n")
        self.assertIn("nothing was done", done.stderr)
        self.assertEqual([said["dryRun"] for _, said in self.client.asked], [True])

    def test_sure(self) -> None:
        """
        Who is sure is not asked.
        """
        done = self.ask("--all", "--yes", code=0, input="")
        self.assertNotIn("?", done.stderr)
        self.assertEqual(len(self.client.asked), 1)

    def test_program(self) -> None:
        """
        A program is not asked.
        """
        self.assertFalse(sys.stdin.isatty() and changing.isAsked())
        self.patch(changing, "isAsked", lambda: False)
        self.run_("queue", "delete", "--all")
        self.assertEqual(len(self.client.asked), 1)
