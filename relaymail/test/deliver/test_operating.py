"""
Tests for L{relaymail.deliver.operating}.
"""

from __future__ import annotations

from typing import Any

from zope.interface import directlyProvides

from relaymail.errors import MalformedAddress, NameBusy, NotSupported, QueueError
from relaymail.inspection import Selection
from relaymail.interfaces import IQueue
from relaymail.outcome.verdicts import LaneState
from relaymail.schedule.paces import MANY_FAILURES
from relaymail.schedule.rates import Rate
from relaymail.test.stories.harness import Logged, StoryTestCase, statusOf


class OperatingTestCase(StoryTestCase):
    """
    A destination that does not answer.
    """

    def resting(self) -> str:
        """
        Give a name that rests.
        """
        self.world.exchange("example.org", {"mx.example.org": "192.0.2.10"})
        (name,) = self.relayed(seconds=100)
        self.assertIn(name, self.world.queue.getResting())
        return name


class BounceNowTests(OperatingTestCase):
    """
    Tests for C{bounceNow}.
    """

    def test_P3_theSenderIsTold(self) -> None:
        """
        The sender gets a notice that says who did it and why, the log a line,
        and the name is gone.
        """
        name = self.resting()
        with Logged() as logged:
            done = self.world.manager.bounceNow(name, "it is a mailing gone wrong")
            self.world.run(10)
        self.successResultOf(done)
        self.assertEmpty()
        (notice,) = self.notices()
        self.assertIn("Status: 5.0.0", statusOf(notice))
        why = "taken out of the queue by the operator of this relay: it is a mailing"
        self.assertIn(why, " ".join(notice.as_string().split()))
        line = logged.outcomes[0]
        self.assertTrue(line.startswith(f"bounced id={name} "), line)
        self.assertIn("status=5.0.0", line)
        self.assertIn(why, line)

    def test_held(self) -> None:
        """
        What is held can be given up.
        """
        name = self.resting()
        self.successResultOf(self.world.queue.hold(name, "why"))
        self.successResultOf(self.world.manager.bounceNow(name, "gone wrong"))
        self.world.run(10)
        self.assertEmpty()
        self.assertEqual(len(self.notices()), 1)

    def test_D28_noticeIsNotTold(self) -> None:
        """
        What has no sender is given up, and nobody is told.
        """
        self.world.exchange("example.org", {"mx.example.org": "192.0.2.10"})
        (name,) = self.world.send("", "b@example.org")
        self.world.run(100)
        self.successResultOf(self.world.manager.bounceNow(name, "why"))
        self.world.run(10)
        self.assertEmpty()
        self.assertEqual(self.notices(), [])

    def test_notNow(self) -> None:
        """
        What is being sent, is not there, or cannot be read, fails; and so does
        all when the manager stops.
        """
        name = self.resting()
        manager = self.world.manager
        self.failureResultOf(manager.bounceNow("99", "why"), KeyError)
        self.world.queue.claim(name)
        self.failureResultOf(manager.bounceNow(name, "why"), NameBusy)
        self.world.queue.setWaiting(name)
        self.world.queue._entries[name].envelope = None
        self.failureResultOf(manager.bounceNow(name, "why"), QueueError)
        self.assertIn(name, self.world.queue.aside)
        self.flushLoggedErrors()
        manager.isStopping = True
        self.failureResultOf(manager.bounceNow(name, "why"), QueueError)

    def test_otherQueues(self) -> None:
        """
        A queue of another kind is not asked.
        """
        directlyProvides(self.world.queue, ())
        manager = self.world.manager
        self.patch(self.world.queue, "claim", None)
        provides = IQueue.implementedBy(type(self.world.queue))
        self.assertTrue(provides)
        self.patch(manager, "queue", object())
        for asked in (
            manager.bounceNow("1", "why"),
            manager.removeNow("1", "why"),
            manager.flush("example.org"),
        ):
            self.failureResultOf(asked, NotSupported)


class RemoveNowTests(OperatingTestCase):
    """
    Tests for C{removeNow}.
    """

    def test_nobodyIsTold(self) -> None:
        """
        The name is gone, the log says so, and the sender is not told.
        """
        name = self.resting()
        with Logged() as logged:
            self.successResultOf(self.world.manager.removeNow(name, "gone wrong"))
            self.world.run(10)
        self.assertEmpty()
        self.assertEqual(self.notices(), [])
        (line,) = logged.outcomes
        self.assertTrue(line.startswith(f"removed id={name} "), line)
        self.assertIn("by the operator of this relay: gone wrong", line)

    def test_held(self) -> None:
        """
        What is held can be removed.
        """
        name = self.resting()
        self.successResultOf(self.world.queue.hold(name, "why"))
        self.successResultOf(self.world.manager.removeNow(name, "gone wrong"))
        self.assertEmpty()

    def test_unreadable(self) -> None:
        """
        What cannot be read can be removed; there is only no line.
        """
        name = self.resting()
        self.world.queue._entries[name].envelope = None
        with Logged() as logged:
            self.successResultOf(self.world.manager.removeNow(name, "why"))
        self.assertEqual(logged.outcomes, [])
        self.assertEmpty()

    def test_notNow(self) -> None:
        """
        What is being sent, or is not there, fails.
        """
        name = self.resting()
        self.world.queue.claim(name)
        manager = self.world.manager
        self.failureResultOf(manager.removeNow(name, "why"), NameBusy)
        self.failureResultOf(manager.removeNow("99", "why"), KeyError)
        self.assertIn(name, self.world.queue.getRelayed())


