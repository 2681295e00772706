# -*- test-case-name: relaymail.test.endtoend.test_sendmail -*-
"""
SMTP on the standard input and output: what is said goes to the relay's port.
"""

from __future__ import annotations

import select
import socket
from contextlib import suppress
from typing import IO

from relaymail.cli.giving import LATER, OK

#: How much is read at a time, in octets.
CHUNK = 65_536
#: How long nothing may happen, in seconds: a little more than the relay waits for
#: a client, so that it is the relay who says so.
IDLE = 660.0
#: How long a connection may take, in seconds.
PATIENCE = 30.0
#: How long the relay may say nothing once the client has left, in seconds.
GRACE = 30.0

_NOT_NOW = b"421 4.3.2 The relay does not answer; try again later\r\n"


def speakSMTP(
    address: tuple[str, int] | None, stdin: IO[bytes], stdout: IO[bytes]
) -> int:
    """
    Connect a client to the relay, until one of the two ends it.

    @param address: Where the relay takes mail; L{None}: nowhere.

    @return: The exit code.
    """
    try:
        if address is None:
            raise ConnectionRefusedError
        relay = socket.create_connection(address, PATIENCE)
    except OSError:
        stdout.write(_NOT_NOW)
        stdout.flush()
        return LATER
    with relay:
        relay.settimeout(IDLE)
        return _pass(relay, stdin, stdout)


def _pass(relay: socket.socket, stdin: IO[bytes], stdout: IO[bytes]) -> int:
    source = stdin.fileno()
    waiting: list[int | socket.socket] = [relay, source]
    while True:
        patience = IDLE if source in waiting else GRACE
        ready, _, _ = select.select(waiting, [], [], patience)
        if not ready:
            return LATER if source in waiting else OK
        if relay in ready:
            answered = relay.recv(CHUNK)
            if not answered:
                return OK
            stdout.write(answered)
            stdout.flush()
        if source in ready:
            said = _read(stdin)
            if not said:
                waiting.remove(source)
                # What is answered to the rest is still to be read, and half a
                # connection is none to the relay.  Behind half a line, or half a
                # message, this is a part of it, and ends neither.
                said = b"QUIT\r\n"
            with suppress(BrokenPipeError, ConnectionResetError):
                relay.sendall(said)


def _read(stdin: IO[bytes]) -> bytes:
    read1 = getattr(stdin, "read1", None) or stdin.read
    found: bytes = read1(CHUNK)
    return found
