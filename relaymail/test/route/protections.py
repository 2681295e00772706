"""
Facts about hosts, made in a line, and what L{relaymail.route.protection} makes of
them.
"""

from __future__ import annotations

from relaymail.errors import RouteError
from relaymail.replies import Phase, Trouble, TroubleKind
from relaymail.route.facts import (
    Aim,
    Assurance,
    Candidate,
    Exchange,
    Reach,
    TLSASet,
)
from relaymail.route.hosts import Host, Route
from relaymail.route.levels import TLSLevel
from relaymail.route.protection import protect
from relaymail.route.sts.policy import NOTHING, Found, STSMode, STSPolicy
from relaymail.route.terms import Terms
from relaymail.route.tlsa import TLSA

SECURE, INSECURE, FAILED = Assurance.SECURE, Assurance.INSECURE, Assurance.FAILED

DOMAIN = "example.org"
#: A host that is known for certain only where something says so.
MX = "mx.hoster.example"

SIGNED = Exchange(isSecure=True)
UNSIGNED = Exchange()

#: The certificate of the host itself, and of a trust anchor (RFC 7672 3.1).
EE = TLSA(3, 1, 1, b"\1" * 32)
TA = TLSA(2, 0, 1, b"\2" * 32)
#: Those that RFC 7672 3.1.3 leaves out, and some that have no meaning.
UNUSABLE = (
    TLSA(0, 0, 1, b"\3" * 32),
    TLSA(1, 1, 1, b"\3" * 32),
    TLSA(255, 1, 1, b"\3" * 32),
    TLSA(3, 7, 1, b"\3" * 32),
    TLSA(3, 1, 9, b"\3" * 32),
    TLSA(3, 1, 1, b"\3" * 31),
)

NO_ANSWER = Trouble(Phase.RESOLVE, TroubleKind.NO_ANSWER, "SERVFAIL")
NO_ADDRESS = Trouble(Phase.RESOLVE, TroubleKind.NO_SUCH_DOMAIN, "no network address")


def aimAt(
    level: TLSLevel = TLSLevel.DANE,
    requireTLS: bool = False,
    tlsOptional: bool = False,
    names: tuple[str, ...] = (),
) -> Aim:
    """
    Make an aim at L{DOMAIN}.
    """
    return Aim(DOMAIN, Terms(level, names), requireTLS, tlsOptional)


def having(*records: TLSA, name: str = MX, assurance: Assurance = SECURE) -> Candidate:
    """
    Make a host with signed addresses, of which TLSA records were asked for.
    """
    return Candidate(name, Reach(SECURE), (TLSASet(name, assurance, records),))


def unanswered(name: str = MX) -> Candidate:
    """
    Make a host with signed addresses, whose TLSA records cannot be had.
    """
    known = TLSASet(name, FAILED, (), NO_ANSWER)
    return Candidate(name, Reach(SECURE), (known,))


def unsigned(name: str = MX) -> Candidate:
    """
    Make a host whose addresses are not signed.
    """
    return Candidate(name, Reach(INSECURE))


def sts(*patterns: str, mode: STSMode = STSMode.ENFORCE, domain: str = DOMAIN) -> Found:
    """
    Make a policy of MTA-STS.
    """
    lines = ("version: STSv1", f"mode: {mode.value}")
    return Found(STSPolicy(mode, patterns, 86400, "1", lines))


def routed(
    aim: Aim, exchange: Exchange, *candidates: Candidate, policy: Found = NOTHING
) -> Route:
    """
    Give the route.
    """
    return protect(aim, exchange, candidates, policy)


def oneHost(
    aim: Aim, exchange: Exchange, candidate: Candidate, policy: Found = NOTHING
) -> Host:
    """
    Give the only host of the route.
    """
    (host,) = routed(aim, exchange, candidate, policy=policy).hosts
    return host


def refusal(
    aim: Aim, exchange: Exchange, *candidates: Candidate, policy: Found = NOTHING
) -> RouteError:
    """
    Give what keeps mail from all hosts.
    """
    try:
        route = protect(aim, exchange, candidates, policy)
    except RouteError as e:
        return e
    raise AssertionError(f"there is a route: {route}")
