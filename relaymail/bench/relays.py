# -*- test-case-name: relaymail.test.endtoend.test_bench -*-
"""
The relays that are measured: our own, started for each run, and others, which
run already.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from relaymail.bench.children import Child, Children
from relaymail.bench.errors import BenchError
from relaymail.bench.machine import Watched

#: How long our own relay may take to start, in seconds.
START_SECONDS = 20.0
#: How often it is looked whether it has, in seconds.
GLANCE = 0.02
#: What our own relay is called.
OWN = "relaymail"

_TWISTD = "import sys; sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run"
_PORT = re.compile(r" takes mail on 127\.0\.0\.1:(\d+),")


@dataclass(frozen=True, slots=True)
class Running:
    """
    A relay that takes mail.

    @ivar host: Its address.
    @ivar port: Its port.
    @ivar watched: Its processes.
    @ivar child: Its process where it is ours.
    """

    host: str
    port: int
    watched: Watched
    child: Child | None = None

    def check(self) -> None:
        """
        See that it has not ended, where that can be known.

        @raise BenchError: When it has.
        """
        if self.child is not None and not self.child.isRunning:
            raise BenchError(
                "Gave mail to the relay: it ended by itself meanwhile. Its log ends "
                f"with:\n{self.child.last()}"
            )


@dataclass(frozen=True, slots=True)
class Other:
    """
    A relay that runs already, and gives all mail to the sink.

    @ivar name: What it is called in the table.
    @ivar host: Its address.
    @ivar port: Its port.
    @ivar watched: Its processes.
    """

    name: str
    host: str
    port: int
    watched: Watched

    @contextmanager
    def started(
        self, children: Children, place: Path, sinkPort: int
    ) -> Iterator[Running]:
        """
        Give it as it runs.
        """
        yield Running(self.host, self.port, self.watched)


@dataclass(frozen=True, slots=True)
class Own:
    """
    Our own relay, with a process and a queue for each run.

    @ivar name: What it is called in the table.
    @ivar queue: Where it keeps its mail, as C{twistd relaymail --queue} takes
        it; L{None} for a new place each time.
    @ivar maxConnections: The most connections to the sink, L{None} for its
        default.
    """

    name: str = OWN
    queue: str | None = None
    maxConnections: int | None = None

    @contextmanager
    def started(
        self, children: Children, place: Path, sinkPort: int
    ) -> Iterator[Running]:
        """
        Start it, give it once it takes mail, and end it.

        @param children: Where its process belongs.
        @param place: An empty directory for its queue and its log.
        @param sinkPort: Where all its mail goes.

        @raise BenchError: When it does not start.
        """
        words = self.command(self.queue or str(place / "queue"), sinkPort)
        with children.start("relay", words, place / "log", spoken=False) as child:
            port = awaitPort(child)
            yield Running("127.0.0.1", port, Watched((child.pid,)), child)

    def command(self, queue: str, sinkPort: int) -> Sequence[str]:
        """
        Give its command line, without the interpreter.

        @param queue: Where it keeps its mail.
        @param sinkPort: Where all its mail goes.
        """
        words = ["-c", f"{_TWISTD}; run()", "--nodaemon", "--pidfile=", "relaymail"]
        words += ["--hostname", "relay.example", "--queue", queue]
        words += ["--smtp", "tcp:0:interface=127.0.0.1"]
        words += ["--smarthost", f"smtp://127.0.0.1:{sinkPort}"]
        words += ["--allow-destination", "127.0.0.0/8"]
        if self.maxConnections is not None:
            words += ["--max-connections", str(self.maxConnections)]
        return words


Target = Own | Other


def awaitPort(child: Child, seconds: float = START_SECONDS) -> int:
    """
    Wait until our own relay takes mail, and give its port.

    @param child: Its process.
    @param seconds: How long to wait.

    @raise BenchError: When it has ended, or the time is over.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        running = child.isRunning
        found = _PORT.search(child.log.read_text("utf-8", "replace"))
        if found is not None:
            return int(found[1])
        if not running:
            raise _notStarted(child, "it ended")
        time.sleep(GLANCE)
    raise _notStarted(child, f"it did not take mail within {seconds:g} s")


def _notStarted(child: Child, what: str) -> BenchError:
    return BenchError(
        f"Tried to start the relay: {what}. See --queue and --max-connections; its "
        f"log ends with:\n{child.last()}"
    )
