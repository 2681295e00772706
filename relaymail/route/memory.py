# -*- test-case-name: relaymail.test.route.test_memory -*-
"""
Which hosts that the operator named, and which addresses, did not work.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from relaymail.route.hosts import Host
from relaymail.route.racing import Family, familyOf, interleaved

#: How long such a host comes after the others, in seconds.  It is short: the
#: operator gave the order, and there are few of them.
BAD_TIME = 60.0
#: How many such hosts are remembered before those are forgotten whose time is over:
#: passwords change, and hosts with them.
MAX_HOSTS = 1000
#: How long an address that did not connect comes after the others of its host, in
#: seconds: what is remembered of a network is not to outlive a change of it for long
#: (RFC 8305 4).
SLOW_TIME = 600.0
#: How many such addresses are remembered; the first are forgotten.
MAX_SLOW = 10_000
#: After how many hosts in a row that connected by the other family only it is the
#: one that begins: one such host says something of itself, several of them of the
#: way out of here.
TURNING = 3


class NamedHosts:
    """
    Puts hosts that did not work behind those that did, for a while.
    """

    def __init__(self) -> None:
        self._badUntil: dict[Host, float] = {}

    def markBad(self, host: Host, now: float) -> None:
        """
        Remember that a host did not work.

        @param now: The time, in seconds.
        """
        if len(self._badUntil) >= MAX_HOSTS:
            left = ((one, end) for one, end in self._badUntil.items() if end > now)
            self._badUntil = dict(left)
        self._badUntil[host] = now + BAD_TIME

    def markGood(self, host: Host) -> None:
        """
        Remember that a host works.
        """
        self._badUntil.pop(host, None)

    def noteTried(self, host: Host, now: float) -> None:
        """
        Remember that a host is being tried.  One that was bad is so for all others
        until it is known to work: only one connection finds out, instead of every one
        that there may be.

        @param now: The time, in seconds.
        """
        if host in self._badUntil:
            self.markBad(host, now)

    def isBad(self, host: Host, now: float) -> bool:
        """
        Tell whether a host did not work a short while ago.

        @param now: The time, in seconds.
        """
        return self.badUntil(host, now) is not None

    def badUntil(self, host: Host, now: float) -> float | None:
        """
        Say until when a host comes after the others because it did not work; L{None}:
        it does not.

        @param now: The time, in seconds.
        """
        until = self._badUntil.get(host, now)
        return until if until > now else None

    def inOrder(self, hosts: Iterable[Host], now: float) -> list[Host]:
        """
        Give the hosts in the order in which they are to be tried.

        @param now: The time, in seconds.
        """
        return sorted(hosts, key=lambda host: self.isBad(host, now))


class AddressMemory:
    """
    Puts the addresses of a host into the order in which they are to be tried: the
    families in turn, and what did not connect a short while ago behind the rest.

    IPv4 begins: where only one family works it is mostly that one.  It is the other
    one that does for L{SLOW_TIME} when several hosts could be had by that only.
    """

    def __init__(self) -> None:
        self._slowUntil: dict[str, float] = {}
        self._turnedUntil: float | None = None
        self._beaten = 0

    def inOrder(self, addresses: Sequence[str], now: float) -> list[str]:
        """
        Give the addresses of one host in the order in which they are to be tried.

        @param now: The time, in seconds.
        """
        first = self._firstFamily(now)
        slow = [a for a in addresses if self._slowUntil.get(a, now) > now]
        if not slow:
            return interleaved(addresses, first)
        fast = [a for a in addresses if a not in slow]
        return interleaved(fast, first) + interleaved(slow, first)

    def noteFailed(self, address: str, now: float) -> None:
        """
        Remember that an address did not connect.

        @param now: The time, in seconds.
        """
        self._slowUntil.pop(address, None)
        self._slowUntil[address] = now + SLOW_TIME
        while len(self._slowUntil) > MAX_SLOW:
            del self._slowUntil[next(iter(self._slowUntil))]

    def noteReached(self, address: str, overtaken: Sequence[str], now: float) -> None:
        """
        Remember which address of a host connected.

        @param overtaken: Those of its addresses that were begun before, and did not.
        @param now: The time, in seconds.
        """
        self._slowUntil.pop(address, None)
        for slow in overtaken:
            self.noteFailed(slow, now)
        first = self._firstFamily(now)
        if familyOf(address) is first:
            self._beaten = 0
        elif any(familyOf(slow) is first for slow in overtaken):
            self._beaten += 1
        if self._beaten >= TURNING:
            isTurned = first is not Family.IPV4
            self._turnedUntil = None if isTurned else now + SLOW_TIME
            self._beaten = 0

    def _firstFamily(self, now: float) -> Family:
        if self._turnedUntil is not None and now >= self._turnedUntil:
            self._turnedUntil = None
        return Family.IPV4 if self._turnedUntil is None else Family.IPV6
