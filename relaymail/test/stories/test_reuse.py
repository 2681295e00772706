# -*- test-case-name: relaymail.test.stories.test_reuse -*-
"""
Connections that carry more than one message.
"""

from __future__ import annotations

from typing import Any

from relaymail.test.stories.harness import (
    FIRST,
    SECOND,
    SENDER,
    Logged,
    StoryTestCase,
)
from relaymail.testing.servers import Act


class KeptTests(StoryTestCase):
    """
    Tests for connections that are kept for a while.
    """

    def setUp(self) -> None:
        super().setUp()
        self.set(idleTimeout=30)
        self.world.exchange("other.example", {"mx.other.example": SECOND})

    def test_reusedWithinALane(self) -> None:
        """
        A message that comes while the connection is kept goes over it.
        """
        mx = self.world.host(FIRST)
        self.relayed()
        self.relayed()
        self.assertEqual((len(mx.received), len(mx.sessions)), (2, 1))
        self.assertNotIn("QUIT", mx.sessions[0].commands)

    def test_quitsWhenTheWaitIsOver(self) -> None:
        """
        Nobody came: QUIT.
        """
        mx = self.world.host(FIRST)
        self.relayed(seconds=31)
        self.assertEqual(mx.sessions[0].commands[-1], "QUIT")
        self.assertEqual(mx.open, set())
        self.assertEmpty()

    def test_waitBeginsAnew(self) -> None:
        """
        The wait is counted from the last message.
        """
        mx = self.world.host(FIRST)
        self.relayed(seconds=20)
        self.relayed(seconds=20)
        self.assertEqual(len(mx.open), 1)
        self.world.run(11)
        self.assertEqual(len(mx.open), 0)

    def test_neverAcrossLanes(self) -> None:
        """
        Another destination gets a connection of its own, also where its host
        is the same.
        """
        self.world.exchange("other.example", {"mx.other.example": FIRST})
        mx = self.world.host(FIRST)
        self.relayed("b@example.org")
        self.relayed("b@other.example")
        self.assertEqual((len(mx.received), len(mx.sessions)), (2, 2))

    def test_oldestGoesForAnotherLane(self) -> None:
        """
        Where all connections are kept, the one that waited longest ends for a
        lane that has none.
        """
        self.set(maxConnections=2)
        self.world.exchange("third.example", {"mx.third.example": "192.0.2.13"})
        first, second = self.world.host(FIRST), self.world.host(SECOND)
        third = self.world.host("192.0.2.13")
        self.relayed("b@example.org", seconds=1)
        self.relayed("b@other.example", seconds=1)
        self.relayed("b@third.example", seconds=1)
        self.assertEqual(len(third.received), 1)
        self.assertEqual((len(first.open), len(second.open)), (0, 1))

    def test_messagesPerConnection(self) -> None:
        """
        A connection is given no more than C{maxMessagesPerConnection} names.
        """
        self.set(maxMessagesPerConnection=3)
        mx = self.world.host(FIRST)
        for _ in range(7):
            self.relayed(seconds=1)
        counts = [sum(m.session is s for m in mx.received) for s in mx.sessions]
        self.assertEqual(counts, [3, 3, 1])

    def test_D29_closedWhileIdle(self) -> None:
        """
        The server ends an idle connection: the next message goes over a new
        one, and nothing is lost.
        """
        mx = self.world.host(FIRST)
        self.relayed(seconds=1)
        mx.sessions[0].transport.loseConnection()
        self.world.run(1)
        with Logged() as logged:
            self.relayed(seconds=1)
        self.assertEqual((len(mx.received), len(mx.sessions)), (2, 2))
        self.assertIn(" attempts=1 ", logged.outcomes[0])

    def test_D29_421WhileIdle(self) -> None:
        """
        The server says goodbye first.
        """
        mx = self.world.host(FIRST)
        self.relayed(seconds=1)
        mx.sessions[0].transport.write(b"421 4.4.2 Idle for too long\r\n")
        mx.sessions[0].transport.loseConnection()
        self.world.run(1)
        self.relayed(seconds=1)
        self.assertEqual((len(mx.received), len(mx.sessions)), (2, 2))
        self.assertEqual(self.world.queue.getRelayed(), [])

    def test_D29_421ToTheNextMail(self) -> None:
        """
        421 to MAIL on a connection that was used before: reconnect at once,
        without another attempt and without a bad mark.
        """
        mx = self.world.host(FIRST, {"MAIL": ["250 Ok", "421 4.4.2 Too long", "250"]})
        self.relayed(seconds=1)
        with Logged() as logged:
            self.relayed(seconds=0)
        self.assertEqual((len(mx.received), len(mx.sessions)), (2, 2))
        self.assertIn(" attempts=1 ", logged.outcomes[0])
        self.assertEqual(self.world.manager.mxcalc.badMXs, {})

    def test_D29_closedAtTheNextMail(self) -> None:
        """
        So where the connection ends instead.
        """
        mx = self.world.host(FIRST, {"MAIL": ["250 Ok", Act.CLOSE, "250 Ok"]})
        self.relayed(seconds=1)
        with Logged() as logged:
            self.relayed(seconds=0)
        self.assertEqual((len(mx.received), len(mx.sessions)), (2, 2))
        self.assertIn(" attempts=1 ", logged.outcomes[0])

    def test_D29_closedAtReset(self) -> None:
        """
        So where the connection ends at RSET: what is left goes over a new
        one.
        """
        self.set(recipientsPerTransaction=1)
        answers: Any = {"RCPT b@example.org": "550 No", "RSET": [Act.CLOSE, "250 Ok"]}
        mx = self.world.host(FIRST, answers)
        self.world.send(SENDER, "b@example.org", "c@example.org")
        self.world.run()
        self.assertEqual([m.recipients for m in mx.received], [("c@example.org",)])
        self.assertEqual(len(self.home.received), 1)

    def test_D29_withoutEnd(self) -> None:
        """
        A host that closes every fresh connection at MAIL is no reused one:
        the name rests.
        """
        mx = self.world.host(FIRST, {"MAIL": Act.CLOSE})
        self.assertRetried(*self.relayed())
        self.assertEqual(len(mx.sessions), 1)

    def test_batchOverOneConnection(self) -> None:
        """
        Without a wait (C{idleTimeout} is 0) what is there goes over one
        connection, and then it quits.
        """
        self.set(idleTimeout=0, maxConnections=1)
        mx = self.world.host(FIRST, {"MAIL": ["250 Ok", Act.CLOSE, "250 Ok"]})
        for number in range(3):
            self.world.send(SENDER, "b@example.org", content=b"%d\r\n" % number)
        self.world.run()
        self.assertEqual(len(mx.received), 3)
        self.assertEmpty()
