# -*- test-case-name: relaymail.test.route.test_facts -*-
"""
What is to be known of the hosts of a destination before mail goes to them, what was
found when it was looked up, and how sure that is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from relaymail.replies import Trouble, printable
from relaymail.route.aliases import foldName
from relaymail.route.hosts import Lookup
from relaymail.route.levels import TLSLevel
from relaymail.route.terms import NO_TERMS, Terms
from relaymail.route.tlsa import TLSA

#: The levels at which a policy of MTA-STS is asked for.  Where only TLSA records
#: count it could change nothing.
WITH_STS = frozenset(TLSLevel) - {TLSLevel.NONE, TLSLevel.DANE_ONLY}


@dataclass(frozen=True, slots=True)
class Aim:
    """
    What is to be protected.

    @ivar destination: The domain that the mail is for, or an address literal.
    @ivar terms: What the operator says.
    @ivar requireTLS: Whether the mail may go over TLS only (RFC 8689 4.2.1).
    @ivar tlsOptional: Whether it goes also where what the destination wants of TLS
        cannot be had (RFC 8689 4.3).
    """

    destination: str
    terms: Terms = NO_TERMS
    requireTLS: bool = False
    tlsOptional: bool = False

    @property
    def usesPolicies(self) -> bool:
        """
        Whether what the destination itself wants counts.
        """
        # A message that says both is protected (RFC 8689 4.1).
        return self.requireTLS or not self.tlsOptional

    @property
    def usesDANE(self) -> bool:
        """
        Whether TLSA records are looked for.
        """
        level = self.terms.level
        if level is TLSLevel.DANE:
            return self.usesPolicies
        # Mail that may go over TLS only is as safe by either kind of proof.
        isEither = self.requireTLS and level is not TLSLevel.VERIFY
        return level is TLSLevel.DANE_ONLY or isEither

    @property
    def usesSTS(self) -> bool:
        """
        Whether a policy of MTA-STS is looked for.
        """
        level = self.terms.level
        if level is TLSLevel.DANE_ONLY or self.destination.startswith("["):
            return False
        if self.requireTLS or level is TLSLevel.VERIFY:
            # That says also which hosts are those of the destination.
            return True
        return self.usesPolicies and level in WITH_STS


class Assurance(Enum):
    """
    How sure an answer of the DNS is (RFC 7672 2.1.1).
    """

    #: It is signed, and the signatures are right; that there is nothing, too.
    SECURE = "secure"
    #: It is from a part of the DNS that is not signed, or nobody checked.
    INSECURE = "insecure"
    #: There was none, or its signatures are wrong.
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Exchange:
    """
    What is known of where the names of the hosts are from.

    @ivar isSecure: Whether the lookup of the MX records was.
    @ivar isImplicit: Whether there are none, so that the destination is its own
        host (RFC 5321 5.1).
    @ivar expanded: What the destination is an alias of; empty where it is none.
    """

    isSecure: bool = False
    isImplicit: bool = False
    expanded: str = ""


@dataclass(frozen=True, slots=True)
class Reach:
    """
    What is known of the addresses of a host.

    @ivar assurance: How sure they are, with all aliases on the way.
    @ivar canonical: What the host is an alias of, in the end; empty where it is none.
    @ivar isSecureAlias: Whether that it is an alias is for certain.
    @ivar trouble: Why there are none, where it failed.
    """

    assurance: Assurance
    canonical: str = ""
    isSecureAlias: bool = False
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class TLSASet:
    """
    What is known of the TLSA records of a name.

    @ivar base: The name (the TLSA base domain of RFC 7672 2.2.2).
    @ivar assurance: How sure it is.
    @ivar records: The records.
    @ivar trouble: Why nothing is known, where it failed.
    """

    base: str
    assurance: Assurance
    records: tuple[TLSA, ...] = ()
    trouble: Trouble | None = None

    @property
    def usable(self) -> tuple[TLSA, ...]:
        """
        Those that mean something (RFC 7672 3.1).
        """
        return tuple(record for record in self.records if record.isUsable)

    @property
    def decides(self) -> bool:
        """
        Whether it is what counts for the host: the next name is asked for only
        where it is certain that nothing counts here (RFC 7672 2.2.2).
        """
        isFailed = self.assurance is Assurance.FAILED
        return isFailed or (self.assurance is Assurance.SECURE and bool(self.records))


@dataclass(frozen=True, slots=True)
class Candidate:
    """
    What is known of a host.

    @ivar name: Its name, as it stands in the MX record.
    @ivar reach: What is known of its addresses; L{None}: they were not asked for.
    @ivar tlsa: What is known of its TLSA records, in the order of asking.
    """

    name: str
    reach: Reach | None = None
    tlsa: tuple[TLSASet, ...] = ()


def asksTLSA(aim: Aim, exchange: Exchange, name: str) -> bool:
    """
    Tell whether the TLSA records of a host would count (RFC 7672 2.2.1): names that
    anybody on the way may have put there prove nothing.

    @param name: The name of the host.
    """
    # An alias that is not signed may have led to the host of a domain without MX
    # records.
    isItself = exchange.isImplicit and foldName(name) == foldName(aim.destination)
    isCertain = exchange.isSecure or isItself
    return aim.usesDANE and isCertain and not isAddress(name)


def basesOf(name: str, reach: Reach) -> tuple[str, ...]:
    """
    Name where the TLSA records of a host are looked for, the first first (RFC 7672
    2.2.2).

    @param name: The name of the host.
    @param reach: What is known of its addresses.
    """
    if reach.assurance is Assurance.FAILED:
        return ()
    if reach.assurance is Assurance.SECURE:
        # The name that the aliases lead to comes first, if there are any.
        names = [foldName(x) for x in (reach.canonical, name) if x]
        return tuple(dict.fromkeys(names))
    return (foldName(name),) if reach.canonical and reach.isSecureAlias else ()


def lookupsOf(
    aim: Aim, exchange: Exchange, candidates: Iterable[Candidate]
) -> tuple[Lookup, ...]:
    """
    Give what was asked of the DNS, with how sure the answers are, for people.
    """
    state = Assurance.SECURE if exchange.isSecure else Assurance.INSECURE
    why = "there are none: it is its own host" if exchange.isImplicit else ""
    if exchange.expanded:
        why = f"it is an alias of {exchange.expanded}"
    found = [Lookup("MX", aim.destination, state.value, printable(why))]
    for candidate in candidates:
        reach = candidate.reach
        if reach is not None:
            told = f"it is an alias of {reach.canonical}" if reach.canonical else ""
            told = reach.trouble.detail if reach.trouble is not None else told
            name, state = printable(candidate.name), reach.assurance
            found.append(Lookup("addresses", name, state.value, printable(told)))
        for known in candidate.tlsa:
            usable = len(known.usable)
            told = f"{usable} of {len(known.records)} usable" if known.records else ""
            told = known.trouble.detail if known.trouble is not None else told
            name, state = printable(known.base), known.assurance
            found.append(Lookup("TLSA", name, state.value, printable(told)))
    return tuple(found)


def isAddress(name: str) -> bool:
    """
    Tell whether what stands for a host is an address of the network.
    """
    # Names have a letter in their last label (RFC 1123 2.1).
    return ":" in name or name.rpartition(".")[2].isdigit()
