# -*- test-case-name: relaymail.test.route.test_resolver -*-
"""
The one resolver: what has been asked is remembered for as long as the answer
may be, and what is being asked is not asked again.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from relaymail.route.troubles import isNoSuchName
from relaymail.route.wire import WireResolver

#: The longest that an answer is remembered, in seconds: a host that moved is
#: found within a day, whatever its old record promised.
MAX_TTL = 24 * 60 * 60
#: A time to live with the highest bit set is none at all (RFC 2181 8).
_TTL_SIGN = 2**31
#: How long it is remembered that there is nothing by a name, in seconds; RFC
#: 2308 5 allows hours, but a domain that was just set up should not wait.
NEGATIVE_TTL = 60
#: How long it is remembered that a server failed, in seconds (RFC 2308 7 allows
#: 300): enough for a burst to one domain to make one question.
FAILURE_TTL = 5
#: How many answers are remembered.
MAX_ANSWERS = 5_000
#: How many records are remembered, in all answers together: about 20 MB.
MAX_RECORDS = 40_000

Answer = tuple[Sequence[Any], Sequence[Any], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class _Remembered:
    """
    One answer, until a time on the resolver's clock.
    """

    until: float
    records: tuple[Any, ...] = ()
    error: Exception | None = None

    def again(self) -> Deferred[Answer]:
        if self.error is not None:
            return defer.fail(type(self.error)(*self.error.args))
        return defer.succeed((list(self.records), [], []))


class CachingResolver(common.ResolverBase):
    """
    Remembers what another resolver answers, within bounds.

    Only the records of the answer section are given and kept.

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
        if known is not None and self.clock.seconds() < known.until:
            return known.again()
        told: Deferred[Answer] = Deferred()
        waiting = self._asked.setdefault(key, [])
        waiting.append(told)
        if len(waiting) == 1:
            query = dns.Query(name, type, cls)
            d = defer.maybeDeferred(self.upstream.query, query, timeout)
            d.addCallback(self._cbAnswer).addErrback(self._ebAnswer)
            d.addCallback(self._tell, key)
        return told

    def _cbAnswer(self, answer: Answer) -> _Remembered:
        records = tuple(answer[0])
        ttl = min((_clamped(r.ttl) for r in records), default=NEGATIVE_TTL)
        return _Remembered(self.clock.seconds() + ttl, records)

    def _ebAnswer(self, failure: Failure) -> _Remembered:
        reason = failure.value
        ttl = NEGATIVE_TTL if isNoSuchName(reason) else FAILURE_TTL
        if not isinstance(reason, DomainError):
            # Only a DomainError can be made anew from its arguments.
            reason = DomainFailure(str(reason) or type(reason).__name__)
        return _Remembered(self.clock.seconds() + ttl, (), reason)

    def _tell(self, known: _Remembered, key: tuple[bytes, int, int]) -> None:
        self._remember(key, known)
        for told in self._asked.pop(key, ()):
            known.again().chainDeferred(told)

    def _remember(self, key: tuple[bytes, int, int], known: _Remembered) -> None:
        self._forget(key)
        if known.until <= self.clock.seconds():
            return
        self._answers[key] = known
        self._records += len(known.records)
        while len(self._answers) > MAX_ANSWERS or self._records > MAX_RECORDS:
            self._forget(next(iter(self._answers)))

    def _forget(self, key: tuple[bytes, int, int]) -> None:
        known = self._answers.pop(key, None)
        if known is not None:
            self._records -= len(known.records)


class DomainFailure(DomainError):
    """
    No DNS server gave an answer in time.
    """


def makeResolver(server: str | None = None, reactor: Any = None) -> CachingResolver:
    """
    Make the resolver.

    @param server: The one DNS server to ask, C{"IP:PORT"}, C{"[IPv6]:PORT"} or
        the address alone for port 53; L{None} for the system's own, with the
        system's table of hosts first.
    @param reactor: An C{IReactorTime}, C{IReactorUDP} and C{IReactorTCP}
        provider, or L{None} for the global one.

    @raise ConfigurationError: When C{server} is not the address of a server.
    """
    if reactor is None:
        from twisted.internet import reactor
    if server is not None:
        wire = WireResolver(servers=[parseServer(server)], reactor=reactor)
        return CachingResolver(wire, reactor)
    system = WireResolver(resolv="/etc/resolv.conf", reactor=reactor)
    return CachingResolver(ResolverChain([hosts.Resolver(), system]), reactor)


def _clamped(ttl: int | None) -> int:
    if ttl is None or not 0 <= ttl < _TTL_SIGN:
        return 0
    return min(ttl, MAX_TTL)


def _nameError(failure: Failure) -> Failure:
    if not isinstance(failure.value, RouteError):
        return failure
    reason = failure.value.trouble
    if reason.kind is TroubleKind.NO_SUCH_DOMAIN:
        return Failure(DNSNameError(reason.text))
    return Failure(DomainFailure(reason.text))
