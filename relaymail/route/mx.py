# -*- test-case-name: relaymail.test.route.test_mx -*-
"""
Which hosts take mail for a domain (RFC 5321 5.1), and whether that is certain
(L{relaymail.route.security}).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from random import Random
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.error import DNSLookupError
from twisted.logger import Logger
from twisted.names import dns
from twisted.names.error import DNSNameError
from twisted.python.failure import Failure

from relaymail.addresses import MAX_DOMAIN, literalAddress, normalDomain
from relaymail.errors import RouteError
from relaymail.replies import Phase, Trouble, TroubleKind
from relaymail.route.aliases import (
    CanonicalNameChainTooLong,
    CanonicalNameLoop,
    canonicalName,
    foldName,
    nameText,
    recordsByName,
    walk,
)
from relaymail.route.lookup import lookupAddresses
from relaymail.route.resolver import makeResolver
from relaymail.route.security import isSecure, shorter, ttlOf, vouched
from relaymail.route.troubles import NoMX, NullMX, isNoSuchName, troubleOf

__all__ = ["CanonicalNameChainTooLong", "CanonicalNameLoop", "MXCalculator"]

#: The most hosts of a domain that are tried in one attempt; the rest of a
#: longer list serves nobody but an attacker.
MAX_HOSTS = 20
#: The most hosts that are remembered as bad; the first are forgotten.
MAX_BAD = 10_000
#: How long all lookups for one domain may take together, in seconds.  The
#: resolver's own bounds are tighter; this one holds for any resolver.
MAX_WAIT = 120

Answers = Mapping[str, list[Any]]


class Exchanges(list[Any]):
    """
    The hosts of a domain: MX records, in the order in which they are to be tried.

    @ivar isSecure: Whether it is certain that they are those of the domain: the answer
        with the records, or that there are none, is secure, and each with an alias
        that led there (RFC 7672 2.2.1).
    @ivar isImplicit: Whether the domain has no MX records, so that it is its own host
        (RFC 5321 5.1).
    @ivar ttl: For how many seconds that holds from now on, at least; L{None} where it
        is not known.
    @ivar canonical: What the domain is called after all aliases, without a trailing
        dot; empty where it is no alias.
    """

    __slots__ = ("canonical", "isImplicit", "isSecure", "ttl")

    def __init__(
        self,
        records: Iterable[Any] = (),
        isSecure: bool = False,
        isImplicit: bool = False,
        ttl: int | None = None,
        canonical: str = "",
    ) -> None:
        """
        @param records: The records.
        @param isSecure: See C{isSecure}.
        @param isImplicit: See C{isImplicit}.
        @param ttl: See C{ttl}.
        @param canonical: See C{canonical}.
        """
        list.__init__(self, records)
        self.canonical = canonical
        self.isSecure = isSecure
        self.isImplicit = isImplicit
        self.ttl = ttl


class MXCalculator:
    """
    Looks up the mail exchange hosts of domains, and remembers which of them
    did not work.

    @cvar timeOutBadMX: How long a host that did not work comes after the
        others, in seconds.
    @cvar fallbackToDomain: Whether a domain without MX records is its own
        mail exchange host (the implicit MX of RFC 5321 5.1).
    @cvar shuffle: Puts a list of records of equal preference into an order by
        chance, in place (RFC 5321 5.1 asks for it); L{None} for a generator
        of this object's own.

    @ivar badMXs: The hosts that did not work, by their name in lower case:
        the time from which each is as good as any.
    @ivar resolver: An L{IResolver <twisted.internet.interfaces.IResolver>}
        provider, of which C{lookupMailExchange} is used, and C{getHostByName}
        or C{lookupAddress} and C{lookupIPV6Address}.
    @ivar clock: An L{IReactorTime <twisted.internet.interfaces.IReactorTime>}
        provider.
    """

    _log = Logger()

    timeOutBadMX: float = 60 * 60
    fallbackToDomain = True
    shuffle: Callable[[list[Any]], None] | None = None

    badMXs: dict[str, float]
    resolver: Any
    clock: Any

    def __init__(self, resolver: Any = None, clock: Any = None) -> None:
        """
        @param resolver: See C{resolver}; L{None} for the system's.
        @param clock: See C{clock}; L{None} for the global reactor.
        """
        self.badMXs = {}
        if clock is None:
            from twisted.internet import reactor as clock
        self.clock = clock
        self.resolver = makeResolver() if resolver is None else resolver

    def markBad(self, mx: bytes | str) -> None:
        """
        Remember that a host does not work.

        @param mx: The host's name.
        """
        host = foldName(mx)
        self.badMXs.pop(host, None)
        self.badMXs[host] = self.clock.seconds() + self.timeOutBadMX
        while len(self.badMXs) > MAX_BAD:
            del self.badMXs[next(iter(self.badMXs))]

    def markGood(self, mx: bytes | str) -> None:
        """
        Remember that a host works.

        @param mx: The host's name.
        """
        self.badMXs.pop(foldName(mx), None)

    def getMX(
        self, domain: bytes | str, maximumCanonicalChainLength: int = 3
    ) -> Deferred[dns.Record_MX]:
        """
        Find the best host for a domain.

        @param domain: A domain name or an address literal (RFC 5321 4.1.3).
        @param maximumCanonicalChainLength: How many aliases that lead out of
            an answer are followed.

        @return: Fires with the record of a host that is not known to be bad,
            if there is one, else with the first of the bad ones; for a domain
            without MX records, with a record that names its address.  Fails
            with L{CanonicalNameLoop} or L{CanonicalNameChainTooLong}; with
            L{OSError} where there is no MX record and L{fallbackToDomain} is
            off; with L{DNSLookupError
            <twisted.internet.error.DNSLookupError>} where there is no address
            either, or the domain takes no mail (RFC 7505); and with what the
            resolver's lookup failed with.
        """
        literal = _literal(domain)
        if literal is not None:
            return defer.succeed(literal)
        name = _asked(domain)
        d = defer.maybeDeferred(self.resolver.lookupMailExchange, name)
        d.addCallback(self._filterRecords)
        d.addCallback(self._cbMX, name, maximumCanonicalChainLength)
        return d.addErrback(self._ebMX, name)

    def getMXs(
        self, domain: bytes | str, maximumCanonicalChainLength: int = 3
    ) -> Deferred[Exchanges]:
        """
        Find all hosts for a domain, in the order in which they are to be
        tried: by preference, by chance among equals, and those known to be
        bad after all others.

        A subclass that overrides L{getMX}, L{_cbMX} or L{_ebMX} decides which
        host it is: then there is only that one.

        @param domain: A domain name or an address literal (RFC 5321 4.1.3).
        @param maximumCanonicalChainLength: How many aliases that lead out of
            an answer are followed.

        @return: Fires with L{Exchanges}: one to L{MAX_HOSTS} records, no host
            twice; those of a subclass are not secure.  A domain without MX
            records has its own name as the only one.  Fails
            with L{RouteError}: C{NULL_MX} where the domain takes no mail (RFC
            7505), C{NO_SUCH_DOMAIN} where it has neither MX records nor an
            address, C{NO_ANSWER} where that could not be found out.
        """
        d: Deferred[Any]
        if self._isTailored():
            d = defer.maybeDeferred(self.getMX, domain, maximumCanonicalChainLength)
            d.addCallback(lambda record: Exchanges([record]))
        else:
            d = defer.maybeDeferred(self._all, domain, maximumCanonicalChainLength)
        d.addTimeout(MAX_WAIT, self.clock)
        return d.addErrback(_asRouteError, domain)

    def _all(self, domain: bytes | str, cnamesLeft: int) -> Deferred[Any]:
        literal = _literal(domain)
        if literal is not None:
            return defer.succeed(Exchanges([literal]))
        name = _asked(domain)
        d = defer.maybeDeferred(self.resolver.lookupMailExchange, name)
        d.addCallback(self._cbAll, name, cnamesLeft)
        return d.addErrback(self._ebAll, name)

    def _cbAll(self, answer: Any, name: str, cnamesLeft: int) -> Any:
        """
        Take the hosts from an answer, and whether they are certain.
        """
        answers = self._filterRecords(answer)
        try:
            found = self._hosts(answers, name, cnamesLeft, self._all)
        except DNSNameError as error:
            raise vouched(error, isSecure(answer), ttlOf(answer)) from None
        last = canonicalName(answers, name)
        if isinstance(found, list):
            return Exchanges(found, isSecure(answer), False, ttlOf(answer), last)
        return found.addCallback(_joined, answer, last)

    def _isTailored(self) -> bool:
        return any(
            getattr(hook, "__func__", None) is not original
            for hook, original in (
                (self.getMX, MXCalculator.getMX),
                (self._cbMX, MXCalculator._cbMX),
                (self._ebMX, MXCalculator._ebMX),
            )
        )

    def _filterRecords(self, records: Any) -> dict[str, list[Any]]:
        """
        Sort the records of an answer by the name they belong to.

        @param records: The three sections of the answer, the first of them
            with the answering resource records.

        @return: The payloads of each name, names in lower case.
        """
        return recordsByName((header.name, header.payload) for header in records[0])

    def _cbMX(
        self, answers: Answers, domain: str, cnamesLeft: int
    ) -> Any:  # a record, or a Deferred of one
        """
        Choose a host from an answer.

        @param answers: The payloads of each name.
        @param domain: The name that was asked for.
        @param cnamesLeft: How many more aliases may be followed.

        @return: The record, or a Deferred that fires with it.
        """
        found = self._hosts(answers, domain, cnamesLeft, self.getMX)
        return found[0] if isinstance(found, list) else found

    def _hosts(
        self,
        answers: Answers,
        domain: str,
        cnamesLeft: int,
        again: Callable[[str, int], Any],
    ) -> Any:  # the records in order, or what again gives
        """
        Take the hosts from an answer, or ask again where it is but an alias.
        """
        folded = {foldName(name): records for name, records in answers.items()}
        records = walk(folded, domain)
        if records and records[0].TYPE == dns.CNAME:
            if cnamesLeft <= 0:
                raise CanonicalNameChainTooLong(records[0])
            return again(nameText(records[0].name), cnamesLeft - 1)
        if not records:
            raise DNSNameError(f"{domain} has no MX records")
        return self._ordered(_usable(records, domain))

    def _ordered(self, records: list[Any]) -> list[Any]:
        """
        Put records into the order of trying, and leave out what is too many.
        """
        shuffle = self.shuffle
        if shuffle is None:
            shuffle = self.shuffle = Random().shuffle
        mixed = list(records)
        shuffle(mixed)
        mixed.sort(key=attrgetter("preference"))
        unique: dict[str, Any] = {}
        for record in mixed:
            unique.setdefault(foldName(record.name), record)
        return sorted(unique.values(), key=self._isBad)[:MAX_HOSTS]

    def _isBad(self, record: Any) -> bool:
        host = foldName(record.name)
        until = self.badMXs.get(host)
        if until is None:
            return False
        if self.clock.seconds() < until:
            return True
        del self.badMXs[host]
        return False

    def _ebMX(self, failure: Failure, domain: str) -> Any:
        """
        Take the domain itself for the host, where the lookup failed because
        there are no MX records.

        @param failure: What the lookup failed with.
        @param domain: The name that was asked for.

        @return: The failure, or a Deferred that fires with a record.
        """
        if not _hasNoMX(failure):
            return failure
        if not self.fallbackToDomain:
            raise NoMX(f"{domain} has no MX records")
        self._log.info(
            "{domain} has no MX records; its own address is used", domain=domain
        )
        d: Deferred[Any] = defer.maybeDeferred(self.resolver.getHostByName, domain)
        d.addErrback(_noAddress, domain)
        return d.addCallback(lambda address: dns.Record_MX(name=address))

    def _ebAll(self, failure: Failure, domain: str) -> Any:
        """
        The same for all hosts: the host is the domain's name, once it is known
        to have an address.
        """
        if not _hasNoMX(failure):
            return failure
        if not self.fallbackToDomain:
            raise NoMX(f"{domain} has no MX records")
        d: Deferred[Any] = lookupAddresses(self.resolver, domain)
        return d.addCallback(_implicit, domain, failure.value)


def _joined(found: Exchanges, answer: Any, last: str) -> Exchanges:
    """
    What an alias leads to is as certain as the alias.
    """
    found.canonical = found.canonical or last
    found.isSecure = found.isSecure and isSecure(answer)
    found.ttl = shorter(found.ttl, ttlOf(answer))
    return found


def _implicit(addresses: list[str], domain: str, reason: object) -> Exchanges:
    # Whether the addresses are secure is asked where they are used.
    ttl = shorter(ttlOf(reason), getattr(addresses, "ttl", None))
    hosts = [dns.Record_MX(name=domain)]
    return Exchanges(hosts, isSecure(reason), isImplicit=True, ttl=ttl)


def _asked(domain: bytes | str) -> str:
    """
    Give the name to ask for: text, no trailing dot, A-labels (RFC 5890).
    """
    text = domain if isinstance(domain, str) else domain.decode("utf-8", "replace")
    return text.removesuffix(".") if text.isascii() else normalDomain(text)


def _literal(domain: bytes | str) -> dns.Record_MX | None:
    if domain[:1] not in ("[", b"["):
        return None
    return dns.Record_MX(name=literalAddress(normalDomain(domain)) or "")


def _usable(records: list[Any], domain: str) -> list[Any]:
    """
    Leave out the records that name no host.

    @raise NullMX: When all of them say that there is none (RFC 7505 3).
    """
    if not any(nameText(r.name) for r in records):
        raise NullMX(f"{domain} takes no mail (RFC 7505)")
    usable = [r for r in records if _isHostName(nameText(r.name))]
    if not usable:
        raise _unanswered(domain, "none of its MX records names a host")
    return usable


def _isHostName(name: str) -> bool:
    plain = name.isascii() and name.isprintable() and not set(name) & set(" \\@/")
    labels = name.split(".")
    return plain and len(name) <= MAX_DOMAIN and all(0 < len(x) < 64 for x in labels)


def _hasNoMX(failure: Failure) -> bool:
    reason = failure.value
    return isNoSuchName(reason) and not isinstance(reason, (DNSLookupError, NoMX))


def _noAddress(failure: Failure, domain: str) -> Failure:
    if isNoSuchName(failure.value):
        raise DNSLookupError(f"{domain} has neither MX records nor an address")
    return failure


def _unanswered(domain: str, detail: str) -> RouteError:
    return RouteError(
        Trouble(Phase.RESOLVE, TroubleKind.NO_ANSWER, f"{domain}: {detail}")
    )


def _asRouteError(failure: Failure, domain: bytes | str) -> Failure:
    trouble = troubleOf(failure, Phase.RESOLVE)
    if trouble.kind is TroubleKind.LOCAL:
        MXCalculator._log.failure(
            "The hosts of {domain} could not be looked up; its mail waits",
            failure,
            domain=nameText(domain),
        )
    return Failure(RouteError(trouble))
