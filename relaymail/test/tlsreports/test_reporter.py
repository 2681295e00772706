"""
Tests for L{relaymail.tlsreports.reporter}.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from email import message_from_bytes, policy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import QueueFull
from relaymail.keeping import PrivateDirectory
from relaymail.protections import TLSResult
from relaymail.test.tlsreports.samples import MARCH, session
from relaymail.testing.dns import Fault, ZoneDNS
from relaymail.tlsreports import reporter as module
from relaymail.tlsreports.counting import DAY
from relaymail.tlsreports.reporter import KEEP, LOOK, MAX_FILE, Reporter, Submitter
from relaymail.tlsreports.schedule import GIVE_UP, SPREAD

ME = Submitter("relay.example", "tls@relay.example", "mailto:tls@relay.example")
WANTS = {"TXT": [b"v=TLSRPTv1; rua=mailto:rpt@example.org"]}
POSTS = {"TXT": [b"v=TLSRPTv1; rua=https://r.example/x"]}
BOTH = {"TXT": [b"v=TLSRPTv1; rua=https://r.example/x,mailto:rpt@example.org"]}
NAME = "_smtp._tls.example.org"


class World:
    """
    A reporter, and what it talks to.

    @ivar mailed: The messages that were given to the queue: sender, recipients and
        content.
    @ivar posted: What was sent over HTTPS: URL, content and type.
    @ivar status: What is answered to that, or what it fails with.
    """

    def __init__(self, directory: str, now: float = MARCH + 3600) -> None:
        self.clock = Clock()
        self.clock.advance(now)
        self.dns = ZoneDNS({NAME: WANTS})
        self.directory = PrivateDirectory(directory)
        self.mailed: list[tuple[str, Sequence[str], bytes]] = []
        self.posted: list[tuple[str, bytes, str]] = []
        self.status: int | Exception = 201
        self.mailFails: Exception | None = None
        self.reporter = self.again()

    def again(self) -> Reporter:
        """
        Make a reporter, and start it: it is the one from now on.
        """
        self.reporter = Reporter(
            ME, self.dns, self.clock, self.directory, self.run, self.send, self
        )
        self.reporter.chance = lambda: 0.5
        self.reporter.start()
        return self.reporter

    def run(self, function: Callable[[], Any]) -> Deferred[Any]:
        """
        Run what reads and writes files.
        """
        return maybeDeferred(function)

    def send(self, sender: str, recipients: Sequence[str], content: bytes) -> Any:
        """
        Take a message.
        """
        if self.mailFails is not None:
            raise self.mailFails
        self.mailed.append((sender, recipients, content))
        return succeed(["1"])

    def post(self, url: str, content: bytes, kind: str) -> Deferred[Any]:
        """
        Take a report over HTTPS.
        """
        self.posted.append((url, content, kind))
        if isinstance(self.status, Exception):
            return fail(self.status)
        return succeed(SimpleNamespace(status=self.status))

    def wait(self, seconds: float) -> None:
        """
        Let time pass.
        """
        self.clock.pump([LOOK] * int(seconds // LOOK))


def policiesIn(packed: bytes) -> Any:
    """
    Give the policies of a report that was sent.
    """
    return json.loads(gzip.decompress(packed))["policies"]


def policiesMailed(content: bytes) -> Any:
    """
    Give the policies of a report in a message.
    """
    message = message_from_bytes(content, policy=policy.SMTP)
    _, attached = message.iter_parts()  # type: ignore[attr-defined]
    return policiesIn(attached.get_content())


class ReporterTests(SynchronousTestCase):
    """
    Domains that want to know are told how their sessions were protected.
    """

    def setUp(self) -> None:
        self.world = World(self.mktemp())

    def test_byMail(self) -> None:
        """
        When the day is over, and its own time has come, a domain gets one message.
        """
        world = self.world
        world.reporter.note(session())
        world.reporter.note(session(result=TLSResult.NO_STARTTLS))
        world.wait(DAY - 3600 + SPREAD / 2 - LOOK)
        self.assertEqual(world.mailed, [])
        world.wait(5 * LOOK)
        ((sender, recipients, content),) = world.mailed
        self.assertEqual((sender, list(recipients)), (ME.sender, ["rpt@example.org"]))
        (told,) = policiesMailed(content)
        self.assertEqual(
            told["summary"],
            {"total-successful-session-count": 1, "total-failure-session-count": 1},
        )
        world.wait(2 * DAY)
        self.assertEqual(len(world.mailed), 1)

    def test_overHTTPS(self) -> None:
        """
        It goes over HTTPS where that is wanted.
        """
        world = self.world
        world.dns.zones[NAME] = POSTS
        world.reporter.note(session())
        world.wait(2 * DAY)
        ((url, content, kind),) = world.posted
        self.assertEqual(url, "https://r.example/x")
        self.assertEqual(kind, "application/tlsrpt+gzip")
        self.assertEqual(len(policiesIn(content)), 1)
        self.assertEqual(world.mailed, [])

    def test_again(self) -> None:
        """
        What was not taken is sent again, what was is not.
        """
        world = self.world
        world.dns.zones[NAME] = BOTH
        world.status = 503
        world.reporter.note(session())
        world.wait(DAY - 3600 + SPREAD / 2 + 20 * 60)
        self.assertEqual((len(world.posted), len(world.mailed)), (2, 1))
        world.status = OSError("no route")
        world.wait(3600)
        self.assertEqual((len(world.posted), len(world.mailed)), (3, 1))
        world.status = 200
        world.wait(2 * GIVE_UP)
        self.assertEqual((len(world.posted), len(world.mailed)), (4, 1))

    def test_givenUp(self) -> None:
        """
        A place that takes nothing for a day is not told of that day.
        """
        world = self.world
        world.dns.zones[NAME] = POSTS
        world.status = 503
        world.reporter.note(session())
        with capturedLogs() as events:
            world.wait(DAY + GIVE_UP)
        asked = len(world.posted)
        self.assertGreater(asked, 3)
        told = [formatEvent(event) for event in events]
        self.assertIn("answered with status 503", told[0])
        world.wait(3 * GIVE_UP)
        self.assertEqual(len(world.posted), asked)

    def test_notWanted(self) -> None:
        """
        Whoever does not say so gets nothing; where the DNS does not answer it is asked
        again.
        """
        world = self.world
        world.reporter.note(session(destination="silent.example"))
        world.reporter.note(session())
        world.dns.zones[NAME] = Fault.SERVFAIL
        world.wait(DAY)
        self.assertEqual(world.mailed, [])
        world.dns.zones[NAME] = WANTS
        world.wait(DAY)
        self.assertEqual(len(world.mailed), 1)
        asked = [name for name, _ in world.dns.asked]
        self.assertEqual(asked.count("_smtp._tls.silent.example"), 1)

    def test_queueFull(self) -> None:
        """
        A report that the queue has no room for goes later.
        """
        world = self.world
        world.mailFails = QueueFull("no room")
        world.reporter.note(session())
        world.wait(DAY + SPREAD / 2)
        world.mailFails = None
        world.wait(SPREAD)
        self.assertEqual(len(world.mailed), 1)

    def test_restart(self) -> None:
        """
        What was counted is told after a restart, also when the machine went down and
        came back on another day; what was told is not told again.
        """
        world = self.world
        world.reporter.note(session())
        world.wait(KEEP + LOOK)
        # It goes down, and nothing is written any more.
        world.clock.calls.clear()
        world.clock.advance(DAY)
        world.again()
        world.wait(SPREAD)
        self.assertEqual(len(world.mailed), 1)
        self.successResultOf(world.reporter.stop())
        self.assertEqual(world.directory.names(), [])
        world.again()
        world.wait(DAY)
        self.assertEqual(len(world.mailed), 1)

    def test_countsOfBothLives(self) -> None:
        """
        The counts before and after a restart are added.
        """
        world = self.world
        world.reporter.note(session())
        world.reporter.note(session(result=TLSResult.FAILED))
        self.successResultOf(world.reporter.stop())
        world.again().note(session(result=TLSResult.FAILED))
        self.successResultOf(world.reporter.stop())
        world.again()
        world.wait(2 * DAY)
        (told,) = policiesMailed(world.mailed[0][2])
        self.assertEqual(list(told["summary"].values()), [1, 2])

    def test_P7_damagedFile(self) -> None:
        """
        A file that holds no counts is left out, loudly.
        """
        world = self.world
        world.directory.write("day-1.json", b"{")
        with capturedLogs() as events:
            world.again()
        self.assertIn("day-1.json", formatEvent(events[0]))
        world.reporter.note(session())
        self.successResultOf(world.reporter.stop())
        self.assertIsNotNone(world.directory.read(f"day-{MARCH}.json", MAX_FILE))

    def test_unusableDirectory(self) -> None:
        """
        Where nothing can be kept sessions are counted, and domains told, all the same.
        """
        path = Path(self.mktemp())
        path.mkdir()
        path.chmod(0o777)
        world = World(str(path))
        world.reporter.note(session())
        world.wait(2 * DAY)
        self.assertEqual(len(world.mailed), 1)
        self.assertGreater(len(self.flushLoggedErrors(OSError)), 1)

    def test_A04_notAllToOne(self) -> None:
        """
        However many domains say that somebody wants their reports, he gets some; that
        is told once.  Others get theirs.
        """
        self.patch(module, "MAX_TO_ONE", 3)
        world = self.world
        for number in range(10):
            domain = f"d{number}.evil.example"
            places = "mailto:a@x.example,https://x.example/r"
            if number == 9:
                places = "mailto:a@y.example"
            said = f"v=TLSRPTv1; rua={places}".encode("ascii")
            world.dns.zones[f"_smtp._tls.{domain}"] = {"TXT": [said]}
            world.reporter.note(session(destination=domain))
        with capturedLogs() as events:
            world.wait(2 * DAY)
        to = sorted(recipient for _, (recipient,), _ in world.mailed)
        self.assertLessEqual(len(to) + len(world.posted), 4)
        self.assertIn("a@y.example", to)
        told = [e for e in events if e.get("whose") == "x.example"]
        self.assertEqual(len(told), 1)

    def test_atMostSome(self) -> None:
        """
        Not all domains are told at once, and after the end none.
        """
        world = self.world
        waiting: list[Deferred[Any]] = []

        def lookupText(name: str) -> Deferred[Any]:
            waiting.append(Deferred())
            return waiting[-1]

        self.patch(world.dns, "lookupText", lookupText)
        for n in range(20):
            world.reporter.note(session(destination=f"{n}.example"))
        world.wait(DAY + SPREAD / 2 - 3600 + LOOK)
        self.assertEqual(len(waiting), 5)
        self.successResultOf(world.reporter.stop())
        world.wait(DAY)
        self.assertEqual(len(waiting), 5)
