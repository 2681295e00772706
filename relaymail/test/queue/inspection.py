"""
What people may ask of every queue, and tell it, as tests that are run for each: the
contract of L{IInspectable<relaymail.inspection.IInspectable>}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import maybeDeferred
from zope.interface.verify import verifyObject

from relaymail.errors import NameBusy, NotSupported
from relaymail.inspection import (
    AGE_GROUPS,
    AgeRow,
    DestinationCount,
    IInspectable,
    NameState,
    Selection,
)
from relaymail.outcomes import Removed
from relaymail.replies import Phase
from relaymail.test.queue.contract import NOW, RETRY, QueueContract

REMOVED = Removed("2.0.0", Phase.IDLE)

if TYPE_CHECKING:
    _Test = QueueContract
else:
    # The contract alone is not a test.
    _Test = object


class InspectionContract(_Test):
    """
    Mixed into what L{QueueContract} is mixed into.

    @cvar mayHold: Whether mail can be kept back.
    """

    mayHold = True

    def look(self, limit: int = 100, **parts: Any) -> list[str]:
        """
        Give the names that are found.
        """
        found: list[str] = []
        after = None
        for _ in range(50):
            page = self.settle(self.queue.look(Selection(**parts), limit, after))
            found += [each.name for each in page.entries]
            after = page.next
            if after is None:
                return found
        raise AssertionError("it does not end")

    def state(self, name: str) -> NameState:
        """
        Say where a name stands.
        """
        state: NameState = self.settle(self.queue.entry(name)).state
        return state

    def rest(self, name: str, seconds: float = 600.0) -> None:
        """
        Let a name rest, by an attempt.
        """
        self.settle(self.queue.setRelaying(name))
        self.settle(self.queue.setWaiting(name, NOW + seconds, RETRY))

    def assertFails(self, kind: type[Exception], method: str, *arguments: str) -> None:
        """
        What is told it is refused.
        """
        asked = maybeDeferred(getattr(self.queue, method), *arguments)
        self.clock.advance(0)
        self.failureResultOf(asked, kind)

    def test_inspectable(self) -> None:
        """
        It provides L{IInspectable}.
        """
        verifyObject(IInspectable, self.queue)

    def test_nothing(self) -> None:
        """
        Of an empty queue there is nothing to say.
        """
        self.assertEqual(self.look(), [])
        self.assertEqual(self.settle(self.queue.destinations()), ([], 0))
        shape = self.settle(self.queue.shape())
        self.assertEqual((shape.rows, shape.total.total), ((), 0))
        self.assertEqual(self.settle(self.queue.totals()), {})
        self.assertIsNone(self.settle(self.queue.entry("1")))

    def test_entry(self) -> None:
        """
        All is known of a name.
        """
        one, two = self.add("x@b.example", "Y@C.example")
        self.rest(two)
        found = self.settle(self.queue.entry(two))
        self.assertEqual(
            (found.name, found.sender, found.recipient, found.destination),
            (two, "from@a.example", "Y@C.example", "c.example"),
        )
        self.assertEqual(
            (found.arrived, found.attempts, found.due, found.state),
            (NOW, 1, NOW + 600, NameState.RESTING),
        )
        self.assertEqual((found.status, found.reply), ("4.3.0", RETRY.text))
        self.assertGreater(found.size, 20)
        self.assertEqual(found.message, self.settle(self.queue.entry(one)).message)

    def test_look(self) -> None:
        """
        Names are found by what is said of them, page after page, in the order
        of their arrival.
        """
        one, two = self.add("x@b.example", "Y@C.example")
        self.clock.advance(100)
        (three,) = self.add("z@b.example", sender="", content=b"x" * 500 + b"\r\n")
        self.rest(two)
        for limit in (1, 2, 100):
            self.assertEqual(self.look(limit), [one, two, three])
        for parts, names in (
            ({"names": (three, one, "nobody")}, [one, three]),
            ({"sender": "<>"}, [three]),
            ({"sender": "FROM@*"}, [one, two]),
            ({"recipient": "@B.example"}, [one, three]),
            ({"domain": "b.Example."}, [one, three]),
            ({"olderThan": 100.0}, [one, two]),
            ({"youngerThan": 99.0}, [three]),
            ({"largerThan": 400}, [three]),
            ({"smallerThan": 400}, [one, two]),
            ({"state": NameState.WAITING}, [one, three]),
            ({"state": NameState.RESTING}, [two]),
            ({"state": NameState.RELAYING}, []),
            ({"reply": "LATER"}, [two]),
            ({"domain": "b.example", "sender": "<>"}, [three]),
        ):
            self.assertEqual(self.look(**parts), names, parts)

    def test_noPlace(self) -> None:
        """
        What is no place to go on from is refused.
        """
        self.failureResultOf(self.queue.look(Selection(), 1, "x"), ValueError)

    def test_counts(self) -> None:
        """
        Destinations are counted, those with the most first.
        """
        names = self.add("x@b.example", "y@c.example", "z@c.example")
        self.rest(names[1])
        counts, all_ = self.settle(self.queue.destinations(1))
        self.assertEqual(counts, [DestinationCount("c.example", 2, 1)])
        self.assertEqual(all_, 2)
        self.clock.advance(700)
        self.add("new@c.example")
        shape = self.settle(self.queue.shape(1))
        ages = (1, 0, 2, *(0,) * (AGE_GROUPS - 3))
        self.assertEqual(shape.rows, (AgeRow("c.example", 3, ages),))
        self.assertEqual((shape.total.total, sum(shape.total.ages)), (4, 4))
        self.assertFalse(shape.isSampled)

    def test_hasten(self) -> None:
        """
        What rests is due now; what waits does anyway.
        """
        one, two = self.add("x@b.example", "y@c.example")
        self.rest(two)
        for name in (one, two):
            self.settle(self.queue.hasten(name))
        self.queue.readDirectory()
        self.clock.advance(0)
        self.assertEqual(sorted(self.queue.getWaiting()), sorted([one, two]))
        self.assertEqual(self.queue.letter(two).attempts, 1)

    def test_hastenAll(self) -> None:
        """
        All that rests for a destination is due now, and nothing else.
        """
        one, two, three = self.add("x@b.example", "y@c.example", "z@c.example")
        for name in (one, two, three):
            self.rest(name)
        self.assertEqual(self.settle(self.queue.hastenAll("c.example")), 2)
        self.queue.readDirectory()
        self.clock.advance(0)
        self.assertEqual(set(self.queue.getWaiting()), {two, three})
        self.assertEqual(self.settle(self.queue.hastenAll("nobody.example")), 0)

    def test_busy(self) -> None:
        """
        A name that is being sent is told nothing, and one that is not there is
        not either.
        """
        (name,) = self.add("x@b.example")
        self.settle(self.queue.setRelaying(name))
        for method in ("hasten", "requeue", "claim"):
            self.assertFails(NameBusy, method, name)
            self.assertFails(KeyError, method, "99")
            self.assertFails(KeyError, method, "nobody")
        if self.mayHold:
            self.assertFails(NameBusy, "hold", name, "why")
            self.assertFails(KeyError, "hold", "99", "why")
            self.assertFails(NameBusy, "release", name)
            self.assertFails(KeyError, "release", "99")
        self.assertEqual(self.queue.getRelayed(), [name])

    def test_requeue(self) -> None:
        """
        It begins anew, as if it had just arrived.
        """
        resting, waiting = self.add("x@b.example", "y@c.example")
        self.rest(resting)
        self.clock.advance(50)
        for name in (resting, waiting):
            self.settle(self.queue.requeue(name))
            self.queue.readDirectory()
            self.clock.advance(0)
            found = self.settle(self.queue.entry(name))
            self.assertEqual(
                (found.attempts, found.arrived, found.state, found.reply),
                (0, NOW + 50, NameState.WAITING, ""),
            )
            letter = self.queue.letter(name)
            self.assertEqual((letter.attempts, letter.arrived), (0, NOW + 50))
        self.assertEqual(set(self.queue.getWaiting()), {resting, waiting})

    def test_claim(self) -> None:
        """
        What waits and what rests can be claimed without an attempt, and be done
        with, or given back.
        """
        waiting, resting = self.add("x@b.example", "y@c.example")
        self.rest(resting)
        for name in (waiting, resting):
            self.settle(self.queue.claim(name))
        self.assertEqual(sorted(self.queue.getRelayed()), sorted([waiting, resting]))
        self.assertEqual(self.queue.letter(resting).attempts, 1)
        self.assertEqual(self.queue.letter(waiting).attempts, 0)
        self.settle(self.queue.done(resting, REMOVED))
        self.settle(self.queue.setWaiting(waiting, NOW + 60, RETRY))
        self.assertEqual(self.look(), [waiting])
        self.assertEqual(self.state(waiting), NameState.RESTING)

    def test_withdrawn(self) -> None:
        """
        Whoever sorts what waits is told of what waits no longer.
        """
        told: list[str] = []
        self.queue.onWithdrawn = told.append
        one, two, three = self.add("x@b.example", "y@c.example", "z@d.example")
        self.rest(two)
        self.settle(self.queue.claim(one))
        self.settle(self.queue.claim(two))
        self.settle(self.queue.requeue(three))
        self.assertEqual(told, [one, three])

    def test_suspensions(self) -> None:
        """
        What an operator suspended is known, and why.
        """
        self.assertEqual(self.queue.suspensions(), {})
        self.settle(self.queue.suspend("b.example", "it is slow"))
        self.settle(self.queue.suspend("c.example", "so is that"))
        self.settle(self.queue.suspend("c.example", "it is slower"))
        self.assertEqual(
            self.queue.suspensions(),
            {"b.example": "it is slow", "c.example": "it is slower"},
        )
        self.settle(self.queue.resume("b.example"))
        self.settle(self.queue.resume("nobody.example"))
        self.assertEqual(self.queue.suspensions(), {"c.example": "it is slower"})

    def test_hold(self) -> None:
        """
        What is held neither waits nor comes due until it is released; a queue
        that cannot do that says so.
        """
        waiting, resting = self.add("x@b.example", "y@c.example")
        self.rest(resting)
        if not self.mayHold:
            self.assertFails(NotSupported, "hold", waiting, "why")
            self.assertFails(NotSupported, "release", waiting)
            self.assertEqual(self.queue.getWaiting(), [waiting])
            return
        for name in (waiting, resting):
            self.settle(self.queue.hold(name, "to be looked at"))
            found = self.settle(self.queue.entry(name))
            self.assertEqual(
                (found.state, found.why), (NameState.HELD, "to be looked at")
            )
        self.assertEqual(self.queue.getWaiting(), [])
        self.assertEqual(self.look(state=NameState.HELD), [waiting, resting])
        counts = self.settle(self.queue.destinations())[0]
        self.assertEqual([(x.queued, x.held) for x in counts], [(1, 1), (1, 1)])
        self.clock.advance(10_000)
        self.queue.readDirectory()
        self.queue.wakeOld(NOW + 10_000)
        self.queue.lookAgain()
        self.settle(self.queue.hasten(resting))
        self.queue.addMessage(waiting)
        self.clock.advance(0)
        self.assertEqual((self.queue.getWaiting(), self.queue.getRelayed()), ([], []))
        self.assertRaises(KeyError, self.queue.setRelaying, waiting)
        for name in (waiting, resting):
            self.settle(self.queue.release(name))
        self.queue.readDirectory()
        self.clock.advance(0)
        self.assertEqual(set(self.queue.getWaiting()), {waiting, resting})
        self.assertEqual(self.state(waiting), NameState.WAITING)

    def test_claimOfWhatIsHeld(self) -> None:
        """
        What is held can be claimed, and is held again when it is given back.
        """
        if not self.mayHold:
            return
        one, two = self.add("x@b.example", "y@c.example")
        for name in (one, two):
            self.settle(self.queue.hold(name, "why"))
            self.settle(self.queue.claim(name))
            self.assertEqual(self.state(name), NameState.RELAYING)
        self.settle(self.queue.done(one, REMOVED))
        self.settle(self.queue.setWaiting(two, NOW + 9, RETRY))
        self.assertEqual(self.state(two), NameState.HELD)
        self.assertEqual(self.look(), [two])
        self.assertEqual((self.queue.getWaiting(), self.queue.getRelayed()), ([], []))
        self.settle(self.queue.requeue(two))
        self.queue.readDirectory()
        self.clock.advance(0)
        self.assertEqual(self.queue.getWaiting(), [two])

    def test_doneWithWhatIsHeld(self) -> None:
        """
        What is held can be removed.
        """
        if not self.mayHold:
            return
        (name,) = self.add("x@b.example")
        self.settle(self.queue.hold(name, "why"))
        self.settle(self.queue.done(name, REMOVED))
        self.assertEqual(self.look(), [])
        self.assertFails(KeyError, "release", name)
