# -*- test-case-name: relaymail.test.route.test_racing -*-
"""
Which of a host's addresses is connected to when, as RFC 8305 has it: both families
early, each address a little after the one before, until one answers.

Nothing is connected to here; L{relaymail.route.connector} does what this says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from enum import Enum
from itertools import chain, zip_longest

from relaymail.replies import Phase, Trouble, TroubleKind, printable

#: How long after the one before an address is begun, in seconds: what RFC 8305 8
#: recommends.  Nearly every host that works answers within it, so that a second
#: connection is rare.
STAGGER = 0.25
#: How many addresses of one host are tried in one attempt; RFC 5321 5.1 asks for two
#: at the least.  Of both families there are three then, and a host with more that
#: fail has other troubles.
MAX_TRIES = 6
#: How many of them are waited for at once: each holds a descriptor.  With three, one
#: dead address and one family that has no way out of here hold nothing up.
MAX_AT_ONCE = 3

#: Which trouble of several is told as that of the host: the one that says most of
#: it.  That it refused is from the host itself; what this machine cannot do goes
#: before networks that many machines have no way to.
_TELLING = (
    TroubleKind.REFUSED,
    TroubleKind.TIMEOUT,
    TroubleKind.LOST,
    TroubleKind.TLS,
    TroubleKind.LOCAL,
    TroubleKind.UNREACHABLE,
)


class Family(Enum):
    """
    The kinds of network address.
    """

    IPV4 = "IPv4"
    IPV6 = "IPv6"

    @property
    def other(self) -> Family:
        """
        The other one.
        """
        return Family.IPV6 if self is Family.IPV4 else Family.IPV4


def familyOf(address: str) -> Family:
    """
    Give the family of a network address.
    """
    return Family.IPV6 if ":" in address else Family.IPV4


def interleaved(addresses: Iterable[str], first: Family = Family.IPV4) -> list[str]:
    """
    Put the families in turn (RFC 8305 4); each keeps its order.

    @param addresses: The addresses.
    @param first: The family that begins.
    """
    families: dict[Family, list[str]] = {first: [], first.other: []}
    for address in addresses:
        families[familyOf(address)].append(address)
    turns = chain.from_iterable(zip_longest(*families.values()))
    return [address for address in turns if address is not None]


def sourceFor(address: str, sources: Iterable[str]) -> str | None:
    """
    Give the address that a connection to another is to come from.

    @param sources: Those there are; each is for its family.

    @return: It, or L{None} where there is none of the family.
    """
    family = familyOf(address)
    return next((source for source in sources if familyOf(source) is family), None)


def withSource(addresses: Sequence[str], sources: Sequence[str]) -> Sequence[str]:
    """
    Leave out the addresses that a host is not to be connected to at, because its
    connections are to come from addresses of the other family.

    @param sources: Where they come from; empty: from any.
    """
    if not sources:
        return addresses
    return [a for a in addresses if sourceFor(a, sources) is not None]


class Race:
    """
    The addresses of one host on their way to one connection.

    @ivar failed: Those that failed, each with why, in the order in which they did.
    """

    def __init__(self, addresses: Iterable[str], patience: float) -> None:
        """
        @param addresses: The addresses in their order, each once.
        @param patience: How long each is waited for, in seconds; when the first of
            them has had it, no further one is begun, so that a host whose addresses
            are all silent costs one time-out.
        """
        self.failed: list[tuple[str, Trouble]] = []
        self._ahead = deque(addresses)
        self._patience = patience
        #: Those that are waited for, and when each was begun.
        self._begun: dict[str, float] = {}
        self._before: list[str] = []
        self._first: float | None = None

    @property
    def isLost(self) -> bool:
        """
        Whether none is waited for any more.
        """
        return not self._begun

    @property
    def ahead(self) -> list[str]:
        """
        Those that were not begun.
        """
        return list(self._ahead)

    def wait(self, now: float) -> float | None:
        """
        Say how long it is until the next is to be begun, in seconds.

        @param now: The time, in seconds.

        @return: From 0 to L{STAGGER}, whatever the clock did; L{None} as long as no
            further one fails, or for ever: where none is ahead, as many as may be
            are waited for, or it is too late.
        """
        if not self._ahead or len(self._begun) >= MAX_AT_ONCE:
            return None
        if self._first is None:
            return 0.0
        if now - self._first >= self._patience:
            return None
        last = self._begun.get(self._before[-1])
        if last is None or now < last:
            # RFC 8305 5: there is nothing to wait for when it has failed.  No more
            # is known of how long it was when the clock went back.
            return 0.0
        return min(max(last + STAGGER - now, 0.0), STAGGER)

    def begin(self, now: float) -> str:
        """
        Begin the next.

        @param now: The time, in seconds.

        @return: It.
        """
        address = self._ahead.popleft()
        if self._first is None:
            self._first = now
        self._begun[address] = now
        self._before.append(address)
        return address

    def fail(self, address: str, trouble: Trouble) -> None:
        """
        Note that one failed.

        @param trouble: Why.
        """
        del self._begun[address]
        self.failed.append((address, trouble))

    def overtaken(self, winner: str) -> list[str]:
        """
        Give those that were begun before the one that connected, and did not.
        """
        return self._before[: self._before.index(winner)]


def troubleOfAll(
    failed: Sequence[tuple[str, Trouble]], port: int, left: Iterable[str] = ()
) -> Trouble:
    """
    Say why no address of a host could be connected to.

    @param failed: The addresses, each with why not, at least one.
    @param port: The port.
    @param left: The addresses that it was too late for.

    @return: The trouble of the kind that says most, in which all of them are named.
    """
    groups: dict[TroubleKind, list[str]] = {}
    for address, trouble in sorted(failed, key=_telling):
        named = f"{address} ({trouble.detail})" if trouble.detail else address
        groups.setdefault(trouble.kind, []).append(named)
    (kind, most), *others = groups.items()
    told = [f"port {port} of {', '.join(most)}"]
    told += [f"{why.value}: {', '.join(names)}" for why, names in others]
    late = ", ".join(left)
    if late:
        told.append(f"too late for {late}")
    return Trouble(Phase.CONNECT, kind, printable("; ".join(told)))


def _telling(failed: tuple[str, Trouble]) -> int:
    kind = failed[1].kind
    return _TELLING.index(kind) if kind in _TELLING else len(_TELLING)
