# -*- test-case-name: relaymail.test.matrix.test_cuts -*-
"""
A session with three recipients, cut after every byte, either way.

What was under way is lost, and both sides know at once that the connection is
gone.  From then on all is well, and a few hours later each recipient must have
got the message once; twice only where the host had all of it and the relay had
not seen that it said so.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from relaymail.test.stories.harness import (
    FIRST,
    SECOND,
    SENDER,
    Logged,
    StoryTestCase,
    statusOf,
)
from relaymail.testing.doubles import MailWorld
from relaymail.testing.servers import SMTPServer

#: Whom the message is for.
THREE = ("b@example.org", "c@example.org", "d@example.org")
#: What the hosts say: little, for each byte is a life.
BRIEF: dict[str, Any] = {
    "CONNECT": "220 x",
    "MAIL": "250 Ok",
    "RCPT": "250 Ok",
    ".": "250 Ok",
    "QUIT": "221 Ok",
}
#: Of the three the first is accepted, the second is later, and the third is not.
MIXED: dict[str, Any] = BRIEF | {
    "RCPT c@example.org": ["451 4.2.0 Later", "250 Ok"],
    "RCPT d@example.org": "550 5.1.1 Nobody",
}
#: Short as well; the dots count.
CONTENT = b"S: x\r\n\r\n.\r\n..y\r\n"
#: How long it takes till all is delivered that can be, in seconds: two retries.
A_WHILE = 7200


@dataclass(frozen=True, slots=True)
class Cut:
    """
    Where the connection is cut.

    @ivar side: C{"received"}: after so many bytes that the host got;
        C{"sent"}: after so many of the host's that the relay got.
    @ivar after: How many bytes.
    """

    side: str
    after: int

    def __str__(self) -> str:
        return f"{self.side}={self.after}"


class PipelinedTests(StoryTestCase):
    """
    Tests with a host that has PIPELINING.

    @cvar keywords: What the hosts offer.
    @ivar hosts: The two hosts of a life.
    @ivar names: The names of its message.
    @ivar outcomes: The lines of the log.
    """

    keywords: tuple[str, ...] = ("PIPELINING",)
    hosts: list[SMTPServer]
    names: list[str]
    outcomes: list[str]

    def live(self, answers: dict[str, Any], cut: Cut | None) -> None:
        """
        Go through the life of one message.

        @param cut: Where the first connection is cut, if it is.
        """
        world = self.enter(MailWorld(), maxConnections=1, recipientsPerTransaction=100)
        self.twoHosts()
        self.hosts = [
            world.host(address, dict(answers), keywords=self.keywords)
            for address in (FIRST, SECOND)
        ]
        if cut is not None:
            world.network.cutNext(FIRST, **{cut.side: cut.after})
        with Logged() as logged:
            self.names = world.send(SENDER, *THREE, content=CONTENT)
            world.run(A_WHILE)
        self.outcomes = logged.outcomes

    def lengths(self, answers: dict[str, Any]) -> dict[str, int]:
        """
        Count the bytes of a session that is not cut, by the side that has got
        them.
        """
        self.live(answers, None)
        end = self.hosts[0].sessions[0].transport
        self.assertEqual(self.hosts[1].sessions, [])
        return {"received": end.received, "sent": end.peer.received}

    def cutEverywhere(self, side: str, answers: dict[str, Any]) -> Counter[str]:
        """
        Cut the connection after every byte.

        @return: How often what was seen.
        """
        length = self.lengths(answers)[side]
        self.assertLifeIsGood("uncut", answers)
        self.assertGreater(length, 90)
        seen: Counter[str] = Counter()
        for after in range(length + 1):
            cut = Cut(side, after)
            self.live(answers, cut)
            seen[self.assertLifeIsGood(str(cut), answers)] += 1
        return seen

    # What is to be.

    def assertLifeIsGood(self, cut: str, answers: dict[str, Any]) -> str:
        """
        All is as promised.

        @return: C{"twice"} where the relay could not know, else C{"once"}.
        """
        self.assertEmpty()
        for host in (*self.hosts, self.home):
            self.assertEqual(host.open, set(), cut)
        messages = [message for host in self.hosts for message in host.received]
        self.assertEqual({message.content for message in messages}, {CONTENT}, cut)
        refused = THREE[2:] if answers is MIXED else ()
        counts = Counter(x for message in messages for x in message.recipients)
        expected = {
            recipient: 1 + self.isUnsure(name, recipient, cut)
            for name, recipient in zip(self.names, THREE, strict=True)
            if recipient not in refused
        }
        self.assertEqual(counts, expected, f"{cut} {self.outcomes}")
        self.assertTold(refused, cut)
        return "twice" if 2 in counts.values() else "once"

    def isUnsure(self, name: str, recipient: str, cut: str) -> bool:
        """
        Tell whether the host had the message for a recipient, and the relay said
        that it could not know.
        """
        lines = [line for line in self.outcomes if f" id={name} " in line]
        if not any(" ambiguous=yes " in line for line in lines):
            return False
        first, second = self.hosts
        begun = first.sessions[0]
        self.assertIn(("DATA", "354 Go on"), begun.exchanges, cut)
        self.assertEqual(second.sessions, [], cut)
        return any(
            message.session is begun and recipient in message.recipients
            for message in first.received
        )

    def assertTold(self, refused: tuple[str, ...], cut: str) -> None:
        """
        The sender was told, once, of who was refused, and of nobody else.
        """
        reports = [statusOf(each) for each in self.notices()]
        told = [x for r in reports for x in THREE if f"rfc822; {x}\n" in r]
        self.assertEqual(told, list(refused), cut)
        self.assertEqual(len(reports), len(refused), cut)

    # The tests.

    def test_P3_P4_afterEachByteThatTheHostGot(self) -> None:
        """
        Whatever the host has got, nobody is forgotten, and nobody gets two but
        where the host had all.
        """
        seen = self.cutEverywhere("received", BRIEF)
        self.assertGreater(seen["twice"], 0)
        self.assertGreater(seen["once"], 0)

    def test_P3_P4_afterEachByteThatTheRelayGot(self) -> None:
        """
        So with what the relay has got.
        """
        seen = self.cutEverywhere("sent", BRIEF)
        self.assertGreater(seen["twice"], 0)
        self.assertGreater(seen["once"], 0)

    def test_D15_D25_mixedAfterEachByteThatTheHostGot(self) -> None:
        """
        Where the recipients are answered 250, 451 and 550, each gets what it
        was answered, wherever it is cut.
        """
        self.cutEverywhere("received", MIXED)

    def test_D15_D25_mixedAfterEachByteThatTheRelayGot(self) -> None:
        """
        So with what the relay has got.
        """
        self.cutEverywhere("sent", MIXED)


class StepwiseTests(PipelinedTests):
    """
    The same with a host that has not.
    """

    keywords = ("8BITMIME",)
