# -*- test-case-name: relaymail.test.endtoend.test_delivery -*-
"""
The relay as a process of its own, started the way an operator does.
"""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.internet import task

import relaymail
from relaymail.queue.opening import SPOOL_FILE

#: How long to wait for a process to start or to end, in seconds.
PATIENCE = 20.0
#: How often to look whether something has come true, in seconds.
GLANCE = 0.01

#: What C{twistd} is, also where the script is not on the path.
TWISTD = (
    sys.executable,
    "-c",
    "import sys; sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()",
    "--nodaemon",
    "--pidfile=",
)

_PORT = re.compile(r" takes mail on 127\.0\.0\.1:(\d+),")


async def until(
    condition: Callable[[], Any],
    what: str,
    seconds: float = PATIENCE,
    reactor: Any = None,
) -> Any:
    """
    Wait until something is true.

    @param condition: Tells whether it is.
    @param what: What it is, in words.
    @param seconds: How long to wait at most.
    @param reactor: The reactor, L{None} for the global one.

    @return: The true value.

    @raise AssertionError: When it did not come true.
    """
    if reactor is None:
        from twisted.internet import reactor
    end = reactor.seconds() + seconds
    while not (found := condition()):
        if reactor.seconds() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        await task.deferLater(reactor, GLANCE)
    return found


def entriesOf(spool: Path) -> list[str]:
    """
    Give the names in the queue of a directory, of whichever kind it is.
    """
    if (spool / SPOOL_FILE).exists():
        return [str(row["id"]) for row in rowsOf(spool)]
    return sorted(path.name.removesuffix("-D") for path in spool.glob("*-D"))


def rowsOf(spool: Path) -> list[dict[str, Any]]:
    """
    Give the recipients in the spool of a directory.
    """
    database = sqlite3.connect(spool / SPOOL_FILE)
    database.row_factory = sqlite3.Row
    try:
        rows = database.execute(
            "SELECT recipient.*, arrived FROM recipient "
            "JOIN message ON message.id = recipient.message ORDER BY recipient.id"
        )
        return [dict(row) for row in rows]
    except sqlite3.OperationalError:
        # It is being made.
        return []
    finally:
        database.close()


class Twistd:
    """
    C{twistd -n relaymail} with a queue of its own.

    @ivar directory: Where its queue and its logs are.
    @ivar spool: The directory of the queue.
    @ivar isDirectory: Whether it is a directory queue; else it is a spool.
    @ivar options: The options of C{relaymail}, the queue's and the port's
        excepted.
    @ivar process: The process that was started last.
    @ivar port: The port that it takes mail on, 0 while that is not known.
    @ivar starts: How often it was started.
    """

    def __init__(
        self, directory: Path, options: Sequence[str], wrapper: Sequence[str] = ()
    ) -> None:
        """
        @param wrapper: A command that runs the one that follows it.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory.absolute()
        self.spool = self.directory / "spool"
        self.isDirectory = False
        self.options = list(options)
        self.wrapper = list(wrapper)
        self.starts = 0
        self.port = 0
        self.process: subprocess.Popen[bytes]

    @property
    def queue(self) -> str:
        """
        What it is told of its queue.
        """
        return f"directory:{self.spool}" if self.isDirectory else str(self.spool)

    @property
    def log(self) -> str:
        """
        What the last process has logged.
        """
        return self._read("log")

    @property
    def errors(self) -> str:
        """
        What the last process has written to its standard error.
        """
        return self._read("errors")

    def launch(self) -> None:
        """
        Start the process, and do not wait.
        """
        self.starts += 1
        self.port = 0
        command = [*self.wrapper, *TWISTD, "relaymail", "--hostname", "relay.example"]
        command += ["--queue", self.queue, "--smtp", self._endpoint()]
        root = str(Path(relaymail.__file__).parents[1])
        paths = [root, os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        with self._file("log").open("wb") as log, self._file("errors").open("wb") as e:
            self.process = subprocess.Popen(
                [*command, *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=e,
                cwd=self.directory,
                env=environment,
            )

    async def start(self) -> Twistd:
        """
        Start the process, and wait until it takes mail.
        """
        self.launch()
        await until(self._isReady, "the relay takes mail")
        if not self.port:
            raise AssertionError(f"the relay ended: {self.errors}{self.log}")
        return self

    async def wait(self, seconds: float = PATIENCE) -> int:
        """
        Wait until the process has ended.

        @return: Its exit code, or minus the signal that ended it.
        """
        await until(
            lambda: self.process.poll() is not None, "the relay has ended", seconds
        )
        return self.process.returncode

    async def terminate(self) -> None:
        """
        Ask the process to end, and see that it does, in good order: C{twistd}
        stops the service, and then dies of the signal that it got.

        @raise AssertionError: When it did not.
        """
        self.process.terminate()
        code = await self.wait()
        if code not in (0, -signal.SIGTERM) or "relay has stopped" not in self.log:
            raise AssertionError(f"exit code {code}: {self.errors}{self.log}")

    def kill(self) -> None:
        """
        End the process as a power cut would.
        """
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def clean(self) -> None:
        """
        Leave no process behind.
        """
        if self.starts and self.process.poll() is None:
            self.kill()

    def entries(self) -> list[str]:
        """
        Give the names in the queue; half a message that was never accepted is
        none.
        """
        return entriesOf(self.spool)

    def _endpoint(self) -> str:
        return "tcp:0:interface=127.0.0.1"

    def _isReady(self) -> bool:
        if self.process.poll() is not None:
            return True
        found = _PORT.search(self.log)
        self.port = int(found[1]) if found else 0
        return self.port > 0

    def _file(self, kind: str) -> Path:
        return self.directory / f"{kind}.{self.starts}"

    def _read(self, kind: str) -> str:
        return self._file(kind).read_text("utf-8", "replace")
