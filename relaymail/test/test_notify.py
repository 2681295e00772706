# -*- test-case-name: relaymail.test.test_notify -*-
"""
Tests for L{relaymail.notify}.
"""

from __future__ import annotations

import os
import socket
import tempfile
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from relaymail.notify import PATIENCE, VARIABLES, Notifier, sendDatagram


class Manager:
    """
    Keeps what it is told.

    @ivar told: The messages, and where they were sent.
    @ivar isDeaf: Whether nothing can be sent to it.
    """

    def __init__(self) -> None:
        self.told: list[tuple[str, bytes]] = []
        self.isDeaf = False

    def __call__(self, address: str, data: bytes) -> None:
        if self.isDeaf:
            raise ConnectionRefusedError(111, "Connection refused")
        self.told.append((address, data))

    def lines(self) -> list[str]:
        """
        Give what was told since the last time, line by line.
        """
        told, self.told = self.told, []
        return [line for _, data in told for line in data.decode().split("\n")]


class NotifierTests(SynchronousTestCase):
    """
    Tests for L{Notifier}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.manager = Manager()

    def make(self, **environment: str) -> Notifier:
        """
        Make one in an environment.
        """
        self.environment = {"HOME": "/", **environment}
        return Notifier(
            self.clock, self.environment, lambda: 12.345678, send=self.manager
        )

    def test_nobodyAsked(self) -> None:
        """
        Without a manager nothing is sent, and no timer runs.
        """
        notifier = self.make(WATCHDOG_USEC="1000000")
        notifier.startService()
        notifier.say("well")
        notifier.reloading()
        notifier.reloaded()
        notifier.stopService()
        self.assertEqual(self.manager.told, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_life(self) -> None:
        """
        It says that the relay is ready, and that it stops, where it was told to.
        """
        notifier = self.make(NOTIFY_SOCKET="/run/notify")
        notifier.startService()
        notifier.stopService()
        expected = [("/run/notify", b"READY=1"), ("/run/notify", b"STOPPING=1")]
        self.assertEqual(self.manager.told, expected)

    def test_reload(self) -> None:
        """
        A reload has its time in microseconds, and ends with being ready.
        """
        notifier = self.make(NOTIFY_SOCKET="@x")
        notifier.reloading()
        expected = ["RELOADING=1", "MONOTONIC_USEC=12345678"]
        self.assertEqual(self.manager.lines(), expected)
        notifier.reloaded()
        self.assertEqual(self.manager.lines(), ["READY=1"])

    def test_status(self) -> None:
        """
        A status is one line of bounded length, and is told again with the next
        state.
        """
        notifier = self.make(NOTIFY_SOCKET="@x")
        notifier.say("well\nREADY=1\x1b[2J" + "x" * 300)
        (line,) = self.manager.lines()
        self.assertTrue(line.startswith("STATUS=well READY=1 [2Jxxx"), line)
        self.assertLess(len(line), 210)
        notifier.startService()
        self.assertEqual(self.manager.lines(), ["READY=1", line])

    def test_watchdog(self) -> None:
        """
        A sign of life comes at once and then twice in each interval, until the
        end.
        """
        notifier = self.make(NOTIFY_SOCKET="@x", WATCHDOG_USEC="30000000")
        notifier.startService()
        self.assertEqual(self.manager.lines(), ["READY=1", "WATCHDOG=1"])
        self.clock.advance(14.9)
        self.assertEqual(self.manager.lines(), [])
        self.clock.pump([0.1, 15])
        self.assertEqual(self.manager.lines(), ["WATCHDOG=1"] * 2)
        notifier.stopService()
        self.assertEqual(self.manager.lines(), ["STOPPING=1"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_watchdogOfAnother(self) -> None:
        """
        Signs of life that are wanted of another process are not shown.
        """
        said = {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "30000000"}
        self.assertIsNone(self.make(**said, WATCHDOG_PID="1").interval)
        mine = self.make(**said, WATCHDOG_PID=str(os.getpid()))
        self.assertEqual(mine.interval, 15.0)

    def test_oddWatchdog(self) -> None:
        """
        What is no time is none, and a long one is bounded.
        """
        for said in ("", "0", "-1", "x", "1e3", "٣"):
            notifier = self.make(NOTIFY_SOCKET="@x", WATCHDOG_USEC=said)
            self.assertIsNone(notifier.interval, said)
        notifier = self.make(NOTIFY_SOCKET="@x", WATCHDOG_USEC="9" * 400)
        self.assertEqual(notifier.interval, 24 * 3600.0)

    def test_deaf(self) -> None:
        """
        A manager that cannot be told costs one line in the log and nothing else,
        and is told again as soon as it can be.
        """
        self.manager.isDeaf = True
        notifier = self.make(NOTIFY_SOCKET="@x", WATCHDOG_USEC="2000000")
        events: list[dict[str, Any]] = []
        observer: Any = events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        notifier.startService()
        self.clock.pump([1, 1])
        self.assertEqual(len(events), 1)
        self.assertIn("Connection refused", str(events[0]["why"]))
        self.manager.isDeaf = False
        self.clock.advance(1)
        self.assertEqual(self.manager.lines(), ["WATCHDOG=1"])

    def test_A09_children(self) -> None:
        """
        The children of this process do not get the address.
        """
        self.make(NOTIFY_SOCKET="@x", WATCHDOG_USEC="1", WATCHDOG_PID="2")
        self.assertEqual(self.environment, {"HOME": "/"})

    def test_thisEnvironment(self) -> None:
        """
        Without another the environment of this process is taken.
        """
        self.patch(os, "environ", {"NOTIFY_SOCKET": "@x", "A": "b"})
        self.assertEqual(Notifier(self.clock).address, "@x")
        self.assertEqual(os.environ, {"A": "b"})
        self.assertEqual(VARIABLES[0], "NOTIFY_SOCKET")


class SendingTests(SynchronousTestCase):
    """
    Tests for L{sendDatagram} on sockets.
    """

    def listen(self, name: str) -> socket.socket:
        """
        Make the socket of a manager.
        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(listener.close)
        listener.bind(name)
        listener.settimeout(5)
        return listener

    def test_path(self) -> None:
        """
        A datagram comes to a path.
        """
        with tempfile.TemporaryDirectory() as directory:
            path = f"{directory}/notify"
            listener = self.listen(path)
            sendDatagram(path, b"READY=1")
            self.assertEqual(listener.recv(100), b"READY=1")

    def test_abstract(self) -> None:
        """
        A datagram comes to an abstract name.
        """
        name = f"relaymail-{os.getpid()}-{id(self)}"
        listener = self.listen("\0" + name)
        sendDatagram("@" + name, b"READY=1")
        self.assertEqual(listener.recv(100), b"READY=1")

    def test_others(self) -> None:
        """
        Other kinds of addresses, and names that nobody listens on, are refused.
        """
        for address in ("vsock:2:1234", "", "relative"):
            self.assertRaises(ValueError, sendDatagram, address, b"")
        self.assertRaises(OSError, sendDatagram, "/nowhere/notify", b"")

    def test_full(self) -> None:
        """
        A manager that reads nothing is not waited for.
        """
        name = f"relaymail-full-{os.getpid()}-{id(self)}"
        self.listen("\0" + name)

        def flood() -> None:
            for _ in range(10_000):
                sendDatagram("@" + name, b"x" * 1000)

        self.patch(__import__("relaymail.notify").notify, "PATIENCE", PATIENCE / 10)
        self.assertRaises(OSError, flood)
