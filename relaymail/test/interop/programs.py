# -*- test-case-name: relaymail.test.interop.test_postfixtaking -*-
"""
Programs that are not ours, run for a test and ended behind it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest

from relaymail.dialogue.patience import PATIENCE
from relaymail.replies import Phase
from relaymail.service import Relay
from relaymail.test.directories import shortDirectory
from relaymail.test.endtoend.harness import MESSAGE, EndToEndTestCase
from relaymail.test.endtoend.processes import until

#: Where servers are that are on nobody's path.
PLACES = os.pathsep.join(
    ["/usr/sbin", "/usr/local/sbin", os.environ.get("PATH", os.defpath)]
)
#: How long a program that is run to its end may take, in seconds.
RUN_SECONDS = 30.0


def find(name: str, variable: str = "") -> str:
    """
    Find a program.

    @param variable: The environment variable that may name it, too: one that is
        not installed for good, for instance because it excludes others.

    @raise SkipTest: When it is not there.
    """
    found = os.environ.get(variable) or shutil.which(name, path=PLACES)
    if found is None:
        raise SkipTest(f"{name} is not installed")
    return found


def needRoot() -> None:
    """
    Servers that change who they are need the right to.

    @raise SkipTest: When there is none.
    """
    if os.geteuid() != 0:
        raise SkipTest("only root can run this server")


def freePort() -> int:
    """
    Give a port of this machine that nobody listens on at the moment.
    """
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def isOpen(port: int) -> bool:
    """
    Tell whether somebody listens on a port.
    """
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def run(
    words: Sequence[str], given: bytes = b"", *, mayFail: bool = False
) -> subprocess.CompletedProcess[bytes]:
    """
    Run a program to its end.

    @param given: What it reads.
    @param mayFail: Whether it is no mistake when it does.

    @raise AssertionError: When it fails, with what it said.
    """
    done = subprocess.run(
        list(words), input=given, capture_output=True, timeout=RUN_SECONDS, check=False
    )
    if done.returncode and not mayFail:
        raise AssertionError(
            f"{words}: {done.returncode} {done.stdout!r} {done.stderr!r}"
        )
    return done


def largeMessage(lines: int) -> bytes:
    """
    Make a message of octets of all kinds that a line may have (RFC 6152), with many
    dots where lines begin, and lines of all lengths.
    """
    chance = Random(lines)
    octets = bytes(set(range(1, 256)) - {10, 13})
    body = []
    for number in range(lines):
        dots = b"." * chance.choice((0, 0, 1, 2))
        line = dots + bytes(chance.choices(octets, k=chance.randrange(300)))
        # No program puts a space or a From there.
        body.append(line + b"#" if number % 50 else b"x" * 998)
    header = MESSAGE.partition(b"\r\n\r\n")[0]
    return header + b"\r\n\r\n" + b"".join(line + b"\r\n" for line in body)


class Server:
    """
    A server in the foreground, in a process group of its own.
    """

    def __init__(self, words: Sequence[str], log: Path) -> None:
        """
        Start it.

        @param log: Where to write what it says.
        """
        self.log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                list(words),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def end(self) -> None:
        """
        End it and what it has begun.
        """
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    @property
    def said(self) -> str:
        """
        What it has said.
        """
        return self.log.read_text("utf-8", "replace")


def messagesIn(directory: Path) -> list[Message]:
    """
    Give the messages below a directory of maildirs.
    """
    return [message_from_bytes(content) for content in contentsIn(directory)]


def contentsIn(directory: Path) -> list[bytes]:
    """
    Give the contents of the messages below a directory of maildirs.
    """
    return [path.read_bytes() for path in _files(directory)]


def _files(directory: Path) -> Iterator[Path]:
    found = [p for p in directory.rglob("new/*") if p.is_file()]
    yield from sorted(found, key=lambda path: path.stat().st_mtime_ns)


class InteropTestCase(EndToEndTestCase):
    """
    Has a directory that servers of other users can look into.
    """

    timeout = 90

    def setUp(self) -> None:
        """
        Make the directory.
        """
        super().setUp()
        self.place = shortDirectory(self)
        self.place.chmod(0o755)

    def startRelay(self, **settings: Any) -> Relay:
        """
        Start a relay in this process, with the patience that it has.
        """
        relay = super().startRelay(**settings)
        relay.manager.phaseTimeouts = PATIENCE
        relay.manager.connectTimeout = PATIENCE[Phase.CONNECT]
        return relay

    async def listening(self, port: int, server: Any) -> None:
        """
        Wait until a server listens.

        @param server: What has C{said} what went wrong.
        """
        await self._until(server, lambda: isOpen(port), f"a listener on {port}")

    async def says(self, server: Any, *texts: str) -> None:
        """
        Wait until a server has logged something: some do so in a process of its own.

        @param texts: What, each of them.
        """
        for text in texts:
            await self.saysLike(server, re.escape(text))

    async def saysLike(self, server: Any, pattern: str) -> None:
        """
        Wait until a server has logged something.

        @param pattern: A regular expression.
        """
        found = re.compile(pattern)
        await self._until(server, lambda: found.search(server.said), pattern)

    async def _until(self, server: Any, isSo: Callable[[], Any], what: str) -> None:
        try:
            await until(isSo, what)
        except AssertionError as e:
            raise AssertionError(f"{e}: {server.said}") from None

    async def running(
        self, function: Callable[..., Any], *given: Any, **more: Any
    ) -> Any:
        """
        Run something that waits for a relay of this process.
        """
        return await deferToThread(function, *given, **more)

    async def arrived(self, directory: Path, count: int = 1) -> list[bytes]:
        """
        Wait for messages in maildirs.
        """
        await until(
            lambda: len(contentsIn(directory)) >= count, f"{count} messages arrived"
        )
        return contentsIn(directory)


#: The interpreter, for what is written in Python.
PYTHON = sys.executable
