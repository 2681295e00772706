# -*- test-case-name: relaymail.test.dropping.test_service -*-
"""
Tests for L{relaymail.dropping.service}.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from relaymail.dropping import service
from relaymail.dropping.files import ASIDE, write
from relaymail.dropping.service import INTERVAL, UNFINISHED_AGE, DropDirectory
from relaymail.errors import MalformedAddress, QueueFull, QueueUnusable

NOW = 1_000_000_000.0
#: How long a turn of the reactor takes here, in seconds.
TURN = 0.001


class Turning(Clock):
    """
    A clock on which what is to happen at once happens in the next turn.
    """

    def callLater(self, delay: float, *on: Any, **more: Any) -> Any:
        """
        Call something.
        """
        return super().callLater(max(delay, TURN), *on, **more)


class Taker:
    """
    Takes messages, as it is told.

    @ivar taken: The messages, in their order.
    @ivar trouble: What it raises, if anything.
    @ivar waits: The Deferreds given where C{slow}.
    @ivar slow: Whether it waits.
    """

    def __init__(self) -> None:
        self.taken: list[tuple[str, tuple[str, ...], bytes]] = []
        self.trouble: Exception | None = None
        self.waits: list[Deferred[list[str]]] = []
        self.slow = False

    def __call__(self, sender: str, recipients: Any, content: bytes) -> Any:
        """
        Take one.
        """
        if self.trouble is not None:
            raise self.trouble
        self.taken.append((sender, tuple(recipients), content))
        if not self.slow:
            return succeed(["Q1"])
        self.waits.append(Deferred())
        return self.waits[-1]


class DropDirectoryTests(SynchronousTestCase):
    """
    What is left is taken in.
    """

    def setUp(self) -> None:
        """
        Make a directory, and note what is logged.
        """
        self.path = self.mktemp()
        self.clock = Turning()
        self.clock.advance(NOW)
        self.taker = Taker()
        self.count = 0
        self.logged: list[LogEvent] = []
        observer: Any = self.logged.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.drop = self.service()

    def service(self) -> DropDirectory:
        """
        Make a service, as after a restart, and start it.
        """
        made = DropDirectory(
            self.path, self.taker, self.clock, "relay.example", limit=1000
        )
        made.startService()
        self.addCleanup(made.stopService)
        return made

    def leave(self, content: bytes = b"A: b\r\n\r\nx\r\n") -> str:
        """
        Leave a message, and give the name of the file.
        """
        self.count += 1
        path = write(self.path, "a@b", ("c@d",), content, f"{self.count:08x}")
        return os.path.basename(path)

    def left(self) -> list[str]:
        """
        Give what is in the directory.
        """
        return sorted(set(os.listdir(self.path)) - {ASIDE})

    def turns(self, count: int = 20) -> None:
        """
        Let everything happen that is to happen now.
        """
        for _ in range(count):
            self.clock.advance(TURN)

    def warned(self) -> list[LogEvent]:
        """
        Give what was logged that is worth a look.
        """
        return [
            e
            for e in self.logged
            if e["log_level"].name in ("warn", "error", "critical")
        ]

    def test_taken(self) -> None:
        """
        At the start, and then every few seconds, what is there is taken in,
        marked with who left it, and removed.
        """
        self.leave()
        self.turns()
        [(sender, recipients, content)] = self.taker.taken
        self.assertEqual((sender, recipients), ("a@b", ("c@d",)))
        self.assertRegex(
            content,
            rb"\AReceived: by relay\.example \(dropped by the user \d+\)\r\n"
            rb"\tid [0-9a-f]+;\r\n\tSun, 09 Sep 2001 01:46:40 \+0000\r\n"
            rb"A: b\r\n\r\nx\r\n\Z",
        )
        self.assertEqual(self.left(), [])
        self.leave(b"no header\n")
        self.turns()
        self.assertEqual(len(self.taker.taken), 1)
        self.clock.advance(INTERVAL)
        self.assertTrue(self.taker.taken[1][2].endswith(b"+0000\r\n\r\nno header\r\n"))
        self.assertEqual(self.warned(), [])

    def test_P1_P3_removedWhenDurable(self) -> None:
        """
        A file is there until the queue has its message; a crash before that
        loses nothing, and one behind it takes it in a second time at most.
        """
        self.taker.slow = True
        name = self.leave()
        self.turns()
        self.assertEqual((len(self.taker.waits), self.left()), (1, [name]))
        self.service()
        self.turns()
        self.assertEqual(len(self.taker.waits), 2)
        self.taker.waits[1].callback(["Q2"])
        self.turns()
        self.assertEqual(self.left(), [])

    def test_P6_queueFull(self) -> None:
        """
        While the queue takes nothing, files stay, and are taken in later.
        """
        self.taker.trouble = QueueFull("there is no room")
        name = self.leave()
        self.turns()
        self.assertEqual(self.left(), [name])
        self.taker.trouble = None
        self.clock.advance(INTERVAL)
        self.turns()
        self.assertEqual((len(self.taker.taken), self.left()), (1, []))
        self.assertIn("stays there for now", self.warned()[0]["log_format"])

    def test_mistake(self) -> None:
        """
        A message that fails in a way that nobody knows stays too.
        """
        self.taker.trouble = ZeroDivisionError("a mistake")
        name = self.leave()
        self.turns()
        self.assertEqual(self.left(), [name])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_P7_aside(self) -> None:
        """
        What is no message, or has no address, is set aside loudly; the others
        are taken in.
        """
        bad = self.leave(b"x" * 1001)
        self.leave()
        self.turns()
        self.assertEqual((len(self.taker.taken), self.left()), (1, []))
        self.taker.trouble = MalformedAddress("no address")
        worse = self.leave()
        self.clock.advance(INTERVAL)
        self.turns()
        aside = sorted(os.listdir(os.path.join(self.path, ASIDE)))
        self.assertEqual(aside, sorted([bad, worse]))
        self.assertEqual(self.left(), [])
        self.assertEqual(len(self.warned()), 2)

    def test_A08_foreign(self) -> None:
        """
        Links, FIFOs and other things are left alone, told of once, and in
        nobody's way.
        """
        name = os.path.join(self.path, "f" * 8 + ".mail")
        os.symlink("/etc/hostname", name)
        os.mkfifo(os.path.join(self.path, "e" * 8 + ".mail"))
        os.mkdir(os.path.join(self.path, "other"))
        os.link(os.path.join(self.path, self.leave()), os.path.join(self.path, "1"))
        self.leave()
        for _ in range(3):
            self.turns()
            self.clock.advance(INTERVAL)
        self.assertEqual(len(self.taker.taken), 1)
        self.assertEqual(len(self.left()), 5)
        self.assertEqual(len(self.warned()), 5)

    def test_A05_bounded(self) -> None:
        """
        However much there is, each turn of the reactor takes a part of it, and
        what is of no use does not keep it from resting.
        """
        self.patch(service, "LOOK", 3)
        self.patch(service, "BATCH", 2)
        for each in range(7):
            os.mkdir(os.path.join(self.path, f"other{each}"))
        for _ in range(8):
            self.leave()
        seen = []
        for _ in range(40):
            before = len(self.taker.taken)
            self.clock.advance(TURN)
            seen.append(len(self.taker.taken) - before)
        self.assertEqual((sum(seen), max(seen)), (8, 2))
        [call] = self.clock.getDelayedCalls()
        self.assertGreater(call.getTime() - self.clock.seconds(), INTERVAL / 2)

    def test_A05_octets(self) -> None:
        """
        Large messages are taken in few at a time.
        """
        self.patch(service, "BATCH_OCTETS", 1000)
        for _ in range(5):
            self.leave(b"A: b\r\n\r\n" + b"x" * 700)
        self.clock.advance(TURN)
        self.assertEqual(len(self.taker.taken), 2)
        self.turns()
        self.assertEqual(len(self.taker.taken), 5)

    def test_A05_malformed(self) -> None:
        """
        So is what is large and no message.
        """
        self.patch(service, "BATCH_OCTETS", 1000)
        for each in range(5):
            path = os.path.join(self.path, f"{each:08x}.mail")
            with open(path, "wb") as file:
                file.write(b"x" * 700)
        self.clock.advance(TURN)
        self.assertEqual(len(self.left()), 3)
        self.turns()
        self.assertEqual(self.left(), [])

    def test_notRemoved(self) -> None:
        """
        A file that cannot be removed is taken in once, and that is said.
        """

        def refuse(path: str, name: str) -> None:
            raise QueueUnusable("tried to remove it")

        self.patch(service, "remove", refuse)
        self.leave()
        for _ in range(3):
            self.turns()
            self.clock.advance(INTERVAL)
        self.assertEqual(len(self.taker.taken), 1)
        [said] = self.warned()
        self.assertEqual(said["log_level"].name, "critical")

    def test_unfinished(self) -> None:
        """
        A file that is being written is left; after a day it is removed.
        """
        names = [f".{each * 8}.tmp" for each in "ab"]
        for name, age in zip(names, (0, UNFINISHED_AGE + 1), strict=True):
            path = os.path.join(self.path, name)
            with open(path, "wb"):
                os.utime(path, (NOW - age, NOW - age))
        self.turns()
        self.assertEqual(self.left(), names[:1])

    def test_A08_directoryInstead(self) -> None:
        """
        A directory that is named as what was never finished is left alone, and
        keeps nothing else from being taken in.
        """
        path = os.path.join(self.path, f".{'0' * 8}.tmp")
        os.mkdir(path)
        os.utime(path, (0, 0))
        self.leave()
        self.turns()
        self.assertEqual(len(self.taker.taken), 1)
        self.assertEqual(self.left(), [os.path.basename(path)])
        self.assertEqual(len(self.warned()), 1)

    def test_A03_names(self) -> None:
        """
        What others call their files is one printable line in the log.
        """
        for name in (b"\x1b[31m\nfake line", b"\xff\xfe", "\u202ex".encode()):
            os.mkdir(os.path.join(os.fsencode(self.path), name))
        self.turns()
        lines = [formatEvent(event) for event in self.warned()]
        self.assertEqual(len(lines), 3, lines)
        for line in lines:
            self.assertTrue(line.isprintable(), repr(line))

    def test_directoryGone(self) -> None:
        """
        A directory that cannot be listed is tried again.
        """
        self.patch(os, "scandir", lambda path: 1 / 0)
        self.turns()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_P10_stop(self) -> None:
        """
        When it stops, what is being taken in is waited for; nothing further is.
        """
        self.taker.slow = True
        self.leave()
        self.clock.advance(TURN)
        stopped = self.drop.stopService()
        self.assertNoResult(stopped)
        self.taker.waits[0].callback(["Q1"])
        self.successResultOf(stopped)
        self.assertEqual(self.left(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_A08_unusable(self) -> None:
        """
        A directory that cannot be used is told at the start.
        """
        os.chmod(self.path, 0o777)
        self.assertRaises(QueueUnusable, self.service)
