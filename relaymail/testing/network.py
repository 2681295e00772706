# -*- test-case-name: relaymail.test.testing.test_network -*-
"""
A network in memory: machines with addresses, the links between them, and one
clock for all.

    >>> network = Network(seed=1)
    >>> mx = network.machine("192.0.2.25", name="mx.example.org")
    >>> relay = network.machine("198.51.100.1", name="relay.example.com")
    >>> server = SMTPServer().start(mx, "192.0.2.25", 25)
    >>> relay.connectTCP("192.0.2.25", 25, factory)
    >>> network.setLink(Link(latency=0.05, loss=0.01))
    >>> network.run(60)                            # a minute, at once

A machine is the reactor of the programs that run on it.  Nothing comes from
chance but by way of C{chance}, so that one seed gives one course of events.
"""

from __future__ import annotations

import random
from collections import deque
from enum import Enum
from typing import Any

from twisted.internet.error import ConnectionLost

from relaymail.testing.clock import BEGINNING, EventClock
from relaymail.testing.links import PERFECT, RETRANSMISSION, Link
from relaymail.testing.machine import Machine
from relaymail.testing.ports import Dialing
from relaymail.testing.streams import GIVE_UP, Stream, Wire
from relaymail.testing.transports import End

#: How many lines of a transcript are kept.
MAX_TRANSCRIPT = 20_000

#: A segment that is held up, and where it was to arrive.
_Held = tuple[Stream, bytes | Exception]


class Fate(Enum):
    """
    What becomes of a connection to an address that is not listened on.
    """

    REFUSED = "refused at once"
    SILENT = "no answer till the client gives up"
    UNREACHABLE = "no way there, which the client's system knows at once"


