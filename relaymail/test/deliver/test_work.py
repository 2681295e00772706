# -*- test-case-name: relaymail.test.deliver.test_work -*-
"""
Tests for L{relaymail.deliver.work}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import fail
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from relaymail.addresses import domainOf
from relaymail.deliver import work
from relaymail.deliver.work import Work
from relaymail.envelopes import (
    NO_PARAMETERS,
    DeliverBy,
    Envelope,
    Outline,
    Parameters,
)
from relaymail.errors import QueueFull, QueueLocked, QueueUnusable, UnreadableEntry
from relaymail.queue.memory import MemoryQueue
from relaymail.route.router import Holding


def laneOf(outline: Outline) -> str:
    """
    Give the domain of a recipient.
    """
    return domainOf(outline.recipient)


def isOld(outline: Outline) -> bool:
    """
    Tell whether a message is of the beginning.
    """
    return outline.arrived <= 0


class WorkTests(SynchronousTestCase):
    """
    Tests for L{Work}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.queue = MemoryQueue(self.clock)
        self.queue.onWaiting = self.announced
        self.work = Work(self.queue, laneOf, isOld, self.clock.seconds)
        self.work.scheduler.batch = 10

    def announced(self) -> None:
        """
        There are new names.
        """
        self.work.isStale = True

    def put(self, *recipients: str) -> list[str]:
        """
        Queue a message.
        """
        d = self.queue.add(Envelope("a@example.com", recipients), b"x\r\n")
        return self.successResultOf(d)

    def test_placedByLane(self) -> None:
        """
        What waits is sorted into lanes, in its order.
        """
        b, c, d = self.put("b@one.example", "c@two.example", "d@ONE.example")
        self.work.placeNew()
        self.assertEqual(self.work.take("one.example", 10).names, [b, d])
        self.assertEqual(self.work.take("two.example", 10).names, [c])
        self.assertEqual(self.queue.getRelayed(), [b, d, c])

    def test_urgentFirst(self) -> None:
        """
        More urgent mail (RFC 6710) goes first, also when it is placed again.
        """
        (plain,) = self.put("b@one.example")
        names = {0: plain}
        for priority in (-2, 5):
            parameters = Parameters(priority=priority)
            envelope = Envelope("a@example.com", ("b@one.example",), parameters)
            added = self.queue.add(envelope, b"x\r\n")
            (names[priority],) = self.successResultOf(added)
        self.work.placeNew()
        self.work.placeAgain()
        taken = self.work.take("one.example", 10).names
        self.assertEqual(taken, [names[5], names[0], names[-2]])

    def test_placedAgain(self) -> None:
        """
        When what decides about lanes has changed, what waits is placed as it is
        now, in its order, and nothing of it is lost.
        """
        b, c, d = self.put("b@one.example", "c@two.example", "d@one.example")
        self.work.placeNew()
        self.work._laneOf = lambda outline: "all"
        self.work.placeAgain()
        self.assertEqual(self.work.scheduler.lanes.waiting("one.example"), 0)
        names = self.work.take("all", 10).names
        self.assertEqual(sorted(names), sorted([b, c, d]))
        self.assertLess(names.index(b), names.index(d))

    def test_onlyNewNamesAreLookedAt(self) -> None:
        """
        What was placed is not read again, and nothing is while nobody
        announced anything.
        """
        self.put("b@one.example")
        self.work.placeNew()
        read: list[str] = []
        outline = self.queue.outline

        def reading(name: Any) -> Any:
            read.append(name)
            return outline(name)

        self.patch(self.queue, "outline", reading)
        self.work.placeNew()
        self.assertEqual(read, [])
        (name,) = self.put("c@one.example")
        self.work.placeNew()
        self.work.placeAll()
        self.assertEqual(read, [name])
        self.assertEqual(self.work.scheduler.lanes.waiting("one.example"), 2)

    def test_silentQueueIsAlwaysAsked(self) -> None:
        """
        A queue that announces nothing is asked each time.
        """
        self.queue.onWaiting = None
        self.work.placeNew()
        self.put("b@one.example")
        self.work.placeNew()
        self.assertEqual(len(self.work.scheduler.lanes), 1)

    def test_limit(self) -> None:
        """
        No more than the limit is claimed.
        """
        names = [self.put("b@one.example")[0] for _ in range(3)]
        self.work.placeNew()
        self.assertEqual(self.work.take("one.example", 2).names, names[:2])
        self.assertEqual(self.queue.getWaiting(), names[2:])

    def test_P3_goneMeanwhile(self) -> None:
        """
        What is no longer there is passed over.
        """
        names = self.put("b@one.example", "c@one.example")
        self.work.placeNew()
        self.queue.done(names[0])
        self.assertEqual(self.work.take("one.example", 10).names, names[1:])

    def test_P6_unwrittenClaims(self) -> None:
        """
        A claim that could not be written is one all the same, and logged.
        """
        claim = self.queue.setRelaying

        def unwritten(name: Any) -> Any:
            claim(name)
            return fail(QueueFull("no room"))

        self.patch(self.queue, "setRelaying", unwritten)
        names = self.put("b@one.example")
        self.work.placeNew()
        taken = self.work.take("one.example", 10)
        self.assertEqual(taken.names, names)
        self.assertEqual([self.successResultOf(d) for d in taken.writes], [None])
        self.assertEqual(len(self.flushLoggedErrors(QueueFull)), 1)

    def refuse(self, bad: str, error: Exception, isClaimed: bool = False) -> None:
        """
        Let the claim of a name go wrong, before or after it is claimed.
        """
        claim = self.queue.setRelaying

        def refusing(name: Any) -> Any:
            if name == bad and not isClaimed:
                raise error
            written = claim(name)
            if name == bad:
                raise error
            return written

        self.patch(self.queue, "setRelaying", refusing)

    def test_P3_claimThatGoesWrong(self) -> None:
        """
        Whatever goes wrong with a claim: what was claimed before goes on, and
        nothing is stuck.
        """
        for error in (QueueUnusable("broken"), QueueLocked("no"), OSError("no")):
            for isClaimed in (False, True):
                with self.subTest(error=error, isClaimed=isClaimed):
                    self.claimThatGoesWrong(error, isClaimed)

    def claimThatGoesWrong(self, error: Exception, isClaimed: bool) -> None:
        """
        Let the second of three claims go wrong.
        """
        self.setUp()
        one, two, three = (self.put("b@one.example")[0] for _ in range(3))
        self.work.placeNew()
        self.refuse(two, error, isClaimed)
        self.assertEqual(self.work.take("one.example", 10).names, [one])
        self.assertEqual(self.queue.getRelayed(), [one])
        self.assertEqual(set(self.queue.getWaiting()), {two, three})
        self.assertEqual(len(self.flushLoggedErrors(type(error))), 1)
        # As a queue that is well again.
        del self.queue.setRelaying
        self.work.placeAll()
        taken = self.work.take("one.example", 10).names
        self.assertEqual(set(taken), {two, three})

    def test_P7_unreadable(self) -> None:
        """
        What cannot be read is set aside, and the rest is placed.
        """
        bad, _ = self.put("b@one.example", "c@one.example")
        self.queue._entries[bad].envelope = None
        self.work.placeNew()
        self.assertEqual(self.work.scheduler.lanes.waiting("one.example"), 1)
        self.assertEqual(list(self.queue.aside), [bad])
        self.assertEqual(len(self.flushLoggedErrors(UnreadableEntry)), 1)

    def test_P6_unreadableForNow(self) -> None:
        """
        What cannot be read for want of descriptors stays, and is placed when
        it can be.
        """
        outline = self.queue.outline

        def failing(name: Any) -> Any:
            raise QueueFull("no descriptors")

        self.put("b@one.example")
        self.queue.outline = failing  # type: ignore[method-assign, assignment]
        self.work.placeNew()
        self.assertEqual((len(self.work.scheduler.lanes), self.queue.aside), (0, {}))
        self.queue.outline = outline  # type: ignore[method-assign]
        self.work.placeAll()
        self.assertEqual(len(self.work.scheduler.lanes), 1)
        self.flushLoggedErrors(QueueFull)


