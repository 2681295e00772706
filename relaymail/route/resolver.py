# -*- test-case-name: relaymail.test.route.test_resolver -*-
"""
The one resolver: what has been asked is remembered for as long as the answer
may be, and what is being asked is not asked again.

Whether an answer is secure is remembered with it; what is left of its time is told
with each (L{relaymail.route.security}).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.names import common, dns, hosts
from twisted.names.error import DNSNameError, DomainError
from twisted.names.resolve import ResolverChain
from twisted.python.failure import Failure

from relaymail.errors import RouteError
from relaymail.replies import TroubleKind
from relaymail.route.lookup import lookupAddresses
from relaymail.route.nameserver import parseServer as parseServer
from relaymail.route.security import (
    MAX_NEGATIVE_TTL,
    NEGATIVE_TTL,
    Records,
    clamped,
    isSecure,
    negativeTTL,
    shorter,
    ttlOf,
    vouched,
)
from relaymail.route.troubles import isNoSuchName
from relaymail.route.wire import TLSALookups, WireResolver

#: How long it is remembered that a server failed, in seconds (RFC 2308 7 allows
#: 300): enough for a burst to one domain to make one question.
FAILURE_TTL = 5
#: How many answers are remembered.
MAX_ANSWERS = 5_000
#: How many records are remembered, in all answers together: about 20 MB.
MAX_RECORDS = 40_000
#: How long a record of the usual kind is at most, in bytes; a longer one counts as so
#: many of these, for strangers choose how long theirs are.
USUAL = 500

Answer = tuple[Sequence[Any], Sequence[Any], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class _Remembered:
    """
    One answer, until a time on the resolver's clock.
    """

    until: float
    records: tuple[Any, ...] = ()
    error: Exception | None = None
    isSecure: bool = False

    @property
    def count(self) -> int:
        """
        How many records of the usual kind they are as much as.
        """
        lengths = (getattr(record, "rdlength", None) or 0 for record in self.records)
        return sum(1 + length // USUAL for length in lengths)

    def again(self, now: float) -> Deferred[Answer]:
        left = int(self.until - now)
        if self.error is not None:
            error = type(self.error)(*self.error.args)
            return defer.fail(vouched(error, self.isSecure, left))
        return defer.succeed((Records(self.records, self.isSecure, left), [], []))


class CachingResolver(TLSALookups, common.ResolverBase):
    """
    Remembers what another resolver answers, within bounds.

    Only the records of the answer section are given and kept: as L{Records}, and
    errors with C{isSecure} and C{ttl}.

    @ivar upstream: Who is asked.
    @ivar clock: An C{IReactorTime} provider; only its C{seconds} is used.
    """

    def __init__(self, upstream: Any, clock: Any) -> None:
        super().__init__()
        self.upstream = upstream
        self.clock = clock
        self._answers: dict[tuple[bytes, int, int], _Remembered] = {}
        self._records = 0
        self._asked: dict[tuple[bytes, int, int], list[Deferred[Answer]]] = {}

    @property
    def wire(self) -> WireResolver | None:
        """
        What asks the servers, where that is relaymail's own.
        """
        last = [self.upstream, *getattr(self.upstream, "resolvers", ())][-1]
        return last if isinstance(last, WireResolver) else None

    def getHostByName(
        self, name: bytes | str, timeout: Sequence[int] | None = None, effort: int = 10
    ) -> Deferred[str]:
        """
        Give one address of a name.

        @param name: The name.
        @param timeout: Not used: the bounds are those of L{upstream}.
        @param effort: Not used.

        @return: Fires with an address as text; fails with L{DNSNameError
            <twisted.names.error.DNSNameError>} where the name has none.
        """
        d = lookupAddresses(self, name)
        d.addErrback(_nameError)
        return d.addCallback(lambda addresses: addresses[0])

    def _lookup(
        self, name: bytes, cls: int, type: int, timeout: Sequence[int] | None = None
    ) -> Deferred[Answer]:
        key = (name.lower().removesuffix(b"."), cls, type)
        known = self._answers.get(key)
        now = self.clock.seconds()
        if known is not None and now < known.until:
            return known.again(now)
        told: Deferred[Answer] = Deferred()
        waiting = self._asked.setdefault(key, [])
        waiting.append(told)
        if len(waiting) == 1:
            query = dns.Query(name, type, cls)
            d = defer.maybeDeferred(self.upstream.query, query, timeout)
            d.addCallback(self._cbAnswer, type).addErrback(self._ebAnswer)
            d.addCallback(self._tell, key)
        return told

    def _cbAnswer(self, answer: Answer, type: int) -> _Remembered:
        records = tuple(answer[0])
        ttl = min((clamped(r.ttl) for r in records), default=None)
        if all(r.type == dns.CNAME != type for r in records):
            # There is nothing, or nothing but what leads there (RFC 2308 2.2).
            ttl = shorter(ttl, _negative(negativeTTL(answer[1])))
        until = self.clock.seconds() + (ttl or 0)
        return _Remembered(until, records, None, isSecure(answer))

    def _ebAnswer(self, failure: Failure) -> _Remembered:
        reason = failure.value
        ttl = FAILURE_TTL
        if isNoSuchName(reason):
            ttl = _negative(ttlOf(reason))
        until = self.clock.seconds() + ttl
        if isinstance(reason, DomainError):
            return _Remembered(until, (), reason, isSecure(reason))
        # Only a DomainError can be made anew from its arguments.
        made = DNSNameError if isNoSuchName(reason) else DomainFailure
        told = made(str(reason) or type(reason).__name__)
        return _Remembered(until, (), told, isSecure(reason))

    def _tell(self, known: _Remembered, key: tuple[bytes, int, int]) -> None:
        self._remember(key, known)
        now = self.clock.seconds()
        for told in self._asked.pop(key, ()):
            known.again(now).chainDeferred(told)

    def _remember(self, key: tuple[bytes, int, int], known: _Remembered) -> None:
        self._forget(key)
        if known.until <= self.clock.seconds():
            return
        self._answers[key] = known
        self._records += known.count
        while len(self._answers) > MAX_ANSWERS or self._records > MAX_RECORDS:
            self._forget(next(iter(self._answers)))

    def _forget(self, key: tuple[bytes, int, int]) -> None:
        known = self._answers.pop(key, None)
        if known is not None:
            self._records -= known.count


class DomainFailure(DomainError):
    """
    No DNS server gave an answer in time.
    """


class SystemResolver(TLSALookups, ResolverChain):
    """
    Looks into the system's table of hosts, then asks the system's servers.
    """


def makeResolver(
    server: str | None = None, reactor: Any = None, trusted: Iterable[object] = ()
) -> CachingResolver:
    """
    Make the resolver.

    @param server: The one DNS server to ask, C{"IP:PORT"}, C{"[IPv6]:PORT"} or
        the address alone for port 53; L{None} for the system's own, with the
        system's table of hosts first.
    @param reactor: An C{IReactorTime}, C{IReactorUDP} and C{IReactorTCP}
        provider, or L{None} for the global one.
    @param trusted: The networks of the servers whose word on DNSSEC is believed,
        as text or as L{ipaddress} has them; that of this machine itself always is.

    @raise ConfigurationError: When C{server} is not the address of a server, or
        C{trusted} not of networks.
    """
    if reactor is None:
        from twisted.internet import reactor
    if server is not None:
        servers = [parseServer(server)]
        wire = WireResolver(servers=servers, reactor=reactor, trusted=trusted)
        return CachingResolver(wire, reactor)
    system = WireResolver(resolv="/etc/resolv.conf", reactor=reactor, trusted=trusted)
    return CachingResolver(SystemResolver([hosts.Resolver(), system]), reactor)


def _negative(ttl: int | None) -> int:
    return NEGATIVE_TTL if ttl is None else min(clamped(ttl), MAX_NEGATIVE_TTL)


def _nameError(failure: Failure) -> Failure:
    if not isinstance(failure.value, RouteError):
        return failure
    reason = failure.value.trouble
    if reason.kind is TroubleKind.NO_SUCH_DOMAIN:
        return Failure(DNSNameError(reason.text))
    return Failure(DomainFailure(reason.text))
