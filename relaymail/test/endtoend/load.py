# -*- test-case-name: relaymail.test.endtoend.test_load -*-
"""
Many messages from many senders at once, while the relay is killed or stopped
again and again: what arrives, and how often.

By hand, with figures::

    python -m relaymail.test.endtoend --messages 20000 --kills 100 --seed 7

Each try to send a message has a number of its own (a I{submission}): where the
connection breaks before the relay answered, the sender cannot know, and tries
again as another submission.
"""

from __future__ import annotations

import queue
import random
import re
import smtplib
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path

from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from relaymail.queue.opening import SPOOL_FILE
from relaymail.queue.spool.schema import check
from relaymail.test.endtoend.harness import payload
from relaymail.test.endtoend.processes import Twistd, until
from relaymail.testing.servers import SMTPServer

#: How many send at the same time.
SENDERS = 20
#: How many messages a sender gives over one connection.
PER_CONNECTION = 50
#: How long a sender waits for an answer, in seconds.
CLIENT_PATIENCE = 60.0
#: How long a sender waits before it tries again, in seconds.
PAUSE = 0.02
#: How many tries a message gets; a relay that does not come back ends the run.
MAX_TRIES = 2000
#: What a relay that is being stopped says (RFC 5321 3.8).
GOING_DOWN = 421
#: How long the mail may take to arrive once all of it was taken, in seconds.
ARRIVAL_PATIENCE = 300.0

_NUMBER = re.compile(rb"^X-Submission: (\d+)\r$", re.MULTILINE)


def makeContent(number: int) -> bytes:
    """
    Make the message of a submission: another one for each number, the same at
    each call, with what is hard to carry (dots, bytes above 127, long lines).
    """
    chance = random.Random(number)
    lines = [
        b"From: a@sender.example",
        b"To: b@one.example",
        b"Date: Thu, 01 Jan 2026 00:00:00 +0000",
        b"Message-ID: <%d@sender.example>" % number,
        b"X-Submission: %d" % number,
        b"",
    ]
    for _ in range(chance.randrange(1, 40)):
        dots = b"." * chance.choice((0, 0, 0, 1, 2, 3))
        words = bytes(chance.choices(b"abc .\xe4\xff", k=chance.randrange(76)))
        lines.append(dots + words)
    lines.append(b"x" * chance.randrange(998))
    return b"\r\n".join(lines) + b"\r\n"


def numberOf(content: bytes) -> int:
    """
    Tell which submission a message is.
    """
    found = _NUMBER.search(content)
    if found is None:
        raise AssertionError(f"a message that nobody sent: {content[:200]!r}")
    return int(found[1])