class SuspendedTests(SynchronousTestCase):
    """
    What is for a site that is suspended.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.queue = MemoryQueue(self.clock)
        self.work = Work(self.queue, laneOf, isOld, self.clock.seconds)
        self.paces = self.work.scheduler.paces
        self.lanes = self.work.scheduler.lanes

    def put(
        self, recipient: str = "b@one.example", parameters: Parameters = NO_PARAMETERS
    ) -> str:
        """
        Queue a message.
        """
        envelope = Envelope("a@example.com", (recipient,), parameters)
        added = self.queue.add(envelope, b"x\r\n")
        name: str = self.successResultOf(added)[0]
        return name

    def suspend(self) -> float:
        """
        Let a site fail until it is suspended.
        """
        until = None
        while until is None:
            until = self.paces.noteFailure("one.example", 1000, "refused", 0.5)
        return until

    def test_rests(self) -> None:
        """
        What comes for it rests until that is over; what is for others waits.
        """
        until = self.suspend()
        name, other = self.put(), self.put("b@two.example")
        self.work.placeNew()
        self.assertEqual(self.queue.getResting(), {name: until})
        self.assertEqual(self.queue.getWaiting(), [other])
        self.clock.advance(until - 1000)
        self.queue.readDirectory()
        self.work.placeNew()
        self.assertEqual(self.lanes.waiting("one.example"), 1)

    def test_D31_noLongerThanItIsOfUse(self) -> None:
        """
        What is to be returned at a time rests until then, if that is sooner; what
        is only to be told of goes on resting.
        """
        until = self.suspend()
        expected = {}
        for by, end in (
            (DeliverBy(1010, True), 1010),
            (DeliverBy(1010), until),
            (DeliverBy(until + 1, True), until),
        ):
            expected[self.put(parameters=Parameters(deliverBy=by))] = end
        self.work.placeNew()
        self.assertEqual(self.queue.getResting(), expected)

    def test_letRest(self) -> None:
        """
        What waits already rests too, once it is suspended.
        """
        name, other = self.put(), self.put("b@two.example")
        self.work.placeNew()
        until = self.suspend()
        list(self.work.rest("one.example"))
        self.assertEqual(self.queue.getResting(), {name: until})
        self.assertEqual((len(self.lanes), self.lanes.has(other)), (1, True))
        self.assertEqual(self.queue.letter(name).attempts, 0)

    def test_byAndBy(self) -> None:
        """
        So much rests at a time as takes a moment, and what has gone meanwhile
        does not.
        """
        self.patch(work, "PORTION", 2)
        names = [self.put() for _ in range(5)]
        self.work.placeNew()
        self.suspend()
        steps = self.work.rest("one.example")
        next(steps)
        self.work.isStale = True
        self.work.placeNew()
        self.work.placeAll()
        self.assertEqual(list(self.queue.getResting()), names[:2])
        starts = self.work.scheduler.whoMayStart({}, 5, self.clock.seconds())
        self.assertEqual(starts, [])
        self.queue.setRelaying(names[2])
        self.assertEqual(len(list(steps)), 1)
        self.assertEqual(set(self.queue.getResting()), {*names} - {names[2]})

    def test_P3_notGoneThrough(self) -> None:
        """
        Where that is not gone through to its end nothing is left out for ever.
        """
        self.patch(work, "PORTION", 2)
        names = [self.put() for _ in range(5)]
        self.work.placeNew()
        self.suspend()
        steps = self.work.rest("one.example")
        next(steps)
        del steps
        self.work.placeAll()
        self.assertEqual(set(self.queue.getResting()), set(names))

    def test_D31_oldMailIsTried(self) -> None:
        """
        Mail whose time is over is tried all the same, to be given up; but not
        where an operator suspended the site.
        """
        old = self.put()
        self.queue._entries[old].arrived = 0.0
        self.suspend()
        self.work.placeNew()
        list(self.work.rest("one.example"))
        self.assertTrue(self.lanes.has(old))
        self.paces.hold("one.example", "he said so")
        list(self.work.rest("one.example"))
        self.assertEqual(list(self.queue.getResting()), [old])

    def test_P6_unwritten(self) -> None:
        """
        What cannot be written rests all the same.
        """
        self.suspend()
        postpone = self.queue.postpone

        def unwritten(name: Any, when: float) -> Any:
            postpone(name, when)
            return fail(QueueFull("no room"))

        self.patch(self.queue, "postpone", unwritten)
        name = self.put()
        self.work.placeNew()
        self.assertEqual(list(self.queue.getResting()), [name])
        self.assertEqual(len(self.flushLoggedErrors(QueueFull)), 1)


class HoldTests(SynchronousTestCase):
    """
    Names that a rule holds.
    """

    def work(self, queue: Any) -> Work:
        """
        Give the work of a queue all of whose mail is held.
        """
        made = Work(queue, lambda outline: Holding("look", "Who?"))
        made.scheduler.batch = 10
        return made

    def test_held(self) -> None:
        """
        They are kept back, and in no lane.
        """
        queue = MemoryQueue(Clock())
        added = queue.add(Envelope("a@example.com", ("b@one.example",)), b"x\r\n")
        (name,) = self.successResultOf(added)
        made = self.work(queue)
        with capturedLogs() as events:
            made.placeNew()
        self.assertEqual(queue.held, {name: "by the rule look: Who?"})
        self.assertFalse(made.scheduler.lanes.has(name))
        self.assertEqual(
            [formatEvent(event) for event in events],
            [
                f"{name} from <a@example.com> to <b@one.example> is held by the rule "
                "look: Who?"
            ],
        )
        made.placeNew()
        self.assertEqual(made.scheduler.lanes.count(), 0)

    def test_notHeld(self) -> None:
        """
        What cannot be kept back now waits in a lane that leads nowhere.
        """
        queue = MemoryQueue(Clock())
        added = queue.add(Envelope("a@example.com", ("b@one.example",)), b"x\r\n")
        (name,) = self.successResultOf(added)
        self.patch(queue, "hold", lambda name, why: fail(QueueUnusable("full")))
        made = self.work(queue)
        with capturedLogs() as events:
            made.placeNew()
        self.assertTrue(made.scheduler.lanes.has(name))
        self.assertIn("could not be held: full", formatEvent(events[-1]))

    def test_gone(self) -> None:
        """
        What somebody else took meanwhile is left alone.
        """
        queue = MemoryQueue(Clock())
        added = queue.add(Envelope("a@example.com", ("b@one.example",)), b"x\r\n")
        self.successResultOf(added)
        self.patch(queue, "hold", lambda name, why: fail(KeyError(name)))
        made = self.work(queue)
        made.placeNew()
        self.assertEqual(made.scheduler.lanes.count(), 0)

    def test_simpleQueue(self) -> None:
        """
        A queue that cannot keep back anything has it wait in a lane that leads
        nowhere.
        """

        class Simple:
            onWaiting = None

            def getWaiting(self) -> list[str]:
                return ["1"]

            def getEnvelope(self, name: str) -> list[str]:
                return ["a@example.com", "b@one.example"]

        made = self.work(Simple())
        made.placeAll()
        self.assertTrue(made.scheduler.lanes.has("1"))
