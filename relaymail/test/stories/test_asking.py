# -*- test-case-name: relaymail.test.stories.test_asking -*-
"""
Mail whose sender asked for when it is to be sent.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from relaymail.envelopes import Envelope, Parameters
from relaymail.test.stories.harness import FIRST, SENDER, StoryTestCase
from relaymail.testing.doubles import CONTENT


class AskedForTests(StoryTestCase):
    """
    FUTURERELEASE (RFC 4865) and MT-PRIORITY (RFC 6710).
    """

    def ask(self, parameters: Parameters, recipient: str = "b@example.org") -> None:
        """
        Have a message taken of which something is said.
        """
        envelope = Envelope(SENDER, (recipient,), parameters)
        taken: Deferred[Any] = self.world.queue.add(envelope, CONTENT)
        self.successResultOf(taken)

    def test_hold(self) -> None:
        """
        Mail that is not to be sent before a time is sent then, without a tick.
        """
        mx = self.world.host(FIRST)
        now = self.world.network.seconds()
        self.ask(Parameters(holdUntil=now + 3600))
        self.world.run(3599)
        self.assertEqual(mx.sessions, [])
        self.world.run(10)
        self.assertEqual(len(mx.received), 1)
        self.assertEmpty()

    def test_D31_holdIsNoDelay(self) -> None:
        """
        Mail does not expire because it was held: it is tried for as long as other
        mail is.
        """
        self.set(expireAfter=1000.0, retrySchedule=(60.0,))
        mx = self.world.host(FIRST, {"MAIL": "451 4.3.0 Not today"})
        now = self.world.network.seconds()
        self.ask(Parameters(holdUntil=now + 3600))
        self.world.run(3600 + 990)
        self.assertGreater(len(mx.sessions), 10)
        self.assertEqual(self.notices(), [])
        self.world.run(20)
        self.assertEqual(len(self.notices()), 1)
        self.assertEmpty()

    def test_urgentFirst(self) -> None:
        """
        Where there is one connection, what is more urgent goes first.
        """
        self.set(maxConnections=1, maxMessagesPerConnection=10)
        mx = self.world.host(FIRST)
        self.ask(Parameters(), "plain@example.org")
        for priority in (-3, 9, 2):
            self.ask(Parameters(priority=priority), f"p{priority}@example.org")
        self.world.run(30)
        order = [recipient for m in mx.received for recipient in m.recipients]
        self.assertEqual(
            order,
            [
                "p9@example.org",
                "p2@example.org",
                "plain@example.org",
                "p-3@example.org",
            ],
        )
