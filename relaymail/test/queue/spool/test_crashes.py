"""
Tests for what is in a spool after its process or its machine died at any moment.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import sqlite3
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import (
    NOTHING_SAID,
    DeliverBy,
    Envelope,
    Parameters,
    RecipientParameters,
)
from relaymail.outcomes import Outcome
from relaymail.queue.spool import numbers
from relaymail.queue.spool.spool import Spool
from relaymail.test.queue.contract import DELIVERED, MESSAGE, NOW, RETRY
from relaymail.test.queue.spool.spools import (
    BOUNCE,
    EVERY_BYTE,
    LARGE,
    LARGEST_ROW,
    counted,
    recount,
    runNow,
)
from relaymail.testing.crashes import Crash, CrashPoints
from relaymail.testing.databases import Databases
from relaymail.testing.disk import MemoryDisk

#: More points than the story passes.
MANY = 600
#: The messages of the story: who gets them, and what.
SMALL = (("a@b.example", "b@b.example", "c@c.example"), EVERY_BYTE)
APART = (("d@b.example", "e@d.example"), LARGE)
LINES = (("f@c.example",), MESSAGE)
NOTICE = (("me@a.example",), b"notice\r\n" + LARGE)
#: Says of the second of SMALL that it is late.
LATE = (("late@a.example",), MESSAGE)
ALL = (SMALL, APART, LINES, NOTICE, LATE)
#: What is said of SMALL.
SAID = Envelope(
    "me@a.example",
    SMALL[0],
    Parameters(ret="HDRS", requireTLS=True, deliverBy=DeliverBy(NOW + 900.0)),
    (RecipientParameters("NEVER"), NOTHING_SAID, RecipientParameters(orcpt="x;y")),
)


class Story:
    """
    What one process after the other does with a spool, and what it was told.

    @ivar asked: The recipients of the messages that came.
    @ivar taken: Those of them for whom it was taken, as was said.
    @ivar names: Their names.
    @ivar left: The recipients that were to go.
    @ivar gone: Those of them that have, as was said.
    @ivar due: When each of those that rest is due, once that was written.
    """

    def __init__(
        self, clock: Clock, points: CrashPoints, open: Callable[[], Any]
    ) -> None:
        self.clock = clock
        self.points = points
        self.open = open
        self.asked: set[str] = set()
        self.taken: set[str] = set()
        self.left: set[str] = set()
        self.gone: set[str] = set()
        self.due: dict[str, float] = {}
        self.names: set[str] = set()
        self.isOver = False

    def tell(self) -> None:
        """
        Do it all, until the machine is down.
        """
        self.queue = self.open()
        self.turn()
        self.add(*SMALL)
        self.add(APART[0], io.BytesIO(APART[1]))
        self.turn()
        self.add(*LINES)
        self.claim(*SMALL[0], *APART[0])
        self.turn()
        self.go("a@b.example", DELIVERED)
        self.rest("b@b.example", 60)
        self.rest("d@b.example", 60)
        self.turn()
        # A notice and the name it is about, in one turn.
        self.add(*NOTICE)
        self.go("c@c.example", BOUNCE)
        self.turn()
        self.clock.advance(60)
        self.queue.readDirectory()
        self.turn()
        self.claim("b@b.example", "d@b.example")
        self.turn()
        self.add(*LATE)
        self.queue.told(self.name("b@b.example"))
        self.rest("b@b.example", 600)
        self.go("d@b.example", DELIVERED)
        self.turn()
        # The last of a large one: its file goes.
        self.go("e@d.example", DELIVERED)
        self.turn()
        self.isOver = True

    def turn(self) -> None:
        """
        The turn ends.

        @raise Crash: When the machine is down.
        """
        for _ in range(3):
            self.clock.advance(0)
            self.points.point("turn")

    def name(self, recipient: str) -> str:
        """
        Give the name of a recipient.
        """
        (name,) = (
            name
            for name in (*self.queue.getWaiting(), *self.queue.getRelayed())
            if self.queue.getEnvelope(name)[1] == recipient
        )
        return str(name)

    def add(self, recipients: tuple[str, ...], content: Any) -> None:
        """
        Have a message taken.
        """
        isNotice = recipients in (NOTICE[0], LATE[0])
        envelope = Envelope("" if isNotice else "me@a.example", recipients)
        self.asked.update(recipients)
        if recipients == SMALL[0]:
            envelope = SAID
        done = self.queue.add(envelope, content)
        done.addCallback(self.took, recipients)

    def took(self, names: list[str], recipients: tuple[str, ...]) -> None:
        """
        A message was taken.
        """
        self.taken.update(recipients)
        self.names.update(names)

    def claim(self, *recipients: str) -> None:
        """
        Claim some.
        """
        for each in recipients:
            self.queue.setRelaying(self.name(each))

    def rest(self, recipient: str, seconds: float) -> None:
        """
        Put one back.
        """
        when = self.clock.seconds() + seconds
        done = self.queue.setWaiting(self.name(recipient), when, RETRY)
        self.due.pop(recipient, None)
        done.addCallback(lambda _: self.due.__setitem__(recipient, when))

    def go(self, recipient: str, outcome: Outcome) -> None:
        """
        Be done with one.
        """
        done: Deferred[Any] = self.queue.done(self.name(recipient), outcome)
        self.left.add(recipient)
        done.addCallback(lambda _: self.gone.add(recipient))


class KillTests(SynchronousTestCase):
    """
    The process is killed at each point in turn.
    """

    chance: random.Random | None = None
    story: type[Story] = Story

    def setUp(self) -> None:
        """
        Begin with few numbers, so that more are reserved on the way.
        """
        self.patch(numbers, "RESERVED", 4)
        self.machines = 0

    def begin(self) -> None:
        """
        Begin with an empty machine.
        """
        self.clock = Clock()
        self.clock.advance(NOW)
        os.mkdir(directory := os.path.abspath(self.mktemp()), 0o700)
        self.path = directory + "/queue"
        self.points = CrashPoints()
        self.points.onCrash = lambda point: self.die()
        self.disk = MemoryDisk(self.clock.seconds, self.points, self.chance)
        self.databases = Databases(self.points)

    def connect(self, path: str) -> sqlite3.Connection:
        """
        Open a database of this machine.
        """
        return sqlite3.connect(
            path,
            factory=self.databases.factory,
            isolation_level=None,
            check_same_thread=False,
        )

    def open(self) -> Any:
        """
        Open the spool, as a new process does.
        """
        spool = Spool(
            self.path, self.clock, self.disk, runNow, self.connect, LARGEST_ROW
        )
        spool.noisy = False
        spool.lock()
        return spool

    def die(self) -> None:
        """
        Let the process die.
        """
        self.databases.kill()
        self.stopDisk()

    def stopDisk(self) -> None:
        """
        Leave the disk as it is.
        """
        self.disk.kill()

    def heal(self) -> None:
        """
        Start the machine again.
        """
        if not self.points.isDown:
            self.die()
        for call in self.clock.getDelayedCalls():
            call.cancel()
        self.disk.heal()
        self.points.heal()

    def tell(self, count: int) -> Story:
        """
        Tell the story and crash after so many points, then once more while the
        next process begins, and let the one after that find what there is.
        """
        self.begin()
        story = self.story(self.clock, self.points, self.open)
        self.points.crashAfter(count)
        with contextlib.suppress(Crash):
            story.tell()
        self.heal()
        self.points.crashAfter(count % 13)
        with contextlib.suppress(Crash):
            self.open()
            self.clock.advance(0)
        self.heal()
        self.queue = self.open()
        self.settle()
        return story

    def settle(self) -> None:
        """
        Let all that is due be read.
        """
        for _ in range(10):
            self.queue.readDirectory()
            self.clock.advance(0)

    def test_P1_P3_P4_P5_everyPoint(self) -> None:
        """
        What was taken is there, whole and for all its recipients, unless it
        has gone; what has gone does not come back; a notice and what it is
        about change places; files and counters are right.
        """
        for count in range(MANY):
            story = self.tell(count)
            self.check(story)
            self.databases.kill()
            if story.isOver:
                self.assertGreater(count, 60)
                return
        self.fail("it never came to its end")

    def check(self, story: Story) -> None:
        """
        See that nothing is lost and nothing comes back.
        """
        names = [*self.queue.getWaiting(), *self.queue.getResting()]
        found = {str(self.queue.getEnvelope(name)[1]): name for name in names}
        self.assertEqual(len(found), len(names))
        self.assertLessEqual(story.taken - story.left, found.keys(), "lost")
        self.assertLessEqual(found.keys(), story.asked - story.gone, "came back")
        for recipients, content in ALL:
            here = [each in found or each in story.left for each in recipients]
            self.assertIn(sum(here), (0, len(recipients)), "half of it")
            for each in found.keys() & set(recipients):
                with self.queue.letter(found[each]).file as file:
                    self.assertEqual(file.read(), content)
        if "c@c.example" in story.left:
            both = ["c@c.example" in found, NOTICE[0][0] in found]
            self.assertEqual(sum(both), 1, "lost, or told twice")
        if "b@b.example" in found:
            isTold = self.queue.letter(found["b@b.example"]).isTold
            self.assertEqual(isTold, LATE[0][0] in found)
        for index, recipient in enumerate(SMALL[0]):
            if recipient in found:
                letter = self.queue.letter(found[recipient])
                self.assertEqual(letter.parameters, SAID.parameters)
                self.assertEqual(letter.recipientParameters, SAID.parametersOf(index))
        resting = self.queue.getResting()
        for recipient, due in story.due.items():
            if recipient not in story.left and recipient in found:
                self.assertEqual(resting.get(found[recipient], due), due)
        self.checkFiles()

    def checkFiles(self) -> None:
        """
        See that no file is nobody's, and that the counters are right.
        """
        database = sqlite3.connect(self.path)
        rows = database.execute("SELECT id FROM message WHERE content IS NULL")
        wanted = sorted(str(number) for (number,) in rows)
        self.assertEqual(sorted(self.disk.names(self.path + "-contents")), wanted)
        self.assertEqual(counted(database), recount(database))
        count = "SELECT count(*) FROM message WHERE id NOT IN (SELECT message FROM "
        self.assertEqual(database.execute(f"{count} recipient)").fetchone(), (0,))
        database.close()

    def test_namesNeverRepeat(self) -> None:
        """
        Whenever it crashes, what comes then gets a name that nobody had.
        """
        for count in range(0, MANY, 7):
            story = self.tell(count)
            had = {int(name) for name in story.names}
            added = self.queue.add(Envelope("", ("new@b.example",)), LARGE)
            self.clock.advance(0)
            (name,) = self.successResultOf(added)
            self.assertNotIn(int(name), had)
            self.databases.kill()
            if story.isOver:
                return
        self.fail("it never came to its end")


class PowerCutTests(KillTests):
    """
    The power is cut: of the files of contents nothing is left that was not
    synced.
    """

    def stopDisk(self) -> None:
        """
        Cut the power.
        """
        self.disk.cutPower()


class TornTests(PowerCutTests):
    """
    The power is cut, and some of what was not synced is left, and torn.
    """

    def begin(self) -> None:
        """
        Begin with a chance.
        """
        self.chance = random.Random(self.machines)
        self.machines += 1
        super().begin()
