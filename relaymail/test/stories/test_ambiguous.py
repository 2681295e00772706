# -*- test-case-name: relaymail.test.stories.test_ambiguous -*-
"""
Answers to the dot that never came: the message may have been taken.
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
from relaymail.testing.servers import Act, Session


class AmbiguousTests(StoryTestCase):
    """
    Tests with two hosts, of which the first breaks after the dot.
    """

    def setUp(self) -> None:
        super().setUp()
        self.twoHosts()
        self.second = self.world.host(SECOND)

    def assertAmbiguous(self, answer: Any, seconds: float = 1) -> None:
        """
        The name rests, flagged, and no other host got the message.
        """
        self.world.host(FIRST, {".": answer})
        with Logged() as logged:
            names = self.relayed(seconds=seconds)
        self.assertEqual(self.second.sessions, [])
        self.assertRetried(*names)
        (line,) = logged.outcomes
        self.assertTrue(line.startswith("retry "), line)
        self.assertIn(" ambiguous=yes ", line)

    def test_D25_connectionLost(self) -> None:
        """
        The connection ends after the dot.
        """
        self.assertAmbiguous(Act.CLOSE)

    def test_D25_reset(self) -> None:
        """
        The connection breaks after the dot.
        """
        self.assertAmbiguous(Act.RESET)

    def test_D25_silence(self) -> None:
        """
        Nothing is said for ten minutes.
        """
        self.assertAmbiguous(Act.SILENCE, seconds=601)

    def test_D25_garbage(self) -> None:
        """
        What is said is no SMTP.
        """
        self.assertAmbiguous("what?")

    def test_D25_3yz(self) -> None:
        """
        What is said makes no sense there.
        """
        self.assertAmbiguous("354 Go on")

    def test_D25_421(self) -> None:
        """
        421 after the dot.
        """
        self.world.host(FIRST, {".": "421 4.3.2 Going"})
        with Logged() as logged:
            names = self.relayed()
        self.assertEqual(self.second.received, [])
        self.assertRetried(*names)
        self.assertIn(" ambiguous=yes ", logged.outcomes[0])

    def test_D22_lostWithinTheBodyIsNot(self) -> None:
        """
        A connection that is lost before the dot is a plain retry.
        """
        content = b"x" * 70 + b"\r\n"
        mx = self.world.host(FIRST, {"DATA": "354 Go on\n451 4.3.0 Disk full"})
        with Logged() as logged:
            self.world.send(SENDER, "b@example.org", content=content * 2000)
            self.world.run(1)
        self.assertEqual(mx.received, [])
        self.assertNotIn("ambiguous", logged.outcomes[0])
        self.assertEqual(len(self.world.queue._entries), 1)

    def test_D22_earlyRefusalIsOnlyThatMessages(self) -> None:
        """
        5yz while the message is being sent bounces that message, and not those
        that were to follow on the connection.
        """
        self.set(maxConnections=1)
        mx = self.world.host(FIRST)
        takeLine = Session._dataLine

        def refuse(session: Session, line: bytes) -> None:
            if session._lines == [] and line.startswith(b"xxx"):
                session.transport.write(b"554 5.3.4 Too big\r\n")
            takeLine(session, line)

        self.patch(Session, "_dataLine", refuse)
        self.world.send(SENDER, "b@example.org", content=(b"x" * 70 + b"\r\n") * 20_000)
        names = self.world.send(SENDER, "c@example.org", content=b"other\r\n")
        self.world.run(1)
        told = [notice.as_string() for notice in self.notices()]
        self.assertEqual(len(told), 1)
        self.assertIn("554 5.3.4 Too big", told[0])
        self.assertNotIn("c@example.org", told[0])
        self.world.run(100)
        self.assertEqual(
            [m.recipients for m in (*mx.received, *self.second.received)],
            [("c@example.org",)],
            names,
        )

    def test_D25_othersAreNotAmbiguous(self) -> None:
        """
        A message that was not sent yet when the connection was lost is not
        flagged; only the one whose answer was not seen is, and the other goes
        over a new connection at once.
        """
        self.set(maxConnections=1)
        mx = self.world.host(FIRST, {".": [Act.CLOSE, "250 Ok"]})
        with Logged() as logged:
            (first,) = self.world.send(SENDER, "b@example.org")
            self.world.send(SENDER, "c@example.org", content=b"other\r\n")
            self.world.run()
        self.assertEqual([m.recipients for m in mx.received], [("c@example.org",)])
        flagged = [line for line in logged.outcomes if "ambiguous=yes" in line]
        self.assertEqual(len(flagged), 1, logged.outcomes)
        self.assertIn(f" id={first} ", flagged[0])

    def test_D25_pipelinedRefusalsStillCount(self) -> None:
        """
        Who was refused by RCPT bounces all the same.
        """
        self.set(recipientsPerTransaction=10)
        self.world.host(FIRST, {"RCPT c@example.org": "550 No", ".": Act.CLOSE})
        names = self.relayed("b@example.org", "c@example.org", seconds=1)
        self.assertEqual(list(self.world.queue._entries), names[:1])
        self.assertEqual(len(self.notices()), 1)

    def test_D26_surplusRepliesAreNotTheDots(self) -> None:
        """
        A second reply behind the first one ends the session: it is never
        taken for an answer to the next message.
        """
        mx = self.world.host(FIRST, {".": "250 Ok\n250 Surplus"})
        self.relayed(seconds=0)
        self.world.send(SENDER, "c@example.org", content=b"other\r\n")
        self.world.run(0)
        self.assertEqual(len(mx.received), 2)
        self.assertEqual(len(mx.sessions), 2)

    def test_D28_quitThatFailsChangesNothing(self) -> None:
        """
        Whatever becomes of QUIT, the mail was delivered.
        """
        for answer in (Act.CLOSE, Act.RESET, Act.SILENCE, "500 What?", "421 Bye"):
            self.enter(type(self.world)())
            mx = self.world.host(FIRST, {"QUIT": answer})
            self.relayed(seconds=6)
            self.assertEqual(len(mx.received), 1, answer)
            self.assertEmpty()
