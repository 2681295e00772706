# -*- test-case-name: relaymail.test.stories.test_retries -*-
"""
Mail that waits: when it is tried again, when it is given up, and what a queue
in trouble does to it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail

from relaymail.envelopes import Envelope, Letter
from relaymail.errors import QueueFull, UnreadableEntry
from relaymail.queue.directory import Queue
from relaymail.queue.memory import MemoryQueue
from relaymail.test.stories.harness import (
    FIRST,
    HOME,
    SENDER,
    Logged,
    StoryTestCase,
    statusOf,
)
from relaymail.testing.doubles import CONTENT, MailWorld
from relaymail.testing.servers import SMTPServer


class ScheduleTests(StoryTestCase):
    """
    Tests for the retry schedule.
    """

    def test_waitsGrow(self) -> None:
        """
        The waits are those of C{retrySchedule}, the last repeats, and each
        attempt is made when it is due, without a tick.
        """
        self.set(retrySchedule=(60.0, 300.0))
        self.world.host(FIRST, {"MAIL": "451 Later"})
        (name,) = self.relayed(seconds=0)
        waits = []
        for _ in range(4):
            waits.append(self.dueIn())
            self.world.run(waits[-1] or 0)
        self.assertEqual(waits, [60, 300, 300, 300])
        self.assertEqual(self.world.queue.letter(name).attempts, 5)

    def test_P8_jitter(self) -> None:
        """
        The waits are spread by C{chance}.
        """
        self.set(chance=lambda: 0.0)
        self.relayed(seconds=0)
        self.assertEqual(self.dueIn(), 48)

    def test_D31_expiresAsTheResultOfAnAttempt(self) -> None:
        """
        Mail expires by an attempt that failed after its time: there is one at
        that time, and its notice says 4.4.7 and what was last heard.
        """
        self.set(expireAfter=100.0)
        mx = self.world.host(FIRST, {"MAIL": "451 4.3.0 Not today"})
        self.relayed(seconds=99)
        self.assertEqual((len(mx.sessions), self.notices()), (2, []))
        with Logged() as logged:
            self.world.run(2)
        self.assertEqual(len(mx.sessions), 3)
        (notice,) = self.notices()
        self.assertIn("Status: 4.4.7", statusOf(notice))
        self.assertIn("Action: failed", statusOf(notice))
        self.assertIn("451 4.3.0 Not today", statusOf(notice))
        self.assertTrue(logged.outcomes[0].startswith("expired "), logged.outcomes)
        self.assertEmpty()

    def test_D31_lateIsDeliveredAllTheSame(self) -> None:
        """
        Mail that is older than its time when the host takes it is delivered.
        """
        mx = self.world.host(FIRST, {"MAIL": ["451 Later", "250 Ok"]})
        self.relayed(seconds=0)
        self.set(expireAfter=10.0)
        self.world.run(100)
        self.assertEqual(len(mx.received), 1)
        self.assertEqual(self.notices(), [])

    def test_noNoticeForTheNullSender(self) -> None:
        """
        A notice that fails is not told to anybody.
        """
        self.world.host(FIRST, {"RCPT": "550 No"})
        self.world.send("", "b@example.org")
        with Logged() as logged:
            self.world.run(1)
        self.assertTrue(logged.outcomes[0].startswith("bounced "))
        self.assertEmpty()

    def test_oneLinePerOutcome(self) -> None:
        """
        Each outcome is one line with id, from, to, host, address, TLS, delay
        and reply.
        """
        self.world.host(FIRST, {"RCPT b@example.org": ["451 4.2.0 Later", "250 Ok"]})
        with Logged() as logged:
            (name,) = self.relayed(seconds=100)
        self.assertEqual(
            logged.outcomes,
            [
                f"retry id={name} from=<{SENDER}> to=<b@example.org> "
                f"host=mx.example.org address={FIRST} tls=- delay=0.0 attempts=1 "
                "status=4.2.0 next=2001-09-09T01:47:40Z "
                'reply="451 4.2.0 Later"',
                f"delivered id={name} from=<{SENDER}> to=<b@example.org> "
                f"host=mx.example.org address={FIRST} tls=- delay=60.0 attempts=2 "
                'status=2.0.0 reply="250 2.0.0 Ok"',
            ],
        )


class BrokenQueue(MemoryQueue):
    """
    A queue in memory, parts of which do not work.

    @ivar unreadable: The recipients whose letters cannot be read.
    @ivar trouble: What the next call of each method fails with.
    """

    def __init__(self, clock: Any) -> None:
        super().__init__(clock)
        self.unreadable: set[str] = set()
        self.trouble: dict[str, Exception] = {}

    def _fail(self, method: str) -> None:
        if method in self.trouble:
            raise self.trouble.pop(method)

    def letter(self, message: Any) -> Letter:
        """
        Give a letter, if it can be read.
        """
        self._fail("letter")
        if self.getEnvelope(message)[1] in self.unreadable:
            raise UnreadableEntry("a bad sector")
        return super().letter(message)

    def add(self, envelope: Envelope, content: Any) -> Deferred[list[str]]:
        """
        Take a message, if there is room.
        """
        try:
            self._fail("add")
        except QueueFull:
            return fail()
        return super().add(envelope, content)


class ClaimlessQueue(MemoryQueue):
    """
    A queue whose claims cannot be written.
    """

    def setRelaying(self, message: Any) -> Any:
        """
        Claim a name in memory only.
        """
        super().setRelaying(message)
        return fail(QueueFull("no room for a claim"))


class BrokenQueueTests(StoryTestCase):
    """
    Tests for queues in trouble.
    """

    queue: Any

    def setUp(self) -> None:
        self.enter(MailWorld(queue=BrokenQueue))
        self.queue = self.world.queue
        self.mx = self.world.host(FIRST)

    def test_P7_unreadableIsSetAside(self) -> None:
        """
        A letter that cannot be read is set aside, and the others go on.
        """
        self.queue.unreadable.add("c@example.org")
        names = self.relayed("b@example.org", "c@example.org", "d@example.org")
        self.assertEqual(len(self.mx.received), 2)
        self.assertEqual(list(self.queue.aside), [names[1]])
        self.assertEmpty()
        self.assertEqual(len(self.flushLoggedErrors(UnreadableEntry)), 1)

    def test_P6_descriptorsThatPass(self) -> None:
        """
        A want of descriptors is no reason to set anything aside: the letter
        goes later.
        """
        self.queue.trouble["letter"] = QueueFull("no descriptors")
        self.relayed(seconds=4000)
        self.assertEqual(self.queue.aside, {})
        self.world.manager.checkState()
        self.world.run(100)
        self.assertEqual(len(self.mx.received), 1)
        self.assertEmpty()
        self.flushLoggedErrors(QueueFull)

    def test_P5_noticeThatCannotBeQueued(self) -> None:
        """
        Where there is no room for the notice the message stays, and is tried
        again; the notice is sent then.
        """
        self.mx.answers["RCPT"] = "550 5.1.1 No"
        (name,) = self.world.send(SENDER, "b@example.org")
        self.queue.trouble["add"] = QueueFull("no room")
        self.world.run(1)
        self.assertRetried(name)
        self.world.run(4000)
        self.assertEqual(len(self.notices()), 1)
        self.assertEmpty()
        self.assertEqual(len(self.flushLoggedErrors(QueueFull)), 1)

    def test_P6_claimsThatCannotBeWritten(self) -> None:
        """
        A full disk does not keep the queue from draining.
        """
        self.enter(MailWorld(queue=ClaimlessQueue))
        mx = self.world.host(FIRST)
        self.relayed("b@example.org", "c@example.org")
        self.assertEqual(len(mx.received), 2)
        self.assertEmpty()
        self.assertEqual(len(self.flushLoggedErrors(QueueFull)), 2)

    def test_P3_takenByAnother(self) -> None:
        """
        A name that is gone when it is to be claimed is passed over.
        """
        names = self.world.send(SENDER, "b@example.org", "c@example.org")
        self.queue.done(names[0])
        self.world.run(1)
        self.assertEqual([m.recipients for m in self.mx.received], [("c@example.org",)])

    def test_P5_noticeAndRemovalInOneTurn(self) -> None:
        """
        The notice is added and the name is done in the same turn of the
        reactor, so that they are one transaction.
        """
        turns: list[tuple[str, float, int]] = []
        number = [0]

        def count() -> None:
            number[0] += 1

        self.patch(self.world.network, "afterEach", count)
        self.mx.answers["RCPT"] = "550 No"
        self.world.send(SENDER, "b@example.org")

        def noting(method: str) -> None:
            original = getattr(self.queue, method)

            def noted(*args: Any) -> Any:
                turns.append((method, self.world.network.seconds(), number[0]))
                return original(*args)

            self.patch(self.queue, method, noted)

        noting("add")
        noting("done")
        self.world.run(1)
        self.assertEqual([what for what, _, _ in turns[:2]], ["add", "done"])
        self.assertEqual(turns[0][1:], turns[1][1:])


class DirectoryTests(StoryTestCase):
    """
    The same with files.
    """

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.mkdir(mode=0o700)
        self.enter(MailWorld(queue=lambda clock: Queue(str(self.path), clock)))
        self.addCleanup(self.world.queue.stop)

    def stored(self) -> list[str]:
        """
        Give the files of messages.
        """
        return sorted(p.name for p in self.path.iterdir() if p.name[-2:] == "-D")

    def test_delivered(self) -> None:
        """
        What was delivered is gone from the directory.
        """
        mx = self.world.host(FIRST)
        self.relayed("b@example.org", "c@example.org")
        self.assertEqual([m.content for m in mx.received], [CONTENT, CONTENT])
        self.assertEqual(self.stored(), [])

    def test_D31_attemptsSurvive(self) -> None:
        """
        Attempts and the next time are found again by the next process.
        """
        self.world.host(FIRST, {"MAIL": "451 Later"})
        (name,) = self.relayed(seconds=61)
        due = self.world.queue.nextDue()
        self.world.queue.stop()
        again = Queue(str(self.path), self.world.network)
        self.assertEqual(again.getWaiting(), [])
        self.assertEqual(again.letter(name).attempts, 2)
        self.assertEqual(again.nextDue(), due)

    def test_P7_damagedContent(self) -> None:
        """
        A damaged envelope is set aside, and the others go on.
        """
        mx = self.world.host(FIRST)
        (name,) = self.world.send(SENDER, "b@example.org")
        other = self.world.queue
        (self.path / f"{name}-H").write_bytes(b"no pickle")
        other._entries[name].envelope = None
        self.relayed("c@example.org")
        self.assertEqual([m.recipients for m in mx.received], [("c@example.org",)])
        self.assertNotIn(f"{name}-D", self.stored())
        self.flushLoggedErrors(UnreadableEntry)

    def test_bounce(self) -> None:
        """
        A notice is a message like any other, from nobody.
        """
        self.world.host(FIRST, {"RCPT": "550 No"})
        self.relayed()
        self.assertEqual([m.sender for m in self.home.received], [""])
        self.assertEqual(self.stored(), [])


class SmartHostTests(StoryTestCase):
    """
    Tests for hosts that the operator named.
    """

    def setUp(self) -> None:
        from relaymail.route.hosts import Host, TLSNeed

        super().setUp()
        self.world.zones["one.example"] = {"A": ["192.0.2.51"]}
        self.world.zones["two.example"] = {"A": ["192.0.2.52"]}
        self.set(
            smartHosts=tuple(
                Host(f"{name}.example", port, TLSNeed.NEVER, named=True)
                for name, port in (("one", 587), ("two", None))
            )
        )
        self.two = self.world.host("192.0.2.52")

    def tried(self) -> list[tuple[str, int]]:
        """
        Give what was tried since this was last asked.
        """
        tried, self.world.network.tried = self.world.network.tried, []
        return tried

    def test_inOrder(self) -> None:
        """
        They are tried in the operator's order, at their own ports, and one
        that did not work comes last for a while.
        """
        self.relayed("b@example.org", seconds=0)
        self.assertEqual(self.tried(), [("192.0.2.51", 587), ("192.0.2.52", 25)])
        self.relayed("c@elsewhere.example", seconds=0)
        self.assertEqual(self.tried(), [("192.0.2.52", 25)])
        self.world.run(120)
        one: SMTPServer = self.world.host("192.0.2.51")
        self.relayed("b@example.org", seconds=0)
        self.assertEqual(len(one.received), 1)
        self.assertEqual(len(self.two.received), 2)

    def test_oneLane(self) -> None:
        """
        All destinations share its connections.
        """
        self.set(maxConnections=1, idleTimeout=10)
        self.relayed("b@example.org", "c@elsewhere.example", "d@third.example")
        self.assertEqual(len(self.two.received), 3)
        self.assertEqual(len(self.two.sessions), 1)
        self.assertNotIn((HOME, 25), self.tried())
