# -*- test-case-name: relaymail.test.bench.test_sink -*-
"""
The sink: a mail host that takes everything and writes down when.

C{python -m relaymail.bench.sink PORT} listens on the loopback address and is
told on its standard input what to do: C{begin TAG MESSAGES RECIPIENTS EVERY}
forgets what was and expects these; C{end PATH} writes the time of each delivery
to a file.  It says C{ready PORT}, C{at N} (how many came, at most every so many
seconds) and C{ended DUPLICATES CPU}.  It ends with its standard input.

Only what must be looked at is looked at: the first letters of a command, the
digits of a recipient, the number in the first header field, the final dot.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import sys
import time
from array import array
from typing import ClassVar

from relaymail.bench.mail import DIGITS, marker, recipientOf

#: How much is read at a time, in octets.
CHUNK = 262_144
#: The longest command, in octets: a hundred times what RFC 5321 4.5.3.1.4
#: allows, for many that come at once.
MAX_COMMANDS = 65_536
#: Where in a message its number stands at the latest, in octets: behind the
#: fields that relays put on top.
MAX_HEAD = 262_144
#: How many connections may wait to be accepted.
BACKLOG = 1024
#: The longest command on standard input, in octets.
MAX_ORDER = 4096
#: How long to wait for something to happen, in seconds, where no report is due.
IDLE = 1.0

_END = b"\r\n.\r\n"
_KEEP = len(_END) - 1
_OK = b"250 2.0.0 Ok\r\n"
_EHLO = b"250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 0\r\n"
_GO = b"354 End with a dot\r\n"


class Book:
    """
    When each delivery of a run came.

    @ivar mark: What stands before the number of each of its messages.
    @ivar count: How many deliveries came.
    @ivar duplicates: How many came that had come before.
    @ivar arrived: When each came, in nanoseconds of the monotonic clock.
    """

    def __init__(self, tag: str, messages: int, recipients: int) -> None:
        """
        @param tag: The name of the run.
        @param messages: How many messages it has.
        @param recipients: How many recipients each has.
        """
        self.mark = marker(tag)
        self.count = 0
        self.duplicates = 0
        self.arrived = array("q", bytes(8 * messages * recipients))
        self._recipients = recipients

    def note(self, number: int, recipients: list[int], now: int) -> None:
        """
        Write down that a message came.

        @param number: Its number, -1 for mail that is not of this run.
        @param recipients: The places of those it came for.
        @param now: Nanoseconds.
        """
        first = number * self._recipients
        if not 0 <= first < len(self.arrived):
            return
        for recipient in recipients:
            if not 0 <= recipient < self._recipients:
                continue
            if self.arrived[first + recipient]:
                self.duplicates += 1
            else:
                self.arrived[first + recipient] = now
                self.count += 1


class Session:
    """
    One connection, as far as its octets go.
    """

    __slots__ = ("_buffer", "_inContent", "_number", "_recipients", "open")

    def __init__(self) -> None:
        self._buffer = b""
        self._inContent = False
        self._number = -1
        self._recipients: list[int] = []
        self.open = True

    def received(self, data: bytes, book: Book) -> bytes:
        """
        Take what was received, and give what is to be answered.

        @param book: Where messages are written down.
        """
        buffer = self._buffer + data if self._buffer else data
        answers: list[bytes] = []
        while buffer:
            step = self._content if self._inContent else self._commands
            rest = step(buffer, book, answers)
            if rest is None:
                break
            buffer = rest
        else:
            self._buffer = b""
        return b"".join(answers)

    def _commands(
        self, buffer: bytes, book: Book, answers: list[bytes]
    ) -> bytes | None:
        at = 0
        while (end := buffer.find(b"\r\n", at)) >= 0:
            line = buffer[at:end]
            at = end + 2
            if line[:4].upper() == b"DATA":
                answers.append(_GO)
                self._inContent = True
                self._number = -1
                # A message may be nothing but the dot.
                return b"\r\n" + buffer[at:]
            answers.append(self._answer(line))
        self._buffer = buffer[at:]
        self.open = self.open and len(self._buffer) <= MAX_COMMANDS
        return None

    def _answer(self, line: bytes) -> bytes:
        verb = line[:4].upper()
        if verb == b"RCPT":
            self._recipients.append(recipientOf(line))
        elif verb == b"EHLO":
            return _EHLO
        elif verb == b"QUIT":
            self.open = False
            return b"221 2.0.0 Bye\r\n"
        else:  # MAIL, RSET, HELO, NOOP
            self._recipients = []
        return _OK

    def _content(self, buffer: bytes, book: Book, answers: list[bytes]) -> bytes | None:
        if self._number < 0:
            self._number = numberIn(buffer, book.mark)
        end = buffer.find(_END)
        if end < 0:
            known = self._number >= 0 or len(buffer) > MAX_HEAD
            self._buffer = buffer[-_KEEP:] if known else buffer
            return None
        book.note(self._number, self._recipients, time.monotonic_ns())
        answers.append(_OK)
        self._inContent = False
        self._recipients = []
        return buffer[end + len(_END) :]


def numberIn(buffer: bytes, mark: bytes) -> int:
    """
    Give the number of the message that begins here, -1 where it is not to be
    seen.

    @param mark: What stands before it.
    """
    at = buffer.find(mark)
    if at < 0:
        return -1
    digits = buffer[at + len(mark) : at + len(mark) + DIGITS]
    return int(digits) if len(digits) == DIGITS and digits.isdigit() else -1


class Sink:
    """
    The port, its connections and the orders.
    """

    _GREETING: ClassVar[bytes] = b"220 sink.example ESMTP\r\n"

    def __init__(self, port: int) -> None:
        """
        @param port: The port to listen on, 0 for any.

        @raise OSError: When it is taken.
        """
        self._book = Book("", 0, 1)
        self._every = 1.0
        self._told = 0
        self._began = 0.0
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(
            ("127.0.0.1", port), backlog=BACKLOG, reuse_port=False
        )
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._selector.register(0, selectors.EVENT_READ, None)
        self._orders = b""
        # Read into what is there: a new piece of this size each time would be
        # asked of the kernel, and cost more than all the rest.
        self._room = memoryview(bytearray(CHUNK))

    def run(self) -> None:
        """
        Serve until the standard input ends.
        """
        say(f"ready {self._listener.getsockname()[1]}")
        look = time.monotonic
        due = look()
        while True:
            for key, _ in self._selector.select(self._every or IDLE):
                if key.data is not None:
                    self._readable(key.fileobj, key.data)  # type: ignore[arg-type]
                elif key.fd:
                    self._accept()
                elif not self._order():
                    return
            if self._book.count != self._told and look() >= due:
                self._told = self._book.count
                due = look() + self._every
                say(f"at {self._told}")

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # gone before we came to it
            connection, _ = self._listener.accept()
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(connection, selectors.EVENT_READ, Session())
            connection.send(self._GREETING)

    def _readable(self, connection: socket.socket, session: Session) -> None:
        try:
            data = self._room[: connection.recv_into(self._room)].tobytes()
            if data:
                answer = session.received(data, self._book)
                # Answers are short: a client that leaves no room for them reads
                # nothing, and is left.
                if answer and connection.send(answer) < len(answer):
                    session.open = False
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data or not session.open:
            self._selector.unregister(connection)
            connection.close()

    def _order(self) -> bool:
        data = os.read(0, MAX_ORDER)
        self._orders += data
        *orders, self._orders = self._orders.split(b"\n")
        for order in orders:
            self._obey(order.decode().split(" ", 4))
        return bool(data) and len(self._orders) <= MAX_ORDER

    def _obey(self, words: list[str]) -> None:
        if words[0] == "begin":
            self._book = Book(words[1], int(words[2]), int(words[3]))
            self._every = float(words[4])
            self._told = 0
            self._began = time.process_time()
            say("begun")
        elif words[0] == "end":
            with open(" ".join(words[1:]), "wb") as file:
                self._book.arrived.tofile(file)
            used = time.process_time() - self._began
            say(f"ended {self._book.duplicates} {used:.6f}")


def say(line: str) -> None:
    """
    Write a line to the standard output.
    """
    os.write(1, line.encode() + b"\n")


def main(words: list[str]) -> int:
    """
    Run the sink, and give the exit code.
    """
    port = int(words[0])
    try:
        sink = Sink(port)
    except OSError as e:
        say(
            f"failed Tried to listen on 127.0.0.1:{port} as the sink: "
            f"{e.strerror or e}. End what listens there, or name another port with "
            "--sink-port."
        )
        return 1
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        sink.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