class Crowd:
    """
    Senders in threads, with one pile of messages.

    @ivar accepted: The submissions that were answered 250.
    @ivar unknown: Those of which the sender knows nothing.
    @ivar refused: Those that were answered 421.
    """

    def __init__(self, twistd: Twistd, messages: int) -> None:
        self.accepted: set[int] = set()
        self.unknown: set[int] = set()
        self.refused: set[int] = set()
        self._twistd = twistd
        self._lock = threading.Lock()
        self._last = 0
        self._failures: list[str] = []
        self._pile: queue.SimpleQueue[int] = queue.SimpleQueue()
        for index in range(messages):
            self._pile.put(index)

    def run(self) -> Deferred[None]:
        """
        Send everything.

        @return: Fires when all of it was accepted.
        """
        return deferToThread(self._runThreads)

    def _runThreads(self) -> None:
        threads = [threading.Thread(target=self._send) for _ in range(SENDERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._failures:
            raise AssertionError(self._failures[0])

    def _send(self) -> None:
        client: smtplib.SMTP | None = None
        given = tries = 0
        while tries < MAX_TRIES:
            try:
                message = self._pile.get_nowait()
            except queue.Empty:
                break
            try:
                if client is None or given >= PER_CONNECTION:
                    given = 0
                    _close(client)
                    client = self._connect()
                self._submit(client)
                given += 1
                tries = 0
            except (OSError, smtplib.SMTPException) as e:
                if _codes(e) - {GOING_DOWN}:
                    self._failures.append(f"the relay refused a message: {e}")
                    return
                self._pile.put(message)
                client, tries = None, tries + 1
                threading.Event().wait(PAUSE)
        if tries:
            self._failures.append("the relay does not come back")
        _close(client)

    def _connect(self) -> smtplib.SMTP:
        port = self._twistd.port
        if not port:
            raise ConnectionRefusedError
        return smtplib.SMTP("127.0.0.1", port, "sender.example", CLIENT_PATIENCE)

    def _submit(self, client: smtplib.SMTP) -> None:
        with self._lock:
            self._last += 1
            number = self._last
        content = makeContent(number)
        try:
            client.sendmail(
                "a@sender.example", ["b@one.example"], content, ["BODY=8BITMIME"]
            )
        except (OSError, smtplib.SMTPException) as e:
            with self._lock:
                (self.refused if _codes(e) else self.unknown).add(number)
            raise
        with self._lock:
            self.accepted.add(number)


def _codes(error: Exception) -> set[int]:
    """
    Give the codes of the replies that an error stands for, none where there was
    no reply.
    """
    if isinstance(error, smtplib.SMTPResponseException):
        # What smtplib makes up when the connection broke is no reply.
        return {error.smtp_code} - {-1}
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return {code for code, _ in error.recipients.values()} - {-1}
    return set()


def _close(client: smtplib.SMTP | None) -> None:
    if client is not None:
        client.close()


@dataclass(frozen=True, slots=True)
class Kill:
    """
    When the relay was killed.

    @ivar at: When the signal was sent, in seconds.
    @ivar over: When the server had read all that the relay had written.
    @ivar isEarly: Whether the relay was only starting.
    """

    at: float
    over: float
    isEarly: bool = False


@dataclass
class Report:
    """
    What became of a load.

    @ivar accepted: How many submissions were answered 250.
    @ivar unknown: How many were not answered because the relay ended.
    @ivar refused: How many were answered 421 because it was being stopped.
    @ivar arrived: How many different submissions arrived.
    @ivar duplicates: The numbers of those that arrived more than once, each as
        often as it came too much.
    @ivar lost: Those that were answered 250 and did not arrive.
    @ivar changed: Those that arrived other than they were sent, or although
        they were refused.
    @ivar unexplained: Those of the duplicates for which there is no excuse: no
        kill came within L{IN_FLIGHT} after the earlier arrival and before the
        later one, so that it was not the remote's 250 that was lost.
    @ivar kills: The kills.
    @ivar stops: How often it was stopped.
    @ivar inDoubt: The longest time from an arrival to the kill that made the
        message arrive again, in seconds.
    @ivar wrong: What is wrong with the spool in the end, or nothing.
    @ivar sending: How long sending took, in seconds.
    @ivar total: How long it took until everything had arrived, in seconds.
    """

    accepted: int = 0
    unknown: int = 0
    refused: int = 0
    arrived: int = 0
    duplicates: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)
    unexplained: list[int] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    stops: int = 0
    inDoubt: float = 0.0
    wrong: str = ""
    sending: float = 0.0
    total: float = 0.0

    def __str__(self) -> str:
        early = sum(kill.isEarly for kill in self.kills)
        explained = len(self.duplicates) - len(self.unexplained)
        return (
            f"accepted {self.accepted}, not answered {self.unknown}, "
            f"answered 421 {self.refused}, arrived {self.arrived}\n"
            f"kills {len(self.kills)} ({early} of them while starting), "
            f"stops {self.stops}\n"
            f"lost {len(self.lost)}, changed {len(self.changed)}, "
            f"duplicates {len(self.duplicates)} ({explained} explained: in flight "
            f"when the relay was killed, at most {self.inDoubt:.3f} s before it)\n"
            f"spool: {self.wrong or 'sound and empty'}\n"
            f"sending {self.sending:.2f} s ({self.accepted / self.sending:.0f} "
            f"messages/s), all arrived after {self.total:.2f} s "
            f"({self.accepted / self.total:.0f} messages/s)"
        )

    @property
    def isWell(self) -> bool:
        """
        Whether all promises were kept.
        """
        return not (self.lost or self.changed or self.unexplained or self.wrong)


#: How long connections that nobody has looked at are waited for, in seconds.
DRAIN = 0.1
#: How long a message may be in flight: from the server's 250 until that is in
#: the database, in seconds, on a busy machine whose disk is slow.
IN_FLIGHT = 2.0
#: How long a relay that was reached by its goal lives on at most, in seconds:
#: so the kills come at any moment, not just when a message was answered.
LINGER = 0.2
#: How many of the starts are killed too, and when at the latest, in seconds.
EARLY = 0.2
STARTING = 0.8


class Load:
    """
    A crowd of senders, a relay, and a server.

    @ivar server: Where the mail goes.
    @ivar twistd: The relay.
    @ivar report: What became of it.
    """

    def __init__(
        self,
        directory: Path,
        messages: int,
        kills: int = 0,
        stops: int = 0,
        seed: int = 1,
    ) -> None:
        """
        @param directory: Where the relay's files are.
        @param messages: How many messages are sent.
        @param kills: How often the relay is killed, and started again, at
            random moments.
        @param stops: How often it is stopped in good order.
        @param seed: What the moments come from.
        """
        self.server = SMTPServer()
        self.messages = messages
        self.kills = kills
        self.stops = stops
        self.report = Report()
        self._directory = directory
        self._chance = random.Random(seed)

    async def run(self) -> Report:
        """
        Send everything, and wait until it has arrived and the queue is empty.
        """
        self.server.start()
        seconds = self.server.reactor.seconds
        options = ["--smarthost", self.server.address, "--retry", "1s"]
        self.twistd = Twistd(self._directory, options)
        try:
            await self.twistd.start()
            begin = seconds()
            crowd = Crowd(self.twistd, self.messages)
            sending = crowd.run()
            await self._endOften(crowd)
            await sending
            self.report.sending = seconds() - begin
            await self._arrived(crowd)
            self.report.total = seconds() - begin
            await self.twistd.terminate()
            self.report.wrong = whatIsWrong(self.twistd.spool)
        finally:
            self.twistd.clean()
            await self.server.stop()
        self._account(crowd)
        return self.report

    async def _endOften(self, crowd: Crowd) -> None:
        ends = self._plan()
        goals = sorted(self._chance.randrange(self.messages) for _ in ends)
        for goal, early in zip(goals, ends, strict=True):
            await until(
                partial(_isAt, crowd, goal), "the senders go on", ARRIVAL_PATIENCE
            )
            await self._pause(LINGER)
            await (self._stop() if early is None else self._kill(early))
            await self.twistd.start()

    def _plan(self) -> list[int | None]:
        """
        Give the ends in a row: how many starts are killed too after a kill, or
        L{None} for a stop.
        """
        kills: list[int] = []
        for _ in range(self.kills):
            if kills and self._chance.random() < EARLY:
                kills[-1] += 1
            else:
                kills.append(0)
        ends = [*kills, *[None] * self.stops]
        self._chance.shuffle(ends)
        return ends

    async def _kill(self, early: int) -> None:
        await self._killNow()
        for _ in range(early):
            self.twistd.launch()
            await self._pause(STARTING)
            await self._killNow(isEarly=True)

    async def _pause(self, most: float) -> None:
        await task.deferLater(self.server.reactor, most * self._chance.random())

    async def _killNow(self, isEarly: bool = False) -> None:
        seconds = self.server.reactor.seconds
        at = seconds()
        self.twistd.kill()
        # What it had written is still to be read here, and is its own.
        await task.deferLater(self.server.reactor, DRAIN)
        await until(
            lambda: not self.server.open, "the connections end", ARRIVAL_PATIENCE
        )
        self.report.kills.append(Kill(at, seconds(), isEarly))

    async def _stop(self) -> None:
        await self.twistd.terminate()
        self.report.stops += 1

    async def _arrived(self, crowd: Crowd) -> None:
        await until(
            lambda: len(self.server.received) >= len(crowd.accepted),
            "the mail arrives",
            ARRIVAL_PATIENCE,
        )
        await until(
            lambda: not self.twistd.entries(),
            "the queue is empty",
            ARRIVAL_PATIENCE,
        )

    def _account(self, crowd: Crowd) -> None:
        report = self.report
        times: dict[int, list[float]] = {}
        for message in self.server.received:
            number = numberOf(message.content)
            times.setdefault(number, []).append(message.at)
            if payload(message.content) != makeContent(number):
                report.changed.append(number)
        report.accepted, report.unknown = len(crowd.accepted), len(crowd.unknown)
        report.refused = len(crowd.refused)
        report.arrived = len(times)
        report.lost = sorted(crowd.accepted - set(times))
        sent = crowd.accepted | crowd.unknown
        report.changed += sorted(set(times) - sent)
        for number, arrivals in times.items():
            self._judge(number, arrivals)

    def _judge(self, number: int, arrivals: Sequence[float]) -> None:
        for before, after in pairwise(arrivals):
            self.report.duplicates.append(number)
            between = [
                kill for kill in self.report.kills if before <= kill.over <= after
            ]
            doubt = max(between[0].at - before, 0.0) if between else IN_FLIGHT
            if doubt < IN_FLIGHT:
                self.report.inDoubt = max(self.report.inDoubt, doubt)
            else:
                self.report.unexplained.append(number)


def _isAt(crowd: Crowd, goal: int) -> bool:
    return len(crowd.accepted) >= goal


def whatIsWrong(spool: Path) -> str:
    """
    Look a spool through that is to be empty: its database is sound, and its
    counters say that there is nothing.

    @param spool: Its directory.

    @return: What is wrong, or nothing.
    """
    file = spool / SPOOL_FILE
    if found := check(str(file)):
        return found
    with closing(sqlite3.connect(file)) as database:
        counts = database.execute(
            "SELECT name, queued, resting FROM destination WHERE queued OR resting"
        ).fetchall()
        (messages,) = database.execute("SELECT count(*) FROM message").fetchone()
    return f"counted {counts}, {messages} messages" if counts or messages else ""
