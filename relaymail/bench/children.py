# -*- test-case-name: relaymail.test.bench.test_children -*-
"""
Processes that are started, spoken to line by line, and always ended.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType

import relaymail
from relaymail.bench.errors import BenchError

#: How long a process may take to end before it is killed, in seconds: a relay
#: takes up to 15 to stop.
PATIENCE = 20.0
#: How many lines at the end of a log are told.
LAST_LINES = 8
#: How much of a log is read for them, in octets.
LAST_BYTES = 4096
#: How much is read at a time, in octets.
CHUNK = 65_536
#: The signals that end us.
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def environment() -> dict[str, str]:
    """
    Give the environment in which a child finds this package.
    """
    root = str(Path(relaymail.__file__).parents[1])
    paths = [root, os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


class Child:
    """
    One process.  It is in a session of its own: an interrupt from the terminal
    comes to us alone, and we end it.

    @ivar name: What it is called in errors.
    @ivar log: Where its standard error goes.
    @ivar pid: Its number.
    """

    def __init__(
        self,
        name: str,
        words: Sequence[str],
        log: Path,
        *,
        spoken: bool = True,
        mask: Iterable[int] = (),
    ) -> None:
        """
        Start it.

        @param name: What it is called in errors.
        @param words: What follows the interpreter on its command line.
        @param log: The file for its standard error, and for its standard output
            where that is not spoken on.
        @param spoken: Whether we speak to it on its standard input and output.
        @param mask: The signals that are blocked in it.
        """
        self.name = name
        self.log = log
        self._part = b""
        pipe = subprocess.PIPE
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, *words],
                stdin=pipe if spoken else subprocess.DEVNULL,
                stdout=pipe if spoken else file,
                stderr=file,
                bufsize=0,
                env=environment(),
                start_new_session=True,
                preexec_fn=partial(signal.pthread_sigmask, signal.SIG_SETMASK, mask),
            )
        self.pid = self._process.pid

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()

    @property
    def isRunning(self) -> bool:
        """
        Whether it has not ended.
        """
        return self._process.poll() is None

    def last(self) -> str:
        """
        Give the last lines of its log.
        """
        with self.log.open("rb") as file:
            file.seek(max(self.log.stat().st_size - LAST_BYTES, 0))
            lines = file.read().decode("utf-8", "replace").splitlines()
        return "\n".join(lines[-LAST_LINES:])

    def tell(self, line: str) -> None:
        """
        Give it a line.

        @raise BenchError: When it has ended.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
        except BrokenPipeError as e:
            raise self._gone() from e

    def hear(self, word: str, seconds: float) -> str:
        """
        Wait for a line that begins with a word, and give what follows it; lines
        before it are dropped.

        @raise BenchError: When it does not come in time, or never can.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for _, line in hearAny([self], end - time.monotonic()):
                first, _, others = line.partition(" ")
                if first == word:
                    return others
                if first == "failed":
                    raise BenchError(others)
        raise BenchError(
            f"Waited {seconds:g} s for the {self.name} to say {word!r}: it did not. "
            f"Its log ends with:\n{self.last()}"
        )

    def fileno(self) -> int:
        """
        Give the descriptor of its standard output.
        """
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def lines(self) -> list[str]:
        """
        Give the whole lines that it has said since the last time, when there is
        something to read.

        @raise BenchError: When it has ended.
        """
        data = os.read(self.fileno(), CHUNK)
        if not data:
            raise self._gone()
        *lines, self._part = (self._part + data).split(b"\n")
        return [line.decode() for line in lines]

    def end(self, seconds: float = PATIENCE) -> None:
        """
        End it: by SIGTERM, and after some time by SIGKILL.

        @param seconds: How long to wait between these.
        """
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        if self.isRunning:
            self._process.terminate()
        try:
            self._process.wait(seconds)
        except BaseException as e:
            # Not even a second interrupt leaves it behind.
            self._process.kill()
            self._process.wait()
            if not isinstance(e, subprocess.TimeoutExpired):
                raise

    def _gone(self) -> BenchError:
        return BenchError(
            f"The {self.name} ended by itself, which it should not. Its log ends "
            f"with:\n{self.last()}"
        )


class Children:
    """
    All processes that were started here.  Whatever happens in the block, none is
    left after it.
    """

    def __init__(self) -> None:
        self._all: list[Child] = []

    def __enter__(self) -> Children:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with ExitStack() as stack:
            for child in self._all:
                stack.callback(child.end)

    def start(
        self, name: str, words: Sequence[str], log: Path, *, spoken: bool = True
    ) -> Child:
        """
        Start a process, with the arguments of L{Child}.
        """
        # An interrupt between its start and the note of it would leave it behind.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)
        try:
            child = Child(name, words, log, spoken=spoken, mask=before)
            self._all = [c for c in self._all if c.isRunning] + [child]
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return child


def hearAny(children: Iterable[Child], seconds: float) -> list[tuple[Child, str]]:
    """
    Wait until any of some children says something.

    @param seconds: How long to wait at most.

    @return: Who said which lines; nothing when the time is over.
    """
    with selectors.DefaultSelector() as selector:
        for child in children:
            selector.register(child, selectors.EVENT_READ, child)
        ready = [key.data for key, _ in selector.select(max(seconds, 0))]
    return [(child, line) for child in ready for line in child.lines()]
