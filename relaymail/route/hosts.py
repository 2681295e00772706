# -*- test-case-name: relaymail.test.route.test_hosts -*-
"""
Hosts, in the order in which they are to be tried.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from relaymail.protections import Applied
from relaymail.route.tlsa import TLSA

if TYPE_CHECKING:
    from relaymail.identities import ITokens
    from relaymail.route.sts.policy import STSPolicy


class TLSNeed(Enum):
    """
    What a session with a host needs before mail goes over it.
    """

    NEVER = "in clear"
    OFFERED = "encrypted where the host offers it"
    ENCRYPTED = "encrypted, the certificate not looked at"
    VERIFIED = "encrypted, with a certificate that is valid for the host"
    DANE = "encrypted, with a certificate that the host's TLSA records name"


@dataclass(frozen=True, slots=True)
class Credentials:
    """
    Who to be at a smart host.

    @ivar user: The user's name.
    @ivar password: The secret; it is in no C{repr}.
    """

    user: str
    password: bytes

    def __repr__(self) -> str:
        return f"Credentials(user={self.user!r}, password=…)"


@dataclass(frozen=True, slots=True)
class Bearer:
    """
    Who to be at a smart host that wants tokens (RFC 6749, RFC 7628).

    @ivar user: The user's name.
    @ivar account: What tells the source of the tokens from all others: two that
        have it in common are the same.
    @ivar tokens: Gives the tokens.
    """

    user: str
    account: str
    tokens: ITokens = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Host:
    """
    A host to deliver to.

    @ivar name: A host name or a network address, as text.
    @ivar port: The port, or L{None} for the manager's C{PORT}.
    @ivar tls: What the session needs.
    @ivar implicitTLS: Whether TLS starts with the connection (RFC 8314 3).
    @ivar credentials: Who to be there, if anybody.
    @ivar named: Whether the operator named the host: its addresses are then
        not checked against what the relay may connect to.
    @ivar authInClear: Whether the credentials may be given to the host
        without TLS, because the operator said so.
    @ivar caFile: The path of a file of certificates (PEM) that are trusted
        instead of the system's, where C{tls} is C{VERIFIED}; L{None} for the
        system's.
    @ivar lmtp: Whether LMTP is spoken there (RFC 2033).
    @ivar path: The path of its UNIX socket, where it has no network address;
        C{name} is then what people call it.
    @ivar requireTLS: Whether the connection is for mail that may go over TLS
        only (RFC 8689 4.2.1).
    @ivar tlsa: Its TLSA records, where C{tls} is C{DANE}.
    @ivar names: The names that its certificate may have, where that is not C{name}
        alone; the first is the one that TLS asks for (SNI).
    @ivar certFile: The path of the certificate (PEM) that this relay shows there.
    @ivar keyFile: The path of its key.
    @ivar source: The addresses of this machine that connections to it come from, one
        for each family; none: the system's choice.
    @ivar helo: What this relay calls itself there; empty: as everywhere.
    @ivar tested: A policy of MTA-STS that its sessions need not fulfil, but of which
        it is told whether they do (RFC 8461 5).
    @ivar why: Why the session needs what it needs, for people.
    @ivar inClear: Whether it is spoken to in clear this time, though TLS is used where
        it works (C{OFFERED}): it does not.  It is the same host all the same.
    """

    name: str
    port: int | None = None
    tls: TLSNeed = TLSNeed.OFFERED
    implicitTLS: bool = False
    credentials: Credentials | Bearer | None = None
    named: bool = False
    authInClear: bool = False
    caFile: str | None = None
    lmtp: bool = False
    path: str | None = None
    requireTLS: bool = False
    tlsa: tuple[TLSA, ...] = ()
    names: tuple[str, ...] = ()
    certFile: str | None = None
    keyFile: str | None = None
    source: tuple[str, ...] = ()
    helo: str = ""
    tested: STSPolicy | None = field(default=None, compare=False)
    why: str = field(default="", compare=False)
    inClear: bool = field(default=False, compare=False)

    def __hash__(self) -> int:
        """
        Hash what differs: hosts are keys of what is asked for each message.
        """
        return hash((self.name, self.port))


class Lookup(NamedTuple):
    """
    What was asked of the DNS, for people.

    @ivar kind: The kind of records: C{"MX"}, C{"addresses"} or C{"TLSA"}.
    @ivar name: Of which name.
    @ivar state: How sure the answer is (RFC 4035 4.3): C{"secure"}, C{"insecure"} or
        C{"failed"}.
    @ivar why: What is to be known beyond that, such as what went wrong.
    """

    kind: str
    name: str
    state: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """
    The hosts for a destination, best first, at least one.

    @ivar lane: What connections may be shared within: two routes with the
        same hosts, credentials and TLS needs have equal lanes.
    @ivar ranks: How each host is preferred, the lower the better, where that is
        known of all of them.
    @ivar until: How long it may be taken for the route, in seconds of the reactor's
        clock; L{None}: for one attempt.
    @ivar applied: The policies that say how its sessions are protected.
    @ivar left: The hosts that are not tried, each with why, for people.
    @ivar mayRecover: Whether one of those may be tried later: what the others say for
        good is then no reason to give up the mail.
    @ivar lookups: What was asked of the DNS to find that out, as far as it matters how
        sure the answers are.
    """

    hosts: tuple[Host, ...]
    until: float | None = field(default=None, compare=False)
    applied: tuple[Applied, ...] = field(default=(), compare=False)
    left: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    ranks: tuple[int, ...] = field(default=(), compare=False)
    mayRecover: bool = field(default=False, compare=False)
    lookups: tuple[Lookup, ...] = field(default=(), compare=False)

    def ranked(self, preferences: Mapping[str, int]) -> Route:
        """
        Say how its hosts are preferred.

        @param preferences: The number of each by its name, the lower the better; the
            others come after these, as they stand.
        """
        last = max(preferences.values(), default=0)
        numbered = enumerate(self.hosts, last + 1)
        ranks = tuple(preferences.get(host.name, n) for n, host in numbered)
        return replace(self, ranks=ranks)

    @property
    def lane(self) -> Hashable:
        """
        What connections may be shared within.
        """
        if len(self.ranks) != len(self.hosts):
            return self.hosts
        # By chance, or because one does not work, equals stand in another order.
        levels = sorted(set(self.ranks))
        ranked = zip(map(levels.index, self.ranks), self.hosts, strict=True)
        return tuple(sorted(ranked, key=lambda x: (x[0], x[1].name, x[1].port or 0)))
