# -*- test-case-name: relaymail.test.cli.test_demo -*-
"""
Tests for C{relaymail demo}.
"""

from __future__ import annotations

import json
from typing import Any

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from relaymail.cli import demo as module
from relaymail.cli.demo import CHAPTERS, SENDER, Chapter, Tour, demo, walk


class DemoTests(SynchronousTestCase):
    """
    Tests for the tour.
    """

    def run_(self, *arguments: str) -> Any:
        """
        Run the command.
        """
        return CliRunner().invoke(demo, list(arguments))

    def test_whatBecameOfEach(self) -> None:
        """
        Mail arrives, is tried again, and bounces, each as it must, and nothing
        is left.
        """
        tour, said = Tour(), []
        walk(tour, lambda text="": said.append(text))
        self.assertTrue(tour.isComplete)
        outcomes: dict[str, list[str]] = {}
        for event in tour.events:
            if event.sender:
                outcomes.setdefault(event.recipient, []).append(event.outcome)
        self.assertEqual(
            outcomes,
            {
                "ben@example.org": ["delivered"],
                "nobody@example.net": ["bounced"],
                "gina@careful.example": ["retry", "retry", "delivered"],
                "dora@spare.example": ["delivered"],
                "sam@shaky.example": ["retry", "delivered"],
                "x@nowhere.example": ["bounced"],
            },
        )
        self.assertEqual(len(tour.notices), 2)
        self.assertIn("550 5.1.1 There is no such user here", tour.notices[0])
        self.assertIn("  delivered  gina@careful.example   3 attempts", said)

    def test_command(self) -> None:
        """
        It is told to people, and ends well.
        """
        result = self.run_()
        self.assertEqual(result.exit_code, 0, result.output)
        for chapter in CHAPTERS:
            self.assertIn(chapter.title, result.output)
        self.assertIn("nothing was lost", result.output)

    def test_json(self) -> None:
        """
        Programs get one document.
        """
        told = json.loads(self.run_("--json").stdout)
        self.assertTrue(told["isComplete"])
        self.assertEqual(told["events"][0]["sender"], SENDER)

    def test_A03_hostileReply(self) -> None:
        """
        What a host says comes out as one printable line.
        """

        def prepare(world: Any) -> None:
            answers = {"RCPT": "550 5.1.1 \x1b[31mNo\x07 such\x00 user"}
            world.host("192.0.2.20", answers)
            world.exchange("example.net", {"mx.example.net": "192.0.2.20"})

        chapter = Chapter("b@example.net", "A rude one.", prepare)
        self.patch(module, "CHAPTERS", (chapter,))
        output = self.run_().stdout
        self.assertIn("[31mNo", output)
        self.assertTrue(output.replace("\n", "").isprintable())

    def test_doesNotEndWell(self) -> None:
        """
        Where mail is left the command says so, and fails.
        """

        def prepare(world: Any) -> None:
            world.host("192.0.2.20", {"RCPT": "451 4.7.1 Never"})
            world.exchange("example.net", {"mx.example.net": "192.0.2.20"})

        chapter = Chapter("b@example.net", "One that never does.", prepare)
        self.patch(module, "CHAPTERS", (chapter,))
        result = self.run_()
        self.assertEqual(result.exit_code, 1)
        self.assertIn("b@example.net is still queued", result.output)