class TryNowTests(OperatingTestCase):
    """
    Tests for C{tryNow}.
    """

    def failing(self) -> str:
        """
        Give a name whose destination is suspended because it failed.
        """
        name = self.resting()
        for _ in range(MANY_FAILURES):
            self.world.manager.noteLane("example.org", LaneState.FAILING, "refused")
        self.assertIsNotNone(self.world.manager.suspendedUntil("example.org"))
        return name

    def test_failing(self) -> None:
        """
        A name is tried at once, although its destination fails.
        """
        name = self.failing()
        server = self.world.host("192.0.2.10")
        done = self.world.manager.tryNow(name, "Example.ORG")
        self.world.run(1)
        self.successResultOf(done)
        self.assertEqual(len(server.received), 1)

    def test_once(self) -> None:
        """
        However many names an order is about, a destination is tried once although
        it fails.
        """
        manager, name = self.world.manager, self.failing()
        known: set[Any] = set()
        self.successResultOf(manager.tryNow(name, "example.org", known))
        self.assertIsNone(manager.suspendedUntil("example.org"))
        for _ in range(MANY_FAILURES):
            manager.noteLane("example.org", LaneState.FAILING, "refused")
        self.successResultOf(manager.tryNow(name, "example.org", known))
        self.assertIsNotNone(manager.suspendedUntil("example.org"))
        self.successResultOf(manager.tryNow(name, "example.org", set()))
        self.assertIsNone(manager.suspendedUntil("example.org"))

    def test_suspended(self) -> None:
        """
        It is not where an operator has suspended the destination.
        """
        name = self.resting()
        self.world.manager.suspend("example.org", "why")
        server = self.world.host("192.0.2.10")
        self.successResultOf(self.world.manager.tryNow(name, "example.org"))
        self.world.run(100)
        self.assertEqual(server.received, [])

    def test_otherQueues(self) -> None:
        """
        A queue that cannot be told says so; one that has no such name, too.
        """
        manager = self.world.manager
        self.failureResultOf(manager.tryNow("99", "a b"), KeyError)
        manager.queue = _Plain()
        self.failureResultOf(manager.tryNow("99", "example.org"), NotSupported)


class _Plain:
    """
    A queue that nobody can ask.
    """


class FlushTests(OperatingTestCase):
    """
    Tests for C{flush}.
    """

    def test_flush(self) -> None:
        """
        What rests is tried now, whether its destination was suspended or not,
        and what is held is not.
        """
        name = self.resting()
        (held,) = self.relayed("c@example.org", seconds=100)
        self.successResultOf(self.world.queue.hold(held, "why"))
        self.world.manager.suspend("example.org", "why")
        server = self.world.host("192.0.2.10")
        self.world.run(10)
        self.assertEqual(server.received, [])
        count = self.successResultOf(self.world.manager.flush("Example.ORG"))
        self.assertEqual(count, 1)
        self.world.run(10)
        self.assertEqual(len(server.received), 1)
        found = self.successResultOf(self.world.queue.look(Selection()))
        self.assertEqual([each.name for each in found.entries], [held])
        self.assertNotEqual(name, held)

    def test_noDomain(self) -> None:
        """
        What is no domain is refused.
        """
        self.assertRaises(MalformedAddress, self.world.manager.flush, "a b")


class ReleasedTests(OperatingTestCase):
    """
    Mail that waits again.
    """

    def test_newerMailIsSeen(self) -> None:
        """
        What came while something was held is sent, although that waits again
        behind it.
        """
        self.set(destinationRates={"example.org": Rate(1, 3600.0)})
        for domain in ("example.org", "example.net"):
            self.world.exchange(domain, {"mx." + domain: "192.0.2.10"})
        server = self.world.host("192.0.2.10")
        _, old = self.relayed("one@example.org", "two@example.org")
        self.assertEqual(self.world.queue.getWaiting(), [old])
        self.successResultOf(self.world.queue.hold(old, "why"))
        self.world.send("a@example.com", "new@example.net")
        self.successResultOf(self.world.queue.release(old))
        self.world.run(1)
        recipients = [each.recipients for each in server.received]
        self.assertEqual(recipients, [("one@example.org",), ("new@example.net",)])
        self.assertEqual(self.world.queue.getWaiting(), [old])
