# -*- test-case-name: relaymail.test.stories.test_recipients -*-
"""
Several recipients in one transaction: each gets what it was answered.
"""

from __future__ import annotations

from typing import Any

from relaymail.test.stories.harness import FIRST, PLAIN, SENDER, StoryTestCase, statusOf
from relaymail.testing.servers import Act

FOUR = tuple(f"{name}@example.org" for name in "bcde")
MIXED = {
    "RCPT c@example.org": ["451 4.2.0 Later", "250 Ok"],
    "RCPT d@example.org": "550 5.1.1 Nobody",
    "RCPT e@example.org": ["552 5.5.3 Too many", "250 Ok"],
}


class PipelinedTests(StoryTestCase):
    """
    Tests against a host with PIPELINING.
    """

    keywords: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SIZE 1000000")

    def setUp(self) -> None:
        super().setUp()
        self.set(recipientsPerTransaction=100)

    def test_D15_eachRecipientGetsItsOwnVerdict(self) -> None:
        """
        250, 451 and 550 in one transaction come to a delivery, a retry, and
        a notice that names only the third.
        """
        answers = {k: v for k, v in MIXED.items() if "e@" not in k}
        mx = self.world.host(FIRST, answers, keywords=self.keywords)
        names = self.relayed(*FOUR[:3])
        self.assertEqual([m.recipients for m in mx.received], [FOUR[:1]])
        self.assertEqual(list(self.world.queue._entries), [names[1]])
        self.assertEqual(self.dueIn(), 50)
        (notice,) = self.notices()
        report = statusOf(notice)
        self.assertIn("Final-Recipient: rfc822; d@example.org", report)
        self.assertIn("Diagnostic-Code: smtp; 550 5.1.1 Nobody", report)
        self.assertNotIn("c@example.org", notice.as_string())
        self.assertNotIn("b@example.org", notice.as_string())
        self.assertEqual(self.home.received[0].sender, "")
        self.assertEqual(self.home.received[0].recipients, (SENDER,))

    def test_D16_tooManyAfterOneGoesNextAtOnce(self) -> None:
        """
        552 after an accepted recipient is no bounce: that one goes in the next
        transaction, over the same connection, without spending an attempt.
        """
        mx = self.world.host(FIRST, MIXED, keywords=self.keywords)
        names = self.relayed(*FOUR)
        self.assertEqual([m.recipients for m in mx.received], [(FOUR[0],), (FOUR[3],)])
        self.assertEqual(len(mx.sessions), 1)
        self.assertEqual(list(self.world.queue._entries), [names[1]])
        self.assertEqual(len(self.notices()), 1)

    def test_D16_452AfterOneGoesNextAtOnce(self) -> None:
        """
        452 means the same.
        """
        answers = {"RCPT c@example.org": ["452 4.5.3 Too many", "250 Ok"]}
        mx = self.world.host(FIRST, answers, keywords=self.keywords)
        self.relayed(*FOUR[:2])
        self.assertEqual([m.recipients for m in mx.received], [(FOUR[0],), (FOUR[1],)])
        self.assertEmpty()

    def test_D16_552ForTheFirstIsRetried(self) -> None:
        """
        552 with no recipient accepted is temporary too, for later.
        """
        answers = {"RCPT": "552 5.5.3 Too many"}
        self.world.host(FIRST, answers, keywords=self.keywords)
        self.assertRetried(*self.relayed("b@example.org"))

    def test_D17_251And252AreDeliveries551Bounces(self) -> None:
        """
        251 and 252 accept; 551 is for good, and its address is not followed.
        """
        answers = {
            "RCPT b@example.org": "251 2.1.5 Will forward",
            "RCPT c@example.org": "252 2.1.5 Will see",
            "RCPT d@example.org": "551 5.1.6 Try <x@elsewhere.example>",
        }
        mx = self.world.host(FIRST, answers, keywords=self.keywords)
        self.relayed(*FOUR[:3])
        self.assertEqual([m.recipients for m in mx.received], [FOUR[:2]])
        self.assertIn("551 5.1.6 Try", statusOf(self.notices()[0]))
        self.assertEmpty()

    def test_D19_allRefusedSendsNoBody(self) -> None:
        """
        Where every recipient is refused no message is sent, and one notice
        names them all.
        """
        mx = self.world.host(
            FIRST, {"RCPT": "550 5.1.1 Nobody"}, keywords=self.keywords
        )
        self.relayed(*FOUR[:3])
        self.assertEqual(mx.received, [])
        (notice,) = self.notices()
        for recipient in FOUR[:3]:
            self.assertIn(f"Final-Recipient: rfc822; {recipient}", statusOf(notice))
        self.assertEmpty()

    def test_D19_354AllTheSameGetsOnlyADot(self) -> None:
        """
        A host that asks for the message after it refused every recipient gets
        an empty one, and even its 250 delivers nothing.
        """
        answers = {"RCPT": "550 5.1.1 Nobody", "DATA": "354 Go on"}
        mx = self.world.host(FIRST, answers, keywords=self.keywords)
        self.relayed(*FOUR[:2])
        self.assertEqual([m.content for m in mx.received if m.content], [])
        self.assertEqual(len(self.notices()), 1)
        self.assertEmpty()

    def test_D20_dataRefusedCountsForTheAccepted(self) -> None:
        """
        5yz to DATA bounces those that were accepted, with the words said to
        DATA, and the others with theirs.
        """
        answers = {"RCPT c@example.org": "550 5.1.1 Nobody", "DATA": "554 5.7.1 No"}
        self.world.host(FIRST, answers, keywords=self.keywords)
        self.relayed(*FOUR[:2])
        (notice,) = self.notices()
        self.assertIn("smtp; 554 5.7.1 No", statusOf(notice))
        self.assertIn("smtp; 550 5.1.1 Nobody", statusOf(notice))
        self.assertEmpty()

    def test_D24_refusedAfterTheDot(self) -> None:
        """
        4yz after the dot retries those that were accepted, 550 to RCPT is
        still a bounce.
        """
        answers = {"RCPT c@example.org": "550 5.1.1 Nobody", ".": "451 4.3.0 Later"}
        mx = self.world.host(FIRST, answers, keywords=self.keywords)
        names = self.relayed(*FOUR[:2])
        self.assertEqual(mx.received, [])
        self.assertEqual(list(self.world.queue._entries), [names[0]])
        self.assertEqual(len(self.notices()), 1)

    def test_D14_mailRefusedBouncesAll(self) -> None:
        """
        5yz to MAIL bounces every recipient of the message in one notice, and
        says nothing of the next message.
        """
        answers = {"MAIL": ["550 5.7.1 Not you", "250 Ok"]}
        mx = self.world.host(FIRST, answers, keywords=self.keywords)
        self.world.send(SENDER, *FOUR[:3])
        self.world.send(SENDER, FOUR[3], content=b"Subject: other\r\n\r\n")
        self.world.run(10)
        self.assertEqual([m.recipients for m in mx.received], [(FOUR[3],)])
        (notice,) = self.notices()
        self.assertEqual(statusOf(notice).count("Final-Recipient"), 3)
        self.assertEmpty()

    def test_D18_nonsenseToRcptDeliversNothing(self) -> None:
        """
        A reply that is none of the standard's ends the session, and nobody
        counts as delivered.
        """
        mx = self.world.host(
            FIRST, {"RCPT c@example.org": "650 What"}, keywords=self.keywords
        )
        names = self.relayed(*FOUR[:2])
        self.assertEqual(mx.received, [])
        self.assertRetried(*names)

    def test_D21_250ForDataDeliversNothing(self) -> None:
        """
        250 where 354 was due ends the session without the message.
        """
        mx = self.world.host(FIRST, {"DATA": "250 Ok"}, keywords=self.keywords)
        names = self.relayed(*FOUR[:2])
        self.assertEqual(mx.received, [])
        self.assertNotIn("Subject: hello", mx.sessions[0].commands)
        self.assertRetried(*names)

    def test_contentsAreNotMixed(self) -> None:
        """
        Only recipients of one message share a transaction.
        """
        mx = self.world.host(FIRST, keywords=self.keywords)
        self.world.send(SENDER, *FOUR[:2], content=b"one\r\n")
        self.world.send(SENDER, *FOUR[:2], content=b"two\r\n")
        self.world.run()
        self.assertEqual(
            [(m.recipients, m.content) for m in mx.received],
            [(FOUR[:2], b"one\r\n"), (FOUR[:2], b"two\r\n")],
        )

    def test_noMoreThanSoManyRecipients(self) -> None:
        """
        C{recipientsPerTransaction} is the most.
        """
        self.set(recipientsPerTransaction=3)
        mx = self.world.host(FIRST, keywords=self.keywords)
        self.relayed(*FOUR)
        self.assertEqual([m.recipients for m in mx.received], [FOUR[:3], FOUR[3:]])


class OneCommandAtATimeTests(PipelinedTests):
    """
    The same against a host without PIPELINING.
    """

    keywords = PLAIN

    def test_D19_354AllTheSameGetsOnlyADot(self) -> None:
        """
        Where every recipient was refused DATA is not said.
        """
        mx = self.world.host(FIRST, {"RCPT": "550 No"}, keywords=self.keywords)
        self.relayed(*FOUR[:2])
        self.assertNotIn("DATA", mx.sessions[0].commands)


class TransientMailTests(StoryTestCase):
    """
    Tests for a host that goes on as if nothing was refused.
    """

    def test_D13_refusedMailIsNotBouncedForWhatFollows(self) -> None:
        """
        What is said to RCPT after MAIL was refused for now counts for nothing,
        also where the connection is lost after the lone dot.
        """
        self.set(recipientsPerTransaction=10)
        answers: Any = {
            "MAIL": "451 L",
            "RCPT": "503 N",
            "DATA": "354 G",
            ".": Act.CLOSE,
        }
        self.world.host(FIRST, answers)
        self.assertRetried(*self.relayed("b@example.org", "c@example.org"))
