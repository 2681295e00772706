# -*- test-case-name: relaymail.test.testing.test_world -*-
"""
A machine in memory with a relay on it, which may go down at any moment and
starts again.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import sqlite3
import weakref
from collections.abc import Callable
from functools import partial
from tempfile import mkdtemp
from typing import Any, ClassVar, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from relaymail.clocks import QueueClock
from relaymail.configuration import configure
from relaymail.queue.spool.bodies import LARGEST_ROW
from relaymail.service import Relay
from relaymail.testing.databases import Databases
from relaymail.testing.disk import MemoryDisk
from relaymail.testing.keeping import MemoryFiles
from relaymail.testing.machine import Machine
from relaymail.testing.policies import MemoryPolicies

#: Where the queue is on the disk, of either kind.
SPOOL = "/var/spool/relaymail"
#: What a world is told that is to have a directory queue.
DIRECTORY = f"directory:{SPOOL}"
#: A directory whose files need no disk, where there is one.
_SHARED_MEMORY = "/dev/shm"
#: How long the disk takes for what is written together, in seconds.
DISK_LATENCY = 0.002
#: How long it takes until a relay that went down is started again, in seconds.
RESTART = 5.0
#: How often the relaying manager is asked to look, in seconds.  Nothing should
#: need that; in a world where it is seldom, what does need it is late.
TICK = 6 * 3600.0

_T = TypeVar("_T")


class Writer:
    """
    Stands for the thread that writes the queue: what is written takes a while.
    """

    def __init__(self, machine: Machine, latency: float = DISK_LATENCY) -> None:
        """
        @param latency: How long, in seconds.
        """
        self._machine = machine
        self._latency = latency

    def run(self, function: Callable[[], _T]) -> Deferred[_T]:
        """
        Run a function a little later.
        """
        done: Deferred[_T] = Deferred()
        self._machine.callLater(self._latency, self._run, function, done)
        return done

    def stop(self) -> None:
        """
        There is nothing to end.
        """

    def _run(self, function: Callable[[], _T], done: Deferred[_T]) -> None:
        try:
            result = function()
        except Exception:
            done.errback()
        else:
            done.callback(result)


class RelayMachine:
    """
    A machine with a relay.

    @ivar machine: The machine.
    @ivar disk: Its disk.
    @ivar databases: Its databases.
    @ivar policies: Where it keeps policies of MTA-STS.
    @ivar counts: Where it keeps the counts of reports on TLS.
    @ivar relay: The relay, L{None} while it is down.
    @ivar configuration: What the relay is told; another one holds from the
        next start on.
    @ivar restart: How long it takes until a relay that went down is started
        again, in seconds; L{None}: until L{start} is called.
    @ivar cutsPower: Whether the next crash is a power cut; else it is the end
        of the program only.
    @ivar onDown: Called when the relay has gone down, before anything of it is
        lost, with the relay.
    @ivar onStart: Called before one is started.
    @ivar onUp: Called when a relay has started.
    @ivar crashes: When the relay went down, in seconds.
    @ivar upSince: When it was started last, in seconds.
    @ivar diskFailed: When the disk failed last, or was perhaps full, in
        seconds.
    @ivar latency: How long the disk takes for what is written together, in
        seconds.
    @ivar contextFactory: What the relay's STARTTLS begins with.
    @ivar largestRow: Up to which size a spool has contents in its database, in
        bytes.
    """

    log = Logger()

    def __init__(
        self, machine: Machine, chance: random.Random, **settings: Any
    ) -> None:
        """
        @param chance: Where all chance comes from.
        @param settings: What the relay is told, as L{configure} takes it.

        @raise ConfigurationError: When that cannot be.
        """
        self.machine = machine
        self.configuration = configure(**settings)
        self.restart: float | None = RESTART
        self.cutsPower = False
        self.relay: Relay | None = None
        self.onDown: Callable[[Relay | None], None] = lambda relay: None
        self.onStart: Callable[[], None] = lambda: None
        self.onUp: Callable[[Relay], None] = lambda relay: None
        self.crashes: list[float] = []
        self.latency = DISK_LATENCY
        self.upSince = 0.0
        self.diskFailed = 0.0
        self._failures = 0
        self.contextFactory: Any = None
        self.largestRow = LARGEST_ROW
        self.disk = MemoryDisk(machine.seconds, machine.points, chance)
        self.databases = Databases(machine.points)
        self.policies = MemoryPolicies()
        self.counts = MemoryFiles()
        self._directory = ""
        self._chance = chance
        machine.network.afterEach = self._afterEach

    def failWrites(self, times: int | None = None) -> None:
        """
        Let the disk fail to write what is to be durable, in whatever the queue
        is kept.

        @param times: How often; L{None} for until L{repair}.
        """
        self.disk.fail("finish", errno.EIO, times=times)
        self.databases.fail(sqlite3.SQLITE_IOERR_WRITE, times)

    def repair(self) -> None:
        """
        Let the disk do well again, and have room.
        """
        self.disk.repair()
        self.disk.capacity = None
        self.databases.repair()

    def databasePath(self, path: str) -> str:
        """
        Say where the database really is that the relay knows by a path: a file
        of the real disk, which goes with this object.
        """
        if not self._directory:
            isThere = os.access(_SHARED_MEMORY, os.W_OK)
            self._directory = mkdtemp(dir=_SHARED_MEMORY if isThere else None)
            weakref.finalize(self, shutil.rmtree, self._directory, ignore_errors=True)
        return os.path.join(self._directory, path.strip("/").replace("/", "-"))

    def _openDatabase(self, path: str) -> sqlite3.Connection:
        return sqlite3.connect(
            self.databasePath(path),
            isolation_level=None,
            check_same_thread=False,
            factory=self.databases.factory,
        )

    def start(self) -> None:
        """
        Start the relay, as soon as time moves.
        """
        self.machine.network.callLater(0, self._start)

    def stop(self) -> Deferred[None]:
        """
        Stop the relay in good order.

        @return: Fires when it has stopped.
        """
        relay, self.relay = self.relay, None
        return succeed(None) if relay is None else relay.stopService()

    def crash(self, power: bool = False) -> None:
        """
        Let the relay go down now.

        @param power: Whether the power is cut, which costs what the disk has
            not made durable.
        """
        self.cutsPower = power
        self.machine.points.isDown = True
        self._afterEach()

    def _start(self) -> None:
        if self.relay is not None:
            return
        if not self.machine.isUp:
            self.machine.boot()
        self.machine.callLater(0, self._begin)

    def _begin(self) -> None:
        self.onStart()
        relay = self._make()
        try:
            relay.privilegedStartService()
            relay.startService()
        except Exception as e:
            # As whatever watches services does: it is started again later.
            self.machine.network.note(f"{self.machine.name} does not start: {e}")
            self.machine.network.callLater(self.restart or RESTART, self._start)
            return
        self.relay = relay
        self.upSince = self.machine.seconds()
        self.machine.network.note(f"{self.machine.name} has started")
        self.onUp(relay)

    def _make(self) -> Relay:
        chance = self._chance

        class SimulatedRelay(Relay):
            """
            The relay, on what is simulated.
            """

            workerFactory: ClassVar[Any] = partial(Writer, latency=self.latency)
            guardFactory: ClassVar[Any] = staticmethod(lambda reactor: Service())
            clockFactory: ClassVar[Any] = staticmethod(
                lambda reactor: QueueClock(reactor, self.machine.seconds)
            )
            diskFactory: ClassVar[Any] = staticmethod(lambda: self.disk)
            openDatabase: ClassVar[Any] = staticmethod(self._openDatabase)
            largestRow: ClassVar[int] = self.largestRow
            openContent: ClassVar[Any] = staticmethod(self.disk.temporary)
            loadTLS: ClassVar[Any] = staticmethod(lambda key, cert: self.contextFactory)
            policyStore: ClassVar[Any] = staticmethod(lambda path: self.policies)
            reportStore: ClassVar[Any] = staticmethod(lambda path: self.counts)
            tick: ClassVar[float] = TICK

            def _makeManager(self, queue: Any) -> Any:
                manager = super()._makeManager(queue)
                manager.chance = chance.random
                manager.mxcalc.shuffle = chance.shuffle
                return manager

        return SimulatedRelay(self.configuration, reactor=self.machine)

    def _afterEach(self) -> None:
        isFull = self.disk.capacity is not None or self.disk.inodes is not None
        failures = self.disk.failures + self.databases.failures
        if isFull or failures != self._failures:
            self._failures = failures
            self.diskFailed = self.machine.seconds()
        if self.machine.points.isDown:
            self._goDown()

    def _goDown(self) -> None:
        relay, self.relay = self.relay, None
        self.crashes.append(self.machine.seconds())
        self.onDown(relay)
        if self.cutsPower:
            self.disk.cutPower()
            self.machine.cutPower()
            self.machine.points.heal()
        else:
            self.disk.kill()
            self.machine.kill()
        self.databases.kill()
        self.disk.heal()
        if self.restart is not None:
            self.machine.network.callLater(self.restart, self._start)
