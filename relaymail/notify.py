# -*- test-case-name: relaymail.test.test_notify -*-
"""
Telling a service manager how the relay is (C{sd_notify(3)}).

A manager that wants to know gives the address of a socket in the environment.
Each message to it is one datagram of lines, C{NAME=VALUE}.  What cannot be sent
is logged once: mail goes on without a manager.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, MutableMapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from relaymail.replies import printable

#: Where the socket is: a path, or C{@} and an abstract name.
SOCKET = "NOTIFY_SOCKET"
#: How often a sign of life is wanted at least, in microseconds.
WATCHDOG = "WATCHDOG_USEC"
#: Which process the sign is wanted of; not said: of whoever was started.
WATCHDOG_PID = "WATCHDOG_PID"
#: All of them: nobody that the relay starts is to speak for it.
VARIABLES = (SOCKET, WATCHDOG, WATCHDOG_PID)

#: How long a manager that reads nothing may keep the reactor, in seconds.
PATIENCE = 0.5
#: The longest status that is sent, in characters: what fits on a screen.
MAX_STATUS = 200
#: The longest time between two signs of life, in seconds: nobody waits longer
#: for a relay that hangs, and no number is too large for a timer.
LONGEST = 24 * 3600.0

#: Sends a datagram to an address.
Send = Callable[[str, bytes], None]


class Notifier(Service):
    """
    Tells the service manager that started this process, if one did, that it is
    ready, that it reads its configuration again, that it stops; and shows signs of
    life, where they are wanted, as long as the reactor turns.

    @ivar address: The address of the manager's socket, or nothing.
    @ivar interval: How often a sign of life is shown, in seconds, or L{None}.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any = None,
        environment: MutableMapping[str, str] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        send: Send | None = None,
    ) -> None:
        """
        What the manager said is taken out of the environment.

        @param reactor: An C{IReactorTime} provider, L{None} for the global one.
        @param environment: Where the manager said it; L{None}: this process's.
        @param monotonic: Gives the time that C{CLOCK_MONOTONIC} does, in seconds.
        @param send: Sends a datagram; L{None}: the system does.
        """
        told = os.environ if environment is None else environment
        found = {name: told.pop(name, "") for name in VARIABLES}
        self.address = found[SOCKET]
        self.interval = _interval(found[WATCHDOG], found[WATCHDOG_PID])
        self._reactor = reactor
        self._monotonic = monotonic
        self._send = send or sendDatagram
        self._timer: IDelayedCall | None = None
        self._status = ""
        self._isTold = False

    def startService(self) -> None:
        """
        Say that the relay is ready, and begin to show signs of life.
        """
        super().startService()
        self._tell("READY=1", self._status)
        self._live()

    def stopService(self) -> None:
        """
        Say that the relay stops.
        """
        super().stopService()
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        self._tell("STOPPING=1")

    def reloading(self) -> None:
        """
        Say that the configuration is read again; L{reloaded} is to follow,
        whatever comes of it.
        """
        now = int(self._monotonic() * 1_000_000)
        self._tell("RELOADING=1", f"MONOTONIC_USEC={now}")

    def reloaded(self) -> None:
        """
        Say that what L{reloading} told of is over.
        """
        self._tell("READY=1", self._status)

    def say(self, status: str) -> None:
        """
        Say in words how the relay is.

        @param status: One line; what is longer is cut.
        """
        self._status = f"STATUS={printable(status, MAX_STATUS)}"
        self._tell(self._status)

    def _live(self) -> None:
        """
        Show a sign of life, and the next one in time.  A reactor that hangs
        comes here no more.
        """
        if self.interval is None or not self.address:
            return
        self._tell("WATCHDOG=1")
        self._timer = self._clock().callLater(self.interval, self._live)

    def _clock(self) -> Any:
        if self._reactor is None:
            from twisted.internet import reactor

            self._reactor = reactor
        return self._reactor

    def _tell(self, *lines: str) -> None:
        if not self.address:
            return
        try:
            self._send(self.address, "\n".join(filter(None, lines)).encode("utf-8"))
        except Exception as e:
            if not self._isTold:
                self._isTold = True
                self.log.warn(
                    "Tried to tell the service manager {what} at {address}: {why}; "
                    "the relay goes on, and the manager may believe that it hangs",
                    what=lines[0],
                    address=printable(self.address),
                    why=e,
                )


def sendDatagram(address: str, data: bytes) -> None:
    """
    Send a datagram to a socket of this machine.

    @param address: A path, or C{@} and a name in the abstract space.

    @raise OSError: When it cannot be sent.
    @raise ValueError: When it is another kind of address.
    """
    if address[:1] not in ("/", "@"):
        raise ValueError("the address is neither a path nor an abstract name")
    name = "\0" + address[1:] if address.startswith("@") else address
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
    with socket.socket(socket.AF_UNIX, kind) as sender:
        sender.settimeout(PATIENCE)
        sender.sendto(data, name)


def _interval(microseconds: str, pid: str) -> float | None:
    """
    Say how often a sign of life is shown: twice in the time it is wanted in.

    @param pid: Of which process it is wanted, or nothing.
    """
    if pid and pid != str(os.getpid()):
        return None
    if not (microseconds.isascii() and microseconds.isdigit()):
        return None
    seconds = int(microseconds[:20]) / 2_000_000
    return min(seconds, LONGEST) or None