class Network(EventClock):
    """
    Machines, and the links between them.

    @ivar seed: What all chance comes from.
    @ivar chance: Where chance is to come from.
    @ivar fates: What becomes of connections to an address, whoever has it.
        An address that nobody has refuses.
    @ivar tried: The address and port of every connection that was begun.
    @ivar transcript: What has happened, at most L{MAX_TRANSCRIPT} lines.
    """

    def __init__(self, seed: int = 0, beginning: float = BEGINNING) -> None:
        """
        @param seed: What all chance comes from.
        @param beginning: When it begins, in seconds of the epoch.
        """
        super().__init__(beginning)
        self.seed = seed
        self.chance = random.Random(seed)
        self.fates: dict[str, Fate] = {}
        self.tried: list[tuple[str, int]] = []
        self.transcript: deque[str] = deque(maxlen=MAX_TRANSCRIPT)
        self._began = beginning
        self._machines: dict[str, Machine] = {}
        self._link = PERFECT
        self._links: dict[frozenset[Machine], Link] = {}
        self._apart: set[frozenset[Machine]] = set()
        self._held: dict[
            frozenset[Machine], list[tuple[Stream, bytes | Exception]]
        ] = {}
        self._cuts: dict[str, list[tuple[int | None, int | None]]] = {}
        self._numbered = 0

    # Machines.

    def machine(self, *addresses: str, name: str = "") -> Machine:
        """
        Give the machine that has an address; it is made if there is none.

        @param addresses: Its addresses, IPv4 or IPv6.
        @param name: What it is called in a transcript; the first address
            where it is not said.
        """
        found = self._machines.get(addresses[0])
        if found is None:
            found = Machine(self, addresses, name or addresses[0])
            for address in addresses:
                self._machines[address] = found
        return found

    def remove(self, address: str) -> None:
        """
        Take an address out of the network: connections to it are refused.
        """
        self._machines.pop(address, None)

    def at(self, address: str) -> Machine | None:
        """
        Give the machine that has an address, if there is one.
        """
        return self._machines.get(address)

    # Links.

    def setLink(self, link: Link, *machines: Machine) -> None:
        """
        Say what the links are like.

        @param machines: The two between which it is so; none for all that
            were not named.
        """
        if machines:
            self._links[frozenset(machines)] = link
        else:
            self._link = link

    def link(self, one: Machine, other: Machine) -> Link:
        """
        Give the link between two machines.
        """
        return self._links.get(frozenset((one, other)), self._link)

    def part(self, one: Machine, other: Machine) -> None:
        """
        Let nothing through between two machines; they only notice that the
        other is silent.
        """
        self.note(f"{one.name} and {other.name} are parted")
        self._apart.add(frozenset((one, other)))

    def join(self, one: Machine, other: Machine) -> None:
        """
        Let everything through again; what was held up comes now.
        """
        pair = frozenset((one, other))
        self._apart.discard(pair)
        self.note(f"{one.name} and {other.name} are joined")
        for end, piece in self._held.pop(pair, ()):
            self.callLater(0, end.arrived, piece)

    def areParted(self, one: Machine, other: Machine) -> bool:
        """
        Tell whether nothing comes through between two machines.
        """
        return frozenset((one, other)) in self._apart

    def cutNext(
        self, address: str, received: int | None = None, sent: int | None = None
    ) -> None:
        """
        Cut the next connection to an address once so many bytes have come
        through.

        @param received: How many bytes the one who was connected to has got.
        @param sent: How many bytes of his the one who connected has got.
        """
        self._cuts.setdefault(address, []).append((received, sent))

    def mend(self) -> None:
        """
        Let all be well again: no fates, no cuts ahead, nobody parted.
        """
        self.fates.clear()
        self._cuts.clear()
        for pair in list(self._apart):
            self.join(*pair)

    # What happened.

    def note(self, text: str) -> None:
        """
        Write a line into the transcript.
        """
        self.transcript.append(f"{self.now - self._began:14.6f} {text}")

    # What machines and connections ask.

    def dial(self, caller: Machine, host: str, port: int, dialing: Dialing) -> None:
        """
        Bring the wish for a connection to who listens.

        @param dialing: Who waits for it.
        """
        if dialing.isOver:
            return
        called = self._machines.get(host)
        fate = self.fates.get(host)
        if fate is Fate.SILENT:
            return
        if fate is Fate.UNREACHABLE:
            dialing.hasNoRoute()
            return
        if called is None or fate is Fate.REFUSED:
            self.callLater(0, dialing.refused)
            return
        if not called.isUp or self.areParted(caller, called):
            self.callLater(RETRANSMISSION, self.dial, caller, host, port, dialing)
            return
        link = self.link(caller, called)
        wait = link.delay(self.chance)
        factory = called.listening(host, port)
        if factory is None:
            self.callLater(wait + link.latency, dialing.refused)
        else:
            self.callLater(wait, self._accept, dialing, caller, called, factory)

    def _accept(
        self, dialing: Dialing, caller: Machine, called: Machine, factory: Any
    ) -> None:
        if dialing.isOver or not called.isUp:
            return
        self._numbered += 1
        wire = Wire(self, self._numbered)
        near, far = dialing.addresses()
        wire.server = End(called, wire, far, near)
        wire.client = End(caller, wire, near, far)
        wire.server.peer, wire.client.peer = wire.client, wire.server
        cuts = self._cuts.get(far.host)
        if cuts:
            wire.cutReceived, wire.cutSent = cuts.pop(0)
        wait = self.link(caller, called).delay(self.chance)
        protocol = factory.buildProtocol(near)
        if protocol is None:
            self.callLater(wait, dialing.refused)
            return
        self.note(f"{wire} connects")
        # What the server says first comes after its yes.
        wire.server.holdUntil(self.now + wait)
        self.callLater(wait, dialing.answered, wire)
        called.callLater(0, wire.server.open, protocol)

    def transmit(self, sender: Stream, wait: float, piece: bytes | Exception) -> None:
        """
        Carry a segment to the other end.

        @param wait: How long it is under way, in seconds.
        @param piece: The bytes, or the reason for which the connection ends.
        """
        self.callLater(wait, self._deliver, sender.peer, piece)

    def sendDatagram(
        self, sender: Machine, packet: bytes, source: tuple[str, int], to: Any
    ) -> None:
        """
        Carry a datagram, unless it is lost.

        @param source: The address and port it comes from.
        @param to: The address and port it goes to.
        """
        host, port = to[:2]
        called = self._machines.get(host)
        if called is None or self.areParted(sender, called):
            return
        link = self.link(sender, called)
        if not link.loses(self.chance):
            self.callLater(link.latency, self._drop, called, packet, source, port)

    def _drop(
        self, called: Machine, packet: bytes, source: tuple[str, int], port: int
    ) -> None:
        if called.isUp:
            called.takeDatagram(packet, source, port)

    def _deliver(self, end: Stream, piece: bytes | Exception) -> None:
        pair = frozenset((end.machine, end.peer.machine))
        if pair not in self._apart:
            end.arrived(piece)
            return
        held = self._held.setdefault(pair, [])
        if all(each is not end for each, _ in held):
            self.callLater(GIVE_UP, self._giveUp, pair, end)
        held.append((end, piece))

    def _giveUp(self, pair: frozenset[Machine], end: Stream) -> None:
        """
        End a connection for whoever has been sending in vain for so long.
        """
        held = self._held.get(pair, [])
        if any(each is end for each, _ in held):
            self._held[pair] = [each for each in held if each[0] is not end]
            end.peer.lost(ConnectionLost("the peer has been silent for too long"))
