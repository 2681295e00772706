# -*- test-case-name: relaymail.test.cli.test_offline -*-
"""
Tests for L{relaymail.cli.offline}.
"""

from __future__ import annotations

import os
from dataclasses import replace

from twisted.internet.task import Clock

from relaymail.cli import offline
from relaymail.cli.finding import Place
from relaymail.envelopes import Envelope
from relaymail.inspection import AGE_GROUPS
from relaymail.queue.spool.spool import Spool
from relaymail.test.cli.commands import CommandTestCase, entry
from relaymail.test.queue.contract import MESSAGE, NOW
from relaymail.test.queue.spool.spools import runNow


class OfflineTests(CommandTestCase):
    """
    Tests for the commands that read a spool while no relay runs.
    """

    def setUp(self) -> None:
        """
        Begin with a spool in which two recipients' mail was left behind.
        """
        super().setUp()
        path = os.path.abspath(self.mktemp())
        clock = Clock()
        clock.advance(NOW)
        spool = Spool(path, clock, run=runNow)
        spool.lock()
        envelope = Envelope("a@example.com", ("b@one.example", "c@two.example"))
        adding = spool.add(envelope, MESSAGE)
        clock.advance(0)
        self.names = self.successResultOf(adding)
        spool.stop()
        self.place = Place(path, True, self.mktemp())
        self.patch(offline, "now", lambda: NOW + 60)
        for what in ("queue", f"queue/{self.names[0]}", "queue/99"):
            self.answers[f"GET {what}"] = self.down()
        for what in ("destinations", "top", "status"):
            self.answers[f"GET {what}"] = self.down()

    def test_list(self) -> None:
        """
        What is queued is listed, and it is told once where that is from.
        """
        done = self.run_("queue", "list")
        self.assertEqual(done.stderr.count("The relay is not running; read from"), 1)
        self.assertIn("b@one.example", done.stdout)
        self.assertIn("c@two.example", done.stdout)

    def test_json(self) -> None:
        """
        Entries have the members of the API's.
        """
        told = self.runJSON("queue", "list", "--domain", "one.example")
        (found,) = told["entries"]
        self.assertEqual(set(found), set(entry()))
        self.assertEqual((found["id"], found["state"]), (self.names[0], "waiting"))

    def test_filters(self) -> None:
        """
        All filters are kept.
        """
        for words, number in (
            (["--sender", "@example.com"], 2),
            (["--recipient", "c@*"], 1),
            (["--state", "held"], 0),
            (["--larger", "1M"], 0),
            ([self.names[1]], 1),
        ):
            told = self.runJSON("queue", "list", *words)
            self.assertEqual(len(told["entries"]), number, words)

    def test_after(self) -> None:
        """
        A list goes on where it ended, and nowhere else.
        """
        first = self.runJSON("queue", "list", "--limit", "1")
        self.assertEqual(first["complete"], False)
        rest = self.runJSON("queue", "list", "--after", first["next"])
        self.assertEqual(rest["entries"][0]["id"], self.names[1])
        done = self.run_("queue", "list", "--after", "x", code=1)
        self.assertIn("--after takes", done.stderr)

    def test_show(self) -> None:
        """
        An entry is shown; of one that is gone only the relay knows.
        """
        told = self.run_("queue", "show", self.names[0]).stdout
        self.assertIn("b@one.example", told)
        done = self.run_("queue", "show", "99", code=1)
        self.assertIn("only a relay that runs can tell", done.stderr)

    def test_destinations(self) -> None:
        """
        Destinations are listed.
        """
        told = self.runJSON("destinations")
        self.assertEqual(told["count"], 2)
        self.assertEqual(told["destinations"][0]["queued"], 1)
        self.assertIn("two.example", self.run_("destinations").stdout)

    def test_top(self) -> None:
        """
        The shape is shown, without what goes on.
        """
        told = self.runJSON("top")
        self.assertEqual(told["total"]["total"], 2)
        self.assertEqual(len(told["total"]["ages"]), AGE_GROUPS)
        self.assertIn("one.example", self.run_("top").stdout)

    def test_status(self) -> None:
        """
        The exit code says that the relay is not running.
        """
        told = self.runJSON("status", code=69)
        self.assertEqual((told["state"], told["queued"]), ("not running", 2))
        self.assertIn("queued:", self.run_("status", code=69).stdout)

    def test_damaged(self) -> None:
        """
        What is no spool is told in a sentence.
        """
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(b"something else" * 100)
        self.place = replace(self.place, queue=path)
        done = self.run_("queue", "list", code=1)
        self.assertEqual(len(done.stderr.splitlines()), 2, done.stderr)
