"""
Tests for L{relaymail.queue.spool.backlog}.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.queue.spool.backlog import CROWD, START, Backlog, Wish

#: What may happen: each is a number that says what, another to whom, and when.
STEPS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 2), st.integers(-9, 9)), max_size=120
)


@dataclass
class Mail:
    """
    A spool as the backlog sees it: names that rest on the disk, names in memory,
    and loads that are under way.

    @ivar disk: When each name is due, and its destination, by number.
    @ivar memory: The destination of each name in memory.
    @ivar asked: The loads that are under way.
    @ivar seen: The numbers that were read.
    """

    backlog: Backlog
    now: int = 0
    number: int = 0
    disk: dict[int, tuple[int, str]] = field(default_factory=dict)
    memory: dict[int, str] = field(default_factory=dict)
    asked: list[Wish] = field(default_factory=list)

    def arrive(self, destination: str) -> None:
        """
        A new name comes, into the memory if it may.
        """
        self.number += 1
        if self.backlog.roomFor(destination):
            self.backlog.hold(destination)
            self.memory[self.number] = destination
        else:
            self.restNow(self.number, self.now, destination)

    def restNow(self, number: int, due: int, destination: str) -> None:
        """
        A name rests.
        """
        self.disk[number] = (due, destination)
        self.backlog.rests(destination, due, number)

    def giveBack(self, due: int) -> None:
        """
        One of the names in memory goes, or rests again.
        """
        if not self.memory:
            return
        number = min(self.memory) if due % 2 else max(self.memory)
        destination = self.memory.pop(number)
        self.backlog.release(destination)
        # The clock may have been set back meanwhile.
        if due > 0:
            self.restNow(number, self.now + due, destination)

    def ask(self) -> None:
        """
        Begin what is wished for.
        """
        self.asked += self.backlog.wishes(self.now)

    def answer(self) -> None:
        """
        Read what was asked for first.
        """
        if not self.asked:
            return
        wish = self.asked.pop(0)
        found = sorted(
            (due, number)
            for number, (due, destination) in self.disk.items()
            if destination == wish.destination and (due, number) > wish.after
        )
        read = [each for each in found[: wish.limit] if each[0] <= self.now]
        for _, number in read:
            del self.disk[number]
            self.memory[number] = wish.destination
            self.backlog.hold(wish.destination)
        later = found[len(read) :]
        last = (float(read[-1][0]), read[-1][1]) if read else None
        self.backlog.loaded(wish.destination, last, later[0][0] if later else None)

    def fail(self) -> None:
        """
        What was asked for first cannot be read.
        """
        if self.asked:
            self.backlog.failed(self.asked.pop(0).destination, self.now + 60)

    def take(self, step: int, who: int, when: int) -> None:
        """
        Have something happen.
        """
        destination = f"{who}.example"
        if step < 3:
            self.arrive(destination)
        elif step < 5:
            self.giveBack(when)
        elif step == 5:
            # It goes back too: nobody trusts the clock.
            self.now += when
        elif step == 6:
            self.fail()
        elif step == 7:
            self.answer()
        else:
            self.ask()


class BacklogTests(SynchronousTestCase):
    """
    L{Backlog} shares the memory.
    """

    def setUp(self) -> None:
        """
        Begin with a small memory.
        """
        self.backlog = Backlog(share=4, room=8, least=2)

    def hold(self, destination: str, count: int) -> None:
        """
        Hold some.
        """
        for _ in range(count):
            self.backlog.hold(destination)

    def test_nothing(self) -> None:
        """
        Where nothing rests nothing is wished for.
        """
        self.assertIsNone(self.backlog.nextDue())
        self.assertEqual(self.backlog.wishes(1e9), [])

    def test_due(self) -> None:
        """
        What rests is wished for when it is due, once, as far as there is room.
        """
        self.backlog.rests("b", 20.0)
        self.backlog.rests("b", 10.0)
        self.assertEqual(self.backlog.nextDue(), 10.0)
        self.assertEqual(self.backlog.wishes(9.9), [])
        self.hold("b", 1)
        self.assertEqual(self.backlog.wishes(10.0), [Wish("b", START, 3)])
        self.assertEqual(self.backlog.wishes(10.0), [])

    def test_goesOn(self) -> None:
        """
        The next is read after the last that was.
        """
        self.backlog.rests("b", 10.0)
        self.backlog.wishes(10.0)
        self.hold("b", 1)
        self.backlog.loaded("b", (10.0, 7), 15.0)
        self.assertEqual(self.backlog.nextDue(), 15.0)
        self.assertEqual(self.backlog.wishes(15.0), [Wish("b", (10.0, 7), 3)])

    def test_room(self) -> None:
        """
        A destination has its share, as long as there is room; then little.
        """
        self.hold("b", 4)
        self.assertEqual([self.backlog.roomFor(x) for x in "bc"], [0, 4])
        self.hold("c", 4)
        self.assertEqual([self.backlog.roomFor(x) for x in "bcd"], [0, 0, 2])
        self.backlog.release("c")
        self.assertEqual([self.backlog.roomFor(x) for x in "bcd"], [0, 1, 4])

    def test_fullWaitsForHalf(self) -> None:
        """
        Who has used up his share is read again when half of it has gone.
        """
        self.hold("b", 4)
        self.backlog.rests("b", 0.0)
        self.assertEqual(self.backlog.wishes(0.0), [])
        self.assertIsNone(self.backlog.nextDue())
        self.backlog.release("b")
        self.assertIsNone(self.backlog.nextDue())
        self.backlog.release("b")
        self.assertEqual(self.backlog.wishes(0.0), [Wish("b", START, 2)])

    def test_oneDoesNotKeepOthersOut(self) -> None:
        """
        However much a large destination has, the others are read.
        """
        self.hold("large", 4)
        self.hold("other", 4)
        for name in ("large", "b", "c"):
            self.backlog.rests(name, 0.0)
        wishes = self.backlog.wishes(0.0)
        self.assertEqual(
            [(each.destination, each.limit) for each in wishes], [("b", 2), ("c", 2)]
        )

    def test_A05_whatIsBeingReadTakesRoom(self) -> None:
        """
        Where many destinations have much that is due, as after a restart, no
        more is asked for at once than there is room for, and a little of each.
        """
        names = [f"{number}.example" for number in range(50)]
        for name in names:
            self.backlog.rests(name, 0.0)
        read: list[str] = []
        wishes = self.backlog.wishes(0.0)
        self.assertEqual([each.limit for each in wishes], [4, 4, 2, 2, 2, 2])
        while wishes:
            for each in wishes:
                read.append(each.destination)
                self.backlog.loaded(each.destination, None, None)
            wishes = self.backlog.wishes(0.0)
        self.assertEqual(sorted(read), sorted(names))
        self.assertEqual(self.backlog.roomFor("b"), 4)

    def test_restsWhileLoading(self) -> None:
        """
        What rests while its destination is being read is read next.
        """
        self.backlog.rests("b", 0.0)
        self.backlog.wishes(0.0)
        self.backlog.rests("b", 5.0)
        self.assertIsNone(self.backlog.nextDue())
        self.backlog.loaded("b", (0.0, 1), None)
        self.assertEqual(self.backlog.nextDue(), 5.0)

    def test_failed(self) -> None:
        """
        What could not be read is wished for again, from where it was.
        """
        self.backlog.rests("b", 0.0)
        (wish,) = self.backlog.wishes(0.0)
        self.backlog.failed("b", 60.0)
        self.assertEqual(self.backlog.wishes(59.0), [])
        self.assertEqual(self.backlog.wishes(60.0), [wish])

    def test_P8_whatIsDueBeforeTheLastIsRead(self) -> None:
        """
        Where something comes to rest that is due before the last that was read
        (a claim of a dead process, a clock that was set back), it is read
        again from there.
        """
        self.backlog.rests("b", 10.0, 5)
        self.backlog.wishes(10.0)
        self.hold("b", 1)
        self.backlog.loaded("b", (10.0, 5), None)
        self.backlog.rests("b", 7.0, 3)
        (wish,) = self.backlog.wishes(10.0)
        self.assertLess(wish.after, (7.0, 3))

    def test_P8_alsoWhileLoading(self) -> None:
        """
        So it is where the one before was being read just then.
        """
        self.backlog.rests("b", 10.0, 5)
        self.backlog.wishes(10.0)
        self.hold("b", 1)
        self.backlog.loaded("b", (10.0, 5), 11.0)
        self.backlog.wishes(11.0)
        self.backlog.rests("b", 7.0, 3)
        self.backlog.loaded("b", (11.0, 6), None)
        (wish,) = self.backlog.wishes(11.0)
        self.assertLess(wish.after, (7.0, 3))

    def test_heapIsBounded(self) -> None:
        """
        What is not current any more does not fill the memory.
        """
        for time in range(10_000, 0, -1):
            self.backlog.rests("b", float(time))
        self.assertLess(len(self.backlog._heap), 100)
        self.assertEqual(self.backlog.nextDue(), 1.0)

    def test_forgets(self) -> None:
        """
        Nothing is remembered of a destination that has nothing.
        """
        for number in range(100):
            name = f"{number}.example"
            self.backlog.rests(name, 0.0)
            self.backlog.wishes(0.0)
            self.backlog.hold(name)
            self.backlog.loaded(name, (0.0, number), None)
            self.backlog.release(name)
        self.assertIsNone(self.backlog.nextDue())
        kept = (self.backlog.held, self.backlog._after, self.backlog._due)
        self.assertEqual([len(each) for each in kept], [0, 0, 0])

    @settings(deadline=None, max_examples=150)
    @given(STEPS)
    def test_nobodyIsForgotten(self, steps: list[tuple[int, int, int]]) -> None:
        """
        Whatever happens in whatever order, with a clock that steps: what rests
        is read in the end, and nobody is ever given more than his share.
        """
        mail = Mail(Backlog(share=4, room=8, least=2))
        for step in steps:
            mail.take(*step)
            for destination, count in mail.backlog.held.items():
                self.assertLessEqual(count, 2 * 4)
                self.assertEqual(
                    count, sum(each == destination for each in mail.memory.values())
                )
            self.assertLess(len(mail.backlog._heap), 2 * 4 + 66)
        self.drain(mail)
        self.assertEqual((mail.disk, mail.memory), ({}, {}))

    @settings(deadline=None, max_examples=100)
    @given(STEPS)
    def test_shares(self, steps: list[tuple[int, int, int]]) -> None:
        """
        Where nothing comes while something is being read, each has his share
        and no more; and little once there is no room.
        """
        mail = Mail(Backlog(share=4, room=8, least=2))
        for step, who, when in steps:
            before = mail.backlog._total
            mail.take(step, who, when)
            while step > 7 and mail.asked:
                mail.answer()
            self.assertLessEqual(max(mail.backlog.held.values(), default=0), 4)
            if before >= 8:
                more = mail.backlog._total - before
                self.assertLessEqual(more, 2 * 4)
        self.assertLessEqual(mail.backlog._total, 4 * 4)

    def drain(self, mail: Mail) -> None:
        """
        Deliver all there is: each round takes what can be had.
        """
        mail.now = 10_000
        for _ in range(500):
            mail.ask()
            mail.answer()
            mail.giveBack(0)


class CrowdTests(SynchronousTestCase):
    """
    More destinations than there is room for.
    """

    def setUp(self) -> None:
        self.backlog = Backlog(share=5, room=20, least=2)
        for number in range(100):
            self.backlog.rests(f"d{number}", 1.0, number)

    def test_A06_allTogetherAreBounded(self) -> None:
        """
        No more than a bound is asked for, whatever the number of destinations,
        and each has its turn when there is room again.
        """
        asked: list[str] = []
        while wishes := self.backlog.wishes(2.0):
            self.assertLessEqual(sum(wish.limit for wish in wishes), CROWD * 20)
            for wish in wishes:
                asked.append(wish.destination)
                self.backlog.hold(wish.destination)
                self.backlog.loaded(wish.destination, (1.0, 1), None)
            self.assertLessEqual(self.backlog.held.total(), CROWD * 20)
            for destination in list(self.backlog.held):
                self.backlog.release(destination)
        self.assertEqual(sorted(asked), sorted(f"d{n}" for n in range(100)))

    def test_suspendedInTheCrowd(self) -> None:
        """
        What was suspended meanwhile is in nobody's way.
        """
        wishes = self.backlog.wishes(2.0)
        for wish in wishes:
            self.backlog.loaded(wish.destination, None, None)
        self.backlog.suspendedUntil = lambda name: 50.0 if name != "d99" else None
        self.assertEqual([w.destination for w in self.backlog.wishes(2.0)], ["d99"])
        self.assertEqual(self.backlog.nextDue(), 50)


class SuspendedTests(SynchronousTestCase):
    """
    Destinations that need not be read.
    """

    def setUp(self) -> None:
        self.until: dict[str, float] = {"a": 100.0}
        self.backlog = Backlog(suspendedUntil=self.until.get)
        for destination in "ab":
            self.backlog.rests(destination, 10.0, 1)

    def names(self, now: float) -> list[str]:
        """
        Give the destinations that should be read.
        """
        return [wish.destination for wish in self.backlog.wishes(now)]

    def test_notBefore(self) -> None:
        """
        A suspended destination is read when that is over, others at once.
        """
        self.assertEqual(self.names(20), ["b"])
        self.assertEqual(self.backlog.nextDue(), 100)
        self.backlog.rests("a", 5.0, 2)
        self.assertEqual(self.names(99), [])
        self.assertEqual(self.names(100), ["a"])

    def test_longer(self) -> None:
        """
        It is asked again when the time has come.
        """
        self.names(20)
        self.until["a"] = 200.0
        self.assertEqual(self.names(100), [])
        self.assertEqual(self.backlog.nextDue(), 200)

    def test_lookAgain(self) -> None:
        """
        What is over before its time is read before it.
        """
        self.names(20)
        del self.until["a"]
        self.assertEqual(self.names(21), [])
        self.backlog.lookAgain()
        self.assertEqual(self.names(21), ["a"])

    def test_postponed(self) -> None:
        """
        What was postponed is not read before that is over, whatever is said of
        its destination; what is later stands.
        """
        self.names(20)
        self.backlog.rests("c", 5.0, 3, 50.0)
        self.backlog.rests("c", 5.0, 4, 40.0)
        self.assertEqual(self.names(49), [])
        self.assertEqual(self.backlog.nextDue(), 50)
        self.assertEqual(self.names(50), ["c"])

    def test_heapIsBounded(self) -> None:
        """
        Looking again and again costs no memory.
        """
        self.names(20)
        for _ in range(1000):
            self.backlog.lookAgain()
            self.names(20)
        self.assertLess(len(self.backlog._heap), 100)
