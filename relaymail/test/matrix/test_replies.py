# -*- test-case-name: relaymail.test.matrix.test_replies -*-
"""
Every class of reply in every phase of a session: a test for each row of
L{cases<relaymail.test.matrix.cases>}.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from email.message import Message
from functools import cache
from typing import Any

from twisted.internet.ssl import CertificateOptions
from twisted.trial.unittest import SynchronousTestCase

from relaymail.replies import Phase
from relaymail.route.hosts import Credentials, Host, TLSNeed
from relaymail.test.matrix.cases import cases
from relaymail.test.matrix.places import (
    AT_ONCE,
    FATES,
    FOURTH,
    REUSED,
    THREE,
    Case,
    Lane,
    Place,
    Row,
    well,
)
from relaymail.test.stories.harness import (
    FIRST,
    HOME,
    PLAIN,
    SECOND,
    SENDER,
    Logged,
    StoryTestCase,
    statusOf,
)
from relaymail.testing.certificates import selfSigned
from relaymail.testing.network import Fate
from relaymail.testing.servers import KEYWORDS, Answer, Received, Session, SMTPServer

#: What shows that a message was sent, and whether its dots were.
CONTENT = b"Subject: matrix\r\n\r\n.one\r\n..two\r\n.\r\nthree\r\n"
#: What is sent on for a while: more than is written at once, and than fits
#: under way to a host that does not read.
LONG = CONTENT + b"and so on for a long time\r\n" * 12_000
#: The other message.
OTHER = b"Subject: other\r\n\r\nHello.\r\n"
#: What a host may be told outside of the data.
COMMANDS = re.compile(
    r"(?:EHLO relay\.example\.com|HELO relay\.example\.com|STARTTLS|AUTH .+"
    r"|MAIL FROM:<.*>( SIZE=\d+)?|RCPT TO:<.+>|DATA|RSET|QUIT)\Z"
)
#: How long it takes till all is delivered that can be, in seconds: the first
#: retries are made within some minutes.
A_WHILE = 3600
#: How long an attempt may take to end once it is settled, in seconds: a QUIT is
#: waited for, and notices come behind it.
GOODBYE = 6
#: How long the host is left in peace before the second message, where that
#: comes later, in seconds.
PAUSE = 10

_USER = Credentials("user", b"secret")


class ReplyTests(StoryTestCase):
    """
    Tests for a message for three recipients, beside another one, and two hosts of
    which the first is not well once.

    @ivar first: The first host.
    @ivar second: The second host.
    @ivar heard: What each session heard, as it came.
    """

    def setUp(self) -> None:
        super().setUp()
        self.heard: dict[Session, bytearray] = {}
        dataReceived = Session.dataReceived

        def hear(session: Session, data: bytes) -> None:
            self.heard.setdefault(session, bytearray()).extend(data)
            dataReceived(session, data)

        self.patch(Session, "dataReceived", hear)

    def build(self, case: Case) -> None:
        """
        Make the world of a case.
        """
        place, row = case.place, case.row
        self.set(maxConnections=1, recipientsPerTransaction=100)
        self.set(idleTimeout=place.idle)
        if row.hosts == 2:
            self.twoHosts()
        options: dict[str, Any] = {"keywords": KEYWORDS if case.isPipelined else PLAIN}
        if place.lane in (Lane.OFFERED, Lane.NEEDED):
            options["contextFactory"] = certificate()
        if place.lane is Lane.LOGIN:
            options["users"] = {"user": "secret"}
        if place.lane in _HOSTS:
            self.set(smartHosts=_HOSTS[place.lane])
        if isinstance(row.said, Fate):
            self.world.network.fates[FIRST] = row.said
        self.first = self.world.host(FIRST, scriptOf(place, row), **options)
        self.second = self.world.host(SECOND, row.second, **options)

    def check(self, case: Case) -> None:
        """
        Go through a case.
        """
        self.build(case)
        row, place = case.row, case.place
        content = LONG if place.phase is Phase.BODY else CONTENT
        with Logged() as logged:
            self.begin(case, content)
            if row.wait > 1:
                self.world.run(row.wait - 1)
                self.assertWaiting(case, logged)
            self.world.run(1 + GOODBYE)
        self.assertFates(case, content, logged)
        self.assertConversation(case)
        for host in (self.first, self.second):
            host.answers.clear()
        self.world.network.mend()
        self.world.run(A_WHILE)
        self.assertEnd(case, content)

    def begin(self, case: Case, content: bytes) -> None:
        """
        Give the relay both messages, in their order.
        """
        if not case.place.isAfter:
            self.names = self.world.send(SENDER, *THREE, content=content)
        (self.otherName,) = self.world.send(SENDER, FOURTH, content=OTHER)
        if case.place.idle:
            self.world.run(PAUSE)
        if case.place.isAfter:
            self.names = self.world.send(SENDER, *THREE, content=content)

    # What is looked at.

    def outcomes(self, logged: Logged) -> dict[str, str]:
        """
        Give the last line of the log for each name of the message that has
        one.
        """
        found: dict[str, str] = {}
        for line in logged.outcomes:
            for name in self.names:
                if f" id={name} " in line:
                    found[name] = line
        return found

    def copies(self, host: SMTPServer, content: bytes) -> list[Received]:
        """
        Give the copies of a message that a host took.
        """
        return [each for each in host.received if each.content == content]

    def deliveries(self, recipient: str, content: bytes) -> int:
        """
        Count the deliveries to a recipient.
        """
        return sum(
            each.recipients.count(recipient)
            for host in (self.first, self.second)
            for each in self.copies(host, content)
        )

    def told(self) -> list[Message]:
        """
        Give the notices, wherever they went.
        """
        everywhere = (*self.first.received, *self.second.received)
        stray = [each for each in everywhere if not each.sender and each.content]
        self.assertEqual(stray, [])
        return self.notices()

    def fateOf(self, name: str, recipient: str, line: str, content: bytes) -> str:
        """
        Give the letter for what has become of a recipient.
        """
        states = set()
        if any(f"rfc822; {recipient}\n" in statusOf(each) for each in self.told()):
            states.add("B")
        if line.startswith("retry ") and name in self.world.queue._entries:
            states.add("U" if " ambiguous=yes " in line else "T")
        if line.startswith("delivered "):
            states.add(self.whereTo(recipient, content))
        return "".join(sorted(states)) or "nothing"

    def whereTo(self, recipient: str, content: bytes) -> str:
        """
        Give the letter for how a recipient was delivered to.
        """
        if any(recipient in m.recipients for m in self.copies(self.second, content)):
            return "N"
        for letter, message in zip(
            "DA", self.copies(self.first, content), strict=False
        ):
            if recipient in message.recipients:
                return letter
        return "nowhere"

    # What is to be.

    def assertWaiting(self, case: Case, logged: Logged) -> None:
        """
        The host is still waited for.
        """
        if case.place.phase is not Phase.CONNECT:
            self.assertIn(self.first.sessions[0], self.first.open)
        self.assertEqual(self.second.sessions, [])
        if case.place.phase not in (Phase.RSET, Phase.QUIT):
            self.assertEqual(self.outcomes(logged), {})

    def assertFates(self, case: Case, content: bytes, logged: Logged) -> None:
        """
        Each recipient has the fate that the table says.
        """
        row, lines = case.row, self.outcomes(logged)
        fates = [
            self.fateOf(name, recipient, lines.get(name, ""), content)
            for name, recipient in zip(self.names, THREE, strict=True)
        ]
        self.assertEqual(fates, list(row.fates), logged.outcomes)
        for name, recipient, fate in zip(self.names, THREE, fates, strict=True):
            expected = int(fate in AT_ONCE or (fate == "U" and row.isTaken))
            self.assertEqual(self.deliveries(recipient, content), expected, recipient)
            self.assertIn(" attempts=1 ", lines[name])
            self.assertIn(f" status={_CLASSES[fate]}.", lines[name])
            self.assertEqual(" next=" in lines[name], fate in "TU")
        self.assertOther(case, logged)
        self.assertNotices(case)
        self.assertQueue(fates)

    def assertOther(self, case: Case, logged: Logged) -> None:
        """
        The other message is not mixed up with this one.
        """
        (line,) = [x for x in logged.outcomes if f" id={self.otherName} " in x] or [""]
        word, _, rest = line.partition(" ")
        self.assertEqual(" ambiguous=yes " in rest, case.row.other == "U")
        if case.row.other:
            self.assertEqual(word, _WORDS[case.row.other])
            self.assertIn(" attempts=1 ", rest)
        else:
            self.assertNotEqual(word, "bounced")

    def assertNotices(self, case: Case) -> None:
        """
        One notice names those that bounced, with what was said to them.
        """
        bounced = case.row.fates.count("B")
        reports = [
            report
            for report in map(statusOf, self.told())
            if f"rfc822; {FOURTH}\n" not in report
        ]
        self.assertEqual(len(reports), int(bounced > 0))
        self.assertEqual(
            len(self.home.received), len(reports) + int(case.row.other == "B")
        )
        for envelope in self.home.received:
            self.assertEqual((envelope.sender, envelope.recipients), ("", (SENDER,)))
        if not bounced:
            return
        (report,) = reports
        self.assertEqual(report.count("Final-Recipient: "), bounced)
        self.assertEqual(report.count("Action: failed"), bounced)
        self.assertEqual(report.count("Status: 5."), bounced)
        self.assertEqual(report.count("Diagnostic-Code: smtp; 5"), bounced)

    def assertQueue(self, fates: list[str]) -> None:
        """
        What waits has a time at which it is tried.
        """
        queue = self.world.queue
        self.assertEqual((queue.getWaiting(), queue.getRelayed()), ([], []))
        if set(fates) & set("TU"):
            self.assertIsNotNone(queue.nextDue())

    def assertConversation(self, case: Case) -> None:
        """
        The hosts heard what they were to hear.
        """
        row = case.row
        tried = [address for address, _ in self.world.network.tried]
        nextIsDue = "N" in row.fates or row.second is not None
        self.assertEqual(SECOND in tried, nextIsDue, tried)
        self.assertEqual(HOME in tried, "B" in row.fates)
        heard = [bytes(self.heard.get(each, b"")) for each in self.first.sessions]
        told = any(b"Subject: matrix\r\n" in each for each in heard)
        self.assertEqual(told, case.tellsBody)
        for session in (*self.first.sessions, *self.second.sessions):
            for command in session.commands:
                self.assertTrue(COMMANDS.match(command), command)
        if case.place.lane not in _HOSTS:
            bad = self.world.manager.mxcalc.badMXs
            self.assertEqual("mx1.example.org" in bad, row.isBad)
        if row.connection is not REUSED:
            self.assertEqual(self.first.open & set(self.first.sessions[:1]), set())

    def assertEnd(self, case: Case, content: bytes) -> None:
        """
        In the end everybody got what was his, and nothing is left.
        """
        self.assertEmpty()
        for recipient, fate in zip(THREE, case.row.fates, strict=True):
            expected = int(fate != "B") + int(fate == "U" and case.row.isTaken)
            self.assertEqual(self.deliveries(recipient, content), expected, recipient)
        expected = int(case.row.other != "B") + int(case.row.other == "U")
        self.assertEqual(self.deliveries(FOURTH, OTHER), expected)
        self.assertNotices(case)
        for host in (self.first, self.second, self.home):
            self.assertEqual(host.open, set())
        for host in (self.first, self.second):
            # An empty one is no message but what those get who ask for one and
            # refused everybody.
            contents = {message.content for message in host.received} - {b""}
            self.assertLessEqual(contents, {content, OTHER})
        if case.place.isShown:
            reused = case.row.connection is REUSED
            self.assertEqual(self.isReused(case, content), reused)

    def isReused(self, case: Case, content: bytes) -> bool:
        """
        Tell whether what comes second went over the first connection.
        """
        if case.place.isAfter and "B" in case.row.fates:
            return len(self.first.sessions) == 1
        shown = self.copies(self.first, content if case.place.isAfter else OTHER)
        return any(each.session in self.first.sessions[:1] for each in shown)


#: What the status of a log line begins with, by fate.
_CLASSES = {"D": 2, "A": 2, "N": 2, "T": 4, "U": 4, "B": 5}
#: What a log line begins with, by fate.
_WORDS = {"D": "delivered", "T": "retry", "U": "retry", "B": "bounced"}

_HOSTS = {
    Lane.NEEDED: tuple(
        Host(f"mx{n}.example.org", tls=TLSNeed.ENCRYPTED, named=True) for n in (1, 2)
    ),
    Lane.LOGIN: tuple(
        Host(
            f"mx{n}.example.org",
            tls=TLSNeed.NEVER,
            named=True,
            credentials=_USER,
            authInClear=True,
        )
        for n in (1, 2)
    ),
}


@cache
def certificate() -> CertificateOptions:
    """
    Give what the hosts begin TLS with.
    """
    return selfSigned("mx1.example.org").contextFactory


def scriptOf(place: Place, row: Row) -> dict[str, Any]:
    """
    Give the answers of the first host.
    """
    script: dict[str, list[Answer]] = {
        key: [answer, well] for key, answer in {**place.also, **row.also}.items()
    }
    said = row.said
    if isinstance(said, Fate):
        return script
    answers = said if isinstance(said, tuple) else (said,)
    last = answers[-1] if place.isLasting else well
    script[place.key] = [*[well] * place.skips, *answers, last]
    return script


def _testOf(case: Case) -> Callable[[ReplyTests], None]:
    def test(self: ReplyTests) -> None:
        self.check(case)

    test.__name__ = case.name
    test.__qualname__ = f"{ReplyTests.__qualname__}.{case.name}"
    fates = {f"{letter}: {FATES[letter]}" for letter in case.row.fates}
    test.__doc__ = f"{case.row.fates} ({'; '.join(sorted(fates))})"
    return test


for _case in cases():
    setattr(ReplyTests, _case.name, _testOf(_case))


class TableTests(SynchronousTestCase):
    """
    Tests for the table.
    """

    def test_everyPhase(self) -> None:
        """
        Every phase of a session has cases.
        """
        covered = {case.place.phase for case in cases()}
        self.assertEqual(covered, set(Phase) - {Phase.RESOLVE})

    def test_everyFault(self) -> None:
        """
        Every row of the faults of a session has cases; D27 is of LMTP.
        """
        found = {fault for case in cases() for fault in case.row.fault.split("_")}
        wanted = {f"D{n:02}" for n in range(2, 31)} - {"D27"}
        self.assertEqual(wanted - found, set())

    def test_names(self) -> None:
        """
        No two cases have one name, and there is a test for each.
        """
        names = [case.name for case in cases()]
        self.assertEqual(len(set(names)), len(names))
        self.assertEqual([n for n in names if not hasattr(ReplyTests, n)], [])

    def test_fates(self) -> None:
        """
        Each recipient has a fate that there is.
        """
        for case in cases():
            self.assertEqual(len(case.row.fates), len(THREE), case.name)
            self.assertEqual(set(case.row.fates) - set(FATES), set(), case.name)
