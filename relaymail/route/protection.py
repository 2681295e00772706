# -*- test-case-name: relaymail.test.route.test_protection -*-
"""
How sessions with the hosts of a destination are protected: by what the operator
wants, what the destination says of itself, and how sure what was looked up is.

Everything that had to be asked is an argument, and the answer is a route, so that
each row of the tables of RFC 7672 2.2 and RFC 8461 4 and 5 can be tried on its own.
Nothing that was looked for and not found for certain makes a session weaker: a host
of which it cannot be told how it is to be protected is left out, and the mail waits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from relaymail.errors import RouteError
from relaymail.protections import Applied, PolicyKind, TLSResult
from relaymail.replies import Phase, Trouble, TroubleKind, printable
from relaymail.route.aliases import foldName
from relaymail.route.facts import (
    WITH_STS,
    Aim,
    Assurance,
    Candidate,
    Exchange,
    TLSASet,
    asksTLSA,
    basesOf,
    isAddress,
    lookupsOf,
)
from relaymail.route.hosts import Host, Route, TLSNeed
from relaymail.route.levels import TLSLevel
from relaymail.route.sts.policy import NOTHING, Found, STSMode
from relaymail.route.tlsa import TLSA

#: What sessions need at the least, by what the operator wants.  What C{VERIFY} and
#: C{DANE_ONLY} want is more, and is no matter of the least.
_LEAST = {
    TLSLevel.NONE: TLSNeed.NEVER,
    TLSLevel.OPPORTUNISTIC: TLSNeed.OFFERED,
    TLSLevel.ENCRYPT: TLSNeed.ENCRYPTED,
    TLSLevel.VERIFY: TLSNeed.VERIFIED,
    TLSLevel.DANE: TLSNeed.OFFERED,
    TLSLevel.DANE_ONLY: TLSNeed.DANE,
}
#: Why a session needs what it does where no policy says so.
_WHY = {
    TLSLevel.NONE: "the operator wants no TLS",
    TLSLevel.OPPORTUNISTIC: "neither the operator nor the destination asks for more",
    TLSLevel.ENCRYPT: "the operator wants mail encrypted on its way there",
    TLSLevel.DANE: "no TLSA records ask for more",
}
#: What comes before what when there is no host left and one trouble is to stand for
#: all: what may pass before what will not.
_FIRST = (
    TroubleKind.TLS,
    TroubleKind.NO_ANSWER,
    TroubleKind.NO_REQUIRETLS,
    TroubleKind.NO_SUCH_DOMAIN,
)
#: What is as it is, however often it is looked up.
_LASTING = frozenset({TroubleKind.NO_REQUIRETLS, TroubleKind.NO_SUCH_DOMAIN})


def protect(
    aim: Aim,
    exchange: Exchange,
    candidates: Iterable[Candidate],
    sts: Found = NOTHING,
    until: float | None = None,
) -> Route:
    """
    Say which hosts get the mail of a destination, and what sessions with each need.

    @param aim: What is to be protected.
    @param exchange: Where the names of the hosts are from.
    @param candidates: What is known of each, the best first; at least one.
    @param sts: What is known of the MTA-STS policy of the destination.
    @param until: See L{Route}.

    @raise RouteError: When no host is left; its trouble says what keeps each from
        being used, and is one that passes if that of any may.
    """
    policy = sts if aim.usesSTS else NOTHING
    found = [(c, _decide(aim, exchange, c, policy)) for c in candidates]
    hosts = tuple(one for _, one in found if isinstance(one, Host))
    left = [(c.name, one) for c, one in found if isinstance(one, Trouble)]
    applied = _applied(aim, (c for c, _ in found), policy)
    if not hosts:
        raise RouteError(_noneLeft([trouble for _, trouble in left]), applied)
    reasons = tuple((name, trouble.detail) for name, trouble in left)
    mayRecover = any(trouble.kind not in _LASTING for _, trouble in left)
    lookups = lookupsOf(aim, exchange, (c for c, _ in found))
    return Route(hosts, until, applied, reasons, mayRecover=mayRecover, lookups=lookups)


def isMismatch(aim: Aim, name: str, sts: Found) -> bool:
    """
    Tell whether a policy that is enforced keeps mail from a host because it does not
    name it (RFC 8461 4.1).

    @param aim: What is to be protected.
    @param name: The name of the host.
    @param sts: What is known of the policy.
    """
    policy = sts.policy
    if policy is None or policy.mode is not STSMode.ENFORCE:
        return False
    return aim.usesPolicies and aim.usesSTS and not policy.matches(name)


def appliedTo(host: Host, applied: tuple[Applied, ...]) -> tuple[Applied, ...]:
    """
    Give those policies of a destination that sessions with one of its hosts go by.

    @param applied: The policies that were applied to any of them.
    """
    own = host.names[0] if host.names else foldName(host.name)
    goneBy = {
        PolicyKind.DANE: lambda policy: foldName(policy.domain) == own,
        # DANE goes first (RFC 8461 2).
        PolicyKind.STS: lambda policy: host.tls is not TLSNeed.DANE,
        PolicyKind.NONE: lambda policy: True,
    }
    found = tuple(policy for policy in applied if goneBy[policy.kind](policy))
    return found or applied


def _decide(
    aim: Aim, exchange: Exchange, candidate: Candidate, sts: Found
) -> Host | Trouble:
    """
    Say what sessions with one host need, or why there are to be none.
    """
    isAsked = asksTLSA(aim, exchange, candidate.name)
    tlsa = _signed(candidate) if isAsked else None
    if isinstance(tlsa, Trouble):
        return tlsa
    if tlsa is not None and tlsa.usable:
        return _byDANE(aim, exchange, candidate, tlsa)
    if aim.terms.level is TLSLevel.DANE_ONLY:
        return _noDANE(aim, exchange, candidate, tlsa)
    # DANE goes first, so that here it has nothing to say of who the host is (RFC
    # 8461 2).
    if isMismatch(aim, candidate.name, sts):
        return _mismatch(aim, candidate)
    if aim.requireTLS or aim.terms.level is TLSLevel.VERIFY:
        return _byName(aim, exchange, candidate, sts)
    return _byPolicy(aim, candidate, tlsa, sts)


def _signed(candidate: Candidate) -> TLSASet | Trouble | None:
    """
    Give the TLSA records that count for a host, if any do.
    """
    reach = candidate.reach
    if reach is None:
        # Whoever forgets to ask must not make sessions weaker by that.
        return _unknown(candidate.name, None)
    if reach.assurance is Assurance.FAILED:
        return _unknown(candidate.name, reach.trouble)
    known = {foldName(one.base): one for one in candidate.tlsa}
    for base in basesOf(candidate.name, reach):
        found = known.get(base)
        if found is None:
            return _unknown(candidate.name, None)
        if found.assurance is Assurance.FAILED:
            # A server that cannot say is not one that says no (RFC 7672 2.1.2).
            return _unknownTLSA(found)
        if found.decides:
            return found
    return None


def _byDANE(aim: Aim, exchange: Exchange, candidate: Candidate, tlsa: TLSASet) -> Host:
    names = [foldName(tlsa.base)]
    if exchange.isSecure and not exchange.isImplicit:
        # RFC 7672 3.2.2: what the names of the hosts were had for is as certain.
        names += [foldName(aim.destination), foldName(exchange.expanded)]
    records = tlsa.usable
    why = f"{_counted(records)} of {tlsa.base} must name its certificate (RFC 7672)"
    return _host(
        aim,
        candidate,
        TLSNeed.DANE,
        why,
        tlsa=records,
        names=tuple(dict.fromkeys(filter(None, names))),
    )


def _byName(
    aim: Aim, exchange: Exchange, candidate: Candidate, sts: Found
) -> Host | Trouble:
    """
    A certificate proves something only for a name that is known for certain.
    """
    why = _whyCertain(aim, exchange, candidate.name, sts)
    if why:
        who = "the sender allows TLS only" if aim.requireTLS else "the operator says so"
        return _host(aim, candidate, TLSNeed.VERIFIED, f"{who}, and {why}")
    told = (
        f"that {candidate.name} is a host of {aim.destination} is said by a DNS lookup "
        "that nobody vouches for, so that its certificate would prove nothing"
    )
    if sts.problem is not None:
        told = f"{told}, and the MTA-STS policy could not be had: {sts.why}"
    if aim.requireTLS and sts.problem is None:
        told = (
            f"its sender allows TLS only, to hosts that are known for certain: {told}; "
            "a smart host that is named can take it"
        )
        return _trouble(TroubleKind.NO_REQUIRETLS, told)
    if not aim.requireTLS:
        told = f"{told}; it may be named, if it is known to be right"
    return _trouble(TroubleKind.TLS, told, sts.problem or TLSResult.FAILED)


def _whyCertain(aim: Aim, exchange: Exchange, name: str, sts: Found) -> str:
    """
    Say why it is for certain that a host is one of the destination; empty: it is
    not.
    """
    host, domain = foldName(name), foldName(aim.destination)
    if exchange.isSecure:
        return f"the MX records of {aim.destination} are signed"
    if host == domain or domain == f"[{host}]" or domain == f"[ipv6:{host}]":
        return "it is the destination itself"
    if host.endswith(f".{domain}"):
        return f"its name is below {aim.destination}"
    if any(_isNamed(host, foldName(pattern)) for pattern in aim.terms.names):
        return "the operator names it"
    policy = sts.policy
    if policy is None or policy.mode is not STSMode.ENFORCE:
        return ""
    return f"the MTA-STS policy of {aim.destination} names it" * policy.matches(name)


def _isNamed(host: str, pattern: str) -> bool:
    if pattern.startswith("."):
        return host.endswith(pattern)
    return host == pattern


def _byPolicy(aim: Aim, candidate: Candidate, tlsa: TLSASet | None, sts: Found) -> Host:
    """
    The host is whoever it says, unless the destination says how it is known.
    """
    need, why = _LEAST[aim.terms.level], _WHY[aim.terms.level]
    policy = sts.policy
    mode = policy.mode if policy is not None else STSMode.NONE
    if mode is STSMode.ENFORCE:
        why = f"the MTA-STS policy of {aim.destination} names it, and is enforced"
        return _host(aim, candidate, TLSNeed.VERIFIED, why)
    if tlsa is not None:
        # RFC 7672 2.2: there is somebody who wants TLS, of whom no more can be told.
        why = f"none of the TLSA records of {tlsa.base} can be used, which asks for TLS"
        return _host(aim, candidate, TLSNeed.ENCRYPTED, why)
    if mode is STSMode.TESTING:
        why = f"{why}: the MTA-STS policy of {aim.destination} is only tested"
        host = _host(aim, candidate, need, why)
        return replace(host, caFile=aim.terms.caFile, tested=policy)
    if sts.problem is not None:
        why = f"{why}: the MTA-STS policy of {aim.destination} is none ({sts.why})"
    elif not aim.usesPolicies and aim.terms.level in WITH_STS:
        why = "the sender says that TLS is not required"
    return _host(aim, candidate, need, why)


def _host(
    aim: Aim,
    candidate: Candidate,
    need: TLSNeed,
    why: str,
    tlsa: tuple[TLSA, ...] = (),
    names: tuple[str, ...] = (),
) -> Host:
    terms = aim.terms
    return Host(
        candidate.name,
        tls=need,
        caFile=terms.caFile if need is TLSNeed.VERIFIED else None,
        requireTLS=aim.requireTLS,
        tlsa=tlsa,
        names=names,
        certFile=terms.certFile,
        keyFile=terms.keyFile,
        source=terms.source,
        helo=terms.helo,
        why=printable(why),
    )


def _noDANE(
    aim: Aim, exchange: Exchange, candidate: Candidate, tlsa: TLSASet | None
) -> Trouble:
    if not asksTLSA(aim, exchange, candidate.name):
        why = f"the MX records of {aim.destination} are not signed"
        if isAddress(candidate.name):
            why = "it is an address, which has none"
    elif tlsa is not None:
        why = f"none of those of {tlsa.base} can be used"
    elif candidate.reach is not None and not basesOf(candidate.name, candidate.reach):
        why = "its addresses are not signed"
    else:
        why = "there are none that are signed"
    told = f"{candidate.name} is used with TLSA records only (dane-only), and {why}"
    result = TLSResult.TLSA_INVALID if tlsa is not None else TLSResult.DANE_REQUIRED
    return _trouble(TroubleKind.TLS, told, result)


def _mismatch(aim: Aim, candidate: Candidate) -> Trouble:
    told = (
        f"{candidate.name} is none of the hosts that the MTA-STS policy of "
        f"{aim.destination} names, and the policy is enforced"
    )
    return _trouble(TroubleKind.TLS, told, TLSResult.FAILED)


def _unknown(name: str, trouble: Trouble | None) -> Trouble:
    if trouble is None:
        told = f"{name}: it is not known whether it has TLSA records"
        return _trouble(TroubleKind.NO_ANSWER, told, TLSResult.DNSSEC_INVALID)
    if trouble.kind is TroubleKind.NO_SUCH_DOMAIN:
        return trouble
    return replace(trouble, result=trouble.result or TLSResult.DNSSEC_INVALID)


def _unknownTLSA(known: TLSASet) -> Trouble:
    why = known.trouble.detail if known.trouble is not None else "there was no answer"
    told = f"the TLSA records of {known.base} could not be looked up: {why}"
    return _trouble(TroubleKind.NO_ANSWER, told, TLSResult.DNSSEC_INVALID)


def _noneLeft(troubles: list[Trouble]) -> Trouble:
    """
    Give the one trouble that stands for those of all hosts.
    """
    worst = min(troubles, key=_rank)
    told = "; ".join(dict.fromkeys(trouble.detail for trouble in (worst, *troubles)))
    return replace(worst, detail=printable(told))


def _rank(trouble: Trouble) -> int:
    # Of what is not known, more is to be hoped than of what is.
    return _FIRST.index(trouble.kind) if trouble.kind in _FIRST else -1


def _applied(
    aim: Aim, candidates: Iterable[Candidate], sts: Found
) -> tuple[Applied, ...]:
    """
    Name the policies of the destination that were found and count, for reports.
    """
    found = {}
    if aim.usesDANE:
        for candidate in candidates:
            for known in candidate.tlsa:
                if known.decides and known.base not in found:
                    found[known.base] = _appliedTLSA(known)
    policies = list(found.values())
    if aim.usesPolicies and sts != NOTHING:
        policy = sts.policy
        policies.append(
            Applied(
                PolicyKind.STS,
                aim.destination,
                policy.lines if policy is not None else (),
                policy.patterns if policy is not None else (),
                sts.problem,
                sts.why,
            )
        )
    return tuple(policies) or (Applied(PolicyKind.NONE, aim.destination),)


def _appliedTLSA(known: TLSASet) -> Applied:
    problem = why = None
    if known.assurance is Assurance.FAILED:
        problem, why = TLSResult.DNSSEC_INVALID, _unknownTLSA(known).detail
    elif not known.usable:
        problem, why = TLSResult.TLSA_INVALID, "none of the records can be used"
    lines = tuple(str(record) for record in known.records)
    return Applied(PolicyKind.DANE, known.base, lines, (), problem, why or "")


def _counted(records: tuple[TLSA, ...]) -> str:
    count = len(records)
    return "the TLSA record" if count == 1 else f"one of the {count} TLSA records"


def _trouble(kind: TroubleKind, told: str, result: TLSResult | None = None) -> Trouble:
    return Trouble(Phase.RESOLVE, kind, printable(told), result)
