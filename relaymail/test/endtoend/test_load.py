# -*- test-case-name: relaymail.test.endtoend.test_load -*-
"""
Tests that many messages at once arrive, each once and unchanged, also when the
relay is killed meanwhile.  How fast is not asked here.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaymail.test.endtoend.harness import (
    RECIPIENT,
    EndToEndTestCase,
    submit,
)
from relaymail.test.endtoend.load import Load, Report, makeContent, numberOf
from relaymail.test.endtoend.processes import Twistd, rowsOf, until

#: How many messages are sent, and how often the relay is killed meanwhile.
MESSAGES = 300
KILLS = 2


class LoadTests(EndToEndTestCase):
    """
    Twenty senders at once.  What arrived C{changed} may also be what was
    refused.
    """

    async def load(self, messages: int, kills: int = 0, stops: int = 0) -> Report:
        """
        Run a load, and check that nothing was lost or changed.
        """
        report = await Load(self.directory, messages, kills, stops).run()
        self.assertEqual(report.accepted, messages)
        self.assertEqual(report.lost, [])
        self.assertEqual(report.changed, [])
        self.assertEqual(report.wrong, "")
        return report

    async def test_burst(self) -> None:
        """
        All messages arrive exactly once, byte for byte.
        """
        report = await self.load(MESSAGES)
        self.assertEqual(report.duplicates, [])
        self.assertEqual(report.unknown, 0)
        self.assertEqual(report.arrived, MESSAGES)

    async def test_P3_P4_killed(self) -> None:
        """
        With C{kill -9} in between nothing is lost, and nothing arrives twice
        but what was under way at a kill.
        """
        report = await self.load(MESSAGES, kills=KILLS)
        self.assertEqual(len(report.kills), KILLS)
        self.assertEqual(report.unexplained, [])
        self.assertLessEqual(report.arrived, MESSAGES + report.unknown)

    async def test_P2_P10_stopped(self) -> None:
        """
        With SIGTERM in between nothing is lost and nothing arrives twice, and
        what was answered 421 does not arrive at all.
        """
        report = await self.load(MESSAGES, stops=1)
        self.assertEqual(report.stops, 1)
        self.assertEqual(report.duplicates, [])
        self.assertLessEqual(report.arrived, MESSAGES + report.unknown)


class ScheduleTests(EndToEndTestCase):
    """
    What is known of a message survives the process.
    """

    def records(self, twistd: Twistd, attempts: int) -> list[dict[str, Any]]:
        """
        Read what is kept of the messages that rest after so many attempts.
        """
        return [
            row
            for row in rowsOf(twistd.spool)
            if row["attempts"] == attempts and row["lease"] is None
        ]

    async def test_P3_scheduleSurvives(self) -> None:
        """
        After C{kill -9} a message that rests is neither tried at once nor
        young again: attempts, arrival and the time of its next attempt stay.
        """
        server = self.startServer({"MAIL": "451 4.3.0 Not now"})
        twistd = self.makeTwistd("--smarthost", server.address, "--retry", "1s,1h")
        await twistd.start()
        await submit(twistd.port)
        (before,) = await until(lambda: self.records(twistd, 2), "it was tried twice")
        twistd.kill()
        tried = len(server.sessions)
        await twistd.start()
        await submit(twistd.port, recipients=["c@one.example"])
        await until(lambda: "retry id=" in twistd.log, "the other message was tried")
        self.assertIn(before, self.records(twistd, 2))
        self.assertGreater(before["due"] - before["arrived"], 1800)
        commands = [c for s in server.sessions[tried:] for c in s.commands]
        self.assertEqual(len([c for c in commands if c.startswith("MAIL")]), 1)

    async def test_P3_expirySurvives(self) -> None:
        """
        After C{kill -9} a message expires when it would have: counted from its
        first arrival, as the result of an attempt.
        """
        server = self.startServer({f"RCPT {RECIPIENT}": "451 4.3.0 Not now"})
        twistd = self.makeTwistd(
            *("--smarthost", server.address, "--retry", "1s", "--expire", "2s")
        )
        await twistd.start()
        await submit(twistd.port)
        (before,) = await until(lambda: self.records(twistd, 1), "it was tried")
        arrived = before["arrived"]
        twistd.kill()
        await twistd.start()
        (notice,) = await server.whenReceived(1)
        self.assertEqual(notice.sender, "")
        self.assertIn(b"Status: 4.4.7", notice.content)
        self.assertGreater(notice.at - arrived, 2.0)
        self.assertLess(notice.at - arrived, 8.0)


class ContentTests(SynchronousTestCase):
    """
    Tests for the messages of a load.
    """

    def test_makeContent(self) -> None:
        """
        The message of a submission is always the same, and tells its number.
        """
        for number in (1, 2, 12345):
            content = makeContent(number)
            self.assertEqual(content, makeContent(number))
            self.assertEqual(numberOf(content), number)
        self.assertNotEqual(makeContent(1), makeContent(2))
