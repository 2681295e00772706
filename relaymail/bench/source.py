# -*- test-case-name: relaymail.test.bench.test_source -*-
"""
The source: many connections that give mail to a relay as fast as it takes it.

C{python -m relaymail.bench.source JSON} is told in one argument what L{Orders}
hold.  It says C{at N} now and then (how many messages were taken) and at the
end C{sent JSON}; the time of each message is in the file that it was given.
Paced, it says C{pace N} (how many were taken) before each message, and waits for
a line on its standard input.  It ends with its standard input.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import sys
import time
from dataclasses import dataclass
from typing import Any

from relaymail.bench.mail import Work
from relaymail.bench.sender import Load, Phase, Sender
from relaymail.bench.sink import say

#: How much is read at a time, in octets: replies are short.
CHUNK = 16_384
#: How often it is told how far we are, in seconds.
EVERY = 0.2

_NO_CONNECTION = "the connection was refused or cut"


@dataclass(frozen=True, slots=True)
class Orders:
    """
    What a source is to do.

    @ivar host: The relay's address.
    @ivar port: Its port.
    @ivar tag: The name of the run.
    @ivar path: The file for the times.
    @ivar patience: How long to wait for any reply, in seconds.
    @ivar work: How much mail there is.
    """

    host: str
    port: int
    tag: str
    path: str
    patience: float
    work: Work

    @classmethod
    def read(cls, text: str) -> Orders:
        """
        Read them from JSON.
        """
        found: dict[str, Any] = json.loads(text)
        return cls(**{**found, "work": Work(**found["work"])})


class Link:
    """
    One connection's hands.

    @ivar sender: Its dialogue.
    @ivar socket: Its socket.
    """

    __slots__ = ("_left", "sender", "socket")

    def __init__(self, sender: Sender, address: tuple[str, int]) -> None:
        """
        Begin to connect.

        @raise OSError: When that is refused at once.
        """
        self.sender = sender
        self._left: list[memoryview] = []
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(BlockingIOError):
            self.socket.connect(address)

    def read(self) -> None:
        """
        Read what is there.
        """
        try:
            data = self.socket.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.sender.received(data)
        else:
            self.sender.fail(_NO_CONNECTION)

    def write(self) -> bool:
        """
        Write what can be written, and tell whether something is left.
        """
        pieces: list[Any] = [*self._left, *self.sender.out]
        self.sender.out.clear()
        if not pieces:
            return False
        try:
            written = self.socket.sendmsg(pieces)
        except BlockingIOError:
            written = 0
        except OSError:
            self.sender.fail(_NO_CONNECTION)
            return False
        self._left = rest(pieces, written)
        return bool(self._left)


def rest(pieces: list[Any], written: int) -> list[memoryview]:
    """
    Give what is left of some pieces after so many octets of them.
    """
    left = []
    for piece in pieces:
        if written < len(piece):
            left.append(memoryview(piece)[written:])
        written = max(written - len(piece), 0)
    return left


class Source:
    """
    All connections, until every message was sent.
    """

    def __init__(self, orders: Orders) -> None:
        """
        @param orders: What is to be done.
        """
        self._orders = orders
        self.load = Load(orders.work, orders.tag)
        self._selector = selectors.DefaultSelector()
        self._selector.register(0, selectors.EVENT_READ, None)
        self._links: set[Link] = set()

    def run(self) -> None:
        """
        Send everything, or give up when nothing is answered any more.
        """
        work = self._orders.work
        for _ in range(min(work.senders, work.messages)):
            self._connect()
        look = time.monotonic
        now = look()
        due, stalls, told = now + EVERY, now + self._orders.patience, 0
        while self._links:
            events = self._selector.select(EVERY)
            for key, mask in events:
                if key.data is not None:
                    self._serve(key.data, mask)
                elif not self._turn():
                    return
            now = look()
            if events or work.paced:
                stalls = now + self._orders.patience
            elif now > stalls:
                return self._giveUp()
            if now > due and self.load.count != told:
                due, told = now + EVERY, self.load.count
                say(f"at {told}")

    def _connect(self) -> None:
        # A relay that refuses every connection costs one message each.
        while (number := self.load.take()) >= 0:
            sender = Sender(self.load, number)
            try:
                link = Link(sender, (self._orders.host, self._orders.port))
                self._selector.register(link.socket, selectors.EVENT_READ, link)
            except OSError as e:
                sender.fail(e.strerror or str(e))
                continue
            self._links.add(link)
            return

    def _serve(self, link: Link, mask: int) -> None:
        if mask & selectors.EVENT_READ:
            link.read()
        left = link.write()
        if not link.sender.open:
            self._selector.unregister(link.socket)
            link.socket.close()
            self._links.discard(link)
            self._connect()
        elif left or mask & selectors.EVENT_WRITE:
            both = selectors.EVENT_READ | selectors.EVENT_WRITE
            self._selector.modify(
                link.socket, both if left else selectors.EVENT_READ, link
            )

    def _turn(self) -> bool:
        told = os.read(0, CHUNK)
        for link in list(self._links) if told else ():
            if link.sender.phase is Phase.PACE:
                link.sender.go()
                self._serve(link, 0)
        return bool(told)

    def _giveUp(self) -> None:
        why = f"nothing was answered for {self._orders.patience:g} s"
        for link in self._links:
            link.sender.fail(why)
            link.socket.close()
        while self.load.take() >= 0:
            self.load.refuse(why)


def main(words: list[str]) -> int:
    """
    Run the source, and give the exit code.
    """
    orders = Orders.read(words[0])
    source = Source(orders)
    began = time.process_time()
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        source.run()
        used = time.process_time() - began
        load = source.load
        with open(orders.path, "wb") as file:
            load.accepted.tofile(file)
        told = {
            "began": load.began,
            "refused": load.refused,
            "refusal": load.refusal,
            "cpu": used,
        }
        say(f"sent {json.dumps(told)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
