# -*- test-case-name: relaymail.test.bench.test_sender -*-
"""
The dialogue of a source's connection.

Everything is built before the first connection: for a message there is a number
to put into it, one write for the commands where the relay takes them together
(RFC 2920), and one for the content.
"""

from __future__ import annotations

import time
from array import array
from enum import Enum

from relaymail.bench.mail import DIGITS, Work, content, envelope, marker
from relaymail.bench.sink import say

#: The longest reply, in octets.
MAX_REPLY = 65_536
#: How many octets of a refusal are told.
MAX_REFUSAL = 200
#: How many refusals in a row end the run: that relay takes nothing any more.
MAX_REFUSED = 1000

_EHLO = b"EHLO source.example\r\n"
_QUIT = b"QUIT\r\n"


class Phase(Enum):
    """
    What a connection waits for.
    """

    GREETING = "the greeting"
    HELLO = "the reply to EHLO"
    PACE = "its turn"
    ENVELOPE = "the replies to MAIL, RCPT and DATA"
    CONTENT = "the reply to a message"
    BYE = "the reply to QUIT"


class Load:
    """
    What all connections share.

    @ivar mark: What stands before the number of a message.
    @ivar rest: What follows it.
    @ivar commands: The commands of each message.
    @ivar together: The same in one piece.
    @ivar perConnection: How many messages a connection carries.
    @ivar paced: Whether each message waits for its turn.
    @ivar accepted: When each message was taken, in nanoseconds.
    @ivar began: When the first C{MAIL} was sent, in nanoseconds.
    @ivar count: How many were taken.
    @ivar refused: How many were not.
    @ivar refusal: What was said to the first of these.
    """

    def __init__(self, work: Work, tag: str) -> None:
        """
        @param work: How much mail there is.
        @param tag: The name of the run.
        """
        self.mark = marker(tag)
        self.rest = content(work.size, tag)
        self.commands = envelope(work.recipients)
        self.together = (b"".join(self.commands),)
        self.perConnection = work.perConnection or work.messages
        self.paced = work.paced
        self.accepted = array("q", bytes(8 * work.messages))
        self.began = 0
        self.count = 0
        self.refused = 0
        self.refusal = ""
        self._inRow = 0
        self._numbers = iter(range(work.messages))

    def take(self) -> int:
        """
        Give the number of the next message, or -1 when there is none, or when
        the relay takes nothing any more.
        """
        if self._inRow >= MAX_REFUSED:
            self.refused += sum(1 for _ in self._numbers)
        return next(self._numbers, -1)

    def ask(self) -> None:
        """
        Ask for the turn of the next message.
        """
        say(f"pace {self.count}")

    def accept(self, number: int) -> None:
        """
        Note that a message was taken just now.
        """
        self.accepted[number] = time.monotonic_ns()
        self.count += 1
        self._inRow = 0

    def refuse(self, reply: str) -> None:
        """
        Note that a message was not taken.

        @param reply: What was said to it.
        """
        self.refused += 1
        self._inRow += 1
        self.refusal = self.refusal or reply[:MAX_REFUSAL]


class Sender:
    """
    The dialogue of one connection.

    @ivar out: What is to be written, taken away by who writes it.
    @ivar phase: What it waits for.
    @ivar open: Whether the connection is to stay.
    """

    __slots__ = (
        "_awaited",
        "_buffer",
        "_carried",
        "_load",
        "_number",
        "_plan",
        "_step",
        "open",
        "out",
        "phase",
    )

    def __init__(self, load: Load, number: int) -> None:
        """
        @param load: What all connections share.
        @param number: The number of the first message.
        """
        self._load = load
        self._number = number
        self._carried = 0
        self._buffer = b""
        self._awaited = 1
        self._plan = load.commands
        self._step = 0
        self.out: list[bytes] = []
        self.phase = Phase.GREETING
        self.open = True

    def received(self, data: bytes) -> None:
        """
        Take what was received, and go on when all replies awaited are there.
        """
        *lines, self._buffer = (self._buffer + data).split(b"\r\n")
        for line in lines:
            if self.phase is Phase.HELLO and line[4:].upper() == b"PIPELINING":
                self._plan = self._load.together
            if line[3:4] == b"-":
                continue
            if line[:1] not in (b"2", b"3"):
                return self.fail(line.decode("ascii", "replace"))
            self._awaited -= 1
            if not self._awaited:
                self._advance()
        if len(self._buffer) > MAX_REPLY:
            self.fail("a reply without an end")

    def go(self) -> None:
        """
        Send the message that waited for its turn.
        """
        self.phase = Phase.ENVELOPE
        self._step = 0
        if not self._load.began:
            self._load.began = time.monotonic_ns()
        self._command()

    def fail(self, why: str) -> None:
        """
        Give the connection up, and the message with it.

        @param why: What was said, or what happened.
        """
        self.open = False
        if self.phase is not Phase.BYE:
            self._load.refuse(f"{why} (waiting for {self.phase.value})")

    def _advance(self) -> None:
        phase = self.phase
        if phase is Phase.GREETING:
            self._write(Phase.HELLO, _EHLO)
        elif phase is Phase.HELLO:
            self._start()
        elif phase is Phase.ENVELOPE:
            if self._step < len(self._plan):
                self._command()
            else:
                number = b"%0*d" % (DIGITS, self._number)
                self._write(Phase.CONTENT, self._load.mark + number, self._load.rest)
        elif phase is Phase.CONTENT:
            self._taken()
        else:
            self.open = False

    def _start(self) -> None:
        if self._load.paced:
            self.phase = Phase.PACE
            self._load.ask()
        else:
            self.go()

    def _taken(self) -> None:
        load = self._load
        load.accept(self._number)
        self._carried += 1
        more = self._carried < load.perConnection
        self._number = load.take() if more else -1
        if self._number < 0:
            self._write(Phase.BYE, _QUIT)
        else:
            self._start()

    def _command(self) -> None:
        commands = self._plan[self._step]
        self._step += 1
        self._write(Phase.ENVELOPE, commands)
        self._awaited = commands.count(b"\n")

    def _write(self, phase: Phase, *pieces: bytes) -> None:
        self.phase = phase
        self.out += pieces
        self._awaited = 1
