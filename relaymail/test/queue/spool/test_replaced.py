# -*- test-case-name: relaymail.test.queue.spool.test_replaced -*-
"""
Tests that a notice goes with what takes its place, or not at all (RFC 8689 5).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from relaymail.envelopes import Envelope
from relaymail.errors import QueueFull
from relaymail.queue.spool.settling import PUT_BACK
from relaymail.test.queue.contract import MESSAGE, NOW
from relaymail.test.queue.spool.spools import BOUNCE, SpoolTestCase, runNow

REPLACED = replace(BOUNCE, isReplaced=True)
OTHER = Envelope("", ("postmaster@a.example",))
#: More than there is room for in the pages that are there.
MANY = b"x" * 300


class ReplacedTests(SpoolTestCase):
    """
    What is asked for in one turn is one transaction.
    """

    run_ = staticmethod(runNow)

    def setUp(self) -> None:
        """
        Begin with a notice that is claimed.
        """
        super().setUp()
        (self.name,) = self.add("me@a.example", sender="")
        self.settle(self.queue.setRelaying(self.name))

    def totals(self) -> dict[str, Any]:
        """
        Give what was counted.
        """
        return dict(self.ask("SELECT * FROM total"))

    def test_P5_noRoom(self) -> None:
        """
        Where there is no room for what takes its place, the notice stays, and is
        tried again.
        """
        database = self.queue._database
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages}")
        added = [self.queue.add(OTHER, MANY) for _ in range(60)]
        done = self.queue.done(self.name, REPLACED)
        self.settleAll()
        for each in (*added, done):
            self.failureResultOf(each, QueueFull)
        self.assertEqual(self.queue.getResting(), {self.name: NOW + PUT_BACK})
        self.assertEqual(len(self.ask("SELECT * FROM recipient")), 1)
        database.execute("PRAGMA max_page_count = 1000000")
        self.pass_(PUT_BACK)
        self.settle(self.queue.setRelaying(self.name))
        self.goes()

    def test_P3_together(self) -> None:
        """
        Both are written, and the notice counts as what bounced.
        """
        self.goes()
        self.restart()
        self.queue.readDirectory()
        self.assertEqual(len(self.queue.getWaiting()), 1)

    def goes(self) -> None:
        """
        Let it go.
        """
        added = self.queue.add(OTHER, MESSAGE)
        done = self.queue.done(self.name, REPLACED)
        self.settleAll()
        self.successResultOf(done)
        self.assertEqual(self.queue.getWaiting(), self.successResultOf(added))
        self.assertEqual(self.totals(), {"generated": 2, "bounced": 1})
        self.assertCounted()
