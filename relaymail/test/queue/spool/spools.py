"""
What the tests of the spool have in common.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import Envelope
from relaymail.outcomes import Bounce
from relaymail.queue.spool import schema
from relaymail.queue.spool.bodies import Bodies
from relaymail.queue.spool.changes import Arrival, Place
from relaymail.queue.spool.spool import Spool
from relaymail.replies import Phase, Reply
from relaymail.test.queue.contract import MESSAGE, NOW
from relaymail.testing.crashes import Crash, CrashPoints
from relaymail.testing.disk import MemoryDisk

BOUNCE = Bounce("5.1.1", Phase.RCPT, Reply(550, (b"5.1.1 nobody",)))
#: All there are, and what line ends must not be made of.
EVERY_BYTE = bytes(range(256)) + b"\r\n.\r\n\n\r\0\x00bare\rcr\nlf\r\n\xff"

#: What is in a row at most in these tests, in bytes.
LARGEST_ROW = 350
#: What is larger.
LARGE = b"large\r\n" * 100

T = TypeVar("T")


def runNow(function: Callable[[], T]) -> Deferred[T]:
    """
    What runs a batch in these tests: no thread.  When the machine is down
    there is nobody to answer.
    """
    try:
        return succeed(function())
    except Crash:
        return Deferred()


class Hand:
    """
    Runs batches when it is told to, and answers when it is told to.

    @ivar jobs: What is to be run, and answered.
    """

    def __init__(self) -> None:
        self.jobs: list[tuple[Callable[[], Any], Deferred[Any]]] = []
        self._answers: list[tuple[Deferred[Any], Any]] = []

    def __call__(self, function: Callable[[], T]) -> Deferred[T]:
        """
        Take a batch.
        """
        done: Deferred[T] = Deferred()
        self.jobs.append((function, done))
        return done

    def work(self) -> None:
        """
        Run the oldest batch; nobody hears of it yet.
        """
        function, done = self.jobs.pop(0)
        self._answers.append((done, function()))

    def answer(self) -> None:
        """
        Say what became of the oldest that was run.
        """
        done, result = self._answers.pop(0)
        done.callback(result)


def recount(database: sqlite3.Connection) -> dict[str, tuple[int, int]]:
    """
    Count the rows of each destination: those that are queued, and those of
    them that rest.
    """
    rows = database.execute(
        "SELECT destination, count(*), sum(lease IS NULL) FROM recipient "
        "WHERE aside IS NULL GROUP BY destination"
    )
    return {name: (queued, resting) for name, queued, resting in rows}


def counted(database: sqlite3.Connection) -> dict[str, tuple[int, int]]:
    """
    Give what the counters say of the destinations that have anything.
    """
    rows = database.execute("SELECT name, queued, resting FROM destination")
    found = {name: (queued, resting) for name, queued, resting in rows}
    return {name: counts for name, counts in found.items() if counts != (0, 0)}


def totals(database: sqlite3.Connection) -> dict[str, int]:
    """
    Give what was counted.
    """
    return dict(database.execute("SELECT name, count FROM total").fetchall())


class RowsTestCase(SynchronousTestCase):
    """
    A database and a disk in memory, without a queue.
    """

    def setUp(self) -> None:
        """
        Begin with an empty spool.
        """
        self.points = CrashPoints()
        self.disk = MemoryDisk(lambda: NOW, self.points)
        self.disk.makeDirectory("/contents")
        self.steps: list[tuple[str, str]] = []
        self.disk.onOperation = lambda step, path: self.steps.append((step, path))
        self.bodies = Bodies(self.disk, "/contents", LARGEST_ROW)
        os.mkdir(directory := self.mktemp(), 0o700)
        self.path = directory + "/queue"
        self.database = schema.openSpool(self.path)
        self.addCleanup(self.database.close)
        self.database.set_trace_callback(self.trace)

    def trace(self, statement: str) -> None:
        """
        Note what the database is asked.
        """
        self.steps.append((statement.split()[0], statement))

    def ask(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        """
        Ask the database.
        """
        return self.database.execute(statement, arguments).fetchall()

    def arrival(
        self,
        number: int,
        *recipients: str,
        content: Any = MESSAGE,
        sender: str = "from@a.example",
        lease: float | None = NOW + 3600,
    ) -> Arrival:
        """
        Make a message that comes.
        """
        places = [
            Place(each, each.partition("@")[2], NOW, lease) for each in recipients
        ]
        return Arrival(number, Envelope(sender, recipients), places, content, NOW)

    def assertCounted(self) -> None:
        """
        The counters are right.
        """
        self.assertEqual(counted(self.database), recount(self.database))


class SpoolTestCase(SynchronousTestCase):
    """
    A spool in a file, with large contents in memory.

    @ivar run_: What runs its batches.
    """

    run_: Any = None

    def setUp(self) -> None:
        """
        Begin with an empty spool.
        """
        self.clock = Clock()
        self.clock.advance(NOW)
        self.disk = MemoryDisk(self.clock.seconds)
        os.mkdir(directory := os.path.abspath(self.mktemp()), 0o700)
        self.path = directory + "/queue"
        self._opened: list[Any] = []
        self.addCleanup(self.letGo)
        self.queue = self.open()

    def makeSpool(self) -> Any:
        """
        Make a spool that is not open.
        """
        spool = Spool(
            self.path, self.clock, self.disk, self.run_, largestRow=LARGEST_ROW
        )
        spool.noisy = False
        return spool

    def open(self) -> Any:
        """
        Open the spool as a new process does.
        """
        spool = self.makeSpool()
        spool.lock()
        self._opened.append(spool)
        self.settleAll()
        return spool

    def letGo(self) -> None:
        """
        Close the files of what is open; nothing is finished.
        """
        for spool in self._opened:
            spool._close()
        self._opened.clear()

    def restart(self) -> Any:
        """
        Let the process die, and begin again.
        """
        self.disk.kill()
        self.letGo()
        self.disk.heal()
        # What the dead had to do is nobody's.
        for call in self.clock.getDelayedCalls():
            call.cancel()
        self.queue = self.open()
        return self.queue

    def settleAll(self) -> None:
        """
        Let the turns end.
        """
        for _ in range(6):
            self.clock.advance(0)

    def settle(self, result: Deferred[Any] | None) -> Any:
        """
        Have what was asked for written.
        """
        self.settleAll()
        return None if result is None else self.successResultOf(result)

    def add(
        self,
        *recipients: str,
        content: Any = MESSAGE,
        sender: str = "from@a.example",
    ) -> list[str]:
        """
        Have a message taken.
        """
        envelope = Envelope(sender, recipients)
        names: list[str] = self.settle(self.queue.add(envelope, content))
        return names

    def rest(self, name: str, seconds: float, outcome: Any = None) -> None:
        """
        Claim a name and let it rest.
        """
        self.settle(self.queue.setRelaying(name))
        when = self.clock.seconds() + seconds
        self.settle(self.queue.setWaiting(name, when, outcome))

    def pass_(self, seconds: float) -> None:
        """
        Let time pass, and what came due wait.
        """
        self.clock.advance(seconds)
        self.queue.readDirectory()
        self.settleAll()

    def ask(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        """
        Ask the database, or change it, behind the back of the queue.
        """
        with sqlite3.connect(self.path) as database:
            found = database.execute(statement, arguments).fetchall()
        database.close()
        return found

    def contents(self) -> list[str]:
        """
        List the files of contents.
        """
        return sorted(self.disk.names(self.path + "-contents"))

    def assertCounted(self) -> None:
        """
        The counters are right.
        """
        database = sqlite3.connect(self.path)
        self.assertEqual(counted(database), recount(database))
        database.close()
