# -*- test-case-name: relaymail.test.cli.test_explain -*-
"""
How it is written for people what would become of a message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click

from relaymail.cli.output import showPairs
from relaymail.cli.words import age, clean, moment

#: What stands before what belongs to something.
INDENT, DEEP = "  ", "     "
#: What the policies of destinations are called.
_KINDS = {"sts": "MTA-STS", "tlsa": "DANE"}
#: What is done at once, by what the API calls it.
_FATES = {
    "tried": "it is sent to the hosts below",
    "waits": "it waits, and is tried again",
    "bounces": "it bounces at once",
    "refused": "it is not taken",
    "discarded": "it is thrown away, and nobody is told",
    "held": "it is taken, and held until somebody releases it",
}


def write(told: Mapping[str, Any]) -> None:
    """
    Print what would become of a message.

    @param told: The document of the API.
    """
    showPairs(_whole(told))
    _section("Hosts, in the order in which they are tried:", told.get("route"), _host)
    _section("Not tried:", told.get("left"), _left)
    policies = [each for each in told.get("policies") or () if _isPolicy(each)]
    _section("Policies of the destination:", policies, _policy)
    _section("Asked of the DNS:", told.get("lookups"), _lookup)


def _section(title: str, parts: Any, lines: Any) -> None:
    if not parts:
        return
    click.echo(f"\n{title}")
    for number, part in enumerate(parts, 1):
        lines(number, part)


# The message.


def _whole(told: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    yield "recipient", told["recipient"]
    if told.get("aliases"):
        yield "alias for", ", ".join(map(str, told["aliases"]))
    yield "sender", told.get("sender") or "<>"
    yield "given by", _origin(told)
    yield "destination", told.get("destination")
    yield "accepted", "yes" if told.get("accepted") else "no"
    yield "rule", _rule(told)
    yield "goes to", told.get("goal")
    yield "outcome", _outcome(told.get("outcome") or {})
    yield "first attempt", _first(told)
    yield "standing", _standing(told.get("standing") or {})
    yield "connections", _connections(told.get("limits") or {})
    for rate in (told.get("limits") or {}).get("rates", ()):
        yield f"rate of the {rate['side']}", _rate(rate)
    site = told.get("site") or {}
    if site.get("count") or site.get("name") != told.get("goal"):
        yield "site", _site(site)
    yield "route holds", _until(told.get("until"))
    yield "retried after", ", ".join(map(age, told.get("retry") or ()))
    yield "given up after", age(told["expire"]) if told.get("expire") else ""


def _origin(told: Mapping[str, Any]) -> str:
    client, user = told.get("client"), told.get("user")
    words = [str(client)] if client else []
    if user:
        words.append(f"the user {user}")
    return " as ".join(words)


def _rule(told: Mapping[str, Any]) -> str:
    chosen = told.get("chosen") or {}
    matched = ", ".join(map(str, chosen.get("matched") or ()))
    rule = str(told.get("rule") or "")
    return f"{rule} ({matched})" if matched else rule


def _outcome(outcome: Mapping[str, Any]) -> str:
    fate = str(outcome.get("fate") or "")
    words = _FATES.get(fate, fate)
    if outcome.get("status"):
        words = f"{words} ({outcome['status']})"
    return f"{words}: {outcome['why']}" if outcome.get("why") else words


def _first(told: Mapping[str, Any]) -> str:
    first = told.get("first") or {}
    fate = (told.get("outcome") or {}).get("fate")
    if fate in ("refused", "held"):
        return "none"
    words = "now" if first.get("isNow") else "not now"
    if first.get("when"):
        words = f"at {moment(first['when'])}"
    return f"{words}: {first['why']}" if first.get("why") else words


def _standing(standing: Mapping[str, Any]) -> str:
    words = [standing.get("state"), standing.get("why")]
    if standing.get("until"):
        words.append(f"until {moment(standing['until'])}")
    return ", ".join(str(word) for word in words if word)


def _connections(limits: Mapping[str, Any]) -> str:
    if not limits:
        return ""
    told = f"{limits['connections']} of {limits['allowed']} that its hosts may have"
    return f"{told}; {limits['total']} of {limits['most']} in all"


def _rate(rate: Mapping[str, Any]) -> str:
    return f"{rate['rate']} for {rate['name']}, {rate['left']} left now"


def _site(site: Mapping[str, Any]) -> str:
    if not site.get("count"):
        return str(site.get("name") or "")
    others = ", ".join(map(str, site["others"]))
    more = site["count"] - len(site["others"])
    also = f"{others} and {more} more" if more > 0 else others
    return f"{site['name']}, shared with {also}"


def _until(when: Any) -> str:
    return f"until {moment(when)}" if when else ""


# What it goes by.


def _host(number: int, host: Mapping[str, Any]) -> None:
    port = f" port {host['port']}" if host.get("port") else ""
    click.echo(f"{INDENT}{number}. {clean(host['host'])}{port}")
    showPairs(_hostPairs(host), DEEP)


def _hostPairs(host: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    addresses = " ".join(map(str, host.get("addresses") or ()))
    yield "addresses", addresses
    yield "problem", host.get("problem")
    yield "TLS", _because(host.get("tls"), host.get("why"))
    if host.get("sni") or host.get("names"):
        yield "asked for as", host.get("sni")
        yield "certificate for", " or ".join(map(str, host.get("names") or ()))
    yield from _each("TLSA", host.get("tlsa") or ())
    yield "trusted", host.get("trusts")
    yield "shows", host.get("certificate")
    yield "REQUIRETLS", "must be offered" if host.get("requireTLS") else ""
    yield "protocol", "LMTP" if host.get("protocol") == "lmtp" else ""
    yield "logs in", host.get("login")
    yield "EHLO", host.get("helo")
    yield "from", " ".join(map(str, host.get("source") or ()))
    yield "preference", _preference(host)
    if host.get("clearUntil"):
        yield "TLS again", f"after {moment(host['clearUntil'])}"
    if host.get("badUntil"):
        yield "failed", f"behind the others until {moment(host['badUntil'])}"


def _each(name: str, lines: Iterable[object]) -> Iterator[tuple[str, object]]:
    for line in lines:
        yield name, line


def _because(what: Any, why: Any) -> str:
    return f"{what}: {why}" if what and why else str(what or "")


def _preference(host: Mapping[str, Any]) -> str:
    preference = host.get("preference")
    if preference is None or preference == 1:
        return ""
    return str(preference)


def _left(number: int, left: Mapping[str, Any]) -> None:
    click.echo(f"{INDENT}{clean(left['host'])}: {clean(left['why'])}")


def _isPolicy(policy: Mapping[str, Any]) -> bool:
    return policy.get("kind") in _KINDS


def _policy(number: int, policy: Mapping[str, Any]) -> None:
    kind = _KINDS[policy["kind"]]
    told = [f"{kind} of {policy['domain']}"]
    told += [f"mode {policy['mode']}"] if policy.get("mode") else []
    told += [f"kept until {moment(policy['until'])}"] if policy.get("until") else []
    told += [str(policy["problem"])] if policy.get("problem") else []
    told += [str(policy["why"])] if policy.get("why") else []
    click.echo(f"{INDENT}{clean(', '.join(told))}")
    for line in policy.get("lines") or ():
        click.echo(f"{DEEP}{clean(line)}")


def _lookup(number: int, lookup: Mapping[str, Any]) -> None:
    why = f" ({lookup['why']})" if lookup.get("why") else ""
    told = f"{lookup['kind']} of {lookup['name']}: {lookup['state']}{why}"
    click.echo(f"{INDENT}{clean(told)}")
